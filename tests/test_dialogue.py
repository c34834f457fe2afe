"""The shipped recipe of dialogues, end to end, with a model that makes every mistake: what methods.md 7e must show."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from command_line import ms
from mathsynth.formats import Ask, DialogueRules, dialogue
from mathsynth.pipeline import Options, generate
from mathsynth.recipe import read_recipe
from mathsynth.report.numbers import gather
from mathsynth.report.page import page
from mathsynth.report.tables import summary
from mathsynth.report.wording import percent
from mathsynth.resources import folder
from mathsynth.sandbox.pool import Sandbox
from mathsynth.sandbox.results import Config
from mathsynth.shards import open_lines, read_manifest
from tutor import ANSWERS, FAULTS, LINES, fault_of, part_of

ROOT = Path(__file__).parent


@dataclass(frozen=True)
class Run:
    """A finished run, what its model was asked, and how to run it again."""

    path: Path
    asked: list[Any]
    sets: list[str]

    def rows(self, step: str, file: str = "0*.jsonl*") -> list[dict[str, Any]]:
        paths = sorted(self.path.glob(f"*-{step}-*/{file}"))
        return [json.loads(line) for path in paths for line in open_lines(path)]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """`generate soliloquy` with the scripted model."""
    place = tmp_path_factory.mktemp("dialogue")
    (place / "problems.jsonl").write_text("\n".join(LINES) + "\n")
    sets = [
        f"input={place}/problems.jsonl",
        f"models={{teacher: {{backend: scripted, replies: '{ROOT}/tutor.py:reply'}}}}",
    ]
    asked: dict[str, Any] = {}
    with Sandbox(Config(workers=1, wall_s=5)) as box, pytest.MonkeyPatch.context() as patch:
        patch.setattr("mathsynth.safety.Sandbox", lambda config, say: contextlib.nullcontext(box))
        options = Options(watch=lambda stage, request, reply: asked.setdefault(request.key(), request))
        generate(read_recipe(folder("recipes") / "soliloquy.yaml", sets), place / "run", options)
        yield Run(place / "run", list(asked.values()), sets)


def test_what_goes_wrong_once_is_asked_again_and_what_goes_wrong_for_good_counts_for_nothing(run: Run) -> None:
    rules = {row["question"]: row["verdict"] for row in run.rows("sample", "rejected.jsonl*")}
    for question in ANSWERS:
        expected, found = FAULTS[fault_of(question)], rules.pop(question, None)
        assert (found is None) == (expected == ""), fault_of(question)
        if found is not None:
            assert found["outcome"] != "correct"
            assert found["rule" if expected != "wrong" else "outcome"] == expected
    assert rules == {}
    # A later sample goes well.
    assert {row["question"] for row in run.rows("verify")} == set(ANSWERS)


def test_each_program_has_one_output_and_one_reply_and_one_turn_finishes(run: Run) -> None:
    """methods.md, what 7e must show."""
    rows = run.rows("verify")
    for row in rows:
        turns = [(turn["role"], turn["content"]) for turn in row["turns"]]
        programs = [at for at, (role, said) in enumerate(turns) if role == "assistant" and "```" in said]
        assert [at + 1 for at in programs] == [at for at, (role, _) in enumerate(turns) if role == "tool"]
        for at in programs:
            role, said = turns[at + 2]
            assert role == "assistant"
            assert "```" not in said
        assert [at for at, (_, said) in enumerate(turns) if "\\boxed" in said] == [len(turns) - 1]
        # Behind the question, speakers take turns.
        assert [role == "assistant" for role, _ in turns] == [at % 2 == 0 for at in range(len(turns))]
        assert row["checks"]["dialogue"] == {
            "student_turns": 1 + sum(role == "user" for role, _ in turns),
            "python_turns": len(programs),
            "output_chars": 400,
        }
        assert row["response"].endswith(f"Tutor: {turns[-1][1]}")
    assert {row["checks"]["dialogue"]["python_turns"] for row in rows} == {0, 1, 2}
    failed = next(row for row in rows if fault_of(row["question"]) == "program fails first")
    assert "nothing" not in failed["response"]


def test_retries_are_bounded_and_each_is_told_what_was_wrong(run: Run) -> None:
    requests = [request for request in run.asked if len(request.messages) > 2]
    assert max(len(request.messages) for request in requests) == 2 + 2 * DialogueRules().retries
    told = Counter(request.messages[-1]["content"].split(": ")[1] for request in requests)
    assert len(told) >= 8


def test_the_student_sees_no_program(run: Run) -> None:
    seen = [str(request.messages) for request in run.asked if part_of(request) == "student"]
    assert len(seen) > len(ANSWERS)
    assert not any("```" in text for text in seen)


def test_the_share_of_python_turns_is_reported(run: Run) -> None:
    counted = [row["checks"]["dialogue"] for row in run.rows("dedupe")]
    python, turns = sum(c["python_turns"] for c in counted), sum(c["student_turns"] - 1 for c in counted)
    numbers = gather(run.path)
    assert (numbers.python_turns, numbers.tutor_turns) == (python, turns)
    console = Console(width=200)
    with console.capture() as shown:
        console.print(summary(numbers))
    assert f"python turns       {percent(python / turns)} of {turns} turns" in shown.get()
    assert "Python turns" in page(numbers)


def test_trainers_get_the_hidden_turns_with_roles_that_they_can_mask(run: Run) -> None:
    stored = {row["question"]: row["turns"] for row in run.rows("dedupe")}
    lines = [line for path in run.path.glob("*-export-*/[tv]*.jsonl") for line in open_lines(path)]
    chats = [json.loads(line)["messages"] for line in lines]
    assert {chat[0]["content"]: chat[1:] for chat in chats} == stored


def test_an_output_that_does_not_come_again_puts_the_dialogue_aside(run: Run, tmp_path: Path) -> None:
    rows = [row for row in run.rows("verify") if row["checks"]["dialogue"]["python_turns"]]
    good, other = rows[0], json.loads(json.dumps(rows[1]))
    next(turn for turn in other["turns"] if turn["role"] == "tool")["content"] += ".5"
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in (good, other)))
    done = ms("verify", tmp_path / "rows.jsonl", "-o", tmp_path / "out", "--set", "replay=true")
    assert done.code == 0, done.err
    [kept] = [json.loads(line) for path in (tmp_path / "out").glob("0*.jsonl*") for line in open_lines(path)]
    [dropped] = [json.loads(line) for line in open_lines(tmp_path / "out" / "dropped.jsonl")]
    assert kept["id"] == good["id"]
    assert dropped["detail"] == "replay: program 1 gives another output than is stored"


def test_a_dialogue_that_does_not_finish_never_passes_later(run: Run, tmp_path: Path) -> None:
    row = next(row for row in run.rows("sample") if row["turns"][-1]["role"] == "assistant")
    row["turns"][-1]["content"] = f"The answer is {row['answer']}."
    (tmp_path / "rows.jsonl").write_text(json.dumps(row) + "\n")
    assert ms("verify", tmp_path / "rows.jsonl", "-o", "-").out == ""


def test_a_last_turn_with_a_fence_never_passes_later(run: Run, tmp_path: Path) -> None:
    """Not only Python: what is fenced as an output was made up."""
    row = next(row for row in run.rows("sample") if row["turns"][-1]["role"] == "assistant")
    row["turns"][-1]["content"] = f"```output\n{row['answer']}\n```\nIt is \\boxed{{{row['answer']}}}."
    (tmp_path / "rows.jsonl").write_text(json.dumps(row) + "\n")
    assert ms("verify", tmp_path / "rows.jsonl", "-o", "-").out == ""


@pytest.mark.parametrize("said", ["Let us see.", "```python\nprint({answer})\n```"])
def test_an_output_that_no_program_calculated_never_passes_later(run: Run, tmp_path: Path, said: str) -> None:
    row = next(row for row in run.rows("verify") if row["checks"]["dialogue"]["python_turns"])
    place = next(place for place, turn in enumerate(row["turns"]) if turn["role"] == "tool")
    row["turns"][place - 1]["content"] = said.replace("{answer}", row["answer"])
    (tmp_path / "rows.jsonl").write_text(json.dumps(row) + "\n")
    assert ms("verify", tmp_path / "rows.jsonl", "-o", "-").out == ""


@pytest.mark.parametrize("checks", [{"dialogue": 5}, {"dialogue": {"output_chars": "many"}}])
def test_a_dialogue_whose_checks_were_written_by_hand_is_put_aside(run: Run, tmp_path: Path, checks: dict) -> None:
    row = next(row for row in run.rows("verify") if row["checks"]["dialogue"]["python_turns"])
    (tmp_path / "rows.jsonl").write_text(json.dumps(row | {"checks": checks}) + "\n")
    done = ms("verify", tmp_path / "rows.jsonl", "-o", "-", "--set", "replay=true")
    assert (done.code, done.out) == (0, "")
    assert "undecided 1" in done.err


def test_what_was_asked_is_in_the_journal(run: Run) -> None:
    """Another config that asks for the same."""
    again = read_recipe(folder("recipes") / "soliloquy.yaml", [*run.sets, "sample.keep_wrong=false"])
    generate(again, run.path, Options())
    manifest = read_manifest(run.path / again.steps[1].directory)
    assert manifest is not None
    assert manifest.models["teacher"].requests == 0
    assert manifest.models["teacher"].reused > 0


def test_a_plan_counts_every_turn() -> None:
    ask = Ask("teacher", "tutor-reply", dialogue=DialogueRules(max_student_turns=2, retries=1))
    # Two times decision, program and reply, and one turn of the student, each tried twice.
    assert dialogue.calls(ask) == (5, 14)
