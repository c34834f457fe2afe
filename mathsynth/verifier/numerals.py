"""Numbers as they are written: digits in groups, decimals, powers of ten, bases, recurring decimals."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import TYPE_CHECKING

from mathsynth.verifier import letters
from mathsynth.verifier.tokens import Unparsed
from mathsynth.verifier.tree import Node

if TYPE_CHECKING:
    from mathsynth.verifier.grammar import Grammar


def number(p: Grammar) -> Node:
    """Digits, with groups of three after commas or spaces at the top, perhaps a base."""
    token = p.next()
    text = token.value
    if text.isdigit() and len(text) <= 3 and (p.grouping or not p.peek() or not p.at(",")):
        text += groups(p, text)
    if p.at("_") and text.isdigit():
        p.i += 1
        base = letters.raw_argument(p)
        if base in _BASE_WORDS:
            base = str(_BASE_WORDS[base])
        if not base.isdigit() or len(base) > 3:
            raise Unparsed("a subscript on a number")
        return ("base", text.lstrip("0") or "0", int(base))
    return _literal(text)


def groups(p: Grammar, first: str) -> str:
    """`,234,567` or ` 234 567` after one to three digits: all groups of three, or nothing."""
    sep = p.peek()
    if sep is None:
        return ""
    by_comma = sep.value == "," and not sep.spaced
    if by_comma and (p.depth or first.startswith("0")):
        return ""
    if not by_comma and not (sep.kind == "num" and sep.spaced and not first.startswith("0")):
        return ""
    out, at = "", p.i
    while True:
        step = 0
        if by_comma:
            comma = p.peek()
            if comma is None or comma.value != ",":
                break
            step = 1
        token = p.peek(step)
        if token is None or token.kind != "num" or token.spaced != (not by_comma):
            break
        if not re.fullmatch(r"\d{3}(?:\.\d*)?", token.value):
            p.i = at
            return ""
        out += token.value
        p.i += step + 1
        if "." in token.value:
            break
    after = p.peek()
    if not by_comma and after is not None and after.value == "/":
        p.i = at
        return ""
    if (
        by_comma
        and out
        and after is not None
        and after.value == ","
        and (t := p.peek(1)) is not None
        and t.kind == "num"
        and not t.spaced
    ):
        p.i = at
        return ""
    p.grouped = p.grouped or bool(out and by_comma)
    return out


_BASE_WORDS = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
               "eleven": 11, "twelve": 12, "sixteen": 16}  # fmt: skip


def _literal(text: str) -> Node:
    """A decimal as an exact fraction with the size of its last place."""
    mantissa, _, exponent = text.lower().partition("e")
    shift = 0
    if exponent:
        if len(exponent) > 5 or abs(int(exponent)) > 4000:
            raise Unparsed("an exponent beyond all bounds")
        shift = int(exponent)
    if len(mantissa) > 4000:
        raise Unparsed("a number with more than 4000 digits")
    whole, point, decimals = mantissa.partition(".")
    value = Fraction(int((whole + decimals) or "0")) * Fraction(10) ** (shift - len(decimals))
    if not point and not exponent:
        return ("num", value, None)
    return ("num", value, Fraction(10) ** (shift - len(decimals)) if decimals or exponent else None)


def recurring(text: str) -> Fraction:
    """0.1\\overline{6}, 0.\\dot{1}4\\dot{7}, 0.1(6), 0.333..."""
    bare = re.sub(r"\s", "", text)
    if match := re.fullmatch(r"(\d*)\.(\d*)\\dot\{?(\d)\}?(?:(\d*)\\dot\{?(\d)\}?)?", bare):
        whole, fixed, first, middle, last = match.groups()
        cycle = first + (middle or "") + (last or "")
    elif match := re.fullmatch(r"(\d*)\.(\d*)(?:\\(?:overline|bar)\{?|\()(\d+)[})]?", bare):
        whole, fixed, cycle = match.groups()
    else:
        whole, digits = re.fullmatch(r"(\d*)\.(\d+).*", bare).groups()  # type: ignore[union-attr]
        fixed, cycle = _period(digits)
    tail: Fraction = Fraction(int(cycle), 10 ** len(cycle) - 1) / 10 ** len(fixed)
    return Fraction(int((whole or "0") + fixed), 10 ** len(fixed)) + tail


def _period(digits: str) -> tuple[str, str]:
    """What repeats in digits that go on with dots; three times, or twice if it is longer than one digit."""
    for length in range(1, len(digits) // 2 + 1):
        cycle = digits[-length:]
        times = 1
        while digits[: len(digits) - times * length].endswith(cycle):
            times += 1
        if times >= (3 if length == 1 else 2):
            return digits[: len(digits) - times * length], cycle
    raise Unparsed("digits that go on without a pattern")
