"""The allocator: targets, caps, budgets, and that timing changes nothing (methods.md 1, must show 1 to 4)."""

import heapq
import math
import random
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mathsynth.allocation import CORRECT, UNDER_WAY, Allocator, rows_wanted
from mathsynth.verifier.vote import samples_missing

POLICIES = ["fixed", "uniform", "prop2diff", "adaptive"]


def simulate(
    policy, k, rates, *, slots, seed=0, max_trials=64, pilot=4, budget=None, window=None, watch=None, faults=0, most=0
):
    """Finished trials by problem, and samples issued, with random latencies drawn from `seed`.

    Takes problems as the stage does: in order, and no more than `window` from the oldest that is not written.
    """
    latency = random.Random(seed)
    allocator = Allocator(policy, k=k, max_trials=max_trials, pilot=pilot, token_budget=budget, window=window)
    allocator.most_tokens = most
    under_way, finished, issued, clock, added, written = [], {}, 0, 0.0, 0, 0
    while True:
        while len(under_way) < slots:
            job = allocator.next()
            if job is None and not (allocator.spent or allocator.waits):
                if added - written >= allocator.window:
                    break
                if added < len(rates):
                    added = allocator.add() + 1
                    continue
                allocator.close()
                job = allocator.next()
            if job is None:
                break
            issued += 1
            heapq.heappush(under_way, (clock + latency.lognormvariate(0, 0.7), job))
        if watch:
            watch(allocator, len(under_way), added)
        if not under_way:
            return finished | {trials.number: trials for trials in allocator.finished()}, issued, allocator
        clock, (number, sample) = heapq.heappop(under_way)
        allocator.record(number, sample, outcome(rates[number], number, sample, faults), tokens=10)
        finished |= {trials.number: trials for trials in allocator.finished()}
        while written in finished:
            written += 1


def outcome(rate, number, sample, faults=0):
    rng = random.Random(f"{number}.{sample}")
    if rng.random() < faults:
        return rng.choice(["undecided", "failed"])
    return "correct" if rng.random() < rate else "wrong"


def view(finished):
    return {n: (t.settled, t.corrects, t.target, t.reason, tuple(t.outcomes[: t.settled])) for n, t in finished.items()}


RATES = [random.Random(i).random() ** 2 for i in range(300)]


@pytest.mark.parametrize(("policy", "k"), [("fixed", 5), ("uniform", 3), ("prop2diff", 12), ("adaptive", 12)])
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
            assert t.outcomes[t.settled - 1] == CORRECT
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


def test_a_problem_whose_calls_all_failed_does_not_set_the_largest_fail_rate():
    allocator = Allocator("prop2diff", k=8, max_trials=50, pilot=2)
    jobs = [job for _ in range(2) if allocator.add() >= 0 for job in (allocator.next(), allocator.next())]
    for job, result in zip(jobs, ["failed", "failed", "correct", "wrong"], strict=True):
        allocator.record(*job, result)
    allocator.close()
    assert allocator.max_fail == 0.5
    assert [t.target for t in allocator._open.values()] == [8, 8]


@pytest.mark.parametrize("k", [1, 4, 16, 40])
def test_adaptive_wants_rows_in_proportion_to_what_is_known_of_the_fail_rate(k):
    wanted = [rows_wanted(k, wrong) for wrong in range(200)]
    assert wanted == sorted(wanted)
    assert 1 <= wanted[0] <= math.ceil(math.sqrt(k))
    assert wanted[-1] >= 0.85 * k
    for wrong, rows in enumerate(wanted):
        enough = [x for x in range(1, k + 1) if x >= k * (wrong + 0.5) / (x + wrong + 1) - 1e-9]
        assert rows == enough[0]


def test_adaptive_takes_few_rows_of_easy_problems_and_ends_hopeless_ones_at_the_cap():
    finished, _, _ = simulate("adaptive", 16, [1.0, 0.9, 0.1, 0.0], slots=4, max_trials=400)
    assert finished[0].corrects == 3
    assert finished[2].corrects > 8
    assert finished[3].corrects == 0
    assert finished[3].reason == "cap"
    assert finished[3].settled == 400


def test_adaptive_covers_more_and_keeps_more_hard_rows_than_uniform_for_the_same_tokens():
    budget, hard = 20_000, [n for n, rate in enumerate(RATES) if rate < 0.2]
    uniform, adaptive = (
        simulate(p, k, RATES, slots=16, budget=budget)[0] for p, k in (("uniform", 4), ("adaptive", 4))
    )
    solved = [sum(t.corrects > 0 for t in finished.values()) for finished in (uniform, adaptive)]
    rows = [sum(finished[n].corrects for n in hard if n in finished) for finished in (uniform, adaptive)]
    assert solved[1] > solved[0]
    assert rows[1] > 1.1 * rows[0]


def test_a_budget_that_does_not_bind_changes_no_result_of_adaptive():
    runs = [
        view(simulate("adaptive", 9, RATES, slots=slots, seed=slots, budget=budget, window=window)[0])
        for slots, budget, window in ((1, None, None), (30, 10**9, None), (64, None, 100), (5, 10**9, None))
    ]
    assert runs[0] == runs[1] == runs[2] == runs[3]


def test_under_a_budget_timing_moves_few_samples_of_adaptive_and_no_target():
    runs = [simulate("adaptive", 6, RATES, slots=s, seed=s, budget=30_000)[0] for s in (1, 16)]
    moved = sum(abs(runs[0][n].settled - runs[1][n].settled) for n in range(len(RATES)))
    assert moved <= 0.05 * sum(t.settled for t in runs[0].values())
    for n in range(len(RATES)):
        if runs[0][n].reason == runs[1][n].reason == "target":
            assert runs[0][n].corrects == runs[1][n].corrects


@pytest.mark.parametrize(("policy", "k"), [("uniform", 4), ("prop2diff", 12), ("adaptive", 12)])
def test_little_is_wasted_and_slots_are_never_idle_before_the_tail(policy, k):
    rates, idle = RATES * 4, []

    def watch(allocator, busy, added):
        idle.append(added < len(rates) and busy < 64)

    finished, issued, _ = simulate(policy, k, rates, slots=64, watch=watch)
    assert issued / sum(t.settled for t in finished.values()) <= 1.03
    assert not any(idle)


def test_a_full_window_is_spent_on_the_problems_that_block_it_and_changes_no_result():
    rates = [0.0, 0.001, 0.02] + [0.9] * 1000
    idle = []

    def watch(allocator, busy, added):
        idle.append(added < len(rates) and busy < 8)

    free, narrow = (
        simulate("uniform", 1, rates, slots=8, max_trials=1500, window=window, watch=watch) for window in (None, 100)
    )
    assert view(free[0]) == view(narrow[0])
    assert sum(idle) / len(idle) < 0.05


@pytest.mark.parametrize("policy", ["fixed", "uniform", "adaptive"])
def test_memory_follows_the_window_not_the_problems_that_are_finished(policy):
    sizes = []

    def watch(allocator, busy, added):
        sizes.append(sum(map(len, (allocator._open, allocator._queue, allocator._spare, allocator._finished))))

    simulate(policy, 3, RATES * 6, slots=16, window=64, watch=watch)
    assert max(sizes) <= 4 * 64 + 64 + 64 + 64
    assert sizes[-1] <= 64


def test_adaptive_asks_every_problem_once_before_any_twice_and_reads_the_list_as_it_goes():
    open_, twice = [], []

    def watch(allocator, busy, added):
        open_.append(allocator.open)
        twice.append(added < 200 and any(len(t.outcomes) > 1 for t in allocator._open.values()))

    simulate("adaptive", 4, RATES, slots=16, budget=10**9, watch=watch)
    assert open_[0] == 16
    assert not any(twice)


def test_ranking_keeps_its_queue_short():
    longest = []
    simulate("adaptive", 9, RATES, slots=16, budget=10**9, watch=lambda a, *_: longest.append(len(a._queue)))
    assert max(longest) <= 4 * len(RATES) + 64


@pytest.mark.parametrize("policy", POLICIES)
def test_a_spent_budget_ends_every_problem_in_order(policy):
    finished, issued, allocator = simulate(policy, 3, RATES, slots=8, budget=1000)
    assert allocator.spent
    assert 96 <= issued <= 104
    assert allocator.open == 0
    assert all(t.reason in ("target", "cap", "budget") for t in finished.values())
    assert [t.reason for t in finished.values()].count("budget") <= (len(RATES) if policy == "adaptive" else 8)


@pytest.mark.parametrize("policy", POLICIES)
def test_a_budget_is_kept_though_all_slots_are_empty_at_first(policy):
    # Samples of 10 tokens that might have cost 40: three of these are paid for in any case.
    _, issued, allocator = simulate(policy, 8, RATES, slots=64, budget=120, most=40)
    assert 12 <= issued <= 14
    assert allocator.open == 0


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("budget", [None, 10**6])
def test_votes_get_their_samples_whatever_the_policy(policy, budget):
    allocator = Allocator(policy, k=1, max_trials=9, pilot=1, token_budget=budget)
    allocator.add(samples=4)
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


@settings(max_examples=150, deadline=None)
@given(
    policy=st.sampled_from(POLICIES),
    k=st.integers(1, 9),
    cap=st.integers(1, 12),
    pilot=st.integers(1, 5),
    rates=st.lists(st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0]), max_size=12),
    slots=st.integers(1, 20),
    window=st.none() | st.integers(1, 6),
    budget=st.none() | st.integers(1, 600),
    faults=st.sampled_from([0, 0.3]),
    seed=st.integers(0, 5),
)
def test_every_policy_ends_within_its_caps_whatever_the_timing(
    policy, k, cap, pilot, rates, slots, window, budget, faults, seed
):
    fixed = {"max_trials": cap, "pilot": pilot, "faults": faults}
    finished, issued, allocator = simulate(
        policy, k, rates, slots=slots, seed=seed, window=window, budget=budget, **fixed
    )
    assert allocator.open == 0
    assert sorted(finished) == list(range(len(finished)))
    limit = k if policy == "fixed" else cap
    for t in finished.values():
        assert len(t.outcomes) <= limit
        assert t.outcomes
        assert UNDER_WAY not in t.outcomes[: t.settled]
        assert t.target is None or t.target <= k
        assert policy not in ("uniform", "adaptive") or t.corrects <= t.target
        assert t.reason != "target" or t.corrects >= t.target
    assert issued == sum(len(t.outcomes) for t in finished.values())
    assert not budget or issued * 10 < budget + 10 * slots + 10
    if not allocator.spent:
        assert len(finished) == len(rates)
        assert view(finished) == view(simulate(policy, k, rates, slots=1, **fixed)[0])


@pytest.mark.parametrize("policy", ["uniform", "prop2diff", "adaptive"])
def test_a_problem_may_need_more_correct_samples_than_the_policy_wants(policy):
    allocator = Allocator(policy, k=1, max_trials=9, pilot=1)
    allocator.add(least=3)
    allocator.close()
    while (job := allocator.next()) is not None:
        allocator.record(*job, "correct")
    assert [(t.settled, t.corrects, t.reason) for t in allocator.finished()] == [(3, 3, "target")]


def elect(shares, *, slots, seed, policy="uniform", samples=8, budget=None, window=None):
    """Votes whose answers follow from (problem, sample): settled samples and answers by problem, and samples issued."""
    latency = random.Random(seed)
    allocator = Allocator(policy, k=2, max_trials=9, pilot=2, token_budget=budget, window=window)
    answers, under_way, finished, issued, clock, added = {}, [], {}, 0, 0.0, 0

    def missing(number, settled):
        counted = [answers[number, sample] for sample in range(settled)]
        return samples_missing(counted, samples, min_share=0.5, min_votes=3, rows=2, same=lambda a, b: a == b)

    while True:
        while len(under_way) < slots:
            if (job := allocator.next()) is None:
                if added < len(shares) and not allocator.spent and added - len(finished) < allocator.window:
                    added = allocator.add(samples=samples, missing=partial(missing, added)) + 1
                    continue
                if added == len(shares):
                    allocator.close()
                if (job := allocator.next()) is None:
                    break
            issued += 1
            heapq.heappush(under_way, (clock + latency.lognormvariate(0, 0.7), job))
        if not under_way:
            return finished, issued
        clock, (number, sample) = heapq.heappop(under_way)
        rng = random.Random(f"{number}.{sample}")
        answers[number, sample] = "1" if rng.random() < shares[number] else rng.choice(["2", "3", "4", None])
        allocator.record(number, sample, "undecided", tokens=10)
        for t in allocator.finished():
            finished[t.number] = (t.settled, t.reason, [answers[t.number, s] for s in range(t.settled)])


@settings(max_examples=60, deadline=None)
@given(
    policy=st.sampled_from(POLICIES),
    shares=st.lists(st.sampled_from([0.0, 0.3, 0.6, 0.9, 1.0]), min_size=1, max_size=12),
    slots=st.integers(1, 40),
    window=st.none() | st.integers(1, 6),
    seed=st.integers(0, 99),
)
def test_where_a_vote_ends_follows_its_samples_not_their_arrival(policy, shares, slots, window, seed):
    one, most = elect(shares, slots=1, seed=0)[0], elect(shares, slots=slots, seed=seed, policy=policy, window=window)
    assert most[0] == one
    assert len(one) == len(shares)
    assert all(reason == ("decided" if settled < 8 else reason) for settled, reason, _ in one.values())


def test_votes_end_early_and_waste_little():
    finished, issued = elect([0.9] * 200 + [0.1] * 50, slots=16, seed=1)
    settled = [count for count, _, _ in finished.values()]
    assert sum(settled) < 0.8 * 8 * 250
    assert issued <= 1.03 * sum(settled)
    assert min(settled[:200]) == 5
