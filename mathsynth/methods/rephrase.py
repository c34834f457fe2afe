"""Say a problem in other words, keeping every number and the answer (MetaMath's rephrasing).

The only proof that a rewrite kept its meaning is that solving it gives the old answer (2309.12284), so each one is
marked `confirm` and `sample` drops it unless its samples do. Cheap checks come first: another text, the same numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from mathsynth.methods import Kind, MethodConfig, ask_for_question, child
from mathsynth.records import Dropped, Problem

if TYPE_CHECKING:
    from mathsynth.context import Context


class Config(MethodConfig):
    """Rephrasing."""

    n: int = Field(default=1, ge=1)
    """Rewrites asked for per seed."""
    max_change: float = Field(default=1.0, ge=0, le=1)
    """Share of the story's words that may change, and below 1 what is asked must stay: for models that can't be trusted
    to keep the meaning."""
    prompt: str = "rephrase"
    """The prompt; it is given `question`."""

    def prompt_names(self) -> tuple[str, ...]:
        """The prompt above."""
        return (self.prompt,)

    def kind(self) -> Kind:
        """The seed in other words."""
        return "rephrased"

    def calls(self) -> int:
        """One for each rewrite."""
        return self.n


async def make(seed: Problem, config: Config, model: str, ctx: Context) -> list[Problem | Dropped]:
    """The rewrites of one seed. A seed without an answer gives none: nothing could confirm them."""
    if seed.answer is None:
        return []
    rows: list[Problem | Dropped] = []
    messages = ctx.chat(model, config.prompt, question=seed.question)
    for sample in range(config.n):
        text, _, refused = await ask_for_question(
            ctx, model, messages, sample, seed, keeps_answer=True, max_change=config.max_change
        )
        problem = child(seed, text, method="rephrase", answer=seed.answer, meta={"confirm": True, "sample": sample})
        rows.append(ctx.dropped(problem, *refused) if refused else problem)
    return rows
