"""Rows as text for reading, and the ancestry of one row through a run."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import orjson

from mathsynth.errors import UsageError
from mathsynth.sandbox.results import ESCAPED
from mathsynth.shards import DROPPED, FAILED, MANIFEST, REJECTED, STEPS, open_lines, read_steps


def rows(place: Path, number: int) -> Iterator[str]:
    """The first rows of a shard, a step directory or the last step of a run."""
    files = [place] if place.is_file() else _kept_shards(place)
    for row in islice((row for file in files for _, row in _read(file)), number):
        yield text_of(row)


def ancestry(place: Path, identifier: str) -> Iterator[str]:
    """Every row of a run that has this id or is an ancestor of one that has, the oldest first, and what became of it.

    `identifier` may be the beginning of an id. UsageError if no row has it, or several have.
    """
    files = [place] if place.is_file() else [file for step in _steps(place) for file in _row_files(step)]
    found = {row_id for file in files for _, row in _read(file) if (row_id := _id(row)).startswith(identifier)}
    if len(found) != 1:
        some = f" ({', '.join(sorted(found)[:3])} …)" if found else ""
        raise UsageError(f"{place}: {len(found) or 'no'} rows have an id that begins with {identifier}{some}")
    wanted = _with_ancestors(files, found)
    shown: set[str] = set()
    for file in files:
        for number, row in _read(file):
            if _id(row) in wanted:
                text = text_of(row)
                where = f"── {file.relative_to(place) if place.is_dir() else file}:{number}"
                yield f"{where} {_id(row)}, unchanged\n" if text in shown else f"{where}\n{text}"
                shown.add(text)


def text_of(row: dict[str, Any]) -> str:
    """One row for reading: the long texts in full, the rest in one line each; nothing does anything to a terminal."""
    lines = []
    if "reason" in row and "row" in row:
        lines.append(f"DROPPED by {row['stage']}: {row['reason']} {row.get('detail', '')}".rstrip())
        row = row["row"]
    elif "error" in row and "row" in row:
        lines.append(f"FAILED in {row['stage']} at {row['boundary']}: {row['error']}")
        row = row["row"]
    for name, value in row.items():
        if name == "schema" or value in (None, "", [], {}) or (name == "response" and row.get("turns")):
            continue
        if name == "turns":
            value = "\n".join(f"[{turn['role']}]\n{turn['content']}" for turn in value)
        text = value if isinstance(value, str) else orjson.dumps(value).decode()
        lines.append(f"{name}:\n    " + text.replace("\n", "\n    ") if "\n" in text else f"{name}: {text}")
    return "\n".join(lines).translate(ESCAPED) + "\n"


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
    for step in reversed(_steps(place)):
        if shards := sorted(step.glob("[0-9]*.jsonl")):
            return shards
    raise UsageError(f"{place}: no finished step with rows")


def _row_files(step: Path) -> list[Path]:
    """The kept, dropped, failed and rejected rows of a step."""
    aside = (step / name for name in (DROPPED, FAILED, REJECTED))
    return [*sorted(step.glob("[0-9]*.jsonl")), *(file for file in aside if file.exists())]


def _steps(place: Path) -> list[Path]:
    """The finished step directories of a run as it stands; `place` itself if it is one."""
    if not place.is_dir():
        raise UsageError(f"{place}: no such file or directory")
    if (place / MANIFEST).exists():
        return [place]
    if not (place / STEPS).exists():
        raise UsageError(f"{place}: neither a run nor a step directory")
    listed = [place / step.directory for step in read_steps(place)]
    return [step for step in listed if (step / MANIFEST).exists()]


def _read(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(open_lines(file), 1):
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError:
            raise UsageError(f"{file}:{number}: not JSON") from None
        if isinstance(row, dict):
            yield number, row
