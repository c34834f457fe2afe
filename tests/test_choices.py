"""Several samples of one prompt in one request: the same rows and sums as singly, whatever the server makes of `n`."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from fault_server import FINAL, MODEL, Served, fault_server
from mathsynth.backends import openai as backend
from mathsynth.backends.base import Request, Sampling, chat_body
from mathsynth.calls import Caller
from mathsynth.journal import Journal
from mathsynth.limits import Gate, InFlight, always
from mathsynth.progress import Meter
from mathsynth.records import Usage
from mock_replies import arithmetic
from runs import generate_here, question, replies, rows, step, unaccounted, write_recipe

FIXED = "  sample: {policy: fixed, k: 8}\n"
UNIFORM = "  sample: {policy: uniform, k: 4, max_trials: 12}\n"
FOUR = "models.teacher.choices=4"


def sizes(server: Served) -> Counter[int]:
    """How many different requests asked for so many choices."""
    return Counter(body.get("n", 1) for body in server.bodies.values())


def kept(run: Path) -> list[dict[str, Any]]:
    """The rows of the sample step, but for what they cost."""
    return [row | {"usage": None} for row in rows(step(run, "sample") / "00000.jsonl")]


def run_once(folder: Path, server: Served, steps: str, sets: Sequence[str] = (), problems: int = 12) -> Path:
    recipe = write_recipe(folder, problems, steps)
    done = generate_here(recipe, folder / "run", server.url, sets)
    assert done.code == 0, done.err
    return folder / "run"


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """On busy cores the samples of a prompt may come further apart than is waited for."""
    monkeypatch.setattr("mathsynth.calls.LINGER_S", 0.2)


@pytest.fixture(scope="module")
def singly(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    """The rows of runs that asked sample by sample, by their steps."""
    with fault_server() as server:
        return {steps: kept(run_once(tmp_path_factory.mktemp("singly"), server, steps)) for steps in (FIXED, UNIFORM)}


def test_full_groups_make_the_same_rows_with_exact_sums(tmp_path: Path, singly: dict[str, Any]) -> None:
    with fault_server(latency=0.01) as server:
        run = run_once(tmp_path, server, FIXED, [FOUR])
        assert sizes(server) == {4: 24}
        assert 1 < server.most_in_flight <= 2, "eight samples in flight are two requests"
        again = run_once(tmp_path, server, FIXED, ["models.teacher.choices=3"])
        assert server.asked.total() == 24 and again == run
    assert kept(run) == singly[FIXED]
    assert replies(run) == 96
    ledger = rows(step(run, "sample") / "problems.jsonl")
    assert sum(line["prompt_tokens"] + line["completion_tokens"] for line in ledger) == server.tokens
    used = json.loads((step(run, "sample") / "manifest.json").read_text())["models"]["teacher"]
    assert (used["requests"], used["prompt_tokens"] + used["completion_tokens"]) == (96, server.tokens)


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["uniform, k: 4", "prop2diff, k: 8, pilot: 4", "adaptive, k: 16"])
def test_groups_fill_under_every_policy(tmp_path: Path, policy: str) -> None:
    steps, sets = f"  sample: {{policy: {policy}, max_trials: 16}}\n", ["models.teacher.max_in_flight=32"]
    with fault_server(latency=0.02) as alone, fault_server(latency=0.02) as server:
        expected = run_once(tmp_path / "alone", alone, steps, sets, problems=60)
        assert kept(run_once(tmp_path, server, steps, [FOUR, *sets], problems=60)) == kept(expected)
    assert sizes(alone).keys() == {1}
    asked = sizes(server)
    assert sum(n * count for n, count in asked.items()) > 1.5 * asked.total()


@pytest.mark.slow
def test_a_finished_sample_is_not_asked_again_with_its_neighbours(tmp_path: Path) -> None:
    with fault_server() as server:
        run_once(tmp_path, server, "  sample: {policy: fixed, k: 3}\n", [FOUR])
        server.bodies.clear()
        run_once(tmp_path, server, FIXED, ["models.teacher.choices=8"])
        asked = [body["seed"] + k for body in server.bodies.values() for k in range(body.get("n", 1))]
        assert sorted(asked) == sorted([3, 4, 5, 6, 7] * 12)
        assert 5 in sizes(server)


@pytest.mark.parametrize("server_has", [{"n_supported": False}, {"n_refused": True}], ids=["ignored", "refused"])
def test_a_server_without_choices_is_asked_singly_from_then_on(
    tmp_path: Path, singly: dict[str, Any], server_has: dict[str, bool], caplog: pytest.LogCaptureFixture
) -> None:
    with fault_server(**server_has) as server:
        run = run_once(tmp_path, server, FIXED, [FOUR])
        assert 1 <= sizes(server)[4] <= 4, "those that were under way when it was learned"
    assert kept(run) == singly[FIXED]
    assert caplog.messages == [f"{MODEL} does not answer several choices; each sample is a request now"]


def test_a_refused_prompt_is_no_reason_to_ask_singly(tmp_path: Path) -> None:
    def reply(body: dict[str, Any]) -> str:
        if question(3) in body["messages"][-1]["content"]:
            raise web.HTTPBadRequest(text=json.dumps({"error": {"message": "I won't answer this."}}))
        return arithmetic(body, int(body["seed"]), 0.7, {})

    with fault_server(reply=reply) as server:
        run = run_once(tmp_path, server, FIXED, [FOUR, "max_failed_share=0.2"])
        assert sizes(server) == {4: 24, 1: 8}
    assert [row["row"]["question"] for row in rows(step(run, "sample") / "failed.jsonl")] == [question(3)] * 8


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["429", "500", "drop", "cut", "json", "empty", "null", "length", "huge"])
def test_a_group_is_retried_as_one(
    tmp_path: Path, singly: dict[str, Any], fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mathsynth.calls.BACKOFF_FIRST_S", 0.02)
    with fault_server(faults=[fault], fault_share=0.5) as server:
        run = run_once(tmp_path, server, UNIFORM, [FOUR, "max_failed_share=0.9"])
        assert server.met[fault]
        assert max(server.finished.values()) == 1
    assert unaccounted(run) == set()
    if fault not in FINAL:
        assert kept(run) == singly[UNIFORM]
        assert 4 in sizes(server)


def test_a_choice_that_can_not_be_used_is_asked_for_alone(tmp_path: Path, singly: dict[str, Any]) -> None:
    with fault_server(faults=["null"]) as server:
        run = run_once(tmp_path, server, FIXED, [FOUR])
        # The first choice of each is null, as is its first try alone.
        assert sizes(server)[4] > 10
    assert kept(run) == singly[FIXED]


def ask(server: Served, folder: Path, asked: list[Request], **config: Any) -> Caller:
    async def work() -> Caller:
        made = backend.Config(backend="openai", model=MODEL, base_url=server.url, **{"timeout_s": 5, **config})
        caller = Caller(made, backend.connect, Journal(folder), Meter("test"), lambda: False)
        await asyncio.gather(*map(caller.complete, asked))
        await caller.aclose()
        return caller

    return asyncio.run(work())


def samples(count: int, text: str = "What is 3 + 4?", **sampling: Any) -> list[Request]:
    message = {"role": "user", "content": text}
    return [Request(MODEL, (message,), Sampling(**sampling), sample=k, seed=k) for k in range(count)]  # type: ignore[arg-type]


def test_only_neighbours_of_the_same_prompt_and_sampling_go_together(tmp_path: Path) -> None:
    three, seven = samples(6), samples(4, "What is 3 + 7?")
    mixed = [request for pair in zip(three, seven, strict=False) for request in pair]
    with fault_server() as server:
        # Seeds of one request count up from its first, so a gap would be drawn as another sample.
        ask(server, tmp_path / "1", [*mixed, three[5]], choices=8)
        assert sorted((body["seed"], body.get("n")) for body in server.bodies.values()) == [(0, 4), (0, 4), (5, None)]
        server.bodies.clear()
        ask(server, tmp_path / "2", samples(4, temperature=0), choices=8)
        assert sizes(server) == {1: 4}, "greedy samples are all alike, and vLLM refuses several"
        server.bodies.clear()
        ask(server, tmp_path / "3", samples(16), choices=8, max_in_flight=2)
        assert sizes(server) == {2: 8}, "no more than may be under way"


def test_requests_a_minute_count_requests_and_tokens_all_samples(tmp_path: Path) -> None:
    with fault_server(latency=0.02) as server:
        caller = ask(server, tmp_path, samples(32), choices=8, requests_per_minute=600)
        assert server.asked.total() == 4
    assert 0.1 < server.came[-1][0] - server.came[0][0] < 1, "three gaps of 0.1 s, before the first the client loads"
    assert caller.use.requests == 32
    assert caller.use.prompt_tokens + caller.use.completion_tokens == server.tokens


def test_the_gate_weighs_a_request_by_its_samples() -> None:
    async def work() -> None:
        gate = Gate(InFlight(2, 20, 100))
        first, second = [await gate.enter(10, 100, bool, size=lambda: 8) for _ in range(2)]
        third = asyncio.create_task(gate.enter(10, 100, bool, size=lambda: 8))
        await asyncio.sleep(0)
        assert gate.under_way == 16, "20 have no room for 24"
        gate.answered(first, Usage(prompt_tokens=10, completion_tokens=80))
        gate.leave(first)
        await third
        assert (gate.limit, gate.under_way) == (28, 16)
        gate.refused(second)
        assert gate.limit == 8
        gate.leave(second)
        gate.leave(await third)
        assert await Gate(always(4)).enter(10, 100, bool, size=lambda: 8), "what is too large for any room goes alone"

    asyncio.run(work())


@pytest.mark.parametrize(
    ("texts", "tokens", "shares"),
    [
        (["aaa", "a" * 7, "a"], 100, [28, 57, 15]),
        (["", "", ""], 10, [3, 3, 4]),
        (["x"], 7, [7]),
        (["x", "y"], 0, [0, 0]),
    ],
)
def test_tokens_are_shared_out_by_length_and_add_up(texts: list[str], tokens: int, shares: list[int]) -> None:
    choices = [{"message": {"role": "", "content": text}} for text in texts]
    found = backend._shares(choices, Usage(prompt_tokens=50, completion_tokens=tokens))
    assert [usage.completion_tokens for usage in found] == shares
    assert [usage.prompt_tokens for usage in found] == [50] + [0] * (len(texts) - 1)


def test_seeds_are_sent_unless_told_otherwise(tmp_path: Path) -> None:
    with fault_server(right=1.0) as server:
        run_once(tmp_path, server, FIXED, problems=2)
        assert sorted(body["seed"] for body in server.bodies.values()) == sorted([*range(8)] * 2)
        run_once(tmp_path, server, FIXED, ["models.teacher.seeded=false"], problems=2)
        assert server.asked.total() == 16, "an answer is an answer, whether or not its seed was sent"
        run_once(tmp_path / "new", server, FIXED, ["models.teacher.seeded=false"], problems=2)
        assert any("seed" not in body for body in server.bodies.values())
    plain = backend.Config(backend="openai", model=MODEL)
    assert plain.seeded and "seeded" not in plain.model_dump(), "recipes keep their keys"
    assert chat_body(samples(1)[0], 3)["n"] == 3
