"""Where the work of a run is done. One file each: `local`, this machine; `ray`, a cluster.

The pipeline, the allocation of samples, the journals and all files of a run are always in this process; an executor
says where models, hard comparisons and the rows of stages that need no model are worked on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from mathsynth.backends.base import Backend, Home, ModelConfig
from mathsynth.context import Context
from mathsynth.records import Outcoming, Record
from mathsynth.steps import Step
from mathsynth.verifier import Policy
from mathsynth.verifier.worker import Checker


class Executor(Protocol):
    """What the pipeline asks of it."""

    def connect(self, config: ModelConfig, home: Home) -> Backend:
        """A connection to a model."""

    def checker(self, policy: Policy) -> Checker:
        """What compares answers."""

    def rows(self, step: Step, records: Iterable[Record], ctx: Context) -> Iterator[Outcoming]:
        """What a step makes of its records, in their order."""
