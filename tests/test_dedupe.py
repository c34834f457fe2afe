"""What is dropped repeats a kept row, whatever the order of the input; a changed number is never a repetition."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mathsynth.context import Context
from mathsynth.errors import RunError
from mathsynth.records import Dropped, Outcoming, Problem, Record, Solution, Verdict
from mathsynth.stages import dedupe
from mathsynth.stages.dedupe import Config

APPLES = (
    "Tom picks {} apples on Monday and {} apples on Tuesday. He sells {} of them. How many apples does he have left?"
)
RETOLD = "On Monday Tom collects {} apples, on Tuesday {} apples. After he sells {}, how many apples does he have?"
MCQ = (
    "Consider the function that maps each real number to its square and then adds the number itself to it. Which of "
    "the following statements about the {} of this function over all of the real numbers is {}? "
    "(A) It is one (B) It is zero (C) None of these"
)


@pytest.fixture
def ctx(tmp_path: Path) -> Iterator[Context]:
    context = Context(stage="dedupe", directory=tmp_path / "stage", replies=tmp_path / "replies")
    yield context
    context.close()


def problem(question: str, answer: str | None = None, id_: str = "", **more: Any) -> Problem:
    more.setdefault("answer_source", "given" if answer is not None else None)
    return Problem(question=question, answer=answer, id=id_, **more)


def solution(response: str, seed: int = 0, of: str = "p1", **more: Any) -> Solution:
    more = {"question": "How many?", "answer": "7", "model": "m", "finish_reason": "stop"} | more
    more.setdefault("verdict", Verdict(outcome="correct", reason="equal", rule="exact"))
    return Solution(problem_id=of, response=response, seed=seed, **more)


def split(rows: list[Any], ctx: Context, **config: Any) -> tuple[list[Record], list[Dropped]]:
    out: list[Outcoming] = list(dedupe.run(iter(rows), Config(**config), ctx))
    kept = [row for row in out if isinstance(row, Problem | Solution)]
    dropped = [row for row in out if isinstance(row, Dropped)]
    assert len(kept) + len(dropped) == len(out) == len(rows)
    return kept, dropped


def reasons(rows: list[Any], ctx: Context, **config: Any) -> list[str]:
    return [row.reason for row in split(rows, ctx, **config)[1]]


# --- questions ------------------------------------------------------------------------------------------------------


def test_dropped_row_names_what_it_repeats(ctx: Context) -> None:
    kept, dropped = split([problem("Add 2 and 3.", "5", "a"), problem("add  2 and $3$", "5.0", "b")], ctx)
    assert [row.id for row in kept] == ["a"]
    (row,) = dropped
    assert (row.stage, row.reason) == ("dedupe", "exact_question")
    assert row.detail == "repeats a by the same text (similarity 1.00)"
    assert Problem.model_validate(row.row).meta == {"dup_of": "a"}
    assert list(ctx.directory.iterdir()) == []


@pytest.mark.parametrize("answer", [None, "9"])
def test_number_changed_is_never_merged(ctx: Context, answer: str | None) -> None:
    rng = random.Random(3)
    rows, seen = [], set()
    for _ in range(60):
        numbers = tuple(rng.sample(range(2, 12), 3))
        if frozenset(numbers) not in seen:
            seen.add(frozenset(numbers))
            rows.append(problem(APPLES.format(*numbers), answer))
    assert reasons(rows, ctx) == []
    assert len(reasons(rows, ctx, numbers="ignore")) == len(rows) - 1


def test_swapped_numbers_are_another_problem_until_the_answer_is_known_to_be_equal(ctx: Context) -> None:
    one, other = APPLES.format(9, 8, 5), APPLES.format(8, 9, 5)
    third = APPLES.format(9, 5, 8)
    assert reasons([problem(one), problem(other)], ctx) == []
    assert reasons([problem(one, "12"), problem(other, "12"), problem(third, "6")], ctx) == ["near_question"]


def test_sign_changed_is_another_problem(ctx: Context) -> None:
    question = "Let r and s be the roots of x^2 {} 5x + 6 = 0. Find the sum of the squares of the two roots r and s."
    assert reasons([problem(question.format("-"), "13"), problem(question.format("+"), "13")], ctx) == []


def test_rephrased_question_with_equal_numbers_and_answer_is_near(ctx: Context) -> None:
    one, other = APPLES.format(9, 8, 5), RETOLD.format(9, 8, 5)
    _, (row,) = split([problem(one, "12", "a"), problem(other, "12", "b")], ctx)
    assert row.reason == "near_question"
    assert row.detail.startswith("repeats a by the same numbers and answer (similarity 0.")
    assert reasons([problem(one, "12"), problem(other, "13")], ctx) == []
    assert reasons([problem(one), problem(other)], ctx) == []
    assert reasons([problem(one, "12"), problem(other, "12")], ctx, problems="exact") == []


@pytest.mark.parametrize(
    "change",
    [
        ("Tom", "Sara"),
        ("picks", "gathers"),
        ("9", "nine"),
        ("apples on Monday", "apples  on Monday,"),
        ("picks", "ＰＩＣＫＳ"),
    ],
)
def test_renamed_reworded_respelled_with_the_answer_known(ctx: Context, change: tuple[str, str]) -> None:
    one = APPLES.format(9, 8, 5)
    assert len(reasons([problem(one, "12", "a"), problem(one.replace(*change), "12", "b")], ctx)) == 1


LONG = (
    "A farmer near the river keeps 14 cows and 23 sheep in a wide green field that is surrounded by a wooden fence. "
    "Every morning she walks around the field to {} her animals, and today she sees that 5 of the sheep have run away. "
    "How many animals are still {} in the field?"
)


def test_without_an_answer_one_synonym_is_near_but_not_in_the_last_words_or_a_telling_one(ctx: Context) -> None:
    base = LONG.format("count", "standing")
    assert reasons([problem(base), problem(LONG.format("inspect", "standing"))], ctx) == ["near_question"]
    assert reasons([problem(base), problem(LONG.format("count", "grazing"))], ctx) == []
    assert reasons([problem(base), problem(base.replace("Every morning", "Every day"))], ctx) == []
    assert reasons([problem(base), problem(LONG.format("inspect", "standing"))], ctx, strict_jaccard=0.99) == []


def test_near_text_with_answers_that_differ_is_no_repetition(ctx: Context) -> None:
    assert reasons([problem(LONG.format("count", "here"), "32"), problem(LONG.format("see", "here"), "31")], ctx) == []


def test_bare_label_is_no_answer_to_block_by(ctx: Context) -> None:
    one, other = MCQ.format("minimum", "true"), MCQ.format("slope", "true")
    assert reasons([problem(one, "C"), problem(other, "C")], ctx) == []
    respelled = one.replace("Consider", "Regard")
    assert reasons([problem(one, "C"), problem(respelled, "C")], ctx) == ["near_question"]


def test_few_numbers_need_more_common_words(ctx: Context) -> None:
    one = "Does the series of the terms in the given sequence have a limit of the sum, and what is the limit then?"
    other = "What is the limit of the terms in the sequence, and does the sum of the given series then have a limit?"
    assert reasons([problem(one, "1"), problem(other, "1")], ctx) == []
    assert reasons([problem(one, "1"), problem(other, "1")], ctx, min_numbers=0) == ["near_question"]


def test_seed_is_kept_before_its_rewrites(ctx: Context) -> None:
    seed = problem("Add 2 and 3.", "5", "z")
    rewrite = problem("Add 2 and 3?", "5", "a", parents=("z",), method="rephrase")
    kept, _ = split([rewrite, seed], ctx)
    assert [row.id for row in kept] == ["z"]


def test_a_rewrite_is_compared_with_its_seed_by_text_alone_unless_asked_otherwise(ctx: Context) -> None:
    seed = problem(APPLES.format(9, 8, 5), "12", "z")
    rewrite = problem(RETOLD.format(9, 8, 5), "12", "a", parents=("z",), method="rephrase")
    stranger = problem(RETOLD.format(9, 8, 5), "12", "b")
    assert reasons([seed, rewrite], ctx) == []
    assert reasons([seed, rewrite], ctx, rewrites="near") == ["near_question"]
    assert reasons([seed, stranger], ctx) == ["near_question"]


def test_no_chains_only_kept_rows_are_repeated(ctx: Context) -> None:
    sentence = "the small red hen eats corn in the old barn by 11 or 12 or 13 doors"
    words = sentence.split()
    rows = [
        problem(" ".join(f"new{n}" if i < n else word for i, word in enumerate(words)), "5", f"id{n:02d}")
        for n in range(11)
    ]
    kept, dropped = split(rows, ctx)
    assert {row.row["meta"]["dup_of"] for row in dropped} <= {row.id for row in kept}
    assert len(kept) > 1


def test_one_text_with_two_answers_is_dropped_as_a_conflict(ctx: Context) -> None:
    rows = [problem("Add 2 and 3.", "5", "a"), problem("add 2 and 3", "6", "b"), problem("Add 2 and 3", None, "c")]
    kept, dropped = split(rows, ctx)
    assert kept == []
    assert {row.reason for row in dropped} == {"answer_conflict"}
    assert [row.row["meta"]["dup_of"] for row in dropped] == ["b", "a", "a"]
    assert dropped[0].detail == "has the text of b, where the answer is '6'; here it is '5'"
    kept, dropped = split(rows, ctx, conflicts="keep")
    assert [row.id for row in kept] == ["a", "b"]
    assert [row.reason for row in dropped] == ["exact_question"]


def test_answers_that_cannot_be_compared_are_no_conflict_and_no_near_repetition(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ctx.grader, "same", lambda *_: None)
    assert reasons([problem("Add 2 and 3.", "5"), problem("add 2 and 3", "five things")], ctx) == ["exact_question"]
    assert reasons([problem(LONG.format("count", "here"), "32"), problem(LONG.format("see", "here"), "x")], ctx) == []


def test_given_answer_stands_against_a_voted_one(ctx: Context) -> None:
    rows = [problem("Add 2 and 3.", "6", "a", answer_source="vote"), problem("add 2 and 3", "5", "b")]
    kept, dropped = split(rows, ctx)
    assert [row.id for row in kept] == ["b"]
    assert [row.reason for row in dropped] == ["answer_conflict"]


def test_problems_off_keeps_all(ctx: Context) -> None:
    assert reasons([problem("Add 2 and 3.", "5"), problem("Add 2 and 3", "6")], ctx, problems="off") == []


def test_large_block_is_searched_by_an_index(ctx: Context) -> None:
    rng = random.Random(5)
    vocabulary = [f"word{chr(97 + i)}{chr(97 + j)}" for i in range(26) for j in range(12)]
    rows = [problem(" ".join([*rng.sample(vocabulary, 20), "3 4 5"]), "12", f"{n:04d}") for n in range(400)]
    copies = [problem(row.question.replace(row.question.split()[7], "changed"), "12", f"x{row.id}") for row in rows]
    kept, dropped = split([*copies, *rows], ctx)
    assert kept == rows
    assert all(row.row["id"] == "x" + row.row["meta"]["dup_of"] for row in dropped)


# --- solutions ------------------------------------------------------------------------------------------------------


def test_solutions_with_the_same_equations_keep_the_farthest(ctx: Context) -> None:
    short = solution("3 + 4 = 7, so it is 7.", 0)
    near = solution("3 + 4 = 7, so it's 7.", 1)
    far = solution("Let us count the pens and the cups together: there are 3 + 4 = 7 things here. The answer is 7.", 2)
    other = solution("2 * 4 = 8 and then 8 - 1 = 7.", 3)
    kept, dropped = split([short, near, far, other], ctx)
    assert kept == [far, other], "in input order"
    assert [(row.reason, row.row["meta"]["dup_of"]) for row in dropped] == [("same_equations", far.id)] * 2
    assert dropped[0].detail.startswith(f"repeats {far.id} by the same calculations (similarity 0.")


def test_solutions_with_the_same_text_keep_the_first_sample(ctx: Context) -> None:
    rows = [solution("It is  seven.", 5), solution("it is 7", 2), solution("We see 7 at once.", 3)]
    kept, dropped = split(rows, ctx)
    assert [row.seed for row in kept if isinstance(row, Solution)] == [2, 3]
    assert [row.reason for row in dropped] == ["exact_solution"]


def test_copy_of_a_loser_names_the_kept_row(ctx: Context) -> None:
    rows = [solution("3 + 4 = 7", 0), solution("3 + 4 = 7", 1), solution("All in all we have 3 + 4 = 7 of them", 2)]
    rows.append(solution("It is 7", 3))
    kept, dropped = split(rows, ctx)
    assert kept == rows[2:]
    assert {row.row["meta"]["dup_of"] for row in dropped} == {rows[2].id}


def test_equations_are_compared_within_a_problem_a_format_and_a_verdict(ctx: Context) -> None:
    wrong = Verdict(outcome="wrong", reason="differs", rule="exact")
    rows = [
        solution("3 + 4 = 7", 0),
        solution("So 3 + 4 = 7", 1, of="p2", question="What in all?"),
        solution("Now 3 + 4 = 7", 2, verdict=wrong, extracted="8"),
        solution("Here 3 + 4 = 7", 3, verdict=wrong, extracted="9"),
        solution("print(3 + 4 == 7)", 4, format="program"),
    ]
    assert reasons(rows, ctx) == []


def test_modes_for_solutions(ctx: Context) -> None:
    rows = [solution("3 + 4 = 7", 0), solution("So 3 + 4 = 7", 1), solution("so 3+4=7", 2)]
    assert sorted(reasons(rows, ctx)) == ["same_equations", "same_equations"]
    assert reasons(rows, ctx, solutions="exact") == ["exact_solution"]
    assert reasons(rows, ctx, solutions="off") == []


def test_solutions_of_a_repeated_question_go_with_it(ctx: Context) -> None:
    one, other = APPLES.format(9, 8, 5), RETOLD.format(9, 8, 5)
    rows = [
        solution(
            "9 + 8 = 17 and 17 - 5 = 12", 0, of="p2", question=other, answer="12", parents=("p1",), method="rephrase"
        ),
        solution("We get 12.", 0, of="p1", question=one, answer="12"),
        solution("It must be 12.", 1, of="p2", question=other, answer="12", parents=("p1",), method="rephrase"),
    ]
    kept, dropped = split(rows, ctx, rewrites="near")
    assert kept == [rows[1]]
    assert [(row.reason, row.row["meta"]["dup_of"]) for row in dropped] == [("near_question", "p1")] * 2
    assert reasons(rows, ctx, problems="off") == []


def test_solutions_to_one_text_with_two_answers_all_go(ctx: Context) -> None:
    rows = [
        solution("It is 7.", 0, answer_source="given"),
        solution("It is 8.", 0, of="p2", answer="8", answer_source="given"),
    ]
    kept, dropped = split(rows, ctx)
    assert kept == []
    assert [row.row["meta"]["dup_of"] for row in dropped] == ["p2", "p1"]


def test_problems_and_solutions_in_one_stream_are_refused(ctx: Context) -> None:
    with pytest.raises(RunError, match="row 2 is the other kind"):
        split([problem("Add 2 and 3."), solution("5")], ctx)


def test_nothing_in_nothing_out(ctx: Context) -> None:
    assert split([], ctx) == ([], [])


# --- order ----------------------------------------------------------------------------------------------------------


def test_what_is_kept_does_not_depend_on_the_order_of_the_input(ctx: Context) -> None:
    rng = random.Random(11)
    names, problems, solutions = ["Tom", "Sara", "Ali"], [], []
    for n in range(120):
        numbers = [rng.randint(2, 5) for _ in range(3)]
        text = rng.choice([APPLES, RETOLD]).format(*numbers).replace("Tom", rng.choice(names))
        answer = rng.choice([str(numbers[0] + numbers[1] - numbers[2]), None])
        problems.append(problem(text, answer, f"{n:03d}", parents=("x",) if n % 3 else ()))
    for n in range(60):
        text = rng.choice(["{0} + {1} = {2}", "Now {0} + {1} = {2}.", "We add: {0} + {1} = {2}", "It is {2}"])
        a = rng.randint(1, 3)
        solutions.append(solution(text.format(a, 7 - a, 7), n, of=f"p{n % 4}", question=f"Is it {n % 4}?"))
    for rows in (problems, solutions):
        expected = {row.id for row in split(rows, ctx)[0]}
        dropped = {(row.row["id"], row.reason, row.detail) for row in split(rows, ctx)[1]}
        assert 0 < len(expected) < len(rows)
        for _ in range(3):
            rng.shuffle(rows)
            kept, others = split(rows, ctx)
            assert {row.id for row in kept} == expected
            assert {(row.row["id"], row.reason, row.detail) for row in others} == dropped
            assert [row.id for row in kept] == [row.id for row in rows if row.id in expected]


def test_full_disk_is_one_clear_line(ctx: Context) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    from mathsynth.spool import Spool

    spool = Spool(ctx.directory)
    spool._file.close()
    spool._file = Path("/dev/full").open("w+b")  # noqa: SIM115
    spool.append(b"x")
    with pytest.raises(RunError, match="No space left on device; its rows need room"):
        spool.read(0)
    with pytest.raises(RunError):
        spool.__exit__()
