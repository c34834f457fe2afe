"""What a recipe says of a model: examples, temperatures, stop texts, answer format, thinking; what of it is sent,
what is in the request hash, and how replies are read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import runs
from fault_server import fault_server
from mathsynth.backends.base import Reply
from mathsynth.errors import UsageError
from mathsynth.prompts import asks_for, find_prompt
from mathsynth.recipe import read_recipe
from mathsynth.verifier import extract, how_asked
from mathsynth.verifier.thinking import split

STEPS = "  sample: {policy: fixed, k: 3, max_trials: 3, keep_wrong: true}\n"
SHOTS = [{"question": "What is 1 + 1?", "response": "1 + 1 = 2. The answer is \\boxed{2}."}]


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = runs.write_recipe(tmp_path, problems=1, steps=STEPS)
    (tmp_path / "few.jsonl").write_text("".join(json.dumps(shot) + "\n" for shot in SHOTS))
    return path


class Heard:
    """A server and the bodies of the requests that reached it."""

    def __init__(self, url: str, bodies: list[dict[str, Any]]) -> None:
        self.url, self.bodies = url, bodies

    def run(self, recipe: Path, *sets: str) -> list[dict[str, Any]]:
        """What a run in the same directory asks, in order of the sample numbers."""
        self.bodies.clear()
        done = runs.generate_here(recipe, recipe.parent / "run", self.url, sets)
        assert done.code == 0, done.err
        self.said = done.err
        return sorted(self.bodies, key=lambda body: body["seed"])


@pytest.fixture
def heard() -> Iterator[Heard]:
    bodies: list[dict[str, Any]] = []

    def reply(body: dict[str, Any]) -> str:
        bodies.append(body)
        return "<think>\nMaybe \\boxed{1}.\n</think>\n\n3 + 5 = 8, so the answer is \\boxed{8}."

    with fault_server(reply=reply) as server:
        yield Heard(server.url, bodies)


# --- what is sent, and that the hash knows it ----------------------------------------------------------------------


def test_all_that_a_model_is_told_is_sent(recipe: Path, heard: Heard) -> None:
    bodies = heard.run(
        recipe,
        "models.teacher.system=You add.",
        "models.teacher.few_shot=few.jsonl",
        "models.teacher.temperatures=[0, 0.7]",
        "models.teacher.answer_format=sentence",
        'models.teacher.stop=["\\n\\n\\n", "Question:"]',
    )
    tail = "\n\nSolve it step by step and end with the sentence: The answer is ANSWER."
    assert [(turn["role"], turn["content"]) for turn in bodies[0]["messages"]] == [
        ("system", "You add."),
        ("user", "What is 1 + 1?" + tail),
        ("assistant", SHOTS[0]["response"]),
        ("user", runs.question(0) + tail),
    ]
    assert [body["temperature"] for body in bodies] == [0, 0.7, 0.7]
    assert all(body["stop"] == ["\n\n\n", "Question:"] for body in bodies)
    kept = runs.rows(runs.step(recipe.parent / "run", "sample") / "00000.jsonl")
    assert [row["sampling"]["temperature"] for row in kept] == [0, 0.7, 0.7]


@pytest.mark.parametrize(
    ("setting", "asked"),
    [
        ("system=You add.", 3),
        ("few_shot=few.jsonl", 3),
        ("temperatures=[0.7, 0.7, 1.0]", 1),  # the first two are as before
        ('stop=["Question:"]', 3),
        ("answer_format=hash", 3),
        ("extra_body={chat_template_kwargs: {thinking: true}}", 3),
        ("answer_format=boxed", 0),
        ("thinking=cut", 0),
        ("thinking=field", 0),
    ],
)
def test_what_is_sent_is_asked_again_and_nothing_else(recipe: Path, heard: Heard, setting: str, asked: int) -> None:
    assert len(heard.run(recipe)) == 3
    assert len(heard.run(recipe, f"models.teacher.{setting}")) == asked
    assert ("asked again" in heard.said) == (asked > 0)


def test_examples_count_by_their_content_wherever_they_are(recipe: Path, heard: Heard) -> None:
    heard.run(recipe, "models.teacher.few_shot=few.jsonl")
    (recipe.parent / "few.yaml").write_text(json.dumps(SHOTS))
    one, other = (
        read_recipe(recipe, [f"models.teacher.few_shot={name}"]).steps[1].key for name in ("few.jsonl", "few.yaml")
    )
    assert one == other
    assert read_recipe(recipe, [f"models.teacher.few_shot={json.dumps(SHOTS)}"]).steps[1].key == one
    (recipe.parent / "few.jsonl").write_text(json.dumps(SHOTS[0] | {"question": "What is 2 + 0?"}))
    assert read_recipe(recipe, ["models.teacher.few_shot=few.jsonl"]).steps[1].key != one
    assert len(heard.run(recipe, "models.teacher.few_shot=few.jsonl")) == 3


def test_a_recipe_that_says_none_of_it_is_named_and_asks_as_before(recipe: Path) -> None:
    material = read_recipe(recipe).steps[1].material["models"]["teacher"]
    assert not {"few_shot", "temperatures", "answer_format", "thinking"} & set(material)
    (turn,) = find_prompt("solve", []).messages(question="Q?", answer_format=asks_for("boxed"))
    assert turn["content"] == "Q?\n\nSolve it step by step and write the final answer as \\boxed{answer}."


def test_who_writes_questions_is_not_touched_by_how_answers_are_read(tmp_path: Path) -> None:
    path = runs.write_recipe(tmp_path, steps="  seed-expand: {methods: {rephrase: {}}}\n  sample: {}\n")
    before = read_recipe(path)
    for setting in ("answer_format=hash", "thinking=field"):
        after = read_recipe(path, [f"models.teacher.{setting}"])
        assert [a.key == b.key for a, b in zip(before.steps, after.steps, strict=True)] == [True, True, False]


def test_a_step_that_overrides_the_temperature_holds_and_says_so(recipe: Path, heard: Heard) -> None:
    bodies = heard.run(recipe, "models.teacher.temperatures=[0, 1]", "sample.sampling={temperature: 0.3}")
    assert [body["temperature"] for body in bodies] == [0.3] * 3
    assert "sample: its sampling.temperature holds, not models.teacher.temperatures" in heard.said


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("few.jsonl", '{"question": "a"}\n', r"few\.jsonl:1: response: Field required"),
        (
            "few.jsonl",
            '\n{"question": "a", "response": 3}\n',
            r"few\.jsonl:2: response: Input should be a valid string",
        ),
        ("few.jsonl", '{"question": "a", "response": "b", "why": 1}', r"few\.jsonl:1: why: Extra inputs"),
        ("few.jsonl", "{", r"few\.jsonl:1: Invalid JSON"),
        ("few.jsonl", "", r"few\.jsonl: holds no example"),
        ("few.yaml", "question: a", r"few\.yaml: should be a list of `question` and `response`"),
        ("few.yaml", "- {question: a}", r"few\.yaml: example 1: response: Field required"),
        ("none.jsonl", None, r"none\.jsonl: can't be read"),
    ],
)
def test_a_bad_file_of_examples_is_one_line(recipe: Path, name: str, content: str | None, said: str) -> None:
    if content is not None:
        (recipe.parent / name).write_text(content)
    with pytest.raises(UsageError, match=r"models\.teacher\.few_shot: \S*" + said) as raised:
        read_recipe(recipe, [f"models.teacher.few_shot={name}"])
    assert len(str(raised.value).splitlines()) == 1


# --- the answer format and the verifier -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "answer", "how"),
    [
        ("boxed", r"So it is \boxed{8}.", "boxed"),
        ("hash", "So it is 8.\n#### 8", "answer phrase"),
        ("sentence", "So we add. The answer is 8.", "answer phrase"),
        ("put it into <answer> and </answer>", "<answer>8</answer>", "answer phrase"),
        ("write the value alone on the last line", "We add: 3 + 5 is\n8", "last line"),
    ],
)
def test_an_answer_is_found_as_its_format_asks(asked: str, answer: str, how: str) -> None:
    assert how_asked(asks_for(asked)) == how
    if how != "last line":
        found = extract(answer)
        assert found is not None
        assert (found.answer, found.how) == ("8", how)


@pytest.mark.parametrize(
    ("sets", "said"),
    [
        (["models.teacher.answer_format=give the number alone"], "read as 'last line', but verifier.accept is"),
        (["verifier.accept=[answer phrase]"], "read as 'boxed', but verifier.accept is answer phrase"),
        (["models.teacher.answer_format=hash", "sample.prompt=solve-few-shot"], "has no {{ answer_format }}"),
    ],
)
def test_a_format_that_could_not_count_is_refused(recipe: Path, sets: list[str], said: str) -> None:
    with pytest.raises(UsageError, match=r"models\.teacher\.answer_format: ") as raised:
        read_recipe(recipe, sets)
    assert said in str(raised.value)
    assert len(str(raised.value).splitlines()) == 1


def test_a_format_that_the_policy_takes_is_fine(recipe: Path) -> None:
    grading = "verifier.accept=[boxed, answer phrase, given, last line]"
    read_recipe(recipe, ["models.teacher.answer_format=give the number alone", grading])
    read_recipe(recipe, ["models.teacher.answer_format=hash", "verifier.accept=[answer phrase]"])


# --- thinking -------------------------------------------------------------------------------------------------------

ANSWER = "It is \\boxed{8}."


@pytest.mark.parametrize(
    ("text", "thought", "rest"),
    [
        (f"<think>\nWe add.\n</think>\n\n{ANSWER}", "We add.", f"\n\n{ANSWER}"),  # Qwen3, DeepSeek-R1
        (f"We add.\n</think>\n\n{ANSWER}", "We add.", f"\n\n{ANSWER}"),  # the template opened the tag
        (f"<think>\n\n</think>\n\n{ANSWER}", "", f"\n\n{ANSWER}"),  # Qwen3, told not to think
        (f"[THINK]We add.[/THINK]{ANSWER}", "We add.", ANSWER),  # Magistral
        (f"<|channel|>analysis<|message|>We add.<|channel|>final<|message|>{ANSWER}", "We add.", ANSWER),  # gpt-oss
        (f"<think>a</think>b<think>c</think>{ANSWER}", "a</think>b<think>c", ANSWER),
        (ANSWER, None, ANSWER),
    ],
)
def test_thinking_ends_where_the_model_says(text: str, thought: str | None, rest: str) -> None:
    assert split(text) == (thought, rest, True)
    found = extract(text)
    assert found is not None
    assert found.answer == "8"


@pytest.mark.parametrize("opened", ["<think>", "[THINK]", "<|channel|>analysis<|message|>", "<think>a</think>b<think>"])
def test_a_box_in_unfinished_thinking_never_counts(opened: str) -> None:
    text = f"{opened}It may be \\boxed{{8}}. "
    assert (split(text).rest, split(text).closed) == ("", False)
    assert extract(text) is None


@pytest.mark.parametrize(
    ("reply", "keep", "cut", "field"),
    [
        (Reply(text=ANSWER, finish_reason="stop"), ANSWER, ANSWER, (ANSWER, None)),
        (
            Reply(text=ANSWER, finish_reason="stop", reasoning="We add.\n"),  # gpt-oss, or a reasoning parser
            f"<think>\nWe add.\n</think>\n\n{ANSWER}",
            ANSWER,
            (ANSWER, "We add."),
        ),
        (
            Reply(text=f"[THINK]We add.[/THINK]{ANSWER}", finish_reason="stop"),
            f"[THINK]We add.[/THINK]{ANSWER}",
            ANSWER,
            (ANSWER, "We add."),
        ),
        (Reply(text="", finish_reason="length", reasoning="We"), "<think>\nWe", "", ("", "We")),
    ],
)
def test_a_reply_is_read_as_its_model_says(reply: Reply, keep: str, cut: str, field: tuple[str, str | None]) -> None:
    assert reply.read("keep") == (keep, None)
    assert reply.read("cut") == (cut, None)
    assert reply.read("field") == field
    assert {(found.answer if (found := extract(text)) else None) for text in (keep, cut, field[0])} == (
        {"8"} if reply.text else {None}
    )


@pytest.mark.parametrize("way", ["keep", "cut", "field"])
def test_rows_have_the_thinking_where_the_recipe_wants_it(recipe: Path, heard: Heard, way: str) -> None:
    recipe.write_text(recipe.read_text() + "  verify: {}\n  export: {}\n")
    export = "keep" if way == "keep" else "field"
    heard.run(recipe, f"models.teacher.thinking={way}", f"export.reasoning={export}")
    for name in ("sample", "verify"):
        row = runs.rows(runs.step(recipe.parent / "run", name) / "00000.jsonl")[0]
        assert row["verdict"]["outcome"] == "correct"
        assert row["extracted"] == "8"
        assert row["response"].startswith("<think>\nMaybe") == (way == "keep")
        assert row["response"].endswith("3 + 5 = 8, so the answer is \\boxed{8}.")
        assert row.get("reasoning") == ("Maybe \\boxed{1}." if way == "field" else None)
        assert ("reasoning" in row) == (way == "field")
    said = runs.rows(runs.step(recipe.parent / "run", "export") / "train.jsonl")[0]["messages"][-1]
    assert said.get("reasoning_content") == {"keep": None, "cut": "", "field": "Maybe \\boxed{1}."}[way]


def test_an_answer_whose_reasoning_is_beside_it_is_no_junk(recipe: Path) -> None:
    recipe.write_text(recipe.read_text() + "  verify: {}\n")
    with fault_server(reply=lambda body: "<think>3 + 5 = 8</think>\nThe answer is \\boxed{8}.") as server:
        for way, outcome in (("field", 0), ("cut", 1)):
            done = runs.generate_here(recipe, recipe.parent / way, server.url, [f"models.teacher.thinking={way}"])
            assert ("no row is left after verify" in done.err) == bool(outcome)


def test_a_question_is_read_after_the_thinking_of_its_writer(tmp_path: Path) -> None:
    steps = "  seed-expand: {methods: {rephrase: {}}, keep_seeds: false}\n"
    path = runs.write_recipe(tmp_path, problems=1, steps=steps)
    written = runs.question(0).replace("Ann", "Today Ann")
    with fault_server(reply=lambda body: f"<think>Problem: which?</think>\nProblem: {written}") as server:
        done = runs.generate_here(path, tmp_path / "run", server.url)
    assert done.code == 0, done.err
    (row,) = runs.rows(runs.step(tmp_path / "run", "seed-expand") / "00000.jsonl")
    assert row["question"] == written
