"""The allocator: targets, caps, budgets, and that timing changes nothing (methods.md 1, must show 1 to 4)."""

import heapq
import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mathsynth.allocation import Allocator


def simulate(policy, k, rates, *, slots, seed=0, max_trials=64, pilot=4, budget=None, late=False):
    """Finished trials by problem, and samples issued, with random latencies drawn from `seed`."""
    latency = random.Random(seed)
    allocator = Allocator(policy, k=k, max_trials=max_trials, pilot=pilot, token_budget=budget)
    todo, under_way, finished, issued, clock = iter(range(len(rates))), [], {}, 0, 0.0
    while True:
        while len(under_way) < slots:
            job = allocator.next()
            if job is None and not allocator.spent:
                if next(todo, None) is not None:
                    allocator.add()
                    continue
                allocator.close()
                job = allocator.next()
            if job is None:
                break
            issued += 1
            heapq.heappush(under_way, (clock + latency.lognormvariate(0, 0.7), job))
        if not under_way:
            return finished, issued, allocator
        clock, (number, sample) = heapq.heappop(under_way)
        allocator.record(number, sample, outcome(rates[number], number, sample), tokens=10)
        finished |= {trials.number: trials for trials in allocator.finished()}


def outcome(rate, number, sample):
    return "correct" if random.Random(f"{number}.{sample}").random() < rate else "wrong"


def view(finished):
    return {n: (t.settled, t.corrects, t.target, t.reason, tuple(t.outcomes[: t.settled])) for n, t in finished.items()}


RATES = [random.Random(i).random() ** 2 for i in range(300)]


@pytest.mark.parametrize(("policy", "k"), [("fixed", 5), ("uniform", 3), ("prop2diff", 12)])
def test_timing_and_slots_change_nothing(policy, k):
    runs = [view(simulate(policy, k, RATES, slots=slots, seed=seed)[0]) for slots, seed in ((1, 0), (7, 1), (64, 2))]
    assert runs[0] == runs[1] == runs[2]
    assert len(runs[0]) == len(RATES)


def test_fixed_asks_exactly_k_of_each():
    finished, issued, _ = simulate("fixed", 5, RATES, slots=16)
    assert issued == 5 * len(RATES)
    assert all(t.settled == 5 for t in finished.values())


def test_uniform_stops_at_exactly_k_correct_or_at_the_cap():
    finished, _, _ = simulate("uniform", 3, RATES, slots=16, max_trials=20)
    for t in finished.values():
        if t.reason == "target":
            assert t.corrects == 3
            assert t.outcomes[t.settled - 1] == "correct"
        else:
            assert t.reason == "cap"
            assert t.settled == 20
            assert t.corrects < 3


def test_prop2diff_targets_are_proportional_to_difficulty_and_cover_easy_problems():
    rates = [1.0, 1.0, 0.75, 0.5, 0.25, 0.6]
    finished, _, _ = simulate("prop2diff", 8, rates, slots=4, pilot=8, max_trials=400)
    hardest = max(t.fail_rate for t in finished.values())
    for t in finished.values():
        assert t.target == max(1, math.ceil(8 * t.fail_rate / hardest - 1e-9))
        assert t.corrects >= t.target
    assert finished[0].target == 1
    assert max(t.target for t in finished.values()) == 8


def test_prop2diff_when_every_problem_is_easy_keeps_one_of_each():
    finished, issued, _ = simulate("prop2diff", 8, [1.0] * 5, slots=4, pilot=3)
    assert [t.target for t in finished.values()] == [1] * 5
    assert issued == 15


@pytest.mark.parametrize(("policy", "k"), [("uniform", 4), ("prop2diff", 12)])
def test_little_is_wasted_and_slots_are_never_idle_before_the_tail(policy, k):
    finished, issued, _ = simulate(policy, k, RATES * 4, slots=64)
    assert issued / sum(t.settled for t in finished.values()) <= 1.03


def test_a_spent_budget_ends_every_problem_in_order():
    finished, issued, allocator = simulate("uniform", 3, RATES, slots=8, budget=1000)
    assert allocator.spent
    assert issued <= 100 + 8
    assert allocator.open == 0
    assert all(t.reason in ("target", "cap", "budget") for t in finished.values())


def test_votes_get_their_samples_whatever_the_policy():
    allocator = Allocator("uniform", k=1, max_trials=9, pilot=1)
    allocator.add(samples=4)
    allocator.close()
    jobs = [allocator.next() for _ in range(5)]
    assert jobs == [(0, 0), (0, 1), (0, 2), (0, 3), None]
    for _, sample in jobs[:4]:
        allocator.record(0, sample, "correct")
    assert [t.settled for t in allocator.finished()] == [4]


def test_failed_and_undecided_samples_use_up_trials_but_are_no_failure_of_the_model():
    allocator = Allocator("prop2diff", k=6, max_trials=8, pilot=4)
    allocator.add()
    for sample, result in enumerate(["correct", "undecided", "failed", "wrong"]):
        assert allocator.next() == (0, sample)
        allocator.record(0, sample, result)
    allocator.close()
    assert allocator._open[0].fail_rate == 0.5


@settings(max_examples=60, deadline=None)
@given(
    policy=st.sampled_from(["fixed", "uniform", "prop2diff"]),
    k=st.integers(1, 9),
    cap=st.integers(1, 12),
    pilot=st.integers(1, 5),
    rates=st.lists(st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0]), max_size=12),
    slots=st.integers(1, 20),
    seed=st.integers(0, 5),
)
def test_every_problem_ends_and_no_cap_is_passed(policy, k, cap, pilot, rates, slots, seed):
    finished, issued, allocator = simulate(policy, k, rates, slots=slots, seed=seed, max_trials=cap, pilot=pilot)
    assert sorted(finished) == list(range(len(rates)))
    assert allocator.open == 0
    limit = k if policy == "fixed" else cap
    assert all(len(t.outcomes) <= limit and None not in t.outcomes[: t.settled] for t in finished.values())
    assert issued == sum(len(t.outcomes) for t in finished.values())
