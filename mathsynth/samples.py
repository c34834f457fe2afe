"""Graded samples of one problem, and what they say together: outcome, vote, difficulty, line of the ledger. PURE."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mathsynth.allocation import Outcome
from mathsynth.records import Difficulty, Problem, Verdict
from mathsynth.verifier import CUT
from mathsynth.verifier.vote import Same, Vote, vote

CHARS_PER_TOKEN = 3.5
"""English with digits, over common tokenizers."""


def most_tokens(calls: int, max_tokens: int, prompt: Iterable[str]) -> int:
    """What a sample of so many calls may cost, without what its earlier turns add to the prompts of later ones."""
    return calls * (max_tokens + round(sum(map(len, prompt)) / CHARS_PER_TOKEN))


@dataclass
class Sample:
    """One graded sample; its text stays in the journal."""

    verdict: Verdict | None
    """None if the model could not be asked."""
    finish_reason: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    error: str = ""

    @property
    def answer(self) -> str | None:
        """The answer that was read."""
        return self.verdict.extracted if self.verdict else None


def outcome_of(sample: Sample) -> Outcome:
    """What a sample counts as. A cut reply is a failure of the model, as in DART, though its verdict is open."""
    if sample.verdict is None:
        return "failed"
    return "wrong" if sample.finish_reason in CUT else sample.verdict.outcome


def elect(samples: Iterable[Sample], same: Same) -> Vote:
    """The vote of the answers that were read."""
    return vote([sample.answer for sample in samples], same)


def difficulty_of(samples: Sequence[Sample], model: str) -> Difficulty:
    """The share of the decided samples that is correct."""
    rate = _pass_rate(samples)
    return Difficulty(pass_rate=0.0 if rate is None else rate, trials=len(samples), model=model)


def ledger_line(
    problem: Problem, samples: Sequence[Sample], *, kept: int, target: int | None, model: str
) -> dict[str, Any]:
    """What a problem cost and yielded; `pass_rate` is None if no sample was decided."""
    outcomes = [outcome_of(sample) for sample in samples]
    return {
        "problem_id": problem.id,
        "question": problem.question,
        "answer": problem.answer,
        "answer_source": problem.answer_source,
        "method": problem.method,
        "level": problem.level,
        "topics": problem.topics,
        "model": model,
        "trials": len(samples),
        "corrects": outcomes.count("correct"),
        "wrong": outcomes.count("wrong"),
        "undecided": outcomes.count("undecided"),
        "failed": outcomes.count("failed"),
        "truncated": sum(sample.finish_reason in CUT for sample in samples),
        "no_answer": sum(sample.verdict is not None and sample.answer is None for sample in samples),
        "pass_rate": _pass_rate(samples),
        "target": target,
        "kept": kept,
        "prompt_tokens": sum(sample.prompt_tokens for sample in samples),
        "completion_tokens": sum(sample.completion_tokens for sample in samples),
        "solved": kept > 0,
    }


def _pass_rate(samples: Sequence[Sample]) -> float | None:
    outcomes = [outcome_of(sample) for sample in samples]
    decided = outcomes.count("correct") + outcomes.count("wrong")
    return outcomes.count("correct") / decided if decided else None


def unconfirmed(
    problem: Problem, counted: Mapping[int, Sample], corrects: int, needed: int, same: Same
) -> tuple[str, str]:
    """Why the samples of a rewritten problem do not confirm the answer that it should have, or ("", "")."""
    wrong = [sample for sample in counted.values() if outcome_of(sample) != "correct"]
    rivals = elect(wrong, same).clusters
    rival = rivals[0].votes if rivals else 0
    if corrects >= needed and corrects > rival:
        return "", ""
    most = f", {rival} say {rivals[0].answer}" if rivals else ""
    return "not_confirmed", f"{corrects} of {len(counted)} samples say {problem.answer} (needed: {needed}){most}"
