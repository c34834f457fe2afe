"""Which problem gets the next sample. PURE: no model, no I/O, no clock, so it can be simulated.

Policies (methods.md 1, DART-Math 2407.13690, without its off-by-one and its target split by worker):

    fixed      k samples of every problem
    uniform    until k correct ones
    prop2diff  until max(1, ceil(k * f / max f)) correct ones; f = share of wrong ones among the first `pilot` samples

Decisions follow sample numbers, not arrival: the samples that count are those up to the one that reaches the target,
later replies are waste and change nothing. A problem never has more samples under way than it still needs, so nothing
is over-issued; only at the tail, when slots would stand empty, it may have as many as its measured pass rate says are
needed. For `prop2diff` a problem goes on after its own pilot with the target that it will have at least (max f <= 1),
so no slot waits for the last pilot. A spent token budget ends every problem where it stands.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

Policy = Literal["fixed", "uniform", "prop2diff"]
Outcome = Literal["correct", "wrong", "undecided", "failed"]


@dataclass
class Trials:
    """One problem's samples."""

    number: int
    cap: int
    """Samples at most."""
    target: int | None
    """Correct samples wanted; None while every sample up to `cap` counts (fixed, votes, pilots)."""
    outcomes: list[Outcome | None] = field(default_factory=list)
    """By sample number; None while under way."""
    settled: int = 0
    """How many samples count: a prefix of `outcomes`, none of it under way."""
    corrects: int = 0
    """Correct ones among the settled."""
    hits: int = 0
    """Correct ones among all that came back."""
    under_way: int = 0
    fail_rate: float | None = None
    """f of the pilot, once it is over."""
    queued: bool = False
    reason: str = ""
    """Why it ended: `target`, `cap` or `budget`."""

    def settle(self) -> None:
        """Let samples count in the order of their numbers, as far as the target asks."""
        while self.settled < len(self.outcomes) and not self.reached:
            outcome = self.outcomes[self.settled]
            if outcome is None:
                return
            self.settled += 1
            self.corrects += outcome == "correct"

    @property
    def reached(self) -> bool:
        """Whether the target is met."""
        return self.target is not None and self.corrects >= self.target

    @property
    def safe(self) -> int:
        """Further samples that can be asked for without risking waste."""
        left = self.cap - len(self.outcomes)
        return left if self.target is None else min(left, self.target - self.hits - self.under_way)

    @property
    def eager(self) -> int:
        """Further samples worth asking for on empty slots: the need over the measured pass rate."""
        if self.target is None:
            return 0
        rate = (self.hits + 1) / (len(self.outcomes) - self.under_way + 2)
        wanted = math.ceil(max(0, self.target - self.hits) / rate) - self.under_way
        return min(self.cap - len(self.outcomes), wanted)


class Allocator:
    """Hands out (problem number, sample number) pairs and says which problems are finished."""

    def __init__(self, policy: Policy, *, k: int, max_trials: int, pilot: int, token_budget: int | None = None) -> None:
        """`k`: samples each (fixed), or correct samples wanted (of the hardest problem for prop2diff)."""
        self.policy, self.k, self.max_trials, self.pilot = policy, k, max_trials, min(pilot, max_trials)
        self.token_budget, self.tokens, self.spent = token_budget, 0, False
        self.max_fail = 0.0
        """The largest f so far; final once it is 1 or the last pilot is over."""
        self._open: dict[int, Trials] = {}
        self._queue: deque[Trials] = deque()
        self._finished: deque[Trials] = deque()
        self._added = self._pilots = 0
        self._closed = False

    @property
    def open(self) -> int:
        """Problems that are not finished."""
        return len(self._open)

    def add(self, *, samples: int | None = None) -> int:
        """One more problem; its number. `samples` asks for exactly that many, whatever the policy (votes)."""
        if samples is None and self.policy == "uniform":
            trials = Trials(self._added, cap=self.max_trials, target=self.k)
        elif samples is None and self.policy == "prop2diff":
            trials = Trials(self._added, cap=self.pilot, target=None)
            self._pilots += 1
        else:
            trials = Trials(self._added, cap=samples or self.k, target=None, fail_rate=0.0)
        self._open[trials.number] = trials
        self._enqueue(trials)
        self._added += 1
        return trials.number

    def close(self) -> None:
        """No more problems will be added."""
        if not self._closed:
            final, self._closed = self._targets_final, True
            if not final:
                self._fix_targets()

    def next(self) -> tuple[int, int] | None:
        """The next (problem, sample) to ask, or None if nothing is wanted now."""
        if self.spent:
            return None
        while self._queue:
            trials = self._queue[0]
            if trials.number in self._open and trials.safe > 0:
                return self._issue(trials)
            trials.queued = False
            self._queue.popleft()
        if not self._closed:
            return None
        trials_left = [trials for trials in self._open.values() if trials.eager > 0]
        return self._issue(min(trials_left, key=lambda trials: trials.under_way)) if trials_left else None

    def record(self, number: int, sample: int, outcome: Outcome, tokens: int = 0) -> None:
        """A sample came back. Replies to a finished problem only cost."""
        self.tokens += tokens
        if self.token_budget is not None and self.tokens >= self.token_budget:
            self.spent = True
        if (trials := self._open.get(number)) is not None:
            trials.outcomes[sample] = outcome
            trials.under_way -= 1
            trials.hits += outcome == "correct"
            trials.settle()
            if self._is_pilot(trials) and trials.settled == trials.cap:
                self._end_pilot(trials)
            self._look(trials)
        if self.spent:
            for trials in list(self._open.values()):
                self._look(trials)

    def finished(self) -> Iterator[Trials]:
        """The problems that ended since the last call."""
        while self._finished:
            yield self._finished.popleft()

    # --- inside ------------------------------------------------------------------------------------------------

    def _issue(self, trials: Trials) -> tuple[int, int]:
        trials.outcomes.append(None)
        trials.under_way += 1
        return trials.number, len(trials.outcomes) - 1

    def _enqueue(self, trials: Trials) -> None:
        if not trials.queued:
            trials.queued = True
            self._queue.append(trials) if not trials.outcomes else self._queue.appendleft(trials)

    def _look(self, trials: Trials) -> None:
        """Finish a problem that has all it can get, else see that it is asked again."""
        if trials.number not in self._open:
            return
        if trials.reached and self._targets_final:
            self._finish(trials, "target")
        elif trials.settled == trials.cap and not self._is_pilot(trials):
            self._finish(trials, "cap")
        elif self.spent and not trials.under_way:
            self._finish(trials, "budget")
        elif trials.safe > 0:
            self._enqueue(trials)

    def _finish(self, trials: Trials, reason: str) -> None:
        trials.reason = reason
        del self._open[trials.number]
        self._finished.append(trials)

    def _is_pilot(self, trials: Trials) -> bool:
        return self.policy == "prop2diff" and trials.fail_rate is None

    @property
    def _targets_final(self) -> bool:
        return self.policy != "prop2diff" or self.max_fail == 1.0 or (self._closed and not self._pilots)

    def _end_pilot(self, trials: Trials) -> None:
        decided = trials.outcomes.count("correct") + trials.outcomes.count("wrong")
        trials.fail_rate = 1 - trials.corrects / decided if decided else 1.0
        trials.cap, trials.target = self.max_trials, self._target(trials.fail_rate, 1.0)
        final = self._targets_final
        self.max_fail = max(self.max_fail, trials.fail_rate)
        self._pilots -= 1
        if not final:
            self._fix_targets()

    def _fix_targets(self) -> None:
        """Once the largest f is known, give every problem its final target."""
        if self._targets_final:
            for trials in list(self._open.values()):
                if trials.target is not None and trials.fail_rate is not None:
                    trials.target = self._target(trials.fail_rate, self.max_fail)
                    trials.settle()
                    self._look(trials)

    def _target(self, fail_rate: float, largest: float) -> int:
        return max(1, math.ceil(self.k * fail_rate / largest - 1e-9)) if largest else 1
