"""The verifier as stages use it, with worker processes that start when they are needed."""

from __future__ import annotations

from collections.abc import Callable

from mathsynth.records import Verdict
from mathsynth.verifier import CUT, Policy, extract
from mathsynth.verifier.worker import Checker


class Grader:
    """The verifier of one stage while it runs, under the recipe's policy."""

    def __init__(self, policy: Policy, checker: Callable[[Policy], Checker] = Checker) -> None:
        self.policy, self._start = policy, checker
        self._checker: Checker | None = None

    @property
    def checker(self) -> Checker:
        """What compares; its processes start when the first hard answer comes."""
        if self._checker is None:
            self._checker = self._start(self.policy)
        return self._checker

    async def check(
        self,
        reference: str,
        *,
        response: str | None = None,
        answer: str | None = None,
        finish_reason: str | None = None,
    ) -> Verdict:
        """The verdict on a response, or on a bare answer."""
        return await self.checker.check(reference, response=response, answer=answer, finish_reason=finish_reason)

    async def read(self, response: str, *, finish_reason: str | None = None) -> Verdict:
        """What a response answers, when there is no reference: `undecided` by the rule `no_reference`, or no answer."""
        found = None if finish_reason in CUT else extract(response)
        if found is None or found.how not in self.policy.accept:
            return Verdict(outcome="undecided", reason="no answer that may be counted", rule="no_answer")
        return Verdict(
            outcome="undecided", reason="no reference", rule="no_reference", extracted=found.answer, how=found.how
        )

    def same(self, one: str, other: str) -> bool | None:
        """Whether two answers are equal; None if that could not be checked."""
        verdict = self.checker.check_now(one, answer=other)
        return None if verdict.outcome == "undecided" else verdict.outcome == "correct"

    def close(self) -> None:
        """End the worker processes."""
        if self._checker is not None:
            self._checker.close()
