"""The tokens of the arithmetic that is written in prose or LaTeX, each with its place in the text.

For the step check: numbers in all their spellings, operators and relations as signs or words, brackets, letters. What
is not arithmetic comes out as words, breaks and walls (a wall poisons the expression that it stands in).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

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
    "count": "ones:1;pair pairs:2;dozen dozens:12;tens:10;hundred hundreds:100;thousand thousands k:1000;"
    "million millions:1000000;billion billions:1000000000",
}.items():
    for _entry in _names.split(";"):
        _words, _size = _entry.split(":")
        for _word in _words.split():
            _UNITS[_word] = (_kind, Fraction(_size))
UNITS: Mapping[str, tuple[str, Fraction]] = _UNITS
"""Unit word -> (dimension, size in its smallest unit): used only to excuse a mismatch, never to invent one."""

_SMALL = re.findall(
    r"\w+",
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen",
)
_TENS = re.findall(r"\w+", "twenty thirty forty fifty sixty seventy eighty ninety")
NUMBER_WORDS = {word: i for i, word in enumerate(_SMALL)} | {word: 20 + 10 * i for i, word in enumerate(_TENS)}
NUMBER_WORDS |= {f"{ten}-{one}": NUMBER_WORDS[ten] + NUMBER_WORDS[one] for ten in _TENS for one in _SMALL[1:10]}
_PARTS = {"half": 2, "third": 3, "quarter": 4, "fourth": 4, "fifth": 5, "sixth": 6, "eighth": 8, "tenth": 10}
_TIMES = {"twice": 2, "double": 2, "triple": 3, "thrice": 3}
_VULGAR = dict(
    re.findall(
        r"(\S)=(\S+)", "½=1/2 ⅓=1/3 ⅔=2/3 ¼=1/4 ¾=3/4 ⅕=1/5 ⅖=2/5 ⅗=3/5 ⅘=4/5 ⅙=1/6 ⅚=5/6 ⅛=1/8 ⅜=3/8 ⅝=5/8 ⅞=7/8"
    )
)
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
  | (?P<choose>\d+\s?[CP]\s?\d+\b|\d+,\d{1,2}(?![\d,])|\d+!!)
  | (?P<num>(?:\d{1,3}(?:(?:,|\{,\}|\\,)\d{3})+(?!\d)(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)(?P<cut>\.{3}|…|\s?\\l?dots\b)?)
  | (?P<vulgar>\d*[½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞])
  | (?P<sup>[⁰¹²³⁴⁵⁶⁷⁸⁹]+)
  | (?P<degree>(?:\^\s*\{\s*\\circ\s*\}|\^\s*\\circ\b|°|\\degree\b|\bdegrees?\b)(?:\s?[CF]\b)?)
  | (?P<textmacro>\\(?:text|textrm|textit|mathrm|mbox|operatorname|textnormal)\s*\{(?P<inner>[^{}]{0,200})\})
  | (?P<shortfrac>\\[dtc]?frac\s*\d\s*\d(?!\d))
  | (?P<frac>\\[dtc]?frac\b)
  | (?P<root>\\sqrt\s*(?:\[\d\])?|√|∛|\bsqrt(?=\s*\()|(?:the\s+)?square\s+root\s+of\b)
  | (?P<binom>\\[dt]?binom\b)
  | (?P<break2>\\(?:begin|end|tag|label|hspace|vspace|underset|overset|xrightarrow)
        \s*\*?\{[^{}]{0,100}\}(?:\{[^{}]{0,100}\})?
        |\\q?quad\b|\\[{}]|=>|⇒|⟹|→|->|∴|⇔
        |\\(?:implies|Rightarrow|Longrightarrow|to|rightarrow|longrightarrow|iff|Leftrightarrow|therefore|because)\b)
  | (?P<times>\\times\b|\\cdot\b|\\ast\b|[×·⋅∙∗✕＊])
  | (?P<div>\\div\b|[÷∕⁄])
  | (?P<approx>\\approx\b|\\simeq\b|≈|≃|~=|=\s*(?:about|approximately|roughly)\b
        |\b(?:is|equals)\s+(?:about|approximately|roughly|nearly|around)\b|约等于|约为)
  | (?P<other>[<>:+*/-]=|(?<![\d)}])!=|<=|>=|[<>≤≥≠≡∼]|\\(?:leq?|geq?|neq?|lt|gt|equiv|cong|sim|in|mid)\b|\+\+)
  | (?P<rel>==?|＝|等于|\b(?:is\s+|are\s+|be\s+)?equal(?:s|\s+to)\b|\bis\s+the\s+same\s+as\b)
  | (?P<pct>\\?%|％|\bper\s?cent\b)
  | (?P<money>\\?\$|[€£¥₹]|\bRs\.?(?=\s*\d))
  | (?P<delim>\\[()\[\]])
  | (?P<pow>(?<=[\d)])\*\*(?=[\d(-])|\^)
  | (?P<bold>\*\*|__|`+)
  | (?P<pi>\\pi\b|π)
  | (?P<greek>\\(?:alpha|beta|gamma|theta|lambda|mu|phi|omega|rho|sigma)\b)
  | (?P<wall>\\[A-Za-z]+|\.{3}|…|//|[₀-₉ₐ-ₜ]+|_(?:\{[^{}]{0,60}\}|\w)|(?<=\d)['′″"]|±|∓)
  | (?P<op>[+＋*/^-]|[−–－])
  | (?P<fact>(?<=[\d)])!)
  | (?P<open>[(\[{])
  | (?P<close>[)\]}])
  | (?P<wordop>\b(?:plus|added\s+to|minus|times(?!\s+(?:as|more|the|a|larger|bigger|that|this|what|its|his|her|older)\b)
        |multiplied\s+by|divided\s+by|to\s+the\s+power\s+of
        |raised\s+to(?:\s+the\s+power\s+of)?)\b|加上?(?=\s*\d)|减去?(?=\s*\d)|乘以?(?=\s*\d)|除以(?=\s*\d))
  | (?P<wordpow>\b(?:squared|cubed)\b)
  | (?P<of>\bof\s+(?:(?:the|remaining|total|original|initial|his|her|their|its|those|these|all|first|other|a|that)
        \s+){0,3}
        (?=\\?[$(€£\d]|\\\(|(?i:__NUMBERS__)\b))
  | (?P<part>(?i:\b(?:(?:a|an|one|two|three|four|five|seven)[\s-])?
        (?:half|thirds?|quarters?|fourths?|fifths?|sixths?|eighths?|tenths?))(?=\s+of\b))
  | (?P<multiple>\b(?i:twice|double|triple|thrice)(?=\s+\\?[$(]*\d))
  | (?P<weak>,?\s*\bwhich\s+(?:is|equals|gives|makes)(?:\s+us)?\b|,?\s*\b(?:we|you|I|he|she)\s+(?:get|gets|obtain)\b
        |\b(?:is|are|was|gives|give|yields|makes|make|leaves|totals)(?:\s+us)?\b|\bcomes?\s+(?:out\s+)?to\b|\bresults?\s+in\b)
  | (?P<numword>\b(?i:__NUMBERS__)\b(?![\s-]+(?:of|more|less|another|other|third|half|quarter|hundred|thousand)\b)(?!-))
  | (?P<xtimes>(?<=[\d)$])[xX](?=[\d(])(?<=\d[xX])(?=\d)|(?<=[\d)$%a-z]\s)[xX](?=\s*\\?[$(]*\d))
  | (?P<var>[A-Za-z](?:_(?:\{[^{}]{0,60}\}|[A-Za-z0-9]+))?[′']*(?![A-Za-z'’]))
  | (?P<word>[A-Za-zÀ-ÿ'’]+(?:-[A-Za-zÀ-ÿ'’]+)*\.?(?=/)|[A-Za-zÀ-ÿ'’]+(?:-[A-Za-zÀ-ÿ'’]+)*|[\u4e00-\u9fff]+)
  | (?P<break>.)
    """.replace("__NUMBERS__", _NUMBER_WORD),
    re.VERBOSE,
)
_CLOSED_MATH = re.compile(r"[\w)}\]]\s?\$(?!\d)|\\\$")
_FUNCTIONS = re.compile(r"(?:log|ln|sin|cos|tan|cot|sec|csc|gcd|lcm|mod|max|floor|ceil|abs|modulo|lg|exp|det)", re.I)
_WORD_OPS = {"plus": "+", "added": "+", "加": "+", "minus": "-", "减": "-", "times": "*", "multiplied": "*", "乘": "*"}
_ENDS = frozenset(("num", "var", ")", "pct", "sup", "fact", "word"))
_SYMBOLS = {"＋": "+", "−": "-", "–": "-", "－": "-"}


def lex(text: str) -> list[Token]:
    """The tokens of `text` in order; spaces, math delimiters, currency signs and markup are left out."""
    out: list[Token] = []
    space, money = True, False
    dollars_are_math = bool(_CLOSED_MATH.search(text))
    for match in _LEX.finditer(text):
        kind, piece = match.lastgroup or "break", match.group()
        if match["num"] is not None:
            kind = "num"
        elif match["textmacro"] is not None:
            kind = "textmacro"
        if kind in ("space", "delim", "bold", "degree"):
            space = True
            if kind == "degree" and out and out[-1].number is not None:
                out[-1].number.dimension = "angle"
            continue
        if kind == "money":
            space, money = space or piece == "$", not (piece == "$" and dollars_are_math)
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
            if places == 3 and re.fullmatch(r"[1-9]\d{0,2}\.\d{3}", piece):
                out[-1].number = Number(Fraction(clean), places, clean, scale=Fraction(1000))
    elif kind == "sci":
        exponent = int(re.split("[eE]", piece)[1])
        if abs(exponent) > 400:
            add("wall", piece)
        else:
            number(
                Fraction(piece), piece.lower(), max(0, len(piece.partition(".")[2].lower().split("e")[0]) - exponent)
            )
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
            number(Fraction(NUMBER_WORDS[piece.lower()]), str(NUMBER_WORDS[piece.lower()]))
    elif kind == "part":
        amount, _, name = piece.lower().replace("-", " ").rpartition(" ")
        top = NUMBER_WORDS.get(amount, 1)
        number(
            Fraction(top, _PARTS[name.removesuffix("s") if name != "half" else name]),
            f"{top}/{_PARTS[name.removesuffix('s')]}",
        )
    elif kind == "multiple":
        number(Fraction(_TIMES[piece.lower()]), str(_TIMES[piece.lower()]))
        add("op", "*")
    elif kind == "of":
        part = bool(out) and (out[-1].kind == "pct" or out[-1].text == "}" or _is_part(out))
        add("op" if part else "word", "of")
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
    elif kind == "weak":
        add("weak" if out and out[-1].kind in _ENDS else "break", piece)
    elif kind == "approx":
        add("rel", "≈")
    elif kind == "rel":
        add("rel", "=")
    elif kind in ("pi", "greek", "var"):
        add(*_letter(out, kind, piece, text, end))
    elif kind == "word":
        before = text[start - 1 : start]
        if (
            _FUNCTIONS.fullmatch(piece)
            or (text[end : end + 1] == "(" and not (out and out[-1].kind == "num"))
            or (before.isdigit() and piece.isascii() and len(piece) <= 3 and piece.lower() not in UNITS)
        ):
            add("wall", piece)
        else:
            add("word", piece)
    elif kind == "open":
        add("(", piece)
    elif kind == "close":
        add(")", piece)
    elif kind in ("clock", "choose"):
        add("wall", piece)
    elif kind == "ordinal" or kind == "other" or kind == "break2":
        add("break", piece)
    else:
        add(kind, piece)


def _is_part(out: list[Token]) -> bool:
    """Whether the last number is a fraction or less than one, so that "of" after it multiplies."""
    number = out[-1].number
    if number is None:
        return False
    return (
        0 < number.value < 1 or "/" in number.text or (len(out) > 2 and out[-2].text == "/" and out[-3].kind == "num")
    )


def _letter(out: list[Token], kind: str, piece: str, text: str, end: int) -> tuple[str, str]:
    """A single letter is a variable, but `a`, `I` before a word are words and `m` after `3 ` is a unit."""
    if kind == "pi":
        return "var", "π"
    if kind == "greek":
        return "var", piece[1:]
    if piece in "aAI" and re.match(r"\s+[A-Za-z]{2}", text[end : end + 4]):
        return "word", piece
    if piece in _UNIT_LETTERS and len(out) > 1 and out[-1].text == "/" and out[-2].kind == "word":
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
