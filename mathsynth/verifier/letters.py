"""Letters and words in formulas: variables with their marks, calls, products of letters, units left alone."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mathsynth.verifier.tokens import Token, Unparsed
from mathsynth.verifier.tree import E, I, Node, num, walk
from mathsynth.verifier.units import known_unit
from mathsynth.verifier.vocabulary import CALLED, FUNCTIONS, GREEK, PLAIN, RENAMED, known_word

if TYPE_CHECKING:
    from mathsynth.verifier.grammar import Grammar


_RUN_ON = re.compile(r"[A-Za-z]?(?:ln|lg|tan|abs|sqrt|cbrt)[A-Za-z]")  # lnx is no product of l, n and x
_INDEX_WORDS = frozenset(
    (
        "max",
        "min",
        "in",
        "out",
        "avg",
        "total",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
        "sixteen",
    )
)


def is_symbol(p: Grammar, token: Token) -> bool:
    """Whether a token is a variable: a letter or a Greek letter."""
    return token.kind == "let" or (token.kind == "cmd" and token.value in GREEK)


def unit_follows(p: Grammar) -> bool:
    """Whether the letter here ends the item right after a bare number: `3 m`, but not `3 m + 1`."""
    after = p.peek(1)
    before = p.found[p.i - 1]
    ends = after is None or after.value in (",", ";", "/", "^", "cdot") or after.kind in ("text", "roman")
    return ends and (before.kind in ("num", "rec") or before.value == "}") and only_numbers_before(p)


def only_numbers_before(p: Grammar) -> bool:
    """Whether the item so far holds nothing but numbers and signs."""
    for token in reversed(p.found[: p.i]):
        if token.value in (",", ";", "="):
            return True
        if token.kind in ("let", "word", "roman", "text") and token.value not in ("e", "i"):
            return False
    return True


def word_is_maths(p: Grammar, word: str) -> bool:
    """Whether a run of letters is a function, a constant or a product of variables, and no English or unit."""
    if known_word(word):
        return True
    if len(word) == 1:
        return True
    before = p.found[p.i - 1] if p.i else None
    if before is not None and p.depth == 0 and known_unit(word) is not None and only_numbers_before(p):
        return before.kind not in ("num", "rec") and not p.found[p.i].spaced
    if word.lower() in ("and", "or", "if", "for", "is", "in", "to", "of", "percent"):
        return False
    if _RUN_ON.match(word):
        return False
    if len(word) >= 3 and (re.search("[eiouEIOU]", word) or len(word) > 5) and not word.isupper():
        return False
    return not (p.i and p.found[p.i - 1].kind == "num" and p.found[p.i].spaced and len(word) >= 3)


def letter(p: Grammar) -> Node:
    """One letter: e, i, a variable, a call."""
    token = p.next()
    if p.at("_") or (p.at("'") and token.kind == "let"):
        p.i -= 1
        return called(p, symbol(p), token)
    if token.value == "e":
        return E
    if token.value == "i":
        return I
    return called(p, ("sym", token.value), token)


def symbol(p: Grammar) -> Node:
    """A letter with its subscripts and primes as one name."""
    name = p.next().value
    while p.at("_", "'"):
        if p.next().value == "'":
            name += "'"
        else:
            name += "_" + raw_argument(p)
    return ("sym", name)


def called(p: Grammar, name: Node, token: Token) -> Node:
    """f(x) is a call, a(x + 1) a product; C(n, k) counts."""
    if not p.at("("):
        if token.value == "C" and "_" in name[1] and p.at("^") and name[1][2:].isdigit():
            after = p.peek(1)
            if (after and after.kind == "num") or (
                after and after.value == "{" and (t := p.peek(2)) and t.kind == "num"
            ):
                p.i += 1
                k = p.exponent()
                if k[0] == "num" and k[1] <= int(name[1][2:]):
                    return ("call", "binom", (num(int(name[1][2:])), k))
                raise Unparsed("an unclear C with two indices")
        return name
    head = name[1].rstrip("'").split("_")[0]
    if head in CALLED:
        return ("call", name[1], arguments(p))
    if head == "C" and name[1] == "C":
        at = p.i
        args = arguments(p)
        if len(args) == 2:
            return ("call", "binom", args)
        p.i = at
    return name


def arguments(p: Grammar) -> tuple[Node, ...]:
    """The arguments in round brackets."""
    p.expect("(")
    bars, p.bars = p.bars, 0
    p.depth += 1
    args = [p.sum()]
    while p.at(",", ";"):
        p.i += 1
        args.append(p.sum())
    p.depth -= 1
    p.bars = bars
    p.expect(")")
    return tuple(args)


def word(p: Grammar, token: Token) -> Node:
    """A plain word: function, constant, or letters that are multiplied."""
    word = token.value
    if word in PLAIN:
        return PLAIN[word]
    if word in FUNCTIONS or word in RENAMED:
        return p.function(word)
    if word in GREEK:
        p.i -= 1
        return symbol(p)
    p.i -= 1
    if not word_is_maths(p, word):
        raise Unparsed(f"words: {word!r}")
    p.i += 1
    if word.isupper() and len(word) > 2:
        return ("sym", word)
    if p.at("_", "'", "^") or (p.at("(") and word[-1] in CALLED):
        p.i -= 1  # the mark belongs to the last letter only
        p.split(len(word) - 1)
        front = p.next().value
        last = p.power()
        return ("mul", (*(_letter(c) for c in front), last))
    return ("mul", tuple(_letter(c) for c in word))


def _letter(char: str) -> Node:
    return E if char == "e" else I if char == "i" else ("sym", char)


def decorated(p: Grammar, mark: str) -> Node:
    """`\\vec{a}`, `\\angle ABC`: one name; `\\overline{z}` of a letter is the conjugate's name."""
    if mark in ("angle", "triangle", "odot", "measuredangle") and not p.at("{"):
        token = p.next()
        if token.kind not in ("let", "word", "num", "roman"):
            raise Unparsed("a mark on nothing")
        name = token.value
        while p.at("_", "'"):
            name += p.next().value + (raw_argument(p) if p.found[p.i - 1].value == "_" else "")
        return ("sym", f"{mark} {name}")
    if mark in ("overline", "bar") and p.at("{"):
        at = p.i
        try:
            inner = p.group()
        except Unparsed:
            inner = None
        if inner is not None and any(part == I for part in walk(inner)):
            return ("call", "conj", (inner,))
        p.i = at
    return ("sym", f"{mark} {raw_argument(p)}")


def raw_argument(p: Grammar) -> str:
    """A subscript as text: `12`, `n+1`, `\\text{max}`."""
    token = p.next()
    if token.value != "{":
        if token.kind == "op":
            raise Unparsed("an empty subscript")
        if token.kind == "num" and len(token.value) > 1 and p.found[p.i - 3].kind == "let":
            raise Unparsed("an unclear subscript")
        if token.kind == "word" and not known_word(token.value) and token.value not in _INDEX_WORDS:
            p.i -= 1
            p.split(1)
            return p.next().value  # a_nb is a_n b
        return token.value.strip()
    parts: list[str] = []
    level = 1
    while True:
        token = p.next()
        level += (token.value == "{") - (token.value == "}")
        if level == 0:
            return "".join(parts).strip()
        parts.append(token.value.strip())
