"""The killable workers: deadlines, memory, threads, event loops, signals, and what is left when the parent dies."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from mathsynth.verifier import Checker, Policy, check

ROOT = Path(__file__).parents[1]
ENDLESS = r"\sum_{n=1}^{3000}\sum_{m=1}^{3000} \frac{1}{n^2+m^3}"
TRIG = (r"\sin 2x", r"2\sin x\cos x")


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def worker_pids(checker):
    return [worker.process.pid for worker in checker._all]


def test_a_comparison_that_never_ends_is_undecided_at_its_deadline_and_the_next_one_works():
    with Checker(Policy(deadline_s=0.5)) as checker:
        assert checker.check_now(TRIG[0], answer=TRIG[1]).outcome == "correct"
        (first,) = worker_pids(checker)
        start = time.monotonic()
        verdict = checker.check_now("1", answer=ENDLESS)
        assert (verdict.outcome, verdict.rule) == ("undecided", "timeout")
        assert time.monotonic() - start < 2
        assert not alive(first)
        assert checker.check_now(TRIG[0], answer=r"\sin x\cos x").outcome == "wrong"


def test_the_memory_of_a_worker_is_bounded():
    with Checker(Policy(deadline_s=5, memory_mb=128)) as checker:
        assert checker.check_now(TRIG[0], answer=TRIG[1]).outcome == "correct"
        (pid,) = worker_pids(checker)
        limits = Path(f"/proc/{pid}/limits").read_text()
        assert f"{128 << 20}" in limits
    assert not alive(pid)


def test_a_worker_that_is_killed_from_outside_is_replaced():
    with Checker() as checker:
        checker.check_now(TRIG[0], answer=TRIG[1])
        (pid,) = worker_pids(checker)
        os.kill(pid, signal.SIGKILL)
        assert checker.check_now(r"\cos 2x", answer=r"1-2\sin^2 x").outcome == "correct"
        assert worker_pids(checker) != [pid]


def test_verdicts_are_remembered():
    with Checker(Policy(deadline_s=0.5)) as checker:
        checker.check_now("1", answer=ENDLESS)
        start = time.monotonic()
        assert checker.check_now("1", answer=ENDLESS).rule == "timeout"
        assert time.monotonic() - start < 0.1
        assert not checker._all


def test_many_threads_share_one_worker():
    results = []
    with Checker() as checker:

        def ask(k):
            results.append(checker.check_now(rf"\sin {k}x", answer=rf"\sin({k}x)+0\cdot\cos x").outcome)
            results.append(
                checker.check_now(
                    rf"\tan {k}x+x", answer=rf"x+\frac{{\sin {k}x}}{{\cos {k}x}}\cdot(\sin^2 x+\cos^2 x)"
                ).outcome
            )

        threads = [threading.Thread(target=ask, args=(k,)) for k in range(2, 10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(checker._all) == 1
    assert results == ["correct"] * 16


def test_the_event_loop_goes_on_while_a_worker_thinks():
    async def run():
        async with Checker(Policy(deadline_s=0.5), workers=1) as checker:
            slow = asyncio.create_task(checker.check("1", answer=ENDLESS))
            await asyncio.sleep(0)
            quick = await asyncio.wait_for(checker.check("1/2", response=r"So \boxed{0.5}."), timeout=0.3)
            assert not slow.done()
            return quick.outcome, (await slow).rule

    assert asyncio.run(run()) == ("correct", "timeout")


def test_answers_come_back_in_a_running_loop_for_many_at_once():
    async def run():
        async with Checker(workers=2) as checker:
            tasks = [checker.check(rf"\sin^2({k}x)", answer=rf"1-\cos^2({k}x)") for k in range(2, 12)]
            return [verdict.outcome for verdict in await asyncio.gather(*tasks)]

    assert asyncio.run(run()) == ["correct"] * 10


def test_closing_ends_the_workers():
    with Checker() as checker:
        checker.check_now(TRIG[0], answer=TRIG[1])
        (pid,) = worker_pids(checker)
        assert alive(pid)
    assert not alive(pid)
    assert checker.check_now(r"\sin 4x", answer=r"2\sin 2x\cos 2x").rule == "closed"


PARENT = f"""
import sys, time
sys.path.insert(0, {str(ROOT)!r})
from mathsynth.verifier import Checker, Policy
checker = Checker(Policy(deadline_s=0.5))
checker.check_now({TRIG[0]!r}, answer={TRIG[1]!r})
print(*[w.process.pid for w in checker._all], flush=True)
"""


def started(tail):
    process = subprocess.Popen(
        [sys.executable, "-c", PARENT + tail], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    return process, int(process.stdout.readline())


def gone_within(pid, seconds):
    until = time.monotonic() + seconds
    while alive(pid):
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


def test_an_idle_worker_ends_when_its_parent_is_killed():
    process, pid = started("time.sleep(60)")
    process.kill()
    process.communicate()
    assert gone_within(pid, 3)


@pytest.mark.slow
def test_a_busy_worker_ends_when_its_parent_is_killed():
    process, pid = started(
        f"checker._all.copy().pop().deadline = 60\nprint(1, flush=True)\nchecker.check_now('1', answer={ENDLESS!r})"
    )
    assert process.stdout.readline() == "1\n"
    until = time.monotonic() + 3
    while Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "R" and time.monotonic() < until:
        time.sleep(0.01)
    process.kill()
    process.communicate()
    assert gone_within(pid, 4)


def test_a_control_c_meant_for_the_parent_leaves_the_worker_at_work():
    with Checker() as checker:
        checker.check_now(TRIG[0], answer=TRIG[1])
        (pid,) = worker_pids(checker)
        assert os.getpgid(pid) != os.getpgid(0)
        os.kill(pid, signal.SIGINT)
        assert checker.check_now(r"\cos 2x", answer=r"1-2\sin^2 x").outcome == "correct"
        assert worker_pids(checker) == [pid]


def test_a_worker_is_recycled(monkeypatch):
    monkeypatch.setattr("mathsynth.verifier.worker.RECYCLE_AFTER", 2)
    with Checker() as checker:
        seen = set()
        for k in range(2, 6):
            assert checker.check_now(rf"\sin^2({k}x)", answer=rf"1-\cos^2({k}x)").outcome == "correct"
            seen.update(worker_pids(checker))
        assert not any(alive(pid) for pid in seen)
        assert len(checker._all) == 0


def test_the_fast_path_loads_neither_sympy_nor_mpmath():
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "from mathsynth.verifier import check\n"
        "assert check('1/2', response='So \\\\boxed{0.5}').outcome == 'correct'\n"
        "assert check('2\\\\sqrt{3}', answer='\\\\sqrt{12}').outcome == 'correct'\n"
        "assert check('x^2-1', answer='(x-1)(x+1)').outcome == 'correct'\n"
        "assert check('(2,5)', answer='2<x<5').outcome == 'correct'\n"
        "print(*(name for name in ('sympy', 'mpmath', 'antlr4', 'numpy') if name in sys.modules))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == ""


@pytest.mark.parametrize(
    "answer",
    [ENDLESS, "9^{9^{9^{9}}}", r"\sin(10^{10^{10}})", "(" * 5000 + "1", r"x^{10^9}", r"(x+y+z+w)^{60}", "1e999999999"],
)
def test_the_fast_path_itself_is_short(answer):
    start = time.thread_time()
    check("1", answer=answer)
    check(r"\frac{x}{y}", answer=answer)
    assert time.thread_time() - start < 1
