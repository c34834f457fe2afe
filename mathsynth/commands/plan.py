"""What a recipe will cost, counted before anything is spent: calls and tokens of each step, at least and at most.

Rows of finished steps are counted; of the others the most that their config can make is taken, so the upper figures
are bounds. Prompt tokens are the rendered prompts' characters over `CHARS_PER_TOKEN`, without what earlier turns of a
trace add to later ones; completion tokens at most `max_tokens` a call. Dollars go by each model's `price`, hours by its
limits a minute: no server's speed is guessed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rich.console import Group
from rich.table import Table
from rich.text import Text

from mathsynth.backends.base import ModelConfig
from mathsynth.recipe import Recipe, Step
from mathsynth.shards import read_manifest
from mathsynth.stages import input as input_stage
from mathsynth.strategy import choose

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
    usd: tuple[float, float] | None = (0.0, 0.0)
    """None if a model that is asked has no price."""
    hours: float = 0.0
    """At least, by the models' own limits a minute."""


def plan(recipe: Recipe, run: Path, seeds: input_stage.Size) -> list[StepPlan]:
    """The work of every step, in order, for these seed problems."""
    plans = []
    rows = (seeds.problems, seeds.problems)
    # Problems that surely have an answer, and those that may have none.
    answered, unanswered = seeds.problems - seeds.unanswered, seeds.unanswered
    for step in recipe.steps[1:]:
        passes, manifest = step.config.passes_answered(), read_manifest(run / step.directory)
        fewest, greatest = step.config.rows_per_row()
        if manifest is not None:
            plans.append(StepPlan(step.name, (manifest.counts.read,) * 2, (0, 0), (0, 0), 0, done=True))
            rows = (manifest.counts.kept, manifest.counts.kept)
        else:
            least, most = step.config.calls_per_row()
            calls = (rows[0] * least, (unanswered if passes else rows[1]) * most)
            each = _prompt_tokens(step, seeds.characters)
            limit = max((_limit(model, step) for model in step.models.values()), default=0)
            prompt, completion = (calls[0] * each, calls[1] * each), calls[1] * limit
            usd, hours = _usd(step, prompt, completion), _hours(step, calls[0], prompt[0])
            plans.append(StepPlan(step.name, rows, calls, prompt, completion, False, usd, hours))
            rows = (answered if passes else rows[0] * fewest, rows[1] * greatest)
        answered = min(answered * min(fewest, 1), rows[1])
        if passes:
            answered, unanswered = rows[0], 0
        elif step.config.makes():
            unanswered = rows[1] - answered  # a new problem may have an answer or not
        else:
            unanswered = min(unanswered, rows[1])
            answered = max(answered, rows[0] - unanswered)
    return plans


def shown_plan(recipe: Recipe, run: Path) -> Group:
    """The plan for reading: a table, then the hours at least, the strategy and the recipe's notes.

    Reads the inputs, asks no model.
    """
    seeds = input_stage.size(recipe.input, recipe.base)
    plans = plan(recipe, run, seeds)
    lines = []
    if hours := sum(item.hours for item in plans):
        lines.append(f"at least {hours:,.1f} h, by requests_per_minute and tokens_per_minute of the models")
    if (strategy := recipe.head.strategy) is not None:
        choice = choose(strategy, recipe.head.budget.tokens, seeds.problems)
        asked = _span(_sum([item.calls for item in plans]))
        lines += [str(choice), f"the steps ask {asked} of these" + "; strategy.follow is false" * (not strategy.follow)]
    # What was chosen has just been said.
    lines += [line for line in recipe.notes if line not in recipe.followed[:1]]
    return Group(_table(recipe, plans), *map(Text, lines))


def _table(recipe: Recipe, plans: list[StepPlan]) -> Table:
    priced = any(model.price for model in recipe.models.values())
    table = Table(title=f"plan of {recipe.name}", title_justify="left")
    for heading in ("step", "rows", "calls", "prompt tokens", "completion tokens, at most", *["usd"] * priced):
        table.add_column(heading, justify="left" if heading == "step" else "right")
    for item in plans:
        name = f"{item.step} (done)" if item.done else item.step
        tokens = (_span(item.prompt_tokens), f"{item.completion_tokens:,}")
        table.add_row(name, _span(item.rows), _span(item.calls), *tokens, *[_dollars([item])] * priced)
    calls, prompt = _sum([item.calls for item in plans]), _sum([item.prompt_tokens for item in plans])
    completion = f"{sum(item.completion_tokens for item in plans):,}"
    table.add_section()
    table.add_row("all", "", _span(calls), _span(prompt), completion, *[_dollars(plans)] * priced)
    return table


def _sum(pairs: list[tuple[int, int]]) -> tuple[int, int]:
    return sum(pair[0] for pair in pairs), sum(pair[1] for pair in pairs)


def _usd(step: Step, prompt: tuple[int, int], completion: int) -> tuple[float, float] | None:
    """Dollars, (least, most): the least with replies of no length, the most with replies as long as they may be."""
    prices = [model.paid for model in step.models.values() if model.paid]
    if len(prices) < len(step.models):
        return None
    least = min((price.prompt for price in prices), default=0.0) * prompt[0]
    most = max((price.prompt * prompt[1] + price.completion * completion for price in prices), default=0.0)
    return least / 1e6, most / 1e6


def _hours(step: Step, calls: int, prompt: int) -> float:
    minutes = [0.0]
    for model in step.models.values():
        minutes += [calls / model.requests_per_minute] if model.requests_per_minute else []
        minutes += [prompt / model.tokens_per_minute] if model.tokens_per_minute else []
    return max(minutes) / 60


def _dollars(plans: list[StepPlan]) -> str:
    known = [item.usd for item in plans if item.usd is not None]
    if len(known) < len(plans):
        return "not known"
    least, most = sum(usd[0] for usd in known), sum(usd[1] for usd in known)
    return f"{least:,.2f}" if least == most else f"{least:,.2f} to {most:,.2f}"


def _prompt_tokens(step: Step, question: int) -> int:
    longest = max((len(prompt.text) for prompt in step.prompts.values()), default=0)
    shots = [shot for model in step.models.values() for shot in model.shots]
    examples = sum(len(shot.question) + len(shot.response) for shot in shots)
    return round((longest + question + examples) / CHARS_PER_TOKEN) if longest else 0


def _limit(model: ModelConfig, step: Step) -> int:
    return int(getattr(step.config, "sampling", {}).get("max_tokens", model.max_tokens))


def _span(pair: tuple[int, int]) -> str:
    return f"{pair[0]:,}" if pair[0] == pair[1] else f"{pair[0]:,} to {pair[1]:,}"
