"""Equations, inequalities and sets of real numbers as answers."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from mathsynth.verifier.expressions import infinity, proportional
from mathsynth.verifier.matching import all_of, matched
from mathsynth.verifier.sets import Reals, reals, same_set
from mathsynth.verifier.shapes import expand, has_matrix, name_text
from mathsynth.verifier.tree import Node, is_scalar, num, substitute, symbols
from mathsynth.verifier.words import Finding

if TYPE_CHECKING:
    from mathsynth.verifier.compare import Comparison


def as_sets(c: Comparison, a: Node, b: Node) -> Finding | None:
    """Intervals, inequalities and set builders as sets; None if one side is no such thing."""
    if not (_set_like(a) or _set_like(b)):
        return None
    a, b = _unnamed_set(a), _unnamed_set(b)
    left, right = reals(a, loose=_set_like(b)), reals(b, loose=_set_like(a))
    if left is None or right is None:
        return None
    if left.name and right.name and left.name != right.name:
        return Finding(False, "set", f"about {right.name}, not {left.name}")
    if not _is_list(a, b):
        return same_sets(c, left, right)
    return None


def same_sets(c: Comparison, left: Reals, right: Reals) -> Finding:
    """Compare two sets of reals by their spans."""
    same = same_set(left, right, lambda x, y: c.scalar(x, y).equal)
    reason = {True: "the same set of numbers", False: "another set of numbers", None: "an end of the set is unclear"}
    return Finding(same, "set", reason[same])


def relations(c: Comparison, a: Node, b: Node) -> Finding | None:
    """Two equations or two inequalities; None if they should be compared by what they define."""
    both = [set(x[2]) == {"="} for x in (a, b)]
    if any(op not in ("=", "<", ">", "<=", ">=", "!=") for x in (a, b) for op in x[2]):
        if a[2] == b[2] and len(a[1]) == len(b[1]):
            return all_of([c.answers(x, y) for x, y in zip(a[1], b[1], strict=True)], "relation")
        return Finding(None, "relation", "relations that are not compared")
    if all(both):
        return equations(c, a, b)
    if any(both):
        return Finding(False, "relation", "an equation and an inequality")
    return inequalities(c, a, b)


def equations(c: Comparison, a: Node, b: Node) -> Finding | None:
    """Two equations: by what they name, as multiples of each other, or None."""
    if any(not is_scalar(e) or len(expand(e)) > 1 or has_matrix(e) for e in (*a[1], *b[1])):
        return None
    name_a, name_b = name_text(a[1][0]), name_text(b[1][0])
    if name_a and name_b:
        if name_a == name_b:
            return None
        again = renamed(c, a, b)
        if again is not None:
            return again
    if len(a[1]) > 2 or len(b[1]) > 2:
        return (
            None
            if name_a or name_b
            else c.row(a[1], b[1], "chain")
            if len(a[1]) == len(b[1])
            else Finding(None, "chain", "chains of different length")
        )
    names = symbols(a) | symbols(b)
    if not names:
        return statements(c, a, b)
    left, right = (("add", (x[1][0], ("neg", x[1][1]))) for x in (a, b))
    found = proportional(left, right, c.policy, c.slow, positive=False)
    if found.equal is False and name_a and name_b and not symbols(a[1][1]) and not symbols(b[1][1]):
        value = c.scalar(a[1][1], b[1][1])
        if value.equal:
            return Finding(None, "names", f"{name_b} is not {name_a}")
    return found


def statements(c: Comparison, a: Node, b: Node) -> Finding:
    """Two equations about numbers only: by their values, if both are true."""
    for sides in (a[1], b[1]):
        if c.scalar(sides[0], sides[-1]).equal is not True:
            return Finding(None, "chain", "a statement about numbers that is not true")
    return c.scalar(a[1][-1], b[1][-1])


def renamed(c: Comparison, a: Node, b: Node) -> Finding | None:
    """f(x) = x + 1 and f(t) = t + 1: the same function under another variable."""
    left, right = a[1][0], b[1][0]
    if left[0] != "call" or right[0] != "call" or left[1] != right[1] or len(left[2]) != len(right[2]):
        return None
    value = b[1][-1]
    for new, old in zip(left[2], right[2], strict=True):
        if old[0] != "sym" or new[0] != "sym" or (new != old and new[1] in symbols(value)):
            return None
        value = substitute(value, old[1], new)
    return c.answers(a[1][-1], value)


def inequalities(c: Comparison, a: Node, b: Node) -> Finding | None:
    """Chains link by link, each as `0 < difference`, up to a positive factor."""
    names_a, names_b = symbols(a), symbols(b)
    if names_a != names_b:
        return Finding(False, "inequality", "about other variables")
    links_a, links_b = _links(a), _links(b)
    if len(links_a) != len(links_b):
        return Finding(None, "inequality", "chains of different length")
    if not all(is_scalar(x) for x, _ in links_a + links_b):
        return None

    def same(x: tuple[Node, str], y: tuple[Node, str]) -> bool | None:
        if x[1] != y[1]:
            return False
        return proportional(x[0], y[0], c.policy, c.slow, positive=x[1] != "!=").equal

    found = matched([[same(x, y) for y in links_b] for x in links_a], "inequality")
    if found.equal is False and len(names_a) == 1 and (reals(a) is None or reals(b) is None):
        return Finding(None, "inequality", "an inequality that is not linear")
    return found


def equation_and_value(c: Comparison, a: Node, b: Node) -> Finding:
    """An equation that names nothing against a value: `1 + 1 = 2`, `a + b = 10`, an identity."""
    relation, value = (a, b) if a[0] == "rel" else (b, a)
    if set(relation[2]) != {"="}:
        return Finding(False, "relation", "a relation and a value")
    if value[0] == "rel" or not all(is_scalar(e) for e in relation[1]):
        return Finding(None, "kinds", "answers of different kinds")
    sides = relation[1]
    last = c.single(sides[-1], value)
    names = [symbols(side) for side in sides]
    if not any(names) or names[0] == names[-1]:
        true = all_of([c.scalar(x, y) for x, y in itertools.pairwise(sides)], "chain")
        if true.equal:
            return last
        if not any(names) or last.equal is False:
            return Finding(
                False if last.equal is False else None,
                "chain",
                "a statement that is false" if true.equal is False else "a statement that is unclear",
            )
    if last.equal is False:
        if any(c.single(side, value).equal for side in sides[:-1]):
            return Finding(None, "equation", "an equation and one of its sides")
        return Finding(False, "equation", "an equation with another value")
    if len(sides) > 2 and last.equal:
        return last
    if last.equal and a is value and _named_quantity(sides[0]) and sides[-1] != num(0) and not names[-1]:
        return Finding(True, "named quantity", "the quantity that was asked for, written out")
    return Finding(None if sides[-1] != num(0) else False, "equation", "an equation and a value")


def before_approximation(node: Node) -> Node:
    """`x = 1/3 ~ 0.333`: the exact part; `x ~ 0.333` names a value."""
    if node[0] != "rel" or "~" not in node[2]:
        return node
    at = node[2].index("~")
    if at == 0:
        return ("rel", node[1], ("=",)) if len(node[1]) == 2 and name_text(node[1][0]) else node[1][0]
    return ("rel", node[1][: at + 1], node[2][:at])


def _set_like(node: Node) -> bool:
    """Whether this can only be a set of reals: unions, builders, mixed brackets, infinite ends, inequalities."""
    kind = node[0]
    if kind in ("cup", "cap", "minus", "builder"):
        return True
    if kind == "space":
        return bool(node[1].startswith("R"))
    if kind == "tuple":
        return len(node[1]) == 2 and (
            (node[2], node[3]) in (("(", "]"), ("[", ")")) or any(infinity(x) for x in node[1])
        )
    if kind == "rel":
        if set(node[2]) == {"="} and len(node[1]) == 2:
            return _set_like(node[1][1]) and node[1][1][0] != "rel"
        return "=" not in node[2]
    if kind == "list":
        return all(item[0] == "rel" and "=" not in item[2] for item in node[1])
    return False


def _unnamed_set(node: Node) -> Node:
    """`D = (0, 1)`: the set without its name."""
    if (
        node[0] == "rel"
        and node[2] == ("=",)
        and node[1][0][0] in ("sym", "call")
        and node[1][1][0] not in ("rel",)
        and not is_scalar(node[1][1])
    ):
        inner: Node = node[1][1]
        return inner
    return node


def _is_list(a: Node, b: Node) -> bool:
    return any(n[0] == "list" and not all(item[0] == "rel" for item in n[1]) for n in (a, b)) and not all(
        _set_like(n) or n[0] == "list" for n in (a, b)
    )


def _links(node: Node) -> list[tuple[Node, str]]:
    """Each comparison of a chain as (difference, op) with op one of < <= !=, the difference being positive."""
    out: list[tuple[Node, str]] = []
    for left, op, right in zip(node[1], node[2], node[1][1:], strict=False):
        if op in (">", ">="):
            left, right, op = right, left, "<" if op == ">" else "<="
        out.append((("add", (right, ("neg", left))), op))
    return out


def _named_quantity(node: Node) -> bool:
    """a + b, mn, a - b: variables only, each with factor one."""
    if node[0] in ("add", "mul"):
        return all(part[0] == "sym" or (part[0] == "neg" and part[1][0] == "sym") for part in node[1])
    return node[0] == "call" and node[1] in ("abs",)
