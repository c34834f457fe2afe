"""Answers against references: our own table, and the shared cases where they are present."""

import json
from pathlib import Path

import pytest

from mathsynth.verifier import GRADING, Checker, Policy, check

HERE = Path(__file__).parent
SHARED = HERE.parents[1] / "shared" / "cases"
OWN = [json.loads(line) for line in (HERE / "verifier_cases.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def checker():
    with Checker(Policy(accept=GRADING)) as ready:
        yield ready


def rows(name):
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{path} is not here")
    return [json.loads(line) for line in path.read_text().splitlines()]


def allowed(expected):
    return {"equal": ("correct",), "different": ("wrong", "undecided"), "undecided": ("undecided",)}[expected]


@pytest.mark.parametrize("kind", sorted({row["kind"] for row in OWN}))
def test_our_own_cases(checker, kind):
    for row in OWN:
        if row["kind"] == kind:
            verdict = checker.check_now(row["reference"], answer=row["answer"])
            assert verdict.outcome in allowed(row["expected"]), (row, verdict)
            turned = checker.check_now(row["answer"], answer=row["reference"])
            assert turned.outcome == verdict.outcome or verdict.rule == "named quantity", (row, verdict, turned)


def test_every_text_equals_itself(checker):
    for row in OWN:
        for text in (row["reference"], row["answer"]):
            assert checker.check_now(text, answer=text).outcome == "correct", text


def test_the_shared_cases(checker):
    wrong = []
    for row in rows("verify.jsonl"):
        verdict = checker.check_now(row["reference"], response=row.get("response"), answer=row.get("answer"))
        if (verdict.outcome == "correct") != (row["expected"] == "equal"):
            assert row["expected"] == "equal", f"a false correct: {row['id']} {verdict}"
            wrong.append(row["id"])
    assert len(wrong) <= 5, wrong


def test_shared_references_equal_themselves_and_the_order_is_nothing(checker):
    for row in rows("verify.jsonl"):
        reference = row["reference"]
        assert checker.check_now(reference, answer=reference).outcome == "correct", reference
        if "answer" in row and len(row["answer"]) < 400:
            one = checker.check_now(reference, answer=row["answer"])
            two = checker.check_now(row["answer"], answer=reference)
            assert one.outcome == two.outcome or one.rule == "named quantity", (row, one, two)


def test_the_seeds_equal_themselves_and_their_solutions(checker):
    for path in sorted((HERE.parent / "data" / "seeds").glob("*.jsonl")):
        for line in path.read_text().splitlines():
            row = json.loads(line)
            assert checker.check_now(row["answer"], answer=row["answer"]).outcome == "correct", row["answer"]
            if row.get("solution"):
                verdict = checker.check_now(row["answer"], response=row["solution"])
                assert verdict.outcome == "correct", (row["answer"], verdict)


@pytest.mark.parametrize(
    ("field", "value", "reference", "answer", "before", "after"),
    [
        ("percent", "strict", "28\\%", "28", "correct", "wrong"),
        ("units", "required", "5\\text{ cm}", "5", "correct", "undecided"),
        ("convert_units", True, "5 cm", "50 mm", "undecided", "correct"),
        ("convert_units", True, "\\$0.50", "50\\text{ cents}", "undecided", "correct"),
        ("convert_units", True, "3\\text{ hours}", "180\\text{ minutes}", "undecided", "correct"),
        ("convert_units", True, "2\\text{ km}", "200\\text{ m}", "wrong", "wrong"),
        ("degrees", "convert", "180^\\circ", "\\pi", "undecided", "correct"),
        ("ordered_lists", True, "1, 2", "2, 1", "correct", "wrong"),
        ("names", "strict", "x=5", "5", "correct", "undecided"),
        ("bases", "value", "204_5", "54", "undecided", "correct"),
        ("digits", 3, "\\frac{1}{3}", "0.333", "undecided", "correct"),
        ("digits", 8, "\\frac{1}{3}", "0.333333", "correct", "undecided"),
    ],
)
def test_each_field_of_the_policy_changes_what_it_says(field, value, reference, answer, before, after):
    assert check(reference, answer=answer).outcome == before
    assert check(reference, answer=answer, policy=Policy(**{field: value})).outcome == after


def test_what_was_read_from_the_last_line_is_no_row_by_default():
    response = "Adding both we find that the total is 72."
    verdict = check("72", response=response)
    assert (verdict.outcome, verdict.rule, verdict.extracted, verdict.how) == (
        "undecided", "extraction", "72", "last line")  # fmt: skip
    assert check("72", response=response, policy=Policy(accept=GRADING)).outcome == "correct"
    assert check("71", response=response).outcome == "wrong"


@pytest.mark.parametrize(
    ("response", "finish_reason", "outcome", "rule"),
    [
        ("I can't do this.", "stop", "wrong", "no_answer"),
        ("We get \\boxed{5}", "length", "undecided", "truncated"),
        ("<think>Perhaps \\boxed{5}, but", None, "undecided", "truncated"),
        ("<think>It is \\boxed{5}.</think>", "stop", "wrong", "no_answer"),
        ("So the sum is $3 +", None, "undecided", "truncated"),
        ("", "stop", "wrong", "no_answer"),
    ],
)
def test_responses_without_an_answer(response, finish_reason, outcome, rule):
    verdict = check("5", response=response, finish_reason=finish_reason)
    assert (verdict.outcome, verdict.rule, verdict.extracted) == (outcome, rule, None)
