"""Algebra that is provably wrong: a rewriting that can never hold, a solution that does not solve the line before it.

An equation with letters may be a condition (`2x + 3 = 3x + 5`), so most that are no identity stay unknown. Provable
are: both sides differ by a constant, or only by a factor; a square multiplied out without its middle term; a rewriting
that the words call one ("expanding", "factoring"); `2x = 14, so x = 8`.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from mathsynth.verifier.arithmetic.expressions import Expression, Node, Value, evaluate

_CLAIM = re.compile(
    r"\b(?:complet\w*\s+the\s+square|expand|factor|distribut|simplif|combin|multiply\w*\s+out|collect)\w*(?:\s+(?:it|this|as|to|the|square|product|quadratic|"
    r"expression|polynomial|numerator|denominator|out|we|get|gives?|like|terms|and|into|brackets?|parentheses))*[\s:,$*\\\[(]*$",
    re.I,
)
_FACTORED = re.compile(r"^\W{0,6}(?:=\s*0\b|.{0,40}\b(?:roots?|zeros?|factors?|factori\w+)\b)", re.I | re.S)
_NEVER = re.compile(
    r"\b(?:no\s+(?:real\s+)?(?:solutions?|values?|roots?|such)|inconsistent|contradict\w*|impossible|never|parallel|extraneous|"
    r"can(?:no|['’])t|not\s+possible|if\s+and\s+only\s+if|iff|implies|perpendicular|orthogonal|condition)\b|\\implies|\\iff|⇒",
    re.I,
)
_THEN = re.compile(
    r"\b(?:so|then|thus|hence|follows|therefore|giving|gives?|we\s+(?:get|have|find|obtain)|implies|means|yields|which)\b|\\implies|"
    r"\\Rightarrow|\\Longrightarrow|⇒|⟹|=>|→|∴|\\therefore",
    re.I,
)
_APART = re.compile(
    r"\b(?:or|either|case|if|suppose|let|when|for|try|trying|check|plug\w*|substitut\w*|other|another|similarly|also|whereas|but|not|"
    r"instead|original|new|second|while|minus|plus)\b|±|\\pm|\?|\\text\{\s*or|\\lor|\\quad",
    re.I,
)
_FUNCTION = re.compile(r"[A-Zf-hp-u]\(")
_FILLER = re.compile(
    r"(?:\b(?:so|then|thus|hence|therefore|giving|gives?|we|get|have|find|obtain|implies|means|yields|which|that|and|us|dividing|divide|both|"
    r"sides|by|adding|add|subtract\w*|from|to|each|side|multiply\w*|the|this|solving|finally|now|it|follows|simplif\w*|combin\w*|"
    r"value|of|is|\d+|[a-z])\b|\\[A-Za-z]+|\W)*",
    re.I,
)


@dataclass(slots=True)
class Condition:
    """A linear equation in one letter: what solves it, where it stands, how it was written (`weight`: operators)."""

    letter: str
    solution: Fraction
    start: int
    end: int
    weight: int
    operators: str
    places: int
    key: tuple[str, str]


def never_holds(a: Expression, b: Expression, off: Value | None, text: str, start: int, end: int) -> bool:
    """Whether an equation with letters that is no identity is a wrong rewriting."""
    letters = sorted((a.letters | b.letters) - {"π"})
    claimed = bool(_CLAIM.search(text[max(0, start - 80) : start]))
    if (
        not letters
        or _FUNCTION.search(a.text + b.text)
        or _speaks_of_conditions(text)
        or not (claimed or _reworked(a) or _is_product(b.tree))
    ):
        return False
    if off is not None and (claimed or len(a.text) > len(b.text)):
        return True
    if len(letters) == 1 and _only_a_factor(a, b, letters[0]):
        return True
    product, other = (a, b) if _is_product(a.tree) else (b, a)
    if _is_product(product.tree) and "(" not in other.text:
        if product.tree[0] == "^" and _only_at_zero(a, b, letters):
            return True
        if len(letters) == 1 and _same_top(a, b, letters):
            return claimed or (product is b and bool(_FACTORED.match(text[end : end + 60])))
    return claimed and bool(re.search(r"like\s+terms", text[max(0, start - 80) : start], re.I))


@lru_cache(maxsize=8)
def _speaks_of_conditions(text: str) -> bool:
    """Whether the text looks for solutions that may not exist, so that an impossible equation may be meant."""
    return bool(_NEVER.search(text))


def _reworked(a: Expression) -> bool:
    """Whether a side is more than a plain polynomial with each power once: there is something to do."""
    seen = [match[0] for match in re.finditer(r"[a-z](?:\^\d)?", a.text)]
    return bool(set(a.text) & set("(*/")) or len(seen) != len(set(seen))


def _is_product(tree: Node) -> bool:
    """Whether a tree is a product of sums or a power of one."""
    if tree[0] == "^":
        return isinstance(tree[1], tuple) and tree[1][0] in ("+", "-", "*")
    return tree[0] == "*" and any(isinstance(part, tuple) and part[0] in ("+", "-", "^") for part in tree[1:])


def _at(side: Expression, letters: list[str], value: int, zero: str = "") -> Fraction | None:
    points = {name: Fraction(value + 7 * i) for i, name in enumerate(letters)}
    if zero:
        points[zero] = Fraction(0)
    found = evaluate(side.tree, points)
    return found if isinstance(found, Fraction) else None


def _same_top(a: Expression, b: Expression, letters: list[str]) -> bool:
    """Whether two polynomials agree in degree and leading term: far out their quotient is one; no lines."""
    x, y, z = _at(a, letters, 10**9), _at(b, letters, 10**9), _at(a, letters, 2 * 10**9)
    if not x or not y or not z:
        return False
    return abs(x / y - 1) < Fraction(1, 10**6) and abs(z / x) > 3


def _only_a_factor(a: Expression, b: Expression, letter: str) -> bool:
    """Whether two monomials differ in their coefficient only: `(2x)^3 = 6x^3`."""
    ratios = []
    for value in (2, 3, 7):
        x, y = _at(a, [letter], value), _at(b, [letter], value)
        if not x or not y:
            return False
        ratios.append(x / y)
    zero_a, zero_b = _at(a, [letter], 0), _at(b, [letter], 0)
    if zero_a or zero_b or len(a.text) <= len(b.text):
        return False
    return len(set(ratios)) == 1 or _only_a_power(a, b, letter)


def _only_a_power(a: Expression, b: Expression, letter: str) -> bool:
    """Whether both are powers of the letter, the second one above the square: `x^3 * x^4 = x^12`."""
    values = [_at(side, [letter], value) for side in (a, b) for value in (2, 3)]
    logs = [round(math.log(abs(value), base)) for value, base in zip(values, (2, 3, 2, 3), strict=True) if value]
    powers = [Fraction(base) ** log for log, base in zip(logs, (2, 3, 2, 3), strict=False)]
    return powers == values and logs[0] == logs[1] and logs[2] == logs[3] > 2


def _only_at_zero(a: Expression, b: Expression, letters: list[str]) -> bool:
    """Whether the sides agree whenever one of the letters is zero: `(a+b)^2 = a^2 + b^2`."""
    return all(
        (x := _at(a, letters, 5, zero=name)) is not None and x == _at(b, letters, 5, zero=name) for name in letters
    )


def condition(a: Expression, b: Expression, start: int, end: int) -> Condition | None:
    """The linear equation in one letter that two sides make, if they do."""
    letters = (a.letters | b.letters) - {"π"}
    if len(letters) != 1 or a.readings | b.readings:
        return None
    (letter,) = letters
    if letter in ("e", "i") or _FUNCTION.search(a.text + b.text):
        return None
    offs = []
    for value in (0, 1, 2, 5):
        x, y = evaluate(a.tree, {letter: Fraction(value)}), evaluate(b.tree, {letter: Fraction(value)})
        if not isinstance(x, Fraction) or not isinstance(y, Fraction):
            return None
        offs.append(x - y)
    slope = offs[1] - offs[0]
    if not slope or offs[2] - offs[1] != slope or offs[3] - offs[2] != 3 * slope:
        return None
    solved = a.text == letter and not b.letters
    places = b.plain.places if solved and b.plain is not None else 0
    return Condition(
        letter, -offs[0] / slope, start, end, len(a.operators + b.operators), a.operators, places, (a.text, b.text)
    )


def contradicts(first: Condition, second: Condition, text: str) -> bool:
    """Whether `second` is drawn from `first`, standing right before it, and has another solution."""
    if first.letter != second.letter or not 0 <= second.start - first.end <= 90 or first.weight < second.weight:
        return False
    off = abs(first.solution - second.solution)
    if not off or not first.operators or (second.places and off < Fraction(1, 10**second.places)):
        return False
    gap = text[first.end : second.start]
    around = (
        text[max(text.rfind(".", 0, first.start), first.start - 60, 0) : first.start]
        + gap
        + text[second.end : second.end + 30]
    )
    if (
        _APART.search(around)
        or re.search(r"=(?!>)|[<≤≥≈]|(?<![=-])>|\d\s*[-+*/^·×÷]", gap)
        or not _FILLER.fullmatch(gap)
    ):
        return False
    if _THEN.search(gap):
        return True
    if re.fullmatch(r"\W*[,，]\W*", gap) and first.operators and not second.operators:
        return not re.match(r"\W*[,，]?\W*" + re.escape(first.letter) + r"\b", text[second.end : second.end + 30])
    return (
        bool(re.search(r"\n|\\\\", gap))
        and _alone(text, first)
        and _alone(text, second)
        and first.weight > second.weight
    )


def _alone(text: str, line: Condition) -> bool:
    """Whether an equation has its line, in a display or a list of lines, to itself."""
    start = max(text.rfind("\n", 0, line.start), text.rfind("\\\\", 0, line.start)) + 1
    ends = [at for at in (text.find("\n", line.end), text.find("\\\\", line.end)) if at >= 0]
    end = min(ends, default=len(text))
    return text[start:end].count("=") == 1 and "," not in text[start:end].rstrip(" ,")
