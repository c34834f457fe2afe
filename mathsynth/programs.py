"""Programs that models wrote, run once each: a result is stored in the step's journal as a reply is, by its source.

So an interrupted trace goes on with the outputs that its model was shown, and equal programs run once. A result that
says nothing about the program (`infra_error`) is not stored.
"""

from __future__ import annotations

from mathsynth.journal import Journal
from mathsynth.records import content_id
from mathsynth.sandbox import VERSION, Limits, Result, Sandbox
