"""What a question written by a model must be before it may be asked. PURE.

The acceptance rules of methods.md 4a, 4b and 6a: the reply begins with the marker `Problem:`, holds one problem of at
most two sub-questions and no solution, differs from its source, and a rewrite that should keep the answer keeps every
number. Each rule has a name that is counted.
"""

from __future__ import annotations

import re
from collections import Counter
from difflib import SequenceMatcher

from rapidfuzz.distance import LCSseq

from mathsynth.similarity import tokens
from mathsynth.verifier import CUT

MARKER = "Problem:"
MAX_QUESTIONS = 2
MAX_GROWTH = 6
"""A rewrite longer than this many times its source (and 400 characters) is rambling."""

_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_PRONOUN = re.compile(r"\bone\b", re.IGNORECASE)
_SMALL = frozenset(
    "a an the there he she it they him her them his its their did does do is are was were".split()  # noqa: SIM905
)
"""Words whose coming and going doesn't change what is asked."""
_SOLUTION = re.compile(
    r"\\boxed|####|\bthe answer is\b|^\s*(?:\*\*)?(?:answer|solution)\b[^.?!]{0,20}:|\bstep 1\b|\blet'?s solve\b",
    re.IGNORECASE | re.MULTILINE,
)


def read_question(reply: str) -> str | None:
    """The question after the marker, None if the reply does not begin with it."""
    text = reply.strip().strip("*").lstrip()
    if not text.lower().startswith(MARKER.lower()):
        return None
    return text[len(MARKER) :].strip().strip("*").strip()


def fault(
    question: str | None, source: str, finish_reason: str, *, keeps_answer: bool, max_change: float = 1.0
) -> tuple[str, str] | None:
    """(reason, detail) why a written question is unusable, or None. `source` is the question that it was made from.

    With `max_change` below 1, at most this share of the source's words may be lost, and what is asked may differ only
    in words that were exchanged: a guard for small models, which keep the numbers and change the meaning.
    """
    if finish_reason in CUT:
        return "truncated", f"the reply was cut ({finish_reason})"
    if question is None:
        return "no_marker", f"the reply does not begin with {MARKER!r}"
    if not question:
        return "empty", "nothing after the marker"
    if _SOLUTION.search(question):
        return "has_solution", "the reply solves the problem too"
    asked = question.count("?")
    if asked > MAX_QUESTIONS or question.lower().count(MARKER.lower()):
        return "several_problems", f"{asked} questions, at most {MAX_QUESTIONS}"
    if not asked and not re.search(
        r"\b(?:find|compute|calculate|determine|evaluate|solve|simplify|how|what)\b", question, re.IGNORECASE
    ):
        return "no_question", "nothing is asked"
    if same_text(question, source):
        return "unchanged", "same text as its source"
    if len(question) > max(400, MAX_GROWTH * len(source)):
        return "too_long", f"{len(question)} characters from {len(source)}"
    if keeps_answer and (changed := _changed_numbers(question, source)):
        return "numbers_changed", changed
    if keeps_answer and max_change < 1:
        return _changed_meaning(question, source, max_change)
    return None


def same_text(one: str, other: str) -> bool:
    """Equal but for case, space and punctuation."""
    return re.sub(r"[\W_]+", "", one.lower()) == re.sub(r"[\W_]+", "", other.lower())


def numbers(text: str) -> Counter[str]:
    """The numbers of a text, in digits or words ("half" is one too). "one" is left out: it is a pronoun as well."""
    found = Counter(token for token in tokens(text) if _NUMBER.fullmatch(token))
    found["1"] -= len(_PRONOUN.findall(text))
    return +found


def _changed_numbers(question: str, source: str) -> str:
    before, after = numbers(source), numbers(question)
    lost, new = sorted((before - after).elements()), sorted((after - before).elements())
    parts = [f"lost {', '.join(lost)}"] * bool(lost) + [f"new {', '.join(new)}"] * bool(new)
    return "; ".join(parts)


def _changed_meaning(question: str, source: str, max_change: float) -> tuple[str, str] | None:
    told, asked = _told_and_asked(source)
    new_told, new_asked = _told_and_asked(question)
    lost = 1 - LCSseq.similarity(told, new_told) / max(len(told), 1)
    if lost > max_change:
        return "changed_too_much", f"{lost:.0%} of the words were lost (max_change {max_change:g})"
    for edit, start, end, new_start, new_end in SequenceMatcher(None, asked, new_asked, autojunk=False).get_opcodes():
        gone, new = set(asked[start:end]) - _SMALL, set(new_asked[new_start:new_end]) - _SMALL
        # An exchange is a new name for one thing: the new word is in the new story only, the old one in the old only.
        renamed = new <= set(new_told) - set(told) and not gone & set(new_told)
        if edit != "equal" and (bool(gone) != bool(new) or not renamed):
            return "asks_otherwise", f"asked {' '.join(asked)!r}, now {' '.join(new_asked)!r}"
    return None


def _told_and_asked(text: str) -> tuple[list[str], list[str]]:
    """The words of the story, and those of its last question."""
    story, _, asked = re.sub(r"[?\s]+$", "", text.lower()).rpartition(". ")
    return re.findall(r"\w+", story), re.findall(r"\w+", asked)
