"""A scripted teacher that knows the seeds and plays texts, programs and tool traces, right and wrong in all known ways.

    models.teacher.replies=tests/program_teacher.py:reply

What it does depends on the question, the sample number and the turn alone. It also invents problems (`Problem: …`),
of which it knows the answers; on some of them its texts and its programs disagree.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from mathsynth.backends.base import Reply, Request
from mathsynth.records import Usage
from mock_replies import chance

SEEDS = Path(__file__).parents[1] / "data" / "seeds" / "grade_school.jsonl"
KNOWN = {row["question"]: row for row in map(json.loads, SEEDS.read_text().splitlines())}
THINGS = "pens cups plums stamps tiles shells ropes maps".split()  # noqa: SIM905
PLACES = "market harbor library orchard station museum bakery workshop".split()  # noqa: SIM905

PROGRAMS = {
    "right": 50, "wrong": 12, "error": 6, "made_up": 6, "contradiction": 5, "print_only": 5, "tilde": 4, "cut": 4,
    "input": 3, "shell": 3, "no_output": 2, "timeout": 1,
}  # fmt: skip
TRACES = {
    "right": 28, "two_blocks": 12, "repaired": 12, "wrong": 10, "made_up": 8, "repeated": 5, "after_error": 5,
    "beside": 5, "long": 5, "endless": 3, "unsupported": 3, "input": 3, "shell": 3, "fences": 3, "cut": 3,
    "code_at_end": 3, "exits": 3, "buried": 3,
}  # fmt: skip
"""What it plays, and how often of all."""


def answer_to(question: str) -> str:
    """The right answer, of a seed or of a problem of its own."""
    if question in KNOWN:
        return str(KNOWN[question]["answer"])
    return str(sum(int(number) for number in re.findall(r"\d+", question)))


def reply(request: Request) -> Reply | str:
    """What it says."""
    said, sample = [message["content"] for message in request.messages], request.sample
    if "You write math problems" in said[0]:
        return _problem(said[-1])
    if "letting Python" in said[0]:
        return _finished(_trace(said[5], sample, (len(said) - 6) // 2))
    if "Write one Python program" in said[-1]:
        question = said[-1].split("Question: ", 1)[1].split("\n\nWrite one Python", 1)[0]
        return _finished(_program(question, sample))
    return _text(said[-1].split("\n\nSolve it step by step", 1)[0], sample)


def played(kinds: dict[str, int], name: str, question: str, sample: int) -> str:
    """Which of these it plays."""
    roll = chance(name, question, str(sample)) * sum(kinds.values())
    for kind, share in kinds.items():
        roll -= share
        if roll < 0:
            return kind
    raise AssertionError


def _problem(seed: str) -> str:
    a, b, c = (int(10 + 900 * chance(part, seed)) for part in "abc")
    thing, place = (words[int(len(words) * chance(words[0], seed))] for words in (THINGS, PLACES))
    return f"Problem: Ann sees {a} {thing} in the {place}, {b} on the road and {c} at home. How many {thing} is that?"


def _value(answer: str, off: int = 0, sample: int = 0) -> str:
    """An expression that calculates the answer, or one that is off by so much."""
    step = 2 + sample % 3
    number = re.fullmatch(r"\$?(\d+)(?:\.(\d+))?%?", answer)
    if number is None:
        return f"''.join(map(str, [{answer[:1]!r}, {answer[1:] + 'x' * bool(off)!r}]))"
    whole, rest = number[1], number[2] or ""
    total = int(whole + rest) + off
    return f"({total - step} + {step}) / {10 ** len(rest)}" if rest else f"{total - step} + {step}"


def _python(*lines: str, fence: str = "```", end: str = "\n") -> str:
    return end.join([f"{fence}python", *lines, fence])


def _program(question: str, sample: int) -> str:
    answer, kind = answer_to(question), played(PROGRAMS, "program", question, sample)
    value, wrong = _value(answer, 0, sample), _value(answer, 7)
    code = _python(f"x = {value}", "print(x)")
    return {
        "right": code,
        "wrong": _python(f"x = {wrong}", "print(x)"),
        "error": _python(f"x = {value}", "print(y)"),
        "made_up": f"{code}\n\n```output\n987654\n```\n\nThe answer is \\boxed{{987654}}.",
        "contradiction": f"The answer is \\boxed{{987654}}.\n\n{code}",
        "print_only": _python(f"print({answer!r})"),
        "tilde": _python(f"x = {value}", "print(x)", fence="~~~~", end="\r\n"),
        "cut": code[:-6] + "CUT",
        "input": _python("n = input()", f"print({value})"),
        "shell": _python("import os", "os.system('true')", f"print({value})"),
        "no_output": _python(f"x = {value}"),
        "timeout": _python("while True:", "    pass", "print(1 + 1)"),  # one text, so it is run once a step
    }[kind]


def _trace(question: str, sample: int, turn: int) -> str:
    answer, kind = answer_to(question), played(TRACES, "trace", question, sample)
    value, wrong = _value(answer, 0, sample), _value(answer, 7)
    code = "I let Python calculate.\n\n" + _python(f"x = {value}", "print(x)")
    final = f"The output gives the result, which is \\boxed{{{answer}}}."
    twice = "I calculate.\n\n" + _python(f"x = {value}", "print(undefined)")
    turns: Sequence[str] = {
        "right": [code, final],
        "two_blocks": ["I note it.\n\n" + _python(f"x = {value}"), "Now I show it.\n\n" + _python("print(x)"), final],
        "repaired": [twice, "The name is wrong; I correct it.\n\n" + _python(f"x = {value}", "print(x)"), final],
        "wrong": [_python(f"x = {wrong}", "x"), "The result is \\boxed{987654}."],
        "made_up": [f"{code}\n\n```output\n987654\n```\n\nSo it is \\boxed{{987654}}.\n\n{code}", final],
        "repeated": [twice, twice.replace("(undefined)", "( undefined )  # again"), final],
        "after_error": [code, twice, final],
        "beside": [f"The answer is \\boxed{{{answer}}}. I check it.\n\n{code}", final],
        "long": [_python("print('é```<|im_end|>' * 300)", f"print({value})"), final],
        "endless": [f"Once more.\n\n{_python(f'print({value}, {turn})')}"] * (turn + 1),
        "unsupported": [_python("print(1 + 1)"), final if answer != "2" else "It is \\boxed{987654}."],
        "input": [_python("n = int(input())", "print(n)"), final],
        "shell": [_python("import subprocess", "subprocess.run(['ls'])", f"print({value})"), final],
        "fences": [_python(f"x = {value}", "print(x)", fence="~~~~", end="\r\n"), final],
        "cut": [code[:-6] + "CUT"],
        "code_at_end": [code, f"{final}\n\n````\nprint(x)\n````"],
        "exits": [_python(f"print({value})", "exit()"), _python("print(987654)"), final],
        "buried": [_python(f"print([1, 2, 3, 4, 5, {value}])"), final],
    }[kind]
    return turns[min(turn, len(turns) - 1)]


def _text(question: str, sample: int) -> str:
    answer = answer_to(question)
    rate = 0.9 if chance("easy", question) < 0.6 else 0.2
    if question not in KNOWN:
        # Of its own problems it is sure, and on some surely wrong.
        answer = str(int(answer) + 10) if chance("text", question) < 0.2 else answer
        return f"First I look at what is there, then I add it all up. The answer is \\boxed{{{answer}}}."
    if chance("text", question, str(sample)) < rate:
        return f"{['Let us see.', 'We begin.', 'Step by step.'][sample % 3]} {KNOWN[question]['solution']}"
    return "I guess, since it seems to be so. The answer is \\boxed{987654}."


def _finished(text: str) -> Reply | str:
    if not text.endswith("CUT"):
        return text
    usage = Usage(prompt_tokens=100, completion_tokens=len(text.split()))
    return Reply(text=text.removesuffix("CUT"), finish_reason="length", usage=usage, model="scripted")
