"""How problems are made from seeds and under personas: the acceptance rules of methods.md 4b, 6a and 6b, by name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from command_line import PROMPTS, ms, read_lines, rows, write_lines
from mathsynth.errors import UsageError
from mathsynth.methods.backward import masks
from mathsynth.methods.evolve import INSTRUCTIONS
from mathsynth.questions import fault, numbers, read_question
from mathsynth.records import Problem
from mathsynth.stages.persona_rewrite import load_personas

PENS = "Mia has 3 pens. She buys 5 more. How many pens does Mia have now?"


def make(
    folder: Path, stage: str, config: dict[str, Any], seeds: list[dict[str, Any]], replies: list[dict[str, Any]] | None
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """(kept, dropped) of one stage over these seeds; each line of `replies` says what the model answers to what."""
    (folder / "prompts").mkdir(exist_ok=True)
    for name, text in PROMPTS.items():
        (folder / "prompts" / f"{name}.md").write_text(text)
    teacher = {"backend": "scripted", "replies": str(folder / "replies.jsonl")}
    write_lines(folder / "replies.jsonl", replies or [{"reply": "never asked"}])
    recipe = {"input": "seeds.jsonl", "models": {"teacher": teacher}, "steps": {stage: config}}
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    lines = [Problem.model_validate(seed).model_dump(mode="json") for seed in seeds]
    write_lines(folder / "in.jsonl", lines)
    done = ms(stage, folder / "in.jsonl", "-o", folder / "out", "-r", folder / "recipe.yaml")
    assert done.code == 0, done.err
    return rows(folder / "out"), read_lines(folder / "out" / "dropped.jsonl")


def a_seed(question: str = PENS, answer: str | None = "8", **more: Any) -> dict[str, Any]:
    source = {"answer_source": "given"} if answer is not None else {}
    return {"question": question, "answer": answer, "license": "CC-BY-4.0", "source": "own", **source, **more}


# --- backward ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("question", "values"),
    [
        (PENS, ["3", "5"]),
        ("A box costs $1,250.50, and he has 3/4 of that. What is 20% of it?", ["1250.50", "3/4", "20"]),
        ("Two cats and twelve dogs eat half a bag each. How many bags?", ["2", "12", "1/2"]),
        ("One of them is the fifth; it weighs 7 kg. How heavy are 2?", ["7", "2"]),
        ("The 3rd rope is 20-foot long (about 6) and 5*2=10 wide. What is 4?", ["4"]),
        ("What is $3^2 + 4$ when -5 and 2:30 are given?", []),
        ("Line\n5 breaks. Is 6\n7 kept?", []),
        ("No number at all?", []),
    ],
)
def test_every_maskable_number_gives_exactly_one_question(question: str, values: list[str]) -> None:
    assert [mask.value for mask in masks(question)] == values


WORDS = st.sampled_from(
    ["3", "12", "$5", "1,000", "2.5", "7%", "9,", "4.", "two", "Ten", "pens", "x-ray", "(6)", "3rd", ""]
)


@given(st.lists(WORDS, max_size=12))
def test_putting_the_masked_number_back_restores_the_question(words: list[str]) -> None:
    question = " ".join(words)
    found = masks(question)
    assert len({mask.position for mask in found}) == len(found)
    for mask in found:
        masked = mask.question.split(" ")
        assert re.fullmatch(r"[$€£]?x%?[.,;?!]*", masked[mask.position])
        assert " ".join([*masked[: mask.position], mask.token, *masked[mask.position + 1 :]]) == question


def test_backward_rows_ask_for_the_masked_number_and_say_where_it_was(tmp_path: Path) -> None:
    kept, dropped = make(tmp_path, "seed-expand", {"methods": {"backward": {}}}, [a_seed()], None)
    assert dropped == []
    seed, first, second = kept
    assert first["question"] == (
        "Mia has x pens. She buys 5 more. How many pens does Mia have now? "
        "If we know the answer to the above question is 8, what is the value of the unknown number x?"
    )
    assert (first["answer"], first["answer_source"], first["method"]) == ("3", "given", "backward")
    assert first["meta"] == {"confirm": True, "masked": "3", "value": "3", "position": 2}
    assert (second["answer"], second["meta"]["position"]) == ("5", 6)
    assert all(row["parents"] == [seed["id"]] and row["license"] == "CC-BY-4.0" for row in (first, second))


def test_backward_needs_an_answer_and_no_x_of_the_seeds_own(tmp_path: Path) -> None:
    seeds = [a_seed(answer=None), a_seed("Solve x + 3 = 5 for x.", "2"), a_seed("What is 4 + 5?", "9")]
    config = {"methods": {"backward": {"max_per_seed": 1}}, "keep_seeds": False}
    kept, dropped = make(tmp_path, "seed-expand", config, seeds, None)
    assert [row["meta"]["masked"] for row in kept] == ["4"]
    assert [(row["reason"], row["row"]["question"]) for row in dropped] == [
        ("nothing_made", PENS),
        ("nothing_made", "Solve x + 3 = 5 for x."),
    ]


# --- rephrase ------------------------------------------------------------------------------------------------------

REFUSALS = {
    "truncated": {"reply": "Problem: Mia owns 3 pens and 5 more. How", "finish_reason": "length"},
    "no_marker": {"reply": "Mia owns 3 pens and buys 5 more pens. How many pens does she own?"},
    "empty": {"reply": "Problem:   "},
    "has_solution": {"reply": "Problem: Mia owns 3 pens, buys 5. How many? The answer is 8."},
    "several_problems": {"reply": "Problem: Mia owns 3 pens. How many? She buys 5. How many? And now? "},
    "no_question": {"reply": "Problem: Mia owns 3 pens and buys 5 more pens."},
    "unchanged": {"reply": "Problem: mia has 3 pens; she buys 5 more - how many pens does Mia have now?"},
    "too_long": {"reply": "Problem: Mia owns 3 pens and buys 5. " + "Really. " * 80 + "How many pens does she own?"},
    "numbers_changed": {"reply": "Problem: Mia owns 3 pens and buys 6 more pens. How many pens does she own?"},
}


@pytest.mark.parametrize("reason", REFUSALS)
def test_a_rewrite_is_refused_by_name(tmp_path: Path, reason: str) -> None:
    config = {"methods": {"rephrase": {"prompt": "say"}}}
    kept, (dropped,) = make(tmp_path, "seed-expand", config, [a_seed()], [REFUSALS[reason]])
    assert [row["method"] for row in kept] == ["seed"]
    assert (dropped["reason"], dropped["stage"], dropped["row"]["method"]) == (reason, "seed-expand", "rephrase")
    assert dropped["row"]["parents"] == [kept[0]["id"]]
    assert dropped["detail"]


def test_a_good_rewrite_keeps_the_answer_and_must_be_confirmed(tmp_path: Path) -> None:
    replies = [
        {"reply": "Problem: Mia owns 3 pens and buys five more. How many pens does she own?"},
        {"reply": "**Problem:** To her 3 pens Mia adds 5. How many pens is that?"},
    ]
    config = {"methods": {"rephrase": {"prompt": "say", "n": 2}}}
    (seed, *made), dropped = make(tmp_path, "seed-expand", config, [a_seed()], replies)
    assert dropped == []
    assert [row["question"] for row in made] == [
        "Mia owns 3 pens and buys five more. How many pens does she own?",
        "To her 3 pens Mia adds 5. How many pens is that?",
    ]
    for number, row in enumerate(made):
        assert (row["answer"], row["answer_source"]) == ("8", "given")
        assert row["meta"] == {"confirm": True, "sample": number}
        assert row["parents"] == [seed["id"]]


def test_the_order_in_which_methods_are_named_changes_nothing(tmp_path: Path) -> None:
    methods: dict[str, Any] = {"rephrase": {"prompt": "say"}, "backward": {}}
    reply = [{"reply": "Problem: Mia owns 3 pens and buys five more. How many pens does she own?"}]
    made = []
    for number, order in enumerate((methods, dict(reversed(methods.items())))):
        (tmp_path / str(number)).mkdir()
        made.append(make(tmp_path / str(number), "seed-expand", {"methods": order}, [a_seed()], reply))
    assert made[0] == made[1]
    assert [row["method"] for row in made[0][0]] == ["seed", "backward", "backward", "rephrase"]


def test_the_same_rewrite_twice_is_kept_once(tmp_path: Path) -> None:
    replies = [{"reply": "Problem: Mia owns 3 pens and buys 5 more. How many pens does she own?"}]
    config = {"methods": {"rephrase": {"prompt": "say", "n": 3}}}
    kept, dropped = make(tmp_path, "seed-expand", config, [a_seed()], replies)
    assert [row["method"] for row in kept] == ["seed", "rephrase"]
    assert [row["reason"] for row in dropped] == ["made_before"] * 2


def test_a_seed_without_an_answer_is_not_rephrased(tmp_path: Path) -> None:
    config = {"methods": {"rephrase": {"prompt": "say"}}}
    kept, dropped = make(tmp_path, "seed-expand", config, [a_seed(answer=None)], [{"reply": "Problem: Why?"}])
    assert ([row["method"] for row in kept], dropped) == (["seed"], [])


@pytest.mark.parametrize(
    ("question", "marked"),
    [
        ("Problem: How many?", "How many?"),
        ("  **Problem:** How many?", "How many?"),
        ("problem: How many?", "How many?"),
        ("Here it is. Problem: How many?", None),
        ("Question: How many?", None),
        ("", None),
    ],
)
def test_a_question_stands_after_the_marker_at_the_beginning(question: str, marked: str | None) -> None:
    assert read_question(question) == marked


@pytest.mark.parametrize(
    ("source", "rewrite", "refused"),
    [
        ("He has 3 cats. How many?", "He owns three cats. How many?", None),
        ("He has 1,000 cats. How many?", "He owns 1000 cats. How many?", None),
        ("He has 3 cats. How many?", "The one with 3 cats: how many has he?", None),
        ("He has 3 cats and 3 dogs. How many?", "He owns 3 cats and dogs. How many?", "numbers_changed"),
        ("He has 3.5 kg. How many?", "He owns 3.6 kg. How many?", "numbers_changed"),
        ("He has 3 cats. How many?", "He owns 3 cats and no dog. How many? How many dogs?", None),
    ],
)
def test_numbers_count_by_value_and_number_of_times(source: str, rewrite: str, refused: str | None) -> None:
    found = fault(rewrite, source, "stop", keeps_answer=True)
    assert (found[0] if found else None) == refused


def test_one_is_a_pronoun() -> None:
    assert numbers("one of 2 and two") == numbers("2 and 2")


# --- evolve and inspired -------------------------------------------------------------------------------------------


def test_evolve_makes_at_most_one_row_for_each_way(tmp_path: Path) -> None:
    replies = [
        {"match": instruction, "reply": f"Problem: Mia has {number} pens and 9 cats. How many things has she?"}
        for number, instruction in enumerate(INSTRUCTIONS.values(), 20)
    ]
    replies[1] = {"match": INSTRUCTIONS["fractions"], "reply": "I would rather not."}
    config = {"methods": {"evolve": {"prompt": "change"}}, "keep_seeds": False}
    seed = a_seed(solution="She has 3 + 5 = 8 pens, twice that is 8 * 2 = 16. The answer is 16.", answer="16")
    kept, dropped = make(tmp_path, "seed-expand", config, [seed], replies)
    assert [row["meta"]["evolution"] for row in kept] == ["numbers", "combine", "condition", "complex"]
    assert [(row["reason"], row["row"]["meta"]["evolution"]) for row in dropped] == [("no_marker", "fractions")]
    assert all(row["answer"] is None and row["answer_source"] is None for row in kept)
    assert {row["method"] for row in kept} == {"evolve"}
    # A change of numbers only must be calculated as the seed is.
    assert [row["meta"].get("operations") for row in kept] == ["+*", None, None, None]


def test_only_seeds_with_a_solution_fix_the_operations(tmp_path: Path) -> None:
    config = {"methods": {"evolve": {"prompt": "change", "ways": ["numbers"]}}, "keep_seeds": False}
    reply = [{"reply": "Problem: Mia has 4 pens. She buys 6 more. How many pens does Mia have now?"}]
    (row,), _ = make(tmp_path, "seed-expand", config, [a_seed()], reply)
    assert row["meta"] == {"evolution": "numbers"}


def test_inspired_problems_have_no_answer_yet_and_name_their_seed(tmp_path: Path) -> None:
    replies = [
        {"reply": "Problem: Tom has 12 apples and eats 4. How many are left?"},
        {"reply": "Problem: " + PENS},
        {"reply": "Problem: Ann runs 5 km a day. How far does she run in 6 days?"},
    ]
    prompt = {"methods": {"inspired": {"prompt": "say", "n": 3}}}
    (seed, *made), (dropped,) = make(tmp_path, "seed-expand", prompt, [a_seed()], replies)
    assert [(row["answer"], row["method"], row["parents"]) for row in made] == [(None, "inspired", [seed["id"]])] * 2
    assert [row["meta"]["sample"] for row in made] == [0, 2]
    assert dropped["reason"] == "unchanged"


# --- personas ------------------------------------------------------------------------------------------------------

PERSONAS = [
    {"id": "p1", "persona": "A baker in Lyon who gets up at night"},
    {"id": "p2", "persona": "A nurse in Lima who rides a bicycle to work"},
    {"id": "p3", "persona": "A nurse in Lima who rides a bicycle to Work"},
]


def retell(
    folder: Path, replies: list[dict[str, Any]], seeds: list[dict[str, Any]] | None = None, **config: Any
) -> Any:
    personas = write_lines(folder / "personas.jsonl", PERSONAS)
    config = {"prompt": "retell", "personas": str(personas), **config}
    return make(folder, "persona-rewrite", config, seeds or [a_seed()], replies)


def test_a_retelling_names_its_persona_and_its_seed(tmp_path: Path) -> None:
    replies = [
        {"match": "baker", "reply": "Problem: A baker has 3 loaves and bakes 5 more. How many loaves are there?"},
        {"match": "nurse", "reply": "Problem: A nurse has 3 masks and gets 5 more. How many masks has she?"},
    ]
    (seed, *made), dropped = retell(tmp_path, replies, per_problem=5)
    assert dropped == []
    # p3 says the same as p2.
    assert {row["meta"]["persona"] for row in made} == {"p1", "p2"}
    for row in made:
        assert row["meta"] == {"persona": row["meta"]["persona"], "seed": seed["id"], "confirm": True}
        assert (row["answer"], row["method"], row["parents"]) == ("8", "persona-keep", [seed["id"]])


def test_a_retelling_that_may_change_the_answer_is_left_to_the_vote(tmp_path: Path) -> None:
    replies = [{"reply": "Problem: A baker has 30 loaves and sells 7. How many loaves are left?"}]
    (made,), _ = retell(tmp_path, replies, kind="change", keep_originals=False)
    assert (made["answer"], made["answer_source"], made["method"]) == (None, None, "persona-change")
    assert set(made["meta"]) == {"persona", "seed"}


@pytest.mark.parametrize("reason", sorted(REFUSALS))
def test_a_retelling_is_refused_by_name(tmp_path: Path, reason: str) -> None:
    kept, (dropped,) = retell(tmp_path, [REFUSALS[reason]])
    assert [row["method"] for row in kept] == ["seed"]
    assert (dropped["reason"], dropped["row"]["method"]) == (reason, "persona-keep")
    assert dropped["row"]["meta"]["persona"] in {"p1", "p2"}


def test_only_problems_of_the_named_methods_are_retold(tmp_path: Path) -> None:
    other = a_seed("Mia owns 3 pens and 5 more. How many?", method="rephrase")
    replies = [{"reply": "Problem: A baker has 3 loaves and bakes 5 more. How many loaves are there?"}]
    kept, _ = retell(tmp_path, replies, [other, a_seed(answer=None), a_seed()])
    assert [row["method"] for row in kept] == ["rephrase", "seed", "seed", "persona-keep"]


def test_what_can_not_be_retold_is_not_lost(tmp_path: Path) -> None:
    kept, (dropped,) = retell(tmp_path, [{"reply": "-"}], [a_seed(answer=None)], keep_originals=False)
    assert (kept, dropped["reason"]) == ([], "no_reference")


def test_no_two_personas_are_nearly_the_same(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "p.jsonl", PERSONAS)
    assert [name for name, _ in load_personas(path, 0.9)] == ["p1", "p2"]
    assert [name for name, _ in load_personas(path, 0.15)] == ["p1"]
    kept = [frozenset(text.lower().split()) for _, text in load_personas(path, 0.9)]
    assert all(len(a & b) / len(a | b) < 0.9 for a in kept for b in kept if a is not b)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "p.jsonl: holds no persona"),
        ('{"id": "a", "persona": "x"}\n{"persona": 3}\n', "p.jsonl:2: expected an object with `id` and `persona`"),
        ("nonsense\n", "p.jsonl:1: expected an object"),
        ('{"id": "a", "persona": ""}\n', "p.jsonl:1: expected an object"),
        ('{"id": "a", "persona": ["x"]}\n', "p.jsonl:1: expected an object"),
    ],
)
def test_a_wrong_file_of_personas_is_named(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text(content)
    with pytest.raises(UsageError, match=re.escape(said)):
        load_personas(path, 0.9)
    with pytest.raises(UsageError, match="no such file of personas"):
        load_personas(tmp_path / "none.jsonl", 0.9)
