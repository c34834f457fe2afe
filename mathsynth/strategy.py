"""Which way of making data a query budget is best spent on: more answers, rephrased questions or new ones. PURE.

Budget ratio = model calls / seed problems. Published (2409.19759) is the order: a low ratio is best spent on further
answers to the seeds, a middle one on rephrased questions, a high one on new questions. Where one ends and the next
begins was published in figures only, so the bounds are the recipe's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mathsynth.errors import UsageError
from mathsynth.stages import StageConfig

Way = Literal["answer augmentation", "rephrasing", "new questions"]
Named = tuple[str, str, StageConfig]
"""A step: its name, its stage, its config."""


class Strategy(BaseModel):
    """What the budget is, where the ways of spending it part, and whether the steps follow."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    queries: int | None = Field(default=None, ge=1)
    """Model calls in all, those for questions and those for answers."""
    tokens_per_query: int | None = Field(default=None, ge=1)
    """Instead of `queries`: prompt and completion tokens of a call on average, by which `budget.tokens` is counted."""
    answer_below: float = Field(default=100, ge=0)
    """Calls a seed below which more answers to the seeds are best (the default: from figures for 100 GSM8K seeds)."""
    rephrase_below: float = Field(default=250, gt=1)
    """Calls a seed below which rephrased questions are best, and from which on new ones (the default: as above)."""
    follow: bool = False
    """Whether a whole recipe's steps become those of the chosen way; else `plan` only says which it is."""

    @model_validator(mode="after")
    def _in_order(self) -> Strategy:
        if self.answer_below > self.rephrase_below:
            raise ValueError("answer_below is above rephrase_below")
        if (self.queries is None) == (self.tokens_per_query is None):
            raise ValueError("needs either queries, or tokens_per_query with budget.tokens")
        return self


@dataclass(frozen=True)
class Choice:
    """The way that was chosen, and why."""

    way: Way
    queries: int
    seeds: int
    why: str

    @property
    def ratio(self) -> float:
        """Calls a seed."""
        return self.queries / self.seeds

    def __str__(self) -> str:
        ratio = f"{self.ratio:,.2f}".rstrip("0").rstrip(".")
        return f"budget ratio {ratio} = {self.queries:,} queries / {self.seeds:,} seeds: {self.why}"


def choose(strategy: Strategy, budget_tokens: int | None, seeds: int) -> Choice:
    """The way that the rule of methods.md 8 chooses. UsageError if there is nothing to count by."""
    if not seeds:
        raise UsageError("the input holds no seed problem")
    queries = strategy.queries
    if queries is None:
        if budget_tokens is None:
            raise UsageError("tokens_per_query counts budget.tokens, which is not set")
        queries = budget_tokens // (strategy.tokens_per_query or 1)
    low, high = strategy.answer_below, strategy.rephrase_below
    if queries < low * seeds:
        return Choice(
            "answer augmentation", queries, seeds, f"below {low:g}, so answer augmentation (rule: answer_below)"
        )
    if queries < high * seeds:
        return Choice("rephrasing", queries, seeds, f"{low:g} to {high:g}, so rephrasing (rule: rephrase_below)")
    return Choice("new questions", queries, seeds, f"{high:g} or more, so new questions (rule: over rephrase_below)")


def follow(choice: Choice, steps: Mapping[str, StageConfig]) -> dict[str, StageConfig | None]:
    """The steps that become others, None for those that go. UsageError if none can do what was chosen.

    More answers: no step makes questions, and each seed is asked as often as the ratio says. The other ways keep the
    methods of their kind as they stand: how many questions they make is the recipe's to say.
    """
    if choice.way == "answer augmentation":
        calls = max(1, int(choice.ratio))
        after = {name: None if config.makes() else config.spending(calls) for name, config in steps.items()}
    else:
        kind: Literal["rephrased", "new"] = "rephrased" if choice.way == "rephrasing" else "new"
        makers = {name: config for name, config in steps.items() if config.makes()}
        after = {name: config.making(kind) if kind in config.makes() else None for name, config in makers.items()}
        if not any(after.values()):
            raise UsageError(f"{choice}, but no step makes {kind} questions")
    return {name: config for name, config in after.items() if config != steps[name]}


def followed(choice: Choice, steps: Sequence[Named], written: dict[str, Any]) -> tuple[list[Named], tuple[str, ...]]:
    """The steps under a choice, in `written` (the recipe's `steps:`) too, and in words what was chosen and changed."""
    before = {name: config for name, _, config in steps}
    after = follow(choice, before)
    now = before | after
    was, becomes = (
        {name: config.model_dump(mode="json") for name, config in side.items() if config is not None}
        for side in (before, now)
    )
    for name, config in after.items():
        if config is None:
            del written[name]
        else:
            new = becomes[name]
            written[name] = (written[name] or {}) | {key: new[key] for key in new if new[key] != was[name][key]}
    words = ", ".join(_differences(was, becomes)) or "the steps are so already"
    kept = [(name, stage, config) for name, stage, _ in steps if (config := now[name]) is not None]
    return kept, (str(choice), f"strategy.follow: {words}")


def _differences(old: dict[str, Any], new: dict[str, Any], place: str = "") -> Iterator[str]:
    for key, value in old.items():
        if key not in new:
            yield f"without {place}{key}"
        elif isinstance(value, dict) and isinstance(new[key], dict):
            yield from _differences(value, new[key], f"{place}{key}.")
        elif value != new[key]:
            yield f"{place}{key}={new[key]}"
