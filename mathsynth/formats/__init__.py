"""One file a format of solutions (`Solution.format`). This file is the contract that each of them keeps.

A format module has
* a docstring, whose first line is its help;
* `PROMPTS`, the names of its prompts, first the one that a recipe may replace; `VALUES`, what these are given beside
  `question` and `answer_format`; `RUNS`, whether it runs programs; `NOT_JUNK`, the names of the junk rules that don't
  fit it;
* `def calls(ask)`: how many model calls one sample takes, (least that give a row, most);
* `async def attempt(problem, sample, ask, ctx)`: everything that one sample asks and runs. All of it is in the journal
  once it is done, so the same call again gives the same attempt and costs nothing: an interrupted one goes on at its
  next turn, and a kept one is read back when its row is written;
* `async def grade(attempt, reference, ctx)`: the verdict; without a reference, what it answers, undecided by the rule
  `no_reference`;
* `async def regrade(row, replay, ctx)`: the verdict on a stored row; with `replay`, after running its programs again;
* `def prose(row)`: what of a row is text, whose steps can be checked.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol, cast

from pydantic import BaseModel, ConfigDict, Field

from mathsynth.backends.base import Reply, Request
from mathsynth.code_blocks import behind_cut
from mathsynth.errors import UsageError
from mathsynth.printed import answers_in
from mathsynth.records import Outcome, Problem, Solution, Turn, Usage, Verdict
from mathsynth.sandbox.results import Result
from mathsynth.verifier import extract

if TYPE_CHECKING:
    from mathsynth.context import Context


class ToolRules(BaseModel):
    """How a trace may use its tool."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_blocks: int = Field(default=4, ge=1, le=32)
    """Code blocks of one trace; one that wants more counts for nothing (ToRA: 4, MARIO: 8)."""
    output_chars: int = Field(default=400, ge=40)
    """Characters of an output that the model is shown; the middle of a longer one is cut out, with a marker."""


class DialogueRules(BaseModel):
    """How long a tutor and a student may talk."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_student_turns: int = Field(default=12, ge=2, le=64)
    """Turns of the student, the question being the first; a dialogue that is not finished by then counts for
    nothing (Code Soliloquies: 8 on average, at most 34)."""
    retries: int = Field(default=2, ge=0, le=8)
    """Further tries of a turn whose form is wrong or whose program fails; each is told what was wrong."""
    output_chars: int = Field(default=400, ge=40)
    """Characters of an output that the tutor is shown; the middle of a longer one is cut out, with a marker."""


NO_CALCULATION = Verdict(
    outcome="wrong", rule="no_calculation", reason="what it prints is what it was told, not calculated"
)
RESEED = """\
__import__("random").seed(1)
try:
    __import__("numpy.random").random.seed(1)
except ImportError:
    pass
"""
"""A block that goes before a program that is replayed: one that draws by chance has other luck then. It loads numpy,
for where that is not yet loaded the runner seeds it as it comes, which would undo this."""
NO_OUTPUT = "(no output)"
"""What a model is shown of a block that prints nothing. It states nothing."""
NOT_CHECKED = frozenset(("timeout", "memory", "infra_error"))
"""Ends of a program that say nothing about its answer."""


PROSE = 4
"""Words that an answer phrase may be followed by; "the answer is the number of pairs of 6 cups" says what is sought."""


@dataclass(frozen=True)
class Ask:
    """How the samples of a step are asked for."""

    model: str
    prompt: str
    sampling: Mapping[str, Any] = field(default_factory=dict)
    tool: ToolRules = field(default_factory=ToolRules)
    dialogue: DialogueRules = field(default_factory=DialogueRules)


@dataclass(frozen=True)
class Attempt:
    """One sample: what was said, what programs gave, and why it counts for nothing, if it does."""

    request: Request
    """What was asked first."""
    response: str
    """The whole of it as one text."""
    replies: tuple[Reply, ...]
    turns: tuple[Turn, ...] = ()
    """The conversation after the question, where it has more than one turn."""
    reasoning: str | None = None
    """Thinking that is kept apart."""
    final: str = ""
    """The last text of the model, or the last line that a program printed."""
    output: str = ""
    """What the last program printed."""
    fault: Verdict | None = None
    checks: Mapping[str, Any] = field(default_factory=dict)
    """What its row should say of how it was run."""

    @property
    def finish_reason(self) -> str:
        """How the last reply ended."""
        return self.replies[-1].finish_reason

    @property
    def usage(self) -> Usage:
        """The tokens of all replies; each turn pays for the prompt again."""
        return Usage(
            prompt_tokens=sum(reply.usage.prompt_tokens for reply in self.replies),
            completion_tokens=sum(reply.usage.completion_tokens for reply in self.replies),
        )


class Format(Protocol):
    """A format module, as the stages see it."""

    PROMPTS: tuple[str, ...]
    VALUES: frozenset[str]
    RUNS: bool
    NOT_JUNK: frozenset[str]

    def calls(self, ask: Ask) -> tuple[int, int]:
        """Model calls of one sample."""

    async def attempt(self, problem: Problem, sample: int, ask: Ask, ctx: Context) -> Attempt:
        """One sample. BackendError if the model can't be asked."""

    async def grade(self, attempt: Attempt, reference: str | None, ctx: Context) -> Verdict:
        """The verdict on it."""

    async def regrade(self, row: Solution, replay: bool, ctx: Context) -> Verdict:
        """The verdict on a stored row, which has a reference."""

    def prose(self, row: Solution) -> str:
        """Its text."""


def format_names() -> list[str]:
    """The formats that exist, by file name."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


@cache
def load_format(name: str) -> Format:
    """The module of a format. UsageError naming those that exist if there is none."""
    if name not in format_names():
        raise UsageError(f"unknown format {name!r}; there are: {', '.join(format_names())}")
    return cast(Format, importlib.import_module(f"{__name__}.{name}"))


async def one_reply(problem: Problem, sample: int, ask: Ask, ctx: Context) -> Attempt:
    """An attempt of a single reply: its text as the model's `thinking` wants it, all that it said as `final`."""
    messages = ctx.chat(ask.model, ask.prompt, question=problem.question)
    request = ctx.request(ask.model, messages, sample=sample, sampling=ask.sampling)
    reply = await ctx.complete(ask.model, request)
    response, reasoning = reply.read(ctx.model(ask.model).thinking)
    return Attempt(request, response, (reply,), reasoning=reasoning, final=reply.text)


async def final_verdict(attempt: Attempt, reference: str | None, ctx: Context) -> Verdict:
    """The verifier's word on the answer in `final`; without a reference, what it is."""
    if reference is None:
        return await ctx.grader.read(attempt.final, finish_reason=attempt.finish_reason)
    return await ctx.grader.check(reference, response=attempt.final, finish_reason=attempt.finish_reason)


def must_differ(ask: Ask, samples: int, ctx: Context) -> None:
    """UsageError if samples that are to agree are alike, as a greedy model's are: then they are one voice."""
    model = ctx.model(ask.model)
    if samples > 1 and not any(model.draw(number, ask.sampling).temperature for number in range(1, samples)):
        raise UsageError(f"{ctx.stage}: at temperature 0 all samples of {ask.model!r} are alike, so they count as one")


def fault(outcome: Outcome, rule: str, reason: str) -> Verdict:
    """The verdict on an attempt that counts for nothing."""
    return Verdict(outcome=outcome, rule=rule, reason=reason)


def final_answer(text: str) -> str | None:
    """The final answer that a text already gives in so many words, boxed or in a phrase with a number, else None."""
    found = extract(text)
    if found is None:
        return None
    words = len(re.findall(r"[^\W\d_]{2,}", found.answer))
    if found.how == "answer phrase" and (words > PROSE or not re.search(r"\d", found.answer)):
        return None
    return found.answer if found.how in ("boxed", "answer phrase") else None


def why_not(result: Result) -> Verdict | None:
    """Why a run gives no answer, or None if it gives one."""
    if result.status == "ok":
        return None if result.answer.strip() else fault("wrong", "no_output", "the program prints nothing")
    outcome: Outcome = "undecided" if result.status in NOT_CHECKED else "wrong"
    return fault(outcome, f"program_{result.status}", result.reason)


async def supported(verdict: Verdict, output: str, ctx: Context) -> Verdict:
    """The verdict, undecided if the answer that was read is nothing that the output states."""
    answer = verdict.extracted
    if answer is None or verdict.outcome == "wrong":
        return verdict
    for stated in answers_in(behind_cut(output)) if output != NO_OUTPUT else ():
        if (await ctx.grader.checker.check(answer, answer=stated)).outcome == "correct":
            return verdict
    return Verdict(
        outcome="undecided",
        rule="unsupported",
        reason=f"the last output does not say {answer}",
        extracted=None,
        how=verdict.how,
    )
