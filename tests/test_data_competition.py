r"""The competition seeds: their format, and every reference answer computed a second time.

`RECOMPUTED` finds each answer by another way than the solution in the file: brute force, exact enumeration or
sympy. A `str` must equal the stored LaTeX but for spaces; numbers and expressions are compared as values; a tuple
or set is compared part by part; a sympy `Eq` up to a constant factor.
"""

from __future__ import annotations

import cmath
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable
from fractions import Fraction as F
from functools import cache
from itertools import combinations, pairwise, permutations, product
from pathlib import Path
from typing import Any

import pytest
import sympy as sp
from sympy.parsing.sympy_parser import implicit_multiplication, parse_expr, standard_transformations

from mathsynth.records import Problem

ROWS = [
    json.loads(line)
    for line in (Path(__file__).parents[1] / "data/seeds/competition.jsonl").read_text("utf-8").splitlines()
]
BY_KEY = {row["meta"]["key"]: row for row in ROWS}
SUBJECTS = {"algebra", "counting", "number-theory", "geometry", "probability", "precalculus"}
x, y, z, k, n, p = sp.symbols("x y z k n p")
sqrt, pi, comb, R = sp.sqrt, sp.pi, math.comb, sp.Rational


# --- reading the LaTeX of this one file ---------------------------------------------------------------------------


def value(latex: str) -> Any:
    """The sympy expression of a LaTeX number or formula, as far as this file's answers go."""
    text = re.sub(r"\\text\{[^}]*\}(\^\d)?|\\left|\\right|\\,|\^\\circ|\\%", "", latex)
    text = re.sub(r"\\log_(\d+) (\d+)", r"(log(\2)/log(\1))", text)
    text = re.sub(r"\\ln (\d+)", r"log(\1)", text)
    text = re.sub(r"(\w)!", r"factorial(\1)", text)
    while (shorter := re.sub(r"\\frac\{([^{}]*)\}\{([^{}]*)\}", r"((\1)/(\2))", _innermost(text))) != text:
        text = shorter
    for old, new in ((r"\cdot", "*"), (r"\div", "/"), (r"\pi", " pi "), ("^", "**")):
        text = text.replace(old, new)
    text = re.sub(r"(?<![a-z])i(?![a-z])", " I ", text)
    names = {"n": n, "x": x, "y": y, "z": z, "k": k, "p": p}
    return parse_expr(text, names, (*standard_transformations, implicit_multiplication))


def _innermost(text: str) -> str:
    """The text with roots and braced exponents that hold no further braces put in round brackets."""
    text = re.sub(r"\\sqrt\{([^{}]*)\}", r" sqrt(\1)", text)
    return re.sub(r"\^\{([^{}]*)\}", r"^(\1)", text)


def parts(latex: str) -> list[str]:
    """The members of a tuple, set or list: the outer brackets off, cut at the commas."""
    return re.sub(r"^(\\left)?(\(|\\\{)|(\\right)?(\)|\\\})$", "", latex).split(",")


def as_set(latex: str) -> sp.Set:
    r"""An interval or a union of intervals (`\cup`) as a sympy set."""
    pieces = []
    for piece in latex.replace(r"\left", "").replace(r"\right", "").split(r"\cup"):
        low, high = (sp.oo if side == r"\infty" else value(side) for side in piece[1:-1].split(","))
        pieces.append(sp.Interval(low, high, piece[0] == "(", piece[-1] == ")"))
    return sp.Union(*pieces)


def as_matrix(latex: str) -> sp.Matrix:
    """A pmatrix as a sympy matrix."""
    body = latex.removeprefix(r"\begin{pmatrix}").removesuffix(r"\end{pmatrix}")
    return sp.Matrix([[value(cell) for cell in line.split("&")] for line in body.split(r"\\")])


def same(one: Any, other: Any) -> bool:
    """Whether two expressions are equal for sure."""
    return bool(sp.simplify(sp.sympify(one) - sp.sympify(other)) == 0)


def agrees(answer: str, expected: Any) -> bool:
    """Whether the stored LaTeX says what was computed."""
    if isinstance(expected, str):
        return answer.replace(" ", "") == expected.replace(" ", "")
    if isinstance(expected, sp.MatrixBase):
        return bool(as_matrix(answer) == expected)
    if isinstance(expected, sp.Set):
        return bool(as_set(answer) == expected)
    if isinstance(expected, sp.Eq):
        left, right = (value(side) for side in answer.split("="))
        return bool(sp.simplify((left - right) / (expected.lhs - expected.rhs)).is_number)
    if isinstance(expected, tuple | set):
        # Every set of this file holds integers, listed in increasing order.
        wanted = sorted(expected) if isinstance(expected, set) else expected
        return len(parts(answer)) == len(wanted) and all(map(same, map(value, parts(answer)), wanted))
    return same(value(answer), expected)


# --- the second computations --------------------------------------------------------------------------------------


def count(items: Iterable[Any], good: Callable[..., Any]) -> int:
    return sum(1 for item in items if good(item))


def chance(items: Iterable[Any], good: Callable[..., Any]) -> F:
    """The share of good items among equally likely ones."""
    space = list(items)
    return F(count(space, good), len(space))


def closed_form(text: str, numbers: list[Any], start: int = 1) -> str:
    """The formula in n, if its values from `start` on are these numbers."""
    assert all(value(text).subs(n, i) == number for i, number in enumerate(numbers, start))
    return text


@cache
def avoiding_paths(a: int, b: int) -> int:
    if min(a, b) < 0 or (a, b) in {(2, 2), (4, 3)}:
        return 0
    return 1 if a == b == 0 else avoiding_paths(a - 1, b) + avoiding_paths(a, b - 1)


@cache
def pairings(people: tuple[int, ...]) -> list[list[tuple[int, int]]]:
    if not people:
        return [[]]
    first, rest = people[0], people[1:]
    return [[(first, q), *more] for q in rest for more in pairings(tuple(r for r in rest if r != q))]


@cache
def coverings(length: int) -> int:
    return 1 if length == 0 else 2 * coverings(length - 1) + (3 * coverings(length - 2) if length > 1 else 0)


def adjacent_siblings(pairs: int) -> int:
    people = [i // 2 for i in range(2 * pairs)]
    return count(permutations(people), lambda s: all(s[2 * i] == s[2 * i + 1] for i in range(pairs)))


def colourings(length: int) -> int:
    return count(product(range(3), repeat=length), lambda s: all(a != b for a, b in pairwise(s)))


def one_between(people: int) -> F:
    return chance(permutations(range(people), 2), lambda s: abs(s[0] - s[1]) == 2)


def triangle_area(a: int, b: int, c: int) -> Any:
    """By the cosine rule, not by Heron's formula."""
    cos_c = R(a * a + b * b - c * c, 2 * a * b)
    return R(a * b, 2) * sqrt(1 - cos_c**2)


def area_ratio() -> Any:
    a, b, c = sp.Point(0, 0), sp.Point(1, 0), sp.Point(0, 1)
    d, e = b + (c - b) * R(2, 5), a + (c - a) * R(1, 3)
    f = sp.Line(a, d).intersection(sp.Line(b, e))[0]
    return abs(sp.Triangle(a, f, e).area / sp.Triangle(a, b, c).area)


def trapezoid_ratio() -> str:
    a, b, c, d = (sp.Point(*v) for v in ((0, 0), (4, 0), (11, 3), (1, 3)))
    share = abs(sp.Triangle(a, b, sp.Line(a, c).intersection(sp.Line(b, d))[0]).area / sp.Polygon(a, b, c, d).area)
    return f"{share.p}:{share.q}"


def bisector_length() -> Any:
    cos_a = R(36 + 81 - 100, 2 * 6 * 9)
    return 2 * R(6 * 9, 15) * sqrt((1 + cos_a) / 2)


def tangent_circle(centre: sp.Point, line: sp.Line) -> sp.Eq:
    return sp.Eq((x - centre.x) ** 2 + (y - centre.y) ** 2, line.projection(centre).distance(centre) ** 2)


def midheights(chord: int) -> list[int]:
    """The heights of the horizontal chords of this length in the circle of radius 25 about the origin."""
    return [h for h in range(-25, 26) if 4 * (25**2 - h**2) == chord**2]


def bisector_angle() -> Any:
    """Angle BDC of the triangle with B(-1, 0), C(1, 0) and A above the origin, in degrees, by coordinates."""
    b, c, a = -1, 1, 1j / math.tan(math.radians(24))
    d = (a * abs(c - b) + c * abs(a - b)) / (abs(a - b) + abs(c - b))
    return numeric(round(abs(math.degrees(cmath.phase((b - d) / (c - d)))), 9))


def right_triangle_sides(a: int, b: int) -> list[Any]:
    sides = sp.solve((a * a + b * b - x * x) * (a * a + x * x - b * b) * (b * b + x * x - a * a), x)
    return sorted(side for side in sides if side.is_positive)


def gap_radius() -> Any:
    """Centres (0, 3), (12, 12) and (x, y), where y is the third radius."""
    solutions = sp.solve([x**2 + (3 - y) ** 2 - (3 + y) ** 2, (12 - x) ** 2 + (12 - y) ** 2 - (12 + y) ** 2], [x, y])
    return min(radius for _, radius in solutions)


def sector(radius: Any) -> Any:
    """The area of a sector of 60 degrees, by integration over x."""
    rise = sp.integrate(sqrt(3) * x, (x, 0, radius / 2))
    return rise + sp.integrate(sqrt(radius**2 - x**2), (x, radius / 2, radius))


def residue(solutions: list[int]) -> str:
    (step,) = {b - a for a, b in pairwise(solutions)}
    return rf"n \equiv {solutions[0]} \pmod{{{step}}}"


def square_roots(real: int, imaginary: int) -> str:
    (a, b), *_ = ((a, b) for a in range(1, 9) for b in range(1, 9) if (a + b * 1j) ** 2 == complex(real, imaginary))
    return rf"\pm({a}+{b}i)"


def ruin() -> Any:
    h = sp.symbols("h0:6")
    steps = [h[i] - R(2, 3) * h[i + 1] - R(1, 3) * h[i - 1] for i in range(1, 5)]
    return sp.solve([h[0], h[5] - 1, *steps], h)[h[2]]


def waiting_time() -> Any:
    """Inverse of (identity - transitions) of the two unfinished states, summed over the first row."""
    return sum((sp.eye(2) - sp.Matrix([[R(2, 3), R(1, 3)], [R(2, 3), 0]])).inv().row(0))


def only(options: dict[str, Any], good: Callable[[Any], bool]) -> str:
    (letter,) = (name for name, option in options.items() if good(option))
    return rf"\text{{{letter}}}"


def likeliest() -> str:
    two_dice, tosses = product(range(1, 7), repeat=2), product((0, 1), repeat=4)
    options = {
        "A": chance(two_dice, lambda s: sum(s) == 7),
        "B": chance(tosses, lambda s: sum(s) >= 3),
        "C": chance(range(1, 21), lambda i: i % 3 == 0),
        "D": chance(product((0, 1), repeat=6), lambda s: sum(s) == 2),
    }
    return only(options, lambda chance: chance == max(options.values()))


def base(number: int, radix: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, radix)
        digits = str(digit) + digits
    return f"{digits}_{radix}"


def both_red(red: int) -> F:
    return chance(combinations(range(red + 6), 2), lambda s: max(s) < red)


def interval(good: Callable[[F], bool]) -> tuple[F, F]:
    """The first and last of the quarters from -30 to 30 that are good; there must be no gap."""
    inside = [F(i, 4) for i in range(-120, 121) if good(F(i, 4))]
    assert len(inside) == (inside[-1] - inside[0]) * 4 + 1
    return inside[0], inside[-1]


def real_roots(expression: Any) -> set[Any]:
    return set(sp.solveset(expression, x, sp.S.Reals))


def numeric(expression: Any) -> Any:
    """A number that 30 digits of the expression single out among fractions with small denominators."""
    guess = sp.nsimplify(sp.N(expression, 30), rational=True, tolerance=1e-20)
    assert guess.q < 1000
    return guess


RECOMPUTED: dict[str, Callable[[], Any]] = {
    "algebra-01": lambda: next(m for m in range(100) if 35 + 18 * m == 269),
    "algebra-02": lambda: sp.solve((2 * x - 3) / 5 - (x + 4) / 3 - x / 2, x)[0],
    "algebra-03": lambda: sp.Interval(*interval(lambda t: abs(2 * t - 7) <= t + 1)),
    "algebra-04": lambda: sp.solveset((x + 2) * (x - 5) / (x - 1) >= 0, x, sp.S.Reals),
    "algebra-05": lambda: sp.expand((2 * x - 3) ** 3 - (x + 1) * (8 * x**2 - 5)),
    "algebra-06": lambda: sp.solve([3 / x + 4 / y - 5, 6 / x - 2 / y], [x, y])[0],
    "algebra-07": lambda: real_roots((x**2 - 3 * x) ** 2 - 2 * (x**2 - 3 * x) - 8),
    "algebra-08": lambda: sqrt(R(numeric((sqrt(19 + 6 * sqrt(2)) + sqrt(19 - 6 * sqrt(2))) ** 2))),
    "algebra-09": lambda: r"\pm " + sp.latex(max(sp.solve(sp.discriminant(9 * x**2 + k * x + 5, x), k))),
    "algebra-10": lambda: 100 * (1 - F(125, 100) * F(88, 100) * F(80, 100)),
    "algebra-11": lambda: sp.factor(sp.summation((2 * k - 1) * (3 * k + 1), (k, 1, n))),
    "algebra-12": lambda: sp.interpolate([(t, t**2 + 1 - t**4) for t in (-2, -1, 1, 3)], x).subs(x, 0),
    "algebra-13": lambda: f"x>{interval(lambda t: 5 - 3 * (2 * t - 1) >= 2 * t + 24)[1]}",
    "algebra-14": lambda: sp.log(*(t for t in sp.solve(y**2 - 5 * y - 14, y) if t > 0), 3),
    "algebra-15": lambda: closed_form("3^n+2", [5, 11, 29, 83, 245]),
    "algebra-16": lambda: real_roots(x / (x - 4) - 4 / (x + 1) - 20 / (x**2 - 3 * x - 4)) or r"\text{no solution}",
    "algebra-17": lambda: next(f"{3 * b // 4}:{b}:{5 * b // 6}" for b in range(1, 99) if b % 4 == b % 6 == 0),
    "algebra-18": lambda: next(
        sp.simplify(a**2 + b**2) for a, b in sp.solve([x + y - 6, x**3 + y**3 - 90], [x, y]) if a.is_real
    ),
    "algebra-19": lambda: only(
        {"A": 3 * x - 4, "B": 2 * x + 5, "C": 2 * x - 5, "D": 6 * x - 5},
        lambda d: sp.rem(6 * x**2 - 7 * x - 20, d) == 0,
    ),
    "algebra-20": lambda: min(
        (9 / x + 16 / (7 - x)).subs(x, t) for t in sp.solve(sp.diff(9 / x + 16 / (7 - x), x), x) if 0 < t < 7
    ),
    "counting-01": lambda: count(product(range(5), range(6), range(4)), lambda s: s[0] or s[2]),
    "counting-02": lambda: count(set(permutations("COCONUT")), lambda w: not re.search("[OU][OU]", "".join(w))),
    "counting-03": lambda: count(
        map(str, range(1000, 10000)), lambda s: list(s) == sorted(set(s), reverse=True) and sum(map(int, s)) % 2 == 0
    ),
    "counting-04": lambda: avoiding_paths(6, 5),
    "counting-05": lambda: closed_form(r"3\cdot 2^{n-1}", [colourings(i) for i in range(1, 8)]),
    "counting-06": lambda: closed_form("2^n n!", [adjacent_siblings(i) for i in (1, 2, 3, 4)]),
    "counting-07": lambda: count(product(range(4), repeat=7), lambda f: len(set(f)) == 4),
    "counting-08": lambda: count(product(range(1, 18, 2), repeat=3), lambda s: sum(s) < 18),
    "counting-09": lambda: count(combinations(range(14), 2), lambda s: s[1] - s[0] not in (1, 7, 13)),
    "counting-10": lambda: count(permutations(range(6)), lambda s: sum(i == j for i, j in enumerate(s)) == 2),
    "counting-11": lambda: sp.Poly((2 - x**2) ** 2 * (1 + x) ** 8, x).coeff_monomial(x**6),
    "counting-12": lambda: count(permutations(range(6)), lambda f: all(f[f[i]] == i for i in range(6))),
    "counting-13": lambda: count(
        product(combinations(range(4), 2), combinations(range(6), 2)),
        lambda s: (s[0][1] - s[0][0]) * (s[1][1] - s[1][0]) % 2 == 0,
    ),
    # Cy has seat 0 and Dee seat 4; Ada and Bo have the first two of the permuted seats.
    "counting-14": lambda: count(permutations((1, 2, 3, 5, 6, 7)), lambda seat: abs(seat[0] - seat[1]) != 1),
    "counting-15": lambda: count(map("".join, product("abc", repeat=9)), lambda w: w.count("a") == w.count("ab")),
    "counting-16": lambda: (min(b := [i for i in range(28) if 31 + 27 - i <= 50 and i <= 31]), max(b)),
    "counting-17": lambda: {i for i in range(2, 8) if comb(12, i) == comb(12, 2 * i - 3)},
    "counting-18": lambda: closed_form(r"\frac{3^{n+1}+(-1)^n}{4}", [coverings(i) for i in range(1, 12)]),
    "number-theory-01": lambda: (7**85 + 3**58) % 10,
    "number-theory-02": lambda: base(int("463", 7) * 5, 7),
    "number-theory-03": lambda: next(i for i in range(1, 694) if (i % 7, i % 9, i % 11) == (4, 5, 3)),
    "number-theory-04": lambda: count(sp.divisors(12**4 * 15**3), lambda d: math.isqrt(d) ** 2 == d),
    "number-theory-05": lambda: {i for i in range(-99, 99) if i != -3 and (i * i + 2) % (i + 3) == 0},
    "number-theory-06": lambda: ",".join(
        f"({a},{b})" for a in range(1, 99) for b in range(1, 99) if a * b - 3 * a - 5 * b == 4
    ),
    "number-theory-07": lambda: next(i for i in range(999) if math.factorial(300) % 12 ** (i + 1)),
    "number-theory-08": lambda: sp.n_order(10, 119),
    "number-theory-09": lambda: max(set(range(300)) - {9 * a + 13 * b for a in range(40) for b in range(40)}),
    "number-theory-10": lambda: {i for i in range(1, 500) if math.isqrt(i * i + 40 * i) ** 2 == i * i + 40 * i},
    "number-theory-11": lambda: math.gcd(2**18 - 1, 2**30 - 1),
    "number-theory-12": lambda: r"\cdot".join(
        f"{q}^{e}" if e > 1 else f"{q}" for q, e in sp.factorint(7**6 - 1).items()
    ),
    "number-theory-13": lambda: next(i for i in range(97) if 35 * i % 97 == 1),
    "number-theory-14": lambda: residue([i for i in range(99) if (6 * i - 15) % 21 == 0]),
    "number-theory-15": lambda: sum(i for i in range(84) if math.gcd(i, 84) == 1),
    "number-theory-16": lambda: next(s for s in combinations(sp.primerange(60), 3) if math.prod(s) == 19 * sum(s)),
    "number-theory-17": lambda: only({"A": 72613, "B": 48195, "C": 50742, "D": 63921}, lambda i: i % 11 == 0),
    "number-theory-18": lambda: next(i for i in range(99) if comb(400, 150) % 7 ** (i + 1)),
    "geometry-01": lambda: next(w * (2 * w + 5) for w in range(99) if 2 * (w + 2 * w + 5) == 46),
    "geometry-02": lambda: 180 - min(F(180 * i, 3 + 5 + 7) for i in (3, 5, 7)),
    "geometry-03": lambda: triangle_area(6, 7, 9),
    "geometry-04": lambda: tangent_circle(sp.Point(3, -2), sp.Line(sp.Point(7, 0), sp.Point(3, 3))),
    "geometry-05": lambda: sp.Eq(sp.expand((x - 1) ** 2 + (y - 6) ** 2 - (x - 7) ** 2 - (y - 2) ** 2), 0),
    "geometry-06": lambda: 4 * sp.integrate(sqrt(36 - x**2), (x, 3, 6)),
    "geometry-07": area_ratio,
    "geometry-08": lambda: sp.integrate(pi * (R(9, 12) * x) ** 2, (x, 0, sqrt(15**2 - 9**2))),
    "geometry-09": lambda: 2 * triangle_area(13, 20, 21) / (13 + 20 + 21),
    "geometry-10": lambda: tuple(sp.Point(5, 1).reflect(sp.Line(sp.Point(0, 0), sp.Point(1, 2)))),
    "geometry-11": lambda: tuple(sorted({abs(a - b) for a in midheights(14) for b in midheights(48)})),
    "geometry-12": trapezoid_ratio,
    "geometry-13": lambda: sp.solve(sqrt(18 + (6 - x) ** 2) - x, x)[0],
    "geometry-14": lambda: sp.integrate(R(2, 3) * (12 - x), (x, 0, 12)) * 2,
    "geometry-15": lambda: sp.sqrtdenest(sqrt(4**2 + 4**2 - 2 * 4 * 4 * sp.cos(pi / 6))),
    "geometry-16": lambda: sp.Plane((2, 0, 0), (0, 3, 0), (0, 0, 6)).distance(sp.Point(3, 2, 1)),
    "geometry-17": bisector_angle,
    "geometry-18": bisector_length,
    "geometry-19": lambda: sp.Interval.open(*right_triangle_sides(5, 9)),
    "geometry-20": gap_radius,
    "probability-01": lambda: chance(combinations("R" * 5 + "G" * 7 + "B" * 3, 2), lambda s: s[0] != s[1]),
    "probability-02": lambda: 100 * chance(product(range(5), repeat=3), lambda s: sum(i < 3 for i in s) == 2),
    "probability-03": lambda: chance(product(range(1, 9), repeat=2), lambda s: s[0] * s[1] % 6 == 0),
    "probability-04": lambda: chance(
        (c for c, *faces in product(range(5), *[(0, 1)] * 3) if c > 2 or all(faces)), lambda c: c > 2
    ),
    "probability-05": lambda: F(sum(max(s) for s in product(range(1, 5), repeat=3)), 4**3),
    "probability-06": lambda: sp.integrate(sp.integrate(1, (y, 7 - x, 6)), (x, 1, 4)) / 24,
    "probability-07": lambda: 1 - 3 * sector(sqrt(3)) / sp.integrate(2 * sqrt(3) * x, (x, 0, 3)),
    "probability-08": ruin,
    "probability-09": lambda: "{0.numerator}:{0.denominator}".format(
        F(count(range(1, 41), sp.isprime), count(range(1, 41), lambda i: not sp.isprime(i)))
    ),
    "probability-10": lambda: 1 - F(65, 100) * F(4, 10),
    "probability-11": lambda: closed_form(r"\frac{2(n-2)}{n(n-1)}", [one_between(i) for i in range(3, 20)], 3),
    "probability-12": lambda: chance(pairings(tuple(range(8))), lambda s: all(a // 2 != b // 2 for a, b in s)),
    "probability-13": lambda: sum(p**3 * (1 - p) for s in product((0, 1), repeat=4) if sum(s) == 3 and sum(s[:3]) == 2),
    "probability-14": waiting_time,
    "probability-15": lambda: chance(combinations("W" * 6 + "M" * 5, 4), lambda s: len(set(s)) == 2),
    "probability-16": lambda: chance(range(1, 901), lambda i: sp.divisor_count(i) % 2 and i % 3),
    "probability-17": lambda: f"r\\ge{next(r for r in range(2, 99) if both_red(r) > F(1, 2))}",
    "probability-18": likeliest,
    "precalculus-01": lambda: sp.expand_complex((3 - 2 * sp.I) * (1 + 4 * sp.I) / (1 + sp.I)),
    "precalculus-02": lambda: square_roots(-21, 20),
    "precalculus-03": lambda: sp.Matrix([[4, 7], [1, 2]]).inv(),
    "precalculus-04": lambda: sp.Matrix([5, 1, -2]).project(sp.Matrix([2, -1, 2])),
    "precalculus-05": lambda: tuple(
        sorted(sp.solveset(2 * sp.cos(x) ** 2 + 3 * sp.sin(x), x, sp.Interval.Ropen(0, 2 * pi)))
    ),
    "precalculus-06": lambda: sp.expand_trig(sp.cos(sp.asin(R(1, 3)) + sp.atan(2))),
    "precalculus-07": lambda: (
        sp.solveset(6 + x - x**2 >= 0, x, sp.S.Reals) & sp.Interval.open(0, sp.oo) - sp.FiniteSet(1)
    ),
    "precalculus-08": lambda: sp.solve((3 * y - 1) / (y + 4) - x, y)[0],
    "precalculus-09": lambda: (abs(-3 * sqrt(3) + 3 * sp.I), sp.arg(-3 * sqrt(3) + 3 * sp.I)),
    "precalculus-10": lambda: sp.Eq(sp.expand((x - 2) ** 2 + (y - 3) ** 2 - (y + 1) ** 2), 0),
    "precalculus-11": lambda: sp.expand((1 - sp.I * sqrt(3)) ** 10),
    "precalculus-12": lambda: sp.Interval(
        *sorted((5 * sp.sin(t) + 12 * sp.cos(t) - 4).simplify() for t in (sp.atan(R(5, 12)), sp.atan(R(5, 12)) + pi))
    ),
    "precalculus-13": lambda: numeric(sum(sp.cos(pi * i / 7) ** 2 for i in range(1, 7))),
    "precalculus-14": lambda: sp.expand(sp.Matrix([[1, k, 2], [k, 1, 0], [3, 2, 1]]).det()),
    "precalculus-15": lambda: numeric(sum(R(2 * i + 1, 3**i) for i in range(90))),
    "precalculus-16": lambda: sp.Eq(y, sp.div(2 * x**3 - 5 * x**2 + 3, x**2 + 2)[0]),
    "precalculus-17": lambda: next(
        i for i in range(1, 360) if abs(math.sin(math.radians(3 * i)) - math.cos(math.radians(i + 10))) < 1e-12
    ),
    "precalculus-18": lambda: sp.Eq(sp.Matrix([(x, y, z, 1), (1, 0, 2, 1), (3, 1, 1, 1), (2, -1, 4, 1)]).det(), 0),
    "precalculus-19": lambda: sp.solve(3 ** (x / 5) - 20, x)[0],
    "precalculus-20": lambda: sp.resultant(sum(x**i for i in range(9)), 2 - x, x),
    "precalculus-21": lambda: r"\text{even}" if sp.simplify((g := x**3 / (2**x - 2**-x)) - g.subs(x, -x)) == 0 else "?",
}


# --- the tests ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", RECOMPUTED)
def test_reference_is_recomputed(key: str) -> None:
    expected = RECOMPUTED[key]()
    assert agrees(BY_KEY[key]["answer"], expected), f"stored {BY_KEY[key]['answer']}, computed {expected}"


def test_a_wrong_reference_would_be_seen() -> None:
    assert not agrees("14", 13)
    assert not agrees("[2,8)", sp.Interval(2, 8))
    assert not agrees("(1,3)", (3, 1))
    assert not agrees(r"\{3,5,7\}", {3, 5})
    assert not agrees("y=2x+5", sp.Eq(y, 2 * x - 5))
    assert not agrees(r"\frac{5}{9}", F(1, 9))


def test_every_row_is_a_problem_record() -> None:
    for row in ROWS:
        problem = Problem.model_validate(row)
        assert problem.answer_source == "given" and problem.method == "seed"
        assert problem.source == "mathsynth-seeds" and problem.license == "CC-BY-4.0"
        assert problem.level in {1, 2, 3, 4, 5}
        assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", topic) for topic in problem.topics), problem.topics


def test_every_solution_ends_in_the_boxed_answer() -> None:
    for row in ROWS:
        assert row["solution"].endswith(rf"$\boxed{{{row['answer']}}}$"), row["meta"]["key"]
        assert row["solution"].count(r"\boxed") == 1
        for text in (row["question"], row["solution"]):
            assert len(re.findall(r"(?<!\\)\$", text)) % 2 == 0, row["meta"]["key"]
            assert text.count("{") == text.count("}")


def test_subjects_levels_and_forms_are_varied() -> None:
    subjects = Counter(row["topics"][0] for row in ROWS)
    assert set(subjects) == SUBJECTS and min(subjects.values()) >= 15 and len(ROWS) >= 94
    assert len({row["meta"]["form"] for row in ROWS}) >= 15
    assert {row["level"] for row in ROWS} == {1, 2, 3, 4, 5}
    assert len(BY_KEY) == len(ROWS) == len({row["question"] for row in ROWS})
