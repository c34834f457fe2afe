"""Sets of real numbers as unions of intervals: from brackets, inequalities, set builders, unions and complements."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import NamedTuple

from mathsynth.verifier.exact import Algebra
from mathsynth.verifier.libraries import Hard, Pole, floats
from mathsynth.verifier.numeric import evaluate
from mathsynth.verifier.polynomials import ONE, TooBig, Undefined, rational
from mathsynth.verifier.shapes import name_text
from mathsynth.verifier.tree import INF, Node, is_scalar, num, symbols

_MINUS_INF: Node = ("neg", INF)
_FLIP = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "=": "=", "!=": "!="}


class Span(NamedTuple):
    """low..high as numbers to sort by and as trees to compare by; whether each end belongs to it."""

    low: float
    low_node: Node
    low_in: bool
    high: float
    high_node: Node
    high_in: bool


class Reals(NamedTuple):
    """Disjoint spans from left to right; `name` is the variable if the set was written as an inequality."""

    spans: tuple[Span, ...]
    name: str | None = None


EVERYTHING: tuple[Span, ...] = (Span(-math.inf, _MINUS_INF, False, math.inf, INF, False),)


def _number(node: Node) -> float | None:
    if node == INF:
        return math.inf
    if node[0] == "neg" and node[1] == INF:
        return -math.inf
    if not is_scalar(node) or symbols(node):
        return None
    try:
        value = evaluate(node, {}, floats())
    except Hard:
        try:
            exact = rational(Algebra().value(node))
        except (TooBig, Undefined):
            return None
        return None if exact is None else float(exact)
    except (Pole, OverflowError, ValueError, ZeroDivisionError):
        return None
    return value.real if abs(value.imag) < 1e-9 * (1 + abs(value)) else None


def reals(node: Node, *, loose: bool = False) -> Reals | None:
    """The set that a tree stands for; None if it isn't one of real numbers with fixed ends.

    `loose`: (a, b) in round or square brackets is read as an interval even without a sign that it is one.
    """
    kind = node[0]
    if kind == "tuple" and len(node[1]) == 2 and node[2] in "([" and (loose or _is_interval(node)):
        low, high = (_number(part) for part in node[1])
        if low is None or high is None or low > high:
            return None
        if low == high and not (node[2] == "[" and node[3] == "]"):
            return None
        return Reals(
            (
                Span(
                    low,
                    node[1][0],
                    node[2] == "[" and low > -math.inf,
                    high,
                    node[1][1],
                    node[3] == "]" and high < math.inf,
                ),
            )
        )
    if kind == "set" or (kind == "list" and loose and all(is_scalar(item) for item in node[1])):
        points = [(_number(item), item) for item in node[1]]
        if any(p is None for p, _ in points):
            return None
        return Reals(_union([Span(p, n, True, p, n, True) for p, n in points if p is not None]))
    if kind == "empty":
        return Reals(())
    if kind == "space":
        if node[1] in ("R^+", "R_+", "R_{>0}", "R_>0"):
            return Reals((Span(0.0, num(0), False, math.inf, INF, False),))
        return Reals(EVERYTHING) if node[1] == "R" else None
    if kind in ("cup", "cap", "minus"):
        left, right = reals(node[1], loose=True), reals(node[2], loose=True)
        if left is None or right is None:
            return None
        name = left.name or right.name
        if kind == "cup":
            return Reals(_union([*left.spans, *right.spans]), name)
        other = right.spans if kind == "cap" else _complement(right.spans)
        return Reals(_intersection(left.spans, other), name)
    if kind == "builder":
        if node[1][0] == "rel" and node[1][2] == ("in",) and node[1][1][1] == ("space", "R"):
            variable = node[1][1][0]
        else:
            variable = node[1]
        if variable[0] != "sym":
            return None
        found = condition(node[2])
        return None if found is None or found.name not in (variable[1], None) else Reals(found.spans)
    return condition(node)


def _is_interval(node: Node) -> bool:
    return (node[2], node[3]) in (("(", "]"), ("[", ")")) or any(_is_infinite(part) for part in node[1])


def _is_infinite(node: Node) -> bool:
    return node == INF or (node[0] == "neg" and node[1] == INF)


def condition(node: Node) -> Reals | None:
    """The solutions of inequalities in one variable, joined by and/or."""
    kind = node[0]
    if kind == "rel":
        return _relation(node)
    if kind in ("and", "or") or (kind == "list" and all(item[0] == "rel" for item in node[1])):
        parts = [condition(item) for item in node[1]]
        if any(part is None for part in parts):
            return None
        known = [part for part in parts if part is not None]
        names = {part.name for part in known if part.name}
        if len(names) > 1:
            return None
        mode = kind if kind in ("and", "or") else node[2]
        name = next(iter(names), None)
        spans = known[0].spans
        for part in known[1:]:
            meet = _intersection(spans, part.spans)
            if mode == "or" or (mode == "," and not meet):
                spans = _union([*spans, *part.spans])
            elif mode == "and" and not meet:
                return None  # "x < 1 and x > 2" as the two solutions: no one set was meant for certain
            else:
                spans = meet
        return Reals(spans, name)
    return None


def _relation(node: Node) -> Reals | None:
    exprs, ops = node[1], node[2]
    if ops == ("in",):
        inner = reals(exprs[1], loose=True)
        name = name_text(exprs[0])
        return None if inner is None or name is None else Reals(inner.spans, name)
    if ops == ("=",) or any(op not in _FLIP for op in ops):
        return None
    names = symbols(node)
    if len(names) != 1 or not all(is_scalar(e) for e in exprs):
        return None
    name = names.pop()
    spans = EVERYTHING
    for left, op, right in zip(exprs, ops, exprs[1:], strict=False):
        part = _linear(left, op, right, name)
        if part is None:
            return None
        spans = _intersection(spans, part)
    return Reals(spans, name)


def _linear(left: Node, op: str, right: Node, name: str) -> tuple[Span, ...] | None:
    """The solutions of one comparison that is linear in the variable."""
    variable = ("sym", name)
    if left == variable and name not in symbols(right):
        bound = right
    elif right == variable and name not in symbols(left):
        bound, op = left, _FLIP[op]
    else:
        algebra = Algebra()
        try:
            top, bottom = algebra.value(("add", (left, ("neg", right))))
        except (TooBig, Undefined):
            return None
        mono = (("s:" + name, Fraction(1)),)
        slope, rest = top.get(mono), top.get((), Fraction(0))
        if bottom != ONE or slope is None or set(top) - {mono, ()}:
            return None
        bound = num(-rest / slope)
        op = op if slope > 0 else _FLIP[op]
    at = _number(bound)
    if at is None:
        return None
    if math.isinf(at):
        return EVERYTHING if (op in ("<", "<=")) == (at > 0) and op not in ("=", "!=") else ()
    below = Span(-math.inf, _MINUS_INF, False, at, bound, op == "<=")
    above = Span(at, bound, op == ">=", math.inf, INF, False)
    if op == "!=":
        return (below._replace(high_in=False), above._replace(low_in=False))
    if op == "=":
        return (Span(at, bound, True, at, bound, True),)
    return (below,) if op in ("<", "<=") else (above,)


def _union(spans: list[Span]) -> tuple[Span, ...]:
    out: list[Span] = []
    for span in sorted(spans, key=lambda s: (s.low, not s.low_in)):
        if out:
            last = out[-1]
            touch = _close(span.low, last.high)
            if (span.low < last.high and not touch) or (touch and (span.low_in or last.high_in)):
                if span.high > last.high and not _close(span.high, last.high):
                    out[-1] = last._replace(high=span.high, high_node=span.high_node, high_in=span.high_in)
                elif _close(span.high, last.high):
                    out[-1] = last._replace(high_in=last.high_in or span.high_in)
                continue
        out.append(span)
    return tuple(out)


def _complement(spans: tuple[Span, ...]) -> tuple[Span, ...]:
    out: list[Span] = []
    low, low_node, low_in = -math.inf, _MINUS_INF, False
    for span in spans:
        if (low < span.low and not _close(low, span.low)) or (_close(low, span.low) and low_in and not span.low_in):
            out.append(Span(low, low_node, low_in, span.low, span.low_node, not span.low_in and span.low > -math.inf))
        low, low_node, low_in = span.high, span.high_node, not span.high_in and span.high < math.inf
    if low < math.inf:
        out.append(Span(low, low_node, low_in, math.inf, INF, False))
    return tuple(out)


def _intersection(a: tuple[Span, ...], b: tuple[Span, ...]) -> tuple[Span, ...]:
    out: list[Span] = []
    for s in a:
        for t in b:
            if _close(s.low, t.low):
                low, low_node, low_in = s.low, s.low_node, s.low_in and t.low_in
            else:
                low, low_node, low_in = (s if s.low > t.low else t)[:3]
            if _close(s.high, t.high):
                high, high_node, high_in = s.high, s.high_node, s.high_in and t.high_in
            else:
                high, high_node, high_in = (s if s.high < t.high else t)[3:]
            if (low < high and not _close(low, high)) or (_close(low, high) and low_in and high_in):
                out.append(Span(low, low_node, low_in, high, high_node, high_in))
    return _union(out)


def _close(a: float, b: float) -> bool:
    return a == b or (not math.isinf(a) and not math.isinf(b) and abs(a - b) < 1e-11 * (1 + abs(a)))


def same_set(a: Reals, b: Reals, same: Callable[[Node, Node], bool | None]) -> bool | None:
    """Whether the spans agree one by one; `same` compares two ends."""
    if len(a.spans) != len(b.spans):
        return False
    unsure = False
    for s, t in zip(a.spans, b.spans, strict=True):
        if (s.low_in, s.high_in) != (t.low_in, t.high_in):
            return False
        for x, y in ((s.low_node, t.low_node), (s.high_node, t.high_node)):
            found = same(x, y)
            if found is False:
                return False
            unsure = unsure or found is None
    return None if unsure else True
