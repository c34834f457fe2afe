"""Which problem gets the next sample. PURE: no model, no I/O, no clock, so it can be simulated: benchmarks/.

Policies (methods.md 1, DART-Math 2407.13690, without its off-by-one and its target split by worker):

    fixed      k samples of every problem
    uniform    until k correct ones
    prop2diff  until max(1, ceil(k * f / max f)) correct ones; f = share of wrong ones among the first `pilot` samples
    adaptive   until k * f correct ones, at least one; f = what is known of the problem's fail rate at that moment

Decisions follow sample numbers, not arrival: the samples that count are those up to the one that reaches the target,
later replies are waste and change nothing. A problem has no more samples under way than it still needs, or a fiftieth
of those it has had, so waste stays below 2 %. Only when slots would stand empty, at the end of the list or with the
window full, it may have as many as its measured pass rate says are needed. For `prop2diff` a problem goes on after its
own pilot with the target that it will have at least (max f <= 1), so no slot waits for the last pilot.
A vote is no matter of targets: the caller says after each sample that counts how many more it takes at least.

`adaptive` knows a pass rate as a Beta posterior from Jeffreys' prior: (correct + 1/2) / (decided + 1) on average.
Its objective, under a token budget: each solved problem is worth 1 (coverage first), each further row, the n-th of its
problem, f / n (balance: harder problems earn more rows, each row less than the one before). The next sample goes to the
problem with the largest expected gain per token, at the mean cost of its own samples so far. Targets depend on the
problem's own samples alone. So timing decides nothing until the budget binds, and then only how far each problem got:
a choice is made with at most all slots' outcomes still open, which shifts about that many samples between problems of
nearly equal gain. Without a budget the order is of no consequence, and problems are asked in the order of the list.

A budget counts what is under way at the mean cost of a sample, or while little is known of that at the most that one
may cost, so that a run ends near it; then every problem ends where it stands.
"""

from __future__ import annotations

import heapq
import math
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

from mathsynth.budget import has_room

Policy = Literal["fixed", "uniform", "prop2diff", "adaptive"]
Outcome = Literal["correct", "wrong", "undecided", "failed"]

UNDER_WAY, CORRECT, WRONG = 0, 1, 2
CODES: dict[Outcome, int] = {"correct": CORRECT, "wrong": WRONG, "undecided": 3, "failed": 4}
"""How `Trials.outcomes` keeps an outcome: a byte each, since millions of them can be open."""

AHEAD = 50
"""One sample more than needed may be under way for so many that came back: the waste is at most 1 / AHEAD."""


@lru_cache(maxsize=1 << 16)
def rows_wanted(k: int, wrong: int) -> int:
    """Correct samples that `adaptive` wants beside `wrong` wrong ones: the least x >= k * f.

    f is the posterior mean of the fail rate, (wrong + 1/2) / (x + wrong + 1). From about sqrt(k / 2) x rises to k.
    """
    return next(x for x in range(1, k + 1) if 2 * x * (x + wrong + 1) >= k * (2 * wrong + 1))


@dataclass(slots=True)
class Trials:
    """One problem's samples."""

    number: int
    cap: int
    """Samples at most."""
    target: int | None
    """Correct samples wanted; None while every sample up to `cap` counts (fixed, votes, pilots)."""
    least: int = 1
    """Correct samples wanted at least, whatever the policy says."""
    rising_to: int = 0
    """For `adaptive`, k: the target rises towards it with every wrong sample."""
    missing: Callable[[int], int] | None = None
    """For votes: how many samples more than the settled ones decide at the earliest; 0 ends the problem."""
    decides_at: int = 0
    """The number of settled samples at which a vote can be decided at the earliest."""
    outcomes: bytearray = field(default_factory=bytearray)
    """By sample number: UNDER_WAY or one of CODES."""
    settled: int = 0
    """How many samples count: a prefix of `outcomes`, none of it under way."""
    corrects: int = 0
    """Correct ones among the settled."""
    wrong: int = 0
    """Wrong ones among the settled."""
    hits: int = 0
    """Correct ones among all that came back."""
    under_way: int = 0
    tokens: int = 0
    fail_rate: float | None = None
    """f of the pilot, once it is over (prop2diff)."""
    key: float | None = None
    """Its place in the queue; None if it is not queued."""
    reason: str = ""
    """Why it ended: `target`, `decided` (a vote), `cap` or `budget`."""

    def settle(self) -> None:
        """Let samples count in the order of their numbers, as far as the target asks."""
        while self.settled < len(self.outcomes) and not self.reached:
            outcome = self.outcomes[self.settled]
            if outcome == UNDER_WAY:
                return
            self.settled += 1
            self.corrects += outcome == CORRECT
            self.wrong += outcome == WRONG
            if self.rising_to:
                self.target = max(self.least, rows_wanted(self.rising_to, self.wrong))
            if self.missing is not None:
                self.decides_at = self.settled + self.missing(self.settled)

    @property
    def reached(self) -> bool:
        """Whether the target is met, or the vote decided."""
        if self.missing is not None:
            return self.settled >= self.decides_at
        return self.target is not None and self.corrects >= self.target

    @property
    def safe(self) -> int:
        """Further samples that can be asked for with little or no risk of waste."""
        left = self.cap - len(self.outcomes)
        if self.missing is not None:
            return min(self.cap, self.decides_at) - len(self.outcomes)
        if self.target is None:
            return left
        need = self.target - self.hits
        if need > 0:
            need = max(need, (len(self.outcomes) - self.under_way) // AHEAD)
        return min(left, need - self.under_way)

    @property
    def eager(self) -> int:
        """Further samples worth asking for on empty slots: the need over the measured pass rate."""
        if self.missing is not None and self.settled:
            # A vote that is open after its first samples has a leader with about half of them.
            return min(self.cap, 2 * self.decides_at - self.settled) - len(self.outcomes)
        if self.target is None:
            return 0
        rate = (self.hits + 1) / (len(self.outcomes) - self.under_way + 2)
        wanted = math.ceil(max(0, self.target - self.hits) / rate) - self.under_way
        return min(self.cap - len(self.outcomes), wanted)

    def gain(self, mean_tokens: float) -> float:
        """What `adaptive` expects of one more sample, per mean cost; all but correct ones count as wrong."""
        rate = (self.hits + 0.5) / (len(self.outcomes) + 1)
        worth = (1 - rate) / (self.hits + self.under_way + 1) if self.hits else 1.0
        cost = (self.tokens / mean_tokens + 1) / (len(self.outcomes) - self.under_way + 1)
        return rate * worth / cost


NEW_GAIN = 0.5
"""The gain of a problem that was never asked."""


class Allocator:
    """Hands out (problem number, sample number) pairs and says which problems are finished.

    The caller takes `next()` until it is None, then adds a problem (or closes the list) and goes on.
    """

    def __init__(
        self,
        policy: Policy,
        *,
        k: int,
        max_trials: int,
        pilot: int,
        token_budget: int | None = None,
        window: int | None = None,
    ) -> None:
        """`k`: samples each (fixed), or correct samples wanted (of the hardest problem for prop2diff and adaptive).

        `window`: how many problems the caller holds, from the oldest unfinished one to the newest, before it stops
        adding. Policies that compare all problems with each other, prop2diff and adaptive with a budget, have none.
        """
        self.policy, self.k, self.max_trials, self.pilot = policy, k, max_trials, min(pilot, max_trials)
        self.token_budget, self.tokens, self.spent = token_budget, 0, False
        self.most_tokens = 0
        """What a sample may cost, as far as the caller knows."""
        self.max_fail = 0.0
        """The largest f so far; final once it is 1 or the last pilot is over."""
        self._ranked = policy == "adaptive" and token_budget is not None
        self.window: float = math.inf if window is None or self._ranked or policy == "prop2diff" else window
        self._open: dict[int, Trials] = {}
        self._queue: list[tuple[float, int]] = []
        """A heap of (key, number), some of them outdated: the oldest problem first, or if ranked the largest gain."""
        self._spare: OrderedDict[int, None] = OrderedDict()
        """Problems that can use empty slots, in turn; an OrderedDict as a dict is slow to give up its first key."""
        self._finished: deque[Trials] = deque()
        self._added = self._oldest = self._pilots = self._under_way = self._replies = 0
        self._closed = False

    @property
    def open(self) -> int:
        """Problems that are not finished."""
        return len(self._open)

    def add(self, *, samples: int | None = None, missing: Callable[[int], int] | None = None, least: int = 1) -> int:
        """One more problem; its number. `samples` asks for that many, whatever the policy (votes).

        `missing` ends them early: told how many samples count so far, it says how many more it takes at least.
        `least`: correct samples that it needs to count at all, if that is more than the policy wants.
        """
        trials = Trials(self._added, cap=self.max_trials, target=None, least=least)
        if samples is not None or self.policy == "fixed":
            trials.cap, trials.fail_rate, trials.missing = samples or self.k, 0.0, missing
            trials.decides_at = missing(0) if missing is not None else 0
        elif self.policy == "uniform":
            trials.target = max(least, self.k)
        elif self.policy == "adaptive":
            trials.target, trials.rising_to = max(least, rows_wanted(self.k, 0)), self.k
        else:
            trials.cap = self.pilot
            self._pilots += 1
        self._open[trials.number] = trials
        self._added += 1
        self._look(trials)
        return trials.number

    @property
    def waits(self) -> bool:
        """Whether nothing more is asked until those under way have told what they cost."""
        budget, under_way = self.token_budget, self._under_way
        return budget is not None and not has_room(budget, self.tokens, self.most_tokens, self._replies, under_way)

    def resize(self, window: int) -> None:
        """Another window, for policies that have one: it changes how far ahead problems are added, and no result."""
        if self.window != math.inf:
            self.window = window

    def close(self) -> None:
        """No more problems will be added."""
        if not self._closed:
            final, self._closed = self._targets_final, True
            if not final:
                self._fix_targets()

    def next(self) -> tuple[int, int] | None:
        """The next (problem, sample) to ask, or None if nothing is wanted now."""
        if self.spent or self.waits:
            return None
        fresh = not self._closed and self._added - self._oldest < self.window
        while self._queue:
            key, number = self._queue[0]
            trials = self._open.get(number)
            if trials is None or trials.key != key or trials.safe <= 0:
                heapq.heappop(self._queue)
                if trials is not None and trials.key == key:
                    trials.key = None
                continue
            if self._ranked and fresh and -key < NEW_GAIN:
                return None
            return self._issue(trials)
        while self._spare and not fresh:
            trials = self._open[self._spare.popitem(last=False)[0]]
            if trials.eager > 0:
                return self._issue(trials)
        return None

    def record(self, number: int, sample: int, outcome: Outcome, tokens: int = 0) -> None:
        """A sample came back. Replies to a finished problem only cost."""
        self.tokens += tokens
        self._replies += 1
        if (trials := self._open.get(number)) is not None:
            trials.outcomes[sample] = CODES[outcome]
            trials.under_way -= 1
            self._under_way -= 1
            trials.tokens += tokens
            trials.hits += outcome == "correct"
            trials.settle()
            if self._is_pilot(trials) and trials.settled == trials.cap:
                self._end_pilot(trials)
            if number in self._open:  # fixing the targets may have ended it
                self._look(trials)
        if self.token_budget is not None and not self.spent:
            self.spent = self.tokens + self._under_way * self._mean_tokens >= self.token_budget
            if self.spent:
                for trials in list(self._open.values()):
                    self._look(trials)

    def finished(self) -> Iterator[Trials]:
        """The problems that ended since the last call."""
        while self._finished:
            yield self._finished.popleft()

    # --- inside ------------------------------------------------------------------------------------------------

    @property
    def _mean_tokens(self) -> float:
        return self.tokens / self._replies if self.tokens else 1.0

    def _issue(self, trials: Trials) -> tuple[int, int]:
        trials.outcomes.append(UNDER_WAY)
        trials.under_way += 1
        self._under_way += 1
        self._enqueue(trials)
        return trials.number, len(trials.outcomes) - 1

    def _enqueue(self, trials: Trials) -> None:
        """Put a problem where `next` looks: in the queue, and among those that can use empty slots."""
        number = trials.number
        if trials.safe > 0:
            key = 0.0
            if self._ranked:  # a new problem was added to be asked now; half of a vote's samples serve no one
                at_once = not trials.outcomes or trials.target is None
                key = -math.inf if at_once else -trials.gain(self._mean_tokens)
            if trials.key != key:
                trials.key = key
                heapq.heappush(self._queue, (key, number))
                if len(self._queue) > 4 * len(self._open) + 64:
                    self._queue = [(t.key, t.number) for t in self._open.values() if t.key is not None]
                    heapq.heapify(self._queue)
        if number not in self._spare and trials.eager > 0:
            self._spare[number] = None

    def _look(self, trials: Trials) -> None:
        """Finish a problem that has all it can get, else see that it is asked again."""
        final = trials.target is None or self._targets_final
        if final and trials.reached:
            self._finish(trials, "target" if trials.missing is None else "decided")
        elif final and trials.settled == trials.cap and not self._is_pilot(trials):
            self._finish(trials, "cap")
        elif self.spent and not trials.under_way:
            self._finish(trials, "budget")
        else:
            self._enqueue(trials)

    def _finish(self, trials: Trials, reason: str) -> None:
        trials.reason = reason
        self._under_way -= trials.under_way
        del self._open[trials.number]
        self._spare.pop(trials.number, None)
        self._finished.append(trials)
        while self._oldest < self._added and self._oldest not in self._open:
            self._oldest += 1

    def _is_pilot(self, trials: Trials) -> bool:
        return self.policy == "prop2diff" and trials.fail_rate is None

    @property
    def _targets_final(self) -> bool:
        return self.policy != "prop2diff" or self.max_fail == 1.0 or (self._closed and not self._pilots)

    def _end_pilot(self, trials: Trials) -> None:
        decided = trials.corrects + trials.wrong
        trials.fail_rate = trials.wrong / decided if decided else 1.0
        trials.cap, trials.target = self.max_trials, self._target(trials, trials.fail_rate, 1.0)
        final = self._targets_final
        if decided:  # a problem whose calls all failed says nothing about difficulty
            self.max_fail = max(self.max_fail, trials.fail_rate)
        self._pilots -= 1
        if not final:
            self._fix_targets()

    def _fix_targets(self) -> None:
        """Once the largest f is known, give every problem its final target; this happens once."""
        if self._targets_final:
            for trials in list(self._open.values()):
                if trials.target is not None and trials.fail_rate is not None:
                    trials.target = self._target(trials, trials.fail_rate, self.max_fail)
                    trials.settle()
                    self._look(trials)

    def _target(self, trials: Trials, fail_rate: float, largest: float) -> int:
        return max(trials.least, min(self.k, max(1, math.ceil(self.k * fail_rate / (largest or 1.0) - 1e-9))))
