"""What the shards of a run have come to, which other processes or machines work on until they are merged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from operator import add
from pathlib import Path

from mathsynth.journal import Tokens, spent
from mathsynth.lock import held
from mathsynth.parts import MERGED, SHARDS, Part, parts_of
from mathsynth.shards import MANIFEST, read_steps


def shards_of(run: Path) -> dict[Part, str]:
    """Each shard of a run: `done`, `running`, `stopped` or `not begun`; empty if it has none or all are merged."""
    begun = parts_of(run)
    numbers = {part.of for part in begun}
    found = {part: _state(part.directory(run)) for of in sorted(numbers) for part in (Part(i, of) for i in range(of))}
    if (run / SHARDS / MERGED).exists() and set(found.values()) == {"done"}:
        return {}
    return found


def shards_told(run: Path | str, shards: Mapping[Part, str] | Mapping[str, str]) -> str:
    """The same in words: `1 of 2 shards done, 1/2 running; when all are: mathsynth merge RUN`."""
    done = sum(state == "done" for state in shards.values())
    open_ones = [f"{part} {state}" for part, state in shards.items() if state != "done"]
    told = ", ".join([f"{done} of {len(shards)} shards done", *open_ones])
    return f"{told}; {'when all are: ' if open_ones else ''}mathsynth merge {run}"


def spent_with(run: Path, shards: Iterable[Part]) -> dict[str, Tokens]:
    """The tokens by journal of a run and of these shards. What was merged lies in both, and counts once."""
    found: dict[str, Tokens] = {}
    for part in shards:
        for step, tokens in spent(part.directory(run)).items():
            found[step] = Tokens(*map(add, found.get(step, Tokens()), tokens))
    return found | spent(run)


def _state(directory: Path) -> str:
    if held(directory):
        return "running"
    steps = read_steps(directory)
    if not steps:
        return "not begun"
    return "done" if all((directory / step.directory / MANIFEST).exists() for step in steps) else "stopped"
