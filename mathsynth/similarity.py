"""How alike two problem texts are: tokens, number keys, and Jaccard similarities of hashed words. Pure, no I/O.

Plain word overlap calls "7 apples" and "8 apples" the same problem. So texts are compared only inside a block: equal
numbers and signs, and the equal answer where one is known (data_io.md sections 2 and 6). The normaliser changes
notation, never a value: numbers, brackets, operators, LaTeX commands and the case of single-letter symbols stay.
It does not know mathematics: `1/2` and `0.5` are different in a question (`answer_key` makes them equal in an answer).
"""

from __future__ import annotations

import math
import re
import unicodedata
from array import array
from collections import Counter
from collections.abc import Iterable
from fractions import Fraction
from itertools import islice
from typing import Generic, NamedTuple, TypeVar

import xxhash

DROP, WORD, TELLING, SPOKEN, NUMBER, SYMBOL, OPERATOR, COMMAND, OPEN = range(9)
"""Kinds of token; from NUMBER on, a sign before one is a sign of mathematics."""

Member = TypeVar("Member", int, tuple[int, ...])

_SIGNS = str.maketrans({
    **dict.fromkeys("−–—‐‑", "-"), **dict.fromkeys("’‘′", "'"), **dict.fromkeys("“”", '"'), **dict.fromkeys("⁄∕", "/"),
    "×": r"\times ", "·": r"\cdot ", "⋅": r"\cdot ", "÷": r"\div ", "±": r"\pm ", "≤": r"\le ", "≥": r"\ge ",
    "≠": r"\ne ", "√": r"\sqrt ", "∞": r"\infty ", "∑": r"\sum ", "∏": r"\prod ", "∫": r"\int ", "∈": r"\in ",
    "∪": r"\cup ", "∩": r"\cap ", "∠": r"\angle ", "△": r"\triangle ", "→": r"\to ", "≈": r"\approx ", "º": "°",
    "α": r"\alpha ", "β": r"\beta ", "γ": r"\gamma ", "δ": r"\delta ", "ε": r"\epsilon ", "θ": r"\theta ",
    "λ": r"\lambda ", "μ": r"\mu ", "π": r"\pi ", "ρ": r"\rho ", "σ": r"\sigma ", "τ": r"\tau ", "φ": r"\phi ",
    "ω": r"\omega ", "Δ": r"\Delta ", "Σ": r"\Sigma ", "Φ": r"\Phi ", "Ω": r"\Omega ",
})  # fmt: skip
_INVISIBLE = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u200e\u200f\u2060\ufeff\u00ad"))
# NFKC alone would read 10² as 102, x₁ as x1 and 2½ as 21/2.
_RAISED = re.compile(r"[⁰¹²³⁴-⁹⁺⁻ⁿⁱ]+")
_LOWERED = re.compile(r"[₀-₉₊₋]+")
_VULGAR = re.compile(r"[¼-¾⅐-⅞↉]")

_GROUPED = re.compile(r"(?<=\d)(?:\{,\}|\\,|,\\!)(?=\d{3}(?!\d))")
_TEXT = re.compile(r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mbox|operatorname)\s*\{([^{}]*)\}")
_SPACING = re.compile(
    r"\\(?:left|right|middle|displaystyle|textstyle|limits|quad|qquad|[bB]igg?[lr]?)(?![A-Za-z])"
    r"|\\[,;:!\s()\[\]]|~"
)
_ALIASES = {
    r"\dfrac": r"\frac", r"\tfrac": r"\frac", r"\cfrac": r"\frac", r"\leq": r"\le", r"\geq": r"\ge", r"\neq": r"\ne",
    r"\leqslant": r"\le", r"\geqslant": r"\ge", r"\ldots": r"\dots", r"\cdots": r"\dots", r"\%": "%", r"\lt": "<",
    r"\gt": ">", "percent": "%",
}  # fmt: skip
_TIGHT_FRACTION = re.compile(r"\\([dtc]?)frac\s*(\d)\s*(\d)(?!\d)")
_DEGREE = re.compile(r"\^\s*(?:\{\s*\\circ\s*\}|\\circ(?![A-Za-z]))")
_BRACED = re.compile(r"([\^_])\s*\{\s*(-?\w+)\s*\}")
# (1,200) may be a point and {1,200} a set, so a comma next to a bracket on its left stays.
_THOUSANDS = re.compile(r"(?<![\d.,(\[{])\d{1,3}(?:,\d{3})+(?![\d]|,\d)")
_TOKEN = re.compile(
    r"\\[A-Za-z]+|\\."
    r"|(?:(?<![\w)\]}'])-(?=\.?\d))?(?:\d+(?:\.\d+)?|\.\d+)"
    r"|[^\W\d_]+(?:'[^\W\d_]+)*"
    r"|(?<=\b[^\W\d_])'+|(?<=[\d)\]}])!+|(?<=\b[^\W\d_])!+"
    r"|\.{3,}|(?<=\d):(?=\d)|[_,]|[^\s\w.,;:?!$'\"`]"
)

_UNIT_WORDS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_UNITS = {word: value for value, word in enumerate(_UNIT_WORDS.split())}
_TEN_WORDS = "twenty thirty forty fifty sixty seventy eighty ninety"
_TENS = {word: 10 * value for value, word in enumerate(_TEN_WORDS.split(), start=2)}
_SCALES = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9}
_ORDINALS = "third fourth fifth sixth seventh eighth ninth tenth"
# Parts and multiples are numbers too: "a third of" changed to "a quarter of" is another problem.
_PARTS = {
    "half": "1/2", "halves": "1/2", "quarter": "1/4", "quarters": "1/4", "twice": "2", "double": "2", "doubled": "2",
    "thrice": "3", "triple": "3", "tripled": "3", "dozen": "12",
    **{word: f"1/{value}" for value, word in enumerate(_ORDINALS.split(), start=3)},
    **{f"{word}s": f"1/{value}" for value, word in enumerate(_ORDINALS.split(), start=3)},
}  # fmt: skip
# Words of which one, changed, makes another problem of the same length and numbers.
_TELLING_WORDS = (
    "not no never none without except only least most more fewer less larger smaller greater largest smallest greatest "
    "fewest higher lower highest lowest longest shortest longer shorter maximum minimum maximal minimal max min even "
    "odd prime composite increase increases increased decrease decreases decreased before after left right above below "
    "inside outside positive negative nonnegative nonpositive nonzero first last different distinct older younger "
    "oldest youngest taller faster slower up down north south east west clockwise counterclockwise inclusive exclusive "
    "gain gains gained loss lose loses lost profit buys bought sells sold sum difference product quotient remainder "
    "perimeter area volume radius diameter circumference mean median mode range variance row column replacement "
    "circle square triangle rectangle cube sphere integer integers real rational ascending descending together "
    "seconds second minutes minute hours hour days day weeks week months month years year cm mm km m centimeters "
    "millimeters meters meter kilometers kilometer inches inch feet foot yards yard miles mile grams gram kg kilograms "
    "pounds pound ounces ounce liters liter milliliters ml gallons gallon cents cent dollars dollar degrees radians "
    "mph kph sin cos tan cot sec csc log ln arcsin arccos arctan true false"
)
_TELLING = frozenset(_TELLING_WORDS.split())
_OPERATORS = frozenset("+-*/^=<>%!'|°~")
_LOOSE_SIGNS = frozenset("+-/^!<>'|°")
_NOTATION = frozenset([r"\frac", r"\times", r"\cdot", r"\le", r"\ge", r"\dots", r"\{", r"\}", r"\begin", r"\end"])
_ARTICLE = "a"
_CACHED = 500_000

_known: dict[str, tuple[str, int, int]] = {}


class Sketch(NamedTuple):
    """What is kept of a question to compare it: 64-bit keys of its blocks, and its hashed tokens in order.

    `exact` is equal for equal normalised texts, `strict` for equal numbers, signs, telling words and last words in
    the same order, `loose` for the same bag of numbers and signs. `numbers` counts them. `words` holds 32-bit hashes
    as bytes; the lowest bit marks a number.
    """

    exact: int
    strict: int
    loose: int
    numbers: int
    words: bytes


def tokens(text: str) -> list[str]:
    """The normalised tokens: words in lower case, number words as digits, no punctuation, spacing or `$`."""
    return [token for token, _, _ in _scan(text)]


def sketch(text: str, *, last_words: int = 6, ignore_numbers: bool = False) -> Sketch:
    """The sketch of a question. With `ignore_numbers` the strict block is blind to values, not to signs."""
    scanned = _scan(text)
    kinds = [kind for _, kind, _ in scanned]
    kinds.append(WORD)
    order: list[str] = []
    numbers: list[str] = []
    bag: list[str] = []
    for place, (token, kind, _) in enumerate(scanned):
        if kind == NUMBER:
            numbers.append(token)
            order.append("#" if ignore_numbers else token)
        elif kind in (TELLING, SYMBOL):
            order.append(token)
        elif kind == COMMAND or (kind == OPERATOR and (token in "%!°'" or kinds[place + 1] >= NUMBER)):
            # The hyphen of "5-pound" and the slash of "miles/hour" are no signs: a word follows.
            order.append(token)
            if token not in _NOTATION if kind == COMMAND else token in _LOOSE_SIGNS:
                bag.append(token)
    tail = ["#" if ignore_numbers and kind == NUMBER else token for token, kind, _ in scanned[-last_words:]]
    return Sketch(
        exact=_key([token for token, _, _ in scanned]),
        strict=_key([*order, "", *(tail if last_words else ())]),
        loose=_key([*sorted(numbers), "", *sorted(bag)]),
        numbers=len(numbers),
        words=array("I", [word for _, _, word in scanned]).tobytes(),
    )


def words(sketched: bytes) -> frozenset[int]:
    """The set of hashed tokens of a sketch (w1)."""
    return frozenset(array("I", sketched))


def shingles(sketched: bytes, *, masked: bool = False) -> frozenset[tuple[int, ...]]:
    """The runs of three tokens of a sketch (w3); `masked` makes all numbers alike. A shorter text is one run."""
    row = array("I", sketched)
    if masked:
        row = array("I", [1 if word & 1 else word for word in row])
    if len(row) < 3:
        return frozenset([tuple(row)])
    return frozenset(zip(row, islice(row, 1, None), islice(row, 2, None), strict=False))


def jaccard(one: frozenset[Member], other: frozenset[Member]) -> float:
    """Shared members over all members, in [0, 1]; 1 for two empty sets."""
    shared = len(one & other)
    total = len(one) + len(other) - shared
    return shared / total if total else 1.0


class Block(Generic[Member]):
    """The kept questions of one block. A large one proposes only those that share a rare member.

    Two sets of similarity t or more have a member in common among the rarest n - ceil(t n) + 1 of each.
    """

    def __init__(self, threshold: float, rarity: Counter[Member] | None) -> None:
        self._threshold = threshold
        self._rarity: Counter[Member] | None = rarity
        self._kept: list[int] = []
        self._holders: dict[Member, list[int]] = {}

    def candidates(self, members: frozenset[Member]) -> Iterable[int]:
        """The kept questions that may reach the threshold, in the order in which they were kept."""
        if self._rarity is None:
            return self._kept
        places = {place for member in self._rarest(members) for place in self._holders.get(member, ())}
        return [self._kept[place] for place in sorted(places)]

    def keep(self, number: int, members: frozenset[Member]) -> None:
        """Add a kept question."""
        for member in self._rarest(members) if self._rarity is not None else ():
            self._holders.setdefault(member, []).append(len(self._kept))
        self._kept.append(number)

    def _rarest(self, members: frozenset[Member]) -> list[Member]:
        rarity: Counter[Member] = self._rarity or Counter()
        length = len(members) - math.ceil(self._threshold * len(members) - 1e-9) + 1
        return sorted(members, key=lambda member: (rarity[member], member))[:length]


def answer_key(answer: str) -> str:
    """An answer in one notation; plain rational numbers by their value, so that 0.5 and \\frac{1}{2} are equal."""
    plain = " ".join(tokens(answer))
    number = _RATIONAL.fullmatch(plain) if len(plain) <= 60 else None
    if number is None:
        return plain
    top = Fraction((number["a"] or number["c"]).replace(" ", ""))
    bottom = Fraction(number["b"] or number["d"] or 1)
    if bottom == 0:
        return plain
    return str(-top / bottom if number["minus"] else top / bottom)


_RATIONAL = re.compile(
    r"(?P<minus>- )?(?:(?P<a>-?\d+(?:\.\d+)?|-?\.\d+)(?: / (?P<b>\d+))?|\\frac \{ (?P<c>-?\d+) \} \{ (?P<d>\d+) \})"
)


def is_open(answer: str) -> bool:
    """Whether an answer can tell two problems apart: not a letter of a choice, yes or no, or another bare label."""
    return any(kind in (NUMBER, OPERATOR, COMMAND) for _, kind, _ in _scan(answer))


def text_key(text: str) -> int:
    """64 bits, equal for texts with the same normalised tokens."""
    return _key(tokens(text))


def _key(parts: list[str]) -> int:
    return xxhash.xxh3_64_intdigest("\x1f".join(parts).encode("utf-8", "surrogatepass"))


def _scan(text: str) -> list[tuple[str, int, int]]:
    """(token, kind, 32-bit hash) of every token that counts."""
    raw = _TOKEN.findall(_one_notation(text))
    scanned: list[tuple[str, int, int]] = []
    spoken = False
    for place, piece in enumerate(raw):
        known = _known.get(piece) or _classify(piece)
        kind = known[1]
        if kind == DROP:
            if piece == "," and scanned and scanned[-1][1] == SPOKEN:
                # "twenty, five" is not 25
                scanned.append(known)
            continue
        if kind == SPOKEN:
            spoken = True
        elif piece == "A" and place + 1 < len(raw) and len(raw[place + 1]) > 1 and raw[place + 1].isalpha():
            known = _known.get(_ARTICLE) or _classify(_ARTICLE)
        scanned.append(known)
    return _spelled_out(scanned) if spoken else scanned


def _one_notation(text: str) -> str:
    if not text.isascii():
        text = _RAISED.sub(lambda run: "^" + unicodedata.normalize("NFKC", run[0]), text)
        text = _LOWERED.sub(lambda run: "_" + unicodedata.normalize("NFKC", run[0]), text)
        text = _VULGAR.sub(lambda sign: " " + unicodedata.normalize("NFKC", sign[0]) + " ", text)
        text = unicodedata.normalize("NFKC", text.translate(_SIGNS).translate(_INVISIBLE)).translate(_SIGNS)
    if "\\" in text or "~" in text or "{" in text:
        text = _TEXT.sub(r" \1 ", _GROUPED.sub("", text))
        text = _SPACING.sub(" ", _TIGHT_FRACTION.sub(r"\\frac{\2}{\3}", text))
        text = _BRACED.sub(r"\1\2", _DEGREE.sub("°", text))
    return _THOUSANDS.sub(lambda number: number[0].replace(",", ""), text) if "," in text else text


def _classify(piece: str) -> tuple[str, int, int]:
    token = piece if len(piece) == 1 or piece[0] == "\\" else piece.lower()
    token = _ALIASES.get(token, token)
    if token == ",":
        kind = DROP
    elif token[0] == "\\":
        kind = OPEN if token == r"\{" else COMMAND if token[1:].isalpha() or token == r"\}" else DROP
    elif token[-1].isdigit():
        kind, token = NUMBER, re.sub(r"^(-?)\.", r"\g<1>0.", token)
    elif token in _PARTS:
        kind, token = NUMBER, _PARTS[token]
    elif token in _UNITS or token in _TENS or token in _SCALES:
        kind = SPOKEN
    elif token[0].isalpha():
        kind = TELLING if token in _TELLING else SYMBOL if len(token) == 1 and token not in ("a", "I") else WORD
    elif token.startswith("..."):
        kind, token = COMMAND, r"\dots"
    elif token[0] in "([{":
        kind = OPEN
    else:
        kind = OPERATOR if token[0] in _OPERATORS else WORD
    known = (token, kind, _word(token, kind))
    if len(_known) >= _CACHED:
        _known.clear()
    _known[piece] = known
    return known


def _word(token: str, kind: int) -> int:
    return xxhash.xxh32_intdigest(token.encode("utf-8", "surrogatepass")) & ~1 | (kind == NUMBER)


def _spelled_out(scanned: list[tuple[str, int, int]]) -> list[tuple[str, int, int]]:
    """With runs of number words replaced by digits: "two hundred and fifty-one" is 251, "two three" is 2 and 3."""
    result: list[tuple[str, int, int]] = []
    place = 0
    while place < len(scanned):
        value, after = _spoken_number(scanned, place)
        if after == place:
            if scanned[place][1] != DROP:
                result.append(scanned[place])
            place += 1
        else:
            result.append((str(value), NUMBER, _word(str(value), NUMBER)))
            place = after
    return result


def _spoken_number(scanned: list[tuple[str, int, int]], place: int) -> tuple[int, int]:
    """(value, the place after it) of the number that starts here with a word or is followed by a scale word."""
    total, part, after, smallest = 0, 0, place, 10**12
    while after < len(scanned):
        token, kind, _ = scanned[after]
        step = after
        # "and" and a hyphen belong to a number only between its words.
        if after > place and token in ("and", "-") and after + 1 < len(scanned) and scanned[after + 1][1] == SPOKEN:
            step, (token, kind, _) = after + 1, scanned[after + 1]
            if scanned[after][0] == "and" and (part % 100 or not (part or total) or token in _SCALES):
                break
        if kind == NUMBER and after == place and token.isdigit() and len(token) <= 6:
            if after + 1 == len(scanned) or scanned[after + 1][0] not in _SCALES:
                break
            part = int(token)
        elif token == "zero":
            return (0, after + 1) if after == place else (total + part, after)
        elif token in _UNITS and (part % 100 == 0 or (part % 10 == 0 and part % 100 > 10 and _UNITS[token] < 10)):
            part += _UNITS[token]
        elif token in _TENS and part % 100 == 0:
            part += _TENS[token]
        elif token == "hundred" and part < 100:
            part = (part or 1) * 100
        elif token in _SCALES and token != "hundred" and _SCALES[token] < smallest:
            smallest = _SCALES[token]
            total, part = total + (part or 1) * smallest, 0
        else:
            break
        after = step + 1
    return total + part, after
