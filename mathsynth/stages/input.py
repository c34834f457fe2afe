"""Read the problems that the recipe's sources hold.

It puts bad rows aside with their place and what was expected there, and rows whose id is taken already. It does not
look at what problems say: duplicates in content are for the stage `dedupe`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pydantic import Field

from mathsynth.errors import BadRow, RunError
from mathsynth.readers import Place, Source, places, read
from mathsynth.records import Dropped, Outcoming, Problem, Record, content_id
from mathsynth.shards import seal
from mathsynth.stages import StageConfig

if TYPE_CHECKING:
    from mathsynth.context import Context

VERSION = 2
SCOPE = "all"
TAKES = ()
GIVES = Problem


class Config(StageConfig):
    """Which sources are read, in their order."""

    sources: tuple[Source, ...] = Field(min_length=1)
    """Files, folders and data sets."""
    strict: bool = False
    """Stop at the first bad row instead of putting it aside."""
    limit: int | None = Field(default=None, ge=1)
    """At most this many problems in all."""

    def content_key(self, base: Path) -> str:
        """The bytes of all local files, so that an edited one is noticed; a data set on the Hub by its name."""
        parts: list[str] = []
        for source in self.sources:
            for place in places(source, base):
                parts += [place.format, place.name, *_contents(place)]
        return content_id(*parts)


def run(records: Iterable[Record], config: Config, ctx: Context) -> Iterator[Outcoming]:
    """The problems of all sources; `records` is empty, for nothing comes before. RunError if there is no problem."""
    places_of_ids: dict[str, str] = {}
    first_bad: BadRow | None = None
    for source in config.sources:
        for where, found in read(source, ctx.base):
            if isinstance(found, BadRow):
                if config.strict:
                    raise found
                first_bad = first_bad or found
                yield Dropped(
                    stage=ctx.stage, reason="bad_row", detail=str(found), row={"where": where, "text": found.text}
                )
            elif found.id in places_of_ids:
                detail = f"{where}: the id {found.id} is that of {places_of_ids[found.id]}"
                yield ctx.dropped(found, "duplicate_id", detail)
            else:
                places_of_ids[found.id] = where
                yield found
            if len(places_of_ids) == config.limit:
                return
    if not places_of_ids:
        paths = ", ".join(source.path for source in config.sources)
        raise RunError(f"no problem in {paths}" + (f"; the first bad row is {first_bad}" if first_bad else ""))


class Size(NamedTuple):
    """How much there is to read."""

    problems: int
    characters: int
    """Of a question on average."""
    unanswered: int
    """Problems without a reference answer."""


def size(config: Config, base: Path) -> Size:
    """The size of all sources together. BadRow if they are strict and one is bad."""
    count = characters = unanswered = 0
    for source in config.sources:
        for _, found in read(source, base):
            if isinstance(found, Problem) and count != config.limit:
                count, characters = count + 1, characters + len(found.question)
                unanswered += found.answer is None
            elif isinstance(found, BadRow) and config.strict:
                raise found
    return Size(count, characters // max(count, 1), unanswered)


def look(config: Config, base: Path) -> None:
    """Read the first row of each local source, for what the reader warns of there."""
    for source in config.sources:
        if all(place.path for place in places(source, base)):
            next(read(source, base), None)


def _contents(place: Place) -> list[str]:
    if place.path is None:
        return []
    if place.path.is_dir():
        return [seal(file).xxh3 for file in sorted(place.path.rglob("*")) if file.is_file()]
    return [seal(place.path).xxh3]
