"""How well the allocator spends samples and fills slots: a simulation in virtual time, without a model.

    python benchmarks/allocation.py [PROBLEMS]

Pass rates are drawn from Beta(0.6, 0.55), in random order. Its mean, 0.52, is that of a 7B model on MATH; it fits what
methods.md 1 reports of DART: more than 90 % of the queries solved within 100 tries and more than 99 % within 1,000,
and 5M samples for 40 correct ones of 15,000 queries, at most 2,048 each (the first line checks all three). Level 5 of
MetaMath, half of it without a sample, is another model's and not fitted. Latencies are log-normal (sigma 0.6), tokens
of a sample grow up to threefold with the fail rate. Outcomes and tokens depend on (problem, sample) alone.

    waste     samples over the least possible: the same outcomes in hindsight, with each policy's own targets (pilots
              and, where a budget ends the run, what counted up to there)
    starved   share of the time, before the last problem is started, with fewer than 95 % of the slots busy
    busy      mean share of busy slots in the whole run, the tail included
    rows      kept rows, and by tenth of the problems, hardest first; `hard` = rows of the three hardest per Mtoken
    MiB       growth of the process beyond its start (each line runs in a fresh one); open = problems at the peak
    us, tail  scheduler time per completion in microseconds: in the whole run, and after the last problem was started
"""

from __future__ import annotations

import heapq
import multiprocessing
import random
import resource
import sys
import time
from multiprocessing.pool import Pool
from typing import NamedTuple

import xxhash

from mathsynth.allocation import Allocator, Outcome, Policy, rows_wanted
from mathsynth.stages.sample import OPEN_PER_SLOT

PROBLEMS = 20_000
CAP, PILOT = 512, 8
ALPHA, BETA = 0.6, 0.55


class Case(NamedTuple):
    """One line of the table."""

    policy: Policy
    k: int
    slots: int
    problems: int = PROBLEMS
    budget: int | None = None


class Result(NamedTuple):
    """What a case cost and gave."""

    samples: int
    waste: float
    starved: float
    busy: float
    tokens: int
    rows: list[int]
    solved: float
    peak_open: int
    mib: float
    cost: float
    tail_cost: float


def pass_rates(problems: int) -> list[float]:
    """The same for every case."""
    rng = random.Random(1)
    return [rng.betavariate(ALPHA, BETA) for _ in range(problems)]


def draw(number: int, sample: int, rate: float) -> tuple[bool, int]:
    """Whether that sample is right, and its tokens."""
    digest = xxhash.xxh3_64_intdigest(b"%d.%d" % (number, sample))
    return (digest & 0xFFFFFFFF) < rate * 2**32, int(200 * (3 - 2 * rate) * (0.5 + (digest >> 32) / 2**32))


def hindsight(case: Case, number: int, rate: float, target: int | None) -> int:
    """Samples that a problem takes if none is asked in vain; `target` as the policy set it."""
    if target is None:
        return case.k
    corrects = wrong = 0
    while corrects < (rows_wanted(case.k, wrong) if case.policy == "adaptive" else target) and corrects + wrong < CAP:
        right, _ = draw(number, corrects + wrong, rate)
        corrects, wrong = corrects + right, wrong + (not right)
    return max(corrects + wrong, PILOT if case.policy == "prop2diff" else 0)


class Timed(Allocator):
    """An allocator that knows how long its calls took."""

    seconds = 0.0

    def next(self) -> tuple[int, int] | None:
        before = time.perf_counter()
        job = super().next()
        self.seconds += time.perf_counter() - before
        return job

    def record(self, number: int, sample: int, outcome: Outcome, tokens: int = 0) -> None:
        before = time.perf_counter()
        super().record(number, sample, outcome, tokens)
        self.seconds += time.perf_counter() - before


def simulate(case: Case) -> Result:
    """Run one case to its end, holding as many problems as the stage `sample` would."""
    rates = pass_rates(case.problems)
    order = sorted(range(case.problems), key=rates.__getitem__)
    tenth = {number: place * 10 // case.problems for place, number in enumerate(order)}
    latency = random.Random(2)
    start_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    window = OPEN_PER_SLOT * case.slots
    allocator = Timed(case.policy, k=case.k, max_trials=CAP, pilot=PILOT, token_budget=case.budget, window=window)
    under_way: list[tuple[float, int, int]] = []
    ended: set[int] = set()
    rows = [0] * 10
    added = written = samples = least = solved = peak_open = tail_replies = 0
    clock = filled = starved = busy = tail_seconds = 0.0

    def next_job() -> tuple[int, int] | None:
        nonlocal added, tail_seconds
        while (job := allocator.next()) is None and not allocator.spent:
            if added - written >= allocator.window:
                return None
            if added == case.problems:
                allocator.close()
                return allocator.next()
            added += 1
            allocator.add()
            if added == case.problems:
                tail_seconds = allocator.seconds
        return job

    while True:
        while len(under_way) < case.slots and (job := next_job()) is not None:
            samples += 1
            heapq.heappush(under_way, (clock + latency.lognormvariate(0, 0.6), *job))
        if not under_way:
            break
        passed, slots_busy = under_way[0][0] - clock, len(under_way)
        busy += slots_busy * passed
        if added < case.problems and not allocator.spent:
            filled += passed
            starved += passed * (slots_busy < 0.95 * case.slots)
        tail_replies += added == case.problems
        peak_open = max(peak_open, allocator.open)
        clock, number, sample = heapq.heappop(under_way)
        right, tokens = draw(number, sample, rates[number])
        allocator.record(number, sample, "correct" if right else "wrong", tokens)
        for trials in allocator.finished():
            kept = min(trials.corrects, trials.target or case.k)
            rows[tenth[trials.number]] += kept
            solved += kept > 0
            ended.add(trials.number)
            rate = rates[trials.number]
            least += trials.settled if case.budget else hindsight(case, trials.number, rate, trials.target)
        while written in ended:
            ended.remove(written)
            written += 1
    return Result(
        samples,
        waste=samples / least,
        starved=starved / filled if filled else 0.0,
        busy=busy / (clock * case.slots),
        tokens=allocator.tokens,
        rows=rows,
        solved=solved / case.problems,
        peak_open=peak_open,
        mib=(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - start_kib) / 1024,
        cost=allocator.seconds / samples * 1e6,
        tail_cost=(allocator.seconds - tail_seconds) / tail_replies * 1e6 if tail_replies else 0.0,
    )


def table(cases: list[Case], pool: Pool) -> list[Result]:
    """Run the cases one after the other, each in a fresh process, and print a line for each."""
    results = []
    for case, result in zip(cases, pool.imap(simulate, cases), strict=True):
        name = f"{case.policy} k={case.k}" + (f" {case.budget / 1e6:.0f}M tokens" if case.budget else "")
        hard = sum(result.rows[:3])
        print(
            f"{name:26}{case.slots:>6}{case.problems:>7}{result.samples:>9}{result.waste:>7.3f}"
            f"{result.starved:>8.1%}{result.busy:>7.1%}{result.tokens / 1e6:>7.0f}{result.solved:>7.1%}"
            f"{sum(result.rows):>8}{hard / result.tokens * 1e6:>6.1f}{result.peak_open:>7}{result.mib:>6.1f}"
            f"{result.cost:>6.1f}{result.tail_cost:>6.1f}  {' '.join(f'{n:>5}' for n in result.rows)}",
            flush=True,
        )
        results.append(result)
    return results


def main() -> None:
    """Print the table."""
    problems = int(sys.argv[1]) if len(sys.argv) > 1 else PROBLEMS
    rates = pass_rates(problems)
    tried = {n: sum(1 - (1 - rate) ** n for rate in rates) / problems for n in (100, 1000)}
    forty = sum(min(2048, 40 / rate) for rate in rates) / problems * 15_000
    print(
        f"{problems} problems, mean pass rate {sum(rates) / problems:.2f}; solved in 100 tries {tried[100]:.1%} (DART "
        f"> 90 %), in 1,000 {tried[1000]:.1%} (> 99 %); 40 correct of 15,000: {forty / 1e6:.1f}M samples (5M); "
        f"at most {CAP} samples each"
    )
    print(
        f"{'policy':26}{'slots':>6}{'list':>7}{'samples':>9}{'waste':>7}{'starved':>8}{'busy':>7}{'Mtok':>7}{'solved':>7}"
        f"{'rows':>8}{'hard':>6}{'open':>7}{'MiB':>6}{'us':>6}{'tail':>6}  rows by tenth, hardest first"
    )
    with multiprocessing.get_context("fork").Pool(1, maxtasksperchild=1) as pool:
        policies: list[tuple[Policy, int]] = [("fixed", 4), ("uniform", 4), ("prop2diff", 8), ("adaptive", 8)]
        results = table([Case(policy, k, slots, problems) for slots in (256, 2048) for policy, k in policies], pool)
        table([Case("uniform", 4, 256, problems // 4)], pool)
        for share in (0.15, 0.4):
            budget = int(results[1].tokens * share)
            table([Case(policy, 4, 256, problems, budget) for policy in ("uniform", "prop2diff", "adaptive")], pool)


if __name__ == "__main__":
    main()
