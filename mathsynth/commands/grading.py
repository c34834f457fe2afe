"""The verifier at the command line: one pair, lines in and lines out, and reference answers against themselves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson

from mathsynth.errors import BadRow, UsageError
from mathsynth.readers import Source, read
from mathsynth.readers.lines import Number, loads
from mathsynth.records import Problem, Verdict
from mathsynth.settings import ConfigError, validate
from mathsynth.verifier import GRADING, Policy
from mathsynth.verifier.worker import Checker
from mathsynth.yamlfile import Document, override


def check_one(reference: str, answer: str) -> Verdict:
    """The verdict on one bare answer."""
    with Checker(Policy()) as checker:
        return checker.check_now(reference, answer=answer)


def check_lines(lines: Iterable[bytes]) -> Iterator[bytes]:
    """`{id, reference, response | answer}` lines to `{id, verdict, reason, rule, extracted}` lines, in order.

    A line that can't be read gives `verdict: undecided` and the reason, so that the n-th line out is the n-th in.
    """
    # Nothing becomes a training row here, so an answer in the last line counts too.
    with Checker(Policy(accept=GRADING)) as checker:
        for number, line in enumerate(lines, 1):
            yield orjson.dumps(_check_line(line, number, checker), default=float) + b"\n"


def _check_line(line: bytes, number: int, checker: Checker) -> dict[str, Any]:
    try:
        row = loads(line)
    except ValueError:
        row = None
    if not isinstance(row, dict):
        return _unread(None, f"line {number}: expected an object with `reference` and `response` or `answer`")
    reference, response, answer = (_text(row.get(key)) for key in ("reference", "response", "answer"))
    if reference is None or (response is None) == (answer is None):
        return _unread(row.get("id"), f"line {number}: `reference` and one of `response`, `answer` should be text")
    verdict = (
        checker.check_now(reference, answer=answer)
        if answer is not None
        else checker.check_now(reference, response=response, finish_reason=row.get("finish_reason"))
    )
    return {
        "id": row.get("id"),
        "verdict": verdict.outcome,
        "reason": verdict.reason,
        "rule": verdict.rule,
        "extracted": verdict.extracted,
        "how": verdict.how,
    }


def _text(value: object) -> str | None:
    """A text, or a number as it was written."""
    if isinstance(value, Number):
        return value.text
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) else None


def _unread(identifier: object, reason: str) -> dict[str, Any]:
    return {
        "id": identifier,
        "verdict": "undecided",
        "reason": reason,
        "rule": "bad_line",
        "extracted": None,
        "how": None,
    }


def gold(files: Sequence[str], sets: Sequence[str]) -> Iterator[tuple[str, str]]:
    """(where, what is wrong or "") for each problem: is its reference there, gradable, equal to itself and, if the
    problem has a solution that ends in an answer, the one that its own solution reaches?"""
    settings: dict[str, Any] = {}
    for text in sets:
        if "=" not in text:
            raise UsageError(f"--set {text}: expected key=value, for example layout=gsm8k")
    override(Document(settings), sets)
    with Checker(Policy()) as checker:
        for file in files:
            try:
                source = validate(Source, {**settings, "path": file})
            except ConfigError as error:
                raise UsageError(f"--set: {error}") from None
            for where, found in read(source, Path()):
                if isinstance(found, BadRow):
                    yield where, f"{found.field}: {found.reason}" if found.field else found.reason
                else:
                    yield where, _fault(found, checker)


def _fault(problem: Problem, checker: Checker) -> str:
    if problem.answer is None:
        return "no reference answer"
    verdict = checker.check_now(problem.answer, answer=problem.answer)
    if verdict.outcome != "correct":
        return f"the answer {problem.answer!r} can't be graded: {verdict.reason} (rule {verdict.rule})"
    if problem.solution:
        verdict = checker.check_now(problem.answer, response=problem.solution)
        if verdict.outcome == "wrong" and verdict.how in ("boxed", "answer phrase"):
            return f"its solution reaches {verdict.extracted!r}, its answer is {problem.answer!r}"
    return ""
