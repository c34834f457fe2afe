"""Calculations said verb or noun first: "the product of 12 and 15 is 180", "subtracting 38 from 95 gives 57".

Gives tokens in the order of a written equation, for the same judgement; what is written in order is not read here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from mathsynth.verifier.arithmetic.prose import NUMBER_WORDS, Token, lex

_WORDS = "|".join(sorted(NUMBER_WORDS, key=len, reverse=True))
_NUMBER = rf"\\?\$?(?:\d+(?:,\d{3})*(?:\.\d+)?(?![\d/^]|\.\d|,\d)|(?:{_WORDS})\b)%?"
_UNIT = r"(?:\s+(?!(?:and|or|to|from|by|with|is|are|gives|we)\b)[a-z]+)?"
_RESULT = (
    r"\$?,?\s+(?:which\s+|that\s+|this\s+|it\s+)?(?:is|are|equals|is\s+equal\s+to|gives|gives\s+us|yields|leaves|makes|=|we\s+get|we\s+have|"
    r"we\s+find|we\s+obtain|you\s+get|to\s+get|results\s+in|comes\s+to)\s+\$?"
)
_A, _B, _C = (rf"(?P<{name}>{_NUMBER})" for name in "abc")
_NOUNS = {"sum": "+", "total": "+", "product": "*", "difference": "-", "quotient": "/"}
_VERBS = {"add": "+", "subtract": "-", "multipl": "*", "divid": "/", "tak": "-"}
_NOUN = re.compile(
    rf"\b(?:the\s+)(?P<noun>sum|total|product|difference|quotient)\s+(?:of|between)\s+\$?{_A}{_UNIT}\$?\s+and\s+\$?{_B}{_UNIT}{_RESULT}{_C}",
    re.I,
)
_VERB = re.compile(
    rf"\b(?P<verb>add|subtract|multipl|divid|tak)(?:e|y|ing|ying)?\s+(?:the\s+)?\$?{_A}{_UNIT}\$?\s+(?P<link>to|from|by|with|and|away\s+from)\s+"
    rf"(?:the\s+)?\$?{_B}{_UNIT}{_RESULT}{_C}",
    re.I,
)
_MORE = re.compile(
    rf"(?:^|[.,;:(]\s*|\b(?:and|so|then|since|because|that)\s+)\$?{_A}{_UNIT}\s+(?P<way>more|less|fewer)\s+than\s+\$?{_B}{_UNIT}\s+"
    rf"(?:is|equals|gives|makes|=)\s+\$?{_C}",
    re.I,
)
_PART_OF_MORE = re.compile(
    r"(?:\b(?:times|half|twice|double|triple|of|by|than|to|from|minus|plus)|(?<!,)\s(?:and|then)|[-+*/×÷^=(])\s*(?:the\s+)?$",
    re.I,
)
_GOES_ON = re.compile(r"\s*\$?\s*(?:[-+*/×÷^:%]|\\(?:times|cdot|div|frac)|plus|minus|times|divided|and\s+\d+/)")


def spoken(text: str) -> Iterator[tuple[list[Token], list[Token], int, int]]:
    """(left tokens, right tokens, start, end) of each calculation that is said this way."""
    for pattern in (_NOUN, _VERB, _MORE):
        for match in pattern.finditer(text):
            parts = match.groupdict()
            if "noun" in parts:
                sign, swap = _NOUNS[parts["noun"].lower()], False
            elif "verb" in parts:
                sign = _VERBS[parts["verb"].lower()]
                link = parts["link"].lower()
                if (sign == "-") != link.endswith("from") or (sign == "/" and link != "by"):
                    continue
                swap = sign == "-"
            else:
                sign, swap = ("+" if parts["way"].lower() == "more" else "-"), parts["way"].lower() != "more"
            if _GOES_ON.match(text, match.end()) or _PART_OF_MORE.search(
                text[max(0, match.start() - 20) : match.start()]
            ):
                continue
            first, second, result = lex(parts["a"]), lex(parts["b"]), lex(parts["c"])
            if swap:
                first, second = second, first
            operator = Token("op", sign, match.start(), match.start())
            yield [*first, operator, *second], result, match.start(), match.end()
