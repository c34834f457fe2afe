"""Brackets that hold several things, and environments: tuples, intervals, matrices, cases."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mathsynth.verifier import answers
from mathsynth.verifier.tokens import Token, Unparsed
from mathsynth.verifier.tree import Node

if TYPE_CHECKING:
    from mathsynth.verifier.grammar import Grammar


def bracket(p: Grammar, opener: str) -> Node:
    """( ... ), [ ... ), ]a, b[, <a, b>: a group, a tuple or an interval."""
    p.depth += 1
    bars, p.bars = p.bars, 0
    items, joins = answers.read_items(p, (")", "]", "[", "rangle"))
    p.bars = bars
    p.depth -= 1
    token = p.next()
    closer = token.value
    allowed = {"langle": ("rangle",), "]": ("[", "]")}.get(opener, (")", "]", "["))
    if token.kind not in ("op", "cmd") or closer not in allowed:
        raise Unparsed("a bracket that is never closed")
    if len(items) == 1:
        if opener == "]" or closer == "[" or (opener, closer) in (("(", "]"), ("[", ")")) or joins:
            raise Unparsed("brackets that don't match")
        return items[0] if opener != "langle" else ("tuple", tuple(items), "(", ")")
    if opener == "]":
        opener, closer = "(", ")" if closer == "[" else "]"
    elif closer == "[":
        closer = ")"
    if opener == "langle":
        opener, closer = "<", ">"
    if "or" in joins or "and" in joins:
        raise Unparsed("words inside brackets")
    return ("tuple", tuple(items), opener, closer)


def environment(p: Grammar, name: str) -> Node:
    """What stands between \\begin and \\end: a matrix, a determinant or cases."""
    if name in ("cases", "dcases", "rcases"):
        return cases(p, name)
    if name not in ("matrix", "pmatrix", "bmatrix", "Bmatrix", "vmatrix", "Vmatrix", "array", "smallmatrix"):
        raise Unparsed(f"the environment {name}")
    rows: list[tuple[Node, ...]] = []
    row: list[Node] = []
    p.depth += 1
    bars, p.bars = p.bars, 0
    while True:
        token = p.peek()
        if token is not None and token.kind == "end":
            break
        row.append(answers.read_item(p))
        if p.at("&"):
            p.i += 1
            continue
        rows.append(tuple(row))
        row = []
        if p.at("\\\\"):
            p.i += 1
            continue
        break
    p.depth -= 1
    p.bars = bars
    close(p, name)
    if not rows or len({len(r) for r in rows}) != 1:
        raise Unparsed("a matrix with uneven rows")
    if name in ("vmatrix", "Vmatrix"):
        return ("call", "det", (("matrix", tuple(rows)),))
    return ("matrix", tuple(rows))


def close(p: Grammar, name: str) -> None:
    """Consume the \\end of this environment."""
    token = p.next()
    if token.kind != "end" or token.value != name:
        raise Unparsed(f"\\end{{{name}}} is missing")


def cases(p: Grammar, name: str) -> Node:
    """Rows of a value and the condition under which it holds."""
    rows: list[tuple[Node, Node]] = []
    p.depth += 1
    while True:
        value = p.sum()
        if p.at(","):
            p.i += 1
        p.expect("&")
        start = p.i
        while (token := p.peek()) is not None and token.kind != "end" and token.value != "\\\\":
            p.i += 1
        rows.append((value, condition(p, p.found[start : p.i])))
        if p.at("\\\\"):
            p.i += 1
            if (token := p.peek()) is not None and token.kind == "end":
                break
            continue
        break
    p.depth -= 1
    close(p, name)
    return ("cases", tuple(rows))


def condition(p: Grammar, found: list[Token]) -> Node:
    """A relation if it reads as one, else its words."""
    words = [
        t
        for t in found
        if not (t.kind in ("text", "word") and t.value.strip(" ,").lower() in ("if", "when", "for", "where"))
    ]
    while words and words[0].value == ",":
        words = words[1:]
    while words and words[-1].value in (",", ".", ";"):
        words = words[:-1]
    try:
        inner = type(p)(list(words), p.grouping)
        inner.depth = 1
        node = answers.read_item(inner)
        if inner.i == len(words) and node[0] == "rel":
            return node
    except Unparsed:
        pass
    return ("text", " ".join(t.value.strip().lower() for t in words))
