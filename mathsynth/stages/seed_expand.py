"""Make new problems from seeds, by the methods that the recipe names.

Every new problem names its seed, its method and what the method did. Only seeds are expanded, never what was made from
them, so errors don't pile up (LLM2LLM, methods.md 10b).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Self

from pydantic import Field, SerializeAsAny, field_validator

from mathsynth.context import Context
from mathsynth.errors import UsageError
from mathsynth.methods import Kind, MethodConfig, load_method, method_names
from mathsynth.records import Outcoming, Problem, Record
from mathsynth.settings import ConfigError, Place, keys_of, validate
from mathsynth.stages import Flow, StageConfig, only

VERSION = 2
SCOPE = "shard"
TAKES = (Problem,)
GIVES = Problem


class Config(StageConfig):
    """Which methods make new problems."""

    model: str = "teacher"
    """The entry of `models:` that writes."""
    methods: dict[str, SerializeAsAny[MethodConfig]] = Field(min_length=1)
    """Method name -> its settings; `{}` for the defaults."""
    keep_seeds: bool = True
    """Whether the seeds go on beside the new problems."""

    @field_validator("methods", mode="before")
    @classmethod
    def _load(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        configs: dict[str, MethodConfig] = {}
        faults: list[tuple[Place, str]] = []
        for name, settings in value.items():
            try:
                configs[name] = validate(load_method(name).Config, settings or {}, ("methods", name))
            except ConfigError as error:
                faults += error.faults
            except UsageError as error:
                faults.append((("methods", name), str(error)))
        if faults:
            raise ConfigError(faults)
        return configs

    def prompt_names(self) -> tuple[str, ...]:
        """The prompts of all methods."""
        return tuple(name for method in self.methods.values() for name in method.prompt_names())

    def prompt_values(self) -> frozenset[str]:
        """What `evolve` is told is in `instruction`."""
        return frozenset({"question", "instruction"})

    def model_names(self) -> tuple[str, ...]:
        """The writer, if any method needs one."""
        return (self.model,) if self.calls_per_row()[1] else ()

    def calls_per_row(self) -> tuple[int, int]:
        """Those of all methods."""
        most = sum(method.calls() for method in self.methods.values())
        return most, most

    def makes(self) -> frozenset[Kind]:
        """What its methods make."""
        return frozenset(method.kind() for method in self.methods.values())

    def making(self, kind: Kind) -> Self:
        """With the methods of this kind."""
        kept = {name: method for name, method in self.methods.items() if method.kind() == kind}
        return self.model_copy(update={"methods": kept})

    def through(self, flow: Flow) -> Flow:
        """Also what its methods are not sure of."""
        return replace(flow, unsure=flow.unsure or any(method.unsure() for method in self.methods.values()))

    def rows_per_row(self) -> tuple[int, int]:
        """The seed and what the methods make at most."""
        kept = int(self.keep_seeds)
        return kept, kept + sum(method.makes() for method in self.methods.values())


def more_help() -> str:
    """The methods that exist and their keys, for the help of the command."""
    text = "Methods:\n\n"
    for name in method_names():
        method = load_method(name)
        about = " ".join((method.__doc__ or "").split("\n\n")[0].split())
        keys = ", ".join(f"{key} [{default}]" for key, default, _ in keys_of(method.Config))
        text += f"\b\n{name}  {keys}\n  {about}\n\n"
    return text


def run(records: Iterator[Record], config: Config, ctx: Context) -> Iterator[Outcoming]:
    """Each seed, then what its methods made."""

    async def expand(seed: Problem) -> list[Outcoming]:
        rows: list[Outcoming] = [seed] if config.keep_seeds else []
        # By name: the order in which a recipe names them is in no key, so it must change no row.
        for name, settings in sorted(config.methods.items()):
            rows += await load_method(name).make(seed, settings, config.model, ctx)
        return _once(rows, ctx) or [ctx.dropped(seed, "nothing_made", "no method applies to this seed")]

    yield from ctx.each(only(Problem, records, ctx.stage), expand)


def _once(rows: list[Outcoming], ctx: Context) -> list[Outcoming]:
    """A seed's rows, what was made of it twice put aside. What other seeds became is for `dedupe`, which sees all."""
    seen: set[str] = set()
    once: list[Outcoming] = []
    for row in rows:
        if isinstance(row, Problem) and row.id in seen:
            once.append(ctx.dropped(row, "made_before", "the same problem was already made from this seed"))
            continue
        once.append(row)
        if isinstance(row, Problem):
            seen.add(row.id)
    return once
