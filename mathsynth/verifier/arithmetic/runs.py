"""Which tokens belong together: stretches that hold a relation, without the unit words between number and operator."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass

from mathsynth.verifier.arithmetic.prose import UNITS, Token

_STOP = re.compile(
    r"(?:and|or|so|is|are|was|were|then|if|when|because|since|that|which|but|to|with|for|at|on|from|as|where|while|"
    r"who|whose|she|he|they|we|you|i|it|this|there|these|those|the|let|thus|hence|therefore|giving|gives|get|"
    r"equals|after|before|have|has|had|by|into|than|not|costs|cost)",
    re.I,
)


_MARKERS = "|→⇒⇔⟹←↔✓✔✗✅❌➡➔►▶▪■●◦☑∴∵<>≤≥≠"


@dataclass(slots=True)
class Run:
    """Tokens that stand together, what stands before them, and whether an operator dangles there."""

    tokens: list[Token]
    before: Token | None
    dangling: bool = False


def with_units(tokens: list[Token]) -> list[Token]:
    """The tokens without the unit words that stand between a quantity and an operator, a relation or a bracket."""
    out: list[Token] = []
    at = 0
    while at < len(tokens):
        token = tokens[at]
        out.append(token)
        at += 1
        if token.kind not in ("num", "pct", ")", "sup"):
            continue
        stop = _unit_run(tokens, at)
        if stop == at:
            continue
        words = [t.text for t in tokens[at:stop] if t.kind == "word"]
        if token.kind == "pct" and len(out) > 1 and out[-2].number is not None:
            out[-2].number.unit = " ".join(words)
        if token.number is not None:
            token.number.unit = " ".join(words)
            for word in words[:2]:
                if word.lower() in UNITS:
                    token.number.dimension, token.number.scale = UNITS[word.lower()]
                    break
        after = tokens[stop] if stop < len(tokens) else None
        if after is not None and after.kind == "nl" and stop + 1 < len(tokens) and tokens[stop + 1].kind == "rel":
            at = stop
        if after is not None and after.kind in ("op", "rel", "weak", ")"):
            at = stop
    return out


def _unit_run(tokens: list[Token], at: int) -> int:
    """Where the unit words that begin at `at` end; `at` itself when there are none."""
    start, words = at, 0
    while at < len(tokens) and words < 6:
        token = tokens[at]
        if token.kind == "word" and not _STOP.fullmatch(token.text):
            words += 1
            at += 1
        elif token.kind == "op" and token.text == "/" and at + 1 < len(tokens) and tokens[at + 1].kind == "word":
            at += 1
        elif (
            words
            and token.kind == "op"
            and token.text == "^"
            and at + 1 < len(tokens)
            and tokens[at + 1].kind in ("num", "(")
        ):
            at += 2 if tokens[at + 1].kind == "num" else 4
        elif words and token.kind == "sup":
            at += 1
        else:
            break
    return at if words else start


def runs(tokens: list[Token]) -> Iterator[Run]:
    """The stretches of tokens that belong together and hold a relation."""
    cuts = _cut(tokens)
    start = 0
    for at in range(len(tokens) + 1):
        if at == len(tokens) or cuts[at]:
            piece = [t for t in tokens[start:at] if t.kind != "nl"]
            if any(t.kind in ("rel", "weak") for t in piece):
                before = tokens[start - 1] if start else None
                yield from _by_brackets(Run(piece, before, _dangles(tokens, start)))
            start = at + 1 if at < len(tokens) and cuts[at] == "drop" else at


def _is_sign(text: str) -> bool:
    """Whether a character may be an operator that we don't know (`5 ⋆ 3`), and no punctuation, bullet or arrow."""
    return text in "#@?" or (len(text) == 1 and unicodedata.category(text) in ("Sm", "So") and text not in _MARKERS)


def _dangles(tokens: list[Token], start: int) -> bool:
    """Whether what stands before `start` is unfinished: an unknown sign, `6 × height 4`, the quantity `2 ft 5 in`."""
    at = start - 1
    if at >= 0 and tokens[at].kind == "break" and _is_sign(tokens[at].text):
        return True
    word = tokens[at].text.lower() if at > 0 and tokens[at].kind == "word" else ""
    if word in UNITS and word != "in" and tokens[at - 1].kind == "num":
        return True
    while at >= 0 and start - at <= 4 and tokens[at].kind == "word":
        at -= 1
    return 0 <= at < start - 1 and tokens[at].kind == "op" and tokens[at + 1].space


def _cut(tokens: list[Token]) -> list[str]:
    """For each token "" (goes on), "drop" (separates) or "here" (a new run begins with it)."""
    cuts = [""] * len(tokens)
    for at, token in enumerate(tokens):
        before = tokens[at - 1] if at else None
        after = tokens[at + 1] if at + 1 < len(tokens) else None
        if token.kind in ("word", "break", "ordinal"):
            cuts[at] = "drop"
        elif token.kind == "nl":
            joins = (after is not None and after.kind in ("rel", "nl")) or (
                before is not None and before.kind in ("rel", "op")
            )
            cuts[at] = "" if joins else "drop"
        elif token.kind == "op" and (before is None or before.kind == "nl") and after is not None and after.space:
            cuts[at] = "drop" if token.text in "-*+" else ""
        elif before is not None and token.kind in ("num", "wall") and before.kind in ("num", "var", "pct"):
            together = token.kind != "num" or before.kind == "pct" or before.start == token.start
            cuts[at] = "" if together else "here"
        elif before is not None and token.kind == "num" and before.kind == ")" and token.space:
            cuts[at] = "here"
    return cuts


def _by_brackets(run: Run) -> Iterator[Run]:
    """Splits a run at brackets that have no partner in it or that hold a relation."""
    stack: list[int] = []
    cuts: set[int] = set()
    relations = [i for i, t in enumerate(run.tokens) if t.kind in ("rel", "weak")]
    for at, token in enumerate(run.tokens):
        if token.kind == "(":
            stack.append(at)
        elif token.kind == ")":
            if not stack:
                cuts.add(at)
                continue
            opened = stack.pop()
            if bisect_left(relations, at) > bisect_left(relations, opened):
                cuts |= {opened, at}
    cuts |= set(stack)
    start, before = 0, run.before
    for at in sorted(cuts):
        yield Run(run.tokens[start:at], before, run.dangling and start == 0)
        start, before = at + 1, run.tokens[at]
    yield Run(run.tokens[start:], before, run.dangling and start == 0)
