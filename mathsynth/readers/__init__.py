"""Turns whatever a user has into Problems: JSON lines, JSON, Parquet, Hugging Face data sets.

It says where each row came from and what is wrong with a bad one. It never guesses a layout, never infers a type and
never drops a row: that is for the stage `input` to do.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

from mathsynth.errors import BadRow
from mathsynth.readers.layouts import to_problem, unread
from mathsynth.readers.lines import read_document, read_lines
from mathsynth.readers.source import Fields, Place, Source, places
from mathsynth.readers.tables import read_data_set, read_parquet
from mathsynth.records import Problem

log = logging.getLogger(__name__)

__all__ = ["Fields", "Place", "Source", "places", "read"]


def read(source: Source, base: Path) -> Iterator[tuple[str, Problem | BadRow]]:
    """(where, problem or what is wrong) for each row of a source, in order, up to `source.limit` problems.

    `base` is what a relative path starts from. UsageError if nothing is there, RunError if a data set can't be had.
    """
    given, first = 0, True
    for place in places(source, base):
        for where, row in _rows(place, source):
            if first and (columns := unread(row, source)):
                log.warning(
                    "%s: nothing reads the column %s; name it in `fields:`, or say `answer: null`",
                    where,
                    ", ".join(columns),
                )
            first = False
            found = _problem(row, source, where, place.name)
            yield where, found
            given += isinstance(found, Problem)
            if given == source.limit:
                return


def _rows(place: Place, source: Source) -> Iterator[tuple[str, object]]:
    if place.path is None or place.format == "datasets":
        return read_data_set(place, source)
    if place.format == "parquet":
        return read_parquet(place.path)
    return read_document(place.path) if place.format == "json" else read_lines(place.path)


def _problem(row: object, source: Source, where: str, name: str) -> Problem | BadRow:
    if isinstance(row, BadRow):
        return row
    try:
        return to_problem(row, source, where, name)
    except BadRow as error:
        return error
