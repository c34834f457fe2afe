"""The value that a sentence states: after its "is", without its side clauses, with its list and its unit."""

from __future__ import annotations

import re

LEAD_IN = re.compile(
    r"(?:(?:so|thus|hence|therefore|then|finally|simply|just|also|indeed|both|we\s+(?:get|have|find|obtain)|∴)\b[,:]?|∴|⇒)\s*",
    re.I,
)
NUMBER = re.compile(r"[-−]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+|\d)(?:\s*/\s*\d+(?:\.\d+)?)?\s*%?|[-−]?\d+")
COPULA = re.compile(
    r"\b(?:is|are|was|were|equals?|becomes?|gives?|get|obtain|be|=>)\b\s*:?\s*|[是为即]|等于|(?<![<>!=\\])=(?!=)"
)
BREAK = re.compile(
    r"(?:(?<![A-Za-z]\.[A-Za-z])(?<!\bsq)(?<!\bcu)(?<!\.)\.(?!\.)|(?<=[A-Za-z]{2})!|\?)(?=\s|$|\*\*|</)|[。！？]|\n"
)
_CLAUSE = re.compile(
    r",\s+(?=(?:which|since|because|as|so|it|this|that|in|the|not|but|where|when|if|with|for|giving|making"
    r"|and (?:it|the|not|so))\b)|\s+(?:because|since|which)\s|[，；](?=[^\d\s$\\(])"
    r"|\s+\((?=(?:since|because|as|or|approximately|rounded)\b)",
    re.I,
)
MATH = re.compile(r"\$\$(.+?)\$\$|\$(?!\s*\d[\d,]*\s+\w+\s*$)(.+?)(?<!\\)\$|\\\((.+?)\\\)|\\\[(.+?)\\\]", re.S)


def sentence(text: str) -> str:
    """The first sentence; a full stop inside $...$ or a number does not end it."""
    masked = MATH.sub(lambda m: "x" * len(m[0]), text[:4000])
    match = BREAK.search(masked)
    return text[: match.start()] if match else text[: len(masked)]


def first_value(rest: str, *, listed: bool = False) -> str | None:
    """The value that stands at the head of the sentence after a cue, or after its last "is"; perhaps a list's items."""
    rest = rest.lstrip()
    if listed and (items := _bullets(rest)):
        return ", ".join(items) if len(items) > 1 else first_value(items[0])
    if bold := re.match(r"\*\*\s*(.+?)\s*\*\*", rest, re.S):
        letter = re.fullmatch(r"\(?[A-HJ][).]?", bold[1])
        alone = (
            letter and not re.match(r"[\w^]", rest[bold.end() :]) and sentence(rest).count("**") == 2
        )  # **B** - 12 is a choice
        return _narrow(bold[1]) if alone or not goes_on(rest[bold.end() :], bold[1]) else _stated(rest)
    if (math := MATH.match(rest)) is not None:
        return _maths_list(rest, math)
    stated = bare(sentence(rest))
    return _narrow(stated) if stated else None


# what makes a bold or $...$ value at the head of a sentence the first part of a longer one
_NEXT = r"(?=[-−\d$\\(.√π½⅓⅔¼¾]|\*\*\S|[A-Za-z](?![A-Za-z]))"
_GOES_ON = re.compile(
    rf"[^\S\n]*(?:[-−+*/^<>×·÷±≤≥≠⋅]|\*\*|\\(?:times|cdot|div|pm|mp|le|ge|ne|cup|cap)(?![A-Za-z]))[^\S\n]*{_NEXT}"
    r"|_(?=[\w{])|[\d√π^½⅓⅔¼¾⁰¹²³⁴-⁹⁻ⁿ十百千万亿兆]|[,.]\d|<su[pb]>|\((?![^)\n]*(?:[A-Za-z]{2}|[\u4e00-\u9fff]))"
    r"|[^\S\n]*(?:[,、]?\s*(?:and|or|to|和|或|至|到)|[,、])\s*(?:\*\*(?=\S)|\$)|\s*(?:and|or|to)\s+-?\d"
)
_FACTOR = re.compile(r"[A-Za-z]|[^\S\n]+[A-Za-z](?=\s*(?:[-+*/^=.,;!?]|$))")
_EQUALS = re.compile(rf"[^\S\n]*=[^\S\n]*{_NEXT}")


def goes_on(rest: str, head: str) -> bool:
    """Whether the formula whose first part is this marked head goes on after its closing mark: `**2**/3`, `$x$ = 5`."""
    if _GOES_ON.match(rest) or (not re.search(r"\d", head) and _EQUALS.match(rest)):
        return True
    return not head.startswith("$") and _FACTOR.match(rest) is not None


def _stated(rest: str) -> str | None:
    """The first sentence up to a side clause, with its marks."""
    stated = sentence(rest)
    clause = _CLAUSE.search(MATH.sub(lambda m: "\x00" * len(m[0]), stated))
    return bare(stated[: clause.start()] if clause else stated) or None


def bare(text: str) -> str:
    """Without stars around it, unless there are more inside: those of **2**3 are no pair."""
    text = text.strip()
    plain = text.strip("*").strip()
    return text if "**" in plain else plain


_BULLET = re.compile(r"[ \t]*(?:[-*+•]|\d{1,2}[.)])[ \t]+(\S[^\n]*)(?:\n+|$)")


def _bullets(rest: str) -> list[str]:
    """The items of the list that begins here, each on its line; `- 5` there is a 5."""
    items: list[str] = []
    at = 0
    while match := _BULLET.match(rest, at):
        items.append(match[1].strip())
        at = match.end()
    return items


_GLUE_BEFORE = re.compile(r"[A-Za-z√π^\\_]+$")
_GLUE_AFTER = re.compile(
    r"(?:!(?=\s*\w)|[A-Za-z^√π⁰¹²³⁴-⁹⁻ⁿ½⅓⅔¼¾(){}\\_])*"
    r"(?:(?!千[米克瓦卡焦])[十百千万亿兆]+|\s?(?:dozen|hundred|thousand|million|billion|trillion)\b)?"
)


def numbers(text: str) -> list[str]:
    """The numbers in a text, each with what is glued to it: `5!`, `10⁶`, `5千` and `5 million` are no 5 and no 10."""
    found = []
    for number in NUMBER.finditer(text):
        value = number[0].rstrip()
        before, after = (
            _GLUE_BEFORE.search(text, max(0, number.start() - 40), number.start()),
            _GLUE_AFTER.match(text, number.start() + len(value)),
        )
        found.append((before[0] if before else "") + value + (after[0] if after else ""))
    return found


def _maths_list(rest: str, math: re.Match[str]) -> str:
    """`$a$, $b$ and $c$` as one list; words like a unit that follow the last formula stay with it."""
    parts, end = [inner(math)], math.end()
    while True:
        gap = re.match(r"\s*(?:,\s*)?(?:and|or|,|和|或|、)\s*", rest[end:])
        more = MATH.match(rest, end + gap.end()) if gap else None
        if more is None:
            break
        parts.append(inner(more))
        end = more.end()
    if goes_on(rest[end:], "$" + parts[-1]):
        return _stated(rest) or parts[0]
    unit = re.match(r"\s*([A-Za-z][A-Za-z/ ]{0,18}(?:\^?\d)?)\s*(?=[.,;!]|$)", sentence(rest[end:]))
    tail = rf"\text{{ {unit[1].strip()}}}" if unit and len(parts) == 1 and not _is_prose(unit[1]) else ""
    return ", ".join(parts) + tail


def _is_prose(words: str) -> bool:
    return re.search(r"\b(?:as|is|which|since|by|from|when|for|and|or|because|so|it|if|at|in)\b", words) is not None


def inner(math: re.Match[str]) -> str:
    """What stands between the dollars."""
    return next(group for group in math.groups() if group is not None).strip()


_JOIN = r"[,、]?\s*(?:and|or|和|或)\s*"


_GLUED = re.compile(r"(?:[\d√^/*×·⋅−+±-]|(?:[\d)$*]|\\\))\s*[-+*/×·−]\s+)$")


def last_marked(text: str, mark: re.Pattern[str]) -> tuple[str, re.Match[str]] | None:
    """The last value in such marks, with those that "and" joins to it and the formula it ends; and its match."""
    found = list(mark.finditer(text))
    if not found:
        return None
    last = first = len(found) - 1
    gap = _JOIN
    while first and re.fullmatch(rf"\s*{gap}", text[found[first - 1].end() : found[first].start()]):
        first, gap = first - 1, rf"(?:{_JOIN}|,\s*)"
    before = text[: found[first].start()]
    if _GLUED.search(before):  # 10 - **6** is no 6
        start = max((m.end() for m in COPULA.finditer(before)), default=0)
        return text[start:], found[last]
    return ", ".join(inner(m) for m in found[first : last + 1]), found[last]


def _narrow(sentence: str) -> str | None:
    """Of a sentence the part that is the value: before a "which ..." clause, after the last "is"."""
    masked = MATH.sub(lambda m: "\x00" * len(m[0]), sentence)
    if clause := _CLAUSE.search(masked):
        sentence, masked = sentence[: clause.start()], masked[: clause.start()]
    if (math := MATH.fullmatch(sentence.strip())) is not None:
        return inner(math)
    words = re.findall(r"[A-Za-z]{2,}|[\u4e00-\u9fff]", masked)
    copulas = [m for m in COPULA.finditer(masked) if m[0].strip(" :") != "="]
    if re.search(r"[\u4e00-\u9fff]{2}", masked) and not copulas and len(found := numbers(masked)) == 1:
        return found[0]
    if copulas and words:
        rest = sentence[copulas[-1].end() :].strip()
        if not rest:
            return sentence.strip() if sentence.strip() == copulas[-1][0].strip() else None
        if re.match(r"not\b", rest):
            return None
        if (math := MATH.match(rest)) is not None:
            return _maths_list(rest, math)
        return LEAD_IN.sub("", bare(rest), count=1) if LEAD_IN.match(rest) else bare(rest)
    plain = bare(sentence)
    return (plain[match.end() :] if (match := LEAD_IN.match(plain)) else plain) or None
