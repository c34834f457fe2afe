"""Write a new problem inspired by a seed (OpenMathInstruct-2's augmentation); its answer must be voted on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from mathsynth.methods import MethodConfig, ask_for_question, child
from mathsynth.records import Dropped, Problem

if TYPE_CHECKING:
    from mathsynth.context import Context


class Config(MethodConfig):
    """New problems."""

    n: int = Field(default=1, ge=1)
    """New problems asked for per seed."""
    prompt: str = "inspired"
    """The prompt; it is given `question`."""

    def prompt_names(self) -> tuple[str, ...]:
        """The prompt above."""
        return (self.prompt,)

    def calls(self) -> int:
        """One for each problem."""
        return self.n


async def make(seed: Problem, config: Config, model: str, ctx: Context) -> list[Problem | Dropped]:
    """The new problems of one seed."""
    rows: list[Problem | Dropped] = []
    messages = ctx.chat(model, config.prompt, question=seed.question)
    for sample in range(config.n):
        text, _, refused = await ask_for_question(ctx, model, messages, sample, seed, keeps_answer=False)
        problem = child(seed, text, method="inspired", answer=None, meta={"sample": sample})
        rows.append(ctx.dropped(problem, *refused) if refused else problem)
    return rows
