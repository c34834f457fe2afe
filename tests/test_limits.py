"""How fast a model is asked: the limit is found, one burst is one cut, rests and rates hold for the whole model."""

from __future__ import annotations

import asyncio
import itertools
import statistics
import time
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from fault_server import MODEL, Served, fault_server
from mathsynth.backends import openai as backend
from mathsynth.backends.base import Reply, Request, Sampling, chat_body
from mathsynth.calls import Caller
from mathsynth.context import GRADING_JOBS, Context
from mathsynth.errors import Stopped
from mathsynth.journal import Journal
from mathsynth.limits import SLACK_S, Gate, InFlight, Pace, always
from mathsynth.progress import Meter
from mathsynth.records import Usage


def requests(count: int) -> list[Request]:
    return [
        Request(MODEL, ({"role": "user", "content": f"What is {k} + 4?"},), Sampling(), seed=k) for k in range(count)
    ]


def ask(server: Served, directory: Path, count: int, **config: Any) -> tuple[Caller, list[int]]:
    """Ask so many requests, all at once as far as the caller lets them go; it, and its limit at each reply."""
    limits: list[int] = []

    async def work() -> tuple[Caller, list[int]]:
        made = backend.Config(backend="openai", model=MODEL, base_url=server.url, **{"timeout_s": 5, **config})
        journal = Journal(directory)
        caller = Caller(made, backend.connect, journal, Meter("test"), lambda: False)
        try:

            async def one(request: Request) -> Reply:
                reply = await caller.complete(request)
                limits.append(caller.gate.limit)
                return reply

            replies = await asyncio.gather(*map(one, requests(count)))
            assert all(isinstance(reply, Reply) for reply in replies)
            return caller, limits
        finally:
            await caller.aclose()
            journal.close()

    return asyncio.run(work())


async def enter(gate: Gate) -> int:
    return await gate.enter(10, 100, bool)


def gaps(server: Served) -> list[float]:
    """Seconds between one request that came and the next."""
    return [later - sooner for (sooner, _), (later, _) in itertools.pairwise(server.came)]


def most_within(server: Served, seconds: float) -> int:
    """How many requests came within so many seconds, at most; the first ones wait for the client to be loaded."""
    times = [at for at, _ in server.came[3:]]
    return max(sum(first <= at <= first + seconds for at in times) for first in times)


@pytest.mark.parametrize(
    ("given", "meant"), [(7, always(7)), ("7", always(7)), ("4-32-512", InFlight(4, 32, 512)), ("3-3-3", always(3))]
)
def test_in_flight_is_a_number_or_three(given: Any, meant: InFlight) -> None:
    config = backend.Config(backend="openai", model=MODEL, max_in_flight=given)
    assert config.max_in_flight == meant
    assert "max_in_flight" not in config.model_dump(mode="json")


@pytest.mark.parametrize("given", [0, -1, True, 2.5, "", "4-2-8", "0-1-2", "4-8", "many", None])
def test_in_flight_that_means_nothing_is_refused(given: Any) -> None:
    with pytest.raises(ValidationError, match="a number of requests, or min-start-max such as 4-32-512"):
        backend.Config(backend="openai", model=MODEL, max_in_flight=given)


def test_the_gate_doubles_then_is_cut_once_a_burst_and_grows_slowly_where_it_was_cut() -> None:
    async def work() -> None:
        gate = Gate(InFlight(2, 8, 256))
        for wanted in (8, 16, 32, 64):
            assert gate.limit == wanted
            tickets = [await enter(gate) for _ in range(wanted)]
            for ticket in tickets:
                gate.answered(ticket, Usage())
                if wanted != 64:
                    gate.leave(ticket)
        # 64 are under way, of which the server refuses 24: one cut, whatever the number.
        for ticket in tickets[:24]:
            gate.refused(ticket)
            assert gate.limit == 32
            gate.leave(ticket)
        for ticket in tickets[24:]:
            gate.answered(ticket, Usage())
            assert gate.limit == 32, "answers from before the cut say nothing of the limit after it"
            gate.leave(ticket)
        limits = []
        for _ in range(7):
            for ticket in [await enter(gate) for _ in range(gate.limit)]:
                gate.answered(ticket, Usage())
                gate.leave(ticket)
            limits.append(gate.limit)
        assert limits[0] in (35, 36), "fast up to 7/8 of the 40 that were borne"
        assert limits == sorted(limits) and limits[-1] <= 42, "then one a round"

    asyncio.run(work())


def test_server_errors_pause_growth_and_cut_nothing() -> None:
    async def work() -> None:
        gate = Gate(InFlight(2, 8, 256))
        tickets = [await enter(gate) for _ in range(8)]
        gate.troubled()
        for ticket in tickets[1:]:
            gate.answered(ticket, Usage())
        assert gate.limit == 8
        gate.leave(tickets[0])
        gate.answered(await enter(gate), Usage())
        assert gate.limit == 9

    asyncio.run(work())


def test_a_queue_stops_growth_and_makes_it_slow_from_there() -> None:
    async def work() -> None:
        gate = Gate(InFlight(2, 8, 256))
        for waiting, limits in ((3, {8}), (3, {8}), (0, {8, 9}), (0, {9, 10})):
            gate.queued(waiting)
            for ticket in [await enter(gate) for _ in range(gate.limit)]:
                gate.answered(ticket, Usage())
                gate.leave(ticket)
            assert gate.limit in limits

    asyncio.run(work())


def test_whoever_waits_at_the_gate_sees_that_the_run_ends() -> None:
    async def work() -> None:
        gate, stop = Gate(always(1)), []
        ticket = await gate.enter(0, 1, lambda: stop)
        waiting = asyncio.create_task(gate.enter(0, 1, lambda: stop))
        await asyncio.sleep(0)
        stop.append("now")
        gate.leave(ticket)
        with pytest.raises(Stopped):
            await waiting

    asyncio.run(work())


@pytest.mark.slow
@pytest.mark.parametrize("start", [4, 96])
def test_the_limit_settles_near_what_the_server_bears_with_few_wasted_requests(
    tmp_path: Path, start: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mathsynth.calls.BACKOFF_FIRST_S", 0.1)
    with fault_server(most=24, latency=0.03, retry_after="") as server:
        _, limits = ask(server, tmp_path, 500, max_in_flight=f"2-{start}-512")
    assert max(server.finished.values()) == 1 and len(server.finished) == 500
    assert max(limits[250:]) <= 36
    assert 16 <= statistics.median(limits[250:]) <= 27
    # Those of the first bursts, then one for each time that the limit is felt for.
    assert server.met["429"] <= {4: 40, 96: 72 + 24 + 30}[start]


def test_the_jobs_that_are_open_follow_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mathsynth.calls.BACKOFF_FIRST_S", 0.1)
    wanted, finished, open_jobs = iter(requests(250)), 0, []
    with fault_server(most=12, latency=0.01, retry_after="") as server:
        config = backend.Config(backend="openai", model=MODEL, base_url=server.url, max_in_flight="2-4-256")
        ctx = Context(
            stage="t", directory=tmp_path, replies=tmp_path / "r", models={"m": config}, connect=backend.connect
        )
        taken = 0

        def next_job() -> Request | None:
            nonlocal taken
            limit = ctx.callers["m"].gate.limit if ctx.callers else 4
            open_jobs.append(taken - finished)
            assert taken - finished < limit + GRADING_JOBS
            if (request := next(wanted, None)) is not None:
                taken += 1
            return request

        for _ in ctx.pump(next_job, lambda request: ctx.complete("m", request)):
            finished += 1
        ctx.close()
    assert len(server.finished) == 250
    # Fast growth may reach twice what the server bears before the first refusal tells.
    assert 4 + GRADING_JOBS < max(open_jobs) <= 48 + GRADING_JOBS


def test_a_fixed_number_stays_and_a_429_uses_up_no_retry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mathsynth.calls.BACKOFF_FIRST_S", 0.02)
    with fault_server(most=4, latency=0.005, retry_after="") as server:
        _, limits = ask(server, tmp_path, 60, max_in_flight=8, retries=0)
    assert set(limits) == {8}
    assert server.met["429"] > 0


def test_a_retry_after_holds_the_whole_model_back(tmp_path: Path) -> None:
    with fault_server(faults=["429"], fault_every=30, retry_after="0.4", latency=0.01) as server:
        ask(server, tmp_path, 50, max_in_flight=4)
    assert server.met["429"] == 1
    late = [gap for gap in gaps(server) if gap > 0.2]
    assert len(late) == 1 and late[0] >= 0.35, "nobody asked before the rest was over"


def test_a_pace_spaces_evenly_and_saves_nothing_up() -> None:
    pace = Pace(60)
    assert pace.wait(100) <= 0
    pace.take(100, 1)
    assert pace.wait(100) == pytest.approx(1, abs=2 * SLACK_S)
    pace.take(101, 2)
    assert pace.wait(101) == pytest.approx(2, abs=2 * SLACK_S)
    pace.correct(-1.5)
    assert pace.wait(101) == pytest.approx(0.5, abs=2 * SLACK_S)
    pace.correct(-50)
    pace.take(200, 1)
    assert pace.wait(200) == pytest.approx(1, abs=2 * SLACK_S), "an idle minute is no credit"
    assert Pace(None).wait(0) == 0


def test_requests_a_minute_are_evenly_spaced(tmp_path: Path) -> None:
    with fault_server(latency=0.05) as server:
        ask(server, tmp_path, 20, requests_per_minute=1200)
    assert 0.95 * 0.05 <= statistics.mean(gaps(server)[3:]) <= 3 * 0.05
    assert most_within(server, 0.4) <= 8 + 4, "no burst, though a busy machine may deliver some together"


@pytest.mark.slow
def test_tokens_a_minute_are_charged_by_estimate_and_then_corrected(tmp_path: Path) -> None:
    with fault_server(latency=0.01) as server:
        caller, _ = ask(server, tmp_path, 50, tokens_per_minute=60_000)
    # A thousand a second. The first is thought to cost all of max_tokens, a second; its reply gives that back.
    each = (caller.use.prompt_tokens + caller.use.completion_tokens) / 50 / 1000
    assert 0.9 * each <= statistics.mean(gaps(server)[3:]) <= 3 * each
    assert most_within(server, 0.4) <= 0.4 / each + 8


def test_a_queue_in_the_server_stops_growth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mathsynth.calls.QUEUE_EVERY_S", 0.02)
    with fault_server(slots=16, latency=0.03) as server:
        _, limits = ask(server, tmp_path, 400, max_in_flight="4-8-512")
    assert 12 <= limits[-1] <= 64
    assert server.most_in_flight <= 64
    assert not server.met


def test_the_queue_of_servers_that_do_not_tell_is_not_known(tmp_path: Path) -> None:
    async def queue(*urls: str) -> int | None:
        client = backend.connect(backend.Config(backend="openai", model=MODEL, base_url=urls))
        try:
            return await client.queue()
        finally:
            await client.aclose()

    with fault_server() as silent, fault_server(slots=1) as telling:
        assert asyncio.run(queue(silent.url)) is None
        assert asyncio.run(queue("http://127.0.0.1:9/v1")) is None
        assert asyncio.run(queue(silent.url, telling.url)) == 0


def test_null_in_extra_body_removes_a_field() -> None:
    extra = {"max_tokens": None, "max_completion_tokens": 9, "top_k": 0}
    request = requests(1)[0]
    body = chat_body(Request(MODEL, request.messages, Sampling(extra_body=extra)))
    assert "max_tokens" not in body
    assert (body["max_completion_tokens"], body["top_k"], body["temperature"]) == (9, 0, 0.7)


def test_a_gate_costs_little() -> None:
    async def work() -> float:
        gate = Gate(InFlight(4, 32, 512), 1e9, 1e12)
        begin = time.process_time()

        async def one() -> None:
            ticket = await enter(gate)
            await asyncio.sleep(0)
            gate.answered(ticket, Usage())
            gate.leave(ticket)

        await asyncio.gather(*(one() for _ in range(5_000)))
        return (time.process_time() - begin) / 5_000

    assert asyncio.run(work()) < 200e-6


def test_another_bound_counts_at_once_and_a_held_gate_lets_nobody_go() -> None:
    async def run() -> None:
        gate = Gate(always(1))
        tickets = [await gate.enter(1, 1, lambda: False)]
        waiting = [asyncio.create_task(gate.enter(1, 1, lambda: False)) for _ in range(3)]
        await asyncio.sleep(0)
        gate.set(3, held=True)
        await asyncio.sleep(0.01)
        assert (gate.limit, gate.under_way) == (3, 1)
        gate.set(3, held=False)
        await asyncio.sleep(0.01)
        assert gate.under_way == 3
        gate.set(1, held=False)
        tickets += [task.result() for task in waiting if task.done()]
        for ticket in tickets[:2]:
            gate.leave(ticket)
        await asyncio.sleep(0.01)
        assert gate.under_way == 1
        gate.leave(tickets[2])
        await asyncio.wait_for(asyncio.gather(*waiting), 1)
        assert gate.under_way == 1

    asyncio.run(run())


def test_a_bound_set_from_outside_is_the_most_of_an_adaptive_gate() -> None:
    gate = Gate(InFlight(4, 32, 512))
    gate.set(8, held=False)
    assert gate.limit == 8
    gate.set(1000, held=False)
    assert gate.limit == 8
