"""Numbers that carry something: a percent sign, a unit, a base, a ratio."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from mathsynth.verifier.matching import all_of, plain_number
from mathsynth.verifier.tree import Node, is_scalar, num, symbols, walk
from mathsynth.verifier.units import Unit, known_unit
from mathsynth.verifier.words import Finding

if TYPE_CHECKING:
    from mathsynth.verifier.compare import Comparison


def percent(c: Comparison, a: Node, b: Node) -> Finding:
    """28 % = 28 = 0.28; a dropped sign below one percent point is unclear."""
    if a[0] == b[0] == "pct":
        return c.single(a[1], b[1])
    sign, plain = (a, b) if a[0] == "pct" else (b, a)
    if not is_scalar(plain):
        return (
            quantity(c, sign[1], plain)
            if plain[0] == "qty" and not plain[2].dims
            else Finding(None, "kinds", "answers of different kinds")
        )
    exact = c.scalar(("div", sign[1], num(100)), plain)
    if exact.equal or c.policy.percent == "strict":
        return exact._replace(rule="percent")
    if symbols(sign[1]):
        return Finding(None, "percent", "a percent sign on an expression")
    dropped = c.scalar(sign[1], plain)
    if dropped.equal and c.inside:
        return Finding(None, "percent", "a percent sign more or less on one value of several")
    if dropped.equal:
        small = plain_number(sign[1])
        if small is not None and abs(small) < 1:
            return Finding(None, "percent", "a percent sign more or less on a number below one")
        return Finding(True, "percent", "the same number, the percent sign dropped")
    return Finding(False if exact.equal is False and dropped.equal is False else None, "percent", "another percentage")


def quantity(c: Comparison, a: Node, b: Node) -> Finding:
    """Numbers with units: a missing unit is no mistake, a contradicting one is."""
    (x, unit_x), (y, unit_y) = _amount(a), _amount(b)
    if unit_x is None or unit_y is None:
        found = c.single(x, y)
        if found.equal and c.policy.units == "required":
            return Finding(None, "units", "a unit is missing")
        lone = unit_x or unit_y
        if found.equal is False and lone is not None and lone.dims == (("angle", 1),):
            return angle(c, a, b, found)
        if found.equal is False and lone is not None and lone.label == "" and lone.dims == () and lone.size != 1:
            return Finding(None, "units", "a unit is missing")
        return found
    if unit_x == unit_y:
        return c.single(x, y)
    if unit_x.label or unit_y.label:
        found = c.single(x, y)
        return Finding(None, "units", "the same number of something else") if found.equal else found
    if unit_x.dims != unit_y.dims:
        if {unit_x, unit_y} == {known_unit("pound"), known_unit("£")}:
            return c.single(x, y)
        if {unit_x.dims, unit_y.dims} <= {(("angle", 1),), (("celsius", 1),), (("fahrenheit", 1),)} and (
            ("angle", 1),
        ) in (unit_x.dims, unit_y.dims):
            return c.single(x, y)
        return Finding(False, "units", "contradicting units")
    found = (
        c.scalar(("mul", (num(unit_x.size), x)), ("mul", (num(unit_y.size), y)))
        if is_scalar(x) and is_scalar(y)
        else Finding(None, "kinds", "answers of different kinds")
    )
    if found.equal and not c.policy.convert_units:
        return Finding(None, "units", "equal after converting the unit, which the policy does not allow")
    return found._replace(rule="units")


def angle(c: Comparison, a: Node, b: Node, plain: Finding) -> Finding:
    """180 degrees against pi."""
    x, y = (("deg", _amount(n)[0]) if _amount(n)[1] else n for n in (a, b))
    if not (is_scalar(x) and is_scalar(y)) or not any(part == ("const", "pi") for n in (a, b) for part in walk(n)):
        return plain
    found = c.scalar(x, y)
    if found.equal and c.policy.degrees == "apart":
        return Finding(None, "degrees", "the same angle in radians")
    return found if found.equal else plain


def based(c: Comparison, a: Node, b: Node) -> Finding:
    """Digits in a base: 204_5 is written, not computed."""
    if a[0] == b[0] == "base":
        if a[2] == b[2]:
            return Finding(a[1] == b[1], "base", "the same digits" if a[1] == b[1] else "other digits")
        value_a, value_b = _in_base(a), _in_base(b)
        if value_a is not None and value_a == value_b:
            return Finding(True if c.policy.bases == "value" else None, "base", "the same value in another base")
        return Finding(False, "base", "another base and another value")
    based, plain = (a, b) if a[0] == "base" else (b, a)
    value, number = _in_base(based), plain_number(plain)
    if value is None or number is None:
        return Finding(None, "kinds", "answers of different kinds")
    if number == value:
        return Finding(True if c.policy.bases == "value" else None, "base", "the value in base ten")
    if number == Fraction(int(based[1])):
        return Finding(None, "base", "the digits without their base")
    return Finding(False, "base", "another number")


def congruence(c: Comparison, a: Node, b: Node) -> Finding:
    """n = 6 mod 7: the same modulus, and values that differ by a multiple of it."""
    if a[0] != b[0] or len(a[1]) != 2 or len(b[1]) != 2:
        return Finding(None, "congruence", "a congruence and something else")
    names, moduli = c.answers(a[1][0], b[1][0]), c.answers(a[2], b[2])
    if names.equal is not True or moduli.equal is not True:
        unlike = False if moduli.equal is False else None
        return Finding(unlike, "congruence", "another modulus" if unlike is False else "about other things")
    values = [plain_number(x) for x in (a[1][1], b[1][1], a[2])]
    if any(v is None or v.denominator != 1 for v in values) or not values[2]:
        return c.answers(a[1][1], b[1][1])
    same = (values[0] - values[1]) % values[2] == 0  # type: ignore[operator]
    return Finding(same, "congruence", "the same class" if same else "another class")


def ratio(c: Comparison, a: Node, b: Node) -> Finding:
    """a : b : c up to a common factor; a : b is also the fraction a/b."""
    rows = [n[1] if n[0] == "ratio" else (n, num(1)) for n in (a, b)]
    if (a[0] != b[0] and len(rows[0]) != len(rows[1])) or not all(is_scalar(x) for row in rows for x in row):
        return (
            Finding(None, "kinds", "answers of different kinds")
            if a[0] != b[0]
            else Finding(None, "ratio", "a ratio of other things")
        )
    if len(rows[0]) != len(rows[1]):
        return Finding(False, "ratio", "another number of terms")
    if any(plain_number(x) == 0 for row in rows for x in row):
        return c.row(rows[0], rows[1], "ratio")
    parts = [
        c.scalar(("mul", (rows[0][0], rows[1][i])), ("mul", (rows[1][0], rows[0][i]))) for i in range(1, len(rows[0]))
    ]
    found = all_of(parts, "ratio")
    if found.equal and a[0] == b[0] and _clock_like(a) and _clock_like(b) and rows[0] != rows[1]:
        return Finding(None, "ratio", "two times of day or two ratios")
    return found


def _amount(node: Node) -> tuple[Node, Unit | None]:
    if node[0] == "qty":
        return node[1], node[2]
    if node[0] == "deg":
        return node[1], Unit(Fraction(1), (("angle", 1),))
    return node, None


def _in_base(node: Node) -> int | None:
    try:
        return int(node[1], node[2]) if 2 <= node[2] <= 36 else None
    except ValueError:
        return None


def _clock_like(node: Node) -> bool:
    terms = [plain_number(part) for part in node[1]]
    return (
        len(terms) == 2
        and all(t is not None and t.denominator == 1 for t in terms)
        and 0 <= (terms[0] or 0) < 24
        and 10 <= (terms[1] or 0) < 60
    )
