"""Text to one notation: Unicode to LaTeX, wrappers off, spaces that mean nothing off. Meaning is never changed."""

from __future__ import annotations

import html
import re
import unicodedata

_GREEK = {
    "α": "alpha",
    "β": "beta",
    "γ": "gamma",
    "δ": "delta",
    "ε": "epsilon",
    "ζ": "zeta",
    "η": "eta",
    "θ": "theta",
    "ϑ": "theta",
    "ι": "iota",
    "κ": "kappa",
    "λ": "lambda",
    "μ": "mu",
    "ν": "nu",
    "ξ": "xi",
    "π": "pi",
    "ρ": "rho",
    "σ": "sigma",
    "τ": "tau",
    "υ": "upsilon",
    "φ": "phi",
    "ϕ": "phi",
    "χ": "chi",
    "ψ": "psi",
    "ω": "omega",
    "Γ": "Gamma",
    "Δ": "Delta",
    "Θ": "Theta",
    "Λ": "Lambda",
    "Ξ": "Xi",
    "Π": "Pi",
    "Σ": "Sigma",
    "Φ": "Phi",
    "Ψ": "Psi",
    "Ω": "Omega",
}
_SIGNS = {
    "≤": r"\le ",
    "≦": r"\le ",
    "⩽": r"\le ",
    "≥": r"\ge ",
    "≧": r"\ge ",
    "⩾": r"\ge ",
    "≠": r"\ne ",
    "∞": r"\infty ",
    "∪": r"\cup ",
    "∩": r"\cap ",
    "∅": r"\emptyset ",
    "∈": r"\in ",
    "×": r"\times ",
    "÷": r"\div ",
    "·": r"\cdot ",
    "⋅": r"\cdot ",
    "∙": r"\cdot ",
    "∗": "*",
    "−": "-",
    "–": "-",
    "—": "-",
    "‐": "-",
    "‑": "-",
    "±": r"\pm ",
    "∓": r"\mp ",
    "°": r"^\circ ",
    "º": r"^\circ ",
    "˚": r"^\circ ",
    "℃": r"^\circ\text{C}",
    "℉": r"^\circ\text{F}",
    "√": r"\usqrt ",
    "∛": r"\ucbrt ",
    "′": "'",
    "’": "'",
    "‘": "'",
    "“": '"',
    "”": '"',
    "…": r"\ldots ",
    "⋯": r"\ldots ",
    "ℝ": r"\mathbb{R}",
    "ℕ": r"\mathbb{N}",
    "ℤ": r"\mathbb{Z}",
    "ℚ": r"\mathbb{Q}",
    "ℂ": r"\mathbb{C}",
    "∖": r"\setminus ",
    "∨": r"\lor ",
    "∧": r"\land ",
    "≈": r"\approx ",
    "∑": r"\sum ",
    "∏": r"\prod ",
    "∫": r"\int ",
    "→": r"\to ",
    "⟨": r"\langle ",
    "⟩": r"\rangle ",
    "〈": r"\langle ",
    "〉": r"\rangle ",
    "⌊": r"\lfloor ",
    "⌋": r"\rfloor ",
    "⌈": r"\lceil ",
    "⌉": r"\rceil ",
    "∠": r"\angle ",
    "△": r"\triangle ",
    "∀": r"\forall ",
    "∣": "|",
    "ⅈ": "i",
    "ℯ": "e",
    "。": ". ",
    "、": ", ",
    "，": ", ",
    "；": "; ",
    "：": ":",
    "（": "(",
    "）": ")",
    "【": "[",
    "】": "]",
    "％": "%",
    "∶": ":",
    "¥": "¥",
    "￥": "¥",
    "＜": "<",
    "＞": ">",
    "＝": "=",
    "＋": "+",
    "\u00a0": " ",
    "\u202f": " ",
    "\u2009": " ",
    "\u3000": " ",
    "µ": "μ",
    "⁄": "/",
    "∕": "/",
    "∘": r"\circ ",
    "⊂": r"\subset ",
    "∥": r"\parallel ",
    "⊥": r"\perp ",
}
_RAISED = "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁽⁾ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖʳˢᵗᵘᵛʷˣʸᶻᴬᴮᴰᴱᴳᴴᴵᴶᴷᴸᴹᴺᴼᴾᴿᵀᵁⱽᵂᵝᵞᵟᵠᵡªꟲꟳ"
_LOWERED = "₀₁₂₃₄₅₆₇₈₉₊₋₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓᵦᵧᵨᵩᵪ"
_SUPER, _SUB = ({c: unicodedata.normalize("NFKC", c).replace("−", "-") for c in row} for row in (_RAISED, _LOWERED))
_FRACTIONS = {
    "½": (1, 2),
    "⅓": (1, 3),
    "⅔": (2, 3),
    "¼": (1, 4),
    "¾": (3, 4),
    "⅕": (1, 5),
    "⅖": (2, 5),
    "⅗": (3, 5),
    "⅘": (4, 5),
    "⅙": (1, 6),
    "⅚": (5, 6),
    "⅐": (1, 7),
    "⅛": (1, 8),
    "⅜": (3, 8),
    "⅝": (5, 8),
    "⅞": (7, 8),
    "⅑": (1, 9),
    "⅒": (1, 10),
}
# Invisible characters that carry no meaning. The invisible comma U+2063 and plus U+2064 have one and stay, and so do
# the bidi overrides U+202A..202E and U+2066..2069, which change what a reader sees: a text with one of them must
# never be read as a number.
_INVISIBLE = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u200e\u200f\u2060\ufeff\u00ad"))
_TABLE: dict[int, str | None] = {
    **{ord(c): f"\\{name} " for c, name in _GREEK.items()},
    **{ord(c): sign for c, sign in _SIGNS.items()},
    **{ord(c): rf"\frac{{{a}}}{{{b}}}" for c, (a, b) in _FRACTIONS.items()},
    **_INVISIBLE,
    0x2061: " ",  # a function is applied: sin x
    0x2062: "*",
}
# ① is a label: beside another digit it is no digit, as NFKC would have it
_ENCLOSED = re.compile("([①-⒛⓪㉈-㉟㊀-㊉㊱-㊿])")
# 12m², 3.5 cm³ at the end of a text: the raised digit makes it prose, and the letter a unit
_METRES = re.compile(r"(?<=\d)\s?([kcmd]?m)([²³])(?=\s*[.,;]?\s*$)")
_ORDINAL = re.compile(r"(?<=\d)(?:ˢᵗ|ⁿᵈ|ʳᵈ|ᵗʰ)")
_SUPER_RUN = re.compile(f"[{''.join(_SUPER)}]+")
_SUB_RUN = re.compile(f"[{''.join(_SUB)}]+")
_SPACING = re.compile(
    r"\\(?:quad|qquad|enspace|thinspace|hfill|displaystyle|textstyle|scriptstyle|limits|nolimits|bigl?|bigr|Bigl?|Bigr|"
    r"biggl?|biggr|Biggl?|Biggr|left|right|middle|mathopen|mathclose|nobreak|allowbreak|null|protect)(?![A-Za-z])\.?"
    r"|\\(?:large|Large|LARGE|huge|Huge|small|bf|it|rm|sf|tt|boldmath|bfseries)(?![A-Za-z])"
    r"|\\(?:color|textcolor)\s*\{[^{}]*\}|\\hspace\*?\{[^{}]*\}|\\phantom\{[^{}]*\}|\\(?:label|tag)\{[^{}]*\}"
)
_FRAME = re.compile(
    r"\\(?:underline|uline|textcolor\s*\{[^{}]*\}|mathop|mathbin|mathrel|ensuremath|bbox)\s*\{([^{}]*)\}"
)
_TAGS = re.compile(r"</?(?:b|i|u|strong|em|span|font)(?:\s[^<>]*)?>", re.I)
_BLOCKS = re.compile(r"</?(?:p|center|div|br|li|ul|ol|td|th|tr|table|pre|code)(?:\s[^<>]*)?/?>", re.I)
_SUP_SUB = re.compile(r"<(?P<tag>sup|sub)>(?P<text>.*?)</(?P=tag)>", re.I)
_ENTITY = re.compile(r"&#?\w{2,10};")
_GROUP_COMMA = re.compile(r"(?<=\d)(?:\{,\}|\\,|,\\!|\\!,|\{\\,\}|\\;|\\ |,\s*\\!)\s*(?=\d{3}(?!\d))")
_ESCAPED_SPACE = re.compile(r"(?<!\\)\\[,;:!> ]|(?<!\\)\\\n")
# a tie is a space, but neither ~5 (about 5), nor 5~6 (from 5 to 6), nor ~~5~~ (struck out)
_STRUCK = re.compile(r"(?:^|(?<=\s))~~(?=\S)")
_TIE = re.compile(r"(?<=\S)~(?:(?<!\d~)|(?!\d)|(?=\d{3}(?!\d)))")
_SEAM = "\ufffd"
_MARKS = re.compile(r"(?P<left>[\w)\]}])?(?:\*\*|__(?=\w)|(?<=\w)__|`)+(?P<right>(?=[\w(\[{]))?")
_STARS = re.compile(r"(?P<power>(?<=[A-Za-z0-9)\]}])\*\*(?=[-+A-Za-z0-9({\\.])| \*\* )|\*\*")
_NO_STOP = re.compile(r"(?:^|[\s.])[ap]\.m\.$|&#?\w{2,10};$", re.I)
_OUTER = (("$$", "$$"), ("$", "$"), (r"\(", r"\)"), (r"\[", r"\]"))
_BOX = re.compile(r"\s*\\(?:boxed|fbox|framebox)\s*\{")


def to_latex(text: str) -> str:
    """Every Unicode sign that has a LaTeX or ASCII spelling in that spelling; invisible characters gone."""
    if text.isascii():
        return text
    text = _ORDINAL.sub(lambda m: unicodedata.normalize("NFKC", m[0]), text)
    text = _METRES.sub(lambda m: rf"\text{{ {m[1]}}}^{2 if m[2] == '²' else 3}", text)
    text = _SUPER_RUN.sub(lambda m: "^{" + "".join(_SUPER[c] for c in m[0]) + "}", text)
    text = _SUB_RUN.sub(lambda m: "_{" + "".join(_SUB[c] for c in m[0]) + "}", text)
    text = text.translate(_TABLE)
    if text.isascii():
        return text
    if len(text) == 1 or not _ENCLOSED.search(text):
        return unicodedata.normalize("NFKC", text).translate(_TABLE)
    parts = _ENCLOSED.split(text)
    return "".join(p if i % 2 else unicodedata.normalize("NFKC", p).translate(_TABLE) for i, p in enumerate(parts))


def unwrap(text: str) -> str:
    """Without the math delimiters, boxes, bold marks, quotes and the full stop that stand around the whole."""
    for _ in range(40):
        before = text
        text = text.strip().strip("\u200b")
        if text.endswith("....") and not text.endswith("....."):
            text = text[:-1]  # 0.333... and a full stop
        stop = text.endswith((".", "。", "，", ";", ",")) and not text.endswith(("..", r"\.", r"\,", r"\;"))
        if stop and not _NO_STOP.search(text):
            text = text[:-1].rstrip()
        for left, right in _OUTER:
            if len(text) > len(left) + len(right) and text.startswith(left) and text.endswith(right):
                inner = text[len(left) : -len(right)]
                if left not in inner and right not in inner and not inner.endswith("\\"):
                    text = inner
        if text.startswith("**") and text.endswith("**") and len(text) > 4 and "**" not in text[2:-2]:
            text = text[2:-2]
        if _BOX.match(text):
            text = _unbox(text)
        if text == before:
            break
    return text


def _unbox(text: str) -> str:
    """Peel all boxes that stand around the whole text, in one pass."""
    start, depth = 0, 0
    while match := _BOX.match(text, start):
        start, depth = match.end(), depth + 1
    end, closed = len(text), 0
    while closed < depth and end > start and text[end - 1] in "} \n\t":
        closed += text[end - 1] == "}"
        end -= 1
    if closed < depth:
        return text
    inner, level = text[start:end], 0
    for i, char in enumerate(inner):
        if char in "{}" and (i == 0 or inner[i - 1] != "\\"):
            level += 1 if char == "{" else -1
            if level < 0:
                return text
    return inner if level == 0 else text


def clean(text: str) -> str:
    """One notation for both sides: LaTeX signs, no wrappers, no spacing commands; still the same mathematics."""
    if "<" in text or "&" in text:
        text = _BLOCKS.sub(" ", _TAGS.sub("", text))
        text = _SUP_SUB.sub(lambda m: f"{'^' if m['tag'][2] in 'pP' else '_'}{{{m['text']}}}", text)
        text = _ENTITY.sub(lambda m: html.unescape(m[0]), text)
    text = unwrap(to_latex(text))
    text = _FRAME.sub(r"\1", text) if "\\" in text else text
    if "\\" in text or "{" in text:
        text = _GROUP_COMMA.sub("", text)
        text = _SPACING.sub(" ", text)
        text = _ESCAPED_SPACE.sub(" ", text)
        text = _TIE.sub(" ", text) if "~" in text and not _STRUCK.search(text) else text
    text = _TIMES.sub(r"\\times ", text) if "x" in text or "X" in text else text
    text = text.replace("per cent", "percent") if "per cent" in text else text
    if "**" in text:
        text = _powers(text)
        if text.count("**") % 2 and "**" in text.strip("* "):
            text = text.replace("**", _SEAM)  # neither pairs nor a power: 2** -1
    text = _MARKS.sub(_unmark, text) if "*" in text or "`" in text or "__" in text else text
    return unwrap(_undollar(text))


def _unmark(mark: re.Match[str]) -> str:
    """A mark of bold or code text taken out; between digits or letters a sign stays that nothing reads."""
    left, right = mark["left"] or "", mark["right"] is not None
    if not left or not right:
        return left
    after = mark.string[mark.end()]
    return f"{left} " if left.isdigit() and after.isalpha() else left + _SEAM


def _powers(text: str) -> str:
    """`x**2` as `x^2`; `**` that begins or ends bold text stays."""
    bold = False

    def read(stars: re.Match[str]) -> str:
        nonlocal bold
        if stars["power"] and not bold:
            return "^"
        bold = not bold
        return stars[0]

    plain = _STARS.sub(read, text)
    if not bold:
        return plain
    plain = _STARS.sub(lambda stars: "^" if stars["power"] else stars[0], text)  # bold around a power: **x**2 - 1**
    return text if plain.count("**") % 2 else plain


# `3 x 10^8`, `2 x 3`: the letter between a number and a power of ten, or apart between numbers, is a sign
_TIMES = re.compile(r"(?<=\d)(?:\s*[xX]\s*(?=10\s*(?:\^|\*\*))|\s+[xX]\s+(?=\d))")


def _undollar(text: str) -> str:
    """Take math delimiters out; a lone `$` before a digit is money and becomes `\\$`."""
    if r"\(" in text or r"\)" in text or r"\[" in text:
        text = re.sub(r"\\[()]|(?<!\\)\\\[|(?<!\\)\\\](?!\[)", " ", text)
    if "$" not in text:
        return text
    bare = re.findall(r"(?<!\\)\$", text)
    if len(bare) % 2 and re.search(r"(?<!\\)\$\s*-?[\d.]", text):
        return re.sub(r"(?<!\\)\$(?=\s*-?[\d.])", r"\\$", text)
    return re.sub(r"(?<!\\)\$", " ", text)


_ALIASES = re.compile(
    r"\\(dfrac|tfrac|cfrac|lt|gt|leq|geq|neq|leqslant|geqslant|varnothing|rm|dbinom|tbinom|lbrace|rbrace)(?![A-Za-z])"
)
_ALIAS = {
    "dfrac": r"\frac",
    "tfrac": r"\frac",
    "cfrac": r"\frac",
    "lt": "<",
    "gt": ">",
    "leq": r"\le",
    "geq": r"\ge",
    "neq": r"\ne",
    "leqslant": r"\le",
    "geqslant": r"\ge",
    "varnothing": r"\emptyset",
    "rm": "",
    "dbinom": r"\binom",
    "tbinom": r"\binom",
    "lbrace": r"\{",
    "rbrace": r"\}",
}
_WORDSPACE = re.compile(r"(?<=[\w.,])\s+(?=[\w.])")
_SPACE = re.compile(r"\s+")
_TEXT = re.compile(
    r"\\(?:text|textbf|textit|textrm|textnormal|mathrm|mathbf|mbox|mathit|textup|operatorname)\s*\{([^{}\\]*)\}"
)


def key(cleaned: str) -> str:
    """A cleaned text with all notation that has no meaning gone: same key, same answer.

    A space between two digits or letters is kept as one mark: `3 1/2` is not `31/2`.
    """
    text = _ALIASES.sub(lambda m: _ALIAS[m[1]] + " ", cleaned) if "\\" in cleaned else cleaned
    text = _TEXT.sub(r" \1 ", text) if "\\" in text else text
    text = _WORDSPACE.sub("\x00", text.strip())
    return _SPACE.sub("", text).replace("\x00", " ")
