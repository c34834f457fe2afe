"""The sandbox of a run: tried before any model is asked, named in the run, never weaker than it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import orjson

from mathsynth.errors import UsageError
from mathsynth.recipe import Recipe, Step
from mathsynth.sandbox.pool import Sandbox, Tier
from mathsynth.sandbox.results import TIERS
from mathsynth.shards import write_json

TIER = ".sandbox.json"


@contextmanager
def sandbox_of(
    recipe: Recipe, steps: Sequence[Step], directory: Path, say: Callable[[str], None]
) -> Iterator[Sandbox | None]:
    """The sandbox, if one of these steps runs programs. UsageError if they may not be run here, or not so weakly."""
    if not any(step.config.runs_programs() for step in steps):
        yield None
        return
    with Sandbox(recipe.head.sandbox, say) as sandbox:
        _refuse_weaker(sandbox.tier, recipe, directory)
        say(f"programs run in the sandbox {sandbox.tier}")
        yield sandbox


def _refuse_weaker(tier: Tier, recipe: Recipe, directory: Path) -> None:
    """A resumed run, or part of one, keeps the tier that it began with, unless the recipe allows less."""
    path = directory / TIER
    if path.exists():
        before = Tier(**orjson.loads(path.read_bytes()))
        if tier.rank < before.rank and "require" not in recipe.head.sandbox.model_fields_set:
            raise UsageError(
                f"{directory}: its programs ran in the sandbox {before}; here it would be {tier}. "
                f"To go on with less, say sandbox.require (here: {_required(tier)})"
            )
    write_json(path, {"name": tier.name, "details": tier.details})


def _required(tier: Tier) -> str:
    """The value of `require` for a tier; `command` and `rlimits`, which have none, are weaker than the least."""
    return tier.name if tier.rank >= TIERS.index("seccomp-noopen") else "seccomp-noopen"
