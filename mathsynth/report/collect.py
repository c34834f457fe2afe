"""Counts what the rows of a run say, one row at a time. PURE.

`Tally` sees the ledger of the sampling, the rows put aside and the final rows, and keeps sums by pass rate, level,
method and model. Pass rates are right / (right + wrong), as `sample` counts them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from math import ceil

from mathsynth.report.lines import Aside, Asked, Level, Row
from mathsynth.report.tallies import OTHERS, Distinct, Few, Lengths, Names, in_turn

SHOWN_TEXT = 3000
"""Characters of a text that are shown; the middle of a longer one is left out."""
EXAMPLES, EXAMPLES_EACH = 12, 6
DROPPED_EACH, DROPPED_KINDS = 2, 60
GROUPS = 200
"""Different levels, methods or models that are told apart."""
UNKNOWN = "–"


@dataclass
class Group:
    """The problems of one level, method or model."""

    name: str
    problems: int = 0
    """Asked."""
    solved: int = 0
    """With at least one sample kept."""
    trials: int = 0
    corrects: int = 0
    wrong: int = 0
    tokens: int = 0
    sampled: int = 0
    """Samples that `sample` kept."""
    rows: int = 0
    """Rows in the final data."""
    refused: int = 0
    """Of a method: problems put aside before they were asked."""

    @property
    def acceptance(self) -> float | None:
        """Share of the asked problems with at least one sample kept."""
        return self.solved / self.problems if self.problems else None

    @property
    def pass_rate(self) -> float | None:
        """Right over right and wrong samples."""
        return self.corrects / (self.corrects + self.wrong) if self.corrects + self.wrong else None

    @property
    def rows_each(self) -> float | None:
        """Final rows for each problem asked."""
        return self.rows / self.problems if self.problems else None


@dataclass
class PassBin:
    """Problems whose pass rate is in (low, high]; 0 alone for low = high = 0; None where no sample was decided."""

    low: float | None
    high: float | None
    solved: int = 0
    unsolved: int = 0
    sampled: int = 0
    rows: int = 0

    @property
    def problems(self) -> int:
        """All of them."""
        return self.solved + self.unsolved


@dataclass
class Right:
    """Right answers of one model at one level whose steps were checked, and those reached through a false step."""

    model: str
    level: str
    right: int = 0
    false: int = 0


@dataclass
class Sampling:
    """What asking cost and gave, all problems together."""

    problems: int = 0
    solved: int = 0
    trials: int = 0
    """Samples that count."""
    corrects: int = 0
    wrong: int = 0
    undecided: int = 0
    failed: int = 0
    truncated: int = 0
    no_answer: int = 0
    sampled: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    fruitless: int = 0
    """Problems that gave no row: not solved, or dropped by a later step."""
    fruitless_tokens: int = 0
    """Their prompt and completion tokens."""
    reasons: Names = field(default_factory=Names)
    """Why problems ended."""
    bins: list[PassBin] = field(default_factory=list)
    levels: list[Group] = field(default_factory=list)
    methods: list[Group] = field(default_factory=list)
    models: list[Group] = field(default_factory=list)

    @property
    def tokens(self) -> int:
        """Prompt and completion tokens of all samples, those found on disk included."""
        return self.prompt_tokens + self.completion_tokens

    @property
    def pass_rate(self) -> float | None:
        """Right samples over all that got a reply and count."""
        replies = self.trials - self.failed
        return self.corrects / replies if replies else None

    @property
    def fruitless_share(self) -> float | None:
        """Share of the tokens that went to problems that gave no row."""
        return self.fruitless_tokens / self.tokens if self.tokens else None


@dataclass(frozen=True)
class Example:
    """A row to read. Texts are shortened in the middle; `reason` and `detail` say why a dropped one was."""

    id: str
    step: str
    question: str
    answer: str
    response: str
    extracted: str
    outcome: str
    rule: str
    why: str
    model: str
    method: str
    level: str
    persona: str
    finish_reason: str
    tokens: int
    pass_rate: float | None
    reason: str = ""
    detail: str = ""


class Tally:
    """Everything that is counted while the files of a run stream by."""

    def __init__(self) -> None:
        self.tokens, self.characters, self.distinct = Lengths(), Lengths(), Distinct()
        self.finish_reasons, self.rules, self.undecided, self.personas = Names(), Names(), Names(), Names()
        self._sampling = Sampling(bins=[PassBin(None, None), PassBin(0, 0)])
        self._sampling.bins += [PassBin(i / 10, (i + 1) / 10) for i in range(10)]
        self._levels: dict[str, Group] = {}
        self._methods: dict[str, Group] = {}
        self._models: dict[str, Group] = {}
        self._right: dict[tuple[str, str], Right] = {}
        self._refused = Names()
        self.tutor_turns = self.python_turns = 0
        self.errors = Names()
        self._examples: dict[str, Few[Example]] = {}
        self._dropped: dict[tuple[str, str], Few[Example]] = {}

    def ask(self, asked: Asked, model: str) -> None:
        """A line of the sampling's ledger, after all final rows: only then it is known whether a problem gave one.

        `model` is what the model is called, not its name in the recipe.
        """
        tokens, total = asked.prompt_tokens + asked.completion_tokens, self._sampling
        total.problems += 1
        for name in ("trials", "corrects", "wrong", "undecided", "failed", "truncated", "no_answer"):
            setattr(total, name, getattr(total, name) + getattr(asked, name))
        total.solved += asked.solved
        total.sampled += asked.kept
        total.prompt_tokens += asked.prompt_tokens
        total.completion_tokens += asked.completion_tokens
        if asked.problem_id not in self.distinct:
            total.fruitless += 1
            total.fruitless_tokens += tokens
        total.reasons.add(asked.reason)
        found = total.bins[_bin(asked.pass_rate)]
        found.solved += asked.solved
        found.unsolved += not asked.solved
        found.sampled += asked.kept
        for groups, name in (
            (self._levels, level_name(asked.level)),
            (self._methods, asked.method),
            (self._models, model),
        ):
            group = _group(groups, name)
            group.problems += 1
            group.solved += asked.solved
            group.trials += asked.trials
            group.corrects += asked.corrects
            group.wrong += asked.wrong
            group.tokens += tokens
            group.sampled += asked.kept

    def drop(self, step: str, stage: str, aside: Aside) -> None:
        """A row that a stage put aside."""
        row = aside.row
        # A problem that `sample` drops was asked and is in its ledger, but for those that the budget left unasked.
        if not row.response and row.method and (stage != "sample" or aside.reason == "budget"):
            self._refused.add(row.method)
        if stage == "verify":
            self.check(row)
            if row.outcome == "undecided" and row.verdict:
                self.undecided.add(row.verdict.rule)
        key = (step, aside.reason)
        if key in self._dropped or len(self._dropped) < DROPPED_KINDS:
            few = self._dropped.setdefault(key, Few(DROPPED_EACH))
            if few.wants(row.id or row.text):
                few.add(row.id or row.text, _example(step, row, aside))

    def fail(self, aside: Aside) -> None:
        """A row that a stage could not work on."""
        self.errors.add(shorten(f"{aside.boundary}: {aside.error}", 200))

    def reject(self, row: Row) -> None:
        """A wrong or undecided sample that was written."""
        if row.outcome == "undecided" and row.verdict:
            self.undecided.add(row.verdict.rule)

    def check(self, row: Row) -> None:
        """A row of `verify`, kept or not."""
        if row.outcome != "correct" or row.checks is None or row.checks.false_steps is None:
            return
        key = (row.model, level_name(row.level))
        if key not in self._right and len(self._right) >= GROUPS:
            key = (OTHERS, OTHERS)
        right = self._right.setdefault(key, Right(*key))
        right.right += 1
        right.false += bool(row.checks.false_steps)

    def keep(self, step: str, row: Row) -> None:
        """A row of the final data."""
        self.distinct.add(row.problem_id)
        self.tokens.add(row.usage.completion_tokens if row.usage else 0)
        self.characters.add(len(row.response))
        self.finish_reasons.add(row.finish_reason)
        if row.checks and (dialogue := row.checks.dialogue):
            # The last one only sums up; Code Soliloquies counts none there either.
            self.tutor_turns += dialogue.student_turns - 1
            self.python_turns += dialogue.python_turns
        self.rules.add(row.verdict.rule if row.verdict else UNKNOWN)
        if row.meta and row.meta.persona is not None:
            self.personas.add(str(row.meta.persona))
        self._sampling.bins[_bin(row.difficulty.pass_rate if row.difficulty else None)].rows += 1
        for groups, name in (
            (self._levels, level_name(row.level)),
            (self._methods, row.method),
            (self._models, row.model),
        ):
            _group(groups, name).rows += 1
        method = row.method if row.method in self._examples or len(self._examples) < GROUPS else OTHERS
        few = self._examples.setdefault(method, Few(EXAMPLES_EACH))
        if few.wants(row.id):
            few.add(row.id, _example(step, row))

    def sampling(self) -> Sampling | None:
        """The sampling, None if no problem was asked."""
        if not self._sampling.problems:
            return None
        for method, number in self._refused.items():
            _group(self._methods, method).refused = number
        self._sampling.levels = sorted(self._levels.values(), key=lambda group: _by_level(group.name))
        self._sampling.methods = sorted(self._methods.values(), key=lambda group: (-group.problems, group.name))
        self._sampling.models = sorted(self._models.values(), key=lambda group: (-group.problems, group.name))
        return self._sampling

    def right(self) -> tuple[Right, ...]:
        """By model, then level."""
        return tuple(sorted(self._right.values(), key=lambda right: (right.model, _by_level(right.level))))

    def examples(self) -> tuple[Example, ...]:
        """A few final rows, the methods in turn."""
        return tuple(in_turn([self._examples[method].items() for method in sorted(self._examples)], EXAMPLES))

    def dropped(self) -> tuple[Example, ...]:
        """A few dropped rows of each step and reason, in the order of the steps."""
        return tuple(example for few in self._dropped.values() for example in few.items())


def level_name(level: Level) -> str:
    """A level as text."""
    return UNKNOWN if level is None or level == "" else str(level)


def _by_level(name: str) -> tuple[int, int, str]:
    """`3` and `Level 3` by value, then names, then what is unknown."""
    found = re.fullmatch(r"(?:level\s*)?([0-9]{1,9})", name, re.IGNORECASE)
    return (0 if found else 2 if name in (UNKNOWN, OTHERS) else 1, int(found[1]) if found else 0, name)


def _bin(pass_rate: float | None) -> int:
    # Ten times a rate such as 0.7 may be a hair above the whole number that it should be.
    return 0 if pass_rate is None else 1 + min(10, ceil(10 * pass_rate - 1e-9))


def _group(groups: dict[str, Group], name: str) -> Group:
    name = name or UNKNOWN
    if name not in groups and len(groups) >= GROUPS:
        name = OTHERS
    return groups.setdefault(name, Group(name))


def _example(step: str, row: Row, aside: Aside | None = None) -> Example:
    verdict = row.verdict
    return Example(
        id=row.id,
        step=step,
        question=shorten(row.question or row.text),
        answer=shorten(row.answer or "", 300),
        response=shorten(row.response),
        extracted=shorten(verdict.extracted or "", 300) if verdict else "",
        outcome=row.outcome,
        rule=verdict.rule if verdict else "",
        why=shorten(verdict.reason, 300) if verdict else "",
        model=row.model,
        method=row.method,
        level=level_name(row.level),
        persona=shorten(str(row.meta.persona), 300) if row.meta and row.meta.persona is not None else "",
        finish_reason=row.finish_reason,
        tokens=row.usage.completion_tokens if row.usage else 0,
        pass_rate=row.difficulty.pass_rate if row.difficulty else None,
        reason=aside.reason if aside else "",
        detail=shorten(aside.detail, 600) if aside else "",
    )


def shorten(text: str, most: int = SHOWN_TEXT) -> str:
    """A text with its middle left out if it is longer than `most` characters."""
    if len(text) <= most:
        return text
    return f"{text[: most // 2]} […{len(text) - most // 2 * 2:,} characters left out…] {text[-(most // 2) :]}"
