"""Nothing is lost, nothing is done twice: kills, signals, a second process, damage, a full disk, a changed recipe."""

from __future__ import annotations

import asyncio
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from fault_server import Served, fault_server
from mathsynth.context import Context
from mathsynth.executors import local
from mathsynth.journal import spent
from mathsynth.live import Stop
from mathsynth.report.numbers import gather
from mathsynth.shards import read_manifest
from runs import (
    EVERY_STEP,
    IN_FLIGHT,
    SAMPLE_ONLY,
    finish,
    generate,
    generate_here,
    replies,
    result,
    rows,
    start,
    step,
    unaccounted,
    write_recipe,
)

KILLS = 20


def wait_until(process: subprocess.Popen[str], moment: Callable[[], bool]) -> bool:
    """Whether the moment came before the process ended."""
    until = time.monotonic() + 60
    while process.poll() is None:
        if moment():
            return True
        assert time.monotonic() < until
        time.sleep(0.001)
    return False


def differing(one: dict[str, bytes], other: dict[str, bytes]) -> list[str]:
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_kill_9_at_20_random_moments_changes_no_byte(tmp_path: Path) -> None:
    recipe, whole, killed = write_recipe(tmp_path, 50, EVERY_STEP), tmp_path / "one" / "run", tmp_path / "two" / "run"
    with fault_server(latency=0.03, jitter=0.03) as server:
        assert generate(recipe, whole, server.url).code == 0
        total = server.asked.total()
        server.asked.clear()
        server.finished.clear()
        kills = 0
        for moment in moments(server, killed, random.Random(20), total):
            process = start(recipe, killed, server.url)
            if wait_until(process, moment):
                process.kill()
                kills += 1
            finish(process)
        done = generate(recipe, killed, server.url)
        asked_again = sum(count - 1 for count in server.finished.values())
    assert done.code == 0, done.err
    assert "Traceback" not in done.err
    assert kills >= KILLS
    assert differing(result(whole), result(killed)) == []
    assert asked_again <= kills * IN_FLIGHT
    assert unaccounted(killed) == set()
    assert not list(killed.rglob(".*.tmp"))


def moments(server: Served, run: Path, rng: random.Random, total: int) -> Iterator[Callable[[], bool]]:
    """20 that depend on what the server has answered, and some between, when a step without a model has begun."""

    def begun(number: int) -> bool:
        return any(run.glob(f"{number:02d}-*/key.json"))

    yield lambda: begun(0)
    for answers in sorted(rng.sample(range(1, total), KILLS)):
        yield lambda at=answers: server.finished.total() >= at  # type: ignore[misc]
    for number in (4, 5, 6):
        yield lambda at=number: begun(at)  # type: ignore[misc]


@pytest.fixture
def server() -> Iterator[Served]:
    with fault_server(latency=0.02) as served:
        yield served


@pytest.mark.slow
def test_the_tokens_that_a_killed_process_got_are_not_divided_by_the_time_of_the_next(
    tmp_path: Path, server: Served
) -> None:
    recipe, run = write_recipe(tmp_path, 60), tmp_path / "run"
    process = start(recipe, run, server.url)
    assert wait_until(process, lambda: server.finished.total() >= 60)
    process.kill()
    finish(process)
    of_the_killed = spent(run)["01-sample"].completion
    assert generate_here(recipe, run, server.url).code == 0
    manifest = read_manifest(step(run, "sample"))
    assert manifest is not None
    use, stage = manifest.models["teacher"], gather(run).stages[1]
    assert use.completion_tokens == stage.spent.completion == of_the_killed + use.timed
    assert of_the_killed > 0 < use.timed
    assert stage.tokens_per_second == use.timed / use.seconds


def test_ctrl_c_says_how_to_go_on_and_loses_nothing(tmp_path: Path, server: Served) -> None:
    recipe, run = write_recipe(tmp_path, 60), tmp_path / "one" / "run"
    process = start(recipe, run, server.url)
    assert wait_until(process, lambda: server.finished.total() >= 40)
    process.send_signal(signal.SIGINT)
    done = finish(process, 10)
    assert done.code == 130
    assert done.err.count("\n") == 1
    assert "the same command goes on" in done.err
    assert replies(run) >= 40 - IN_FLIGHT
    goes_on(recipe, run, server, asked_again=IN_FLIGHT)


def test_an_order_to_stop_the_loop_that_ctrl_c_left_behind_does_not_break_the_end(tmp_path: Path) -> None:
    ctx = Context(stage="any", directory=tmp_path, replies=tmp_path / "replies")
    left = ctx._loop.create_task(asyncio.sleep(60))
    ctx._loop.call_soon(ctx._loop.stop)
    ctx.close()
    assert left.cancelled()


def test_sigterm_finishes_what_is_under_way_and_the_same_command_goes_on(tmp_path: Path) -> None:
    recipe, run = write_recipe(tmp_path, 40), tmp_path / "one" / "run"
    with fault_server(latency=0.3) as server:
        process = start(recipe, run, server.url)
        assert wait_until(process, lambda: server.finished.total() >= 10 and server.in_flight > 4)
        process.terminate()
        done = finish(process, 10)
        assert done.code == 3
        assert done.err == "stopped by SIGTERM; the same command goes on\n"
        assert replies(run) == server.finished.total() == server.asked.total()
    with fault_server() as fast:
        assert generate_here(recipe, run, fast.url).code == 0
        assert not set(fast.finished) & set(server.finished)
        assert unaccounted(run) == set()


@pytest.mark.parametrize("stage", ["input", "dedupe", "export"])
def test_steps_without_a_model_stop_in_order_too(
    tmp_path: Path, server: Served, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    recipe, run, stop = write_recipe(tmp_path, 5, EVERY_STEP), tmp_path / "run", Stop()
    reading = local._Ledger.reading

    def told_in_the_middle(ledger: Any, records: Any, ctx: Any) -> Iterator[Any]:
        for number, record in enumerate(reading(ledger, records, ctx)):
            if ctx.stage == stage and number == 1:
                stop.reason = "stopped by SIGTERM"
            yield record

    monkeypatch.setattr(local._Ledger, "reading", told_in_the_middle)
    if stage == "input":
        stop.reason = "stopped by SIGTERM"
    done = generate_here(recipe, run, server.url, stop=stop)
    assert (done.code, done.err) == (3, "stopped by SIGTERM")
    monkeypatch.undo()
    goes_on(recipe, run, server)


@pytest.mark.slow
def test_a_second_sigterm_ends_at_once(tmp_path: Path) -> None:
    recipe, run = write_recipe(tmp_path, 10), tmp_path / "one" / "run"
    with fault_server(latency=60) as server:
        process = start(recipe, run, server.url, ["models.teacher.timeout_s=60"])
        assert wait_until(process, lambda: server.in_flight > 0)
        begin = time.monotonic()
        while process.poll() is None and time.monotonic() - begin < 10:
            process.terminate()  # two that come at once count as one, so more may be needed on a busy machine
            time.sleep(0.2)
        done = finish(process, 1)
    assert done.code in (143, -15)  # the handler, or the default once Python shuts down
    assert "Traceback" not in done.err


def goes_on(recipe: Path, run: Path, server: Served, asked_again: int = 0) -> None:
    """The same command completes the run; so many requests at most were answered a second time."""
    done = generate_here(recipe, run, server.url)
    assert done.code == 0, done.err
    assert sum(count - 1 for count in server.finished.values()) <= asked_again
    assert unaccounted(run) == set()


def test_a_second_process_is_refused_by_name(tmp_path: Path) -> None:
    recipe, run = write_recipe(tmp_path), tmp_path / "one" / "run"
    with fault_server(latency=20) as server:
        first = start(recipe, run, server.url)
        assert wait_until(first, lambda: server.in_flight > 0)
        second = generate_here(recipe, run, server.url)
        first.kill()
        finish(first)
    assert second.code == 1
    assert f"process {first.pid} on " in second.err
    assert second.err.count("\n") == 0


def test_a_torn_last_reply_is_asked_again_and_no_other(tmp_path: Path, server: Served) -> None:
    steps = SAMPLE_ONLY.replace("uniform", "fixed")
    recipe, run = write_recipe(tmp_path, steps=steps), tmp_path / "run"
    assert generate_here(recipe, run, server.url, until="sample").code == 0
    whole, asked = result(run), server.asked.total()
    reopen(run, "sample")
    journal = next((run / "replies").rglob("00000.jsonl"))
    journal.write_bytes(journal.read_bytes()[:-30])
    assert generate_here(recipe, run, server.url, until="sample").code == 0
    assert server.asked.total() == asked + 1
    assert differing(result(run), whole) == []


def reopen(run: Path, name: str) -> None:
    """As a kill leaves a step: no manifest, its journal plain."""
    (step(run, name) / "manifest.json").unlink()
    for packed in (run / "replies").rglob("*.jsonl.zst"):
        packed.with_suffix("").write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows(packed)))
        packed.unlink()


def test_a_broken_line_inside_a_journal_is_named(tmp_path: Path, server: Served) -> None:
    recipe, run = write_recipe(tmp_path), tmp_path / "run"
    assert generate_here(recipe, run, server.url).code == 0
    reopen(run, "sample")
    journal = next((run / "replies").rglob("00000.jsonl"))
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([lines[0], b"{half\n", *lines[2:]]))
    done = generate_here(recipe, run, server.url)
    assert done.code == 1
    assert f"{journal}:2: not a reply" in done.last


def test_an_edited_file_of_a_finished_step_is_named_and_refused(tmp_path: Path, server: Served) -> None:
    recipe, run = write_recipe(tmp_path), tmp_path / "run"
    assert generate_here(recipe, run, server.url).code == 0
    for name in ("00000.jsonl", "dropped.jsonl", "problems.jsonl"):
        path = step(run, "sample") / name
        content = path.read_bytes()
        path.write_bytes(content.replace(b"red beans", b"RED beans") + b"\n")
        done = generate_here(recipe, run, server.url)
        assert done.code == 1
        assert f"{path}: edited after it was written" in done.err
        path.write_bytes(content)
    assert generate_here(recipe, run, server.url).code == 0


def test_a_directory_of_someone_else_is_left_alone(tmp_path: Path, server: Served) -> None:
    recipe, run = write_recipe(tmp_path), tmp_path / "run"
    run.mkdir()
    (run / "thesis.tex").write_text("years of work")
    assert generate_here(recipe, run, server.url, fresh=True).code == 2
    assert [path.name for path in run.iterdir()] == ["thesis.tex"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", disk], capture_output=True).returncode:
        pytest.skip("no permission to mount a small disk")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


@pytest.mark.slow
@pytest.mark.parametrize("filled", [0, 110, 200, 248, 256])
def test_a_full_disk_stops_the_run_and_more_room_lets_it_go_on(
    tmp_path: Path, small_disk: Path, server: Served, filled: int
) -> None:
    recipe, run = write_recipe(tmp_path, 60, EVERY_STEP), small_disk / "one" / "run"
    whole = tmp_path / "whole" / "run"
    if filled:
        (small_disk / "ballast").write_bytes(b"x" * (filled << 10))
    done = generate(recipe, run, server.url)
    assert done.code == 1
    assert done.err.count("\n") == 1, done.err
    assert "No space left" in done.err
    assert "the same command" in done.err
    before = set(server.finished)
    (small_disk / "ballast").unlink(missing_ok=True)
    subprocess.run(["mount", "-o", "remount,size=20m", small_disk], check=True)
    again = generate(recipe, run, server.url)
    assert again.code == 0, again.err
    asked_again = sum(count - 1 for key, count in server.finished.items() if key in before)
    assert asked_again <= IN_FLIGHT
    assert generate(recipe, whole, server.url).code == 0
    assert differing(result(whole), result(run)) == []
