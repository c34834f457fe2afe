"""A scripted model that plays tutor and student over problems of `data/seeds`, and makes every mistake there is.

What goes wrong in sample 0 is the problem's number modulo the number of FAULTS; further samples go well.
"""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path

from mathsynth.backends.base import Reply, Request

SEEDS = Path(__file__).parents[1] / "data" / "seeds" / "grade_school.jsonl"
LINES = [line for line in SEEDS.read_text().splitlines() if json.loads(line)["answer"].isdigit()][:26]
ANSWERS = {json.loads(line)["question"]: int(json.loads(line)["answer"]) for line in LINES}
FAULTS = {
    "none": "",
    "decides in prose first": "",
    "program fails first": "",
    "never calculates": "",
    "breaks every form of speech once": "",
    "makes up a wrong answer": "wrong",
    "never finishes": "too_many_turns",
    "program always fails": "program_error",
    "program never prints": "no_output",
    "says what its program did not": "unsupported",
    "decides in prose": "bad_decision",
    "never boxes": "bad_turn",
    "cut": "truncated",
}
"""What goes wrong, and the rule by which it counts for nothing: `wrong` for whatever the verifier says."""
BREAKS = {
    "tutor-reply": ["Is it \\boxed{1}?", "Student: I know!", "```python\nprint(1 + 1)\n```"],
    "tutor-finish": ["That is all.", "Tutor: it is \\boxed{1}."],
    "student": ["", "It is \\boxed{1}."],
    "tutor-decide": ["FINISHED", "CALCULATE:", "ANSWER\nFINISH"],
    "tutor-code": ["print(1 + 1)", "```python\nprint(1 + 1)", "```python\nprint(5)\n```"],
}


def fault_of(question: str) -> str:
    return list(FAULTS)[list(ANSWERS).index(question) % len(FAULTS)]


def part_of(request: Request) -> str:
    """Whom the request asks."""
    system = request.messages[0]["content"]
    for words, part in (
        ("CALCULATE:", "tutor-decide"),
        ("in Python", "tutor-code"),
        ("You are a student", "student"),
        ("your last turn", "tutor-finish"),
    ):
        if words in system:
            return part
    return "tutor-reply"


def reply(request: Request) -> Reply | str:
    asked = request.messages[1]["content"]
    question = next(question for question in ANSWERS if question in asked)
    fault, part, tries = fault_of(question), part_of(request), (len(request.messages) - 2) // 2
    if request.sample:
        fault = "none"
    if fault == "cut" and part == "student":
        return Reply(text="I think", finish_reason="length")
    if fault == "breaks every form of speech once" and tries < 2:
        return next(islice(BREAKS[part], (tries + len(question)) % len(BREAKS[part]), None))
    return say(part, fault, tries, asked, ANSWERS[question])


def say(part: str, fault: str, tries: int, asked: str, answer: int) -> str:
    answer += fault == "makes up a wrong answer"
    student_turns = asked.count("Student: ")
    if part == "student":
        return "I would look at the first step." if "Student: " not in asked else "Then I know how to go on."
    if part == "tutor-decide":
        if fault == "decides in prose" or (fault == "decides in prose first" and not tries):
            return "I should CALCULATE: the sum."
        if student_turns == 2 and fault != "never finishes":
            return "FINISH"
        even = answer % 2 == 0
        calculates = student_turns == 1 or (even and not student_turns)
        return f"CALCULATE: step {student_turns}" if calculates and fault != "never calculates" else "ANSWER"
    if part == "tutor-code":
        if fault == "program always fails" or (fault == "program fails first" and not tries):
            return f"```python\nprint({answer} + nothing)  # {tries}\n```"
        if fault == "program never prints":
            return "```python\nx = 1 + 1\n```"
        off = fault == "says what its program did not"
        return f"I sum up.\n```python\nx = {answer - 1}\nprint('sum', x + {1 + off})\n```"
    if part == "tutor-finish" and fault != "never boxes":
        return f"You found each step yourself, well done. The answer is \\boxed{{{answer}}}."
    return ["Which quantity do we need first?", "Good. How does that give the rest?", "Go on."][min(student_turns, 2)]
