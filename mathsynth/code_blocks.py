"""Programs in a model's text: where they stand, what they print, what of it a model or a verifier is shown. PURE."""

from __future__ import annotations

import ast
import re
from typing import NamedTuple

_FENCE = re.compile(r"^[ \t]*```[ \t]*(\w*)[^\n]*\n", re.MULTILINE)
_END = re.compile(r"^[ \t]*```[ \t]*$", re.MULTILINE)
_PYTHON = frozenset(("python", "py", "python3"))
_FLOAT = re.compile(r"-?\d*\.\d+(?:[eE][+-]?\d+)?|-?\d+[eE][+-]?\d+")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?:/\d+)?")
DOUBLE = 15
"""Significant digits from which a printed number is a float as Python prints it, right to about this many digits."""


class Block(NamedTuple):
    """A fenced Python program."""

    before: str
    """The text before its fence."""
    code: str
    end: int
    """Where the text goes on after its closing fence."""
    closed: bool


def first_block(text: str) -> Block | None:
    """The first fenced Python program, or None. A fence of another language is text."""
    start = 0
    while (opening := _FENCE.search(text, start)) is not None:
        closing = _END.search(text, opening.end())
        stop, end = (closing.start(), closing.end()) if closing else (len(text), len(text))
        if opening[1].lower() in _PYTHON:
            return Block(text[: opening.start()], text[opening.end() : stop].rstrip() + "\n", end, closing is not None)
        start = end
    return None


def program_of(text: str) -> str | None:
    """All fenced Python of a text as one program; None if there is none, or one is not closed."""
    programs = []
    while (block := first_block(text)) is not None:
        if not block.closed:
            return None
        programs.append(block.code)
        text = text[block.end :]
    return "\n".join(programs) or None


def without_code(text: str) -> str:
    """The text without its fenced Python."""
    kept = []
    while (block := first_block(text)) is not None:
        kept.append(block.before.strip())
        text = text[block.end :]
    return "\n\n".join(part for part in [*kept, text.strip()] if part)


def calculates(code: str) -> bool:
    """Whether a program does anything but print what is written in it. One that can't be parsed may."""
    try:
        nodes = list(ast.walk(ast.parse(code)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return True
    calls = {getattr(node.func, "id", None) for node in nodes if isinstance(node, ast.Call)}
    return bool(calls - {"print"}) or any(isinstance(node, ast.BinOp | ast.AugAssign | ast.Compare) for node in nodes)


def shortened(text: str, limit: int) -> str:
    """The text with its middle cut out where it has more characters than `limit` (ToRA: 200 at each end)."""
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n[… {len(text) - 2 * half:,} characters cut …]\n{text[-half:]}"


def printed(answer: str) -> str:
    """A printed answer as a verifier reads it: binary noise such as 0.30000000000000004 rounded to 12 digits.

    From a million on to 15, and whole numbers not at all, so that no digit goes in which answers differ.
    """
    text = answer.strip()
    if not _FLOAT.fullmatch(text):
        return text
    digits = re.sub(r"[eE].*", "", text).replace("-", "").replace(".", "").lstrip("0")
    value = float(text)
    if len(digits) < DOUBLE or value.is_integer():
        return text
    return f"{value:.12g}" if abs(value) < 1e6 else f"{value:.15g}"


def answers_in(output: str, limit: int = 20) -> list[str]:
    """What an output may be read to state, the last first: its lines, what stands behind = or :, its numbers."""
    found: dict[str, None] = {}
    for line in reversed([line.strip() for line in output.splitlines() if line.strip()]):
        stated = [line, *(part.strip() for part in re.split(r"[=:]", line)[1:]), *reversed(_NUMBER.findall(line))]
        found |= dict.fromkeys(printed(text) for text in stated if text)
        if len(found) >= limit:
            break
    return list(found)[:limit]
