"""What a recipe will cost, counted before anything is spent: calls and tokens of each step, at least and at most.

Rows of finished steps are counted; of the others the most that their config can make is taken, so the upper figures
are bounds. Prompt tokens are the rendered prompts' characters over `CHARS_PER_TOKEN`; completion tokens at most
`max_tokens` a call.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from mathsynth.backends.base import ModelConfig
from mathsynth.errors import BadRow
from mathsynth.readers import read
from mathsynth.recipe import Recipe, Step
from mathsynth.records import Problem
from mathsynth.shards import read_manifest
from mathsynth.stages.input import Config as InputConfig

CHARS_PER_TOKEN = 3.5
"""English with digits, over common tokenizers."""


@dataclass(frozen=True)
class StepPlan:
    """One step's work: rows in, and (least, most) of what it asks."""

    step: str
    rows: tuple[int, int]
    calls: tuple[int, int]
    prompt_tokens: tuple[int, int]
    completion_tokens: int
    done: bool


def plan(recipe: Recipe, run: Path) -> list[StepPlan]:
    """The work of every step, in order. Reads the inputs, asks no model."""
    plans = []
    rows, characters = _input_size(recipe)
    for step in recipe.steps[1:]:
        manifest = read_manifest(run / step.directory)
        if manifest is not None:
            plans.append(StepPlan(step.name, (manifest.counts.read,) * 2, (0, 0), (0, 0), 0, True))
            rows = (manifest.counts.kept, manifest.counts.kept)
            continue
        least, most = step.config.calls_per_row()
        calls = (rows[0] * least, rows[1] * most)
        each = _prompt_tokens(step, characters)
        limit = max((_limit(model, step) for model in step.models.values()), default=0)
        plans.append(StepPlan(step.name, rows, calls, (calls[0] * each, calls[1] * each), calls[1] * limit, False))
        fewest, greatest = step.config.rows_per_row()
        rows = (rows[0] * fewest, rows[1] * greatest)
    return plans


def plan_table(recipe: Recipe, run: Path) -> Table:
    """The plan for reading."""
    table = Table(title=f"plan of {recipe.name}", title_justify="left")
    for heading in ("step", "rows", "calls", "prompt tokens", "completion tokens, at most"):
        table.add_column(heading, justify="left" if heading == "step" else "right")
    plans = plan(recipe, run)
    for item in plans:
        name = f"{item.step} (done)" if item.done else item.step
        table.add_row(
            name, _span(item.rows), _span(item.calls), _span(item.prompt_tokens), f"{item.completion_tokens:,}"
        )
    total = [(sum(p.calls[i] for p in plans), sum(p.prompt_tokens[i] for p in plans)) for i in (0, 1)]
    table.add_section()
    table.add_row(
        "all",
        "",
        _span((total[0][0], total[1][0])),
        _span((total[0][1], total[1][1])),
        f"{sum(p.completion_tokens for p in plans):,}",
    )
    return table


def _input_size(recipe: Recipe) -> tuple[tuple[int, int], int]:
    """(number of problems, twice), and the mean characters of a question."""
    config = recipe.steps[0].config
    assert isinstance(config, InputConfig)
    count = characters = 0
    for source in config.sources:
        for _, found in read(source, recipe.base):
            if isinstance(found, Problem) and count != config.limit:
                count, characters = count + 1, characters + len(found.question)
            elif isinstance(found, BadRow) and config.strict:
                raise found
    return (count, count), characters // max(count, 1)


def _prompt_tokens(step: Step, question: int) -> int:
    longest = max((len(prompt.text) for prompt in step.prompts.values()), default=0)
    shots = [shot for model in step.models.values() for shot in model.shots]
    examples = sum(len(shot.question) + len(shot.response) for shot in shots)
    return round((longest + question + examples) / CHARS_PER_TOKEN) if longest else 0


def _limit(model: ModelConfig, step: Step) -> int:
    return int(getattr(step.config, "sampling", {}).get("max_tokens", model.max_tokens))


def _span(pair: tuple[int, int]) -> str:
    return f"{pair[0]:,}" if pair[0] == pair[1] else f"{pair[0]:,} to {pair[1]:,}"
