"""Polynomials over named atoms with rational coefficients: the data of exact.py."""

from __future__ import annotations

import math
from fractions import Fraction

Mono = tuple[tuple[str, Fraction], ...]
Poly = dict[Mono, Fraction]
Value = tuple[Poly, Poly]

ONE: Poly = {(): Fraction(1)}
_MAX_TERMS, _MAX_BITS = 600, 60_000


class TooBig(Exception):
    """This value is not worked out exactly: too many terms, too many digits, or no exact form."""


class Undefined(Exception):
    """A division by zero, 0^0, infinity: the value does not exist."""


def rational(value: Value) -> Fraction | None:
    """The number, if the value is a rational one."""
    top, bottom = value
    if bottom != ONE:
        return None
    if not top:
        return Fraction(0)
    return top[()] if set(top) == {()} else None


def key(poly: Poly) -> str:
    """A text that names the polynomial."""
    return "+".join(f"{c}*{'.'.join(f'{a}^{p}' for a, p in m)}" for m, c in sorted(poly.items()))


def value_key(value: Value) -> str:
    """A text that names the quotient; not unique for quotients with a common factor."""
    top, bottom = value
    return key(top) if bottom == ONE else f"[{key(top)}]/[{key(bottom)}]"


def factors(n: int) -> dict[int, int]:
    """Prime factors up to 10^4; a larger rest counts as one factor and must be no perfect power."""
    out: dict[int, int] = {}
    p = 2
    while p * p <= n and p < 10_000:
        while n % p == 0:
            out[p] = out.get(p, 0) + 1
            n //= p
        p += 1 if p == 2 else 2
    if n > 1:
        if n >= 10**8:
            raise TooBig("factoring")
        out[n] = out.get(n, 0) + 1
    return out


def number(value: int | Fraction) -> Value:
    """A rational number as a quotient."""
    return ({(): Fraction(value)} if value else {}), ONE


def atom_value(name: str) -> Poly:
    """One atom as a polynomial."""
    return {((name, Fraction(1)),): Fraction(1)}


def is_positive(atom: str) -> bool:
    """Whether an atom stands for a positive number."""
    return atom in ("pi", "e") or atom.startswith("p:")


def merge(a: Mono, b: Mono) -> tuple[Mono, Fraction, tuple[str, int] | None]:
    """The product of two monomials, the number it throws off, and a root atom that reached a whole power."""
    if not a or not b:
        return a or b, Fraction(1), None
    powers = dict(a)
    for atom, power in b:
        powers[atom] = powers.get(atom, Fraction(0)) + power
    carry = None
    for atom, power in powers.items():
        if atom.startswith("r:") and power >= 1:
            carry = (atom, int(power))
            powers[atom] = power - int(power)
            break
    mono, factor = normal(powers)
    return mono, factor, carry


def normal(powers: dict[str, Fraction]) -> tuple[Mono, Fraction]:
    """Sorted, without zero powers; whole powers of primes and of i become a number."""
    factor = Fraction(1)
    out: list[tuple[str, Fraction]] = []
    for atom, power in powers.items():
        power = Fraction(power)
        if atom == "i":
            turns = power % 4
            if turns.denominator != 1:
                raise TooBig("root of i")
            factor *= -1 if turns in (2, 3) else 1
            power = Fraction(int(turns) % 2)
        elif atom.startswith("p:"):
            whole = math.floor(power)
            if whole:
                bits_ok(Fraction(int(atom[2:])), abs(whole))
                factor *= Fraction(int(atom[2:])) ** whole
            power -= whole
        if power:
            out.append((atom, power))
    return tuple(sorted(out)), factor


def bits_ok(c: Fraction, n: int) -> None:
    """Refuse c^n if it would have too many digits."""
    if max(c.numerator.bit_length(), c.denominator.bit_length()) * n > 4 * _MAX_BITS and abs(c) != 1:
        raise TooBig("digits")


def checked(poly: Poly) -> int:
    """How many bits the coefficients have; raises `TooBig` for too many or for too many terms."""
    if len(poly) > _MAX_TERMS:
        raise TooBig("terms")
    bits = sum(c.numerator.bit_length() + c.denominator.bit_length() for c in poly.values())
    if bits > 4 * _MAX_BITS + 40 * len(poly):
        raise TooBig("digits")
    return bits


def content(poly: Poly) -> Fraction:
    """The positive rational that divides all coefficients; the leading sign stays in."""
    top = math.gcd(*(c.numerator for c in poly.values()))
    return Fraction(top, math.lcm(*(c.denominator for c in poly.values())))


def decisive(*polys: Poly) -> bool:
    """Whether different forms mean different values: variables, roots of primes, i, and pi or e, but nothing opaque."""
    atoms = {atom for poly in polys for mono in poly for atom, _ in mono}
    return all(a.startswith(("s:", "p:")) or a in ("i", "pi", "e") for a in atoms) and not {"pi", "e"} <= atoms
