"""Batches: every request is submitted once, whatever fails or is killed at whatever moment; the rows are the same."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from batch_server import CALL_FAULTS
from fault_server import MODEL, Served, fault_server
from mathsynth import batchapi, batches
from mathsynth.backends import openai as backend
from mathsynth.backends.base import Reply, Request, Sampling
from mathsynth.calls import Caller
from mathsynth.context import Context
from mathsynth.errors import BackendError, Stopped
from mathsynth.journal import Journal
from mathsynth.progress import Meter
from mathsynth.wire import Wire
from runs import SAMPLE_ONLY, finish, generate_here, replies, result, start, write_recipe

FAST = {"linger_s": 0.02, "poll_s": 0.02}
BATCH = ("models.teacher.batch={linger_s: 0.02, poll_s: 0.02}", "models.teacher.max_in_flight=4-32-512")


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batchapi, "RETRY_FIRST_S", 0.01)
    monkeypatch.setattr(batches, "SETTLE_S", 0.05)
    monkeypatch.setattr("mathsynth.calls.BACKOFF_FIRST_S", 0.02)


@pytest.fixture
def server() -> Iterator[Served]:
    with fault_server() as served:
        yield served


def config(url: str, **more: Any) -> backend.Config:
    return backend.Config.model_validate(
        {"backend": "openai", "model": MODEL, "base_url": url, "timeout_s": 5, "batch": FAST} | more
    )


def requests(count: int) -> list[Request]:
    return [
        Request(MODEL, ({"role": "user", "content": f"What is {k} + 4?"},), Sampling(), seed=k) for k in range(count)
    ]


def ask(url: str, folder: Path, wanted: Sequence[Request], **more: Any) -> list[Reply | BaseException]:
    """One process's worth of calls, from connecting to closing."""

    async def work() -> list[Reply | BaseException]:
        journal = Journal(folder)
        made, meter = config(url, **more), Meter("test")
        caller = Caller(made, backend.connect, journal, meter, lambda: False, lambda said: said.replace("key", "***"))
        try:
            return await asyncio.gather(*map(caller.complete, wanted), return_exceptions=True)
        finally:
            await caller.aclose()
            journal.close()

    return asyncio.run(work())


def once(server: Served, count: int) -> bool:
    """Whether each of so many requests was submitted, none of them twice, and none live."""
    submitted = server.batches.submitted
    return len(submitted) == count and set(submitted.values()) == {1} and not server.asked


def states(folder: Path) -> list[Path]:
    return list(folder.rglob("batch-*.json"))


# --- what a batch is ---------------------------------------------------------------------------------------------


def test_the_rows_are_those_of_the_live_mode_and_nothing_is_left_behind(tmp_path: Path, server: Served) -> None:
    recipe = write_recipe(tmp_path, 10)
    assert generate_here(recipe, tmp_path / "live", server.url, until="sample").code == 0
    live = server.asked.total()
    server.asked.clear()
    done = generate_here(recipe, tmp_path / "run", server.url, BATCH, until="sample")
    assert done.code == 0, done.err
    assert not server.asked and set(server.batches.submitted.values()) == {1}
    assert server.batches.submitted.total() >= live
    assert len(server.batches.batches) <= 4  # a round each, where live mode would make one try at a time
    same = [name for name in result(tmp_path / "live") if name.startswith("01-") and "manifest" not in name]
    one, other = result(tmp_path / "live"), result(tmp_path / "run")
    assert len(same) == 5 and all(one[name] == other[name] for name in same)
    assert not states(tmp_path / "run")


def test_fixed_is_one_batch_of_all(tmp_path: Path, server: Served) -> None:
    recipe = write_recipe(tmp_path, 40, SAMPLE_ONLY.replace("uniform", "fixed"))
    assert generate_here(recipe, tmp_path / "run", server.url, BATCH).code == 0
    assert once(server, 80) and len(server.batches.batches) == 1


def test_a_full_batch_is_closed_by_requests_or_bytes(tmp_path: Path, server: Served) -> None:
    ask(server.url, tmp_path / "a", requests(10), batch=FAST | {"max_requests": 4})
    sizes = [batch["request_counts"]["total"] for batch in server.batches.batches]
    assert sizes == [4, 4, 2] and once(server, 10)
    ask(server.url, tmp_path / "b", requests(10), batch=FAST | {"max_mb": 0.001})
    sizes = [batch["request_counts"]["total"] for batch in server.batches.batches[3:]]
    assert sum(sizes) == 10 and max(sizes) == len(server.batches.files["file-6"].splitlines()) < 5
    assert all(len(server.batches.files[batch["input_file_id"]]) <= 1000 for batch in server.batches.batches[3:])


def test_a_batch_costs_half_and_binds_no_live_limit(server: Served) -> None:
    made = config(server.url, batch=True, price={"prompt": 3, "completion": 8}, requests_per_minute=5)
    assert (made.paid and made.paid.prompt, made.paid and made.paid.completion) == (1.5, 4)
    assert made.patient and made.requests_per_minute is None
    assert made.max_in_flight.start == made.max_in_flight.least == 50_000
    assert config(server.url, max_in_flight="4-32-512").max_in_flight.start == 50_000
    assert config(server.url, max_in_flight=7).max_in_flight.start == 7
    live = config(server.url, batch=False, price={"prompt": 3, "completion": 8})
    assert not live.patient and live.batch is None and live.paid == live.price
    assert config(server.url).model_dump(mode="json") == config("http://other/v1", batch=None).model_dump(mode="json")


def test_what_a_recipe_says_wrong_is_told(tmp_path: Path, server: Served) -> None:
    recipe = write_recipe(tmp_path)
    for wrong, said in (
        ("models.teacher.batch={max_request: 5}", "batch.max_request: unknown key"),
        ("models.teacher.batch=7", "batch: should be a mapping of keys"),
        ("models.teacher.base_url=[http://a/v1, http://b/v1]", "batch: needs a single base_url"),
    ):
        done = generate_here(recipe, tmp_path / "run", server.url, [*BATCH, wrong])
        assert done.code == 2 and said in done.err, done.err


def test_doctor_asks_whether_there_are_batches(tmp_path: Path, server: Served) -> None:
    ctx = Context(
        stage="t", directory=tmp_path, replies=tmp_path, models={"m": config(server.url)}, connect=backend.connect
    )
    try:
        assert ctx.probe("m").endswith("n supported, batches supported")
    finally:
        ctx.close()


@pytest.mark.slow
def test_a_budget_is_kept_though_replies_come_all_at_once(tmp_path: Path, server: Served) -> None:
    recipe, run = write_recipe(tmp_path, 60, SAMPLE_ONLY.replace("uniform", "fixed")), tmp_path / "run"
    sets = [*BATCH, "models.teacher.max_tokens=500", "models.teacher.price={prompt: 0, completion: 100000}"]
    done = generate_here(recipe, run, server.url, [*sets, "budget.tokens=3000", "budget.usd=1000"])
    assert (done.code, "budget.tokens=3,000 is spent" in done.err) == (3, True), done.err
    assert 2500 < server.tokens < 3500
    sizes = [batch["request_counts"]["total"] for batch in server.batches.batches]
    assert sizes[0] == 5  # of 500 tokens at most, and the question
    assert generate_here(recipe, run, server.url, [*sets, "budget.usd=1000"]).code == 0
    assert once(server, 120)


# --- faults ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", CALL_FAULTS)
def test_a_call_that_fails_submits_nothing_twice(tmp_path: Path, server: Served, fault: str) -> None:
    server.batches.faults = [fault]
    found = ask(server.url, tmp_path, requests(6))
    assert all(isinstance(reply, Reply) for reply in found), found
    assert server.batches.met[fault] == 1
    assert once(server, 6) and not states(tmp_path)


def test_a_list_of_many_pages_without_metadata_still_tells_ours(tmp_path: Path, server: Served) -> None:
    server.batches.metadata = False
    ask(server.url, tmp_path / "others", requests(30)[12:], batch=FAST | {"max_requests": 3})
    assert len(server.batches.batches) == 6
    server.batches.faults = ["create-500"] * 3
    ask(server.url, tmp_path / "ours", requests(12), batch=FAST | {"max_requests": 4})
    assert once(server, 30) and len(server.batches.batches) == 9


@pytest.mark.parametrize("fault", ["expired", "errors", "missing"])
def test_what_a_batch_did_not_answer_is_asked_again_and_no_more(tmp_path: Path, server: Served, fault: str) -> None:
    server.batches.faults = [fault]
    found = ask(server.url, tmp_path, requests(9))
    assert all(isinstance(reply, Reply) for reply in found), found
    assert sorted(server.batches.submitted.values()) == [1] * 4 + [2] * 5
    assert not states(tmp_path)


def test_a_refused_request_fails_alone(tmp_path: Path, server: Served) -> None:
    server.batches.faults = ["refusals"]
    found = ask(server.url, tmp_path, requests(9))
    refused = [error for error in found if isinstance(error, BackendError)]
    assert len(refused) == 5 and not any(error.fatal or error.retryable for error in refused)
    assert str(refused[0]).endswith("refused the request (HTTP 400: Too long.)")
    assert once(server, 9) and not states(tmp_path)


def test_a_batch_that_fails_as_a_whole_stops_the_run_with_the_reason(tmp_path: Path, server: Served) -> None:
    server.batches.faults = ["failed"]
    recipe, run = write_recipe(tmp_path), tmp_path / "run"
    done = generate_here(recipe, run, server.url, BATCH)
    assert done.code == 1 and done.last == f"{server.url} refused batch batch-0: This batch is failed."
    assert not states(run)
    assert generate_here(recipe, run, server.url, BATCH).code == 0


def test_a_full_queue_is_waited_for_but_not_for_ever(tmp_path: Path, server: Served) -> None:
    server.batches.faults = ["full", "full"]
    found = ask(server.url, tmp_path / "a", requests(3))
    assert all(isinstance(reply, Reply) for reply in found) and once(server, 3)
    server.batches.faults = ["full"] * 99
    (stopped,) = ask(server.url, tmp_path / "b", requests(4)[3:], give_up_after_s=0.1)
    assert isinstance(stopped, Stopped) and "no room for batch 1 of 1 requests (This batch is full of ***s.)" in str(
        stopped
    )
    server.batches.faults = []
    (reply,) = ask(server.url, tmp_path / "b", requests(4)[3:])
    assert isinstance(reply, Reply) and once(server, 4)


def test_a_batch_that_someone_cancelled_stops_the_run_and_keeps_what_it_brought(tmp_path: Path, server: Served) -> None:
    server.batches.faults = ["cancelled"]
    recipe, run = write_recipe(tmp_path, steps=SAMPLE_ONLY.replace("uniform", "fixed")), tmp_path / "run"
    done = generate_here(recipe, run, server.url, BATCH)
    assert (done.code, done.err) == (3, f"batch batch-0 was cancelled at {server.url}")
    assert replies(run) == 10 and not states(run)
    assert generate_here(recipe, run, server.url, BATCH).code == 0
    assert sorted(server.batches.submitted.values()) == [1] * 10 + [2] * 10


def test_a_server_that_answers_nobody_stops_the_run_and_a_wrong_key_ends_it(tmp_path: Path, server: Served) -> None:
    server.batches.faults = ["look-500"] * 50
    (stopped,) = ask(server.url, tmp_path, requests(1), give_up_after_s=0.1)
    assert isinstance(stopped, Stopped) and "mock-model: no answer for 0 s" in str(stopped)
    assert len(states(tmp_path)) == 1
    server.batches.faults = []
    server.batches.batches[0]["id"] = "gone"
    (lost,) = ask(server.url, tmp_path, requests(1))
    assert isinstance(lost, BackendError) and lost.fatal and str(states(tmp_path)[0]) in str(lost)
    server.batches.batches[0]["id"] = "batch-0"
    (reply,) = ask(server.url, tmp_path, requests(1))
    assert isinstance(reply, Reply) and once(server, 1)


def test_a_reply_that_is_of_no_use_is_no_reason_to_keep_the_batch(tmp_path: Path, server: Served) -> None:
    found = ask(server.url, tmp_path, requests(2), max_reply_chars=3)
    assert all(isinstance(error, BackendError) and error.tokens[1] > 0 for error in found)
    assert not states(tmp_path)


# --- kills -------------------------------------------------------------------------------------------------------


KILLED = 9


def dies_at(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process end before or after one act, with nothing run after it."""
    when, _, act = place.partition(" ")
    owner: Any = {"write_json": batches, "put": Journal, "unlink": Path}.get(act, Wire)
    number = int(when[-1]) if when[-1].isdigit() else 1
    real, calls = getattr(owner, act), 0

    async def then_end(made: Any) -> None:
        await made
        os._exit(KILLED)

    def one_that_ends(*args: Any, **named: Any) -> Any:
        nonlocal calls
        ours = act != "unlink" or args[0].name.startswith("batch-")
        calls += ours
        if not ours or calls != number:
            return real(*args, **named)
        if when.startswith("before"):
            os._exit(KILLED)
        made = real(*args, **named)
        if asyncio.iscoroutine(made):
            return then_end(made)
        os._exit(KILLED)

    monkeypatch.setattr(owner, act, one_that_ends)


def ask_and_die(server: Served, folder: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    """Five requests of a process that ends there."""
    if (child := os.fork()) == 0:
        dies_at(place, monkeypatch)
        try:
            ask(server.url, folder, requests(5))
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == KILLED


KILLS = [
    f"{when} {act}"
    for act in ("upload", "write_json", "post", "put", "unlink", "download")
    for when in ("before", "after")
] + ["before2 write_json", "after2 write_json", "after3 put", "before get", "after get"]


@pytest.mark.parametrize("place", KILLS)
def test_a_process_that_ends_at_any_act_submits_nothing_twice(
    tmp_path: Path, server: Served, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    ask_and_die(server, tmp_path, monkeypatch, place)
    found = ask(server.url, tmp_path, requests(6))  # one more, for a client that is not asked clears nothing up
    assert all(isinstance(reply, Reply) for reply in found), found
    assert once(server, 6) and not states(tmp_path)


def test_only_what_is_still_wanted_is_submitted_after_a_kill(
    tmp_path: Path, server: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask_and_die(server, tmp_path, monkeypatch, "before post")
    ask(server.url, tmp_path, requests(2))
    assert once(server, 2) and not states(tmp_path)


def test_what_a_batch_brought_can_be_asked_for_until_it_is_in_the_journal(
    tmp_path: Path, server: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask_and_die(server, tmp_path, monkeypatch, "before get")
    for asked in (2, 4):
        found = ask(server.url, tmp_path, requests(asked))
        assert all(isinstance(reply, Reply) for reply in found) and len(states(tmp_path)) == 1
    ask(server.url, tmp_path, requests(5))
    assert once(server, 5) and not states(tmp_path)


def away(server: Served, count: int = 1) -> Callable[[], bool]:
    return lambda: len(server.batches.batches) == count and server.batches.looks > 2


def wait_until(moment: Callable[[], bool]) -> None:
    until = time.monotonic() + 20
    while not moment():
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 3), (signal.SIGINT, 130)])
def test_a_stop_leaves_the_batches_to_the_provider_and_says_so(
    tmp_path: Path, server: Served, number: signal.Signals, code: int
) -> None:
    recipe, run = write_recipe(tmp_path, steps=SAMPLE_ONLY.replace("uniform", "fixed")), tmp_path / "run"
    server.batches.hold = True
    process = start(recipe, run, server.url, BATCH)
    wait_until(away(server))
    status = json.loads((run / ".status.json").read_text())["now"]
    begin = time.monotonic()
    process.send_signal(number)
    done = finish(process, 10)
    assert done.code == code and time.monotonic() - begin < 3
    first, last = done.err.splitlines()
    assert first == (
        f"batches under way at {server.url}: 1, with 20 requests; they go on there, and the same command picks them up"
    )
    assert last.endswith("the same command goes on")
    assert status["waiting"] in ("", "batch 1: 0 of 20 done, waiting 0 min")
    assert len(states(run)) == 1
    server.batches.hold = False
    assert generate_here(recipe, run, server.url, BATCH).code == 0
    assert once(server, 20) and not states(run)


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_kill_9_in_every_state_changes_no_row(tmp_path: Path) -> None:
    recipe, whole, run = write_recipe(tmp_path, 30), tmp_path / "whole", tmp_path / "run"
    with fault_server() as server:
        assert generate_here(recipe, whole, server.url, BATCH, until="sample").code == 0
        server.batches.submitted.clear()
        kills = 0
        for event in ("uploaded", "created", "ended", "downloaded", "replies") * 3:
            process = start(recipe, run, server.url, BATCH, ["--until", "sample"])
            before = server.batches.events[event] if event != "replies" else replies(run)
            while process.poll() is None:
                now = server.batches.events[event] if event != "replies" else replies(run)
                if now > before:
                    process.send_signal(signal.SIGKILL)
                    kills += 1
                    break
                time.sleep(0.001)
            finish(process)
        assert generate_here(recipe, run, server.url, BATCH, until="sample").code == 0
    assert kills >= 5
    assert set(server.batches.submitted.values()) == {1} and not server.asked
    assert result(run) == result(whole)
