"""A run that is shared out: which rows are a part's own, and by what `merge` puts the parts together again.

Part I of N works on every N-th row, from row I on, of a step that needs all rows (`input` first), in a directory of its
own: RUN/shards/I-of-N. Each step there also writes `places.jsonl`: for every such row, in order, how many lines of each
file it became. So the merge copies lines, and needs no ids to know what came from what.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import orjson

from mathsynth.errors import RunError, UsageError
from mathsynth.shards import MANIFEST, open_lines, read_steps, to_json_line, write_json

SHARDS, PART, MERGED = "shards", "shard.json", "merged.json"
PLACES = "places.jsonl"
KEPT = "kept"
"""What `places.jsonl` calls the lines of the numbered files."""


@dataclass(frozen=True)
class Part:
    """Part `index` of `of`, counted from 0."""

    index: int
    of: int

    def __str__(self) -> str:
        return f"{self.index}/{self.of}"

    def directory(self, run: Path) -> Path:
        """Its own directory in a run."""
        return run / SHARDS / f"{self.index}-of-{self.of}"

    def owns(self, place: int) -> bool:
        """Whether the row at this place, counted from 0, is its own."""
        return place % self.of == self.index


def parse_part(text: str) -> Part:
    """`3/8` as a Part. UsageError if there is no such part."""
    found = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text.strip())
    if found is None or int(found[1]) >= int(found[2]):
        raise UsageError(f"--shard {text}: expected I/N, the shards of N are 0/N to N-1/N")
    return Part(int(found[1]), int(found[2]))


def parts_of(run: Path) -> list[Part]:
    """The parts of a run that were begun, in order."""
    named = (re.fullmatch(r"(\d+)-of-(\d+)", path.name) for path in (run / SHARDS).glob("*-of-*"))
    found = [Part(int(name[1]), int(name[2])) for name in named if name]
    return sorted(found, key=lambda part: (part.of, part.index))


def refuse_another_split(run: Path, part: Part) -> None:
    """UsageError if the run is shared out to another number of parts, for those would never be merged with this."""
    if others := {other.of for other in parts_of(run)} - {part.of}:
        raise UsageError(
            f"--shard {part}: {run} is shared out to {min(others)}, so its shards are 0/{min(others)} to "
            f"{min(others) - 1}/{min(others)}; take these, or another directory"
        )


def read_merged(run: Path) -> dict[str, str]:
    """The steps that were merged from parts, each with a mark of what these were."""
    path = run / SHARDS / MERGED
    return dict(orjson.loads(path.read_bytes())) if path.exists() else {}


def refuse_other_run(run: Path, directories: Collection[str]) -> None:
    """UsageError if a run with other steps than these was begun here without parts: both would be one run's then."""
    if not (run / SHARDS).exists() and any(entry.directory not in directories for entry in read_steps(run)):
        raise UsageError(f"--shard: {run} holds a run of other settings; take another directory")


def refuse_done_whole(run: Path, directories: Iterable[str]) -> None:
    """UsageError if one of these steps was finished without parts, for a merge would not touch its rows."""
    merged = read_merged(run)
    for name in directories:
        if (run / name / MANIFEST).exists() and name not in merged:
            raise UsageError(f"--shard: {run / name} was made without shards; go on without them, or delete it")


def write_part(directory: Path, part: Part, recipe: Path, sets: Sequence[str]) -> None:
    """`shard.json`: which part a directory holds, and how its recipe is read again."""
    write_json(directory / PART, {"schema": 1, "shard": str(part), "recipe": str(recipe), "sets": list(sets)})


class PlaceWriter:
    """Writes `places.jsonl` while a step runs: lines are counted by the number of the record they are made of."""

    def __init__(self, file: IO[bytes], places: Iterator[int]) -> None:
        """`places`: that of each record, in order."""
        self._file, self._places = file, places
        self._record, self._place = -1, -1
        self._lines: Counter[str] = Counter()

    def count(self, record: int, name: str) -> None:
        """A line of file `name` is made of this record; records come in order."""
        while self._record < record:
            self._record += 1
            place = next(self._places)
            if place != self._place:
                self.flush()
                self._place = place
        self._lines[name] += 1

    def flush(self) -> None:
        """Write what is counted of the last place."""
        if self._lines:
            self._file.write(to_json_line({"place": self._place, "lines": self._lines}))
            self._lines = Counter()


def read_places(directory: Path) -> Iterator[tuple[int, dict[str, int]]]:
    """(place, lines by file) of a part's step, in order. RunError if it is not what a part's step writes."""
    path = directory / PLACES
    if not path.exists():
        raise RunError(f"{path}: missing; this step was not run as one of several shards")
    for number, line in enumerate(open_lines(path), 1):
        try:
            row = orjson.loads(line)
            yield row["place"], row["lines"]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            raise RunError(f"{path}:{number}: not a line that mathsynth wrote") from None


def places_of_rows(directory: Path) -> Iterator[int]:
    """The place of each kept row of a part's step."""
    for place, lines in read_places(directory):
        for _ in range(lines.get(KEPT, 0)):
            yield place
