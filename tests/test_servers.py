"""Servers that a run starts itself: they are there when needed, come back when they die, and none is left behind."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from fault_server import MODEL, fault_server, finished_twice
from mathsynth.commands.doctor import examine
from mathsynth.errors import UsageError
from mathsynth.progress import Meter
from mathsynth.recipe import read_recipe
from mathsynth.servers import Fleet, Serve, visible_gpus
from runs import Done, finish, generate_here, replies, rows, start, step, unaccounted, write_recipe

FAULT_SERVER = Path(__file__).with_name("fault_server.py")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mathsynth.servers.POLL_S", 0.02)
    monkeypatch.setattr("mathsynth.servers.BACKOFF_FIRST_S", 0.05)
    monkeypatch.setattr("mathsynth.calls.SERVERS_EVERY_S", 0.02)
    monkeypatch.setattr("mathsynth.context.TICK_S", 0.02)
    monkeypatch.setattr("mathsynth.calls.BACKOFF_FIRST_S", 0.02)


def command(directory: Path, *flags: str, before: str = "") -> str:
    """The mock server as the child of a shell, as many a server has children."""
    server = [sys.executable, str(FAULT_SERVER), "--log", str(directory / "served.jsonl"), *flags]
    return f"sh -c {shlex.quote(f'{before}{shlex.join(server)} --port $0; exit $?')} {{port}}"


def serving(directory: Path, problems: int = 12, **serve: Any) -> Path:
    """A recipe whose teacher is served by the run."""
    path = write_recipe(directory, problems)
    document = yaml.safe_load(path.read_text())
    document["models"]["teacher"]["serve"] = {"command": command(directory), "ready_path": "/v1/models", **serve}
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    return path


def servers(directory: Path) -> list[int]:
    """The servers of a test that run now, and their shells."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if str(directory / "served.jsonl").encode() in place.read_bytes():
                found.append(int(place.parent.name))
        except OSError:
            continue
    return sorted(found)


def wait_for(moment: Callable[[], Any], seconds: float = 30) -> None:
    until = time.monotonic() + seconds
    while not moment():
        assert time.monotonic() < until, "it did not come to this"
        time.sleep(0.02)


class Shown:
    """What the bar says it waits for."""

    def __init__(self) -> None:
        self.waiting: set[str] = set()

    def update(self, meter: Meter) -> None:
        self.waiting.add(meter.waiting)

    def end(self) -> None:
        pass


def train(run: Path) -> list[dict[str, Any]]:
    return rows(step(run, "export") / "train.jsonl")


def without_serving(directory: Path, problems: int = 12) -> list[dict[str, Any]]:
    run = directory / "clean" / "run"
    with fault_server() as server:
        assert (
            generate_here(write_recipe(directory / "clean", problems), directory / "clean" / "run", server.url).code
            == 0
        )
    return train(run)


def test_a_run_starts_its_servers_when_it_needs_them_and_leaves_none(tmp_path: Path, quick: None) -> None:
    recipe, run, shown = serving(tmp_path, replicas=2), tmp_path / "run", Shown()
    done = generate_here(recipe, run, None, display=shown)
    assert done.code == 0, done.err
    assert done.err == f"starting 2 servers of teacher; what they write is in {run / 'servers'}"
    assert any(text.startswith("starting 2 servers of teacher (") for text in shown.waiting)
    assert servers(tmp_path) == []
    logs = sorted((run / "servers").iterdir())
    assert [log.name for log in logs] == ["teacher-0.log", "teacher-1.log"]
    assert all("http://127.0.0.1:" in log.read_text() for log in logs)
    assert train(run) == without_serving(tmp_path)

    (step(run, "sample") / "manifest.json").unlink()
    again = generate_here(recipe, run, None)
    assert (again.code, again.err) == (0, ""), "all replies are there: nothing is started"


def test_a_server_that_does_not_start_is_one_line(tmp_path: Path, quick: None) -> None:
    script = "echo warming up; echo; echo there is no room >&2; exit 3"
    done = generate_here(serving(tmp_path, command=f"sh -c '{script}' {{port}}"), tmp_path / "run", None)
    assert done.code == 1
    assert done.last == (
        "server teacher-0 ended before it was ready, exit code 3; servers/teacher-0.log says: "
        "warming up | there is no room"
    )


def test_of_many_errors_in_a_log_the_first_and_the_last_are_told(tmp_path: Path, quick: None) -> None:
    script = "echo ok; echo [1] ValueError: no memory; echo at line 7; echo RuntimeError: engine failed; exit 1"
    done = generate_here(serving(tmp_path, command=f"sh -c '{script}' {{port}}"), tmp_path / "run", None)
    assert done.last.endswith("teacher-0.log says: ValueError: no memory | RuntimeError: engine failed")


def test_a_server_that_never_gets_ready_is_killed(tmp_path: Path, quick: None) -> None:
    recipe = serving(tmp_path, command=command(tmp_path, before="sleep 60; "), start_timeout_s=0.2)
    done = generate_here(recipe, tmp_path / "run", None)
    assert (done.code, servers(tmp_path)) == (1, [])
    assert "server teacher-0 is killed: not ready within 0.2 s" in done.err


def test_what_is_wrong_with_serve_is_told_before_anything_runs(tmp_path: Path) -> None:
    done = generate_here(serving(tmp_path), tmp_path / "run", "http://127.0.0.1:9/v1")
    assert done.code == 2
    assert "models.teacher: serve starts servers at addresses of its own: leave base_url out" in done.err
    done = generate_here(serving(tmp_path), tmp_path / "run", None, ["models.teacher.batch=true"])
    assert (done.code, "have no Batch API: leave batch out" in done.err) == (2, True)
    done = generate_here(serving(tmp_path, command="vllm serve {model}"), tmp_path / "run", None)
    assert (done.code, "models.teacher.serve.command: must say where its port goes: {port}" in done.err) == (2, True)
    done = generate_here(serving(tmp_path, command="no-such-server {port}"), tmp_path / "run", None)
    assert (done.code, done.last) == (2, "serve of teacher: there is no command 'no-such-server'")


def test_serve_is_in_no_hash(tmp_path: Path) -> None:
    plain = read_recipe(write_recipe(tmp_path / "plain"), ["models.teacher.base_url=http://127.0.0.1:9/v1"])
    served = read_recipe(serving(tmp_path / "served", 10, replicas=2))
    assert plain.models["teacher"].model_dump() == served.models["teacher"].model_dump()


@pytest.mark.parametrize(
    ("visible", "serve", "expected"),
    [
        ("4,5,6,7", {"replicas": 2, "gpus_each": 2}, ["4,5", "6,7"]),
        ("4,5,6", {"replicas": "auto", "gpus_each": 2}, ["4,5"]),
        ("GPU-a,GPU-b", {"replicas": "auto"}, ["GPU-a", "GPU-b"]),
        ("0,1", {"replicas": 2, "gpus_each": 0}, ["0,1", "0,1"]),
        ("0,1", {}, ["0,1"]),
        ("", {"replicas": "auto"}, [""]),
        ("-1", {"replicas": 2}, ["-1", "-1"]),
    ],
)
def test_each_server_has_gpus_of_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, visible: str, serve: dict[str, Any], expected: list[str]
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    with Fleet(tmp_path) as fleet:
        started = fleet.launch("teacher", "m", Serve(command="sleep 60 {port}", **serve))
        assert [server.environment["CUDA_VISIBLE_DEVICES"] for server in started] == expected
        assert len({server.port for server in started}) == len(expected)


def test_gpus_are_given_once_and_too_few_are_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2,-1,3")
    assert visible_gpus() == ["0", "1", "2"]
    with Fleet(tmp_path) as fleet:
        serve = Serve(command="sleep 60 {port}", gpus_each=2)
        fleet.launch("teacher", "m", serve)
        with pytest.raises(UsageError, match=r"judge: 1 x 2 GPUs wanted, but there are 1 to be had here \(2 are other"):
            fleet.launch("judge", "m", serve)
        fleet.launch("small", "m", Serve(command="sleep 60 {port}", replicas="auto"))
        with pytest.raises(UsageError, match="1 x 1 GPUs wanted, but there are 0"):
            fleet.launch("late", "m", Serve(command="sleep 60 {port}", replicas="auto"))


def test_doctor_starts_asks_and_stops(tmp_path: Path, quick: None) -> None:
    said: list[str] = []
    ((name, fine, text),) = examine(read_recipe(serving(tmp_path)), said.append)
    assert (name, fine) == ("model teacher", True), text
    assert f"{MODEL}, context 4,096, n supported" in text
    assert said[0].startswith("starting a server of teacher")
    assert servers(tmp_path) == []


def test_a_proxy_is_not_asked_for_servers_of_this_machine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, quick: None
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    ((_, fine, text),) = examine(read_recipe(serving(tmp_path)), lambda line: None)
    assert fine, text


@pytest.mark.slow
def test_a_killed_server_comes_back_and_no_row_is_lost_or_doubled(tmp_path: Path, quick: None) -> None:
    recipe, run = serving(tmp_path, 40, command=command(tmp_path, "--latency", "0.05"), replicas=2), tmp_path / "run"
    killed: list[int] = []

    class Killer(Shown):
        def update(self, meter: Meter) -> None:
            super().update(meter)
            if len(killed) < 2 and meter.answered > 20 * (1 + len(killed)):
                killed.append(next(server for server in servers(tmp_path) if server not in killed))
                os.kill(killed[-1], signal.SIGKILL)

    done = generate_here(recipe, run, None, display=Killer())
    assert done.code == 0, done.err
    assert len(killed) == 2
    assert done.err.count("ended and is started again, signal 9") >= 1
    assert servers(tmp_path) == []
    assert unaccounted(run) == set()
    assert train(run) == without_serving(tmp_path, 40)
    assert len(finished_twice(tmp_path / "served.jsonl")) <= 2 * 4  # what was under way there


@pytest.mark.slow
def test_a_server_that_dies_again_and_again_stops_the_run_in_order(tmp_path: Path, quick: None) -> None:
    mark = tmp_path / "mark"
    once = f"if [ -e {mark} ]; then echo out of memory; exit 7; fi; touch {mark}; "
    serve = {"command": command(tmp_path, "--latency", "0.02", before=once), "restarts": 2}
    recipe, run, killed = serving(tmp_path, 40, **serve), tmp_path / "run", []

    class Killer(Shown):
        def update(self, meter: Meter) -> None:
            if not killed and meter.answered > 20:
                killed.extend(servers(tmp_path))
                os.kill(killed[0], signal.SIGKILL)

    done = generate_here(recipe, run, None, display=Killer())
    assert (done.code, len(killed)) == (3, 2), done.err
    assert done.last == (
        "server teacher-0 ended, after 2 restarts without an answer, exit code 7; "
        "servers/teacher-0.log says: out of memory"
    )
    kept = replies(run)
    assert kept > 20

    mark.unlink()
    assert generate_here(recipe, run, None).code == 0
    assert train(run) == without_serving(tmp_path, 40)


@pytest.mark.slow
def test_a_server_that_hangs_is_killed_and_started_again(
    tmp_path: Path, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mathsynth.servers.ANSWER_S", 0.3)
    serve = {"command": command(tmp_path, "--latency", "0.02"), "hung_timeout_s": 1}
    recipe, run, hung = serving(tmp_path, 40, **serve), tmp_path / "run", []

    class Holder(Shown):
        def update(self, meter: Meter) -> None:
            if not hung and meter.answered > 20:
                hung.extend(servers(tmp_path))
                for process in hung:
                    os.kill(process, signal.SIGSTOP)

    done = generate_here(recipe, run, None, display=Holder())
    assert (done.code, len(hung)) == (0, 2), done.err
    assert "server teacher-0 is killed: no answer for 1 s" in done.err
    assert train(run) == without_serving(tmp_path, 40)
    assert servers(tmp_path) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 3), (signal.SIGKILL, -signal.SIGKILL)]
)
@pytest.mark.parametrize("moment", ["starting", "answering"])
def test_however_the_run_ends_no_server_stays(tmp_path: Path, number: signal.Signals, code: int, moment: str) -> None:
    before = "sleep 60; " if moment == "starting" else ""
    flags = ("--latency", "0.1")
    recipe, run = serving(tmp_path, 60, command=command(tmp_path, *flags, before=before), replicas=2), tmp_path / "run"
    process = start(recipe, run, None)
    wait_for(lambda: len(servers(tmp_path)) >= 2 and (moment == "starting" or (run / "replies").exists()))
    if moment == "answering":
        wait_for(lambda: replies(run) > 5)
    process.send_signal(number)
    done = finish(process)
    assert done.code == code, done.err
    wait_for(lambda: not servers(tmp_path), 10)


@pytest.mark.slow
def test_a_stage_command_serves_too(tmp_path: Path) -> None:
    recipe = serving(tmp_path)
    assert stage(recipe, "input", "-o", "problems").code == 0
    done = stage(recipe, "sample", "problems", "-o", "solved")
    assert done.code == 0, done.err
    manifest = (tmp_path / "solved" / "manifest.json").read_text()
    assert "servers/" not in manifest
    assert (tmp_path / "solved" / "servers" / "teacher-0.log").exists()
    assert servers(tmp_path) == []
    preview = stage(recipe, "", "preview", str(recipe), "-n", "1")
    assert (preview.code, servers(tmp_path)) == (0, []), preview.err


def stage(recipe: Path, name: str, *arguments: str) -> Done:
    words = [name, "-r", str(recipe), *arguments] if name else [*arguments]
    done = subprocess.run(
        [sys.executable, "-m", "mathsynth", *words],
        cwd=recipe.parent,
        env=os.environ | {"PYTHONPATH": str(FAULT_SERVER.parents[1])},
        capture_output=True,
        text=True,
        timeout=60,
    )
    return Done(done.returncode, done.stderr, done.stdout)
