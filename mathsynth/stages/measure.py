"""Measure how often a model solves each problem, and choose by it.

Every problem with a reference gets the same number of text samples; its `difficulty` is the share that is right. With
`at_least` and `at_most` only problems of that range go on: too easy ones teach nothing, impossible ones are often
faulty. `sample` with `format: adapt` gives problems that are solved by text a text solution, and the others a tool.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Self

from pydantic import Field, field_validator, model_validator

from mathsynth.backends.base import Sampling
from mathsynth.context import Context
from mathsynth.formats import Ask, cot, must_differ
from mathsynth.records import Difficulty, Outcoming, Problem, Record
from mathsynth.settings import validate
from mathsynth.stages import StageConfig, only, together
from mathsynth.verifier import CUT

VERSION = 4
SCOPE = "shard"
TAKES = (Problem,)
GIVES = Problem


class Config(StageConfig):
    """How difficulty is measured, and which problems go on."""

    model: str = "teacher"
    """The entry of `models:` whose pass rate is measured."""
    prompt: str = "solve"
    """The prompt; it is given `question`."""
    samples: int = Field(default=8, ge=1)
    """Samples of each problem."""
    at_least: float = Field(default=0.0, ge=0, le=1)
    """Problems that are solved less often are put aside as `too_hard`."""
    at_most: float = Field(default=1.0, ge=0, le=1)
    """Problems that are solved more often are put aside as `too_easy`."""
    sampling: dict[str, Any] = Field(default_factory=dict)
    """Overrides of the model's sampling (temperature, top_p, max_tokens, stop, extra_body)."""

    @field_validator("sampling")
    @classmethod
    def _known(cls, value: dict[str, Any]) -> dict[str, Any]:
        """Only what a request can carry, as it will be sent."""
        return validate(Sampling, value, ("sampling",)).model_dump(mode="json", include=set(value))

    @model_validator(mode="after")
    def _some_may_go_on(self) -> Self:
        if self.at_least > self.at_most:
            raise ValueError("at_least is above at_most")
        return self

    def prompt_names(self) -> tuple[str, ...]:
        """The prompt."""
        return (self.prompt,)

    def prompt_values(self) -> frozenset[str]:
        """The problem, and how the model's config wants the answer."""
        return frozenset({"question", "answer_format"})

    def model_names(self) -> tuple[str, ...]:
        """The model that is measured."""
        return (self.model,)

    def calls_per_row(self) -> tuple[int, int]:
        """None for a problem without a reference."""
        return 0, self.samples

    def grades(self) -> bool:
        """Yes."""
        return True


def run(records: Iterator[Record], config: Config, ctx: Context) -> Iterator[Outcoming]:
    """The problems with their difficulty, in order."""
    ask = Ask(config.model, config.prompt, config.sampling)
    must_differ(ask, config.samples, ctx)

    async def measure(problem: Problem) -> list[Outcoming]:
        if problem.answer is None:
            return [problem]
        samples = await together(_outcome(problem, sample, ask, ctx) for sample in range(config.samples))
        decided = [outcome for outcome in samples if outcome != "undecided"]
        rate = decided.count("correct") / len(decided) if decided else 0.0
        measured = Difficulty(pass_rate=rate, trials=len(samples), model=ctx.model(config.model).model)
        problem = problem.model_copy(update={"difficulty": measured})
        if not decided:
            return [ctx.dropped(problem, "not_measured", f"none of {len(samples)} samples could be checked")]
        if not config.at_least <= rate <= config.at_most:
            reason = "too_hard" if rate < config.at_least else "too_easy"
            return [ctx.dropped(problem, reason, f"{decided.count('correct')} of {len(decided)} samples are right")]
        return [problem]

    yield from ctx.each(only(Problem, records, ctx.stage), measure)


async def _outcome(problem: Problem, sample: int, ask: Ask, ctx: Context) -> str:
    """What a sample counts as; a cut one is a failure of the model, as in `sample`."""
    attempt = await cot.attempt(problem, sample, ask, ctx)
    verdict = await cot.grade(attempt, problem.answer, ctx)
    return "wrong" if attempt.finish_reason in CUT else verdict.outcome
