"""What the words around an equation say about it: asked, supposed, taken back, rounded, in another base, modulo n.

They read text only, and they excuse: an equation that doesn't hold is unknown where one of them applies.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache

from mathsynth.verifier.arithmetic.prose import UNITS

_ASKED = re.compile(
    r"(?:\b(?:if|suppose|supposing|assum(?:e|es|ing)|does|is\s+it\s+true|whether|pretend|imagine|instead\s+of|not|never|says?|claims?|"
    r"claim|thinks?|thought|wrote|writes|writing|wrongly|incorrectly|mistakenly|mistake|error|would\s+(?:need|require|imply|mean))"
    r"\s+(?:(?:true|so|the\s+case|possible)\s+)?(?:that\s+|is\s+|was\s+|if\s+)?)[\s$(*:\"'`\\\[]*$",
    re.I,
)
_IN_ERROR = re.compile(
    r"\b(?:mistaken(?:ly)?|by\s+mistake|wrongly|incorrectly|erroneously|naively|common\s+(?:error|mistake)|"
    r"tempt\w*|counterexample|contrary)\b",
    re.I,
)
_TAKEN_BACK = re.compile(
    r"\A\W*no\b\s*(?:[,.!—-]|that|it\b|not)|\b(?:wait|oops|nope)\b\s*[,.!—-]|\b(?:not\s+(?:true|correct|right|equal|possible|valid|work|quite|an?\s+integer|what)|"
    r"in-?correct(?:ly)?|wrong(?:ly)?|false|contradict\w*|impossible|inconsistent|absurd|mistake[ns]?|(?:doesn['’]t|does\s+not|"
    r"didn['’]t|don['’]t|can(?:no|['’])t)\s+(?:work|hold|match|equal|satisfy|give|add|fit|be|check)|isn['’]t|is\s+not|never|"
    r"too\s+(?:big|small|large|high|low|much|many|few)|let\s+me\s+(?:re|check|double)|re-?(?:check|compute|calculate|do)|"
    r"actually|I\s+made|that['’]s\s+off)\b|✗|❌|✘",
    re.I,
)
_REMAINDER = re.compile(
    r"^[^\n]{0,40}?(?:\brem(?:ainder)?\b|\bleft[\s-]?over\b|\bremaining\b|\b[Rr]\.?\s*\$?\d|\bwith\s+\S+\s+(?:\S+\s+)?left\b|余)"
)
_ROUNDING = re.compile(
    r"\b(?:round\w*|nearest|whole|approximate\w*|about|roughly|remainder|left\s?over|floor|full|complete|integer|quotient)\b|≈|\\approx|⌊|⌋|⌈|余",
    re.I,
)
_ANOTHER_KIND = re.compile(
    r"^\s*[\])}$\\]*\s*(?:more|less|fewer|greater|larger|smaller|times|of|th|out|short|away|over|digits?|factors?|another|extra|"
    r"further|to\s+the|to\s+\d|or\s+(?:more|less|fewer))\b",
    re.I,
)
_ANOTHER_NUMBER = re.compile(
    r"^\s*[\])}$\\]*\s*(?:o['’]?clock|[ap]\.?m\b|in\s+base|and\s+a\s+(?:half|third|quarter)|and\s+\d+/\d+(?!\s*of)|\(?\s*\\?[pb]?mod|"
    r"or\s+\$?\d)",
    re.I,
)
_COMPOUND = re.compile(r"^\s*([A-Za-z]+)\.?(?:,?\s*|\s+and\s+)(?:a\s+half|\d+\s*([A-Za-z]+))")
_CLOCK_BEFORE = re.compile(r"\d\s*(?:[ap]\.?m\b|o['’]?clock)", re.I)
_BASE = re.compile(
    r"\bbase[\s-]+(?:\$?\d|two|three|four|five|six|seven|eight|nine|ten|twelve|sixteen|b\b)|\bbinary\b|\bhexadecimal\b|\boctal\b",
    re.I,
)
_SHAPE = re.compile(r"\b(?:triangle|height|area|parallelogram|trapezoid|prism|pyramid|perimeter)\b", re.I)
_MODULO = re.compile(r"mod(?:ulo|ular|ulus)?\b\W{0,4}(\d*)", re.I)
_LABELS = re.compile(
    r"(?:day|week|month|year|step|term|level|box|person|row|column|case|round|group|part|side|angle|figure|stage|house|"
    r"team|worker|train|car|problem|question|player|bag|store|item|option|class|grade|room|page|line|equation|leg|"
    r"night|bin|jar|tank|pile|machine|child|method|test|exam|game|lap|stop|floor|shelf|digit|position|way|example|"
    r"solution|tip|chapter|section|lesson|quiz|roll|die|spinner|urn|pool|pipe|plan|choice|try|attempt|phase|trial|"
    r"runner|student|#)",
    re.I,
)
_REDEFINED = re.compile(r"(?<![\w.])([a-z])\s*(\*|\\ast|\\star|∗|\\cdot|·|@|#|\\circ)\s*([a-z])\s*=([^.\n$]*)")


def asked_or_supposed(text: str, start: int) -> bool:
    """Whether the words just before place the equation in a question, a supposition or someone's mistake."""
    head = text[max(0, start - 120) : start]
    return bool(_ASKED.search(head[-60:]) or _IN_ERROR.search(re.split(r"[.!?;]\s|\n|\bbut\b", head)[-1]))


def taken_back(text: str, end: int) -> bool:
    """Whether the words just after say that the equation does not hold, or ask whether it does."""
    tail = text[end : end + 90]
    if re.match(r"[^.\n]{0,25}\?|\W{0,4}(?:≠|\\neq?\b)", tail):
        return True
    match = _TAKEN_BACK.search(tail)
    return match is not None and "\n\n" not in tail[: match.start()]


def has_remainder(text: str, end: int) -> bool:
    """Whether a quotient is stated with its remainder."""
    return bool(_REMAINDER.match(text[end : end + 60]))


def rounded_after(text: str, end: int) -> bool:
    """Whether the words right after say that the right side is a rounding."""
    return bool(
        re.match(
            r"[^\n.]{0,30}?\b(?:round(?:ed|ing|s)?|approximately|to\s+the\s+nearest)\b", text[end : end + 50], re.I
        )
    )


def speaks_of_rounding(text: str) -> bool:
    """Whether a passage speaks of rounding, whole numbers or remainders."""
    return bool(_ROUNDING.search(text))


def another_kind(text: str, end: int, *, said: bool) -> bool:
    """Whether what follows makes it more than its number: `1 hour 15 minutes`; if said with "is" also `3 more than`."""
    tail = text[end : end + 40]
    compound = _COMPOUND.match(tail)
    if compound and compound[1].lower() in UNITS and (compound[2] is None or compound[2].lower() in UNITS):
        return True
    return bool(_ANOTHER_NUMBER.match(tail)) or (said and bool(_ANOTHER_KIND.match(tail)))


def modulo(text: str, off: Fraction) -> bool:
    """Whether a difference vanishes modulo a number that the text names, or modulo 12 where it tells the time."""
    return any((off / modulus).denominator == 1 for modulus in _moduli(text))


@lru_cache(maxsize=8)
def _moduli(text: str) -> tuple[Fraction, ...]:
    """The moduli that a text names; one that it names without a number may be anything."""
    named = {int(m[1][:9]) if m[1] else 0 for m in _MODULO.finditer(text)}
    if 0 in named:
        return (Fraction(1),)
    return tuple(Fraction(n) for n in named - {1}) + ((Fraction(12),) if _CLOCK_BEFORE.search(text) else ())


@lru_cache(maxsize=8)
def other_arithmetic(text: str) -> bool:
    """Whether the text computes in another base or with an operation of its own."""
    if _BASE.search(text) and not _SHAPE.search(text):
        return True
    return any(
        m[1] != m[3] and re.search(rf"\b{m[1]}|{m[1]}\b", m[4]) and m[3] in m[4] for m in _REDEFINED.finditer(text)
    )


@lru_cache(maxsize=8)
def defines_operation(text: str) -> bool:
    """Whether the text uses an operation of its own, perhaps one that only the question spells out."""
    return bool(re.search(r"\b(?:definitions?|defined|(?<!order of )operations?)\b", text, re.I))


def label_before(word: str, first: Fraction, operator: str) -> bool:
    """Whether a word numbers what follows it: `Day 1`, `box 2`; not `5 * 7` after "number"."""
    numbers = first.denominator == 1 and 0 <= first <= 100 and (word[:1].isupper() or operator in ("+", "-"))
    return numbers and bool(_LABELS.fullmatch(word))
