"""Learn from programs that are right up to a point (self-sampled partially correct programs, TraceCodegen).

For every problem with right programs, further ones are sampled that go on from a stored prefix. One that prints the
answer is a new row. Of one that does not, the longest prefix that passes through a state of a right program is joined
with that program's remaining statements and run: if this gives the answer it is a new row too, and the prefix is
stored as one to go on from; else the equal states were a coincidence, which is counted. `prefixes.jsonl` holds the
prefixes, `coincidence.json` the counts.
"""

from __future__ import annotations

from mathsynth.records import Solution

VERSION = 1
SCOPE = "all"
TAKES = (Solution,)
GIVES = Solution

PREFIXES, COINCIDENCE = "prefixes.jsonl", "coincidence.json"
Trace = list[dict[str, str]]
