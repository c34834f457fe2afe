"""Tokens, expressions and exact values of the arithmetic that is written in prose or LaTeX.

For the step check (`equations`, `steps`): reads text as tokens with their places, parses one side of an equation
to a tree and evaluates it with Fractions, irrational values with 50 digits. It judges nothing, and it never raises for what it
can't read: `parse` and `evaluate` return None. No sympy: a response takes a few milliseconds.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation, localcontext
from fractions import Fraction

DIGITS = 50
MAX_BITS = 20_000
PI = Decimal("3.14159265358979323846264338327950288419716939937510582097494459")

Value = Fraction | Decimal

_UNITS: dict[str, tuple[str, Fraction]] = {}
for _kind, _names in {
    "time": "s sec secs second seconds:1;min mins minute minutes:60;h hr hrs hour hours:3600;day days:86400;"
    "week weeks:604800;month months:2592000;year years:31104000",
    "money": "cent cents ¢:1;dollar dollars usd:100;penny pennies:1;nickel nickels:5;dime dimes:10;quarter quarters:25",
    "length": "mm millimeter millimeters millimetre millimetres:1;cm centimeter centimeters centimetre centimetres:10;"
    "m meter meters metre metres:1000;km kilometer kilometers kilometre kilometres:1000000",
    "feet": "in inch inches:1;ft foot feet:12;yd yard yards:36;mile miles mi:63360",
    "mass": "mg milligram milligrams:1;g gram grams:1000;kg kilogram kilograms kilo kilos:1000000",
    "pounds": "oz ounce ounces:1;lb lbs pound pounds:16;ton tons:32000",
    "volume": "ml milliliter milliliters millilitre millilitres:1;cl:10;dl:100;l liter liters litre litres:1000",
    "cups": "cup cups:1;pint pints:2;quart quarts:4;gallon gallons:16",
    "count": "dozen dozens:12;hundred:100;thousand k:1000;million:1000000;billion:1000000000",
}.items():
    for _entry in _names.split(";"):
        _words, _size = _entry.split(":")
        for _word in _words.split():
            _UNITS[_word] = (_kind, Fraction(_size))
UNITS: Mapping[str, tuple[str, Fraction]] = _UNITS
"""Unit word -> (dimension, size in its smallest unit): used only to excuse a mismatch, never to invent one."""

_SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
).split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
NUMBER_WORDS = {word: i for i, word in enumerate(_SMALL)} | {word: 20 + 10 * i for i, word in enumerate(_TENS)}
NUMBER_WORDS |= {f"{ten}-{one}": NUMBER_WORDS[ten] + NUMBER_WORDS[one] for ten in _TENS for one in _SMALL[1:10]}
_PARTS = {"half": 2, "third": 3, "quarter": 4, "fourth": 4, "fifth": 5, "sixth": 6, "eighth": 8, "tenth": 10}
_TIMES = {"twice": 2, "double": 2, "triple": 3, "thrice": 3}
_VULGAR = dict(zip("½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞", "1/2 1/3 2/3 1/4 3/4 1/5 2/5 3/5 4/5 1/6 5/6 1/8 3/8 5/8 7/8".split(), strict=True))
_SUPERS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")
_UNIT_LETTERS = "mghsLlNJWVKC"


@dataclass(slots=True)
class Number:
    """A literal: its value, how many decimal places it was written with, and what its unit multiplies it by."""

    value: Fraction
    places: int = 0
    text: str = ""
    scale: Fraction = Fraction(1)
    dimension: str = ""
    unit: str = ""
    cut: bool = False
    money: bool = False


@dataclass(slots=True)
class Token:
    """A piece of the text: `kind` is num var op ( ) rel weak pct fact sup frac root binom word nl wall or break."""

    kind: str
    text: str
    start: int
    end: int
    space: bool = False
    number: Number | None = None


_NUMBER_WORD = "|".join(sorted(NUMBER_WORDS, key=len, reverse=True))
_LEX = re.compile(
    r"""
    (?P<nl>\n|\\\\(?:\[[^\]]*\])?)
  | (?P<space>[^\S\n]+|\\(?:[,;:!\ ]|left\b|right\b|displaystyle\b|[bB]igg?[lr]?\b|limits\b|boxed\b|fbox\b|mathbf\b
        |boldsymbol\b|phantom\b)|~|&|[\u200b\u2060\ufeff])
  | (?P<recurring>\d*\.\d*\\(?:overline|bar)\s*\{\d+\})
  | (?P<sci>\d+(?:\.\d+)?[eE][+-]?\d+(?![\w.]))
  | (?P<mixed>(?<![\d.,/^])\d+[ ]\d+/\d+(?![\d./]))
  | (?P<clock>\d+:\d+(?::\d+)*)
  | (?P<ordinal>\d+(?:st|nd|rd|th)\b)
  | (?P<num>(?:\d{1,3}(?:(?:,|\{,\}|\\,)\d{3})+(?!\d)(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)(?P<cut>\.{3}|…|\s?\\l?dots\b)?)
  | (?P<vulgar>\d*[½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞])
  | (?P<sup>[⁰¹²³⁴⁵⁶⁷⁸⁹]+)
  | (?P<degree>(?:\^\s*\{?\s*\\circ\s*\}?|°|\\degree\b|\bdegrees?\b)\s?[CF]?\b)
  | (?P<textmacro>\\(?:text|textrm|textit|mathrm|mbox|operatorname|textnormal)\s*\{(?P<inner>[^{}]*)\})
  | (?P<shortfrac>\\[dtc]?frac\s*\d\s*\d(?!\d))
  | (?P<frac>\\[dtc]?frac\b)
  | (?P<root>\\sqrt\s*(?:\[\d\])?|√|∛|\bsqrt(?=\s*\()|(?:the\s+)?square\s+root\s+of\b)
  | (?P<binom>\\[dt]?binom\b)
  | (?P<break2>\\(?:begin|end|tag|label|hspace|vspace|underset|overset|xrightarrow)\s*\*?\{[^{}]*\}(?:\{[^{}]*\})?
        |\\q?quad\b|\\[{}]|=>|⇒|⟹|→|->|∴|⇔
        |\\(?:implies|Rightarrow|Longrightarrow|to|rightarrow|longrightarrow|iff|Leftrightarrow|therefore|because)\b)
  | (?P<times>\\times\b|\\cdot\b|\\ast\b|[×·⋅∙∗✕＊])
  | (?P<div>\\div\b|[÷∕⁄])
  | (?P<approx>\\approx\b|\\simeq\b|≈|≃|~=|=\s*(?:about|approximately|roughly)\b
        |\b(?:is|equals)\s+(?:about|approximately|roughly|nearly|around)\b|约等于|约为)
  | (?P<other>[<>!:+*/-]=|<=|>=|[<>≤≥≠≡∼]|\\(?:leq?|geq?|neq?|lt|gt|equiv|cong|sim|in|mid)\b|\+\+)
  | (?P<rel>==?|＝|等于|\b(?:is\s+|are\s+|be\s+)?equal(?:s|\s+to)\b|\bis\s+the\s+same\s+as\b)
  | (?P<pct>\\?%|％|\bper\s?cent\b)
  | (?P<money>\\?\$|[€£¥₹]|\bRs\.?(?=\s*\d))
  | (?P<delim>\\[()\[\]])
  | (?P<pow>(?<=[\d)])\*\*(?=[\d(-])|\^)
  | (?P<bold>\*\*|__|`+)
  | (?P<pi>\\pi\b|π)
  | (?P<greek>\\(?:alpha|beta|gamma|theta|lambda|mu|phi|omega|rho|sigma)\b)
  | (?P<wall>\\[A-Za-z]+|\.{3}|…|//|_(?:\{[^{}]*\}|\w)|(?<=\d)['′″"]|±|∓)
  | (?P<op>[+＋*/^-]|[−–－])
  | (?P<fact>(?<=[\d)])!)
  | (?P<open>[(\[{])
  | (?P<close>[)\]}])
  | (?P<wordop>\b(?:plus|added\s+to|minus|times|multiplied\s+by|divided\s+by|to\s+the\s+power\s+of
        |raised\s+to(?:\s+the\s+power\s+of)?)\b|加上?(?=\s*\d)|减去?(?=\s*\d)|乘以?(?=\s*\d)|除以(?=\s*\d))
  | (?P<wordpow>\b(?:squared|cubed)\b)
  | (?P<of>\bof\s+(?:(?:the|remaining|total|original|initial|his|her|their|its|those|these|all|first|other|a|that)\s+){0,3}
        (?=\\?[$(€£\d]|\\\(|(?:__NUMBERS__)\b))
  | (?P<part>\b(?:(?:a|an|one|two|three|four|five|seven)[\s-])?(?:half|thirds?|quarters?|fourths?|fifths?|sixths?|eighths?|tenths?)
        (?=\s+of\b))
  | (?P<multiple>\b(?:twice|double|triple|thrice)(?=\s+\\?[$(]*\d))
  | (?P<weak>,?\s*\bwhich\s+(?:is|equals|gives|makes)(?:\s+us)?\b|,?\s*\b(?:we|you|I|he|she)\s+(?:get|gets|obtain)\b
        |\b(?:is|are|was|gives|give|yields|makes|make|leaves|totals)(?:\s+us)?\b|\bcomes?\s+(?:out\s+)?to\b|\bresults?\s+in\b)
  | (?P<numword>\b(?:__NUMBERS__)\b(?![\s-]+(?:of|more|less|another|other|third|half|quarter|hundred|thousand)\b)(?!-))
  | (?P<xtimes>(?<=[\d)$])[xX](?=[\d(])(?<=\d[xX])(?=\d)|(?<=[\d)$%a-z]\s)[xX](?=\s*\\?[$(]*\d))
  | (?P<var>[A-Za-z](?:_(?:\{[^{}]*\}|[A-Za-z0-9]+))?[′']*(?![A-Za-z'’]))
  | (?P<word>[A-Za-zÀ-ÿ'’]+(?:-[A-Za-zÀ-ÿ'’]+)*\.?(?=/)|[A-Za-zÀ-ÿ'’]+(?:-[A-Za-zÀ-ÿ'’]+)*|[\u4e00-\u9fff]+)
  | (?P<break>.)
    """.replace("__NUMBERS__", _NUMBER_WORD),
    re.VERBOSE,
)
_FUNCTIONS = frozenset("log ln sin cos tan cot sec csc gcd lcm mod max min floor ceil abs modulo lg exp det".split())
_WORD_OPS = {"plus": "+", "added": "+", "加": "+", "minus": "-", "减": "-", "times": "*", "multiplied": "*", "乘": "*"}
_SYMBOLS = {"＋": "+", "−": "-", "–": "-", "－": "-"}


def lex(text: str) -> list[Token]:
    """The tokens of `text` in order; spaces, math delimiters, currency signs and markup are left out."""
    out: list[Token] = []
    space, money = True, False
    for match in _LEX.finditer(text):
        kind, piece = match.lastgroup or "break", match.group()
        if match["num"] is not None:
            kind = "num"
        elif match["textmacro"] is not None:
            kind = "textmacro"
        if kind in ("space", "delim", "bold", "degree"):
            space = True
            continue
        if kind == "money":
            money = True
            continue
        before = len(out)
        _emit(out, kind, piece, match, text)
        for token in out[before:]:
            token.space = space
            space = False
        if money and len(out) > before and out[before].number is not None:
            number = out[before].number
            assert number is not None
            number.money, number.dimension, number.scale = True, "money", Fraction(100)
        space, money = False, False
    return out


def _emit(out: list[Token], kind: str, piece: str, match: re.Match[str], text: str) -> None:
    start, end = match.span()

    def add(kind: str, shown: str, number: Number | None = None) -> None:
        out.append(Token(kind, shown, start, end, False, number))

    def number(value: Fraction, shown: str, places: int = 0, *, cut: bool = False) -> None:
        add("num", shown, Number(value, places, shown, cut=cut))

    if kind == "num":
        clean = re.sub(r",|\{,\}|\\,", "", piece.removesuffix(match["cut"] or ""))
        places = len(clean.partition(".")[2])
        if len(clean) > 400:
            add("wall", piece)
        else:
            number(Fraction(clean), clean, places, cut=bool(match["cut"]))
    elif kind == "sci":
        exponent = int(re.split("[eE]", piece)[1])
        if abs(exponent) > 400:
            add("wall", piece)
        else:
            number(Fraction(piece), piece.lower(), max(0, len(piece.partition(".")[2].lower().split("e")[0]) - exponent))
    elif kind == "recurring":
        number(_recurring(piece), piece)
    elif kind == "mixed":
        whole, top, bottom = (int(part) for part in re.split("[ /]", piece))
        if 0 < top < bottom:
            number(whole + Fraction(top, bottom), f"({whole}+{top}/{bottom})")
        else:
            add("wall", piece)
    elif kind == "vulgar":
        whole_text, part = piece[:-1], _VULGAR[piece[-1]]
        value = Fraction(part) + (int(whole_text) if whole_text else 0)
        number(value, f"({whole_text}+{part})" if whole_text else f"({part})")
    elif kind == "numword":
        if text[max(0, start - 1) : start] == "-":
            add("word", piece)
        else:
            number(Fraction(NUMBER_WORDS[piece]), str(NUMBER_WORDS[piece]))
    elif kind == "part":
        amount, _, name = piece.lower().replace("-", " ").rpartition(" ")
        top = NUMBER_WORDS.get(amount, 1)
        number(Fraction(top, _PARTS[name.removesuffix("s") if name != "half" else name]), f"{top}/{_PARTS[name.removesuffix('s')]}")
    elif kind == "multiple":
        number(Fraction(_TIMES[piece.lower()]), str(_TIMES[piece.lower()]))
        add("op", "*")
    elif kind == "of":
        add("op", "of")
    elif kind == "sup":
        add("sup", piece.translate(_SUPERS))
    elif kind == "wordpow":
        add("sup", "2" if piece == "squared" else "3")
    elif kind == "textmacro":
        add("word", match["inner"].strip())
    elif kind == "shortfrac":
        top, bottom = (int(d) for d in re.findall(r"\d", piece))
        add("frac", "frac")
        for digit in (top, bottom):
            number(Fraction(digit), str(digit))
    elif kind == "root":
        degree = re.search(r"\[(\d)\]", piece)
        add("root", degree[1] if degree else "3" if piece == "∛" else "2")
    elif kind in ("times", "xtimes"):
        add("op", "*")
    elif kind == "div":
        add("op", "/")
    elif kind == "pow":
        add("op", "^")
    elif kind == "op":
        add("op", _SYMBOLS.get(piece, piece))
    elif kind == "wordop":
        first = piece.split()[0]
        add("op", _WORD_OPS.get(first) or _WORD_OPS.get(first[0]) or ("/" if first in ("divided", "除以") else "^"))
    elif kind == "approx":
        add("rel", "≈")
    elif kind == "rel":
        add("rel", "=")
    elif kind in ("pi", "greek", "var"):
        add(*_letter(out, kind, piece, text, end))
    elif kind == "word":
        before = text[start - 1 : start]
        if piece.lower() in _FUNCTIONS or (text[end : end + 1] == "(" and piece.lower() not in UNITS):
            add("wall", piece)
        elif before.isdigit() and len(piece) <= 3 and piece.lower() not in UNITS:
            add("wall", piece)
        else:
            add("word", piece)
    elif kind == "open":
        add("(", piece)
    elif kind == "close":
        add(")", piece)
    elif kind in ("clock", "ordinal"):
        add("wall" if kind == "clock" else "break", piece)
    elif kind == "other":
        add("break", piece)
    elif kind == "break2":
        add("break", piece)
    else:
        add(kind, piece)


def _letter(out: list[Token], kind: str, piece: str, text: str, end: int) -> tuple[str, str]:
    """A single letter is a variable, but `a`, `I` before a word are words and `m` after `3 ` is a unit."""
    if kind == "pi":
        return "var", "π"
    if kind == "greek":
        return "var", piece[1:]
    if piece in "aAI" and re.match(r"\s+[A-Za-z]{2}", text[end : end + 4]):
        return "word", piece
    spaced = text[end - len(piece) - 1 : end - len(piece)] in (" ", "\u00a0", "~", ",") and bool(out)
    if spaced and piece in _UNIT_LETTERS and out[-1].kind == "num":
        return "word", piece
    return "var", piece


def _recurring(piece: str) -> Fraction:
    whole, rest = piece.split(".", 1)
    fixed = re.match(r"\d*", rest)
    block = re.search(r"\{(\d+)\}", rest)
    assert fixed and block
    shift = 10 ** len(fixed[0])
    value = Fraction(int(whole or 0)) + (Fraction(int(fixed[0]), shift) if fixed[0] else 0)
    return value + Fraction(int(block[1]), (10 ** len(block[1]) - 1) * shift)


# ---------------------------------------------------------------------------------------------- expressions


Node = tuple[object, ...]


@dataclass(slots=True)
class Expression:
    """One parsed side: its tree, its literals and letters, its operators in reading order, and the readings it allows.

    `readings` names the points where the notation can be read in two ways (`parse` takes one as `reading`).
    """

    tree: Node
    numbers: list[Number]
    letters: set[str]
    operators: str
    text: str
    readings: set[str] = field(default_factory=set)

    @property
    def plain(self) -> Number | None:
        """The literal, when the side is nothing but one number, with a sign or a percent mark at most."""
        return self.numbers[0] if len(self.numbers) == 1 and not self.letters and not set(self.operators) - {"%", "~"} else None


class _Unreadable(Exception):
    pass


class _Parser:
    def __init__(self, tokens: list[Token], reading: str) -> None:
        self.tokens, self.reading, self.at, self.depth = tokens, reading, 0, 0
        self.numbers: list[Number] = []
        self.letters: set[str] = set()
        self.readings: set[str] = set()
        self.operators: list[str] = []

    def peek(self, kind: str, text: str = "") -> bool:
        if self.at >= len(self.tokens):
            return False
        token = self.tokens[self.at]
        return token.kind == kind and (not text or token.text in text)

    def may(self, reading: str) -> bool:
        self.readings.add(reading)
        return self.reading == reading

    def sum(self) -> Node:
        self.depth += 1
        if self.depth > 30:
            raise _Unreadable
        node = self.product()
        while self.peek("op", "+-"):
            sign = self.tokens[self.at].text
            self.at += 1
            self.operators.append(sign)
            term = self.product()
            if term[0] == "pct" and node[0] != "pct" and self.may("percent of the former"):
                term = ("*", node, term)
            node = (sign, node, term)
        self.depth -= 1
        return node

    def product(self) -> Node:
        node = self.signed()
        while True:
            if self.peek("op", "*/of"):
                sign = self.tokens[self.at].text
                self.at += 1
                self.operators.append("*" if sign == "of" else sign)
                right = self.signed()
                if sign == "/" and self.implied() and self.may("a/(bc)"):
                    while self.implied():
                        right = ("*", right, self.power())
                node = ("/" if sign == "/" else "*", node, right)
            elif self.implied():
                mixed = self.peek("frac") and self.tokens[self.at - 1].kind == "num" and node[0] == "n"
                if not mixed:
                    self.operators.append("*")
                right = self.power()
                node = ("+" if mixed and not self.may("product") else "*", node, right)
            else:
                return node

    def implied(self) -> bool:
        if not 0 < self.at < len(self.tokens):
            return False
        before, after = self.tokens[self.at - 1], self.tokens[self.at]
        if before.kind in ("num", "pct", "fact", "sup", ")", "var") and after.kind in ("(", "var", "root", "frac", "binom"):
            if after.kind == "(" and after.space and before.kind in ("num", "pct"):
                self.readings.add("gap")
            return True
        return before.kind == ")" and after.kind == "num" and not after.space and before.text == "}"

    def signed(self) -> Node:
        if self.peek("op", "+-"):
            sign = self.tokens[self.at].text
            self.at += 1
            self.depth += 1
            if self.depth > 30:
                raise _Unreadable
            if sign == "-":
                self.operators.append("~")
            literal = self.peek("num")
            node = self.power()
            self.depth -= 1
            if sign == "+":
                return node
            if node[0] == "^" and literal and self.may("(-a)^n"):
                return ("^", ("neg", node[1]), node[2])
            return ("neg", node)
        return self.power()

    def power(self) -> Node:
        node = self.primary()
        while True:
            if self.peek("sup"):
                node = ("^", node, ("n", Number(Fraction(int(self.tokens[self.at].text)))))
                self.operators.append("^")
            elif self.peek("pct"):
                self.operators.append("%")
                node = node if self.may("bare percent") else ("pct", node)
            elif self.peek("fact"):
                if self.may("exclamation"):
                    pass
                else:
                    self.operators.append("!")
                    node = ("fact", node)
            elif self.peek("op", "^"):
                self.at += 1
                self.operators.append("^")
                return ("^", node, self.signed())
            else:
                return node
            self.at += 1

    def primary(self) -> Node:
        if self.at >= len(self.tokens):
            raise _Unreadable
        token = self.tokens[self.at]
        self.at += 1
        if token.kind == "num" and token.number is not None:
            self.numbers.append(token.number)
            return ("n", token.number)
        if token.kind == "var":
            self.letters.add(token.text)
            return ("v", token.text)
        if token.kind == "(":
            node = self.sum()
            if not self.peek(")"):
                raise _Unreadable
            self.at += 1
            return node
        if token.kind == "frac":
            top = self.argument()
            self.operators.append("/")
            return ("/", top, self.argument())
        if token.kind == "binom":
            self.operators.append("C")
            return ("binom", self.argument(), self.argument())
        if token.kind == "root":
            self.operators.append("√")
            return ("root", self.argument(), int(token.text))
        raise _Unreadable

    def argument(self) -> Node:
        if not (self.peek("(") or self.peek("num") or self.peek("var")):
            raise _Unreadable
        return self.primary()


def parse(tokens: list[Token], reading: str = "") -> Expression | None:
    """The expression that the tokens spell, all of them; None where they don't spell one."""
    if not tokens or len(tokens) > 400:
        return None
    parser = _Parser(tokens, reading)
    try:
        tree = parser.sum()
    except _Unreadable:
        return None
    if parser.at != len(tokens):
        return None
    return Expression(
        tree, parser.numbers, parser.letters, "".join(parser.operators), render(tokens), parser.readings
    )


def render(tokens: list[Token]) -> str:
    """The tokens as one text with no spaces, units or currency: `\\frac{1}{2}` is `(1)/(2)`, shown as `1/2`."""
    out: list[str] = []
    closings: list[tuple[int, str]] = []
    depth = 0
    for token in tokens:
        shown = {"root": "sqrt", "frac": "", "pct": "%", "fact": "!", "binom": "C"}.get(token.kind, token.text)
        if token.kind == "(":
            depth, shown = depth + 1, "("
        elif token.kind == ")":
            depth, shown = depth - 1, ")"
        elif token.kind == "sup":
            shown = "^" + token.text
        elif token.text == "of":
            shown = "*"
        out.append(shown)
        if token.kind in ("frac", "binom"):
            closings.append((depth, "/" if token.kind == "frac" else ","))
        elif closings and depth == closings[-1][0] and token.kind in (")", "num", "var"):
            out.append(closings.pop()[1])
    return re.sub(r"(?<![\w)])\((\d+(?:\.\d+)?)\)(?![\w(^!])|(?<=\^)\((\d+)\)", lambda m: m[1] or m[2], "".join(out))


# ---------------------------------------------------------------------------------------------- values


def evaluate(
    tree: Node,
    letters: Mapping[str, Value] | None = None,
    *,
    scaled: bool = False,
    shift: tuple[Number, Fraction] | None = None,
) -> Value | None:
    """The value of a tree: exact where it is rational, else to 50 digits; None where it has none that we can compute.

    `letters` gives variables values (π is known), `scaled` converts units to their smallest, `shift` moves one literal.
    """
    with localcontext() as context:
        context.prec = DIGITS + 10
        try:
            return _value(tree, letters or {}, scaled, shift)
        except (_Unreadable, ZeroDivisionError, InvalidOperation, OverflowError):
            return None


def _value(
    tree: Node, letters: Mapping[str, Value], scaled: bool, shift: tuple[Number, Fraction] | None
) -> Value:
    kind = tree[0]
    if kind == "n":
        number = tree[1]
        assert isinstance(number, Number)
        value = number.value + (shift[1] if shift and shift[0] is number else 0)
        return value * number.scale if scaled else value
    if kind == "v":
        name = str(tree[1])
        if name in letters:
            return letters[name]
        if name == "π":
            return PI
        raise _Unreadable
    parts = [_value(part, letters, scaled, shift) for part in tree[1:] if isinstance(part, tuple)]
    first = parts[0]
    if kind == "neg":
        return -first
    if kind == "pct":
        return first / 100
    if kind == "fact":
        if not isinstance(first, Fraction) or first.denominator != 1 or not 0 <= first <= 1000:
            raise _Unreadable
        return Fraction(math.factorial(int(first)))
    if kind == "root":
        degree = tree[2]
        assert isinstance(degree, int)
        return _power(first, Fraction(1, degree))
    second = parts[1]
    if kind == "binom":
        if not (_whole(first) and _whole(second) and 0 <= second <= first <= 1000):
            raise _Unreadable
        return Fraction(math.comb(int(first), int(second)))
    if kind == "^":
        return _power(first, second)
    if isinstance(first, Fraction) and isinstance(second, Fraction):
        if kind == "+":
            return first + second
        if kind == "-":
            return first - second
        return first * second if kind == "*" else first / second
    a, b = real(first), real(second)
    if kind == "+":
        return a + b
    if kind == "-":
        return a - b
    return a * b if kind == "*" else a / b


def _whole(value: Value) -> bool:
    return isinstance(value, Fraction) and value.denominator == 1


def real(value: Value) -> Decimal:
    """The value as a Decimal in the current precision."""
    return value if isinstance(value, Decimal) else Decimal(value.numerator) / Decimal(value.denominator)


def _power(base: Value, exponent: Value) -> Value:
    if isinstance(base, Fraction) and isinstance(exponent, Fraction):
        bits = max(base.numerator.bit_length(), base.denominator.bit_length())
        if abs(exponent) * bits > MAX_BITS:
            raise _Unreadable
        if exponent.denominator == 1:
            return base**exponent.numerator
        if base < 0:
            raise _Unreadable
        exact = _exact_root(base, exponent.denominator)
        if exact is not None:
            return exact**exponent.numerator
    a, b = real(base), real(exponent)
    if abs(b) > 1000 or (a < 0 and b != b.to_integral_value()):
        raise _Unreadable
    return a.sqrt() if b == Decimal("0.5") else a**b


def _exact_root(value: Fraction, degree: int) -> Fraction | None:
    if degree > 12 or value.numerator.bit_length() > 2000 or value.denominator.bit_length() > 2000:
        return None
    roots = []
    for part in (value.numerator, value.denominator):
        root = math.isqrt(part) if degree == 2 else round(part ** (1 / degree)) if part < 2**900 else 0
        if root**degree != part:
            return None
        roots.append(root)
    return Fraction(*roots)
