"""The calculations that a text states, in reading order, each with its place and its verdict.

An equation needs an operator (`x = 5` is none). Chains give one equation for each link; a calculator mark
`<<48/2=24>>` counts once with the equation around it. What surrounds an equation (a question mark, "suppose",
"wait, no", a remainder) can only turn "false" into "unknown", never the other way.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from typing import Literal

from mathsynth.verifier.arithmetic import hedges
from mathsynth.verifier.arithmetic.algebra import Condition, condition, contradicts, never_holds
from mathsynth.verifier.arithmetic.expressions import Expression, Value, evaluate, parse
from mathsynth.verifier.arithmetic.judging import Truth, difference, judge
from mathsynth.verifier.arithmetic.prose import Token, lex
from mathsynth.verifier.arithmetic.runs import Run, runs, with_units
from mathsynth.verifier.arithmetic.spoken import spoken

_MARK = re.compile(r"<<([^<>\n]*?=[^<>\n]*?)>>")
_FENCE = re.compile(
    r"```(?:python|py|c|cpp|java|javascript|js|sympy|r|julia)\b.*?(?:```|\Z)|\[asy\].*?(?:\[/asy\]|\Z)", re.S | re.I
)
_OPENERS = re.compile(r"(?:so|thus|then|hence|therefore|that|have|get|and|gives|since|because|is)", re.I)


@dataclass(frozen=True, slots=True)
class Equation:
    """One stated calculation: `left` and `right` normalised, without spaces; `start` and `end` its place."""

    left: str
    right: str
    relation: Literal["=", "≈"]
    start: int
    end: int
    operators: str
    verdict: Truth

    @property
    def key(self) -> str:
        """The equation as one text: `48/2=24`."""
        return f"{self.left}{self.relation}{self.right}"


def equations(text: str) -> tuple[Equation, ...]:
    """Every stated calculation of a text in reading order, calculator marks included."""
    blank = _FENCE.sub(lambda m: re.sub(r"[^\n]", " ", m[0]), text)
    found = sorted(_equations(_MARK.sub(lambda m: " " * len(m[0]), blank)), key=_place)
    starts = [e.start for e in found]
    marks: list[Equation] = []
    hidden: set[int] = set()
    for mark in _MARK.finditer(blank):
        at = mark.start(1)
        last = bisect_right(starts, at)
        around = [i for i in range(max(0, last - 8), last) if found[i].end >= mark.end(1)]
        verdicts = {found[i].verdict for i in around}
        own = [replace(e, start=e.start + at, end=e.end + at) for e in _equations(mark[1])]
        if "false" not in verdicts and ("true" not in verdicts or any(e.verdict == "false" for e in own)):
            marks += own
            hidden.update(around)
    return tuple(sorted([e for i, e in enumerate(found) if i not in hidden] + marks, key=_place))


def _place(equation: Equation) -> tuple[int, int]:
    return equation.start, equation.end


def _equations(text: str) -> Iterator[Equation]:
    tokens = with_units(lex(text))
    rounded = _stated_roundings(tokens)
    conditions: list[Condition] = []
    found: list[tuple[Equation, Value | None]] = []
    for run in runs(tokens):
        found += _links(run, text, rounded, conditions)
    for left, right, start, end in spoken(text):
        found += _spoken(left, right, start, end)
    wrong = {
        (second.start, second.end): Equation(*second.key, "=", second.start, second.end, second.operators, "false")
        for first, second in pairwise(conditions)
        if contradicts(first, second, text)
    }
    found = [(e, off) for e, off in found if (e.start, e.end) not in wrong] + [(e, None) for e in wrong.values()]
    for equation, off in found:
        if equation.verdict == "false" and (
            hedges.other_arithmetic(text)
            or _hedged(text, equation)
            or (isinstance(off, Fraction) and hedges.modulo(text, off))
        ):
            equation = replace(equation, verdict="unknown")
        yield equation


def _spoken(left: list[Token], right: list[Token], start: int, end: int) -> Iterator[tuple[Equation, Value | None]]:
    a, b = parse(left), parse(right)
    if a is not None and b is not None:
        result = judge(left, right, approximate=False, rounded=set())
        verdict: Truth = (
            "unknown" if result.truth == "false" and "/" in a.operators and not result.exact else result.truth
        )
        yield Equation(a.text, b.text, "=", start, end, a.operators, verdict), result.off


def _hedged(text: str, equation: Equation) -> bool:
    return (
        hedges.asked_or_supposed(text, equation.start)
        or hedges.taken_back(text, equation.end)
        or hedges.another_kind(
            text, equation.end, said=not re.search(r"[=≈]|\\approx", text[equation.start : equation.end])
        )
        or ("/" in equation.operators and hedges.has_remainder(text, equation.end))
    )


def _stated_roundings(tokens: list[Token]) -> set[Fraction]:
    """The numbers that follow ≈ or "about", are cut with dots, or are written to four places or more."""
    found = set()
    for before, token in zip([None, *tokens], tokens, strict=False):
        if token.number is not None:
            about = before is not None and (
                (before.kind == "rel" and before.text == "≈")
                or before.text.lower() in ("about", "approximately", "roughly", "around", "nearly")
            )
            if about or token.number.cut:
                found.add(token.number.value)
    return found


@dataclass(slots=True)
class _Side:
    tokens: list[Token]
    relation: str = ""
    weak: bool = False
    cut: bool = False


def _sides(run: Run) -> list[_Side]:
    sides = [_Side([])]
    for token in run.tokens:
        if token.kind in ("rel", "weak"):
            sides.append(_Side([], "=" if token.kind == "weak" else token.text, token.kind == "weak"))
        else:
            sides[-1].tokens.append(token)
    while len(sides) > 1 and not sides[0].tokens:
        sides.pop(0)
        run.before = None
    first, last = sides[0], sides[-1]
    first.cut = run.dangling and run.before is not None
    while first.tokens and first.tokens[0].kind == "op":
        lead = first.tokens[0]
        spaced = len(first.tokens) > 1 and first.tokens[1].space and run.before is not None
        if lead.text == "-" and lead.end == lead.start + 1 and not spaced:
            break
        first.tokens, first.cut = first.tokens[1:], True
    while last.tokens and last.tokens[-1].kind == "op":
        last.tokens, last.cut = last.tokens[:-1], True
    return sides


def _links(
    run: Run, text: str, rounded: set[Fraction], conditions: list[Condition]
) -> Iterator[tuple[Equation, Value | None]]:
    """The equations of a run, and for each how far its right side is off."""
    sides = _sides(run)
    for at, (left, right) in enumerate(pairwise(sides)):
        if not left.tokens or not right.tokens:
            continue
        a, b = parse(left.tokens), parse(right.tokens)
        if a is None or b is None:
            continue
        start, end = left.tokens[0].start, right.tokens[-1].end
        linear = None if left.cut or right.cut or right.weak else condition(a, b, start, end)
        alone = (at == 0 or left.weak) and (at + 2 == len(sides) or sides[at + 2].weak)
        if linear is not None and alone:
            conditions.append(linear)
        own = a.operators.replace("~", "") or b.operators.replace("~", "")
        if not own or (right.weak and not _weak_holds(sides, at, a, b)):
            continue
        near = hedges.rounded_after(text, end)
        result = judge(left.tokens, right.tokens, approximate=right.relation == "≈" or near, rounded=rounded)
        target = b.plain
        if target is not None and result.truth == "true":
            carries = target.places and any(n.value in rounded for n in a.numbers)
            if not result.exact or right.relation == "≈" or carries:
                rounded.add(target.value)
        verdict = result.truth
        if verdict == "unknown" and never_holds(a, b, result.off, text, start, end):
            verdict = "unknown" if left.cut or right.cut else "false"
        elif verdict == "false" and (left.cut or right.cut or _excused(run, text, sides, at, a, b)):
            verdict = "unknown"
        relation: Literal["=", "≈"] = "≈" if right.relation == "≈" else "="
        yield Equation(a.text, b.text, relation, start, end, own, verdict), result.off


def _weak_holds(sides: list[_Side], at: int, a: Expression, b: Expression) -> bool:
    """Whether "is", "gives" and their like state a calculation here: an expression before, one number after."""
    return at == 0 and len(sides) == 2 and bool(a.operators.replace("~", "")) and b.plain is not None


def _excused(run: Run, text: str, sides: list[_Side], at: int, a: Expression, b: Expression) -> bool:
    """Whether a false link may be a fragment of something true."""
    if at == 0 and run.before is not None and _begins_elsewhere(run.before, sides[0], sides[1], text, a):
        return True
    return _loosely_written(text, sides[at], sides[at + 1], a, b) or _counts_from_elsewhere(run, text, sides[at], at)


def _begins_elsewhere(before: Token, left: _Side, right: _Side, text: str, a: Expression) -> bool:
    """Whether what stands before a left side belongs to it: a label (`Day 1 + 3`), a name (`cost of 5 =`), a wall."""
    start, word = left.tokens[0].start, before.text
    bare = not a.operators.replace("~", "")
    first = left.tokens[0].number
    if before.kind in ("word", "break") and first and hedges.label_before(word, first.value, a.operators[:1]):
        return True
    if word == "than" or (
        word == "by" and re.search(r"(?:multipl|divid)\w+\s+by\W*$", text[max(0, start - 40) : start])
    ):
        return True
    if right.weak and (word in ("to", "from", "of", "and") or before.kind == "num"):
        return True
    if bare and (word == "," or before.kind == "num" or (before.kind == "word" and not _OPENERS.fullmatch(word))):
        return True
    return before.kind == "wall" or word == "}" or (word in ("|", ")") and not left.tokens[0].space)


def _loosely_written(text: str, left: _Side, right: _Side, a: Expression, b: Expression) -> bool:
    """Whether people write it although it doesn't hold: running totals, `20% = $10`, `1/4 = 5 pupils`, ranges."""
    start, end = left.tokens[0].start, right.tokens[-1].end
    x, y = evaluate(a.tree), evaluate(b.tree)
    if x is None or y is None or _runs_on(right, x):
        return True
    if "*" in text[start : left.tokens[-1].end] and b.plain is None and hedges.defines_operation(text):
        return True
    operators, first = a.operators.replace("~", ""), a.numbers[0] if a.numbers else None
    if not operators:
        return first is not None and bool(first.unit or first.money)
    if first is not None and operators == "%":
        return _loose_percent(b) or bool(first.unit)
    if operators == "/" and len(a.numbers) == 2 and isinstance(y, Fraction) and 0 < x < 1:
        return (y >= 1 and y.denominator == 1) or any(number.unit for number in b.numbers[:1])
    if operators == "-" and x < 0 < y and not left.tokens[-1].space and len(left.tokens) == 3:
        return b.plain is not None and isinstance(x, Fraction) and x.denominator == 1
    if "/" in operators and b.plain is not None and isinstance(y, Fraction) and y.denominator == 1:
        return -1 < difference(x, y) < 1 and hedges.speaks_of_rounding(text[max(0, start - 150) : end + 150])
    return False


def _runs_on(right: _Side, value: Value) -> bool:
    """Whether a right side goes on from the left one's value: `3 + 4 = 7 + 5 = 12`."""
    first = right.tokens[0].number
    return first is not None and first.value == value and len(right.tokens) > 1


def _loose_percent(b: Expression) -> bool:
    plain = b.plain
    return plain is None or plain.value.denominator == 1 or bool(plain.unit) or plain.money


def _counts_from_elsewhere(run: Run, text: str, left: _Side, at: int) -> bool:
    """`3 boxes with 4 apples each × 2 = 24`: the prose before the left side may be a factor of it."""
    if at or not (left.tokens[0].number is not None and left.tokens[0].number.unit) or run.before is None:
        return False
    clause = re.split(r"[.,;:!?\n]", text[max(0, left.tokens[0].start - 80) : left.tokens[0].start])[-1]
    return bool(re.search(r"\d", clause))


def equation_list(text: str) -> tuple[str, ...]:
    """The ordered equations without spaces: solutions of a problem with one list are one (RFT, arXiv 2308.01825)."""
    return tuple(equation.key for equation in equations(text))


def operations(text: str) -> str:
    """The operators of all equations in order: the same for solutions that differ in their numbers only."""
    return "".join(equation.operators for equation in equations(text))
