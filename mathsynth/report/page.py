"""One self-contained HTML page of a run: no script, no request to anywhere, light and dark.

What is shown comes from models and users, so the template escapes everything; texts are shown as they are, mathematics
unrendered. The page stays small however large the run: it holds sums, and a few rows.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from mathsynth.report.charts import charts, spread
from mathsynth.report.numbers import Example, RunNumbers
from mathsynth.report.tallies import Names
from mathsynth.report.wording import count, duration, percent, rate, some

TABLE_ROWS = 30
"""Levels, methods, rules … in one table or plot; the rest are summed up or left out with a word."""
RECIPE_LETTERS = 100_000


class Marked(NamedTuple):
    """A response cut in three, so that its answer can be marked."""

    before: str
    answer: str
    after: str


def page(numbers: RunNumbers) -> str:
    """The page of a run."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"count": count, "percent": percent, "duration": duration}
    text = environment.get_template("page.html.j2").render(
        n=numbers,
        s=numbers.sampling,
        verdict=_verdict(numbers),
        tiles=_tiles(numbers),
        plots=charts(numbers),
        spread=spread,
        tables=_tables(numbers),
        recipe=numbers.recipe[:RECIPE_LETTERS],
        mark=_mark,
        rate=lambda stage: rate(stage.tokens_per_second, stage.reused),
        some=some,
        most=TABLE_ROWS,
    )
    # Rows hold what models wrote: a lone surrogate would make the page unwritable.
    return text.encode("utf-8", "replace").decode()


def _verdict(numbers: RunNumbers) -> str:
    """The run in one sentence."""
    if not numbers.rows:
        return "No rows yet." if not numbers.done else "No row came out."
    sampling = numbers.sampling
    said = f"{some(numbers.rows, 'row')} from {some(numbers.problems, 'problem')}"
    if sampling is None:
        return said + "."
    return (
        f"{said}. {count(sampling.solved)} of {some(sampling.problems, 'problem')} asked "
        f"{'was' if sampling.solved == 1 else 'were'} solved; {percent(sampling.pass_rate)} of the samples were right."
    )


def _tiles(numbers: RunNumbers) -> list[tuple[str, str, str]]:
    """(what, the number, a word on it)."""
    said = f"from {some(numbers.problems, 'problem')}" if numbers.rows else ""
    tiles = [("Rows", count(numbers.rows), said)]
    if s := numbers.sampling:
        replies = some(s.trials - s.failed, "sample")
        tiles += [
            ("Problems solved", count(s.solved), f"of {count(s.problems)} asked"),
            ("Pass rate", percent(s.pass_rate), f"{count(s.corrects)} of {replies} right"),
        ]
    if numbers.spent:
        total = numbers.total
        tiles.append(("Tokens", count(total.all), f"{count(total.prompt)} in, {count(total.completion)} out"))
    if turns := numbers.tutor_turns:
        share = percent(numbers.python_turns / turns)
        tiles.append(("Python turns", share, f"of {count(turns)} turns of tutors before their last"))
    speed = rate(numbers.tokens_per_second, numbers.reused)
    if speed != "–":
        reused = f"{some(numbers.reused, 'reply', 'replies')} reused" if numbers.reused else "all steps together"
        tiles.append(("Tokens per second", speed, reused))
    tiles.append(("Time", duration(numbers.seconds), "all steps together"))
    return tiles


def _tables(numbers: RunNumbers) -> dict[str, list[tuple[str, int]]]:
    """Names with their counts, most first."""
    found: dict[str, Names] = {
        "finish": numbers.finish_reasons,
        "rules": numbers.rules,
        "undecided": numbers.undecided,
        "personas": numbers.personas,
        "errors": numbers.errors,
    }
    if numbers.sampling:
        found["ended"] = numbers.sampling.reasons
    return {name: _shown(counts, 10 if name == "personas" else TABLE_ROWS) for name, counts in found.items()}


def _shown(counts: Names, most: int) -> list[tuple[str, int]]:
    shown = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    rest = shown[most:]
    return shown[:most] + ([(f"{count(len(rest))} others", sum(number for _, number in rest))] if rest else [])


def _mark(example: Example) -> Marked:
    """The response with its last box, or the last place where its answer stands, apart."""
    text, answer = example.response, example.extracted
    for wanted in (f"\\boxed{{{answer}}}", answer) if answer else ():
        at = text.rfind(wanted)
        if at >= 0:
            return Marked(text[:at], wanted, text[at + len(wanted) :])
    return Marked(text, "", "")
