"""A run against a faulty server: it ends, all is accounted for, no key is written, and only what is new is asked."""

from __future__ import annotations

import json
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from fault_server import FAULTS, Served, fault_server
from mock_replies import arithmetic
from runs import (
    EVERY_STEP,
    IN_FLIGHT,
    finish,
    generate,
    generate_here,
    question,
    replies,
    rows,
    start,
    step,
    unaccounted,
    write_problems,
    write_recipe,
)

LEFT_TO_CI = ("503", "cut", "drip", "empty", "json", "null")
RETRYABLE = tuple(fault for fault in FAULTS if fault not in ("length", "huge"))
SECRET = "sk-test-SECRET-0123456789"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mathsynth.calls.BACKOFF_FIRST_S", 0.02)


def train(run: Path) -> list[dict[str, Any]]:
    return rows(step(run, "export") / "train.jsonl")


def ledger(run: Path) -> dict[str, dict[str, Any]]:
    return {row["question"]: row for row in rows(step(run, "sample") / "problems.jsonl")}


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The rows of an undisturbed run over 12 problems."""
    directory = tmp_path_factory.mktemp("clean")
    with fault_server() as server:
        assert generate_here(write_recipe(directory, 12), directory / "run", server.url).code == 0
    return train(directory / "run")


@pytest.mark.parametrize(
    "fault",
    [pytest.param(name, marks=[pytest.mark.slow] * (name in LEFT_TO_CI)) for name in (*FAULTS, "down", "all")],
)
def test_faults_end_the_run_with_every_problem_accounted_for(
    tmp_path: Path, fault: str, quick: None, clean: list[dict[str, Any]]
) -> None:
    recipe, run = write_recipe(tmp_path, 12), tmp_path / "run"
    faults = {"all": FAULTS, "down": ()}.get(fault, (fault,))
    share = {"length": 0.2, "huge": 0.2}.get(fault, 0.5)
    down = {"down_after": 8, "down": 0.6} if fault == "down" else {}
    begin = time.monotonic()
    with fault_server(faults=faults, fault_share=share, drip=0.2, latency=0.01, **down) as server:
        sets = ["max_failed_share=0.9", "models.teacher.timeout_s=2"]
        done = generate_here(recipe, run, server.url, sets)
        assert done.code == 0, done.err
        assert server.met[fault] or fault == "all"
        assert max(server.finished.values()) == 1
    assert time.monotonic() - begin < 15
    assert unaccounted(run) == set()
    listed = ledger(run)
    assert len(listed) == 12
    assert all(
        line["trials"] == line["corrects"] + line["wrong"] + line["undecided"] + line["failed"]
        for line in listed.values()
    )
    if fault in (*RETRYABLE, "down"):
        assert train(run) == clean
    if fault == "length":
        assert sum(line["truncated"] for line in listed.values()) > 0
    if fault == "huge":
        assert sum(line["failed"] for line in listed.values()) > 0


class Choosy:
    """Replies of a server that refuses some questions."""

    def __init__(self, *refused: str) -> None:
        self.refused = refused
        self.asked: Counter[str] = Counter()

    def __call__(self, body: dict[str, Any]) -> str:
        text = body["messages"][-1]["content"]
        self.asked[text] += 1
        if any(question in text for question in self.refused):
            raise web.HTTPBadRequest(text=json.dumps({"error": {"code": "content", "message": "I won't answer this."}}))
        return arithmetic(body, int(body["seed"]), 0.7, {})


def test_a_prompt_that_always_fails_fails_its_row_and_retry_failed_asks_only_that(tmp_path: Path) -> None:
    recipe, run, clean = write_recipe(tmp_path, 30), tmp_path / "run", tmp_path / "clean"
    reply = Choosy(question(7))
    with fault_server(reply=reply) as server:
        done = generate_here(recipe, run, server.url, ["max_failed_share=0.2"])
        assert done.code == 0, done.err
        failed = rows(step(run, "sample") / "failed.jsonl")
        assert [row["row"]["question"] for row in failed] == [question(7)] * 6
        assert "I won't answer this." in failed[0]["error"]
        assert unaccounted(run) == set()

        reply.refused = ()
        reply.asked.clear()
        assert generate_here(recipe, run, server.url, ["max_failed_share=0.2"]).code == 0
        assert not reply.asked, "a finished run asks nothing"
        again = generate_here(recipe, run, server.url, retry_failed=True)
        assert again.code == 0
        assert "6 failed rows of sample" in again.err
        assert reply.asked
        assert all(question(7) in text for text in reply.asked)
        assert not rows(step(run, "sample") / "failed.jsonl")
        assert generate_here(recipe, clean, server.url).code == 0
    assert train(run) == train(clean)
    assert "nothing to ask again" in generate_here(recipe, run, server.url, retry_failed=True).err


def test_a_run_that_mostly_failed_says_why_and_ends_in_an_error(tmp_path: Path) -> None:
    recipe, run = write_recipe(tmp_path, 20), tmp_path / "run"
    with fault_server(reply=Choosy(*(question(n) for n in range(10, 20)))) as server:
        done = generate(recipe, run, server.url)
    assert done.code == 1
    assert done.err.count("\n") == 1
    assert "sample: 60 failed" in done.err
    assert "I won't answer this." in done.err
    assert "--retry-failed" in done.err


def test_a_model_that_refuses_everything_stops_the_run_early(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, 40)
    with fault_server(reply=Choosy(*(question(n) for n in range(40)))) as server:
        done = generate(recipe, tmp_path / "run", server.url)
        assert server.asked.total() <= 20 + 3 * IN_FLIGHT  # of 240
    assert done.code == 1
    assert done.err.count("\n") == 1
    assert "refused its first 20 requests" in done.err


@pytest.mark.parametrize(
    ("sets", "key", "says"),
    [
        (["models.teacher.model=no-such"], "", "no model 'no-such'"),
        ([], "sk-wrong-1", "refuses the key in $OPENAI_API_KEY"),
    ],
)
def test_a_wrong_model_or_key_is_told_at_the_first_request(
    tmp_path: Path, sets: list[str], key: str, says: str
) -> None:
    recipe, run = write_recipe(tmp_path, 50), tmp_path / "run"
    with fault_server(key="sk-right" if key else None) as server:
        begin = time.monotonic()
        done = generate(recipe, run, server.url, sets, env={"OPENAI_API_KEY": key} if key else None)
        assert time.monotonic() - begin < 10
        assert server.asked.total() <= 2 * IN_FLIGHT
    assert done.code == 1
    assert done.err.count("\n") == 1, done.err
    assert says in done.err
    assert not key or key not in done.err


@pytest.mark.slow
def test_a_server_that_is_never_there_stops_the_run_in_order(tmp_path: Path) -> None:
    recipe, run = write_recipe(tmp_path), tmp_path / "run"
    begin = time.monotonic()
    done = generate(recipe, run, "http://127.0.0.1:9/v1", ["models.teacher.give_up_after_s=1"])
    assert done.code == 3
    assert done.err.count("\n") == 1, done.err
    assert "no answer for" in done.err
    assert "the same command goes on" in done.err
    assert time.monotonic() - begin < 10


@pytest.mark.slow
def test_a_server_that_never_answered_is_given_up_sooner_and_named(
    tmp_path: Path, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mathsynth.calls.UNHEARD_S", 0.2)
    monkeypatch.setenv("NOBODY", "http://127.0.0.1:9/v1")
    recipe, run, nobody = write_recipe(tmp_path, 4), tmp_path / "run", "${NOBODY}"
    recipe.write_text(recipe.read_text().replace("    give_up_after_s: 20\n", ""))
    begin = time.monotonic()
    done = generate_here(recipe, run, nobody)
    assert (done.code, "can't reach http://127.0.0.1:9/v1: " in done.last) == (3, True), done.err
    assert time.monotonic() - begin < 10
    told = generate_here(recipe, run, nobody, ["models.teacher.give_up_after_s=1"])  # what a recipe says holds
    assert (told.code, "no answer for 1 s" in told.last) == (3, True), told.err
    # One that did answer in this run is waited for, and by the next attempt too.
    with fault_server(down_after=5, down=0.8) as server:
        assert generate_here(recipe, run, server.url).code == 0
        assert server.met["down"] == 1
    with fault_server(down_after=1, down=0.8) as server:
        assert generate_here(recipe, run, server.url, ["sample.k=3"]).code == 0
        assert server.met["down"] == 1


@pytest.mark.slow
def test_a_server_that_is_away_costs_no_retries(tmp_path: Path, quick: None) -> None:
    recipe, clean, run = write_recipe(tmp_path, 40), tmp_path / "clean", tmp_path / "run"
    with fault_server() as server:
        assert generate_here(recipe, clean, server.url).code == 0
    # Requests wait while it answers others, so that their first try lies before its last answer.
    with fault_server(latency=0.02, jitter=0.1, down_after=30, down=1.5) as server:
        assert generate_here(recipe, run, server.url, ["models.teacher.retries=1"]).code == 0
        assert server.met["down"] == 1
    assert train(run) == train(clean)


def test_a_long_retry_after_stops_the_run_in_order(tmp_path: Path) -> None:
    recipe, run = write_recipe(tmp_path), tmp_path / "run"
    begin = time.monotonic()
    with fault_server(faults=["429"], retry_after="86400") as server:
        done = generate_here(recipe, run, server.url)
    assert done.code == 3
    assert "wants 86,400 s of rest" in done.err
    assert time.monotonic() - begin < 5


def files_with(run: Path, *secrets: str) -> list[str]:
    return [
        str(path)
        for path in run.rglob("*")
        if path.is_file() and any(secret.encode() in path.read_bytes() for secret in secrets)
    ]


class Echoing:
    """Refuses one question with a message that repeats whatever credentials came with it."""

    def __init__(self, *secrets: str) -> None:
        self.secrets = secrets

    def __call__(self, body: dict[str, Any]) -> str:
        if question(3) in body["messages"][-1]["content"]:
            message = f"who are you, {' '.join(self.secrets)}?"
            raise web.HTTPBadRequest(text=json.dumps({"error": {"message": message}}))
        return arithmetic(body, int(body["seed"]), 1.0, {})


def test_no_key_reaches_a_file_or_a_line(tmp_path: Path) -> None:
    inner = "tok-in-the-body-98765"
    recipe, run = write_recipe(tmp_path, 30, EVERY_STEP), tmp_path / "one" / "run"
    text = recipe.read_text().replace("    max_in_flight", "    extra_body: {portkey: '${PORTKEY}'}\n    max_in_flight")
    recipe.write_text(text)
    env = {"OPENAI_API_KEY": SECRET, "PORTKEY": inner}
    with fault_server(key=SECRET, reply=Echoing(SECRET, inner)) as server:
        done = generate(recipe, run, server.url, env=env)
        assert done.code == 0, done.err
        assert all(body["portkey"] == inner for body in server.bodies.values())
        assert any("who are you" in row["error"] for path in run.glob("0*") for row in rows(path / "failed.jsonl"))
        assert files_with(tmp_path, SECRET) == []
        assert files_with(tmp_path, inner) == []
        refused = generate(recipe, run, server.url, flags=["--fresh"], env=env | {"OPENAI_API_KEY": SECRET + "x"})
        assert refused.code == 1
    for ended in (done, refused):
        assert SECRET not in ended.err + ended.out
        assert inner not in ended.err + ended.out
    assert files_with(tmp_path, SECRET, inner) == []


def asked_for(server: Served, recipe: Path, run: Path, sets: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    """The bodies that a run asks for beyond those asked before."""
    before = dict(server.asked)
    done = generate_here(recipe, run, server.url, sets)
    assert done.code == 0, done.err
    return [server.bodies[key] for key, count in server.asked.items() for _ in range(count - before.get(key, 0))]


FIXED = "  sample: {policy: fixed, k: 2}\n  export: {}\n"


def test_only_what_is_new_is_asked(tmp_path: Path) -> None:
    recipe, run = write_recipe(tmp_path, 10, FIXED), tmp_path / "run"
    with fault_server() as server, fault_server() as elsewhere:
        first = asked_for(server, recipe, run)
        assert len(first) == 20
        assert asked_for(server, recipe, run) == []

        more = asked_for(server, recipe, run, ("sample.k=3",))
        assert sorted(body["seed"] for body in more) == [2] * 10
        assert asked_for(server, recipe, run, ("sample.k=1",)) == []

        for tuning in ("max_in_flight=3", "timeout_s=9", "retries=1", "give_up_after_s=7"):
            assert asked_for(server, recipe, run, (f"models.teacher.{tuning}",)) == []
        assert asked_for(elsewhere, recipe, run) == []

        write_problems(recipe.parent / "problems.jsonl", [50, *range(10)])
        added = asked_for(server, recipe, run)
        assert len(added) == 2
        assert all(question(50) in body["messages"][-1]["content"] for body in added)

        systemic = asked_for(server, recipe, run, ("models.teacher.system=Be brief.",))
        assert len(systemic) == 22
        assert all(body["messages"][0] == {"role": "system", "content": "Be brief."} for body in systemic)
        assert len(asked_for(server, recipe, run, ("models.teacher.temperature=0.1",))) == 22
        assert len(asked_for(server, recipe, run, ("models.teacher.extra_body.top_k=5",))) == 22


def test_a_changed_recipe_says_what_differs_before_it_asks(tmp_path: Path) -> None:
    recipe, run = write_recipe(tmp_path, 5, FIXED), tmp_path / "run"
    with fault_server() as server:
        assert generate_here(recipe, run, server.url).err == ""
        said = generate_here(recipe, run, server.url, ["models.teacher.system=Be brief."]).err
        assert 'sample.models.teacher.system: null -> "Be brief."' in said
        assert "still valid: input" in said
        assert "asked again" in said
        assert "nothing was asked" in generate_here(recipe, run, server.url).err
        said = generate_here(recipe, run, server.url, ["sample.k=3"]).err
        assert "sample.k: 2 -> 3" in said
        assert "only new requests are asked" in said


def test_failures_are_never_stored_as_replies(tmp_path: Path, quick: None) -> None:
    recipe, run = write_recipe(tmp_path, 6, FIXED), tmp_path / "run"
    with fault_server(faults=["500"], fault_tries=-1) as broken:
        done = generate_here(recipe, run, broken.url, ["models.teacher.retries=1"])
        assert done.code == 1
        assert "12 failed (100%" in done.last
    assert replies(run) == 0
    with fault_server() as server:
        assert generate_here(recipe, run, server.url).code == 1, "the same command alone would hide the failures"
        assert generate_here(recipe, run, server.url, retry_failed=True).code == 0
        assert len(server.asked) == 12
    assert len(train(run)) > 0


SOAK = "  sample: {policy: fixed, k: 2}\n"


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_20000_requests_with_faults_lose_nothing_and_take_no_memory(tmp_path: Path) -> None:
    peaks, seconds = {}, {}
    for problems in (2_500, 10_000):
        recipe = write_recipe(tmp_path / str(problems), problems, SOAK)
        run, log = tmp_path / str(problems) / "one" / "run", tmp_path / f"{problems}.jsonl"
        sets = ["models.teacher.max_in_flight=128", "max_failed_share=0.02"]
        faults = [fault for fault in FAULTS if fault != "huge"]
        with fault_server(faults=faults, fault_share=0.05, drip=0.2, latency=0.005, log=log) as server:
            begin = time.monotonic()
            process = start(recipe, run, server.url, sets)
            peaks[problems] = peak_mib(process)
            seconds[problems] = time.monotonic() - begin
            done = finish(process, 5)
            assert done.code == 0, done.err
            assert len(server.finished) == 2 * problems
            assert max(server.finished.values()) == 1
            assert set(server.met) == set(faults)
        assert unaccounted(run) == set()
        assert len(ledger(run)) == problems
        assert replies(run) == 2 * problems
    print(f"20,000 requests in {seconds[10_000]:.0f} s; client's peak memory in MiB: {peaks}")
    assert peaks[10_000] - peaks[2_500] < 30
    assert seconds[10_000] < 120


def peak_mib(process: subprocess.Popen[str]) -> float:
    """Peak resident memory of a process until it ends."""
    peak = 0.0
    while process.poll() is None:
        try:
            fields = dict(line.split(":", 1) for line in Path(f"/proc/{process.pid}/status").read_text().splitlines())
            peak = max(peak, int(fields["VmHWM"].split()[0]) / 1024)
        except (OSError, KeyError):
            break
        time.sleep(0.2)
    process.wait(120)
    return peak
