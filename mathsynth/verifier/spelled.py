"""Numbers in words: English up to 999, simple fractions, Chinese numerals."""

from __future__ import annotations

import re

_UNITS = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TENS = ["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_HAN = {c: i for i, c in enumerate("零一二三四五六七八九")} | {"两": 2}
_FRACTION_WORDS = {
    "half": 2,
    "halves": 2,
    "third": 3,
    "thirds": 3,
    "quarter": 4,
    "quarters": 4,
    "fourth": 4,
    "fourths": 4,
    "fifth": 5,
    "fifths": 5,
    "sixth": 6,
    "sixths": 6,
    "eighth": 8,
    "eighths": 8,
    "tenth": 10,
    "tenths": 10,
}


def number_of(words: str) -> str | None:
    """`twenty-one` -> 21, `two thirds` -> \\frac{2}{3}, `四分之三` -> \\frac{3}{4}; None for other words."""
    if match := re.fullmatch("([一二三四五六七八九十两百零]+)分之([一二三四五六七八九十两百零]+)", words):
        low, high = _han(match[1]), _han(match[2])
        return None if low is None or high is None else rf"\frac{{{high}}}{{{low}}}"
    if re.fullmatch("[一二三四五六七八九十两百零]+", words):
        value = _han(words)
        return None if value is None else str(value)
    parts = words.replace("-", " ").split()
    if parts and parts[-1] in _FRACTION_WORDS and len(parts) in (1, 2):
        top = 1 if len(parts) == 1 or parts[0] in ("one", "a") else _small(parts[:-1])
        return (
            None
            if top is None or (len(parts) == 1 and parts[0] != "half")
            else rf"\frac{{{top}}}{{{_FRACTION_WORDS[parts[-1]]}}}"
        )
    if 3 <= len(parts) <= 6 and "hundred" in parts:
        at = parts.index("hundred")
        front, rest = _small(parts[:at]), [p for p in parts[at + 1 :] if p != "and"]
        back = _small(rest) if rest else 0
        return None if front is None or back is None else str(front * 100 + back)
    value = _small(parts) if parts != ["one"] else 1
    return None if value is None else str(value)


def _small(parts: list[str]) -> int | None:
    if len(parts) == 1 and parts[0] in _UNITS:
        return _UNITS.index(parts[0])
    if parts and parts[0] in _TENS and parts[0] and len(parts) <= 2:
        tail = 0 if len(parts) == 1 else _UNITS.index(parts[1]) if parts[1] in _UNITS[1:10] else None
        return None if tail is None else _TENS.index(parts[0]) * 10 + tail
    if len(parts) == 2 and parts[1] == "hundred" and parts[0] in _UNITS:
        return _UNITS.index(parts[0]) * 100
    return None


def _han(text: str) -> int | None:
    total, digit = 0, 0
    for char in text:
        if char in _HAN:
            digit = _HAN[char]
        elif char in "十百":
            total += max(digit, 1) * (10 if char == "十" else 100)
            digit = 0
        else:
            return None
    return total + digit
