"""Programs in a model's text: where they stand, and what of their output a model is shown. PURE."""

from __future__ import annotations

import ast
import re
import textwrap
import warnings
from collections.abc import Iterator, Sequence
from typing import NamedTuple

_FENCE = re.compile(r"^([ \t]*)(`{3,}|~{3,})[ \t{.]*(\w*)[^`\n]*\n", re.MULTILINE)
_ANY_FENCE = re.compile(r"^[ \t>]*(?:```|~~~)", re.MULTILINE)
_CALL = re.compile(
    r"</?tool_(?:call|response)|<\|(?:python_tag|tool_call)|\[TOOL_CALLS\]|<function=|<｜tool", re.IGNORECASE
)
_OUTPUT = re.compile(r"^[ \t>]*(?:`{3,}|~{3,})[ \t]*(?:output|stdout|results?)\b", re.MULTILINE | re.IGNORECASE)
_GOES_ON = re.compile(r"^[ \t>*#]*(?:output|result|question|problem)s?\b[^\n:]{0,20}:", re.MULTILINE | re.IGNORECASE)
_TAG = re.compile(r"<(?=[|｜]|/?\w+>)|\[(?=/?[A-Z]{4,}\])")
_CUT = re.compile(r".*\n\[… [\d,]+ characters cut …\]\n\S*", re.DOTALL)
_DRAWING = re.compile("[\u203e\u2320\u2321\u239b-\u23b3\u2500-\u257f]")
"""Overlines, pieces of brackets and integrals, fraction bars."""
_ADDRESS = re.compile(r" at 0x[0-9a-f]{6,}>")
_PYTHON = frozenset(("python", "py", "python3"))
_NO_CALCULATION = frozenset(
    ("print", "str", "int", "float", "repr", "format", "write", "join", "list", "tuple", "exit")
)
IMPORTS = (ast.Import, ast.ImportFrom)


class Block(NamedTuple):
    """A fenced Python program."""

    before: str
    """The text before its fence."""
    code: str
    end: int
    """Where the text goes on after its closing fence."""
    closed: bool


def first_block(text: str) -> Block | None:
    """The first fenced Python program, or None. A fence of another language is text; one without a name is, too, if
    nothing in it prints."""
    start = 0
    while (opening := _FENCE.search(text, start)) is not None:
        indent, fence, language = opening.groups()
        # Many models close a program with the fence that begins its output.
        end_of = re.compile(rf"^[ \t]*{fence[0]}{{{len(fence)},}}(?=[ \t\r]*$|[ \t]*output\b)", re.MULTILINE)
        closing = end_of.search(text, opening.end())
        stop, end = (closing.start(), closing.end()) if closing else (len(text), len(text))
        code = text[opening.end() : stop].replace("\r\n", "\n")
        code = textwrap.dedent(code) if indent else code
        if language.lower() in _PYTHON or (not language and _prints(code)):
            return Block(text[: opening.start()], code.rstrip() + "\n", end, closing is not None)
        start = end
    return None


def _prints(code: str) -> bool:
    tree = _parsed(code)
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)] if tree is not None else []
    return any(isinstance(function, ast.Name) and function.id == "print" for function in calls)


def blocks_of(text: str) -> Iterator[Block]:
    """All fenced Python of a text; `before` is what stands since the one before."""
    while (block := first_block(text)) is not None:
        yield block
        text = text[block.end :]


def program_of(text: str) -> str | None:
    """All fenced Python of a text as one program; None if there is none, or one is not closed."""
    blocks = list(blocks_of(text))
    if not all(block.closed for block in blocks):
        return None
    return "\n".join(block.code for block in blocks) or None


def up_to_code(text: str) -> str:
    """The text up to the end of its last program: what stands behind was written before its output was known."""
    return text[: sum(block.end for block in blocks_of(text))] or text


def fenced(text: str) -> bool:
    """Whether anything in it is fenced, in whatever language, whole or not, or calls a tool by a model's own marks."""
    return (_ANY_FENCE.search(text) or _CALL.search(text)) is not None


def pretends(text: str) -> bool:
    """Whether it shows what a program or tool gave, though none was run."""
    block = first_block(text)
    shows = block is not None and fenced(without_code(text[block.end :]))
    return shows or goes_on(text) or (_OUTPUT.search(text) or _CALL.search(text)) is not None


def goes_on(text: str) -> bool:
    """Whether what stands behind its first program makes up an output, or another problem."""
    block = first_block(text)
    return block is not None and _GOES_ON.search(without_code(text[block.end :])) is not None


def bare(code: str) -> str:
    """A program without comments and layout, as Python itself would write it; words alone if it can't be parsed."""
    try:
        if (tree := _parsed(code)) is not None:
            return ast.unparse(tree)
    except RecursionError:  # deeper than it can be written
        pass
    return " ".join(code.split())


def without_code(text: str) -> str:
    """The text without its fenced Python."""
    kept = []
    while (block := first_block(text)) is not None:
        kept.append(block.before.strip())
        text = text[block.end :]
    return "\n\n".join(part for part in [*kept, text.strip()] if part)


def named_alike(text: str) -> str:
    """The text with each program between ```python and ```, however its fences were written."""
    kept, rest = "", text
    while (block := first_block(rest)) is not None and block.closed and "```" not in block.code:
        kept += f"{block.before}```python\n{block.code}```"
        rest = rest[block.end :]
    return kept + rest


def programs_of(text: str) -> list[str]:
    """Its programs, each bare."""
    return [bare(block.code) for block in blocks_of(text)]


def calculates(code: str) -> bool:
    """Whether a program does anything but print what is written in it. One that can't be parsed may."""
    if (tree := _parsed(code)) is None:
        return True
    nodes = list(ast.walk(tree))
    own = {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    called = [node.func for node in nodes if isinstance(node, ast.Call)]
    calls = {getattr(function, "id", getattr(function, "attr", None)) for function in called}
    return bool(calls - own - _NO_CALCULATION) or any(map(_operates, nodes))


def invents(blocks: Sequence[str]) -> bool:
    """Whether blocks calculate nothing, or the last of them prints what it is told and uses nothing of the others."""
    if not any(map(calculates, blocks)):
        return True
    if calculates(blocks[-1]) or (tree := _parsed(blocks[-1])) is None:
        return False
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    return not used & _given("\n".join(blocks[:-1])) - _given(blocks[-1])


def _given(code: str) -> set[str]:
    """The names that a program gives to something."""
    tree = _parsed(code)
    nodes = [] if tree is None else list(ast.walk(tree))
    names = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    named = {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    imported = {alias.asname or alias.name for node in nodes if isinstance(node, IMPORTS) for alias in node.names}
    return names | named | imported


def _operates(node: ast.AST) -> bool:
    """Whether it is an operation on values: no text put together, no `__name__ == "__main__"`."""
    if isinstance(node, ast.Compare):
        return getattr(node.left, "id", "") != "__name__"
    if isinstance(node, ast.Call):  # int("101010", 2), format(42, "b")
        return getattr(node.func, "id", "") in ("int", "format") and len(node.args) + len(node.keywords) > 1
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Mod):
        sides = (node.left, node.right) if isinstance(node.op, ast.Add) else (node.left,)
        return not any(isinstance(side, ast.JoinedStr) or isinstance(_constant(side), str) for side in sides)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):  # "=" * 40 draws a line
        values = [_constant(side) for side in (node.left, node.right)]
        return not any(isinstance(value, str) and not re.search(r"\w", value) for value in values)
    return isinstance(node, ast.BinOp | ast.AugAssign)


def _constant(node: ast.AST) -> object:
    return node.value if isinstance(node, ast.Constant) else None


def _parsed(code: str) -> ast.Module | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what Python says of a model's escapes is no matter of the user's
        try:
            return ast.parse(code)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None


def shortened(text: str, limit: int) -> str:
    """The text with its middle cut out where it has more characters than `limit` (ToRA: 200 at each end)."""
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n[… {len(text) - 2 * half:,} characters cut …]\n{text[-half:]}"


def behind_cut(output: str) -> str:
    """What a shortened output says behind its cut, from the first whole word on; the whole of one that is not cut."""
    return _CUT.sub("", output)


def drawn(output: str) -> bool:
    """Whether its end is drawn over several lines, as by sympy: the last one of `x`, `--`, `42` is not the answer."""
    lines = [line for line in output.split("\n") if line.strip()][-2:]
    if any(map(_DRAWING.search, lines)):
        return True
    above, last = lines if len(lines) == 2 else ("", "x")
    return len(above) == len(last) and (above[0] == " " or not above.strip(" -"))


def shown(output: str, limit: int) -> str:
    """An output as a model is shown it and as it is stored.

    Nothing in it can end its fence or its turn, and no address, which is another one in each process.
    """
    text = _ADDRESS.sub(" at 0x…>", output.strip())
    return shortened(_TAG.sub(r"\g<0> ", text.replace("```", "'''").replace("~~~", "---")), limit)
