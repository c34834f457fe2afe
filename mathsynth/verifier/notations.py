"""Other ways to read a text. A difference that one of them removes is undecided: it lay in the notation, perhaps.

`I` for i, `Tan x`, `3,14`, `10,00,000`, `IV`, `5K`, `12m^2` for square metres, `3^{rd}`, and functions that the grammar
takes for letters, as in `erf(x)`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from mathsynth.verifier.tree import E, I, Node, substitute, symbols, walk
from mathsynth.verifier.vocabulary import FUNCTIONS, GREEK, RENAMED, known_word

_CONSTANTS: dict[str, Node] = {"I": I, "j": I, "E": E}  # letters that programs print

_DOUBT = re.compile(r"[,A-Z]|\band\b|[sct]h|\d[mgshl]|\^\{[nr]d")
_DECIMAL_COMMA = re.compile(r"(?<![\d.,])(?!\d{1,3},\d{3}(?!\d))(\d{1,3}(?:[. ]\d{3})+|\d+),(\d+)(?![\d,.])")
_LAKHS = re.compile(r"(?<![\d.,])\d{1,2}(?:,\d{2})+,\d{3}(?![\d,])")
_MIXED = re.compile(r"(?<=\d) and (?=\d+/\d|\\frac)")
_ROMAN = re.compile(r"(?=[IVXLCDM]{2})M*(CM|CD|D?C{0,3})(XC|XL|L?X{0,3})(IX|IV|V?I{0,3})")
_ROMAN_VALUE = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}
_SCALED = re.compile(r"(?<=\d)\s?([KMB])$")
_GLUED_UNIT = re.compile(r"(?<=\d)([mgshLl])(?![A-Za-z])")
_ORDINAL = re.compile(r"(?<=\d)\^\{(st|nd|rd|th)\}")
_SCALE = {"K": "000", "M": "000000", "B": "000000000"}
_WORD = re.compile(r"(?<![\\A-Za-z])(?:[A-Z][A-Za-z]+(?:\(\))?|c?[sct]h(?![A-Za-z]))")
_CHOOSE = re.compile(r"(?<![\\A-Za-z])([a-z]) ?C ?([a-z])(?![A-Za-z])")
_CURRENCY = re.compile(r"^(?:USD|EUR|GBP|INR|CNY|RMB|JPY|KRW)\s?(?=[-\d])")
_HYPERBOLIC = {"sh": "sinh", "ch": "cosh", "th": "tanh", "cth": "coth"}
_CALL = re.compile(r"(\\?)(?<![A-Za-z])([A-Za-z]{2,})[(\[]")


def readings(text: str) -> Iterator[str]:
    """The text as others might mean it."""
    if not _DOUBT.search(text):
        return
    bracketed = re.search(r"[(\[{]", text) is not None
    for pattern, put in _READINGS[2 * bracketed :]:
        if (other := pattern.sub(put, text)) != text:
            yield other
    if _ROMAN.fullmatch(text):
        values = [_ROMAN_VALUE[char] for char in text]
        yield str(sum(-v if v < max(values[i:]) else v for i, v in enumerate(values)))


def _with_point(number: re.Match[str]) -> str:
    return re.sub("[. ]", "", number[1]) + "." + number[2]


def _lowered(word: re.Match[str]) -> str:
    bare = word[0].lower().removesuffix("()")
    if bare == "pi":
        return r"\pi "
    bare = _HYPERBOLIC.get(bare, bare)
    return bare if bare in FUNCTIONS or bare in RENAMED else word[0]


_READINGS: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    (_DECIMAL_COMMA, _with_point),
    (_LAKHS, lambda number: number[0].replace(",", "")),
    (_MIXED, " "),
    (_SCALED, lambda number: f" \\cdot 1{_SCALE[number[1]]}"),
    (_GLUED_UNIT, r"\\text{ \1}"),
    (_ORDINAL, r"\1"),
    (_CHOOSE, r"\\binom{\1}{\2}"),
    (_CURRENCY, ""),
    (_WORD, _lowered),
)  # the first two only outside brackets


def as_constants(one: Node, other: Node) -> Iterator[tuple[str, Node, bool]]:
    """(letters, the tree with their constants, whether it is sure) for each letter that only one side has, and all."""
    if not (names := (symbols(one) - symbols(other)) & set(_CONSTANTS)):
        return
    kept, there = ({part for part in walk(tree) if part[0] == "const"} for tree in (one, other))
    found = [letter for letter in _CONSTANTS if letter in names and (letter == "E" or I not in kept)]
    for letters in dict.fromkeys((*found, "".join(found))):
        tree = one
        for letter in letters:
            tree = substitute(tree, letter, _CONSTANTS[letter])
        if letters:
            yield letters, tree, letters == "I" and I in there


def unknown_call(text: str, other: str, tree: Node) -> str:
    """The name before a bracket that is perhaps a function: the other side does not know its letters. Or nothing."""
    known = symbols(tree) | {"e", "i"}
    for backslash, name in _CALL.findall(text):
        if name in GREEK:
            letters = {name}
        elif backslash or known_word(name):
            continue
        else:
            letters = set(name)
        if not letters <= known and not re.search(rf"\b{name}[(\[]", other):
            return str(name)
    return ""
