"""Mask one number and ask for it, the answer being told (MetaMath's FOBAR); the gold answer is the masked number.

Needs no model: every maskable number of a question gives exactly one backward question. A token is maskable as in
MetaMath's code (methods.md 6a): it holds a digit and none of letters, line breaks, `( ) - * " + :`; number words from
its list count too, but not "one" (a pronoun) nor "fifth" (an order or a share: the gold would be a guess). A number
whose value does not matter makes a question that nothing can answer, so `sample` must confirm each one.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from mathsynth.methods import MethodConfig, child
from mathsynth.records import Dropped, Problem

if TYPE_CHECKING:
    from mathsynth.context import Context

_WORDS = {
    "two": "2",
    "three": "3",
    "four": "4",
    "five": "5",
    "six": "6",
    "seven": "7",
    "eight": "8",
    "nine": "9",
    "ten": "10",
    "twelve": "12",
    "sixteen": "16",
    "half": "1/2",
}
_REFUSED = re.compile(r"[A-Za-z\n()\-*\"+:\\{}^_=<>|]")
_NUMBER = re.compile(r"^(?P<before>[$€£]?)(?P<value>\d[\d,]*(?:\.\d+)?(?:/\d+)?)(?P<after>%?[.,;?!']*)$")


class Config(MethodConfig):
    """Backward questions."""

    max_per_seed: int | None = None
    """Backward questions of one seed at most, the first ones; all of them if empty."""

    def unsure(self) -> bool:
        """Yes: the value that was masked may not matter."""
        return True

    def makes(self) -> int:
        """As many as a question has numbers; `plan` takes 8 where nothing limits them."""
        return self.max_per_seed or 8


class Masked(NamedTuple):
    """One maskable number: the token as written, its value, its place among the question's words, the new text."""

    token: str
    value: str
    position: int
    question: str


def masks(question: str) -> list[Masked]:
    """Every maskable number of a question, in reading order."""
    words = question.split(" ")
    found = []
    for position, word in enumerate(words):
        bare = word.rstrip(".,;?!")
        if bare.lower() in _WORDS:
            before, value, after = "", _WORDS[bare.lower()], word[len(bare) :]
        elif not _REFUSED.search(word) and (match := _NUMBER.match(word)):
            before, value, after = match["before"], match["value"].replace(",", ""), match["after"]
        else:
            continue
        masked = " ".join([*words[:position], f"{before}x{after}", *words[position + 1 :]])
        found.append(Masked(word, value, position, masked))
    return found


async def make(seed: Problem, config: Config, model: str, ctx: Context) -> list[Problem | Dropped]:
    """The backward questions of one seed with a known answer. A seed that speaks of an x already gives none."""
    if seed.answer is None or re.search(r"\bx\b", seed.question):
        return []
    rows: list[Problem | Dropped] = []
    for mask in masks(seed.question)[: config.max_per_seed]:
        question = (
            f"{mask.question} If we know the answer to the above question is {seed.answer}, "
            "what is the value of the unknown number x?"
        )
        meta = {"confirm": True, "masked": mask.token, "value": mask.value, "position": mask.position}
        rows.append(child(seed, question, method="backward", answer=mask.value, meta=meta))
    return rows
