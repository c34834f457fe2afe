"""What the mock server says: arithmetic solved rightly in a stated share, rewrites; a pure function of the request."""

from __future__ import annotations

import hashlib
import json
import re
from fractions import Fraction
from typing import Any

OPENINGS = ("Consider this.", "Here is a task.", "Read with care.", "A friend asks this.", "Try to work this out.")


def chance(*parts: object) -> float:
    """A number in [0, 1) that is the same for the same parts."""
    digest = hashlib.blake2b(json.dumps([str(part) for part in parts]).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def solve(text: str, known: dict[str, str]) -> tuple[str, str]:
    """(working, answer) for the last problem in a text: a known one, else its last two numbers."""
    best = max((question for question in known if question in text), key=len, default=None)
    if best is not None:
        answer = known[best]
        if re.fullmatch(r"\d+", answer):
            return f"Put the numbers together step by step: 1 + {int(answer) - 1} = {answer}.", answer
        return "Put the numbers of the problem together step by step, then simplify what is left.", answer
    if found := re.findall(r"(-?\d+)\s*([-+*/×÷])\s*(\d+)", text):
        first, sign, second = found[-1]
    else:
        numbers = re.findall(r"\d+", text)
        if len(numbers) < 2:
            return "There is nothing to compute.", numbers[0] if numbers else "0"
        first, second = numbers[-2:]
        sign = "+"
        if re.search(r"\b(left|gives? away|gave away|loses?|lost|eats?|fewer|spends?|remain)", text):
            sign = "-"
        elif re.search(r"\b(each|times|per|every)\b", text):
            sign = "*"
    a, b = int(first), int(second)
    if sign in "/÷" and b == 0:
        return "One cannot divide by 0.", "0"
    value = {"+": a + b, "-": a - b, "*": a * b, "×": a * b}.get(sign)
    answer = str(value) if value is not None else str(Fraction(a, b))
    return f"We have {a} {sign} {b} = {answer}.", answer


def unmask(text: str, known: dict[str, str]) -> str | None:
    """The number that a backward question masks with x, if it was made of a known problem."""
    words = text.split(" If we know the answer", 1)[0].split(" ")
    for question in known:
        whole = question.split(" ")
        if len(whole) == len(words):
            differ = [pair for pair in zip(whole, words, strict=True) if pair[0] != pair[1]]
            if len(differ) == 1 and differ[0][1].strip("$€£%.,;?!'") == "x":
                return "".join(re.findall(r"[\d./]+", differ[0][0].replace(",", ""))).strip(".") or None
    return None


def rewrite(text: str, system: str, seed: int) -> str:
    """A problem in other words; with other numbers unless the system prompt says to keep them."""
    question = re.split(r"(?:^|\n)(?:Model problem|Problem): ", text)[-1].strip()
    opening = OPENINGS[int(chance("opening", text, seed) * len(OPENINGS))]
    if "Keep every number" not in system:
        question = re.sub(
            r"\d+", lambda found: str(int(found[0]) + 1 + int(chance(found[0], text, seed) * 9)), question
        )
    return f"Problem: {opening} {question}"


def arithmetic(body: dict[str, Any], seed: int, right: float, known: dict[str, str]) -> str:
    """The default reply: right in a share of (message, seed), else off by a little; or a rewrite, if asked for."""
    text = next((m["content"] for m in reversed(body["messages"]) if m["role"] == "user"), "")
    system = body["messages"][0]["content"] if body["messages"][0]["role"] == "system" else ""
    if "`Problem:`" in system:
        return rewrite(text, system, seed)
    working, answer = solve(text, known)
    if "unknown number x" in text and (masked := unmask(text, known)):
        working, answer = "Going back from the answer gives x.", masked
    way = int(chance("way", text, seed) * 1000)
    if chance("right", text, seed) >= right:
        off = 1 + int(chance("off", text, seed) * 9)
        answer = str(int(answer) + off) if re.fullmatch(r"-?\d+", answer) else str(off)
        working = "Some step went wrong here."
    return f"Way {way}. {working}\nThe answer is \\boxed{{{answer}}}."
