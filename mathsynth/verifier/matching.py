"""Findings about parts joined to one about the whole; values paired one to one."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from mathsynth.verifier.tree import Node
from mathsynth.verifier.words import Finding


def all_of(parts: list[Finding], rule: str) -> Finding:
    """False if a part is false, undecided if a part is, else equal."""
    for part in parts:
        if part.equal is False:
            return Finding(False, rule, part.reason)
    for part in parts:
        if part.equal is None:
            return Finding(None, rule, part.reason)
    return Finding(True, rule, "all parts are equal")


def matched(table: list[list[bool | None]], rule: str) -> Finding:
    """A perfect matching of rows to columns: over True cells it is equal, over True and None undecided."""
    if len(table) != len(table[0] if table else []):
        return Finding(False, rule, "another number of values")
    if _matching(table, lambda cell: cell is True):
        return Finding(True, rule, "the same values, one by one")
    if _matching(table, lambda cell: cell is not False):
        return Finding(None, rule, "a value could not be compared")
    return Finding(False, rule, "a value has no partner")


def plain_numbers(a: tuple[Node, ...], b: tuple[Node, ...]) -> Finding | None:
    """Lists of exact numbers, sorted instead of matched."""
    values: list[list[Fraction]] = []
    for items in (a, b):
        row = [plain_number(item) for item in items]
        if any(value is None for value in row):
            return None
        values.append(sorted(v for v in row if v is not None))
    if values[0] == values[1]:
        return Finding(True, "list", "the same numbers")
    if set(values[0]) == set(values[1]):
        return Finding(None, "list", "a value is repeated")
    return Finding(False, "list", "other numbers")


def _matching(table: list[list[bool | None]], good: Callable[[bool | None], bool]) -> bool:
    """Whether rows and columns can be paired over good cells (augmenting paths)."""
    partner: dict[int, int] = {}

    def place(row: int, seen: set[int]) -> bool:
        for column, cell in enumerate(table[row]):
            if column not in seen and good(cell):
                seen.add(column)
                if column not in partner or place(partner[column], seen):
                    partner[column] = row
                    return True
        return False

    return all(place(row, set()) for row in range(len(table)))


def plain_number(node: Node) -> Fraction | None:
    """The exact rational that a simple tree is, decimals included."""
    sign = 1
    while node[0] == "neg":
        node, sign = node[1], -sign
    if node[0] == "num" and node[2] is None:
        value: Fraction = node[1]
        return value * sign
    if node[0] == "div" and node[1][0] == node[2][0] == "num" and node[1][2] is node[2][2] is None and node[2][1]:
        quotient: Fraction = node[1][1] / node[2][1]
        return quotient * sign
    if node[0] == "num" and node[2] is not None:
        return Fraction(node[1] * sign)
    return None
