"""What is different from the last run in a directory: which keys, which steps stay valid, what is asked again."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from typing import Any, cast

import orjson

from mathsynth.recipe import Recipe, Step
from mathsynth.records import SCHEMA
from mathsynth.shards import KEY, MANIFEST, STEPS, read_steps, write_json

LONGEST, ALIKE = 60, 20
"""Characters of a value that are shown, and how many of them are the same in both at most, so that others are seen."""


def changes(recipe: Recipe, run: Path) -> list[str]:
    """What is different from the last run in this directory, in lines for the user; empty if nothing is.

    RunError if a newer mathsynth made that run.
    """
    read_steps(run)
    valid, again, keys = [], [], []
    for step in recipe.steps:
        if (run / step.directory / MANIFEST).exists():
            valid.append(step.name)
            continue
        if (differ := differences(recipe, step, run)) is None:
            continue
        keys += differ
        asks = any(re.search(r"\.prompts\.|\.sampling|\.seed|\.models\.(?![^.]+\.thinking: )", line) for line in differ)
        if not step.models:
            again.append(step.name)
        elif asks:
            again.append(f"{step.name} (its requests differ: they are asked again)")
        else:
            again.append(f"{step.name} (replies on disk are used, only new requests are asked)")
    if not again:
        return []
    return [
        "the recipe changed since the last run here:",
        *(f"  {line}" for line in keys),
        f"  still valid: {', '.join(valid) or 'nothing'}",
        f"  run again: {', '.join(again)}",
    ]


def differences(recipe: Recipe, step: Step, run: Path) -> list[str] | None:
    """The keys of a step that differ from the last run in this directory, `sample.k: 4 -> 8`; none if a step before it
    differs, and None if nothing does."""
    old = _last_key(run, step)
    if old is None or old["key"] == step.key:
        return None
    material = shown(recipe, step).material
    if old["material"] == material:
        return [f"{step.name}.models: a value that comes from the environment"]
    return list(_differences(old["material"], material, step.name))


def shown(recipe: Recipe, step: Step) -> Step:
    """The step as it may be written down: its key's material without what came from the environment."""
    return replace(step, material=recipe.document.redact(step.material))


def write_steps(run: Path, steps: Sequence[Step]) -> None:
    """Write down which steps a run has, and in which directories."""
    listed = [{"step": step.name, "stage": step.stage, "directory": step.directory} for step in steps]
    write_json(run / STEPS, {"schema": SCHEMA, "steps": listed})


def _last_key(run: Path, step: Step) -> dict[str, Any] | None:
    """`key.json` of the same step in the last run here, or the newest one if that run ended before it."""
    found = sorted(run.glob(f"{step.replies}-????????/{KEY}"), key=lambda path: path.stat().st_mtime)
    last = [run / entry.directory / KEY for entry in read_steps(run) if entry.step == step.name]
    found += [path for path in last if path.exists()]
    return cast("dict[str, Any]", orjson.loads(found[-1].read_bytes())) if found else None


def _differences(old: Any, new: Any, place: str) -> Iterator[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted({*old, *new}):
            if key != "before":
                yield from _differences(old.get(key), new.get(key), f"{place}.{key}".replace(".config.", "."))
    elif _alike(old, new):
        for number, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from _differences(one, other, f"{place}.{number}")
    elif old != new:
        yield f"{place}: {' -> '.join(_short(orjson.dumps(old).decode(), orjson.dumps(new).decode()))}"


def _alike(old: Any, new: Any) -> bool:
    """Whether both are lists of as many mappings."""
    lists = isinstance(old, list) and isinstance(new, list) and len(old) == len(new)
    return lists and all(isinstance(item, dict) for item in [*old, *new])


def _short(old: str, new: str) -> Iterator[str]:
    """Both texts, or of long ones the part from a little before they differ."""
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(old, new, strict=False)))
    begin = max(0, same - ALIKE) if max(len(old), len(new)) > LONGEST else 0
    for text in (old, new):
        shown = "..." * bool(begin) + text[begin:]
        yield shown if len(shown) <= LONGEST else shown[: LONGEST - 3] + "..."
