"""From a finding about two texts to the verdict on a response: extraction, truncation and what may become a row."""

from __future__ import annotations

from typing import NamedTuple

from mathsynth.records import Outcome, Verdict
from mathsynth.verifier.extract import Extracted, read_answer
from mathsynth.verifier.policy import Policy
from mathsynth.verifier.words import Finding

CUT = frozenset(("length", "max_tokens", "content_filter"))
"""Finish reasons of a response that its model did not end itself."""


class Question(NamedTuple):
    """What has to be compared, and how the answer was found."""

    reference: str
    answer: str
    how: str


def question(
    reference: str, *, response: str | None = None, answer: str | None = None, finish_reason: str | None = None
) -> Question | Verdict:
    """The answer to compare, or at once the verdict of a response that has none.

    A response that was cut (by length, or inside its thinking) is `undecided`, rule `truncated`, whatever it holds;
    a whole response without an answer is `wrong`, rule `no_answer`.
    """
    if answer is not None:
        if not answer.strip():
            return _verdict("wrong", "the answer is empty", "no_answer", None, "given")
        return Question(reference, answer, "given")
    if response is None:
        raise ValueError("check() needs a response or an answer")
    if finish_reason in CUT:
        return _verdict("undecided", f"cut short ({finish_reason})", "truncated", None, None)
    found = read_answer(response)
    if not isinstance(found, Extracted):
        return _verdict("wrong" if found.rule == "no_answer" else "undecided", found.reason, found.rule, None, None)
    return Question(reference, found.answer, found.how)


def verdict(asked: Question, found: Finding, policy: Policy) -> Verdict:
    """The verdict on an answer; one that may not become a row is undecided instead of correct."""
    outcome: Outcome = "undecided" if found.equal is None else "correct" if found.equal else "wrong"
    if found.equal and asked.how not in policy.accept:
        reason = (
            f"it matches, but the answer was read from the {asked.how}"
            if asked.how == "last line"
            else "it matches, but the answer was guessed"
        )
        return _verdict("undecided", reason, "extraction", asked.answer, asked.how)
    return _verdict(outcome, found.reason, found.rule, asked.answer, asked.how)


def _verdict(outcome: Outcome, reason: str, rule: str, extracted: str | None, how: str | None) -> Verdict:
    # no validation: every field is ours, and thousands are made a second
    return Verdict.model_construct(outcome=outcome, reason=reason, rule=rule, extracted=extracted, how=how)
