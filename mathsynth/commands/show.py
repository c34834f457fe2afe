"""Rows as text for reading, and the ancestry of one row through a run."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import orjson

from mathsynth.errors import UsageError
from mathsynth.shards import open_lines


def rows(place: Path, number: int) -> Iterator[str]:
    """The first rows of a shard, a step directory or the last step of a run."""
    files = [place] if place.is_file() else _kept_shards(place)
    for row in islice((row for file in files for _, row in _read(file)), number):
        yield text_of(row)


def ancestry(place: Path, identifier: str) -> Iterator[str]:
    """Every row of a run that has this id or is an ancestor of one that has, the oldest first, and what became of it.

    `identifier` may be the beginning of an id. UsageError if no row has it, or several have.
    """
    files = [place] if place.is_file() else sorted(place.rglob("*.jsonl"))
    files = [file for file in files if "replies" not in file.parts and file.name != "problems.jsonl"]
    found = {row_id for file in files for _, row in _read(file) if (row_id := _id(row)).startswith(identifier)}
    if len(found) != 1:
        raise UsageError(f"{place}: {len(found) or 'no'} rows have an id that begins with {identifier}")
    wanted = _with_ancestors(files, found)
    for file in files:
        for number, row in _read(file):
            if _id(row) in wanted:
                yield f"── {file.relative_to(place) if place.is_dir() else file}:{number}\n{text_of(row)}"


def text_of(row: dict[str, Any]) -> str:
    """One row for reading: the long texts in full, the rest in one line each."""
    lines = []
    if "reason" in row and "row" in row:
        lines.append(f"DROPPED by {row['stage']}: {row['reason']} {row.get('detail', '')}".rstrip())
        row = row["row"]
    elif "error" in row and "row" in row:
        lines.append(f"FAILED in {row['stage']} at {row['boundary']}: {row['error']}")
        row = row["row"]
    for name, value in row.items():
        if name == "schema" or value in (None, "", [], {}):
            continue
        text = value if isinstance(value, str) else orjson.dumps(value).decode()
        lines.append(f"{name}:\n    " + text.replace("\n", "\n    ") if "\n" in text else f"{name}: {text}")
    return "\n".join(lines) + "\n"


def _with_ancestors(files: list[Path], found: set[str]) -> set[str]:
    above: dict[str, set[str]] = {}
    for file in files:
        for _, row in _read(file):
            row = row.get("row", row)
            above.setdefault(_id(row), set()).update(filter(None, (row.get("problem_id"), *row.get("parents", ()))))
    wanted, queue = set(found), list(found)
    while queue:
        new = above.get(queue.pop(), set()) - wanted
        wanted |= new
        queue += new
    return wanted


def _id(row: dict[str, Any]) -> str:
    return str(row.get("row", row).get("id", ""))


def _kept_shards(place: Path) -> list[Path]:
    if not place.is_dir():
        raise UsageError(f"{place}: no such file or directory")
    steps = [place] if (place / "manifest.json").exists() else sorted(place.glob("*/manifest.json"), reverse=True)
    for step in steps:
        directory = step if step.is_dir() else step.parent
        if shards := sorted(directory.glob("[0-9]*.jsonl")):
            return shards
    raise UsageError(f"{place}: no finished step with rows")


def _read(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(open_lines(file), 1):
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError:
            raise UsageError(f"{file}:{number}: not JSON") from None
        if isinstance(row, dict):
            yield number, row
