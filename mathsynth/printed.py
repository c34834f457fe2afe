"""What programs print, in the notation of mathematics that a verifier reads. PURE.

Python and sympy print `[-sqrt(2), x**2]`, `Interval.open(0, oo)`, `Matrix([[1, 2]])`, `0.30000000000000004`. Such a
line is parsed, never evaluated, and written in LaTeX; one that is no such expression, or has a name that is not known
here, stays as it is.
"""

from __future__ import annotations

import ast
import math
import re
import warnings
from collections.abc import Sequence

_FLOAT = re.compile(r"-?\d*\.\d+(?:[eE][+-]?\d+)?|-?\d+[eE][+-]?\d+")
_NUMBER = re.compile(r"(?<![\w.*^])(?<!\w\()-?\d+(?:,\d{3})*(?:\.\d+)?(?:[eE][+-]?\d+)?(?:/\d+)?(?![\w*^/(]|\.\d|,\d)")
"""A number that stands for itself: no digit group, coefficient, exponent or argument."""
_PYTHON = re.compile(r"\*\*|\w\(|[\[{&|]|\d[jJ]|\b(?:I|E|oo|pi|EmptySet|Reals)\b")
"""What is in a line that is written otherwise in mathematics."""
_LABEL = re.compile(r"[A-Za-z][A-Za-z ']{0,60}:\s+(?=\S)")
"""What `print("Answer:", x)` puts before its value."""
_FOREIGN = re.compile(r"\\|[$\n]|,\S|__|\de[+-]\d{3}")
"""What Python does not print of numbers and sympy's objects; commas have a space behind them. Nor is a number read that
may be beyond all floats, as sympy's can be."""
DOUBLE = 15
"""Significant digits from which a printed number is a float as Python prints it, right to about this many digits."""
LAST_LINES, FEW_NUMBERS = 5, 4
"""Where an output may state its answer, and how many numbers of a line are looked at: a longer row of them is data."""
LONGEST = 2000
"""Characters of a line that is parsed."""


def rounded(answer: str) -> str:
    """A printed number without binary noise such as 0.30000000000000004: to 12 digits.

    From a million on to 15, and whole numbers not at all, so that no digit goes in which answers differ.
    """
    text = answer.strip()
    if not _FLOAT.fullmatch(text):
        return text
    digits = re.sub(r"[eE].*", "", text).replace("-", "").replace(".", "").lstrip("0")
    value = float(text)
    if len(digits) < DOUBLE or value.is_integer() or math.isinf(value):  # sympy's floats know no largest one
        return text
    return f"{value:.12g}" if abs(value) < 1e6 else f"{value:.15g}"


def in_mathematics(answer: str) -> str:
    """A printed answer as a verifier reads it."""
    label = _LABEL.match(text := answer.strip())
    text = rounded(text[label.end() :] if label else text)
    if len(text) > LONGEST or _FOREIGN.search(text) or not _PYTHON.search(text):
        return text
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text, mode="eval").body
        if isinstance(tree, ast.Tuple) and not _enclosed(text):
            return _row(tree.elts)
        return _latex(tree)
    except (SyntaxError, ValueError, RecursionError, MemoryError, _Unknown):
        return text


def answers_in(output: str, limit: int = 20) -> list[str]:
    """What an output may be read to state, the last first: its last lines, lists, what follows = or :, numbers."""
    found: dict[str, None] = {}
    for line in reversed([line.strip() for line in output.split("\n") if line.strip()][-LAST_LINES:]):
        numbers = [number.replace(",", "") for number in _NUMBER.findall(line)]
        if len(numbers) > FEW_NUMBERS:
            numbers = numbers[-1:] if line.endswith(numbers[-1]) else []
        parts = [*re.findall(r"[\[{]([^][{}]+)[]}]", line), *re.split(r"[=:]", line)[1:]]
        stated = [line, *(part.strip() for part in parts), *reversed(numbers)]
        found |= dict.fromkeys(form for text in stated if text for form in (rounded(text), in_mathematics(text)))
    return list(found)[:limit]


class _Unknown(Exception):
    """Something that has no known form in mathematics."""


def _enclosed(text: str) -> bool:
    """Whether one pair of parentheses stands around the whole."""
    depth = 0
    for place, sign in enumerate(text):
        depth += (sign == "(") - (sign == ")")
        if depth == 0:
            return place == len(text) - 1
    return False


def _latex(node: ast.expr) -> str:
    match node:
        case ast.Constant():
            return _constant(node.value)
        case ast.Name():
            return _name(node.id)
        case ast.UnaryOp(op=ast.USub() | ast.UAdd()):
            sign = "-" if isinstance(node.op, ast.USub) else ""
            return sign + _within(node.operand, ast.Add, ast.Sub)
        case ast.BinOp(op=ast.BitAnd()):
            return _both(node)
        case ast.BinOp(op=ast.BitOr()):
            return rf"{_latex(node.left)} \text{{ or }} {_latex(node.right)}"
        case ast.BinOp(left=ast.Compare()) | ast.BinOp(right=ast.Compare()):
            raise _Unknown
        case ast.BinOp():
            return _operation(node)
        case ast.Compare():
            return _comparison(node)
        case ast.Tuple():
            return f"({_row(node.elts)})"
        case ast.Set():
            return rf"\{{{_row(node.elts)}\}}"
        case ast.List():
            return _list(node)
        case ast.Dict():
            return _row([ast.Compare(key, [ast.Eq()], [value]) for key, value in _pairs(node)])
        case ast.Call(keywords=[]):
            return _call(node)
    raise _Unknown


def _constant(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return str(value)
    if isinstance(value, complex):
        return f"{rounded(repr(value.imag)).removesuffix('.0')}i"
    if isinstance(value, float):
        return rounded(repr(value))
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str) and re.fullmatch(r"[\w .+/-]+", value):
        return rounded(value)
    raise _Unknown


_NAMES = {
    "I": "i", "E": "e", "pi": r"\pi", "oo": r"\infty", "inf": r"\infty", "EmptySet": r"\emptyset",
    "Reals": r"\mathbb{R}", "Integers": r"\mathbb{Z}", "Naturals": r"\mathbb{N}",
}  # fmt: skip
_GREEK = re.compile("alpha|beta|gamma|delta|epsilon|zeta|eta|theta|iota|kappa|mu|nu|xi|rho|sigma|tau|phi|chi|psi|omega")


def _name(name: str) -> str:
    if name in _NAMES:
        return _NAMES[name]
    if _GREEK.fullmatch(name):
        return f"\\{name}"
    if match := re.fullmatch(r"([A-Za-z])(?:_?(\d+))?", name):
        letter, index = match.groups()
        return letter if index is None else f"{letter}_{{{index}}}"
    raise _Unknown


def _within(node: ast.expr, *looser: type[ast.operator]) -> str:
    """An operand, in parentheses if what joins it binds less."""
    text = _latex(node)
    loose = isinstance(node, ast.BinOp) and isinstance(node.op, looser)
    return f"({text})" if loose or isinstance(node, ast.UnaryOp | ast.Compare) else text


def _operation(node: ast.BinOp) -> str:
    left, right = node.left, node.right
    match node.op:
        case ast.Add():
            return f"{_latex(left)} + {_within(right)}"
        case ast.Sub():
            return f"{_latex(left)} - {_within(right, ast.Add, ast.Sub)}"
        case ast.Mult():
            first = _latex(left) if isinstance(left, ast.UnaryOp) else _within(left, ast.Add, ast.Sub)
            return rf"{first} \cdot {_within(right, ast.Add, ast.Sub)}"
        case ast.Div():
            return rf"\frac{{{_latex(left)}}}{{{_latex(right)}}}"
        case ast.Pow():
            plain = isinstance(left, ast.Name) or (
                isinstance(left, ast.Constant) and not isinstance(left.value, complex)
            )
            return f"{_latex(left) if plain else f'({_latex(left)})'}^{{{_latex(right)}}}"
    raise _Unknown


def _both(node: ast.BinOp) -> str:
    """`(-oo < x) & (x < 1)` as one chain."""
    match node.left, node.right:
        case ast.Compare() as first, ast.Compare() as second if ast.dump(first.comparators[-1]) == ast.dump(
            second.left
        ):
            chain = ast.Compare(first.left, [*first.ops, *second.ops], [*first.comparators, *second.comparators])
            return _comparison(chain)
    raise _Unknown


_SIGNS = {ast.Eq: "=", ast.NotEq: r"\ne", ast.Lt: "<", ast.LtE: r"\le", ast.Gt: ">", ast.GtE: r"\ge"}


def _comparison(node: ast.Compare) -> str:
    parts = [_latex(node.left)]
    for sign, side in zip(node.ops, node.comparators, strict=True):
        if type(sign) not in _SIGNS:
            raise _Unknown
        parts += [_SIGNS[type(sign)], _latex(side)]
    return " ".join(parts)


def _row(nodes: Sequence[ast.expr]) -> str:
    return ", ".join(_latex(node) for node in nodes)


def _pairs(node: ast.Dict) -> list[tuple[ast.expr, ast.expr]]:
    if not node.keys or None in node.keys:
        raise _Unknown
    return [(key, value) for key, value in zip(node.keys, node.values, strict=True) if key is not None]


def _list(node: ast.List) -> str:
    """A list as a set, for its brackets are no interval's and its values no pair. A list of lists may be a matrix."""
    if not node.elts:
        return r"\emptyset"
    if any(isinstance(value, ast.List | ast.Dict) for value in node.elts[len(node.elts) == 1 :]):
        raise _Unknown
    values = [_latex(value) for value in node.elts]
    words = any(isinstance(value, ast.Constant) and isinstance(value.value, str) for value in node.elts)
    if words or len(values) == 1 or len(set(values)) < len(values):
        return ", ".join(values)
    return rf"\{{{', '.join(values)}\}}"


def _matrix(node: ast.expr) -> str:
    rows = node.elts if isinstance(node, ast.List) else []
    cells = [row.elts for row in rows if isinstance(row, ast.List)]
    if not cells or len(cells) < len(rows) or len({len(row) for row in cells}) != 1 or not cells[0]:
        raise _Unknown
    lines = r" \\ ".join(" & ".join(_latex(cell) for cell in row) for row in cells)
    return rf"\begin{{pmatrix}} {lines} \end{{pmatrix}}"


_FORMS = {
    **{f"{name}/1": rf"\{name}(#1)" for name in ("sin", "cos", "tan", "cot", "sec", "csc", "sinh", "cosh", "tanh")},
    **{f"a{name}/1": rf"\arc{name}(#1)" for name in ("sin", "cos", "tan")},
    **{f"{name}/1": "#1" for name in ("Integer", "Rational", "Float", "Decimal", "mpf", "int64", "float64")},
    "frozenset/1": "#1",
    "Rational/2": r"\frac{#1}{#2}", "Fraction/2": r"\frac{#1}{#2}", "Eq/2": "#1 = #2",
    "sqrt/1": r"\sqrt{#1}", "cbrt/1": r"\sqrt[3]{#1}", "root/2": r"\sqrt[#2]{#1}",
    "exp/1": "e^{#1}", "log/1": r"\ln(#1)", "log/2": r"\log_{#2}(#1)", "Abs/1": r"\left|#1\right|",
    "factorial/1": "(#1)!", "binomial/2": r"\binom{#1}{#2}",
    "floor/1": r"\lfloor #1 \rfloor", "ceiling/1": r"\lceil #1 \rceil", "set/0": r"\emptyset",
    "Interval/2": "[#1, #2]", "Interval.open/2": "(#1, #2)", "Interval.Lopen/2": "(#1, #2]",
    "Interval.Ropen/2": "[#1, #2)", "Point2D/2": "(#1, #2)", "Point3D/3": "(#1, #2, #3)",
}  # fmt: skip
"""What is printed, and with how many arguments -> its form, in which #1 is the first of them."""
_JOINED = {"Union": (r" \cup ", "#1"), "FiniteSet": (", ", r"\{#1\}")}
"""With any number of arguments: what stands between them, and around."""
_MODULES = re.compile(r"^(?:np|numpy|math|sympy|mpmath)\.")


def _call(node: ast.Call) -> str:
    name = _MODULES.sub("", ast.unparse(node.func))
    if name in ("Matrix", "array") and len(node.args) == 1:
        return _matrix(node.args[0])
    arguments = [_latex(argument) for argument in node.args]
    form = _FORMS.get(f"{name}/{len(arguments)}")
    if name in _JOINED and arguments:
        between, form = _JOINED[name]
        arguments = [between.join(arguments)]
    if form is None:
        raise _Unknown
    return re.sub("#([1-3])", lambda place: arguments[int(place[1]) - 1], form)
