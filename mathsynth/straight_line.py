"""Straight-line programs, statement by statement: what a state is, which prefix a program shares, how two are joined.

After TraceCodegen (2205.14318, methods.md 9): the state after a statement is the multiset of its variables' values, by
their text and without their names. A prefix of a wrong program is partially correct if its state is one that a right
program of the same problem passes through. Equal states can be a coincidence (2 + 2 and 2 * 2), so a prefix is proved
only by the answer that it reaches with the right program's remaining statements. PURE: programs are parsed here, never
run.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

LINES = (ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Expr, ast.Import, ast.ImportFrom)
"""Statements that are run once, one after the other."""

STATE = (
    "for _name, _value in list(globals().items()):\n"
    "    if _name[0] != '_' and not callable(_value) and type(_value).__name__ != 'module':\n"
    "        print(_name, ascii(str(_value)), sep='\\t')\n"
)
"""A block that prints the variables that are known, one a line: the name, a tab, the value's text with its escapes."""


def statements(program: str) -> tuple[str, ...]:
    """Its statements as Python itself would write them; none if it is no straight-line program."""
    try:
        body = ast.parse(program).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ()
    return tuple(ast.unparse(line) for line in body) if all(isinstance(line, LINES) for line in body) else ()


def variables(output: str) -> dict[str, str]:
    """What STATE printed: name -> the text of its value."""
    return dict(line.split("\t", 1) for line in output.splitlines() if "\t" in line)


def state(known: Mapping[str, str]) -> tuple[str, ...]:
    """The key of a state: renaming variables does not change it, nor does the order of independent statements."""
    return tuple(sorted(known.values()))


def furthest(trace: Sequence[Mapping[str, str]], states: Iterable[tuple[str, ...]]) -> int:
    """How many statements of a program lead to a state that is among `states`; 0 if none does."""
    known = frozenset(states)
    return max((number for number, here in enumerate(trace, 1) if here and state(here) in known), default=0)


def without_beginnings(prefixes: Iterable[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """The prefixes of which none is the beginning of another, in their order, each once."""
    unique = list(dict.fromkeys(prefixes))
    return [one for one in unique if not any(len(other) > len(one) and other[: len(one)] == one for other in unique)]


def joined(
    prefix: Sequence[str], known: Mapping[str, str], rest: Sequence[str], expected: Mapping[str, str]
) -> str | None:
    """The prefix, then the remaining statements of the right program with its names exchanged for the prefix's.

    `known` and `expected` are the variables of both in the state that they share. None where a value belongs to so many
    names of the prefix that none is meant, and the prefix does not have the same name.
    """
    holders = Counter(known.values())
    names: dict[str, str] = {}
    for name, value in expected.items():
        if known.get(name) == value:
            names[name] = name
        elif holders[value] == 1:
            names[name] = next(own for own, there in known.items() if there == value)
        else:
            return None
    renamed = [ast.unparse(_Rename(names).visit(ast.parse(line))) for line in rest]
    return "\n".join([*prefix, *renamed]) + "\n"


class _Rename(ast.NodeTransformer):
    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = names

    def visit_Name(self, node: ast.Name) -> ast.Name:
        return ast.copy_location(ast.Name(self._names.get(node.id, node.id), node.ctx), node)
