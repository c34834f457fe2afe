"""Rows of JSON files: JSON lines, or one document that is an object or a list of objects. Plain, .gz or .zst.

A number keeps the text that it was written with (`Number`), because 1.50 and 1.5 are different answers to copy.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import jsonlines
import orjson

from mathsynth.errors import BadRow
from mathsynth.shards import open_lines

EXCERPT = 200
"""Characters of a bad row that are kept."""


class Number(float):
    """A JSON number that is no integer, with the text that stood in the file."""

    text: str

    def __new__(cls, text: str) -> Self:
        """From the text, which must be a float's."""
        number = super().__new__(cls, text)
        number.text = text
        return number


def loads(text: str | bytes) -> object:
    """JSON by orjson; where it holds a fraction or a number beyond 64 bits, again with exact numbers. ValueError."""
    value: object = orjson.loads(text)
    if not _has_float(value):
        return value
    try:
        exact: object = json.loads(text, parse_float=Number)
    except RecursionError:
        raise ValueError("nested too deep") from None
    return exact


def _has_float(value: object) -> bool:
    if isinstance(value, dict):
        return any(map(_has_float, value.values()))
    if isinstance(value, list):
        return any(map(_has_float, value))
    return isinstance(value, float)


def read_lines(path: Path) -> Iterator[tuple[str, object]]:
    """(`file:line`, value) of each line that is not blank; a bad line is a BadRow, a cut file ends in one."""
    at = 0

    def counted() -> Iterator[bytes]:
        # jsonlines knows the line number of a bad line only; it never reads ahead, so this is where it is.
        nonlocal at
        for at, line in enumerate(open_lines(path), 1):
            yield line

    with jsonlines.Reader(counted(), loads=loads) as reader:
        while True:
            try:
                value = reader.read(allow_none=True, skip_empty=True)
            except EOFError:
                return
            except jsonlines.InvalidLineError as error:
                where = f"{path}:{error.lineno}"
                yield where, BadRow(where, "", _complaint(error.__cause__), _excerpt(error.line))
            except BadRow as error:
                yield error.where, error
                return
            else:
                yield f"{path}:{at}", value


def read_document(path: Path) -> Iterator[tuple[str, object]]:
    """Rows of a .json file: JSON lines if its first line is an object, else one object or a list (`file[1]` …)."""
    try:
        first = next((line for line in open_lines(path) if line.strip()), b"")
        if isinstance(_value(first), dict):
            yield from read_lines(path)
            return
        text = b"\n".join(open_lines(path))
        value = loads(text.decode("utf-8-sig"))
    except BadRow as error:
        yield error.where, error
    except ValueError as error:
        yield str(path), BadRow(str(path), "", _complaint(error), _excerpt(text))
    else:
        if not isinstance(value, list):
            yield str(path), value
            return
        for number, row in enumerate(value, 1):
            yield f"{path}[{number}]", row


def _value(line: bytes) -> object:
    try:
        return loads(line.decode("utf-8-sig"))
    except ValueError:
        return None


def _complaint(cause: BaseException | None) -> str:
    if isinstance(cause, UnicodeDecodeError):
        return f"expected UTF-8, byte {cause.start + 1} is {cause.object[cause.start]:#04x}"
    return f"expected JSON: {cause}"


def _excerpt(line: str | bytes) -> str:
    if isinstance(line, bytes):
        line = line[: 4 * EXCERPT].decode("utf-8", "replace")
    return line[:EXCERPT]
