"""A cleaned answer to tokens. Linear, no recursion, nothing is dropped: what is not known raises `Unparsed`."""

from __future__ import annotations

import re
from typing import NamedTuple


class Unparsed(Exception):
    """The text is not mathematics that this grammar knows; it may still be compared as text."""


class Token(NamedTuple):
    """kind: num rec let word cmd text roman begin end op money; `spaced`: white space stood before it."""

    kind: str
    value: str
    spaced: bool


_TEXT = {"text", "textbf", "textit", "textrm", "textnormal", "mbox", "textup", "textsf", "texttt", "hbox", "emph"}
_ROMAN = {"mathrm", "mathbf", "operatorname", "mathit", "mathsf", "boldsymbol", "bm", "mathcal", "mathscr", "mathfrak"}
_ALIAS = {
    "dfrac": "frac", "tfrac": "frac", "sfrac": "frac", "nicefrac": "frac", "rightarrow": "to",
    "cfrac": "frac", "leq": "le", "geq": "ge", "neq": "ne", "leqslant": "le",
    "geqslant": "ge", "lt": "<", "gt": ">", "varnothing": "emptyset", "dbinom": "binom", "tbinom": "binom",
    "lbrace": "{", "rbrace": "}", "lvert": "|", "rvert": "|", "vert": "|", "mid": "mid", "lVert": "||",
    "rVert": "||", "ast": "*", "land": "and", "lor": "or", "wedge": "and", "vee": "or", "lbrack": "[",
    "rbrack": "]", "lparen": "(", "rparen": ")", "varepsilon": "epsilon", "varphi": "phi", "vartheta": "theta",
    "cdotp": "cdot", "centerdot": "cdot", "bullet": "cdot", "dots": "ldots", "cdots": "ldots", "dotsc": "ldots",
    "dotsb": "ldots", "tg": "tan", "ctg": "cot", "arctg": "arctan", "cosec": "csc", "degree": "degree",
    "backslash": "setminus", "smallsetminus": "setminus", "colon": ":", "plusmn": "pm", "ne": "ne", "prime": "'",
    "coloneqq": "=", "equiv": "equiv", "bigcup": "cup", "bigcap": "cap", "infin": "infty", "sim": "sim",
}  # fmt: skip
_SKIP = {"rm", "bf", "it", "left", "right", "quad", "qquad", "hline", "displaystyle", "nonumber", "ensuremath"}
_SCAN = re.compile(
    r"""(?P<ws>\s+)
    |(?P<rec>\d*\.\d*\\(?:overline|bar)\s*(?:\{\s*\d+\s*\}|\d)|\d*\.\d*\\dot\s*\{?\s*\d\s*\}?(?:\d*\\dot\s*\{?\s*\d\s*\}?)?
       |\d*\.\d*\(\d+\)(?![\d^!])|\d*\.\d{3,}\s*(?:\.\.\.|\\[lc]?dots(?![A-Za-z])))
    |(?P<code>0[xX][0-9A-Fa-f]|0[bB][01]|0[oO][0-7])
    |(?P<num>(?:\d+\.?\d*|\.\d+)[eE][+-]?\d+(?![A-Za-z\d.])|\d+\.\d+|\d+\.(?![.\d])|\.\d+|\d+)
    |(?P<begin>\\begin\s*\{\s*(?:array|tabular)\s*\}\s*(?:\[[^\]]*\])?\s*\{[^{}]*\}|\\begin\s*\{[A-Za-z]+\*?\})
    |(?P<end>\\end\s*\{[A-Za-z]+\*?\})
    |(?P<cmd>\\[A-Za-z]+)
    |(?P<row>\\\\(?:\s*\[[^\[\]]*\])?)
    |(?P<esc>\\[{}%$&\#_|])
    |(?P<word>[A-Za-z]+)
    |(?P<han>[\u4e00-\u9fff]+)
    |(?P<op><=|>=|!=|≠|==|\*\*|->|=>|\|\||[-+*/^_=<>(),;:!'|&~%{}\[\]"])
    |(?P<money>[€£¥₹₩₽¢])""",
    re.X,
)  # fmt: skip


def tokens(text: str) -> list[Token]:
    """Every token of a cleaned text, in order."""
    out: list[Token] = []
    i, spaced, size = 0, False, len(text)
    while i < size:
        match = _SCAN.match(text, i)
        if match is None:
            raise Unparsed(f"unknown character {text[i]!r}")
        kind, value, i = match.lastgroup or "", match[0], match.end()
        if kind == "ws":
            spaced = True
            continue
        if kind == "cmd":
            name = value[1:]
            if name in _SKIP:
                spaced = True
                continue
            if name in _TEXT or name in _ROMAN:
                content, i = _group(text, i)
                _styled(out, name in _ROMAN, content, spaced)
                spaced = False
                continue
            if name == "mathbb":
                content, i = _group(text, i)
                out.append(Token("cmd", f"mathbb {content.strip()}", spaced))
                spaced = False
                continue
            name = _ALIAS.get(name, name)
            out.append(Token("op" if not name.isalpha() else "cmd", name, spaced))
        elif kind == "code":
            raise Unparsed("a number in a program's base")
        elif kind == "word":
            out.append(Token("let" if len(value) == 1 else "word", value, spaced))
        elif kind == "han":
            out.append(Token("text", value, spaced))
        elif kind == "begin":
            out.append(Token("begin", re.split(r"[{}]", value)[1].strip(), spaced))
        elif kind == "end":
            out.append(Token("end", re.split(r"[{}]", value)[1].strip(), spaced))
        elif kind == "row":
            out.append(Token("op", "\\\\", spaced))
        elif kind == "esc":
            char = value[1]
            out.append(Token("money", "$", spaced) if char == "$" else Token("op", _ESCAPED.get(char, value), spaced))
        elif kind == "op":
            out.append(Token("op", _PLAIN.get(value, value), spaced))
        else:
            out.append(Token(kind, value, spaced))
        spaced = False
    return out


_ESCAPED = {"%": "%", "{": "{{", "}": "}}", "|": "||", "&": "&", "#": "#", "_": "_"}
_PLAIN = {"**": "^", "==": "=", "≠": "!="}


def _group(text: str, i: int) -> tuple[str, int]:
    """The raw text of the brace group (or the one character) that starts at i, and where it ends."""
    while i < len(text) and text[i] == " ":
        i += 1
    if i >= len(text):
        raise Unparsed("a command without its argument")
    if text[i] != "{":
        return text[i], i + 1
    depth, start = 0, i + 1
    while i < len(text):
        if text[i] == "\\":
            i += 2
            continue
        if text[i] == "{":
            depth += 1
        elif text[i] == "}":
            depth -= 1
            if depth == 0:
                return text[start:i], i + 1
        i += 1
    raise Unparsed("a brace that is never closed")


def _styled(out: list[Token], roman: bool, content: str, spaced: bool) -> None:
    """Upright text: a number or formula in it is read as one, a letter or word stays marked as upright."""
    bare = re.sub(r"[~\s]+|\\[,;: ]", " ", content)
    word = bare.strip()
    if not word:
        return
    spaced = spaced or bare[0] == " "
    if re.fullmatch(r"[A-Za-z]", word):
        out.append(Token("roman", word, spaced))
    elif re.fullmatch(r"[\d.,/%:;()+\-= ]+", word) or (roman and re.search(r"[\\^_{]", word)):
        first, *rest = tokens(word)
        out.extend([Token(first.kind, first.value, spaced), *rest])
    elif re.match(r"-?\d|[$€£]\s?\d", word):
        first, *rest = tokens(word)  # \\text{5 cm}
        out.extend([Token(first.kind, first.value, spaced), *rest])
    elif roman and word.isalpha() and word.isascii():
        out.append(Token("word" if word.isalpha() else "text", word, spaced))
    else:
        out.append(Token("text", bare, spaced))
