"""Continue programs from beginnings that are proved right, and end wrong programs rightly (TraceCodegen).

For each problem with a right straight-line program, the model is asked for more of them, each from a stored beginning.
Right ones become rows. Of a wrong one the furthest beginning is taken whose state a right program passes through. It is
proved twice: with that program's remaining statements it must reach the right answer, and with other numbers in place
of the question's both must still be in the same state, or their agreement was a coincidence (2 + 2 and 2 * 2). Then it
is stored to go on from (`prefixes.jsonl`), and the joined program is a row too. `coincidence.json` says how often equal
states meant nothing. All other rows pass unchanged.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import groupby
from typing import Any, Literal

from pydantic import Field, field_validator

from mathsynth.backends.base import Reply, Request, Sampling
from mathsynth.code_blocks import program_of
from mathsynth.context import Context
from mathsynth.errors import BackendError
from mathsynth.formats import Attempt, program
from mathsynth.questions import numbers
from mathsynth.records import Outcoming, Record, Solution, Verdict, content_id
from mathsynth.settings import ConfigError, validate
from mathsynth.shards import COINCIDENCE, PREFIXES, to_json_line, write_json
from mathsynth.stages import Flow, StageConfig, only
from mathsynth.straight_line import (
    Variables,
    blocks,
    furthest,
    joined,
    remaining,
    renumbered,
    state,
    statements,
    trace,
    without_beginnings,
)
from mathsynth.verifier import CUT
from mathsynth.verifier.thinking import split

VERSION = 3
SCOPE = "all"  # all rows of a problem, wherever they stand in a shard
TAKES = (Solution,)
GIVES = Solution

Lines = tuple[str, ...]


class Config(StageConfig):
    """How often each problem's programs are continued."""

    model: str = "teacher"
    """The entry of `models:` that writes programs; one without `few_shot`, whose examples have no beginning to go on
    from."""
    prompt: str = "continue-program"
    """The prompt; it is given `question` and `prefix`, which is empty at first."""
    rounds: int = Field(default=2, ge=1, le=100)
    """Rounds of sampling; each goes on from the beginnings that the earlier ones proved."""
    samples: int = Field(default=4, ge=1)
    """Samples of a problem in each round."""
    longer_by: int = Field(default=100, ge=0)
    """Statements that a program may have more than the problem's shortest right one."""
    sampling: dict[str, Any] = Field(default_factory=dict)
    """Overrides of the model's sampling (temperature, top_p, max_tokens, stop, extra_body)."""

    @field_validator("sampling")
    @classmethod
    def _known(cls, value: dict[str, Any]) -> dict[str, Any]:
        """Only what a request can carry, as it will be sent."""
        return validate(Sampling, value, ("sampling",)).model_dump(mode="json", include=set(value))

    def prompt_names(self) -> tuple[str, ...]:
        """The prompt."""
        return (self.prompt,)

    def prompt_values(self) -> frozenset[str]:
        """The problem, how the program begins, and how the model's config wants the answer."""
        return frozenset({"question", "prefix", "answer_format"})

    def model_names(self) -> tuple[str, ...]:
        """The model that is asked."""
        return (self.model,)

    def calls_per_row(self) -> tuple[int, int]:
        """None for a problem without a right program; the most is for one with a single row."""
        return 0, self.rounds * self.samples

    def rows_per_row(self) -> tuple[int, int]:
        """The row, and one of each sample at most."""
        return 1, 1 + self.rounds * self.samples

    def through(self, flow: Flow) -> Flow:
        """The same, programs among them."""
        if flow.formats and "program" not in flow.formats:
            raise ConfigError([((), f"it reads rows of sample: {{format: program}}, not of {', '.join(flow.formats)}")])
        return flow

    def grades(self) -> bool:
        """Yes."""
        return True

    def runs_programs(self) -> bool:
        """Yes."""
        return True


@dataclass(frozen=True)
class Passed:
    """A state that a right program passes through: after how many of its statements, with which variables."""

    program: Lines
    row: str
    done: int
    variables: Variables


@dataclass
class Known:
    """What is known of the programs of one problem."""

    right: set[Lines] = field(default_factory=set)
    states: dict[tuple[str, ...], Passed] = field(default_factory=dict)
    prefixes: dict[Lines, dict[str, Any]] = field(default_factory=dict)
    """Beginnings that were proved, each with its line of the file."""
    tested: set[Lines] = field(default_factory=set)
    """All that were tried: the same one again would come to the same."""

    def add(self, lines: Lines, steps: list[Variables], row: str) -> None:
        """A right program; a state that was passed through before keeps its first program."""
        self.right.add(lines)
        for done, here in enumerate(steps, 1):
            if here:
                self.states.setdefault(state(here), Passed(lines, row, done, here))


@dataclass(frozen=True)
class Try:
    """One sample: its program, its trace and what it is worth."""

    number: int
    prefix: Lines
    request: Request
    reply: Reply | None = None
    lines: Lines = ()
    steps: list[Variables] = field(default_factory=list)
    attempt: Attempt | None = None
    """None if it is no whole straight-line program."""
    verdict: Verdict | None = None
    error: str = ""


def run(records: Iterator[Record], config: Config, ctx: Context) -> Iterator[Outcoming]:
    """The rows of each problem, then its new ones, in the order of the problems."""
    tally: Counter[str] = Counter()
    stored: dict[str, list[dict[str, Any]]] = {}
    seen: set[str] = set()

    def problems() -> Iterator[list[Solution]]:
        for _, rows in groupby(only(Solution, records, ctx.stage), key=lambda row: row.problem_id):
            yield list(rows)

    async def extend(rows: list[Solution]) -> list[Outcoming]:
        problem, known = rows[0].problem_id, Known()
        if problem in seen:  # asked again, it would say the same
            return list(rows)
        seen.add(problem)
        for row in rows:
            lines = statements(program_of(split(row.response).rest) or "")
            if row.format == "program" and row.verdict.outcome == "correct" and lines:
                known.add(lines, await _trace(lines, ctx), row.id)
        if not known.right:
            return list(rows)
        made: list[Outcoming] = []
        for turn in range(config.rounds):
            made += await _round(rows[0], turn, known, tally, config, ctx)
        stored[problem] = list(known.prefixes.values())
        return [*rows, *made]

    with ctx.lines(PREFIXES) as write:
        for row in ctx.each(problems(), extend):
            # The rows of a problem come before those that failed, so its beginnings are written once, in its place.
            if isinstance(row, Solution):
                for line in stored.pop(row.problem_id, ()):
                    write(to_json_line(line))
                    tally["prefixes"] += 1
            yield row
    write_json(ctx.directory / COINCIDENCE, _summed(tally))


async def _round(
    row: Solution, turn: int, known: Known, tally: Counter[str], config: Config, ctx: Context
) -> list[Outcoming]:
    """The new rows of one round; they depend on the replies alone, for samples count in their order."""
    starts: list[Lines] = list(known.prefixes) or [()]
    first = turn * config.samples
    tries = await asyncio.gather(
        *(
            _try(row, number, ctx.rng(row.problem_id, str(number)).choice(starts), config, ctx)
            for number in range(first, first + config.samples)
        )
    )
    made: list[Outcoming] = []
    for one in tries:
        if one.error:
            made.append(ctx.failed(row, "model", f"sample {one.number}: {one.error}"))
            continue
        ctx.meter.grade(one.verdict.outcome if one.verdict else "wrong")
        if one.attempt is None or one.verdict is None:
            tally["unusable"] += 1
        else:
            about = {"round": turn, "prefix": len(one.prefix)}
            if one.verdict.outcome == "correct":
                kind, steps = "right", one.steps
                new: Solution | None = _row(row, one.attempt, one.verdict, one.number, about, ctx)
            else:
                kind, new, steps = await _salvage(row, one, about, known, ctx)
            tally[kind] += 1
            if new is not None and (why := _refused(new, known, config)):
                tally[why] += 1
            elif new is not None:
                known.add(statements(program_of(new.response) or ""), steps, new.id)
                tally["rows"] += 1
                made.append(new)
    known.prefixes = {prefix: known.prefixes[prefix] for prefix in without_beginnings(known.prefixes)}
    return made


def _refused(new: Solution, known: Known, config: Config) -> Literal["repeated", "too_long", ""]:
    """Why a right program is no new row, if it is none."""
    lines = statements(program_of(new.response) or "")
    if lines in known.right:
        return "repeated"
    return "too_long" if len(lines) > min(map(len, known.right)) + config.longer_by else ""


async def _try(row: Solution, number: int, prefix: Lines, config: Config, ctx: Context) -> Try:
    """One sample, from this beginning on, with what its program prints and its trace."""
    messages = ctx.chat(config.model, config.prompt, question=row.question, prefix="\n".join(prefix))
    request = ctx.request(config.model, messages, sample=number, sampling=config.sampling)
    try:
        reply = await ctx.complete(config.model, request)
    except BackendError as error:
        if error.fatal:
            raise
        return Try(number, prefix, request, error=str(error))
    code = program_of(reply.read("cut")[0]) or ""
    if reply.finish_reason in CUT or not statements(code):
        return Try(number, prefix, request, reply)
    if statements(code)[: len(prefix)] != prefix:
        code = "\n".join([*prefix, code])
    lines = statements(code)
    (attempt, verdict), steps = await asyncio.gather(_graded(code, request, reply, row, ctx), _trace(lines, ctx))
    return Try(number, prefix, request, reply, lines, steps, attempt, verdict)


async def _salvage(
    row: Solution, wrong: Try, about: dict[str, Any], known: Known, ctx: Context
) -> tuple[str, Solution | None, list[Variables]]:
    """(what a program that is not right is counted as, the row that its beginning makes, the row's trace)."""
    length = furthest(wrong.steps, known.states)
    prefix = wrong.lines[:length]
    if not prefix:
        return "nothing_right", None, []
    if prefix in known.tested:
        return "tested_before", None, []
    known.tested.add(prefix)
    assert wrong.reply is not None
    here = wrong.steps[length - 1]
    right = known.states[state(here)]
    code = joined(prefix, here, remaining(right.program, right.done, prefix), right.variables)
    if code is None:
        return "not_joinable", None, []
    attempt, verdict = await _graded(code, wrong.request, wrong.reply, row, ctx)
    if verdict.outcome != "correct":
        return ("not_checked" if verdict.outcome == "undecided" else "wrong_joined"), None, []
    told = await _agree(prefix, right.program[: right.done], row.question, ctx)
    if told != "proved":
        return told, None, []
    known.prefixes[prefix] = {
        "problem_id": row.problem_id,
        "question": row.question,
        "prefix": "\n".join(prefix) + "\n",
        "statements": length,
        "state": content_id(*state(here)),
        "proved_by": right.row,
    }
    about = about | {"joined": length, "with": right.row}
    return told, _row(row, attempt, verdict, wrong.number, about, ctx), await _trace(statements(code), ctx)


async def _agree(prefix: Lines, right: Lines, question: str, ctx: Context) -> str:
    """Whether two beginnings that reach equal states still do with other numbers in place of the question's."""
    given = [float(Fraction(number)) for number in sorted(numbers(question)) if len(number) < 16]
    others = [renumbered(lines, given) for lines in (prefix, right)]
    if others == [prefix, right]:  # none of the question's numbers is in them
        return "not_checked"
    traces = await asyncio.gather(*(_trace(lines, ctx) for lines in others))
    if [len(steps) for steps in traces] != [len(prefix), len(right)]:
        return "not_checked"
    one, other = (state(steps[-1]) for steps in traces)
    return "proved" if one == other else "other_calculation"


async def _trace(lines: Lines, ctx: Context) -> list[Variables]:
    """The variables after each statement, as far as the program got."""
    return trace((await ctx.programs.run(blocks(lines))).blocks)


async def _graded(code: str, request: Request, reply: Reply, row: Solution, ctx: Context) -> tuple[Attempt, Verdict]:
    """A program with the verdict on what it prints: what is run is what its row will hold."""
    response = f"```python\n{code.strip()}\n```"
    whole, attempt = program_of(response), Attempt(request, response, (reply,))
    if whole is None or statements(whole) != statements(code):
        return attempt, program.NO_PROGRAM
    attempt = await program.tried(whole, attempt, ctx)
    return attempt, await program.grade(attempt, row.answer, ctx)


def _row(
    row: Solution, attempt: Attempt, verdict: Verdict, number: int, about: dict[str, Any], ctx: Context
) -> Solution:
    """A new row of the same problem."""
    like = row.model_dump(exclude={"id", "reasoning", "turns"})
    return Solution.model_validate(
        like
        | {
            "response": attempt.response,
            "format": "program",
            "extracted": verdict.extracted,
            "verdict": verdict,
            "checks": {**attempt.checks, "partial": about},
            "model": attempt.request.model,
            "sampling": ctx.shown(attempt.request.sampling),
            "seed": number,
            "usage": attempt.usage,
            "finish_reason": attempt.finish_reason,
        }
    )


def _summed(tally: Counter[str]) -> dict[str, Any]:
    """What became of the samples, and the share of equal states that was a coincidence."""
    kinds = ("right", "nothing_right", "tested_before", "unusable", "proved", "not_checked")
    coincidences = {kind: tally[kind] for kind in ("other_calculation", "wrong_joined", "not_joinable")}
    number = sum(coincidences.values())
    tested = tally["proved"] + number
    return {
        "coincidences": number,
        "rate": number / tested if tested else None,
        "samples": {kind: tally[kind] for kind in kinds} | coincidences,
        "rows": tally["rows"],
        "repeated": tally["repeated"],
        "too_long": tally["too_long"],
        "prefixes": tally["prefixes"],
    }
