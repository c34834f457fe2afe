"""The numbers of a run for the terminal, in 80 columns and without need of colour.

Print them with `crop=False`, so that a long path stays whole.
"""

from __future__ import annotations

from pathlib import Path

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from mathsynth.report.numbers import RunNumbers, Sampling, Stage
from mathsynth.report.wording import clock, count, percent, rate, short, some, tokens

REASONS = 4
"""Drop reasons of one step that get a line; the rest are summed up."""
STEP_WIDTH, REASON_WIDTH = 15, 21


def funnel(numbers: RunNumbers) -> Table:
    """One line a step: rows read, kept, dropped by reason, failed; time; tokens generated per second."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
    table.add_column("step", no_wrap=True)
    for name in ("read", "kept"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("dropped", no_wrap=True)
    for name in ("failed", "time", "tok/s"):
        table.add_column(name, justify="right", no_wrap=True)
    for stage in numbers.stages:
        if not stage.done:
            cells = ["–", "–", "not finished", "–", "–", "–"]
        else:
            cells = [
                _number(stage.read),
                _number(stage.kept),
                "\n".join(_reasons(stage)),
                _number(stage.failed_rows),
                clock(stage.seconds),
                rate(stage.tokens_per_second, stage.reused),
            ]
        # As Text, for a name may hold what rich takes for markup.
        table.add_row(*(Text(cell) for cell in (_cut(stage.step, STEP_WIDTH), *cells)))
    return table


def _reasons(stage: Stage) -> list[str]:
    """`12 unsolved`, a line each, most first."""
    shown = stage.dropped if len(stage.dropped) <= REASONS else stage.dropped[: REASONS - 1]
    rest = stage.dropped[len(shown) :]
    width = len(_number(shown[0][1])) if shown else 1
    lines = [_cut(f"{_number(number):>{width}} {reason}", REASON_WIDTH) for reason, number in shown]
    if rest:
        lines.append(f"{_number(sum(number for _, number in rest)):>{width}} in {len(rest)} more")
    return lines or ["0"]


def _cut(text: str, width: int) -> str:
    """A name on one line, with `..` where it was too long."""
    line = "".join(letter if letter.isprintable() else "?" for letter in text)
    return line if len(line) <= width else line[: width - 2] + ".."


def _number(number: int) -> str:
    """At most seven letters."""
    return count(number) if number < 1_000_000 else short(number)


def summary(numbers: RunNumbers) -> Group:
    """What came out, what it cost and where it lies, a line each."""
    lines: list[tuple[str, str]] = []
    if sampling := numbers.sampling:
        lines += _sampled(sampling, numbers.beside)
    lines += _spent(numbers)
    if sampling:
        speed = rate(numbers.tokens_per_second, numbers.reused)
        replies = some(numbers.reused, "reply", "replies")
        if speed == "reused":
            lines.append(("tokens per second", f"none generated, {replies} reused"))
        elif speed != "–":
            lines.append(("tokens per second", speed))
    if tested := sum(numbers.beginnings):
        proved, by_chance = numbers.beginnings
        said = f"{count(by_chance)} of {count(tested)} by coincidence ({percent(by_chance / tested)})"
        lines.append(("equal states", f"{said}, {count(proved)} proved"))
    if numbers.rows_from:
        lines.append(("rows", f"{count(numbers.rows)} from {some(numbers.problems, 'problem')}"))
    if turns := numbers.tutor_turns:
        share = percent(numbers.python_turns / turns)
        lines.append(("python turns", f"{share} of {count(turns)} turns of tutors before their last"))
    if numbers.shards:
        lines.append(("shards", numbers.shards))
    last = next((stage.directory for stage in reversed(numbers.stages) if stage.kept), None)
    if made := numbers.train or last:
        lines.append(("training data" if numbers.train else "rows in", _near(made)))
    if numbers.report.exists():
        lines.append(("report", _near(numbers.report)))
    rows: list[RenderableType] = [Text(f"{name:<18} {value}", no_wrap=True, overflow="ignore") for name, value in lines]
    rows += [Text(f"NOT ACCOUNTED FOR  {fault}", no_wrap=True, overflow="ignore") for fault in numbers.complaints]
    return Group(*rows)


def _sampled(sampling: Sampling, beside: int) -> list[tuple[str, str]]:
    right = f"{count(sampling.corrects)} of {some(sampling.trials - sampling.failed, 'sample')} right"
    lost = f"all {some(sampling.problems, 'problem')} gave a row"
    if sampling.fruitless:
        lost = f"{percent(sampling.fruitless_share)} on {some(sampling.fruitless, 'problem')} that gave no row"
    lines = [
        ("problems solved", f"{count(sampling.solved)} of {count(sampling.problems)}"),
        ("pass rate", f"{percent(sampling.pass_rate)} ({right})"),
        ("samples that count", f"{count(sampling.trials)}: {count(sampling.tokens)} tokens, {lost}"),
    ]
    if beside:
        lines.append(("other samples", f"{count(beside)} tokens (surplus, failed, or asked for by other settings)"))
    return lines


def _spent(numbers: RunNumbers) -> list[tuple[str, str]]:
    """All tokens that the run took, then by step."""
    if not numbers.spent:
        return []
    told = {step: tokens(spent.prompt, spent.completion, spent.replies) for step, spent in numbers.spent}
    for step in told.keys() - {stage.step for stage in numbers.stages}:
        told[step] += ", of an earlier recipe"
    for stage in numbers.stages:
        # Where problems are neither made nor asked, nothing else says how many were paid for in vain.
        if stage.step in told and stage.rows == "problems" and stage.dropped_rows and stage.one_to_one:
            told[stage.step] += f", {count(stage.dropped_rows)} of {count(stage.read)} put aside"
    total = numbers.total
    whole = ("tokens", tokens(total.prompt, total.completion, total.replies))
    return [whole, *((f"  {_cut(step, 16)}", said) for step, said in told.items())] if len(told) > 1 else [whole]


def _near(path: Path) -> str:
    """A path as one would type it here."""
    whole, here = path.resolve(), Path.cwd()
    return str(whole.relative_to(here)) if whole.is_relative_to(here) else str(whole)
