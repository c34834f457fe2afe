"""One file a stage. This file is the contract that each of them keeps.

A stage is a module with
* a docstring, whose first line is its help;
* `VERSION`, raised when its rows change for the same config;
* `class Config(StageConfig)`, a sentence under each field;
* `TAKES` and `GIVES`, the kinds of record it reads and yields;
* `SCOPE`: `"shard"` if any part of the rows can be worked on alone (unless its config `needs_all()`), `"all"` if every
  row is needed at once; with `"shard"`, `ctx.meter.done` rises after a record's last row, which `ctx.each` sees to, and
  files beside the rows are written by `ctx.lines`;
* `run(records, config, ctx)`, a generator of kept rows, `Dropped` and `Failed`, in the order of the input;
* if there is more to say than its keys, `more_help()`.

It is found by its file name (`seed_expand.py` is the stage `seed-expand`) and imported when used.
"""

from __future__ import annotations

import asyncio
import importlib
import pkgutil
from collections.abc import Awaitable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self, TypeVar, cast

from pydantic import BaseModel, ConfigDict

from mathsynth.errors import UsageError
from mathsynth.records import Outcoming, Problem, Record, Solution
from mathsynth.settings import keys_of

if TYPE_CHECKING:
    from mathsynth.context import Context
    from mathsynth.methods import Kind

Row = TypeVar("Row", Problem, Solution)
Made = TypeVar("Made")


@dataclass(frozen=True)
class Flow:
    """What is known beforehand of the rows between two steps, of solutions in `formats`."""

    unsure: bool = False
    """Whether some are problems whose answers samples must confirm."""
    formats: frozenset[str] = frozenset()
    programs: frozenset[str] = frozenset()
    """Those of the formats in which programs are run."""
    turns: frozenset[str] = frozenset()
    """Those whose solutions have several turns."""
    verdicts: frozenset[str] = frozenset({"correct"})


class StageConfig(BaseModel):
    """The config of one stage: frozen, unknown keys refused. `Field(exclude=True)` keeps a knob out of the hash."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def prompt_names(self) -> tuple[str, ...]:
        """The prompts that the stage renders; their content is part of its hash."""
        return ()

    def prompt_values(self) -> frozenset[str]:
        """The names that its prompts may use; `question` is one that they must."""
        return frozenset({"question"})

    def model_names(self) -> tuple[str, ...]:
        """The entries of `models:` that the stage asks."""
        return ()

    def content_key(self, base: Path) -> str:
        """A hash of the files that the stage reads beside its records; `base` is what relative paths start from."""
        return ""

    def calls_per_row(self) -> tuple[int, int]:
        """Model calls for one row, (least, most)."""
        return 0, 0

    def rows_per_row(self) -> tuple[int, int]:
        """Rows that one row becomes, (least, most)."""
        return 0, 1

    def passes_answered(self) -> bool:
        """Whether problems that have an answer go on as they are, unasked, and all others get one or go."""
        return False

    def makes(self) -> frozenset[Kind]:
        """The kinds of problems that the stage makes from others."""
        return frozenset()

    def making(self, kind: Kind) -> Self:
        """The same, making only problems of this kind, which is one of `makes()`."""
        return self

    def spending(self, calls: int) -> Self:
        """The same, asking each problem so often, if it is a stage that solves."""
        return self

    def needs_all(self) -> str:
        """Why this config needs every row at once, though the stage's SCOPE is `shard`; empty if it doesn't."""
        return ""

    def runs_programs(self) -> bool:
        """Whether programs that a model wrote are run, in the recipe's sandbox."""
        return False

    def through(self, flow: Flow) -> Flow:
        """What comes out where `flow` comes in. ConfigError for a key that would spend calls on rows that are lost."""
        return replace(flow, unsure=flow.unsure or "rephrased" in self.makes())

    def grades(self) -> bool:
        """Whether the verifier's rules shape the stage's rows."""
        return False


class Stage(Protocol):
    """A stage module, as the executors see it."""

    VERSION: int
    SCOPE: Literal["shard", "all"]
    TAKES: tuple[type[Record], ...]
    GIVES: type[Record] | None
    """None: what it takes."""
    Config: type[StageConfig]

    def run(self, records: Iterator[Any], config: Any, ctx: Context) -> Iterator[Outcoming]:
        """Kept rows, Dropped and Failed, in the order of the records."""


def only(kind: type[Row], records: Iterable[Record], stage: str) -> Iterator[Row]:
    """The records, all of one kind. UsageError at another one: then the stage stands in the wrong place."""
    for record in records:
        if not isinstance(record, kind):
            wanted, given = kind.__name__.lower(), type(record).__name__.lower()
            raise UsageError(f"{stage} reads {wanted}s, but {record.id} is a {given}; is a step missing before it?")
        yield record


async def together(work: Iterable[Awaitable[Made]]) -> list[Made]:
    """What all of it comes to. The first error is raised once all has ended: no reply that is under way is lost."""
    made = await asyncio.gather(*work, return_exceptions=True)
    for one in made:
        if isinstance(one, BaseException):
            raise one
    return cast("list[Made]", made)


def stage_names() -> list[str]:
    """The stages that exist, by file name."""
    return sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(__path__))


def load_stage(name: str) -> Stage:
    """The module of a stage. UsageError naming those that exist if there is none."""
    if name not in stage_names():
        raise UsageError(f"unknown stage {name!r}; there are: {', '.join(stage_names())}")
    return cast(Stage, importlib.import_module(f"{__name__}.{name.replace('-', '_')}"))


def stage_help(name: str, *, full: bool = False) -> str:
    """The first line of a stage's docstring, read without importing it; `full` adds the keys of its config."""
    path = Path(__path__[0]) / f"{name.replace('-', '_')}.py"
    first = path.read_text(encoding="utf-8").split('"""')[1].splitlines()[0]
    if not full:
        return first
    stage = load_stage(name)
    keys = "\n".join(f"\b\n{key}  [{default}]\n  {text}\n" for key, default, text in keys_of(stage.Config))
    more = getattr(stage, "more_help", None)
    return f"{first}\n\nKeys for --set:\n\n{keys}" + (f"\n{more()}" if more else "")
