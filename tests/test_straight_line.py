"""States, prefixes and joins of straight-line programs, traced in the real sandbox (methods.md 9)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mathsynth.sandbox.pool import Sandbox
from mathsynth.sandbox.results import Config
from mathsynth.straight_line import (
    Variables,
    blocks,
    furthest,
    joined,
    remaining,
    renumbered,
    state,
    statements,
    trace,
    without_beginnings,
)

Trace = Callable[[Sequence[str]], list[Variables]]


@pytest.fixture(scope="module")
def traced() -> Iterator[Trace]:
    """What statements leave, one by one."""
    with Sandbox(Config(workers=1, wall_s=5)) as box:

        def of(lines: Sequence[str]) -> list[Variables]:
            return trace(box.run_now(blocks(lines)).blocks)

        yield of


PROGRAM = ("import math", "{a} = 12 * 8", "{b} = {a} - 53", "{c} = [{a}, {b}]", "{a} += math.floor(2.5)", "print({a})")


@settings(max_examples=15, deadline=None)
@given(names=st.permutations(["a", "b", "c", "total", "sum", "list", "str", "_x", "ä"]))
def test_renaming_changes_no_state(traced, names):
    one, other = (traced([line.format(a=a, b=b, c=c) for line in PROGRAM]) for a, b, c in (("a", "b", "c"), names[:3]))
    assert [state(here) for here in one] == [state(here) for here in other]
    assert len(one) == len(PROGRAM) and state(one[-1]) == ("43", "98", "[96, 43]")


def test_independent_statements_may_change_places(traced):
    one, other = traced(("a = 3 * 4", "b = 2 + 5", "c = a + b")), traced(("b = 2 + 5", "a = 3 * 4", "c = a + b"))
    assert state(one[0]) != state(other[0])
    assert [state(here) for here in one[1:]] == [state(here) for here in other[1:]]


def test_a_state_has_the_values_alone(traced):
    lines = (
        "from math import sqrt",
        "import math",
        "f = lambda x: x",
        "x = 0.1 + 0.2",
        "y = map(f, [1])",
        "z = 'a\\tb'",
    )
    last = traced(lines)[-1]
    assert last == {"x": "0.3", "y": "<map object>", "z": "a\\tb"}
    assert traced(lines)[-1] == last


def test_names_of_builtins_do_not_end_a_trace(traced):
    lines = ("list = [1]", "str = 5", "globals = 2", "ascii = callable = type = 7", "print = 9")
    assert len(traced(lines)) == len(lines)


@pytest.mark.parametrize("end", ["x = 1 / 0", "exit()", "print('x' * 100000)"])
def test_a_trace_goes_as_far_as_the_program(traced, end):
    assert [state(here) for here in traced(("a = 1", "b = 2", end, "c = 3"))] == [("1",), ("1", "2")]


@pytest.mark.parametrize(
    "program",
    [
        "for i in range(3):\n    print(i)",
        "if x:\n    y = 1",
        "def f():\n    pass",
        "x = (",
        "",
        "x = " + "-" * 5000 + "1",
        "\0",
    ],
)
def test_what_is_no_straight_line(program):
    assert statements(program) == ()


def test_formatting_and_comments_make_no_other_program():
    assert statements("a=1  # one\nb = ( a+2 );print( b )") == ("a = 1", "b = a + 2", "print(b)")


def test_the_furthest_prefix_is_that_which_reaches_the_state():
    steps = [{}, {"a": "1"}, {"a": "1", "b": "2"}, {"a": "1", "b": "2"}, {"a": "1", "b": "9"}]
    assert furthest(steps, {("1",), ("1", "2")}) == 3
    assert furthest(steps, {()}) == 0


def test_no_beginning_of_another_stays():
    prefixes = [("a",), ("a", "b"), ("a", "c"), ("a", "b", "d"), ("a", "c")]
    assert without_beginnings(prefixes) == [("a", "c"), ("a", "b", "d")]


def test_what_the_right_program_had_imported_comes_along():
    right = ("import math", "from math import pi", "a = 4", "print(math.sqrt(a))")
    assert remaining(right, 3, ("from math import pi", "x = 4")) == ["import math", "print(math.sqrt(a))"]


@pytest.mark.parametrize(
    ("prefix", "known", "rest", "expected", "wanted"),
    [
        (["x = 6"], {"x": "6"}, ["b = a * 7", "print(b)"], {"a": "6"}, ["x = 6", "b = x * 7", "print(b)"]),
        # `b` is another thing in the prefix.
        (["b = 6"], {"b": "6"}, ["b = a * 7", "print(a, b)"], {"a": "6"}, ["b = 6", "b_2 = b * 7", "print(b, b_2)"]),
        (["a = 6", "x = 6"], {"a": "6", "x": "6"}, ["print(b)"], {"a": "6", "b": "6"}, ["a = 6", "x = 6", "print(x)"]),
        (["x = 6", "y = 6"], {"x": "6", "y": "6"}, ["print(1)"], {"a": "6", "b": "6"}, ["x = 6", "y = 6", "print(1)"]),
        (["x = 6", "y = 6"], {"x": "6", "y": "6"}, ["print(a)"], {"a": "6", "b": "6"}, None),
    ],
)
def test_a_join_speaks_of_the_same_things(prefix, known, rest, expected, wanted):
    assert joined(prefix, known, rest, expected) == (None if wanted is None else "\n".join(wanted) + "\n")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("a = 2 + 2", "a = 2 * 2", False),
        ("a = 3 * 5", "a = 5 * 3", True),
        ("a = 3 * 5 / 100", "a = 3 / 100 * 5", True),
        ("a = 2.5 * 2", "a = 5", False),
        ("a = 15", "a = 3 * 5", False),
    ],
)
def test_other_numbers_tell_equal_values_from_equal_calculations(traced, one, other, same):
    assert state(traced((one,))[-1]) == state(traced((other,))[-1]) or "/" in one or "." in one
    first, second = (traced(renumbered((line,), [2, 2.5, 3, 5]))[-1] for line in (one, other))
    assert (state(first) == state(second)) == same
