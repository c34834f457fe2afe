"""Text with steps and an answer at its end: one reply, read and compared by the verifier."""

from __future__ import annotations

from dataclasses import replace

from mathsynth.code_blocks import pretends
from mathsynth.context import Context
from mathsynth.formats import Ask, Attempt, fault, final_verdict, one_reply
from mathsynth.records import Problem, Solution, Verdict

PROMPTS = ("solve",)
VALUES: frozenset[str] = frozenset()
RUNS = False
NOT_JUNK: frozenset[str] = frozenset()

MADE_UP = fault("undecided", "made_up", "it shows the output of a program or tool, and none was run")


def calls(ask: Ask) -> tuple[int, int]:
    """One."""
    return 1, 1


async def attempt(problem: Problem, sample: int, ask: Ask, ctx: Context) -> Attempt:
    """One reply."""
    attempt = await one_reply(problem, sample, ask, ctx)
    return replace(attempt, fault=MADE_UP) if pretends(attempt.response) else attempt


async def grade(attempt: Attempt, reference: str | None, ctx: Context) -> Verdict:
    """The verifier's word on the reply."""
    return attempt.fault or await final_verdict(attempt, reference, ctx)


async def regrade(row: Solution, replay: bool, ctx: Context) -> Verdict:
    """The verifier's word on the stored text; there is nothing to replay."""
    if pretends(row.response):
        return MADE_UP
    return await ctx.grader.check(row.answer or "", response=row.response, finish_reason=row.finish_reason)


def prose(row: Solution) -> str:
    """All of it."""
    return row.response
