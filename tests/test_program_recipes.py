"""The shipped recipes of programs and tool traces, on a scripted teacher that fails in all known ways.

What the rows must show is told in methods.md 7: replay, limits, failure traces, no answer beside code, no wrong row.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fault_server import fault_server
from mathsynth.code_blocks import blocks_of, fenced
from mathsynth.pipeline import Options, generate
from mathsynth.recipe import read_recipe
from mathsynth.sandbox.pool import Sandbox
from mathsynth.sandbox.results import Config
from mathsynth.shards import read_manifest
from mathsynth.verifier import check
from program_teacher import KNOWN, TRACES, answer_to, played
from runs import IN_FLIGHT, finish, generate_here, result, rows, start, step, write_recipe
from runs import generate as run_process

pytestmark = pytest.mark.slow

RECIPES = {"program-of-thought": 40, "mario-tool": 60, "qwen-math-tir": 24, "tool-adaptation": 40}
"""And how many seeds are run: of two of them new problems are made too."""
SCRIPTED = """\
extends: {name}
models:
  teacher: {{backend: scripted, base_url: null, replies: '{teacher}:reply'}}
steps:
  sample: {{keep_wrong: true}}
"""


def scripted(name: str, place: Path) -> Path:
    """A recipe of a user who has the teacher in place of a model."""
    path = place / f"{name}-scripted.yaml"
    path.write_text(SCRIPTED.format(name=name, teacher=Path(__file__).parent / "program_teacher.py"))
    return path


@pytest.fixture(scope="module", autouse=True)
def one_sandbox() -> Iterator[None]:
    """All runs in this process share one: it takes long to start."""
    with Sandbox(Config(workers=1, cpu_s=1)) as box, pytest.MonkeyPatch.context() as patch:
        patch.setattr("mathsynth.safety.Sandbox", lambda config, say: contextlib.nullcontext(box))
        yield


@pytest.fixture(scope="module")
def runs(one_sandbox: None, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Each recipe once."""
    place = tmp_path_factory.mktemp("recipes")
    for name, problems in RECIPES.items():
        generate(read_recipe(scripted(name, place), [f"input.limit={problems}"]), place / name, Options())
    return {name: place / name for name in RECIPES}


def shard_rows(run: Path, name: str) -> list[dict[str, Any]]:
    return [row for path in sorted(step(run, name).glob("0*.jsonl")) for row in rows(path)]


def dropped(run: Path, name: str) -> Counter[str]:
    manifest = read_manifest(step(run, name))
    assert manifest is not None
    return Counter(manifest.counts.dropped)


def rejected(run: Path) -> list[dict[str, Any]]:
    return rows(step(run, "sample") / "rejected.jsonl")


@pytest.mark.parametrize("name", RECIPES)
def test_no_wrong_row_is_exported(runs: dict[str, Path], name: str) -> None:
    kept = shard_rows(runs[name], "export")
    assert len(kept) >= 30
    for row in kept:
        assert check(answer_to(row["question"]), answer=row["extracted"]).outcome == "correct", row["response"]
        assert "987654" not in row["response"]


@pytest.mark.parametrize("name", RECIPES)
def test_every_row_of_code_is_reproduced(runs: dict[str, Path], name: str) -> None:
    for row in rows(step(runs[name], "verify") / "dropped.jsonl"):
        assert not row["detail"].startswith(("replay", "unsupported")), row["detail"]
    assert len(shard_rows(runs[name], "verify")) > 0


@pytest.mark.parametrize("name", ["mario-tool", "qwen-math-tir", "tool-adaptation"])
def test_kept_traces_keep_the_rules(runs: dict[str, Path], name: str) -> None:
    cap = 8 if name == "mario-tool" else 4
    traces = [row for row in shard_rows(runs[name], "export") if row["format"] == "tool"]
    assert traces
    for row in traces:
        *steps, last = [turn["content"] for turn in row["turns"] if turn["role"] == "assistant"]
        outputs = [turn["content"] for turn in row["turns"] if turn["role"] == "tool"]
        assert 1 <= len(steps) == len(outputs) <= cap
        assert not fenced(last)
        assert "\\boxed" not in "".join(steps)
        for said in steps:
            [block] = blocks_of(said)
            assert said == said[: block.end], "nothing stands behind a block"
        codes = [next(blocks_of(said)).code for said in steps]
        for code, output, following in zip(codes, outputs, [*codes[1:], None], strict=True):
            assert len(output) <= 400 + len("\n[… 99,999 characters cut …]\n")
            assert "```" not in output
            assert "<|" not in output
            if re.search(r"^\w*(?:Error|Exit)\b", output.splitlines()[-1]):
                assert following not in (None, code)
    assert any("characters cut" in turn["content"] for row in traces for turn in row["turns"])


@pytest.mark.parametrize(
    ("name", "kind", "rule"),
    [
        ("mario-tool", "repeated", "same_code_again"),
        ("mario-tool", "after_error", "answer_after_error"),
        ("mario-tool", "beside", "answer_beside_code"),
        ("mario-tool", "code_at_end", "answer_beside_code"),
        ("mario-tool", "endless", "too_many_blocks"),
        ("mario-tool", "unsupported", "unsupported"),
        ("mario-tool", "buried", "unsupported"),
        ("mario-tool", "exits", "answer_after_error"),
        ("mario-tool", "input", "answer_after_error"),
        ("mario-tool", "shell", "answer_after_error"),
        ("mario-tool", "cut", "truncated"),
    ],
)
def test_what_a_trace_must_not_do_counts_for_nothing(runs: dict[str, Path], name: str, kind: str, rule: str) -> None:
    everything = rejected(runs[name]) + rejected(runs["qwen-math-tir"])
    found = [row for row in everything if played(TRACES, "trace", row["question"], row["seed"]) == kind]
    assert found
    assert {row["verdict"]["rule"] for row in found} == {rule}


def test_programs_that_break_a_rule_count_for_nothing(runs: dict[str, Path]) -> None:
    rules = Counter(row["verdict"]["rule"] for row in rejected(runs["program-of-thought"]))
    expected = "answer_beside_code no_calculation no_output program_denied program_error program_timeout truncated"
    assert set(expected.split()) <= set(rules)


def test_texts_and_programs_that_disagree_are_kept_and_counted(runs: dict[str, Path]) -> None:
    run = runs["program-of-thought"]
    lines = [line for line in rows(step(run, "label") / "dropped.jsonl") if line["reason"] == "disagreement"]
    assert len(lines) == dropped(run, "label")["disagreement"] > 0
    assert all(re.fullmatch(r"texts say \d+, programs \d+", line["detail"]) for line in lines)
    labelled = [row for row in shard_rows(run, "label") if row["answer_source"] == "program"]
    assert labelled
    assert all(row["answer"] == answer_to(row["question"]) for row in labelled)


def test_greedy_comes_first_and_then_the_warmer_one(runs: dict[str, Path]) -> None:
    found = {(row["seed"] > 0, row["sampling"]["temperature"]) for row in shard_rows(runs["mario-tool"], "sample")}
    assert found == {(False, 0.0), (True, 0.7)}


def test_hard_problems_get_more_samples_and_no_program_twice(runs: dict[str, Path]) -> None:
    run = runs["qwen-math-tir"]
    assert len({line["trials"] for line in rows(step(run, "sample") / "problems.jsonl")}) > 2
    assert dropped(run, "dedupe")["same_equations"] > 0
    voted = [row for row in shard_rows(run, "export") if row["answer_source"] == "vote"]
    assert voted
    assert len({row["sampling"]["temperature"] for row in shard_rows(run, "sample")}) == 4


def test_text_where_it_will_do_and_the_tool_elsewhere(runs: dict[str, Path]) -> None:
    measured = {
        row["question"]: row["difficulty"]["pass_rate"] for row in shard_rows(runs["tool-adaptation"], "measure")
    }
    made = shard_rows(runs["tool-adaptation"], "sample")
    assert {row["format"] for row in made} == {"cot", "tool"}
    assert all((measured[row["question"]] >= 0.5) == (row["format"] == "cot") for row in made)
    assert set(measured) <= set(KNOWN)


TRACED = "  sample: {format: tool, policy: uniform, k: 2, max_trials: 4}\n  verify: {replay: true}\n  export: {}\n"
TURNS = 4


def four_turns(body: dict[str, Any]) -> str:
    """A block, one that fails, its correction, and the answer that was printed."""
    said = [message["content"] for message in body["messages"]]
    a, b = re.findall(r"\d+", said[5])[-2:]
    turns = (
        _block(f"x = {a}  # {body['seed']}"),
        _block(f"print(y + {b})"),
        _block(f"print(x + {b})"),
        f"The sum is \\boxed{{{said[-1].split()[1]}}}.",
    )
    return turns[(len(said) - 6) // 2]


def _block(code: str) -> str:
    return f"I go on.\n\n```python\n{code}\n```"


@pytest.mark.timeout(180)
def test_a_trace_goes_on_at_its_next_turn_after_kill_9(tmp_path: Path) -> None:
    recipe, whole, killed = write_recipe(tmp_path, 30, TRACED), tmp_path / "one" / "run", tmp_path / "two" / "run"
    with fault_server(latency=0.05, jitter=0.05, reply=four_turns) as server:
        assert run_process(recipe, whole, server.url).code == 0
        total = server.asked.total()
        server.asked.clear()
        server.finished.clear()
        kills = 0
        for share in (0.1, 0.3, 0.5, 0.7):
            process = start(recipe, killed, server.url)
            until = time.monotonic() + 60
            while server.finished.total() < share * total and process.poll() is None and time.monotonic() < until:
                time.sleep(0.001)
            if process.poll() is None:
                process.kill()
                kills += 1
            finish(process)
        done = run_process(recipe, killed, server.url)
        asked_again = sum(count - 1 for count in server.finished.values())
    assert (done.code, kills) == (0, 4), done.err
    one, other = result(whole), result(killed)
    assert sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name)) == []
    assert asked_again <= kills * IN_FLIGHT
    traces = shard_rows(killed, "export")
    assert len(traces) == 60
    assert {len(row["turns"]) for row in traces} == {2 * TURNS - 1}


def test_a_budget_counts_every_turn_and_ends_between_two(tmp_path: Path) -> None:
    recipe, run = write_recipe(tmp_path, 20, TRACED), tmp_path / "run"
    with fault_server(reply=four_turns) as server:
        done = generate_here(recipe, run, server.url, ["budget.tokens=4000"])
        assert done.code == 3
        assert "budget.tokens=4,000 is spent" in done.err
        spent, most = server.tokens, max(map(_tokens, server.bodies.values()))
        assert spent < 4000 + IN_FLIGHT * most
        assert generate_here(recipe, run, server.url, ["budget.tokens=1000000"]).code == 0
        assert max(server.finished.values()) == 1
    assert len(shard_rows(run, "export")) == 40


def _tokens(body: dict[str, Any]) -> int:
    return sum(len(message["content"].split()) for message in body["messages"]) + 20
