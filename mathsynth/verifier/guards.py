"""Limits that a text must keep before anything reads it."""

from __future__ import annotations

import re

MAX_LENGTH = 30_000
FAST_LENGTH = 6000
FAST_DEPTH, SLOW_DEPTH = 40, 1500
_DIGITS = re.compile(r"\d{4001}")
_CODE = re.compile(
    r"__\w|\b(?:import|lambda|exec|eval|open|getattr|globals|os|sys|subprocess)\b\s*[.(:]|\\(?:input|include|def|write|immediate|read|csname|catcode|let|loop)(?![A-Za-z])"
)
_OPEN = re.compile(r"(?<!\\)[{(\[]|\\\{")
_PAIRS = {"(": ")", "{": "}"}


def guard(text: str, slow: bool) -> str:
    """Why this text is not read, or nothing."""
    if len(text) > MAX_LENGTH:
        return f"longer than {MAX_LENGTH} characters"
    if _CODE.search(text):
        return "it looks like code"
    if len(text) > 4000 and _DIGITS.search(text):
        return "a number with more than 4000 digits"
    if len(text) > FAST_LENGTH and not slow:
        return "long"
    depth = nesting(text)
    if depth > SLOW_DEPTH:
        return f"nested {depth} deep"
    if depth > FAST_DEPTH and not slow:
        return "nested"
    return ""


def nesting(text: str) -> int:
    """The greatest depth of brackets, without recursion."""
    depth = deepest = 0
    for char in text:
        if char in "{([":
            depth += 1
            deepest = max(deepest, depth)
        elif char in "})]":
            depth -= 1
    return deepest


def peel(text: str) -> str:
    """Without the round brackets or braces that stand doubled around the whole: ((x)) is (x)."""
    start, end = 0, len(text)
    pairs: list[str] = []
    while start < end and text[start] in _PAIRS:
        if text[end - 1] != _PAIRS[text[start]] or (end > 1 and text[end - 2] == "\\"):
            break
        pairs.append(text[start])
        start, end = start + 1, end - 1
    if len(pairs) < 2:
        return text
    inner = text[start:end]
    lowest = level = 0
    for char in inner:
        level += (char in "({") - (char in ")}")
        lowest = min(lowest, level)
    kept = -lowest
    if level != 0 or kept >= len(pairs):
        return text
    keep = max(kept, 1)
    cut = len(pairs) - keep
    return text[cut : len(text) - cut] if cut > 0 else text
