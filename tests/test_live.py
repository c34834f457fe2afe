"""A live run seen and steered from another shell: status, pause, resume, concurrency; and one that ended."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from command_line import ms, write_project
from fault_server import Served, fault_server
from mathsynth.backends.base import ModelConfig, Reply, Request, Sampling
from mathsynth.calls import Caller
from mathsynth.commands.display import line
from mathsynth.commands.status import look
from mathsynth.errors import BackendError
from mathsynth.journal import Journal
from mathsynth.live import CONTROL, STATUS, Control, Live, Status, Stop, read, write
from mathsynth.lock import hold
from mathsynth.progress import Meter, Silent
from mock_replies import arithmetic
from runs import Done, finish, generate_here, question, rows, start, step, write_recipe

PROBLEMS = 60


class Running:
    """A run in a thread of this process."""

    def __init__(self, recipe: Path, run: Path, server: Served, stop: Stop) -> None:
        self.run, self.server, self.stop = run, server, stop
        self.done: Done | None = None
        self.thread = threading.Thread(target=self._generate, args=(recipe,), daemon=True)
        self.thread.start()

    def _generate(self, recipe: Path) -> None:
        self.done = generate_here(recipe, self.run, self.server.url, stop=self.stop, command="mathsynth generate it")

    def end(self) -> Done:
        self.thread.join(30)
        assert self.done is not None, "the run did not end"
        return self.done


@contextmanager
def running(folder: Path, latency: float = 0.03, problems: int = PROBLEMS) -> Iterator[Running]:
    """A run under way that has had some answers."""
    with fault_server(latency=latency) as server:
        here = Running(write_recipe(folder, problems), folder / "run", server, Stop())
        try:
            wait(lambda: server.finished.total() > 10)
            yield here
        finally:
            here.stop.reason = here.stop.reason or "the test is over"
            here.end()


def wait(moment: Callable[[], bool]) -> None:
    until = time.monotonic() + 20
    while not moment():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.005)


def seen(run: Path) -> dict[str, Any]:
    done = ms("status", run, "--json")
    assert done.code == 0, done.err
    found: dict[str, Any] = json.loads(done.out)
    return found


def train(run: Path) -> list[dict[str, Any]]:
    return rows(step(run, "export") / "train.jsonl")


# --- a live run ------------------------------------------------------------------------------------------------------


def test_a_paused_run_sends_nothing_and_goes_on_to_the_same_rows(tmp_path: Path) -> None:
    with running(tmp_path / "one") as here:
        paused = ms("pause", here.run)
        assert (paused.code, paused.out) == (0, "")
        assert paused.err.startswith(f"{here.run}: paused, ")
        wait(lambda: here.server.in_flight == 0)
        asked = here.server.asked.total()
        found = ms("status", here.run).out
        assert f"{here.run}: paused, process {os.getpid()} on {platform.node()}, since 20" in found
        assert "now: sample (2 of 3): " in found
        assert f"/{PROBLEMS} | paused | " in found
        time.sleep(0.4)  # longer than a tick
        assert here.server.asked.total() == asked
        assert here.done is None
        resumed = ms("resume", here.run)
        assert (resumed.code, ": running, " in resumed.err) == (0, True)
        assert here.end().code == 0
        assert max(here.server.asked.values()) == 1
    with fault_server() as server:
        assert generate_here(write_recipe(tmp_path / "two", PROBLEMS), tmp_path / "two" / "run", server.url).code == 0
    assert train(here.run) == train(tmp_path / "two" / "run")


@pytest.mark.slow
def test_concurrency_changes_downwards_and_upwards_while_it_runs(tmp_path: Path) -> None:
    # Forty at once of so long are 260 a second, which both ends of this process can do.
    with running(tmp_path, latency=0.15, problems=300) as here:
        fewer = ms("concurrency", here.run, "teacher", 2)
        assert (fewer.code, "at most teacher 2" in fewer.err) == (0, True)
        wait(lambda: here.server.in_flight <= 2)
        here.server.most_in_flight = 0
        before = here.server.finished.total()
        wait(lambda: here.server.finished.total() > before + 10)
        assert here.server.most_in_flight == 2
        assert ms("concurrency", here.run, "teacher", 40).code == 0
        wait(lambda: here.server.most_in_flight == 40)
        assert seen(here.run)["status"]["in_flight"] == {"teacher": 40}
        before = here.server.finished.total()
        wait(lambda: here.server.finished.total() > before + 50)
        assert here.server.most_in_flight == 40
        wrong = ms("concurrency", here.run, "tacher", 3)
        assert (wrong.code, wrong.err.count("\n")) == (2, 1)
        assert "unknown model 'tacher'; did you mean 'teacher'?" in wrong.err


def test_a_paused_run_can_be_stopped_and_begins_anew_without_the_pause(tmp_path: Path) -> None:
    with running(tmp_path) as here:
        assert ms("pause", here.run).code == 0
        here.stop.reason = "stopped by SIGTERM"
        began = time.monotonic()
        assert here.end().code == 3
        assert time.monotonic() - began < 5
        found = ms("status", here.run).out
        assert found.startswith(f"{here.run}: stopped, stopped by SIGTERM, 20")
        assert "no process runs it\n" in found
        assert "\n  then: sample (2 of 3): " in found
        assert f"\n  done: input {PROBLEMS} rows\n" in found
        assert (
            "next: `mathsynth generate it` goes on with sample (2 of 3); no reply that is here is asked again" in found
        )
        refused = ms("pause", here.run)
        assert (refused.code, refused.err.count("\n")) == (1, 1)
        assert "no process runs it, so there is nothing to pause" in refused.err
        assert generate_here(tmp_path / "recipe.yaml", here.run, here.server.url).code == 0
        assert max(here.server.asked.values()) == 1


@pytest.mark.slow
def test_the_status_of_a_killed_run_says_so(tmp_path: Path) -> None:
    with fault_server(latency=0.05) as server:
        process = start(write_recipe(tmp_path, PROBLEMS), tmp_path / "run", server.url)
        wait(lambda: server.finished.total() > 20 and (tmp_path / "run" / STATUS).exists())
        live = seen(tmp_path / "run")
        assert (live["state"], live["holder"]) == ("running", f"process {process.pid} on {platform.node()}")
        assert live["status"]["now"]["step"] == "sample"
        process.send_signal(signal.SIGKILL)
        finish(process)
    found = seen(tmp_path / "run")
    assert (found["state"], found["next"]) == ("killed", "sample (2 of 3)")
    there = str(step(tmp_path / "run", "input"))
    assert found["done"] == [{"step": "input", "kept": PROBLEMS, "directory": there}]
    assert f"\n  the last: {there}\n" in ms("status", tmp_path / "run").out
    assert "next: `mathsynth generate " in ms("status", tmp_path / "run").out


# --- a run that ended -------------------------------------------------------------------------------------------------


def test_a_finished_run_has_nothing_to_do_and_one_cut_by_until_has(tmp_path: Path) -> None:
    recipe, run = write_project(tmp_path / "sums"), tmp_path / "run"
    assert ms("generate", recipe, "-o", run, "--until", "sample").code == 0
    found = ms("status", run).out
    assert found.startswith(f"{run}: finished, 20")
    assert "has nothing to do; without --until it goes on with verify (4 of 6)" in found
    assert ms("generate", recipe, "-o", run).code == 0
    found = ms("status", run).out
    assert "done: input 4, seed-expand 8, sample " in found
    assert found.endswith(f"next: `mathsynth generate {recipe} -o {run}` has nothing to do\n")
    (run / STATUS).unlink()
    assert "the same command has nothing to do" in ms("status", run).out


def test_a_failed_run_says_why(tmp_path: Path) -> None:
    recipe, run = write_project(tmp_path / "sums", retries=0), tmp_path / "run"
    (tmp_path / "sums" / "teacher.py").write_text(
        "from mathsynth.errors import BackendError\n"
        "def reply(request):\n    raise BackendError('the cat bit the cable', fatal=True)\n"
    )
    assert ms("generate", recipe, "-o", run).code == 1
    found = ms("status", run).out
    assert f"{run}: failed, the cat bit the cable, 20" in found
    assert "goes on with seed-expand (2 of 6)" in found


def test_a_stage_that_runs_as_a_command_has_a_status_and_keeps_its_lock(tmp_path: Path) -> None:
    recipe = write_project(tmp_path / "sums")
    assert ms("input", tmp_path / "sums" / "seeds.jsonl", "-o", tmp_path / "in").code == 0
    command = ("sample", tmp_path / "in", "-o", tmp_path / "out", "-r", recipe)
    assert ms(*command).code == 0
    assert f"{tmp_path / 'out'}: finished, 20" in ms("status", tmp_path / "out").out
    with hold(tmp_path / "out"):
        assert look(tmp_path / "out").state == "starting"
        second = ms(*command, "--fresh")
    assert (second.code, "is writing this run" in second.err) == (1, True)


def test_what_another_process_wrote_is_not_taken_for_the_one_that_runs(tmp_path: Path) -> None:
    with hold(tmp_path):
        with Live(tmp_path, Silent(), "", {"teacher": 3}) as live:
            live.update(Meter("sample", 2, 3))
            assert look(tmp_path).state == "running"
            other = read(tmp_path / STATUS, Status)
            assert other is not None
            write(tmp_path / STATUS, other.model_copy(update={"host": "elsewhere"}))
            assert (look(tmp_path).state, look(tmp_path).status) == ("starting", None)
            write(tmp_path / STATUS, other.model_copy(update={"updated": "2026-01-01T00:00:00+00:00"}))
            assert "days old" in ms("status", tmp_path).out or "h " in ms("status", tmp_path).out


def test_a_torn_or_foreign_control_file_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mathsynth.live.CONTROL_EVERY_S", 0.0)
    with Live(tmp_path, Silent(), "", {"teacher": 3}) as live:
        write(tmp_path / CONTROL, Control(paused=True))
        assert live.control().paused
        for text in ('{"paused": fal', "[]", ""):
            (tmp_path / CONTROL).write_text(text)
            assert live.control().paused
        (tmp_path / CONTROL).unlink()
        assert live.control().paused


# --- the numbers -----------------------------------------------------------------------------------------------------


def test_a_pause_counts_for_no_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr("mathsynth.progress.time.monotonic", lambda: clock[0])
    meter = Meter("sample", 2, 3, total=10, done=5, completion_tokens=500, limit=8, answered=1, started=100.0)
    clock[0] = 110.0
    meter.pause(True)
    meter.pause(True)
    clock[0] = 1110.0
    assert (meter.seconds, meter.now().seconds_left) == (10, 10)
    assert line(meter.now()) == "sample (2 of 3): 5/10 | paused | 1 reply | in flight 0/8 | 50 tok/s | 10 s left"
    meter.pause(False)
    clock[0] = 1115.0
    assert meter.seconds == 15
    assert line(Meter("sample", done=3).now()) == "sample: 3"


def test_the_line_says_what_moves_and_no_time_before_it_can_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mathsynth.progress.time.monotonic", lambda: 110.0)
    first = Meter("verify", total=77, done=1, started=100.0)
    assert line(first.now()) == "verify: 1/77"  # ten seconds, most of them to start the workers
    assert line(Meter("verify", total=77, done=11, started=100.0).now()) == "verify: 11/77 | 60 s left"
    late = Meter("sample", total=18, ahead=17, answered=60, in_flight=3, limit=16, started=100.0)
    assert line(late.now()).startswith("sample: 17/18 | 60 replies | in flight 3/16 | ")
    late.done, late.ahead = 18, 0
    assert line(late.now()).endswith("| surplus samples end")


def test_problems_that_end_before_an_earlier_one_are_shown_as_done(tmp_path: Path) -> None:
    class Shown(Silent):
        seen: list[tuple[int, int]] = []  # noqa: RUF012

        def update(self, meter: Meter) -> None:
            if meter.step == "sample":
                self.seen.append((meter.now().done, meter.done))

    def reply(body: dict[str, Any]) -> str:  # the first problem takes all its trials
        return arithmetic(body, int(body["seed"]), 0.0 if question(0) in str(body["messages"]) else 1.0, {})

    shown = Shown()
    with fault_server(reply=reply, latency=0.02) as server:
        assert generate_here(write_recipe(tmp_path, 12), tmp_path / "run", server.url, display=shown).code == 0
    told = [done for done, _ in shown.seen]
    assert told == sorted(told) and shown.seen[-1] == (12, 12)
    assert any(done > 3 and written == 0 for done, written in shown.seen)


class Flaky:
    """Fails once, then answers."""

    def __init__(self) -> None:
        self.asked = 0

    async def complete(self, request: Request, n: int = 1) -> list[Reply]:
        self.asked += 1
        if self.asked == 1:
            raise BackendError("down", retryable=True, unreachable=True)
        return [Reply(text="yes", finish_reason="stop")]

    async def probe(self) -> str:
        return ""

    async def aclose(self) -> None:
        pass


def test_a_retry_waits_for_the_end_of_a_pause(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mathsynth.calls.BACKOFF_FIRST_S", 0.01)
    backend = Flaky()
    config = ModelConfig(backend="scripted", model="m", max_in_flight=1)

    async def run() -> None:
        caller = Caller(config, lambda *_: backend, Journal(tmp_path), Meter("test"), lambda: False)
        asking = asyncio.create_task(caller.complete(Request("m", (), Sampling())))
        while not backend.asked:
            await asyncio.sleep(0)
        caller.gate.set(1, held=True)
        await asyncio.sleep(0.3)
        assert backend.asked == 1
        caller.gate.set(1, held=False)
        assert (await asking).text == "yes"

    asyncio.run(run())
    assert backend.asked == 2
