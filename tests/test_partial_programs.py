"""The stage `partial-programs` with scripted models and the real sandbox: what methods.md 9 says it must show."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import partial_teacher
from mathsynth.code_blocks import program_of
from mathsynth.pipeline import Options, generate
from mathsynth.recipe import read_recipe
from mathsynth.records import content_id
from mathsynth.report.numbers import gather
from mathsynth.sandbox.pool import Sandbox
from mathsynth.sandbox.results import Config
from mathsynth.straight_line import blocks, state, statements, trace
from runs import ROOT, result, step
from runs import rows as lines

SEEDS = 28


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(Config(workers=1, wall_s=5)) as box:
        yield box


@pytest.fixture(autouse=True)
def one_sandbox(sandbox, monkeypatch):
    """All runs here share one: to start it takes longer than most of these tests."""
    monkeypatch.setattr("mathsynth.safety.Sandbox", lambda config, say: contextlib.nullcontext(sandbox))


def rows(run: Path, name: str) -> list[dict[str, Any]]:
    return [row for path in sorted(step(run, name).glob("0*.jsonl")) for row in lines(path)]


def coincidence(run: Path) -> dict[str, Any]:
    return json.loads((step(run, "partial-programs") / "coincidence.json").read_text())


def made(
    folder: Path,
    right: list[str],
    replies: list[str],
    *,
    rounds: int = 1,
    config: str = "",
    question: str = "What is 2 + 2 + 3, not 12?",
) -> Path:
    """A run on one problem, of which the answer is 7: the programs that `sample` gets, then those that go on."""
    (folder / "teacher.py").write_text(
        f"from mathsynth.errors import BackendError\n\nRIGHT = {right!r}\nREPLIES = {replies!r}\n\n\n"
        "def reply(request):\n"
        "    said = request.messages[-1]['content']\n"
        "    if 'One statement a line' not in said:\n"
        "        return RIGHT[request.sample]\n"
        "    text = REPLIES[request.sample]\n"
        "    if text == 'refuse':\n"
        "        raise BackendError('no')\n"
        "    return text\n"
    )
    (folder / "problems.jsonl").write_text(json.dumps({"question": question, "answer": "7"}) + "\n")
    (folder / "recipe.yaml").write_text(
        f"input: problems.jsonl\nmax_failed_share: 0.9\n"
        f"models:\n  teacher: {{backend: scripted, replies: '{folder}/teacher.py:reply'}}\n"
        f"steps:\n  sample: {{format: program, k: {len(right)}, max_trials: {len(right)}}}\n"
        f"  partial-programs: {{samples: {len(replies) // rounds}, rounds: {rounds}{config}}}\n"
        "  verify: {replay: true}\n"
    )
    generate(read_recipe(folder / "recipe.yaml", []), folder / "run", Options())
    return folder / "run"


def program(*statements: str) -> str:
    return "\n".join(["```python", *statements, "```"])


RIGHT = program("x = 2 * 2", "y = x + 3", "print(y)")


def test_equal_values_of_another_calculation_are_a_coincidence(tmp_path):
    run = made(tmp_path, [RIGHT], [program("x = 2 + 2", "y = x + 9", "print(y)")])
    told = coincidence(run)
    assert (told["coincidences"], told["rate"], told["samples"]["other_calculation"]) == (1, 1.0, 1)
    assert len(rows(run, "verify")) == 1
    assert lines(step(run, "partial-programs") / "prefixes.jsonl") == []


def test_a_draft_in_thinking_proves_nothing(tmp_path):
    """Its states are of no program that was graded."""
    right = "<think>\n```python\ndraft = 2 * 3\n```\n</think>\n```python\nx = 2 + 2\nprint(x + 3)\n```"
    run = made(tmp_path, [right], ["```python\nhalf = 2 * 3\nprint(half)\n```"])
    assert [row["response"] for row in rows(run, "partial-programs")] == [right]
    assert coincidence(run)["samples"]["nothing_right"] == 1


def test_without_a_number_of_the_question_nothing_is_proved(tmp_path):
    reply = program("x = 2 + 2", "y = x + 9", "print(y)")
    run = made(tmp_path, [RIGHT], [reply], question="A square and three more: how many?")
    assert coincidence(run)["samples"]["not_checked"] == 1
    assert len(rows(run, "verify")) == 1


def test_a_beginning_that_leads_to_another_answer_is_a_coincidence(tmp_path):
    """The text 4 looks like the number, but twice it is 44."""
    run = made(tmp_path, [program("x = 4", "print(x * 2 - 1)")], [program("s = '4'", "print(s + 'x')")])
    assert coincidence(run)["samples"]["wrong_joined"] == 1
    assert len(rows(run, "verify")) == 1


def test_a_proved_beginning_is_ended_rightly(tmp_path):
    run = made(tmp_path, [RIGHT], [program("first = 2 * 2", "y = first - 12", "print(y)")])
    first, joined = rows(run, "verify")
    assert program_of(joined["response"]) == "first = 2 * 2\ny = first + 3\nprint(y)\n"
    assert joined["checks"]["partial"] == {"round": 0, "prefix": 0, "joined": 1, "with": first["id"]}
    assert (joined["format"], joined["extracted"], joined["model"]) == ("program", "7", "scripted")
    [stored] = lines(step(run, "partial-programs") / "prefixes.jsonl")
    assert (stored["prefix"], stored["statements"], stored["proved_by"]) == ("first = 2 * 2\n", 1, first["id"])
    assert coincidence(run)["rate"] == 0.0
    assert gather(run).beginnings == (1, 0)


def test_what_a_beginning_means_must_be_clear(tmp_path):
    right = program("a = 3 + 0", "b = 3 + 0", "print(a + 4)")
    run = made(tmp_path, [right], [program("p = 3 + 0", "q = 3 + 0", "print(p * 4)")])
    assert coincidence(run)["samples"]["not_joinable"] == 1


def test_a_right_program_is_a_row_once(tmp_path):
    again = program("x=2*2 # four", "y = ( x+3 )", "print( y )")
    other = program("a = 12 - 2", "b = a - 3", "print(b)")
    run = made(tmp_path, [RIGHT], [again, other, other, "no program"])
    assert [program_of(row["response"]) for row in rows(run, "partial-programs")] == [
        program_of(RIGHT),
        program_of(other),
    ]
    told = coincidence(run)
    assert (told["rows"], told["repeated"], told["samples"]["unusable"]) == (1, 2, 1)


def test_a_program_that_is_much_longer_is_no_row(tmp_path):
    replies = [program("x = 12 - 2", "y = x - 3", "z = y + 0", "print(z)")]
    assert coincidence(made(tmp_path, [RIGHT], replies, config=", longer_by: 0"))["too_long"] == 1


def test_the_next_round_goes_on_from_what_was_proved(tmp_path):
    wrong = program("f = 2 * 2", "y = f - 12", "print(y)")
    run = made(tmp_path, [RIGHT], [wrong, program("g = f + 12", "print(g - 9)")], rounds=2)
    *_, last = rows(run, "verify")
    assert program_of(last["response"]) == "f = 2 * 2\ng = f + 12\nprint(g - 9)\n"
    assert last["checks"]["partial"] == {"round": 1, "prefix": 1}


def test_other_rows_pass_unchanged(tmp_path):
    loop = program("x = 0", "for n in (2, 2, 3):", "    x += n", "print(x)")
    run = made(tmp_path, [loop], [RIGHT])
    assert rows(run, "partial-programs") == rows(run, "sample")
    assert not (run / "replies" / "01-partial-programs").exists()


def test_a_call_that_fails_loses_nothing_else(tmp_path):
    run = made(tmp_path, [RIGHT], ["refuse", program("a = 12 - 2", "print(a - 3)")])
    assert len(rows(run, "partial-programs")) == 2
    [failed] = lines(step(run, "partial-programs") / "failed.jsonl")
    assert failed["error"].startswith("sample 0: ")


# --- the recipe, on seeds ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole(tmp_path_factory, sandbox) -> Iterator[Path]:
    """The folder of a run of the recipe that ships, with a scripted teacher."""
    folder = tmp_path_factory.mktemp("partial")
    (folder / "seeds.jsonl").write_text("\n".join(partial_teacher.usable()[:SEEDS]) + "\n")
    (folder / "recipe.yaml").write_text(
        "extends: partial-programs\ninput: [{path: seeds.jsonl}]\nmodels:\n  teacher: {backend: scripted, "
        f"model: scripted, base_url: null, replies: '{ROOT}/tests/partial_teacher.py:reply'}}\n"
        "steps: {partial-programs: {rounds: 2}}\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mathsynth.safety.Sandbox", lambda config, say: contextlib.nullcontext(sandbox))
        generate(read_recipe(folder / "recipe.yaml", []), folder / "run", Options())
    yield folder


def states(program: str, sandbox: Sandbox) -> list[str]:
    """The hashes of the states that a program passes through."""
    return [content_id(*state(here)) for here in trace(sandbox.run_now(blocks(statements(program))).blocks)]


def test_every_kind_of_program_comes_to_what_it_should(whole):
    told = coincidence(whole / "run")
    problems = {row["problem_id"] for row in rows(whole / "run", "sample")}
    assert len(problems) >= 20
    assert told["samples"]["right"] == 2 * len(problems)
    assert told["prefixes"] == told["samples"]["proved"] >= 0.9 * len(problems)
    assert told["coincidences"] >= told["samples"]["other_calculation"] > 0
    assert rows(whole / "run", "verify") and not lines(step(whole / "run", "verify") / "dropped.jsonl")


def test_no_wrong_row_passes(whole, sandbox):
    new = [row for row in rows(whole / "run", "verify") if "partial" in row["checks"]]
    assert len(new) == coincidence(whole / "run")["rows"] > 40
    for row in new:
        done = sandbox.run_now((program_of(row["response"]),))
        assert float(done.answer) == pytest.approx(float(row["answer"].strip("$").replace(",", "")))


def test_a_stored_beginning_reaches_a_state_of_a_right_program(whole, sandbox):
    right: dict[str, set[str]] = {}
    for row in rows(whole / "run", "sample"):
        right.setdefault(row["problem_id"], set()).update(states(program_of(row["response"]), sandbox))
    stored = lines(step(whole / "run", "partial-programs") / "prefixes.jsonl")
    assert stored
    for line in stored:
        assert states(line["prefix"], sandbox)[-1] == line["state"]
        assert line["state"] in right[line["problem_id"]]


def test_no_stored_beginning_is_a_beginning_of_another(whole):
    stored = [
        (line["problem_id"], statements(line["prefix"]))
        for line in lines(step(whole / "run", "partial-programs") / "prefixes.jsonl")
    ]
    for problem, prefix in stored:
        others = [other for there, other in stored if there == problem and len(other) > len(prefix)]
        assert not any(other[: len(prefix)] == prefix for other in others)


def test_the_same_replies_give_the_same_rows(whole):
    """Interrupted after its replies came, the step asks nothing again and writes the same."""
    run = whole / "run"
    before, directory = result(run), step(run, "partial-programs")
    for path in (directory / "manifest.json", directory / "00000.jsonl", directory / "coincidence.json"):
        path.unlink()
    generate(read_recipe(whole / "recipe.yaml", []), run, Options())
    after = result(run)
    manifest = json.loads((directory / "manifest.json").read_text())
    assert manifest["models"]["teacher"]["errors"] == 0
    assert {name: data for name, data in after.items() if "manifest" not in name} == {
        name: data for name, data in before.items() if "manifest" not in name
    }
