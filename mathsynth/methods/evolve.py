"""Change a problem in one of MuggleMath's five ways; the answer is new and must be voted on.

One problem per way at most, its way stored as `meta.evolution` (gsm8k-ScRel, methods.md 6b). Of a `numbers` change the
sequence of operations must stay the seed's: `verify` drops solutions that calculate otherwise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from mathsynth.methods import MethodConfig, ask_for_question, child
from mathsynth.records import Dropped, Problem
from mathsynth.verifier.equations import operations

if TYPE_CHECKING:
    from mathsynth.context import Context

Way = Literal["numbers", "fractions", "combine", "condition", "complex"]

INSTRUCTIONS: dict[Way, str] = {
    "numbers": "Change the specific numbers. Keep everything else.",
    "fractions": "Introduce fractions or percentages.",
    "combine": "Combine it with one more mathematical concept.",
    "condition": "Add a conditional statement that changes what must be calculated.",
    "complex": "Make it more complex: it should take more steps.",
}


class Config(MethodConfig):
    """Evolving."""

    ways: tuple[Way, ...] = Field(default=("numbers", "fractions", "combine", "condition", "complex"), min_length=1)
    """Which of the five changes to make, one problem each."""
    prompt: str = "evolve"
    """The prompt; it is given `question` and `instruction`."""

    def prompt_names(self) -> tuple[str, ...]:
        """The prompt above."""
        return (self.prompt,)

    def calls(self) -> int:
        """One for each way."""
        return len(self.ways)


async def make(seed: Problem, config: Config, model: str, ctx: Context) -> list[Problem | Dropped]:
    """The changed problems of one seed."""
    rows: list[Problem | Dropped] = []
    for way in config.ways:
        messages = ctx.chat(model, config.prompt, question=seed.question, instruction=INSTRUCTIONS[way])
        text, _, refused = await ask_for_question(ctx, model, messages, 0, seed, keeps_answer=False)
        meta: dict[str, str] = {"evolution": way}
        if way == "numbers" and seed.solution:
            meta["operations"] = operations(seed.solution)
        problem = child(seed, text, method="evolve", answer=None, meta=meta)
        rows.append(ctx.dropped(problem, *refused) if refused else problem)
    return rows
