"""One row of the user's data to one Problem: our own columns, the layouts gsm8k and math, or named columns.

Answers are never interpreted: text is kept to the letter, a number becomes the text it was written with.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import orjson
from pydantic import ValidationError

from mathsynth.errors import BadRow
from mathsynth.readers.lines import EXCERPT, Number
from mathsynth.readers.source import Fields, Source
from mathsynth.records import Problem, explain

# Without `id`: in another's file it may count lines, and the lines of two files would be one problem.
_FOREIGN = {"question", "answer", "solution", "level", "topics", "license", "source"}
_COLUMNS = {
    "problems": Fields(**{name: name for name in _FOREIGN}),
    "gsm8k": Fields(question="question", solution="answer"),
    "math": Fields(question="problem", solution="solution", level="level", topics="type"),
}
_OWN = frozenset(Problem.model_fields) - {"schema_"} | {"schema"}
_ANSWERS = re.compile(
    r"(?:(?:final|expected|correct|reference|gold)_?)?(?:answers?|solutions?)|ground_?truth|gold|target", re.I
)
_BOX = re.compile(r"\\(?:boxed|fbox)(?![a-zA-Z])\s*")


class _Refused(Exception):
    def __init__(self, field: str, expected: str) -> None:
        self.field, self.expected = field, expected


def to_problem(row: object, source: Source, where: str, name: str) -> Problem:
    """The problem in a row; `name` is its source if nothing else says. BadRow names the field and what was expected."""
    try:
        if not isinstance(row, dict):
            raise _Refused("", f"expected an object with named fields, got {_kind(row)}")
        if source.layout == "problems" and source.fields is None:
            values = _own_columns(row)
        else:
            values = _named_columns(row, source)
        for key, default in (("source", source.source or name), ("license", source.license)):
            values[key] = values.get(key) or default
        if values.get("answer") is not None:
            values.setdefault("answer_source", "given")
        return Problem.model_validate(values)
    except _Refused as refused:
        raise BadRow(where, refused.field, refused.expected, _excerpt(row)) from None
    except ValidationError as error:
        raise BadRow(where, *explain(error), _excerpt(row)) from None


def unread(row: object, source: Source) -> list[str]:
    """The columns of a row that look like an answer and are read by nothing, unless `fields` wants none."""
    own = source.layout == "problems" and source.fields is None
    if not isinstance(row, dict) or own or source.given.get("answer", "") is None:
        return []
    read = {part for path in _columns(source).model_dump().values() if path for part in (path, path.partition(".")[0])}
    refused = {name for name, path in source.given.items() if path is None}
    return [name for name in row if _ANSWERS.fullmatch(str(name)) and name not in read | refused]


def _columns(source: Source) -> Fields:
    """Which column holds what: as `fields` says, else as the layout has it."""
    return _COLUMNS[source.layout].model_copy(update=source.given)


def _own_columns(row: dict[str, Any]) -> dict[str, Any]:
    if "response" in row:
        raise _Refused("response", "this is a solution; the input takes problems")
    if unknown := sorted(row.keys() - _OWN):
        raise _Refused(
            unknown[0],
            f"not a field of a problem ({', '.join(sorted(_OWN))}); name your own columns with `fields:`",
        )
    values = {key: _plain(value) for key, value in row.items() if value is not None}
    values["question"] = _question(row.get("question"), "question", row)
    values["answer"] = _text(row.get("answer"), "answer")
    return values


def _named_columns(row: dict[str, Any], source: Source) -> dict[str, Any]:
    columns, given = _columns(source), source.given

    def column(target: str) -> tuple[str, object]:
        path = getattr(columns, target)
        if path is None:
            return "", None
        found, value = _reach(row, path)
        if not found and target in given:
            raise _Refused(path, f"missing; {_has(row)}")
        return path, value

    question_path, question = column("question")
    values: dict[str, Any] = {"question": _question(question, question_path, row)}
    for target in ("answer", "solution", "id", "license", "source"):
        path, value = column(target)
        if (text := _text(value, path)) is not None:
            values[target] = text
    path, level = column("level")
    values["level"] = _level(level, path)
    path, topics = column("topics")
    values["topics"] = _topics(topics, path)
    if source.layout != "problems":
        _answer_of_solution(values, source, column("solution")[0], row)
    return values


def _answer_of_solution(values: dict[str, Any], source: Source, path: str, row: dict[str, Any]) -> None:
    solution = values.get("solution")
    if solution is None:
        raise _Refused(path, f"missing or empty; {_has(row)}")
    if source.layout == "gsm8k":
        before, mark, final = solution.rpartition("####")
        if not mark or not final.strip():
            raise _Refused(path, "expected the final answer after '####'")
        values["solution"] = before.strip() or None
        values.setdefault("answer", final.strip())
    elif "answer" not in values:
        box = last_box(solution)
        if not box:
            raise _Refused(path, "expected a last \\boxed{…} that is closed and not empty")
        values["answer"] = box


def last_box(text: str) -> str | None:
    """What stands in the last `\\boxed{…}` of a TeX text. None if there is none or the last one is not closed.

    An earlier box is never taken in place of a last one that is cut off: it may hold an intermediate result.
    """
    last = None
    for last in _BOX.finditer(text):
        pass
    if last is None:
        return None
    start = last.end()
    if text[start : start + 1] != "{":
        token = re.match(r"\\?[a-zA-Z]+|-?[0-9.,]*[0-9]", text[start:])
        return token.group() if token else None
    depth, at = 0, start
    while at < len(text):
        if text[at] == "\\":
            at += 1
        elif text[at] == "{":
            depth += 1
        elif text[at] == "}":
            depth -= 1
            if depth == 0:
                return text[start + 1 : at].strip()
        at += 1
    return None


def _reach(row: dict[str, Any], path: str) -> tuple[bool, object]:
    if path in row:
        return True, row[path]
    value: Any = row
    for part in path.split("."):
        if isinstance(value, dict) and part in value:
            value = value[part]
        elif isinstance(value, list) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        else:
            return False, None
    return True, value


def _question(value: object, path: str, row: dict[str, Any]) -> str:
    if value is None:
        raise _Refused(path, f"missing; {_has(row)}")
    if not isinstance(value, str):
        raise _Refused(path, f"expected text, got {_kind(value)}")
    if not value.strip():
        raise _Refused(path, "empty")
    return value


def _text(value: object, path: str) -> str | None:
    if value is None:
        return None
    if isinstance(value, str):
        return value if value.strip() else None
    if isinstance(value, Number):
        return value.text
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return str(value)
    raise _Refused(path, f"expected text or a number, got {_kind(value)}")


def _level(value: object, path: str) -> str | int | None:
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    if not isinstance(value, str):
        raise _Refused(path, f"expected text or a whole number, got {_kind(value)}")
    numbered = re.fullmatch(r"Level ([0-9]+)", value)
    return int(numbered[1]) if numbered else value or None


def _topics(value: object, path: str) -> tuple[str, ...]:
    listed = [] if value is None else [value] if isinstance(value, str) else value
    if not isinstance(listed, list) or not all(isinstance(topic, str) for topic in listed):
        raise _Refused(path, f"expected text or a list of texts, got {_kind(value)}")
    return tuple(topic for topic in listed if topic)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return float(value) if isinstance(value, Number) else value


def _has(row: dict[str, Any]) -> str:
    return f"the row has {', '.join(map(str, row)) or 'no fields'}"[:EXCERPT]


def _kind(value: object) -> str:
    if value is None:
        return "null"
    kinds = {bool: "true or false", int: "a number", float: "a number", str: "text", list: "a list", dict: "an object"}
    return next((name for kind, name in kinds.items() if isinstance(value, kind)), f"a {type(value).__name__.lower()}")


def _excerpt(row: object) -> str:
    try:
        return orjson.dumps(row, default=str).decode()[:EXCERPT]
    except TypeError:
        return repr(row)[:EXCERPT]
