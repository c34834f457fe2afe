"""One reference against one answer, cheap to dear: text, plain numbers, words, trees. `slow` allows many digits."""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache

from mathsynth.verifier.compare import Comparison
from mathsynth.verifier.expressions import NeedSlow
from mathsynth.verifier.guards import guard, peel
from mathsynth.verifier.normal import clean, key
from mathsynth.verifier.notations import as_constants, readings, unknown_call
from mathsynth.verifier.parse import parse
from mathsynth.verifier.policy import Policy
from mathsynth.verifier.tokens import Unparsed
from mathsynth.verifier.tree import Node, is_scalar, walk
from mathsynth.verifier.words import Finding, compare_words, plain, rewrite, words_of

_PLAIN = re.compile(r"[-+]?\d{1,300}(?:\.\d{1,300})?")
_FRACTION = re.compile(r"([-+]?)\\?[dt]?frac\{(-?\d{1,100})\}\{(-?\d{1,100})\}|([-+]?\d{1,100})/(\d{1,100})")


@lru_cache(maxsize=4096)
def _clean(text: str) -> str:
    return peel(rewrite(peel(clean(text))))


@lru_cache(maxsize=2048)
def _tree(cleaned: str, grouping: bool) -> Node | str:
    try:
        return parse(cleaned, grouping=grouping)
    except Unparsed as error:
        return str(error)


def _number(cleaned: str) -> Fraction | None:
    if _PLAIN.fullmatch(cleaned):
        return Fraction(cleaned)
    if match := _FRACTION.fullmatch(cleaned):
        top, bottom = int(match[2] or match[4]), int(match[3] or match[5])
        if bottom:
            return Fraction(-top if match[1] == "-" else top, bottom)
    return None


def judge(reference: str, answer: str, policy: Policy, *, slow: bool) -> Finding:
    """Whether two answers are equal. Raises `NeedSlow` where the fast path can't tell and `slow` is false."""
    try:
        return _judge(reference, answer, policy, slow)
    except (NeedSlow, RecursionError, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001 the boundary: a rule that fails on a model's text must not end a run
        return Finding(None, "error", f"{type(error).__name__}: {error}"[:200])


def _judge(reference: str, answer: str, policy: Policy, slow: bool) -> Finding:
    a, b = _clean(reference), _clean(answer)
    if reference.strip() == answer.strip() and reference.strip():
        return Finding(True, "identical", "the same text")
    if not a or not b:
        return Finding(None, "empty", "an empty text")
    number_a, number_b = _number(a), _number(b)
    if number_a is not None and number_b is not None and (number_a == number_b or not _recurs(number_a, number_b)):
        same = number_a == number_b
        return Finding(same, "exact rational", "the same number" if same else "another number")
    if a == b or key(a) == key(b):
        return Finding(True, "identical", "the same text")
    found = compare_words(a, b)
    if found is not None:
        return found
    refused = guard(a, slow) or guard(b, slow)
    if refused:
        if refused in ("nested", "long") and not slow:
            raise NeedSlow(refused)
        return Finding(None, "guard", f"not compared: {refused}")
    left, right = _tree(a, True), _tree(b, True)
    if isinstance(left, str) or isinstance(right, str):
        return _unread(a, b, left, right)
    found = Comparison(policy, slow).answers(left, right)
    if found.equal is False and ("," in a or "," in b):
        other_left, other_right = _tree(a, False), _tree(b, False)
        if (
            (other_left, other_right) != (left, right)
            and not isinstance(other_left, str)
            and not isinstance(other_right, str)
        ):
            again = Comparison(policy, slow).answers(other_left, other_right)
            if again.equal is not False:
                return Finding(None, "grouping", "a comma that groups digits or separates numbers")
    if found.equal is False:
        return (
            _reread(a, b, left, right, Comparison(policy, slow))
            or _reread(b, a, right, left, Comparison(policy, slow))
            or found
        )
    return found


def _reread(a: str, b: str, left: Node, right: Node, comparison: Comparison) -> Finding | None:
    """What to say of two answers that differ if another reading of the first makes them equal; else None."""
    for letters, tree, sure in as_constants(left, right) if re.search("[IjE]", a) else ():
        again = comparison.answers(tree, right)
        if again.equal is not False:
            return Finding((again.equal and sure) or None, "notation", f"equal if constants are meant by {letters}")
    for text in readings(a):
        read = _tree(text, True)
        if not isinstance(read, str) and comparison.answers(read, right).equal is not False:
            return Finding(None, "notation", f"equal if it means {text}"[:200])
    if ("(" in a or "[" in a) and (name := unknown_call(a, b, right)):
        return Finding(None, "notation", f"{name!r} is perhaps a function")
    return None


def _recurs(a: Fraction, b: Fraction) -> bool:
    """Whether one is a fraction without a finite decimal, so that a rounded decimal may stand for it."""
    return any(10**60 % n.denominator for n in (a, b)) and a.denominator != b.denominator


_DEFINITE = frozenset(("num", "neg", "div", "mul", "add", "pow", "qty", "pct", "deg"))


def _unread(a: str, b: str, left: Node | str, right: Node | str) -> Finding:
    """At least one side is no mathematics: only words that can be no number are called different."""
    words_a, words_b = words_of(a), words_of(b)
    for tree, words in ((left, words_b), (right, words_a)):
        if (
            not isinstance(tree, str)
            and words in _NO_NUMBER
            and is_scalar(tree)
            and all(part[0] in _DEFINITE for part in walk(tree))
        ):
            return Finding(False, "words", "a number and a word")
    if plain(a).lower().replace(" ", "") == plain(b).lower().replace(" ", "") and len(a) > 2 and words_a and words_b:
        return Finding(True, "words", "the same words")
    problem = left if isinstance(left, str) else right
    return Finding(None, "unread", f"not read: {problem}")


_NO_NUMBER = frozenset(("yes", "no", "true", "false", "undefined", "dne", "does not exist", "increasing", "decreasing"))
