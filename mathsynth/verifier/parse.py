"""A cleaned answer to its tree. The whole input is consumed or `Unparsed` is raised; nothing is evaluated."""

from __future__ import annotations

from mathsynth.verifier import answers
from mathsynth.verifier.grammar import Grammar
from mathsynth.verifier.tokens import Unparsed, tokens
from mathsynth.verifier.tree import Node

MAX_TOKENS = 20_000


def parse(cleaned: str, *, grouping: bool = True) -> Node:
    """The tree of a whole answer. `grouping`: 1,234 at the top is one number; else it is a list."""
    found = tokens(cleaned)
    if not found:
        raise Unparsed("nothing there")
    if len(found) > MAX_TOKENS:
        raise Unparsed("too long")
    grammar = Grammar(found, grouping)
    tree = answers.answer(grammar)
    if grammar.i < len(found):
        raise Unparsed(f"{found[grammar.i].value!r} makes no sense there")
    return tree
