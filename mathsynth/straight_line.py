"""Straight-line programs, statement by statement: what a state is, which prefix a program shares, how two are joined.

After TraceCodegen (2205.14318, methods.md 9): the state after a statement is the multiset of its variables' values, by
their text and without their names. A prefix of a wrong program is partially correct if its state is one that a right
program of the same problem passes through. Equal states can be a coincidence (2 + 2 and 2 * 2). The right program's
remaining statements can't tell, for they see equal values; the same programs with other numbers can (`renumbered`).
PURE: programs are parsed here, never run.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from itertools import count, takewhile

from mathsynth.code_blocks import IMPORTS
from mathsynth.printed import rounded

LINES = (ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Expr, *IMPORTS)
"""Statements that are run once, one after the other."""

_ADDRESS = re.compile(" at 0x[0-9a-f]+")
VALUE_CHARS = 1000
"""Of a longer value the rest is not compared."""

# What a program calls `list` or `str` must not matter here, and our own names must not be among its.
STATE = f"""\
import builtins as __b
for __n, __v in __b.list(__b.globals().items()):
    if __n[:2] != '__' and not __b.callable(__v) and __b.type(__v).__name__ != 'module':
        __b.print(__n, __b.ascii(__b.str(__v))[:{VALUE_CHARS}], sep='\\t')
__b.print('.')
"""
"""A block that prints the variables that are known, one a line: the name, a tab, the value's text with its escapes; at
the end a dot, for an output may be cut."""

OFFSETS = (3, 5, 7, 11, 13, 17, 19, 23, 29, 31)

Variables = Mapping[str, str]
"""Name -> the text of its value."""


def statements(program: str) -> tuple[str, ...]:
    """Its statements as Python itself would write them; none if it is no straight-line program."""
    try:
        body = ast.parse(program).body
        return tuple(ast.unparse(line) for line in body) if all(isinstance(line, LINES) for line in body) else ()
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ()


def blocks(lines: Sequence[str]) -> tuple[str, ...]:
    """A program that tells its state after each of its statements."""
    return tuple(block for line in lines for block in (line, STATE))


def trace(outputs: Sequence[str]) -> list[Variables]:
    """The variables after each statement, from what these blocks printed, up to where one was stopped."""
    return [variables(output) for output in takewhile(lambda output: output.splitlines()[-1:] == ["."], outputs[1::2])]


def variables(output: str) -> Variables:
    """What STATE printed, without the binary noise of floats and without addresses, which differ each time."""
    named = (line.split("\t", 1) for line in output.splitlines() if "\t" in line)
    return {name: rounded(_ADDRESS.sub("", text.strip("'\""))) for name, text in named}


def state(known: Variables) -> tuple[str, ...]:
    """The key of a state: renaming variables does not change it, nor does the order of independent statements."""
    return tuple(sorted(known.values()))


def furthest(steps: Sequence[Variables], states: Container[tuple[str, ...]]) -> int:
    """How many statements of a program lead to a state that is among `states`; 0 if none does.

    Statements behind them that change no variable, such as those that print, are not counted.
    """
    reached = [state(here) for here in steps]
    changed = (n for n, here in enumerate(reached, 1) if here and (n == 1 or here != reached[n - 2]))
    return max((n for n in changed if reached[n - 1] in states), default=0)


def without_beginnings(prefixes: Iterable[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """The prefixes of which none is the beginning of another, in their order, each once."""
    unique = list(dict.fromkeys(prefixes))
    return [one for one in unique if not any(len(other) > len(one) and other[: len(one)] == one for other in unique)]


def remaining(right: Sequence[str], done: int, prefix: Sequence[str]) -> list[str]:
    """The statements of a right program after the first `done`, with what those had imported and `prefix` has not."""
    imports = [line for line in right[:done] if isinstance(ast.parse(line).body[0], IMPORTS) and line not in prefix]
    return [*imports, *right[done:]]


def joined(prefix: Sequence[str], known: Variables, rest: Sequence[str], expected: Variables) -> str | None:
    """The prefix, then the remaining statements of the right program with its names exchanged for the prefix's.

    `known` and `expected` are the variables of both in the state that they share. None where several names of the
    prefix have a value, so that none is meant.
    """
    trees = [ast.parse(line) for line in rest]
    found = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Name)]
    used = dict.fromkeys(node.id for node in found)
    names = {name: name for name, value in expected.items() if known.get(name) == value}
    free = {name: value for name, value in known.items() if name not in names}
    holders = Counter(free.values())
    for name in used:
        if name in expected and name not in names:
            if holders[expected[name]] != 1:
                return None
            names[name] = next(own for own, value in free.items() if value == expected[name])
    # A name that the rest gives to something new must not be one that the prefix has for something else.
    taken = {*known, *used}
    for name in dict.fromkeys(node.id for node in found if isinstance(node.ctx, ast.Store)):
        if name not in names and name in known:
            names[name] = next(new for new in (f"{name}_{number}" for number in count(2)) if new not in taken)
            taken.add(names[name])
    return "\n".join([*prefix, *(ast.unparse(_Rename(names).visit(tree)) for tree in trees)]) + "\n"


def renumbered(lines: Sequence[str], numbers: Iterable[float]) -> tuple[str, ...]:
    """The statements with other numbers in place of these, the same for the same one in every program."""
    shifts = {number: OFFSETS[n % len(OFFSETS)] for n, number in enumerate(dict.fromkeys(numbers))}
    return tuple(ast.unparse(_Renumber(shifts).visit(ast.parse(line))) for line in lines)


class _Rename(ast.NodeTransformer):
    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = names

    def visit_Name(self, node: ast.Name) -> ast.Name:
        return ast.copy_location(ast.Name(self._names.get(node.id, node.id), node.ctx), node)


class _Renumber(ast.NodeTransformer):
    def __init__(self, shifts: Mapping[float, int]) -> None:
        self._shifts = shifts

    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        value = node.value
        if isinstance(value, bool) or not isinstance(value, int | float) or value not in self._shifts:
            return node
        return ast.copy_location(ast.Constant(value + self._shifts[value]), node)
