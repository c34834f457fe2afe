"""What an answer's tree means as a whole: names stripped, ± written out, lists and tuples told apart."""

from __future__ import annotations

import itertools
import re
from typing import NamedTuple

from mathsynth.verifier.tree import Node, children, is_scalar, symbols, walk


class Shape(NamedTuple):
    """`names` of the parts (None: not named). `kind`: one, bag (order is nothing), row (order counts)."""

    kind: str
    items: tuple[Node, ...]
    names: tuple[str, ...] | None


def shape(node: Node) -> Shape:
    """The shape of a whole answer."""
    kind = node[0]
    if kind == "rel" and set(node[2]) == {"="} and (name := name_of(node)) is not None:
        value = node[1][-1]
        left = node[1][0]
        if left[0] == "tuple" and value[0] == "tuple" and len(left[1]) == len(value[1]) > 1:
            return Shape("row", value[1], tuple(part[1] for part in left[1]))
        if value[0] in ("set", "list") or len(expand(value)) > 1:
            return Shape("bag", bag(value), (name,))
        return Shape("one", (value,), (name,))
    if kind == "list":
        return _list(node)
    if kind == "set" and any(item[0] in ("set", "empty", "space", "builder") for item in node[1]):
        return Shape("one", (node,), None)  # a set of sets
    if kind == "set":
        return Shape("bag", bag(node), None)
    expanded = expand(node)
    if len(expanded) > 1:
        return Shape("bag", tuple(expanded), None)
    return Shape("one", (node,), None)


def _list(node: Node) -> Shape:
    items = node[1]
    named = [name_of(item) if item[0] == "rel" and set(item[2]) == {"="} else None for item in items]
    if all(named):
        names = [name for name in named if name]
        values = [item[1][-1] for item in items]
        if len(set(names)) == 1:
            return Shape("bag", tuple(itertools.chain.from_iterable(bag(v) for v in values)), (names[0],))
        if len(set(names)) == len(names):
            if any(len(expand(v)) > 1 for v in values):
                return Shape("bag", tuple(items), None)
            return Shape("row", tuple(values), tuple(names))
        period = len(set(names))
        if len(names) % period == 0 and all(name == names[i % period] for i, name in enumerate(names)):
            rows = [("tuple", tuple(values[i : i + period]), "(", ")") for i in range(0, len(values), period)]
            return Shape("bag", tuple(rows), tuple(names[:period]))
    first = named[0]
    if first and not any(named[1:]) and all(item[0] != "rel" for item in items[1:]):
        values = [items[0][1][-1], *items[1:]]
        return Shape("bag", tuple(itertools.chain.from_iterable(bag(v) for v in values)), (first,))
    groups = [shape(item) for item in items if item[0] == "list"]
    if len(groups) == len(items) and all(g.kind == "row" and g.names == groups[0].names for g in groups):
        return Shape("bag", tuple(("tuple", g.items, "(", ")") for g in groups), groups[0].names)
    return Shape("bag", tuple(itertools.chain.from_iterable(bag(item) for item in items)), None)


def bag(node: Node) -> tuple[Node, ...]:
    """The elements of a set or list, or the values of one expression with ±."""
    if node[0] in ("set", "list"):
        return tuple(itertools.chain.from_iterable(bag(item) for item in node[1]))
    return tuple(expand(node))


def expand(node: Node) -> list[Node]:
    """The values of a tree with ±: both signs together in one expression, apart in each coordinate of a point."""
    if not any(part[0] == "pm" for part in walk(node)):
        return [node]
    if node[0] == "tuple" and not any(part[0] == "pm" and part[3] < 0 for part in walk(node)):
        parts = [expand(item) for item in node[1]]
        if len(node[1]) <= 5:
            return [("tuple", combination, *node[2:]) for combination in itertools.product(*parts)]
    return [_signed(node, 1), _signed(node, -1)]


def _signed(node: Node, sign: int) -> Node:
    if node[0] == "pm":
        right = _signed(node[2], sign)
        right = right if node[3] * sign > 0 else ("neg", right)
        return right if node[1] is None else ("add", (_signed(node[1], sign), right))
    return tuple(_signed_part(part, sign) for part in node)


def _signed_part(part: object, sign: int) -> object:
    if isinstance(part, tuple) and part:
        return _signed(part, sign) if isinstance(part[0], str) else tuple(_signed_part(p, sign) for p in part)
    return part


def name_of(relation: Node) -> str | None:
    """The name that a chain of equals signs defines: x, x_1, f(x), Area, (p, q), NO/BO, S_1 : S_2."""
    left = relation[1][0]
    return name_text(left)


def name_text(left: Node) -> str | None:
    """A tree as a name, or None if it is no name."""
    kind = left[0]
    if kind == "sym":
        return str(left[1])
    if kind == "const" and left[1] == "i":
        return "i"
    if (
        kind == "call"
        and all(arg[0] in ("sym", "num") for arg in left[2])
        and re.fullmatch(r"[A-Za-z]\w{0,9}'*(?:\^-1)?|\w+_.+", left[1])
        and left[1] not in _KNOWN
    ):
        return f"{left[1]}({','.join(str(arg[1]) for arg in left[2])})"
    if kind == "tuple" and all(part[0] == "sym" for part in left[1]):
        return f"({','.join(part[1] for part in left[1])})"
    if kind == "ratio" or kind == "div":
        parts = left[1] if kind == "ratio" else left[1:]
        texts = [_segment(part) for part in parts]
        return None if any(t is None for t in texts) else ":".join(t for t in texts if t)
    return _segment(left)


_KNOWN = {
    "ln",
    "log",
    "sin",
    "cos",
    "tan",
    "abs",
    "root",
    "fact",
    "binom",
    "det",
    "gcd",
    "lcm",
    "max",
    "min",
    "floor",
    "ceil",
}


def _segment(node: Node) -> str | None:
    """Upper-case points side by side: AB, or a symbol with an index."""
    if node[0] == "sym" and (node[1].isupper() or "_" in node[1] or " " in node[1]):
        return str(node[1])
    if (
        node[0] == "mul"
        and any(p[0] == "sym" and p[1].startswith(("angle ", "measuredangle ")) for p in node[1])
        and len(node[1]) == 2
    ):
        return " ".join(str(p[1]) for p in node[1])
    if node[0] == "mul" and len(node[1]) in (2, 3) and all(p[0] == "sym" and p[1][:1].isupper() for p in node[1]):
        return "".join(p[1] for p in node[1])
    if node[0] == "call" and len(node[2]) == 1 and node[1][:1].isupper():
        return str(node[1])
    return None


def indexed(names: tuple[str, ...]) -> bool:
    """x_1, x_2, ...: one letter with running indices, so the order of the values is nobody's choice."""
    heads = {name.split("_")[0] for name in names}
    return len(heads) == 1 and sorted(name.partition("_")[2] for name in names) == [
        str(i + 1) for i in range(len(names))
    ]


def matrix_of(node: Node) -> Node | None:
    """The matrix that a product, sum or difference of matrices is, entry by entry; None if none is in it."""
    kind = node[0]
    if kind == "matrix":
        return node
    if kind == "neg":
        inner = matrix_of(node[1])
        return None if inner is None else ("matrix", tuple(tuple(("neg", e) for e in row) for row in inner[1]))
    if kind == "add":
        parts = [matrix_of(part) for part in node[1]]
        rows = [part[1] for part in parts if part is not None]
        if len(rows) != len(parts) or len({(len(r), len(r[0])) for r in rows}) != 1:
            return None
        return (
            "matrix",
            tuple(tuple(("add", entries) for entries in zip(*line, strict=True)) for line in zip(*rows, strict=True)),
        )
    if kind == "div" and (inner := matrix_of(node[1])) is not None and matrix_of(node[2]) is None:
        return ("matrix", tuple(tuple(("div", e, node[2]) for e in row) for row in inner[1]))
    if kind == "mul":
        out: Node | None = None
        factors: list[Node] = []
        for part in node[1]:
            inner = matrix_of(part)
            if inner is None:
                factors.append(part)
            elif out is None:
                out = inner
            elif len(out[1][0]) == len(inner[1]) <= 6:
                columns = list(zip(*inner[1], strict=True))
                out = (
                    "matrix",
                    tuple(
                        tuple(("add", tuple(("mul", (x, y)) for x, y in zip(row, c, strict=True))) for c in columns)
                        for row in out[1]
                    ),
                )
            else:
                return None
        if out is None:
            return None
        if factors:
            out = ("matrix", tuple(tuple(("mul", (*factors, e)) for e in row) for row in out[1]))
        return out
    return None


def has_matrix(node: Node) -> bool:
    """Whether a matrix stands anywhere outside a determinant."""
    if node[0] == "call" and node[1] == "det":
        return False
    return node[0] == "matrix" or any(has_matrix(child) for child in children(node))


__all__ = [
    "Shape",
    "bag",
    "expand",
    "has_matrix",
    "indexed",
    "is_scalar",
    "matrix_of",
    "name_of",
    "name_text",
    "shape",
    "symbols",
]
