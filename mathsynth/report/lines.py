"""The few fields of rows that the report looks at, decoded without the rest. Unknown fields are skipped, not kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from mathsynth.errors import RunError
from mathsynth.shards import open_lines

Level = str | int | None


class Verdict(msgspec.Struct):
    """Of `records.Verdict`."""

    outcome: str = ""
    reason: str = ""
    rule: str = ""
    extracted: str | None = None
    how: str | None = None


class Usage(msgspec.Struct):
    """Of `records.Usage`."""

    completion_tokens: int = 0


class Difficulty(msgspec.Struct):
    """Of `records.Difficulty`."""

    pass_rate: float | None = None


class Dialogue(msgspec.Struct):
    """Of `Solution.checks.dialogue`."""

    student_turns: int = 0
    python_turns: int = 0


class Checks(msgspec.Struct):
    """Of `Solution.checks`; `false_steps` is None where steps were not looked at."""

    false_steps: list[str] | None = None
    dialogue: Dialogue | None = None


class Meta(msgspec.Struct):
    """Of `meta`."""

    persona: Any = None


class Row(msgspec.Struct):
    """A Problem or a Solution, or whatever a bad row was."""

    id: str = ""
    problem_id: str = ""
    question: str = ""
    answer: str | None = None
    response: str = ""
    verdict: Verdict | None = None
    checks: Checks | None = None
    model: str = ""
    usage: Usage | None = None
    finish_reason: str = ""
    level: Level = None
    method: str = ""
    difficulty: Difficulty | None = None
    meta: Meta | None = None
    text: str = ""
    """Of a bad row: the line as it was."""

    @property
    def outcome(self) -> str:
        """The verdict in a word, "" without one."""
        return self.verdict.outcome if self.verdict else ""


class Aside(msgspec.Struct):
    """A `Dropped` or a `Failed`."""

    row: Row
    reason: str = ""
    detail: str = ""
    boundary: str = ""
    error: str = ""


class Asked(msgspec.Struct):
    """A line of `problems.jsonl`."""

    problem_id: str
    model: str
    method: str = ""
    level: Level = None
    trials: int = 0
    corrects: int = 0
    wrong: int = 0
    undecided: int = 0
    truncated: int = 0
    failed: int = 0
    no_answer: int = 0
    pass_rate: float | None = None
    kept: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    solved: bool = False
    reason: str = ""


Line = TypeVar("Line", Row, Aside, Asked)


def read(path: Path, kind: type[Line]) -> Iterator[Line]:
    """The lines of a file; nothing if there is no such file. RunError naming file, line and field of a broken one."""
    if not path.exists():
        return
    decode = msgspec.json.Decoder(kind).decode
    for number, line in enumerate(open_lines(path), 1):
        try:
            yield decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise RunError(f"{path}:{number}: {error}") from None
