"""How numbers are said: the same words in the terminal and on the page. PURE."""

from __future__ import annotations


def count(number: int) -> str:
    """`1,234`; from ten million on `12.3 M`."""
    return f"{number:,}" if abs(number) < 10_000_000 else short(number)


def short(number: float) -> str:
    """At most four digits and a letter, for axes: `950`, `1.2 k`, `34 k`, `5.6 M`."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= size:
            return f"{number / size:.3g} {letter}"
    return f"{number:.3g}"


def percent(share: float | None) -> str:
    """`31 %`, `3.1 %`, `< 0.1 %`; an en dash if there is nothing to divide by. Never 0 or 100 by rounding."""
    if share is None:
        return "–"
    value = 100 * share
    if 0 < value < 0.1:
        return "< 0.1 %"
    if 99.9 < value < 100:
        return "> 99.9 %"
    return f"{value:.0f} %" if value in (0, 100) or 9.95 <= value < 99 else f"{value:.1f} %"


def duration(seconds: float) -> str:
    """`0.4 s`, `12 s`, `3 min 05 s`, `2 h 14 min`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    minutes = whole // 60
    return f"{minutes // 60} h {minutes % 60:02d} min"


def clock(seconds: float) -> str:
    """The same in six letters: `0.4s`, `12s`, `3m05s`, `2h14m`, `120h`."""
    if seconds >= 99.5 * 3600:
        return f"{seconds / 3600:.0f}h"
    said = duration(seconds).replace(" min", "m").replace(" s", "s").replace(" h", "h")
    return said.replace(" ", "")


def rate(tokens_per_second: float | None, reused: int) -> str:
    """Tokens per second; `reused` if every reply was found on disk, an en dash if no model was asked."""
    if tokens_per_second is None:
        return "reused" if reused else "–"
    return count(round(tokens_per_second)) if tokens_per_second >= 9.95 else f"{tokens_per_second:.1f}"


def some(number: int, one: str, many: str = "") -> str:
    """`1 row`, `2 rows`."""
    return f"{count(number)} {one if number == 1 else many or one + 's'}"


def tokens(prompt: int, completion: int, replies: int) -> str:
    """`48,426: 30,123 in, 18,303 out (261 replies)`; in are prompts, out is what models said."""
    both = f"{count(prompt)} in, {count(completion)} out"
    return f"{count(prompt + completion)}: {both} ({some(replies, 'reply', 'replies')})"
