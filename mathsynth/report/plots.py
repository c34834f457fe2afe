"""Plots as inline SVG, drawn by small functions: no script, no font, no colour of their own (the page's CSS has them).

Every plot is an image with a description for those who don't see it; every mark has its numbers as a tooltip. Texts
come from the run, so all of them are escaped here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

from markupsafe import Markup

from mathsynth.report.wording import count, percent, short, some

WIDTH, HEIGHT = 380, 220
LEFT, RIGHT, TOP, BOTTOM = 46, 10, 12, 40
LETTER = 6.6
"""Width of a letter at the size of the labels, on the wide side."""


@dataclass(frozen=True)
class Column:
    """One column: a value for each series, stacked or behind each other; labels below it or at its left edge."""

    values: tuple[float, ...]
    tip: str
    label: str = ""
    edge: str = ""
    apart: bool = False
    """Whether a gap follows, because the next column is on another scale."""


@dataclass(frozen=True)
class Bar:
    """One labelled bar that lies."""

    label: str
    value: int
    tip: str = ""
    css: str = "dropped"


@dataclass(frozen=True)
class Flow:
    """One step of the funnel, in rows."""

    step: str
    read: int
    kept: int
    dropped: int
    failed: int
    css: str
    """`problems` or `solutions`."""
    note: str = ""
    done: bool = True


def columns(
    data: Sequence[Column],
    series: Sequence[str],
    *,
    x: str,
    y: str,
    describe: str,
    stacked: bool = True,
    whole: bool = True,
    last_edge: str = "",
) -> Markup:
    """Standing columns on a linear scale from 0. `series` are CSS classes; not `stacked`, later ones stand before.

    `whole`: the axis has no fractions, for it counts things.
    """
    tallest = max((sum(c.values) if stacked else max(c.values) for c in data), default=0)
    top, step = _scale(tallest, whole)
    gaps = sum(column.apart for column in data) * 0.6
    unit = (WIDTH - LEFT - RIGHT) / max(1, len(data) + gaps)
    height = HEIGHT - TOP - BOTTOM
    base: float = HEIGHT - BOTTOM
    parts: list[Markup] = []
    tick = 0.0
    while tick <= top * 1.0001:
        level = base - height * tick / top
        parts.append(_line("grid" if tick else "axis", LEFT, level, WIDTH - RIGHT, level))
        parts.append(_text(LEFT - 6, level + 4, short(tick), "end"))
        tick += step
    at = float(LEFT)
    for column in data:
        low = base
        inner = max(unit - 2, unit * 0.7)
        for index, (css, value) in enumerate(zip(series, column.values, strict=True)):
            tall = height * value / top
            if value:
                tall = max(tall, 1.0)
                narrow = 0 if stacked else index * inner * 0.18
                box = (at + (unit - inner) / 2 + narrow, low - tall, inner - 2 * narrow, tall)
                parts.append(_box(css, *box, column.tip))
            low -= tall if stacked else 0
        if column.label:
            parts.append(_text(at + unit / 2, base + 15, column.label, "middle"))
        if column.edge:
            parts.append(_text(at, base + 15, column.edge, "middle"))
        at += unit * (1.6 if column.apart else 1)
    if last_edge:
        parts.append(_text(at, base + 15, last_edge, "end" if len(last_edge) > 3 else "middle"))
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, x, "middle", "title"))
    parts.append(
        Markup('<text class="title" transform="translate(11 {}) rotate(-90)" text-anchor="middle">{}</text>').format(
            round((TOP + base) / 2), y
        )
    )
    return _svg(WIDTH, HEIGHT, describe, parts)


def bars(data: Sequence[Bar], *, describe: str, width: int = WIDTH) -> Markup:
    """Labelled lying bars, one below the other, each with its number."""
    most = max((bar.value for bar in data), default=0) or 1
    names = min(width * 0.44, LETTER * max((len(bar.label) for bar in data), default=0) + 8)
    digits = LETTER * max((len(count(bar.value)) for bar in data), default=1) + 10
    room, parts = width - names - digits, []
    for number, bar in enumerate(data):
        y = 4 + 24 * number
        long = max(1.5, room * bar.value / most) if bar.value else 0
        parts.append(_text(names - 8, y + 13, _fit(bar.label, names - 8), "end", "name", bar.label))
        parts.append(_box(bar.css, names, y, long, 18, bar.tip or f"{bar.label}: {count(bar.value)}"))
        parts.append(_text(names + long + 6, y + 13, count(bar.value), "start"))
    return _svg(width, 8 + 24 * len(data), describe, parts)


def shares(data: Sequence[Bar], *, describe: str, width: int = WIDTH) -> Markup:
    """One bar cut into its parts, with the share of those that have room for it."""
    total = sum(bar.value for bar in data) or 1
    at, parts = 0.0, []
    for bar in data:
        long = width * bar.value / total
        if not bar.value:
            continue
        tip = f"{bar.label}: {count(bar.value)} ({percent(bar.value / total)})"
        parts.append(_box(bar.css, at, 0, max(long - 1.5, 1), 26, tip))
        said = percent(bar.value / total)
        if long > LETTER * len(said) + 6:
            parts.append(_text(at + long / 2, 17.5, said, "middle", f"on {bar.css}"))
        at += long
    return _svg(width, 26, describe, parts)


def funnel(flows: Sequence[Flow], *, describe: str, width: int) -> Markup:
    """The rows of each step: kept, then dropped, then failed, in one row of bars on one scale; bands join the steps."""
    narrow = width < 700
    names = 0 if narrow else 20 + LETTER * max((len(_fit(flow.step, 160)) for flow in flows), default=0)
    numbers = 0 if narrow else 330
    room = width - names - numbers
    most = max((flow.kept + flow.dropped + flow.failed for flow in flows), default=0) or 1
    pitch, thick, head = (76, 22, 34) if narrow else (48, 26, 4)
    parts: list[Markup] = []
    before: float | None = None
    for number, flow in enumerate(flows):
        y = number * pitch + head
        kept, dropped, failed = (
            max(2.0, room * value / most) if value else 0.0 for value in (flow.kept, flow.dropped, flow.failed)
        )
        if not narrow:
            parts.append(_text(names - 12, y + 17, _fit(flow.step, 160), "end", "name strong", flow.step))
        if before is not None and flow.done:
            out = kept + dropped + failed
            points = (names, y - pitch + thick, names + before, y - pitch + thick, names + out, y, names, y)
            parts.append(
                Markup('<polygon class="band" points="{}"/>').format(" ".join(f"{value:.1f}" for value in points))
            )
        at = float(names)
        for css, value, long in (
            (flow.css, flow.kept, kept),
            ("dropped", flow.dropped, dropped),
            ("failed", flow.failed, failed),
        ):
            if long:
                kind = "kept" if css == flow.css else css
                parts.append(_box(css, at, y, long, thick, f"{flow.step}: {count(value)} {kind}"))
                at += long
        said = _said(flow)
        if narrow:
            parts.append(_text(0, y - 20, flow.step, "start", "name strong"))
            parts.append(_text(0, y - 7, _fit(said, width), "start", "", said))
        else:
            parts.append(_text(at + 10, y + (11 if flow.note else 17), said, "start", "name"))
            if flow.note:
                parts.append(_text(at + 10, y + 25, _fit(flow.note, width - at - 10), "start", "", flow.note))
        before = kept if flow.done else None
    return _svg(width, len(flows) * pitch - (pitch - thick - head) + 6, describe, parts)


def _said(flow: Flow) -> str:
    if not flow.done:
        return "not finished"
    parts = [f"{count(flow.kept)} kept"]
    parts += [f"{count(flow.dropped)} dropped"] if flow.dropped else []
    parts += [f"{count(flow.failed)} failed"] if flow.failed else []
    return f"{some(flow.read, 'row')} read: " + ", ".join(parts)


def _scale(tallest: float, whole: bool) -> tuple[float, float]:
    """The top of an axis that holds this value, and the step between its four or so round ticks."""
    if tallest <= 0 or (whole and tallest < 4):
        return max(1.0, ceil(tallest)), 1.0
    rough = tallest / 4
    power = 10 ** floor(log10(rough))
    step = next(digit * power for digit in (1, 2, 5, 10) if digit * power >= rough * 0.999)
    return step * ceil(tallest / step - 1e-9), step


def _fit(text: str, width: float) -> str:
    """A text cut to this many pixels."""
    most = max(4, int(width / LETTER))
    return text if len(text) <= most else text[: most - 1] + "…"


def _box(css: str, x: float, y: float, width: float, height: float, tip: str) -> Markup:
    box = '<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"><title>{}</title></rect>'
    return Markup(box).format(css, x, y, width, height, tip)


def _line(css: str, x: float, y: float, to_x: float, to_y: float) -> Markup:
    line = '<line class="{}" x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}"/>'
    return Markup(line).format(css, x, y, to_x, to_y)


def _text(x: float, y: float, text: str, anchor: str, css: str = "", tip: str = "") -> Markup:
    title = Markup("<title>{}</title>").format(tip) if tip and tip != text else ""
    line = '<text class="{}" x="{:.1f}" y="{:.1f}" text-anchor="{}">{}{}</text>'
    return Markup(line).format(css, x, y, anchor, text, title)


def _svg(width: float, height: float, describe: str, parts: Sequence[Markup]) -> Markup:
    opening = Markup('<svg viewBox="0 0 {:.0f} {:.0f}" role="img" aria-label="{}">').format(width, height, describe)
    return opening + Markup("").join(parts) + Markup("</svg>")
