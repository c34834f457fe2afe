"""Which plots a run gets, and what each of them shows. PURE."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from mathsynth.report.numbers import PassBin, RunNumbers, Stage
from mathsynth.report.plots import Bar, Column, Flow, bars, columns, funnel, shares
from mathsynth.report.tallies import Lengths
from mathsynth.report.wording import count, some

WIDE, NARROW = 1100, 400
LEVELS, REASONS = 14, 16


def charts(numbers: RunNumbers) -> dict[str, Markup]:
    """The plots for which there are numbers, by name."""
    plots = {}
    flows = [_flow(stage) for stage in numbers.stages]
    told = "; ".join(f"{flow.step}: {count(flow.kept)} kept of {count(flow.read)} read" for flow in flows)
    plots["funnel"] = funnel(flows, describe=f"Rows by step. {told}", width=WIDE)
    plots["funnel_narrow"] = funnel(flows, describe=f"Rows by step. {told}", width=NARROW)
    if s := numbers.sampling:
        plots["pass_rates"] = _pass_rates(s.bins)
        plots["rows_by_pass_rate"] = _rows_by_pass_rate(s.bins)
        plots["rows_by_level"] = _rows_by_level(numbers)
        parts = [("right", s.corrects), ("wrong", s.wrong), ("undecided", s.undecided), ("failed", s.failed)]
        told = ", ".join(f"{count(number)} {name}" for name, number in parts)
        ends = [Bar(name, value, css=name) for name, value in parts]
        plots["outcomes"] = shares(ends, describe=told, width=WIDE)
        plots["outcomes_narrow"] = shares(ends, describe=told, width=NARROW)
    if numbers.rows:
        if numbers.tokens.longest:
            plots["tokens"] = _lengths(numbers.tokens, "tokens in the response")
        plots["characters"] = _lengths(numbers.characters, "characters in the response")
    if shown := _reasons(numbers.stages):
        told = ", ".join(bar.tip for bar in shown)
        plots["reasons"] = bars(shown, describe=f"Rows put aside by reason: {told}")
    return plots


def _reasons(stages: Sequence[Stage]) -> list[Bar]:
    """Every step's reasons, most first; those beyond the 16th together."""
    found = [
        Bar(reason, number, f"{stage.step}: {some(number, 'row')} dropped as {reason}", "dropped")
        for stage in stages
        for reason, number in stage.dropped
    ] + [
        Bar(f"failed: {boundary}", number, f"{stage.step}: {some(number, 'row')} failed at {boundary}", "failed")
        for stage in stages
        for boundary, number in stage.failed
    ]
    found.sort(key=lambda bar: -bar.value)
    if len(found) <= REASONS:
        return found
    rest = found[REASONS - 1 :]
    total = sum(bar.value for bar in rest)
    return [*found[: REASONS - 1], Bar(f"{len(rest)} more", total, f"{some(total, 'row')} for other reasons", "faint")]


def _flow(stage: Stage) -> Flow:
    note = ", ".join(f"{count(number)} {reason}" for reason, number in stage.dropped)
    css = "solutions" if stage.rows == "solutions" else "problems"
    return Flow(stage.step, stage.read, stage.kept, stage.dropped_rows, stage.failed_rows, css, note, stage.done)


def _ends(index: int, found: PassBin) -> tuple[str, str, bool]:
    """Label, label of the left edge, and whether a gap follows."""
    if found.high is None:
        return "none", "", True
    if found.high == 0:
        return "never", "", True
    return "", f"{10 * (index - 2)}" if index % 2 == 0 else "", False


def _span(found: PassBin) -> str:
    if found.low is None or found.high is None:
        return "No sample could be decided"
    return "Never right" if not found.high else f"Right in {100 * found.low:.0f} to {100 * found.high:.0f} %"


def _pass_rates(bins: list[PassBin]) -> Markup:
    data = []
    for index, found in enumerate(bins):
        label, edge, apart = _ends(index, found)
        tip = f"{_span(found)}: {some(found.problems, 'problem')}, {count(found.solved)} gave a solution"
        data.append(Column((found.solved, found.unsolved), tip, label, edge, apart))
    told = ", ".join(f"{_span(found)} {count(found.problems)}" for found in bins if found.problems)
    return columns(
        data,
        ("solutions", "unsolved"),
        x="pass rate of the problem, right ÷ (right + wrong), %",
        y="problems",
        describe=f"Problems by pass rate: {told}",
        last_edge="100",
    )


def _rows_by_pass_rate(bins: list[PassBin]) -> Markup:
    data = []
    for index, found in enumerate(bins):
        label, edge, apart = _ends(index, found)
        each = (found.sampled / found.problems, found.rows / found.problems) if found.problems else (0.0, 0.0)
        asked = some(found.problems, "problem")
        tip = f"{_span(found)}: {each[0]:.2f} sampled and {each[1]:.2f} rows for each of {asked}"
        data.append(Column(each, tip, label, edge, apart))
    told = ", ".join(
        f"{_span(found)} {column.values[1]:.2f}" for found, column in zip(bins, data, strict=True) if found.problems
    )
    return columns(
        data,
        ("faint", "solutions"),
        x="pass rate of the problem, % (hard on the left)",
        y="rows per problem",
        describe=f"Mean rows for each problem by pass rate: {told}",
        stacked=False,
        whole=False,
        last_edge="100",
    )


def _rows_by_level(numbers: RunNumbers) -> Markup:
    levels = numbers.sampling.levels[:LEVELS] if numbers.sampling else []
    data = [
        Column(
            (level.sampled / level.problems, level.rows / level.problems) if level.problems else (0.0, 0.0),
            f"Level {level.name}: {count(level.rows)} rows from {some(level.problems, 'problem')} asked",
            level.name if len(level.name) < 8 else level.name[:7] + "…",
        )
        for level in levels
    ]
    told = ", ".join(f"{column.tip}" for column in data)
    return columns(
        data,
        ("faint", "solutions"),
        x="level of the problem",
        y="rows per problem",
        describe=told,
        stacked=False,
        whole=False,
    )


def _lengths(lengths: Lengths, what: str) -> Markup:
    found = lengths.bins()
    every = max(1, -(-len(found) // 5))
    data = [
        Column(
            (part.number,),
            f"{count(part.low)} to {count(part.high - 1)}: {some(part.number, 'row')}"
            if part is not found[-1]
            else f"{count(part.low)} or more: {some(part.number, 'row')}",
            edge=count(part.low) if index % every == 0 else "",
        )
        for index, part in enumerate(found)
    ]
    told = f"Rows by {what}: {spread(lengths)}"
    return columns(data, ("solutions",), x=what, y="rows", describe=told)


def spread(lengths: Lengths) -> str:
    """A distribution of lengths in words."""
    half, most = lengths.quantile(0.5), lengths.quantile(0.9)
    longest = count(lengths.longest)
    return f"half have at most {count(half)}, nine in ten at most {count(most)}, the longest has {longest}"
