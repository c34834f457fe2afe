"""Answers that are words: choice letters, yes and no, clock times, dates, names for infinity and nothing."""

from __future__ import annotations

import re
from typing import NamedTuple

from mathsynth.verifier.spelled import number_of


class Finding(NamedTuple):
    """True, False, or None for "could not be decided"; with the rule and the reason in words."""

    equal: bool | None
    rule: str
    reason: str


_WRAP = re.compile(
    r"\\(?:text|textbf|textit|textrm|textnormal|mathrm|mathbf|mbox|mathit|textup|operatorname|textsf|emph)"
    r"\s*\{([^{}]*)\}"
)
_LETTER = re.compile(
    r"(?:(?:the\s+)?(?:option|choice|answer)\s*:?\s*)?(?:\(([A-Ja-j])\)|\[([A-J])\]|([A-J]))"
    r"(?:(?P<mark>[).:]|,|-)?\s*(?P<text>.*))?",
    re.S | re.I,
)
_GROUPS: tuple[tuple[tuple[str, ...], ...], ...] = (
    (
        ("yes", "y", "correct", "true", "t", "right", "对", "是", "正确"),
        ("no", "n", "incorrect", "false", "f", "wrong", "错", "否", "错误", "不是"),
    ),
    (("odd",), ("even",), ("neither", "neither odd nor even", "neither even nor odd"), ("both",)),
    (
        ("monday", "mon"),
        ("tuesday", "tue", "tues"),
        ("wednesday", "wed"),
        ("thursday", "thu", "thurs"),
        ("friday", "fri"),
        ("saturday", "sat"),
        ("sunday", "sun"),
    ),
    (
        ("january", "jan"),
        ("february", "feb"),
        ("march", "mar"),
        ("april", "apr"),
        ("may",),
        ("june", "jun"),
        ("july", "jul"),
        ("august", "aug"),
        ("september", "sep", "sept"),
        ("october", "oct"),
        ("november", "nov"),
        ("december", "dec"),
    ),
    (
        ("increasing", "increases", "strictly increasing"),
        ("decreasing", "decreases", "strictly decreasing"),
        ("constant",),
    ),
    (("convergent", "converges", "converge"), ("divergent", "diverges", "diverge")),
    (("always",), ("sometimes",), ("never",)),
    (("possible",), ("impossible", "not possible")),
    (("rational",), ("irrational",)),
    (("maximum", "max"), ("minimum", "min")),
    (("greater", "greater than", "larger", "more"), ("less", "less than", "smaller", "fewer"), ("same", "the same")),
    (("clockwise",), ("counterclockwise", "anticlockwise", "counter-clockwise")),
)
_MEANING = {word: (g, m) for g, group in enumerate(_GROUPS) for m, words in enumerate(group) for word in words}
_NOTHING = {
    "no solution",
    "no solutions",
    "none",
    "empty set",
    "null set",
    "there is no solution",
    "there are no solutions",
    "no such number",
    "no such numbers",
    "无解",
    "空集",
    "nothing",
    "no solution exists",
    "no solutions exist",
}
_ABSENT = {
    "does not exist": "dne",
    "dne": "dne",
    "do not exist": "dne",
    "不存在": "dne",
    "limit does not exist": "dne",
    "undefined": "undefined",
    "not defined": "undefined",
    "indeterminate": "indeterminate",
}
_INFINITE = {
    "infinity": r"\infty",
    "positive infinity": r"\infty",
    "plus infinity": r"\infty",
    "infinite": r"\infty",
    "正无穷": r"\infty",
    "无穷大": r"\infty",
    "无穷": r"\infty",
    "negative infinity": r"-\infty",
    "minus infinity": r"-\infty",
    "负无穷": r"-\infty",
}
_REALS = {
    "all real numbers",
    "all reals",
    "the real numbers",
    "real numbers",
    "all real values",
    "set of all real numbers",
    "reals",
    "all real number",
    "全体实数",
    "实数集",
    "the set of all real numbers",
    "the set of real numbers",
    "all real x",
}
_KNOWN = {*_MEANING, *_NOTHING, *_ABSENT, *_INFINITE, *_REALS}
_CLOCK = re.compile(r"(\d{1,2})\s*:\s*(\d{2})(?:\s*:\s*(\d{2}))?\s*(?:([ap])\.?\s*m\.?)?(?:\s*o'?clock)?", re.I)
_HOUR = re.compile(r"(\d{1,2})\s*(?:([ap])\.?\s*m\.?)", re.I)
_MONTHS = "January February March April May June July August September October November December".lower().split()
_MONTH = {name: i + 1 for i, month in enumerate(_MONTHS) for name in (month, month[:3], "sept" if i == 8 else month)}


def plain(cleaned: str) -> str:
    """The text without its styling commands."""
    for _ in range(3):
        unwrapped = _WRAP.sub(r" \1 ", cleaned)
        if unwrapped == cleaned:
            break
        cleaned = unwrapped
    return re.sub(r"\s+", " ", cleaned).strip()


def words_of(cleaned: str) -> str | None:
    """The words in lower case, without article and full stop; None if there is anything but words."""
    text = plain(cleaned).strip(" .!,;\"'")
    if (
        not text
        or not re.fullmatch(r"[A-Za-z\u4e00-\u9fff][A-Za-z\u4e00-\u9fff \-,'’()]*", text)
        or re.search(r"\w\(", text)
    ):
        return None
    words = re.sub(r"^(?:the|a|an)\s+", "", text.lower())
    if words in _KNOWN or not text.isascii() or " " in words.strip() or number_of(words) is not None:
        return words
    return (
        words
        if re.search(r"[eiou]", words) or len(words) > 5 or re.match(r"[A-Z][a-z]{2}", text) or len(words) == 1
        else None
    )


def rewrite(cleaned: str) -> str:
    """Names for nothing, infinity, the reals and small numbers in signs; other texts unchanged."""
    words = words_of(cleaned)
    if words is None:
        return cleaned
    if words in _NOTHING:
        return r"\emptyset"
    if words in _INFINITE:
        return _INFINITE[words]
    if words in _REALS:
        return r"\mathbb{R}"
    number = number_of(words)
    return cleaned if number is None else number


class Choice(NamedTuple):
    """A choice letter, with the option's text if it was written."""

    letter: str
    text: str


def choice_of(cleaned: str) -> Choice | None:
    """`B`, `(B)`, `B) 12`, `B. twelve`, `Option B`: the letter, and the option's text if it was written."""
    text = plain(cleaned)
    if len(text) > 300:
        return None
    match = _LETTER.fullmatch(text)
    if match is None:
        return None
    bracketed, letter = match[1] or match[2], match[1] or match[2] or match[3]
    mark, tail = match["mark"], (match["text"] or "").strip()
    if not bracketed and letter.islower():
        return None
    if tail and not ((mark and mark in ").:") or bracketed):
        return None
    if mark == "-" or (mark == ":" and not re.match(r"[A-Za-z]{2}|\S+ ", tail)) or (mark == "," and tail):
        return None
    if bracketed and tail and not re.match(r"[A-Za-z\d\\$-]", tail):
        return None
    if re.match(r"(?:or|and|nor|[,;/&])(?![A-Za-z])", tail, re.I) or re.search(r"\([A-J]\)", tail):
        return None  # several letters
    if bracketed and tail and not mark and re.fullmatch(r"[-+*/^=].*", tail):
        return None
    return Choice(letter.upper(), tail)


def compare_words(a: str, b: str) -> Finding | None:
    """Decide two cleaned texts as words; None where at least one of them is not words in this sense."""
    clock_a, clock_b = clock(a), clock(b)
    if clock_a and clock_b and (clock_a[2] or clock_b[2]):
        if clock_a[:2] == clock_b[:2] and bool(clock_a[2]) == bool(clock_b[2]):
            return Finding(True, "clock", "the same time of day")
        if clock_a[2] and clock_b[2]:
            return Finding(False, "clock", "another time of day")
        shifted = (clock_a[0] - clock_b[0]) % 43200 == 0
        return Finding(
            None if shifted else False,
            "clock",
            "morning or afternoon is not said" if shifted else "another time of day",
        )
    date_a, date_b = date(a), date(b)
    if date_a and date_b:
        same = date_a == date_b
        partly = all(x == y for x, y in zip(date_a, date_b, strict=True) if x and y)
        return Finding(
            True if same else None if partly else False,
            "date",
            "the same date" if same else "the year is missing" if partly else "another date",
        )
    if (date_a is None) != (date_b is None) and (re.search(r"\d{4}-\d\d?-\d", a) or re.search(r"\d{4}-\d\d?-\d", b)):
        return Finding(None, "date", "a date and something else")
    choice_a, choice_b = choice_of(a), choice_of(b)
    if choice_a and choice_b:
        if choice_a.letter != choice_b.letter:
            return Finding(False, "choice letter", f"{choice_b.letter} is not {choice_a.letter}")
        if not choice_a.text or not choice_b.text or plain(choice_a.text).lower() == plain(choice_b.text).lower():
            return Finding(True, "choice letter", "the same letter")
        return Finding(None, "choice letter", "the same letter with different texts")
    words_a, words_b = words_of(a), words_of(b)
    if words_a is None or words_b is None:
        for words, choice in ((words_a, choice_b), (words_b, choice_a)):
            if words is not None and choice and choice.text and len(words) > 1:
                return Finding(None, "choice letter", "a letter against a text")
        return None
    return _phrases(words_a, words_b)


def _phrases(a: str, b: str) -> Finding | None:
    if a != b and re.fullmatch(r"[a-z]{2,3}", a) and sorted(a) == sorted(b):
        return None  # perhaps letters that are multiplied
    if len(a) == 1 or len(b) == 1:
        if a == b:
            return Finding(None, "letter case", "the same letter in another case")
        return None
    if a == b:
        return Finding(True, "words", "the same words")
    kind_a, kind_b = _ABSENT.get(a), _ABSENT.get(b)
    if kind_a and kind_b:
        return Finding(True if kind_a == kind_b else None, "words", "both say that there is no value")
    if a in _NOTHING and b in _NOTHING:
        return Finding(True, "empty set", "both say that there is none")
    mean_a, mean_b = _MEANING.get(a), _MEANING.get(b)
    if mean_a and mean_b and mean_a[0] == mean_b[0]:
        return Finding(mean_a == mean_b, "words", "the same meaning" if mean_a == mean_b else "the opposite meaning")
    parts_a, parts_b = _parts(a), _parts(b)
    if len(parts_a) > 1 and parts_a == parts_b:
        return Finding(True, "words", "the same words in another order")
    if (
        len(a.split()) == 1
        and len(b.split()) == 1
        and a.isascii()
        and b.isascii()
        and a not in b
        and b not in a
        and len(a) > 2
        and len(b) > 2
    ):
        return Finding(False, "words", "another word")
    return Finding(None, "words", "different words, perhaps with the same meaning")


def _parts(words: str) -> list[str]:
    return sorted(p.strip() for p in re.split(r",|\band\b|，|和", words) if p.strip())


def clock(cleaned: str) -> tuple[int, int, str] | None:
    """(seconds since midnight, 0, "am" | "pm" | "") of a time of day."""
    text = plain(cleaned).strip()
    match = _CLOCK.fullmatch(text) or _CLOCK.fullmatch(text + ".")
    if match:
        hour, minute, second, half = int(match[1]), int(match[2]), int(match[3] or 0), (match[4] or "").lower()
    elif match := _HOUR.fullmatch(text) or _HOUR.fullmatch(text + "."):
        hour, minute, second, half = int(match[1]), 0, 0, match[2].lower()
    else:
        return None
    if hour > 24 or minute > 59 or second > 59 or (half and not 1 <= hour <= 12):
        return None
    if half:
        hour = hour % 12 + (12 if half == "p" else 0)
    return hour * 3600 + minute * 60 + second, 0, half or ("pm" if hour > 12 else "")


def date(cleaned: str) -> tuple[int, int, int] | None:
    """(year or 0, month, day) of a date with the month's name or in ISO order; day/month/year is left alone."""
    text = plain(cleaned).strip().lower()
    if match := re.fullmatch(r"(\d{4})-(\d{1,2})-(\d{1,2})", text):
        year, month, day = int(match[1]), int(match[2]), int(match[3])
    elif match := re.fullmatch(r"(?:on )?([a-z]+)\.? (\d{1,2})(?:st|nd|rd|th)?(?:,? (\d{4}))?", text):
        year, month, day = int(match[3] or 0), _MONTH.get(match[1], 0), int(match[2])
    elif match := re.fullmatch(r"(\d{1,2})(?:st|nd|rd|th)?(?: of)? ([a-z]+)\.?(?:,? (\d{4}))?", text):
        year, month, day = int(match[3] or 0), _MONTH.get(match[2], 0), int(match[1])
    elif match := re.fullmatch(r"(\d{4}) ?年 ?(\d{1,2}) ?月 ?(\d{1,2}) ?日", text):
        year, month, day = int(match[1]), int(match[2]), int(match[3])
    else:
        return None
    return (year, month, day) if 1 <= month <= 12 and 1 <= day <= 31 else None
