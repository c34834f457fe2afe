"""Exact arithmetic on trees without sympy: quotients of polynomials over atoms, with rational coefficients.

An atom is a variable, pi, e, i, a prime under a root, or an opaque piece such as sin(x+1), named by its own canonical
form. Two values with the same form are equal: that is a proof. Two different forms are a proof of inequality only
where the atoms are independent (`decisive`). Everything is bounded: `TooBig` means "not here".
"""

from __future__ import annotations

import math
from fractions import Fraction

from mathsynth.verifier import exactcalls
from mathsynth.verifier.polynomials import (
    ONE,
    Poly,
    TooBig,
    Undefined,
    Value,
    atom_value,
    bits_ok,
    checked,
    content,
    factors,
    is_positive,
    key,
    merge,
    normal,
    number,
    value_key,
)
from mathsynth.verifier.tree import Node


class Algebra:
    """Turns trees into canonical quotients; keeps what its root atoms stand for and how much work was done."""

    def __init__(self, work: int = 15_000) -> None:
        self.roots: dict[str, Poly] = {}
        self.left = work

    def value(self, node: Node) -> Value:
        """The canonical form of a scalar tree."""
        self.spend(1)
        kind = node[0]
        if kind == "num":
            return number(node[1])
        if kind == "sym":
            return atom_value("s:" + node[1]), ONE
        if kind == "const":
            if node[1] == "inf":
                raise Undefined("infinity")
            return atom_value(node[1]), ONE
        if kind == "add":
            return self.sum([self.value(part) for part in node[1]])
        if kind == "neg":
            top, bottom = self.value(node[1])
            return {m: -c for m, c in top.items()}, bottom
        if kind == "mul":
            out: Value = (ONE, ONE)
            for part in node[1]:
                out = self.times(out, self.value(part))
            return out
        if kind == "div":
            return self.times(self.value(node[1]), self.inverse(self.value(node[2])))
        if kind == "pow":
            return self.power(self.value(node[1]), self.value(node[2]))
        if kind == "deg":
            return self.times(self.value(node[1]), ({(("pi", Fraction(1)),): Fraction(1, 180)}, ONE))
        if kind == "call":
            return exactcalls.call(self, node[1], node[2])
        if kind in ("sum", "prod"):
            return exactcalls.series(self, node)
        raise TooBig(kind)

    def spend(self, amount: int) -> None:
        """Count steps; raise `TooBig` when the budget is used up."""
        self.left -= amount
        if self.left < 0:
            raise TooBig("work")

    def add(self, a: Poly, b: Poly) -> Poly:
        """a + b"""
        out = dict(a)
        for mono, c in b.items():
            total = out.get(mono, 0) + c
            if total:
                out[mono] = total
            else:
                del out[mono]
        self.spend(len(b))
        self.spend(checked(out) >> 8)
        return out

    def sum(self, parts: list[Value]) -> Value:
        """The sum of quotients, over a common denominator only where needed."""
        simple: Poly = {}
        for top, bottom in parts:
            if bottom == ONE:
                simple = self.add(simple, top)
        total: Value = (simple, ONE)
        for top, bottom in parts:
            if bottom != ONE:
                if bottom == total[1]:
                    total = (self.add(total[0], top), bottom)
                else:
                    total = (self.add(self.mul(total[0], bottom), self.mul(top, total[1])), self.mul(total[1], bottom))
        return total if total[0] else ({}, ONE)

    def mul(self, a: Poly, b: Poly) -> Poly:
        """a b, with root atoms that reach a whole power multiplied out."""
        self.spend(len(a) * len(b))
        out: Poly = {}
        grown: list[tuple[Poly, str, int]] = []
        for m1, c1 in a.items():
            for m2, c2 in b.items():
                mono, factor, carry = merge(m1, m2)
                c = c1 * c2 * factor
                if carry is not None and carry[0] in self.roots:
                    grown.append(({mono: c}, *carry))
                    continue
                total = out.get(mono, 0) + c
                if total:
                    out[mono] = total
                else:
                    out.pop(mono, None)
        for part, atom, times in grown:
            for _ in range(times):
                part = self.mul(part, self.roots[atom])
            out = self.add(out, part)
        self.spend(checked(out) >> 8)
        return out

    def times(self, a: Value, b: Value) -> Value:
        """The product of two quotients."""
        top = self.mul(a[0], b[0])
        if not top:
            return {}, ONE
        return top, b[1] if a[1] == ONE else a[1] if b[1] == ONE else self.mul(a[1], b[1])

    def inverse(self, a: Value) -> Value:
        """1 / a"""
        top, bottom = a
        if not top:
            raise Undefined("division by zero")
        if len(top) == 1:
            ((mono, c),) = top.items()
            flipped, factor = normal({atom: -power for atom, power in mono})
            return self.mul(bottom, {flipped: factor / c}), ONE
        return bottom, top

    def power(self, base: Value, exponent: Value) -> Value:
        """base to the exponent, for rational and for symbolic exponents."""
        if exponent[1] != ONE:
            return self.opaque("^", base, exponent)
        top = exponent[0]
        if not top:
            if not base[0]:
                raise Undefined("0^0")
            return ONE, ONE
        if set(top) == {()}:
            return self.fixed_power(base, top[()])
        return self.symbolic_power(base, top)

    def fixed_power(self, base: Value, k: Fraction) -> Value:
        """A rational number as the exponent."""
        if not base[0]:
            if k < 0:
                raise Undefined("division by zero")
            return {}, ONE
        if k.denominator == 1:
            n = abs(int(k))
            self.guard_power(base[0], n)
            source = self.inverse(base) if k < 0 else base
            if len(source[0]) == 1 and source[1] == ONE:
                ((mono, c),) = source[0].items()
                if not any(atom in self.roots for atom, _ in mono):
                    bits_ok(c, n)
                    flipped, factor = normal({atom: power * n for atom, power in mono})
                    return {flipped: c**n * factor}, ONE
            out: Value = (ONE, ONE)
            while n:
                if n & 1:
                    out = self.times(out, source)
                n >>= 1
                if n:
                    source = (
                        self.mul(source[0], source[0]),
                        source[1] if source[1] == ONE else self.mul(source[1], source[1]),
                    )
            return out
        return self.fractional_power(base, k)

    def guard_power(self, top: Poly, n: int) -> None:
        """Refuse powers that would grow beyond all bounds."""
        if (len(top) > 1 and n > 60) or n > 200_000:
            raise TooBig("power")

    def fractional_power(self, base: Value, k: Fraction) -> Value:
        """A rational exponent p/q: positive rationals under the root go to primes, the rest becomes a root atom."""
        if base[1] != ONE:
            bottom = self.fractional_power((base[1], ONE), -k)
            if set(base[0]) != {()} or base[0][()] <= 0:
                raise TooBig("root of a quotient")
            return self.times(self.fractional_power((base[0], ONE), k), bottom)
        top = base[0]
        if set(top) == {()}:
            return self.root_of_number(top[()], k)
        shared = content(top)
        primitive = {m: c / shared for m, c in top.items()}
        front = self.root_of_number(shared, k)
        if len(primitive) == 1:
            ((mono, c),) = primitive.items()
            if c == 1 and len(mono) == 1 and (mono[0][1] == 1 or is_positive(mono[0][0])):
                reduced, factor = normal({mono[0][0]: mono[0][1] * k})
                return self.times(front, ({reduced: factor}, ONE))
            if c == 1 and all(is_positive(atom) for atom, _ in mono):
                reduced, factor = normal({atom: power * k for atom, power in mono})
                return self.times(front, ({reduced: factor}, ONE))
        name = "r:" + key(primitive)
        self.roots[name] = primitive
        whole = math.floor(k)
        out = self.times(front, ({((name, k - whole),): Fraction(1)}, ONE))
        return self.times(out, self.fixed_power((primitive, ONE), Fraction(whole))) if whole else out

    def root_of_number(self, c: Fraction, k: Fraction) -> Value:
        """c^k for a rational c, written in roots of primes; an odd root of a negative number is the real one."""
        if c < 0:
            if k.denominator % 2:
                sign = -1 if k.numerator % 2 else 1
                top, bottom = self.root_of_number(-c, k)
                return {m: x * sign for m, x in top.items()}, bottom
            if k.denominator != 2:
                raise TooBig("even root of a negative number")
            front, factor = normal({"i": k * 2})
            return self.times(({front: factor}, ONE), self.root_of_number(-c, k))
        powers: dict[str, Fraction] = {}
        for n, sign in ((c.numerator, 1), (c.denominator, -1)):
            for p, times in factors(n).items():
                powers[f"p:{p}"] = powers.get(f"p:{p}", Fraction(0)) + times * sign * k
        mono, factor = normal(powers)
        return {mono: factor}, ONE

    def symbolic_power(self, base: Value, exponent: Poly) -> Value:
        """b^(3n + 1) = b^1 (b^n)^3 for a number, e, or a single variable b."""
        top, bottom = base
        if bottom != ONE or len(top) != 1:
            return self.opaque("^", base, (exponent, ONE))
        ((mono, c),) = top.items()
        parts: list[tuple[str, Fraction]] = []
        if not mono:
            if c < 0:
                parts.append(("-1", Fraction(1)))
            for n, sign in ((abs(c.numerator), 1), (c.denominator, -1)):
                parts.extend((f"p:{p}", Fraction(times * sign)) for p, times in factors(n).items())
        elif c == 1 and len(mono) == 1 and mono[0][1] == 1 and mono[0][0] != "i":
            parts.append((mono[0][0], Fraction(1)))
        else:
            return self.opaque("^", base, (exponent, ONE))
        out: Value = (ONE, ONE)
        for atom, times in parts:
            for term, coefficient in exponent.items():
                amount = coefficient * times
                if not term:
                    root = (
                        number(-1)
                        if atom == "-1"
                        else number(int(atom[2:]))
                        if atom.startswith("p:")
                        else (atom_value(atom), ONE)
                    )
                    out = self.times(out, self.fixed_power(root, amount))
                elif atom == "e" and dict(term) == {"i": 1, "pi": 1} and (2 * amount).denominator == 1:
                    turned, factor = normal({"i": 2 * amount})
                    out = self.times(out, ({turned: factor}, ONE))
                else:
                    out = self.times(out, ({((f"^:{atom}:{key({term: Fraction(1)})}", amount),): Fraction(1)}, ONE))
        return out

    def opaque(self, name: str, *args: Value) -> Value:
        """An atom that stands for a function of values, named by their canonical forms."""
        return atom_value(f"f:{name}({';'.join(value_key(arg) for arg in args)})"), ONE

    def difference(self, a: Value, b: Value) -> Poly:
        """A polynomial that is zero exactly when a = b (where both exist)."""
        left, right = a[0], b[0]
        if a[1] != b[1]:
            left, right = self.mul(left, b[1]), self.mul(right, a[1])
        return self.add(left, {m: -c for m, c in right.items()})
