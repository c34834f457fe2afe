"""The trees that answers are read into: plain tuples, tagged by their first element.

Scalars: (num, Fraction, ulp|None) · (sym, name) · (const, pi|e|i|inf) · (add, items) · (mul, items) · (div, a, b) ·
(pow, a, b) · (neg, a) · (pm, a|None, b, sign) · (call, name, args) · (sum|prod, var, low, high, body) ·
(int, var, low, high, body) · (deg, a) · (cases, ((value, condition), ...))
Answers: (list, items) · (tuple, items, open, close) · (set, items) · (builder, var, condition) ·
(rel, exprs, ops) · (cup|cap|minus, a, b) · (space, name) · (empty,) · (matrix, rows) · (ratio, items) ·
(base, digits, base) · (qty, expr, Unit) · (pct, expr) · (text, words)

`ulp` is one unit in the last written decimal place, None for integers: it tells a decimal from an exact number.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

Node = tuple[Any, ...]

PI: Node = ("const", "pi")
E: Node = ("const", "e")
I: Node = ("const", "i")  # noqa: E741
INF: Node = ("const", "inf")
SCALARS = frozenset(
    (
        "num",
        "sym",
        "const",
        "add",
        "mul",
        "div",
        "pow",
        "neg",
        "pm",
        "call",
        "sum",
        "prod",
        "int",
        "lim",
        "deg",
        "cases",
    )
)


def num(value: int | Fraction, ulp: Fraction | None = None) -> Node:
    """A number as a leaf."""
    return ("num", Fraction(value), ulp)


def children(node: Node) -> Iterator[Node]:
    """The nodes right under this one."""
    for part in node[1:]:
        if isinstance(part, tuple) and part:
            if isinstance(part[0], str):
                yield part
            else:
                stack = [part]
                while stack:
                    for item in stack.pop():
                        if isinstance(item, tuple) and item:
                            if isinstance(item[0], str):
                                yield item
                            else:
                                stack.append(item)


def walk(node: Node) -> Iterator[Node]:
    """This node and all under it."""
    stack = [node]
    while stack:
        top = stack.pop()
        yield top
        stack.extend(children(top))


def symbols(node: Node) -> set[str]:
    """The names of the free variables; a sum's or integral's own variable is not free."""
    kind = node[0]
    if kind == "sym":
        return {node[1]}
    found: set[str] = set()
    for child in children(node):
        found |= symbols(child)
    if kind in ("sum", "prod", "int", "lim"):
        found.discard(node[1])
        for bound in node[2:4]:
            if bound is not None:
                found |= symbols(bound)
    return found


def substitute(node: Node, name: str, by: Node) -> Node:
    """The same tree with another node in the place of a variable."""
    if node[0] == "sym":
        return by if node[1] == name else node
    return tuple(_put(part, name, by) for part in node)


def _put(part: Any, name: str, by: Node) -> Any:
    if not isinstance(part, tuple) or not part:
        return part
    if isinstance(part[0], str):
        return substitute(part, name, by)
    return tuple(_put(item, name, by) for item in part)


def is_scalar(node: Node) -> bool:
    """Whether this is one number or expression."""
    return node[0] in SCALARS


def times(left: Node, right: Node) -> Node:
    """A product; products nest to the left as one."""
    return ("mul", (*left[1], right)) if left[0] == "mul" else ("mul", (left, right))


def indexed_by(node: Node, var: str) -> bool:
    """Whether a name like a_k or F_{n-k} in the tree has the variable in its index, where nothing is put in for it."""
    return any(part[0] == "sym" and "_" in part[1] and var in part[1].split("_", 1)[1] for part in walk(node))
