"""A budget ends the run in order, says what it bought, is not spent twice, and a larger one goes on."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import orjson
import pytest

from command_line import ms
from fault_server import fault_server
from mathsynth.budget import BOOK, Budget, Price, Purse, has_room, opened
from mathsynth.journal import Journal, stored_usage
from runs import IN_FLIGHT, Done, finish, generate, generate_here, replies, rows, start, step, unaccounted, write_recipe

REPLY_TOKENS = 60
"""More than any question and its answer."""


@pytest.mark.slow
def test_a_spent_budget_stops_in_order_and_a_larger_one_goes_on(tmp_path: Path) -> None:
    recipe, run, whole = write_recipe(tmp_path, 40), tmp_path / "one" / "run", tmp_path / "whole"
    with fault_server(latency=0.01) as server:
        done = generate(recipe, run, server.url, ["budget.tokens=2000"])
        assert done.code == 3
        said = re.fullmatch(
            r"budget\.tokens=2,000 is spent: ([\d,]+) tokens, [\d.]+ h bought ([\d,]+) replies; sample has ([\d,]+) "
            r"rows of ([\d,]+) finished problems, ([\d,]+) of [\d,]+ graded samples are right; "
            r"the same command with a larger budget goes on\n",
            done.err,
        )
        assert said, done.err
        spent, bought, kept, problems, right = (int(number.replace(",", "")) for number in said.groups())
        assert spent == server.tokens and bought == replies(run) == server.asked.total()
        assert abs(spent - 2000) < IN_FLIGHT * REPLY_TOKENS
        assert 0 < kept <= 2 * problems and right > kept / 2

        told = ms("status", run).out.splitlines()[-1]
        assert told.startswith("  next: the same command with a larger budget goes on with sample (2 of 3); it was `")

        for _ in range(3):  # no attempt gets a budget of its own
            again = generate_here(recipe, run, server.url, ["budget.tokens=2000"])
            assert again.code == 3 and "budget.tokens=2,000 is spent" in again.err
        assert server.tokens < 2000 + IN_FLIGHT * REPLY_TOKENS

        assert generate_here(recipe, run, server.url, ["budget.tokens=1000000"]).code == 0
        assert max(server.asked.values()) == 1
        assert generate_here(recipe, whole, server.url).code == 0
    assert unaccounted(run) == set()
    assert rows(step(run, "export") / "train.jsonl") == rows(step(whole, "export") / "train.jsonl")


@pytest.mark.parametrize("budget", ["budget.tokens", "sample.token_budget"])
def test_a_small_budget_is_not_overrun_by_what_goes_out_first(tmp_path: Path, budget: str) -> None:
    recipe, run = write_recipe(tmp_path, 40), tmp_path / "run"
    with fault_server(latency=0.01) as server:
        done = generate_here(recipe, run, server.url, [f"{budget}=300", "models.teacher.max_in_flight=64"])
        assert done.code == (3 if budget == "budget.tokens" else 0), done.err
        assert 240 < server.tokens < 300 + 2 * REPLY_TOKENS


def test_what_replies_cost_is_believed_for_twice_their_number() -> None:
    def room(replies: int, under_way: int) -> bool:
        return has_room(1000, 10 * replies, 300, replies, under_way)

    assert [room(0, n) for n in range(5)] == [True, True, True, False, False]
    assert [n for n in range(50) if room(3, n)] == list(range(6))
    assert [n for n in range(50) if room(90, n)] == list(range(10))
    assert has_room(10, 100, 300, 5, 0)  # or nothing would ever tell that it is spent


@pytest.mark.slow
def test_a_kill_buys_nothing_twice(tmp_path: Path) -> None:
    recipe, run = write_recipe(tmp_path, 60), tmp_path / "one" / "run"
    sets = ["budget.tokens=4000", "models.teacher.price.prompt=1000000", "models.teacher.price.completion=0"]
    with fault_server(latency=0.02) as server:
        for kill_at in (1000, 2000):
            process = start(recipe, run, server.url, sets)
            until = time.monotonic() + 30
            while server.tokens < kill_at and process.poll() is None and time.monotonic() < until:
                time.sleep(0.002)
            process.kill()
            assert finish(process).code == -9
        done = generate_here(recipe, run, server.url, sets)
        assert (done.code, "budget.tokens=4,000 is spent" in done.err) == (3, True), done.err
        # A kill costs what was under way, which the server answered and nobody heard.
        assert 4000 - IN_FLIGHT * REPLY_TOKENS < server.tokens < 4000 + 3 * IN_FLIGHT * REPLY_TOKENS
    prompts = sum(usage.prompt_tokens for _, usage in stored_usage(run / "replies"))
    assert f", ${prompts:,.2f}, " in done.err


def test_dollars_count_by_price_and_a_run_of_what_is_known_costs_nothing(tmp_path: Path) -> None:
    recipe, run = write_recipe(tmp_path, 20), tmp_path / "run"
    price = ["models.teacher.price={prompt: 100, completion: 1000}"]
    with fault_server() as server:
        done = generate_here(recipe, run, server.url, ["budget.usd=0.2", *price])
        assert (done.code, "budget.usd=0.2 is spent" in done.err) == (3, True), done.err
        assert generate_here(recipe, run, server.url).code == 0
        done = generate_here(recipe, run, server.url, ["budget.usd=0.2", *price, "export.validation=0.5"])
        assert done.code == 0, "a step that needs no model needs no money"
        missing = generate_here(recipe, run, server.url, ["budget.usd=0.2"])
    assert missing.code == 2
    assert "models.teacher: price: this key is required, for budget.usd counts by it" in missing.err


def test_useless_replies_are_paid_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mathsynth.calls.BACKOFF_FIRST_S", 0.02)
    recipe, run = write_recipe(tmp_path, 6), tmp_path / "run"
    with fault_server(faults=["null"], fault_share=0.5) as server:
        assert generate_here(recipe, run, server.url, ["budget.tokens=1000000"]).code == 0
        useless = server.met["null"]
    lost = book(run)["lost"]["mock-model"]
    assert useless > 3
    useful = sum(usage.prompt_tokens + usage.completion_tokens for _, usage in stored_usage(run / "replies"))
    assert useful + sum(lost) == server.tokens


def book(run: Path) -> dict[str, Any]:
    return orjson.loads((run / "replies" / BOOK).read_bytes())


def test_hours_count_over_all_attempts_and_a_killed_one_lasted_until_its_last_reply(tmp_path: Path) -> None:
    purse = Purse(Budget(hours=1))
    with opened(purse, tmp_path):
        purse.earlier_s += 1000
        assert not purse.spent()
    journal = Journal(tmp_path / "01-sample")
    journal.put("k", {"text": "a", "usage": {"prompt_tokens": 5, "completion_tokens": 7}}, "m")
    journal.close()
    # As an attempt leaves it that began 1,700 s before its last reply and was killed.
    (tmp_path / BOOK).write_bytes(orjson.dumps({"seconds": 1000, "lost": {}, "since": time.time() - 1700}))
    purse = Purse(Budget(hours=1), {"m": Price(prompt=1e5, completion=0)})
    with opened(purse, tmp_path):
        assert 2690 < purse.seconds < 2710
        assert (purse.tokens, purse.replies, purse.usd) == (12, 1, 0.5)
        assert not purse.spent()
        purse.earlier_s += 1000
        assert purse.spent() == "budget.hours=1.0 is spent"


def test_without_a_budget_nothing_is_counted_or_written(tmp_path: Path) -> None:
    recipe, run = write_recipe(tmp_path, 3), tmp_path / "run"
    with fault_server() as server:
        assert generate_here(recipe, run, server.url) == Done(0, "")
    assert not (run / "replies" / BOOK).exists()
