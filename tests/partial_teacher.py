"""A scripted model for `partial-programs`: programs of the seeds' own solutions, right, half right and right by chance.

Which one it writes goes by the sample number, as `KINDS` says; its programs come from the calculations of the seeds'
solutions, with names of their own in every other one.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from pathlib import Path

from mathsynth.backends.base import Request

SEEDS = Path(__file__).parents[1] / "data" / "seeds" / "grade_school.jsonl"
KINDS = ("half right", "right", "by chance", "prose")
_STEP = re.compile(r"(\d+(?:\.\d+)?) ?([-+*/×÷]) ?(\d+(?:\.\d+)?) ?= ?\$?(?:<<[^>]*>>)?(\d+(?:\.\d+)?)")
_SIGNS = {"×": "*", "÷": "/"}

Step = tuple[str, str, str, str]
"""Two numbers, the sign between them at index 1, and what they give."""


def usable() -> list[str]:
    """The seeds, as lines, whose answer is what the calculations of their solution end in, after two at least."""
    rows = [(line, json.loads(line)) for line in SEEDS.read_text().splitlines()]
    return [
        line for line, row in rows if len(found := _STEP.findall(row["solution"])) > 1 and found[-1][3] == row["answer"]
    ]


def reply(request: Request) -> str:
    """What the model says."""
    said = request.messages[-1]["content"]
    steps = _solutions()[said.removeprefix("Question: ").split("\n\n")[0]]
    if "One statement a line" not in said:
        return _fenced(_program(steps, "v"))
    kind = KINDS[request.sample % len(KINDS)]
    if kind == "prose":
        return "I would rather not."
    if kind == "right":
        return _fenced([*_program(steps, "w")[:-1], f"print(w{len(steps)} * 1)"])
    if kind == "half right":
        return _fenced([*_program(steps[:-1], "half")[:-1], f"off = half{len(steps) - 1} + 1000003", "print(off)"])
    return _fenced([f"chance = {steps[0][3]} * 1", "print(chance + 1000003)"])


def _program(steps: list[Step], name: str) -> list[str]:
    made: dict[str, str] = {}
    lines = []
    for number, (one, sign, other, result) in enumerate(steps, 1):
        lines.append(f"{name}{number} = {made.get(one, one)} {_SIGNS.get(sign, sign)} {made.get(other, other)}")
        made[result] = f"{name}{number}"
    return [*lines, f"print({name}{len(steps)})"]


def _fenced(lines: list[str]) -> str:
    return "\n".join(["```python", *lines, "```"])


@lru_cache
def _solutions() -> dict[str, list[Step]]:
    return {row["question"]: _STEP.findall(row["solution"]) for row in map(json.loads, usable())}
