"""Give problems without a reference the answer on which texts and programs agree.

Two ways that fail differently: text samples vote, programs vote, and only an answer that wins both becomes the
reference (`answer_source: program`). Where they disagree, or can't be compared, the problem is put aside with both
answers and counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import Field

from mathsynth.context import Context
from mathsynth.formats import Ask, Format, load_format, must_differ
from mathsynth.records import Outcoming, Problem, Record
from mathsynth.stages import StageConfig, only, together
from mathsynth.verifier.vote import Vote, vote

VERSION = 4
SCOPE = "shard"
TAKES = (Problem,)
GIVES = Problem


class Config(StageConfig):
    """How many of each vote, and what they must reach."""

    model: str = "teacher"
    """The entry of `models:` that solves."""
    text_prompt: str = "solve"
    """The prompt for texts; it is given `question`."""
    program_prompt: str = "solve-program"
    """The prompt for programs; it is given `question`."""
    texts: int = Field(default=4, ge=1)
    """Text samples of a problem."""
    programs: int = Field(default=4, ge=1)
    """Programs of a problem."""
    min_share: float = Field(default=0.5, gt=0, le=1)
    """Share of all texts, and of all programs, that must give the answer."""

    def prompt_names(self) -> tuple[str, ...]:
        """Both prompts."""
        return (self.text_prompt, self.program_prompt)

    def prompt_values(self) -> frozenset[str]:
        """The problem, and how the model's config wants the answer."""
        return frozenset({"question", "answer_format"})

    def model_names(self) -> tuple[str, ...]:
        """The model that solves."""
        return (self.model,)

    def calls_per_row(self) -> tuple[int, int]:
        """None for a problem that has its answer."""
        return 0, self.texts + self.programs

    def passes_answered(self) -> bool:
        """Yes."""
        return True

    def grades(self) -> bool:
        """Yes: which answers are the same is the verifier's matter."""
        return True

    def runs_programs(self) -> bool:
        """Yes."""
        return True


def run(records: Iterator[Record], config: Config, ctx: Context) -> Iterator[Outcoming]:
    """The problems, each with an answer, in order."""
    must_differ(Ask(config.model, config.text_prompt), max(config.texts, config.programs), ctx)

    async def label(problem: Problem) -> list[Outcoming]:
        if problem.answer is not None:
            return [problem]
        texts, programs = await together(
            (
                _elect(load_format("cot"), problem, config.texts, Ask(config.model, config.text_prompt), ctx),
                _elect(load_format("program"), problem, config.programs, Ask(config.model, config.program_prompt), ctx),
            )
        )
        for election, asked, kind in ((texts, config.texts, "text"), (programs, config.programs, "program")):
            votes = election.clusters[0].votes if election.clusters else 0
            if votes / asked < config.min_share or not election.margin:
                return [ctx.dropped(problem, f"no_{kind}_answer", f"{votes} of {asked} {kind}s agree")]
        if not (same := ctx.grader.same(str(texts.answer), str(programs.answer))):
            reason = "not_compared" if same is None else "disagreement"
            return [ctx.dropped(problem, reason, f"texts say {texts.answer}, programs {programs.answer}")]
        ballot: dict[str, Any] = {"texts": texts.clusters[0].votes, "programs": programs.clusters[0].votes}
        meta = problem.meta | {"label": ballot}
        return [problem.model_copy(update={"answer": texts.answer, "answer_source": "program", "meta": meta})]

    yield from ctx.each(only(Problem, records, ctx.stage), label)


async def _elect(form: Format, problem: Problem, samples: int, ask: Ask, ctx: Context) -> Vote:
    """The vote of so many attempts in one format."""

    async def answer(sample: int) -> str | None:
        verdict = await form.grade(await form.attempt(problem, sample, ask, ctx), None, ctx)
        return verdict.extracted if verdict.rule == "no_reference" else None

    return vote(await together(answer(sample) for sample in range(samples)), ctx.grader.same)
