"""Whether one side of an equation has the value of the other: exactly, or as an approximation at its stated precision.

Takes parsed sides (`arithmetic`); knows nothing of the text around them. Where notation can be read in two ways, or
units may explain a difference, every reading gets its chance: "false" is only said when none of them holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Literal

from mathsynth.verifier.arithmetic.expressions import DIGITS, Expression, Value, evaluate, parse, real
from mathsynth.verifier.arithmetic.prose import Number, Token

Truth = Literal["true", "false", "unknown"]

CLOSE = Decimal("1e-40")
_PI_IN_USE = (Fraction(314, 100), Fraction(22, 7), Fraction(31416, 10000), Fraction(3142, 1000), Fraction(3))
_POINTS = (
    (Fraction(3, 7), Fraction(-5, 3), Fraction(11, 4), Fraction(7, 9), Fraction(-13, 6), Fraction(17, 5)),
    (Fraction(-19, 8), Fraction(23, 9), Fraction(5, 11), Fraction(-3, 4), Fraction(29, 7), Fraction(2, 13)),
    (Fraction(31, 6), Fraction(8, 5), Fraction(-7, 12), Fraction(37, 10), Fraction(9, 8), Fraction(-41, 9)),
)


@dataclass(frozen=True, slots=True)
class Judgement:
    """`exact` tells whether a true one holds to the last digit; `off` is right minus left where both have a value."""

    truth: Truth
    exact: bool = True
    off: Value | None = None


def judge(left: list[Token], right: list[Token], *, approximate: bool, rounded: set[Fraction]) -> Judgement:
    """The truth of left = right. `rounded` holds the values that the text has used as roundings so far."""
    a, b = parse(left), parse(right)
    if a is None or b is None:
        return Judgement("unknown")
    first = _judge(a, b, approximate, rounded)
    if first.truth != "false":
        return first
    for reading in sorted(a.readings | b.readings):
        if reading == "gap":
            return Judgement("unknown", off=first.off)
        if reading == "product" and reading in a.readings & b.readings:
            continue
        other_a, other_b = parse(left, reading), parse(right, reading)
        for x in (other_a, a):
            for y in (other_b, b):
                if x and y and _judge(x, y, approximate, rounded).truth == "true":
                    return Judgement("true", exact=False)
    return first


def _judge(a: Expression, b: Expression, approximate: bool, rounded: set[Fraction]) -> Judgement:
    if (a.letters | b.letters) - {"π"}:
        return _identity(a, b)
    x, y = evaluate(a.tree), evaluate(b.tree)
    if x is None or y is None:
        return Judgement("unknown")
    if same(x, y):
        return Judgement("true")
    if _near(a, b, x, y, approximate, rounded) or _near(b, a, y, x, approximate, rounded, turned=True):
        return Judgement("true", exact=False)
    if any(number.scale != 1 for number in a.numbers + b.numbers):
        x2, y2 = evaluate(a.tree, scaled=True), evaluate(b.tree, scaled=True)
        if x2 is not None and y2 is not None and same(x2, y2):
            return Judgement("true", exact=False)
    estimated = approximate and a.plain is None and b.plain is None
    if estimated or _unit_explains(a, b, x, y):
        return Judgement("unknown")
    return Judgement("false", off=difference(y, x))


def same(x: Value, y: Value) -> bool:
    """Whether two values are one: exactly for rationals, to 40 digits for others."""
    if isinstance(x, Fraction) and isinstance(y, Fraction):
        return x == y
    with localcontext() as context:
        context.prec = DIGITS + 10
        p, q = real(x), real(y)
        return abs(p - q) <= CLOSE * max(abs(p), abs(q), Decimal(1))


def difference(x: Value, y: Value) -> Value:
    """x - y, exact if both are."""
    if isinstance(x, Fraction) and isinstance(y, Fraction):
        return x - y
    with localcontext() as context:
        context.prec = DIGITS + 10
        return real(x) - real(y)


def _identity(a: Expression, b: Expression) -> Judgement:
    """An equation with letters: true if it holds at three points of both signs, else it may be a condition."""
    letters = sorted((a.letters | b.letters) - {"π"})
    if len(letters) > len(_POINTS[0]):
        return Judgement("unknown")
    offs: list[Value] = []
    for point in _POINTS:
        at = dict(zip(letters, point, strict=False))
        x, y = evaluate(a.tree, at), evaluate(b.tree, at)
        if x is None or y is None:
            return Judgement("unknown")
        offs.append(difference(y, x))
    if all(same(off, Fraction(0)) for off in offs):
        return Judgement("true")
    constant = offs[0] if all(same(off, offs[0]) for off in offs) else None
    return Judgement("unknown", off=constant)


def _size(value: Value) -> Fraction:
    return abs(value) if isinstance(value, Fraction) else abs(Fraction(value))


def _terminates(value: Value) -> bool:
    if not isinstance(value, Fraction):
        return False
    bottom = value.denominator
    for prime in (2, 5):
        while bottom % prime == 0:
            bottom //= prime
    return bottom == 1


def _step(number: Number, expression: Expression, loose: bool) -> Fraction:
    """What one unit in the last stated place of a literal is worth."""
    step = Fraction(1, 10**number.places)
    tree = expression.tree[1] if expression.tree[0] == "neg" else expression.tree
    percent = isinstance(tree, tuple) and tree[0] == "pct"
    if number.places == 0:
        if not percent and not loose:
            return Fraction(0)
        if loose and number.value.denominator == 1 and number.value and not percent:
            digits = str(abs(number.value.numerator))
            step = Fraction(10 ** (len(digits) - len(digits.rstrip("0"))))
    return step / 100 if percent else step


def _near(
    a: Expression, b: Expression, x: Value, y: Value, approximate: bool, rounded: set[Fraction], *, turned: bool = False
) -> bool:
    """Whether b states a's value as an approximation (ten places and more are a float that was printed).

    A plain decimal may be rounded or cut in its last place. Literals that the text uses as roundings carry half a unit
    of their last place through the calculation. An irrational or non-terminating value has no exact decimal, so
    decimals that b calculates with count as roundings too (not if `turned`, where b was written first).
    """
    irrational = not isinstance(x, Fraction)
    inexact = irrational or not _terminates(x)
    slack = _carried(a, x, rounded, everything=False) + _carried(b, y, rounded, everything=inexact and not turned)
    off, target = _size(difference(x, y)), b.plain
    mantissa, power = b.scientific
    if mantissa is not None:
        return bool(off <= Fraction(power) / 10**mantissa.places / 2 + slack)
    if target is None:
        if slack:
            return off <= slack
        return bool(approximate and a.plain is None and off <= _size(x) / 200)
    step = Fraction(1) if irrational and target.places == 0 else _step(target, b, approximate)
    if target.cut:
        step = Fraction(1, 10**target.places)
    if step and off <= step / 2 + slack:
        return True
    if target.places >= 10 and off <= _size(x) / 10**9:
        return True
    if step and _size(y) <= _size(x) < _size(y) + step and (x < 0) == (y < 0):
        return True
    if slack and off <= slack:
        return True
    if "π" in a.letters and "π" not in b.letters:
        for value in _PI_IN_USE:
            other = evaluate(a.tree, {"π": value})
            if other is not None and _size(difference(other, y)) <= step / 2:
                return True
    return bool(approximate and irrational and off <= _size(x) / 200)


def _carried(side: Expression, value: Value, rounded: set[Fraction], everything: bool) -> Fraction:
    total = Fraction(0)
    for number in side.numbers[:8]:
        if side.plain is number:
            continue
        fine = everything and abs(number.value) * 10**number.places >= 25
        if number.places and (fine or number.cut or number.places >= 4 or number.value in rounded):
            half = Fraction(1, 2 * 10**number.places)
        elif number.value in rounded:
            half = Fraction(1, 2)
        else:
            continue
        moved = evaluate(side.tree, shift=(number, half))
        if moved is not None:
            total += _size(difference(moved, value))
    return total * Fraction(21, 20)


_RATIOS = frozenset(
    Fraction(n)
    for n in (7, 10, 12, 16, 24, 25, 30, 36, 52, 60, 100, 144, 365, 1000, 1440, 1760, 3600, 5280, 10000, 1000000)
)


def _unit_explains(a: Expression, b: Expression, x: Value, y: Value) -> bool:
    """Whether different unit words on the two sides, or mixed units on one, may account for the difference."""
    for one, other in ((a, b), (b, a)):
        if "π" in one.letters and any(n.dimension == "angle" for n in other.numbers):
            return True
    left = {n.dimension: {m.scale for m in a.numbers if m.dimension == n.dimension} for n in a.numbers if n.dimension}
    if any(len(scales) > 1 for scales in left.values()) and set(a.operators) & {"+", "-"}:
        return True
    names = {(n.dimension, n.scale) for n in a.numbers if n.dimension}
    others = {(n.dimension, n.scale) for n in b.numbers if n.dimension}
    converted = names != others and {kind for kind, _ in names} & {kind for kind, _ in others}
    if converted and isinstance(x, Fraction) and isinstance(y, Fraction) and x and y:
        return x / y in _RATIOS or y / x in _RATIOS
    return False
