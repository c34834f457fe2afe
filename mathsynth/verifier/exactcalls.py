"""Exact values of functions: logarithms, absolute values, angles, factorials, finite sums, determinants."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING

from mathsynth.verifier.polynomials import ONE, Poly, TooBig, Undefined, Value, factors, number, rational
from mathsynth.verifier.tree import Node, indexed_by, substitute

if TYPE_CHECKING:
    from mathsynth.verifier.exact import Algebra

_TURN = ("i", Fraction(1))


def call(a: Algebra, name: str, nodes: tuple[Node, ...]) -> Value:
    """The value of a named function."""
    if name == "det":
        return determinant(a, nodes[0])
    args = [a.value(node) for node in nodes]
    first = args[0]
    numbers = [rational(arg) for arg in args]
    if name == "root":
        index = numbers[1]
        if index is None or index.denominator != 1 or index < 2 or index > 1000:
            raise TooBig("root index")
        return a.fractional_power(first, 1 / index) if first[0] else ({}, ONE)
    if name in ("fact", "binom"):
        return counting(a, name, args, numbers)
    if name == "log":
        base = numbers[1]
        if base is not None and (base <= 0 or base == 1):
            raise Undefined("log base")
        return a.times(ln(a, first), a.inverse(ln(a, args[1])))
    if name == "ln":
        return ln(a, first)
    if name == "abs":
        return absolute(a, first, numbers[0])
    if name in ("sin", "cos", "tan", "cot", "sec", "csc"):
        return trig(a, name, first)
    if all(n is not None for n in numbers):
        known = _of_numbers(name, [n for n in numbers if n is not None])
        if known is not None:
            return number(known)
    if name in ("Re", "Im", "conj") and first[1] == ONE and _constant_real_parts(first[0]):
        plain = {m: c for m, c in first[0].items() if _TURN not in m}
        turned = {tuple(f for f in m if f[0] != "i"): c for m, c in first[0].items() if _TURN in m}
        if name == "conj":
            return {m: -c if _TURN in m else c for m, c in first[0].items()}, ONE
        return plain if name == "Re" else turned, ONE
    return a.opaque(name, *args)


def ln(a: Algebra, arg: Value) -> Value:
    """The logarithm; of a positive rational as a sum of ln p over its primes."""
    top, bottom = arg
    if not top:
        raise Undefined("ln 0")
    if bottom == ONE and len(top) == 1:
        ((mono, c),) = top.items()
        if c > 0 and all(atom == "e" or atom.startswith("p:") for atom, _ in mono):
            out: Poly = {}
            for n, sign in ((c.numerator, 1), (c.denominator, -1)):
                for p, times in factors(n).items():
                    out = a.add(out, {((f"ln:{p}", Fraction(1)),): Fraction(times * sign)})
            for atom, power in mono:
                term: Poly = {(): power} if atom == "e" else {((f"ln:{atom[2:]}", Fraction(1)),): power}
                out = a.add(out, term)
            return out, ONE
    return a.opaque("ln", arg)


def absolute(a: Algebra, arg: Value, known: Fraction | None) -> Value:
    """|z| of a rational or complex rational number; else an atom that is blind to the sign."""
    if known is not None:
        return number(abs(known))
    top, bottom = arg
    if bottom == ONE and set(top) <= {(), (("i", Fraction(1)),)}:
        real, imaginary = top.get((), Fraction(0)), top.get((("i", Fraction(1)),), Fraction(0))
        return a.root_of_number(real**2 + imaginary**2, Fraction(1, 2))
    lead = top[min(top)]
    if lead < 0:
        top = {m: -c for m, c in top.items()}
    return a.opaque("abs", (top, bottom))


def trig(a: Algebra, name: str, arg: Value) -> Value:
    """All through sin and cos, exact at multiples of pi/6 and pi/4; odd and even signs pulled out."""
    if name in ("tan", "cot", "sec", "csc"):
        sin, cos = trig(a, "sin", arg), trig(a, "cos", arg)
        if name in ("tan", "cot"):
            upper, lower = (sin, cos) if name == "tan" else (cos, sin)
            return a.times(upper, a.inverse(lower))
        return a.inverse(cos if name == "sec" else sin)
    top, bottom = arg
    if not top:
        return number(0 if name == "sin" else 1)
    if bottom == ONE and set(top) == {(("pi", Fraction(1)),)}:
        turn = top[(("pi", Fraction(1)),)]
        exact = _sine(turn if name == "sin" else turn + Fraction(1, 2))
        if exact is not None:
            return exact
    if top[min(top)] < 0:
        top = {m: -c for m, c in top.items()}
        value, one = a.opaque(name, (top, bottom))
        return ({m: -c for m, c in value.items()} if name == "sin" else value), one
    return a.opaque(name, arg)


def counting(a: Algebra, name: str, args: list[Value], numbers: list[Fraction | None]) -> Value:
    """Factorials and binomials; (n + 2)! becomes (n + 2)(n + 1) n!."""
    first = numbers[0]
    if name == "fact":
        if first is not None:
            if first.denominator != 1 or first < 0:
                raise TooBig("factorial of no natural number")
            if first > 3000:
                raise TooBig("factorial")
            return number(math.factorial(int(first)))
        top, bottom = args[0]
        shift = top.get((), Fraction(0))
        if bottom != ONE or shift.denominator != 1 or not -8 <= shift <= 8:
            return a.opaque("fact", args[0])
        rest = {m: c for m, c in top.items() if m}
        out = a.opaque("fact", (rest, ONE))
        for j in range(1, int(shift) + 1):
            out = a.times(out, (a.add(rest, {(): Fraction(j)}), ONE))
        for j in range(int(shift) + 1, 1):
            out = a.times(out, a.inverse((a.add(rest, {(): Fraction(j)} if j else {}), ONE)))
        return out
    second = numbers[1]
    if first is not None and second is not None:
        if first.denominator != 1 or second.denominator != 1 or first < 0 or second < 0:
            raise TooBig("binomial")
        if first > 5000:
            raise TooBig("binomial")
        return number(math.comb(int(first), int(second)))
    minus = ({m: -c for m, c in args[1][0].items()}, args[1][1])
    difference = a.sum([args[0], minus])
    parts = [counting(a, "fact", [v], [rational(v)]) for v in (args[0], args[1], difference)]
    return a.times(parts[0], a.inverse(a.times(parts[1], parts[2])))


def series(a: Algebra, node: Node) -> Value:
    """A finite sum or product with fixed bounds term by term, else an atom."""
    kind, var, low, high, body = node
    if high == ("const", "inf"):
        raise TooBig("infinite series")
    first, last = a.value(low), a.value(high)
    start, end = rational(first), rational(last)
    if start is None or end is None:
        inside = a.value(substitute(body, var, ("sym", "#")))
        return a.opaque(f"{kind} over {var}", first, last, inside)
    if start.denominator != 1 or end.denominator != 1 or end - start > 1500 or indexed_by(body, var):
        raise TooBig("series")
    total: Value = ({}, ONE) if kind == "sum" else (ONE, ONE)
    for n in range(int(start), int(end) + 1):
        term = a.value(substitute(body, var, ("num", Fraction(n), None)))
        total = a.sum([total, term]) if kind == "sum" else a.times(total, term)
    return total


def determinant(a: Algebra, node: Node) -> Value:
    """The determinant of a square matrix up to 6 x 6."""
    if node[0] != "matrix" or len(node[1]) != len(node[1][0]) or len(node[1]) > 6:
        raise TooBig("determinant")
    rows = [[a.value(entry) for entry in row] for row in node[1]]
    return expand(a, rows)


def expand(a: Algebra, rows: list[list[Value]]) -> Value:
    """Laplace expansion along the first row."""
    if len(rows) == 1:
        return rows[0][0]
    terms = []
    for j, head in enumerate(rows[0]):
        if head[0]:
            minor = expand(a, [row[:j] + row[j + 1 :] for row in rows[1:]])
            top, bottom = a.times(head, minor)
            terms.append(({m: -c for m, c in top.items()} if j % 2 else top, bottom))
    return a.sum(terms) if terms else ({}, ONE)


def _constant_real_parts(poly: Poly) -> bool:
    return all(atom in ("i", "pi", "e") or atom.startswith("p:") for mono in poly for atom, _ in mono)


def _of_numbers(name: str, args: list[Fraction]) -> Fraction | None:
    first = args[0]
    if name == "floor":
        return Fraction(math.floor(first))
    if name == "ceil":
        return Fraction(math.ceil(first))
    if name == "sgn":
        return Fraction((first > 0) - (first < 0))
    if name == "max":
        return max(args)
    if name == "min":
        return min(args)
    if name in ("gcd", "lcm") and all(a.denominator == 1 for a in args):
        return Fraction(getattr(math, name)(*(int(a) for a in args)))
    if name in ("Re", "conj"):
        return first
    return Fraction(0) if name == "Im" else None


def _sine(turn: Fraction) -> Value | None:
    """sin(turn * pi) for multiples of pi/6 and pi/4."""
    turn %= 2
    sign = 1
    if turn >= 1:
        turn, sign = turn - 1, -1
    if turn > Fraction(1, 2):
        turn = 1 - turn
    half = Fraction(sign, 2)
    table: dict[Fraction, Poly] = {
        Fraction(0): {}, Fraction(1, 6): {(): half}, Fraction(1, 2): {(): Fraction(sign)},
        Fraction(1, 4): {(("p:2", Fraction(1, 2)),): half}, Fraction(1, 3): {(("p:3", Fraction(1, 2)),): half},
    }  # fmt: skip
    found = table.get(turn)
    return None if found is None else (found, ONE)
