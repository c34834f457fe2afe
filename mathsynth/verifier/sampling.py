"""Two expressions at fixed rational points: where they agree, differ, or only one of them is real."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any, NamedTuple

from mathsynth.verifier.libraries import Hard, Library, Pole
from mathsynth.verifier.numeric import evaluate
from mathsynth.verifier.tree import Node, symbols, walk


def whole_variables(node: Node) -> set[str]:
    """Variables that only natural numbers make sense for: under a factorial, in a binomial, in the bound of a sum."""
    found: set[str] = set()
    for part in walk(node):
        if part[0] == "call" and part[1] in ("fact", "binom", "gcd", "lcm"):
            for arg in part[2]:
                found |= symbols(arg)
        elif part[0] in ("sum", "prod"):
            found |= symbols(part[2]) | symbols(part[3])
    return found


def points(names: list[str], whole: set[str], count: int, marks: list[Fraction]) -> Iterator[dict[str, Fraction]]:
    """Fixed points for these variables: both signs, small and large, then the numbers that the conditions name."""
    for k in range(count):
        at: dict[str, Fraction] = {}
        for j, name in enumerate(names):
            spread = (k * 7919 + j * 104729 + k * j * 31 + 17) % 997
            if name in whole:
                at[name] = Fraction(1 + (spread + k) % 9)
            else:
                size = Fraction(spread + 1, 331) if k % 4 else Fraction(spread + 1, 1009)
                at[name] = -size if (k + j * (k // 2)) % 2 and k % 3 != 2 else size
        yield at
    for mark in marks[:6]:
        yield {name: mark if name not in whole else Fraction(max(1, int(mark))) for name in names}


class Sampled(NamedTuple):
    """`differ`: some point tells them apart; `agree`: at how many they agree; `apart`: where just one side is real."""

    differ: bool
    agree: int
    apart: int
    hard: str


def sample(a: Node, b: Node, lib: Library, *, wanted: int, tolerance: float, whole_all: bool = False) -> Sampled:
    """Compare two scalars at points until `wanted` agree or one differs."""
    names = sorted(symbols(a) | symbols(b))
    whole = set(names) if whole_all else (whole_variables(a) | whole_variables(b)) & set(names)
    imaginary = any(part == ("const", "i") for tree in (a, b) for part in walk(tree))
    marks = _marks(a) + _marks(b) if names else []
    agree = apart = 0
    hard = ""
    for at in points(names, whole, 40 if names else 1, marks):
        if agree >= wanted and not marks:
            break
        try:
            left, right = _value(a, at, lib), _value(b, at, lib)
        except (OverflowError, ZeroDivisionError, ValueError):
            continue
        except Hard as error:
            hard = str(error)
            if not names or lib.left[0] < 0:
                break
            continue
        if left is None or right is None:
            apart += (left is None) != (right is None)
            continue
        if names and not imaginary:
            real = [abs(v.imag) <= 1e-12 * abs(v) for v in (left, right)]
            if not all(real):
                apart += any(real)
                continue
        size = max(abs(left), abs(right))
        if abs(left - right) > tolerance * size:
            return Sampled(True, agree, apart, hard)
        agree += 1
    return Sampled(False, agree, apart, hard)


def _value(node: Node, at: dict[str, Fraction], lib: Library) -> Any:
    """The value, or None where there is none."""
    try:
        return evaluate(node, at, lib)
    except Pole:
        return None


def _marks(node: Node) -> list[Fraction]:
    """The numbers in the conditions of cases and step functions, where two functions may part at one point."""
    found: list[Fraction] = []
    for part in walk(node):
        if part[0] == "cases":
            for _, condition in part[1]:
                found += [n[1] for n in walk(condition) if n[0] == "num"]
                found += [-n[1] for n in walk(condition) if n[0] == "num"]
    return list(dict.fromkeys(found))
