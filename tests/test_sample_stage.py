"""Sampling end to end on the scripted backend: who gets how many samples, what is kept, what every problem cost."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
import yaml

from command_line import PROMPTS, Result, ms, read_lines, rows, write_lines
from mathsynth.records import Problem

ONE, TWO, THREE = "What is 1 + 1?", "What is 2 + 2?", "What is 3 + 3?"
FIELDS = {
    *("problem_id", "question", "answer", "answer_source", "method", "level", "topics", "model"),
    *("trials", "corrects", "wrong", "undecided", "failed", "truncated", "no_answer", "pass_rate"),
    *("target", "kept", "prompt_tokens", "completion_tokens", "solved", "reason"),
}


def says(answer: object) -> str:
    return f"We think about it. The answer is \\boxed{{{answer}}}."


class Sampled:
    """What `mathsynth sample` made of problems whose replies are given by sample number."""

    def __init__(
        self,
        folder: Path,
        replies: dict[str, list[str | dict[str, Any]]],
        answers: dict[str, str | None],
        max_in_flight: int = 4,
        meta: dict[str, Any] | None = None,
        **config: Any,
    ) -> None:
        folder.mkdir(exist_ok=True)
        (folder / "prompts").mkdir()
        (folder / "prompts" / "ask.md").write_text(PROMPTS["ask"])
        lines = [
            {"match": question, **(said if isinstance(said, dict) else {"reply": said})}
            for question, said_each in replies.items()
            for said in said_each
        ]
        teacher = {
            "backend": "scripted",
            "model": "words",
            "replies": str(write_lines(folder / "replies.jsonl", lines or [{"reply": "-", "match": "nothing"}])),
            "max_in_flight": max_in_flight,
        }
        steps = {"sample": {"prompt": "ask", **config}}
        recipe = {"input": "in.jsonl", "models": {"teacher": teacher}, "steps": steps, "seed": 5}
        (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
        problems = [
            Problem(
                question=question,
                answer=answer,
                answer_source=None if answer is None else "given",
                license="CC0-1.0",
                level=2,
                topics=("sums",),
                meta=meta or {},
            )
            for question, answer in answers.items()
        ]
        write_lines(folder / "in.jsonl", [problem.model_dump(mode="json") for problem in problems])
        self.out = folder / "out"
        self.done: Result = ms("sample", folder / "in.jsonl", "-o", self.out, "-r", folder / "recipe.yaml")
        assert self.done.code == 0, self.done.err
        self.rows = rows(self.out)
        self.ledger = {line["question"]: line for line in read_lines(self.out / "problems.jsonl")}
        self.dropped = {line["row"]["question"]: line for line in read_lines(self.out / "dropped.jsonl")}

    def kept(self, question: str = ONE) -> list[int]:
        """The sample numbers of the rows that were kept."""
        return [row["seed"] for row in self.rows if row["question"] == question]


# --- policies ------------------------------------------------------------------------------------------------------


def test_fixed_takes_so_many_samples_of_each_and_keeps_the_right_ones(tmp_path: Path) -> None:
    replies = {ONE: [says(2), says(3), says(2)], TWO: [says(5), says(5), says(5)]}
    found = Sampled(tmp_path, replies, {ONE: "2", TWO: "4"}, policy="fixed", k=3)
    assert found.kept(ONE) == [0, 2]
    assert [found.ledger[question]["trials"] for question in (ONE, TWO)] == [3, 3]
    assert [found.ledger[question]["pass_rate"] for question in (ONE, TWO)] == [2 / 3, 0]
    assert (found.dropped[TWO]["reason"], found.dropped[TWO]["detail"]) == (
        "unsolved",
        "no correct one in 3 samples (cap)",
    )


def test_uniform_stops_at_the_k_th_right_one_by_sample_number(tmp_path: Path) -> None:
    replies = {ONE: [says(3), says(2), says(4), says(2), says(2), says(2)], TWO: [says(4)], THREE: [says(7)]}
    found = Sampled(tmp_path, replies, {ONE: "2", TWO: "4", THREE: "6"}, policy="uniform", k=2, max_trials=7)
    assert (found.kept(ONE), found.kept(TWO), found.kept(THREE)) == ([1, 3], [0, 1], [])
    assert [found.ledger[q]["trials"] for q in (ONE, TWO, THREE)] == [4, 2, 7]
    assert [found.ledger[q]["corrects"] for q in (ONE, TWO, THREE)] == [2, 2, 0]
    assert [found.ledger[q]["reason"] for q in (ONE, TWO, THREE)] == ["target", "target", "unsolved"]
    assert [found.ledger[q]["solved"] for q in (ONE, TWO, THREE)] == [True, True, False]


def test_prop2diff_gives_the_harder_problem_more_rows(tmp_path: Path) -> None:
    # Of a pilot of four: none, two, three wrong; so f = 0, 1/2, 3/4 and the targets are 1, ceil(4 * 2/3) = 3, 4.
    replies = {
        ONE: [says(2)],
        TWO: [says(5), says(4), says(5), says(4)],
        THREE: [says(7), says(7), says(7), says(6)],
    }
    answers: dict[str, str | None] = {ONE: "2", TWO: "4", THREE: "6"}
    found = Sampled(tmp_path, replies, answers, policy="prop2diff", k=4, pilot=4, max_trials=40)
    assert [found.ledger[q]["target"] for q in answers] == [1, 3, 4]
    assert [len(found.kept(q)) for q in answers] == [1, 3, 4]
    assert found.kept(TWO) == [1, 3, 5]
    assert [found.ledger[q]["trials"] for q in answers] == [4, 6, 16]


def test_rows_do_not_depend_on_how_many_requests_are_under_way(tmp_path: Path) -> None:
    questions: dict[str, str | None] = {f"What is {n} + {n}?": str(2 * n) for n in range(1, 41)}
    replies = {q: [says(int(a or 0) + (n + i) % 3) for i in range(5)] for n, (q, a) in enumerate(questions.items())}
    one, many = (
        Sampled(tmp_path / str(n), replies, questions, n, policy="uniform", k=3, max_trials=9) for n in (1, 16)
    )
    assert (one.out / "00000.jsonl").read_bytes() == (many.out / "00000.jsonl").read_bytes()
    assert one.ledger == many.ledger


def test_rows_come_by_problem_then_by_sample_number(tmp_path: Path) -> None:
    questions: dict[str, str | None] = {f"What is {n} + 0?": str(n) for n in range(90, 0, -1)}
    replies: dict[str, Any] = {q: [says(a), says("9999")] for q, a in questions.items()}
    found = Sampled(tmp_path, replies, questions, k=2, max_trials=5)
    assert [row["question"] for row in found.rows] == [question for question in questions for _ in range(2)]
    assert all(found.kept(question) == [0, 2] for question in questions)
    assert list(found.ledger) == list(questions)


# --- what a row and the ledger say -----------------------------------------------------------------------------------


def test_a_row_says_where_it_is_from_and_what_it_cost(tmp_path: Path) -> None:
    config = {"policy": "fixed", "k": 1, "sampling": {"temperature": 0.1, "max_tokens": 33}}
    found = Sampled(tmp_path, {ONE: [says(2)]}, {ONE: "2"}, **config)
    (row,) = found.rows
    verdict = row["verdict"]
    assert (verdict["outcome"], verdict["extracted"], verdict["how"]) == ("correct", "2", "boxed")
    assert verdict["rule"]
    assert verdict["reason"]
    assert (row["response"], row["extracted"], row["finish_reason"], row["model"]) == (says(2), "2", "stop", "words")
    assert (row["sampling"]["temperature"], row["sampling"]["max_tokens"]) == (0.1, 33)
    assert row["usage"] == {"prompt_tokens": 6, "completion_tokens": 8}
    assert (row["license"], row["level"], row["topics"]) == ("CC0-1.0", 2, ["sums"])
    assert row["difficulty"] == {"pass_rate": 1.0, "trials": 1, "model": "words"}


def test_the_ledger_has_a_line_for_every_problem(tmp_path: Path) -> None:
    replies: dict[str, Any] = {
        ONE: [says(2), says(3), "Who knows?", {"reply": says(2), "finish_reason": "length"}, says(r"\text{dog}")],
        TWO: [says(9)],
    }
    found = Sampled(tmp_path, replies, {ONE: "2", TWO: "4"}, policy="fixed", k=5)
    line = found.ledger[ONE]
    assert set(line) == FIELDS
    assert (line["trials"], line["corrects"], line["truncated"], line["failed"]) == (5, 1, 1, 0)
    assert line["corrects"] + line["wrong"] + line["undecided"] + line["failed"] == line["trials"]
    assert (line["level"], line["topics"], line["model"]) == (2, ["sums"], "teacher")
    assert line["completion_tokens"] == sum(
        len(said["reply"].split() if isinstance(said, dict) else said.split()) for said in replies[ONE]
    )
    assert (found.ledger[TWO]["kept"], found.ledger[TWO]["pass_rate"]) == (0, 0)


@pytest.mark.parametrize("reason", ["length", "content_filter"])
def test_a_cut_reply_is_never_right(tmp_path: Path, reason: str) -> None:
    cut = {"reply": says(2), "finish_reason": reason}
    found = Sampled(tmp_path, {ONE: [cut, cut, says(2)]}, {ONE: "2"}, k=1, max_trials=3)
    assert found.kept() == [2]
    assert found.ledger[ONE]["truncated"] == 2
    only = Sampled(tmp_path / "only", {ONE: [cut]}, {ONE: "2"}, k=1, max_trials=3)
    assert (only.rows, only.dropped[ONE]["reason"]) == ([], "unsolved")


def test_wrong_and_undecided_samples_are_kept_apart_on_request(tmp_path: Path) -> None:
    replies: dict[str, Any] = {ONE: [says(3), says(2), "Who knows?", {"reply": says(2), "finish_reason": "length"}]}
    found = Sampled(tmp_path, replies, {ONE: "2"}, policy="fixed", k=4, keep_wrong=True)
    apart = read_lines(found.out / "rejected.jsonl")
    assert [(row["seed"], row["verdict"]["outcome"]) for row in apart] == [
        (0, "wrong"),
        (2, "undecided"),
        (3, "undecided"),
    ]
    assert apart[2]["verdict"]["rule"] == "truncated"
    assert [row["seed"] for row in found.rows] == [1]
    without = Sampled(tmp_path / "without", replies, {ONE: "2"}, policy="fixed", k=4)
    assert not (without.out / "rejected.jsonl").exists()
    assert without.rows == found.rows


# --- votes and confirmation ----------------------------------------------------------------------------------------


def test_equal_answers_are_one_vote_however_they_are_written(tmp_path: Path) -> None:
    replies: dict[str, Any] = {ONE: [says("1/2"), says("7"), says("0.5"), says(r"\frac{1}{2}"), "Who knows?"]}
    found = Sampled(tmp_path, replies, {ONE: None}, k=2, vote={"samples": 5})
    assert [row["seed"] for row in found.rows] == [0, 2]
    for row in found.rows:
        assert (row["answer"], row["answer_source"], row["verdict"]["outcome"]) == ("1/2", "vote", "correct")
        assert row["meta"]["vote"] == {"share": 0.75, "margin": 0.5, "voters": 4}
    line = found.ledger[ONE]
    assert (line["answer"], line["trials"], line["corrects"], line["no_answer"]) == ("1/2", 5, 3, 1)


@pytest.mark.parametrize(
    ("said", "vote", "reason"),
    [
        ([says(1), says(1), says(2), says(2)], {"min_votes": 1}, "no_agreement"),
        ([says(1), says(1), says(2), says(3)], {"min_votes": 3}, "no_agreement"),
        ([says(1), says(1), says(2), says(3)], {"min_votes": 2, "min_share": 0.6}, "no_agreement"),
        ([says(1), says(1), says(2), says(3)], {"min_votes": 2, "min_share": 0.5}, None),
        (["Who knows?"], {}, "no_answer"),
        ([{"reply": says(1), "finish_reason": "length"}], {}, "no_answer"),
        ([{"reply": says(1), "finish_reason": "content_filter"}], {}, "no_answer"),
    ],
)
def test_a_vote_that_is_not_clear_gives_no_answer(
    tmp_path: Path, said: list[Any], vote: dict[str, Any], reason: str | None
) -> None:
    found = Sampled(tmp_path, {ONE: said}, {ONE: None}, vote={"samples": 4, **vote})
    assert (found.dropped[ONE]["reason"] if found.dropped else None) == reason
    assert bool(found.rows) == (reason is None)
    if reason:
        assert found.dropped[ONE]["row"]["answer"] is None
        assert found.ledger[ONE]["answer"] is None


def test_a_vote_ends_once_no_sample_can_change_it(tmp_path: Path) -> None:
    replies: dict[str, Any] = {
        ONE: [says("1/2"), says("1/2"), "Who knows?", says("0.5"), says("1/2"), says("1/2"), says("1/2")],
        TWO: [says(n) for n in range(8)],
    }
    found = Sampled(tmp_path, replies, {ONE: None, TWO: None}, k=2)
    one, two = found.ledger[ONE], found.ledger[TWO]
    # Four of at most seven are one spelling; six that all differ leave two to come, and four are needed.
    assert (one["trials"], one["kept"], one["answer"], one["reason"]) == (6, 2, "1/2", "decided")
    assert (two["trials"], two["kept"], two["reason"]) == (6, 0, "no_agreement")
    assert found.kept(ONE) == [0, 1]
    whole = Sampled(tmp_path / "whole", replies, {ONE: None}, k=8)
    assert (whole.ledger[ONE]["trials"], whole.kept(ONE)) == (8, [0, 1, 3, 4, 5, 6, 7])


def test_rows_of_votes_do_not_depend_on_how_many_requests_are_under_way(tmp_path: Path) -> None:
    questions: dict[str, str | None] = {f"What is {n} + {n}?": None for n in range(1, 31)}
    replies: dict[str, Any] = {
        q: [says(answer) for answer in random.Random(q).choices("1112345", k=8)] for q in questions
    }
    one, many = (Sampled(tmp_path / str(n), replies, questions, n, k=2) for n in (1, 16))
    assert (one.out / "00000.jsonl").read_bytes() == (many.out / "00000.jsonl").read_bytes()
    assert one.ledger == many.ledger
    assert len({line["trials"] for line in one.ledger.values()}) > 2


@pytest.mark.parametrize(
    ("said", "confirm_votes", "confirmed"),
    [
        ([says(2), says(2)], 2, True),
        ([says(2), says(3), says(4), says(5)], 2, False),
        ([says(2), says(3), says(4), says(5)], 1, False),
        ([says(2), says(3), says(4), says(5)], 0, True),
        ([says(3), says(3), says(3), says(2), says(2)], 2, False),
        ([says(3), says(4), says(5), says(2), says(2)], 2, True),
    ],
)
def test_a_rewrite_counts_only_if_its_samples_confirm_the_answer(
    tmp_path: Path, said: list[Any], confirm_votes: int, confirmed: bool
) -> None:
    config = {"k": 2, "max_trials": len(said), "confirm_votes": confirm_votes}
    found = Sampled(tmp_path, {ONE: said}, {ONE: "2"}, meta={"confirm": True}, **config)
    assert bool(found.rows) == confirmed
    if not confirmed:
        assert found.dropped[ONE]["reason"] == "not_confirmed"
        assert f"needed: {confirm_votes}" in found.dropped[ONE]["detail"]
    plain = Sampled(tmp_path / "plain", {ONE: said}, {ONE: "2"}, **config)
    assert plain.rows


# --- limits and failures -------------------------------------------------------------------------------------------


def test_a_spent_token_budget_ends_every_problem_where_it_stands(tmp_path: Path) -> None:
    questions: dict[str, str | None] = {f"What is {n} + {n}?": str(2 * n) for n in range(1, 101)}
    replies: dict[str, Any] = {question: [says(answer)] for question, answer in questions.items()}
    found = Sampled(tmp_path, replies, questions, max_in_flight=1, k=4, token_budget=150)
    spent = sum(line["prompt_tokens"] + line["completion_tokens"] for line in found.ledger.values())
    # What was under way when the budget was spent is still counted.
    assert 150 <= spent < 150 + 14 * 10
    assert found.rows
    kept = {row["question"] for row in found.rows}
    assert kept | set(found.dropped) == set(questions)
    assert {line["reason"] for line in found.dropped.values()} == {"budget"}
    assert {line["reason"] for line in found.ledger.values()} <= {"target", "budget"}


FAILS_SOMETIMES = """
from mathsynth.errors import BackendError

def reply(request):
    if "1 + 1" in request.messages[-1]["content"] and request.sample == 1 or "2 + 2" in request.messages[-1]["content"]:
        raise BackendError("the cat bit the cable")
    return "We think about it. The answer is \\\\boxed{2}."
"""


def test_every_failed_sample_is_named(tmp_path: Path) -> None:
    (tmp_path / "cat.py").write_text(FAILS_SOMETIMES)
    write_lines(
        tmp_path / "in.jsonl",
        [
            {"schema": 1, "question": ONE, "answer": "2", "answer_source": "given"},
            {"schema": 1, "question": TWO, "answer": "4", "answer_source": "given"},
        ],
    )
    replies = json.dumps(f"{tmp_path / 'cat.py'}:reply")
    model = f"models.teacher={{backend: scripted, replies: {replies}, retries: 0}}"
    out = tmp_path / "out"
    done = ms("sample", tmp_path / "in.jsonl", "-o", out, "--set", model, "--set", "k=3", "--set", "max_trials=4")
    assert (done.code, done.err[: done.err.index(", pass rate")]) == (0, "sample: read 2, kept 3, failed 5 (model 5)")
    failed = read_lines(out / "failed.jsonl")
    assert [(row["row"]["question"], row["error"]) for row in failed] == [
        (ONE, "sample 1: the cat bit the cable"),
        *((TWO, f"sample {number}: the cat bit the cable") for number in range(4)),
    ]
    assert {(row["stage"], row["boundary"]) for row in failed} == {("sample", "model")}
    assert [row["seed"] for row in rows(out)] == [0, 2, 3]
    one, two = read_lines(out / "problems.jsonl")
    assert (one["trials"], one["failed"], one["corrects"], one["pass_rate"]) == (4, 1, 3, 1.0)
    assert (two["trials"], two["failed"], two["corrects"], two["pass_rate"]) == (4, 4, 0, None)
    assert read_lines(out / "dropped.jsonl") == []


def test_an_unknown_sampling_key_is_refused_before_anything_is_asked(tmp_path: Path) -> None:
    done = ms(
        *(
            "sample",
            write_lines(tmp_path / "in.jsonl", []),
            "-o",
            tmp_path / "out",
            "--set",
            "sampling={temprature: 1}",
        ),
        *("--set", "models.teacher={backend: scripted, replies: nothing.jsonl}"),
    )
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "unknown key 'temprature'; did you mean 'temperature'?" in done.err
