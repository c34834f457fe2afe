"""One Python program whose last printed line is the answer (program of thoughts), run in the sandbox.

Only a program that ran to its end counts. A reply without one, or one that ran out of time or memory, could not be
checked; one that failed, or printed nothing, gives no answer and is wrong. What stands behind the last program was
written before its output was known, and is cut off; a text before it that answers otherwise makes the whole wrong.
"""

from __future__ import annotations

from dataclasses import replace

from mathsynth.code_blocks import calculates, drawn, fenced, goes_on, program_of, up_to_code, without_code
from mathsynth.context import Context
from mathsynth.formats import NO_CALCULATION, RESEED, Ask, Attempt, fault, final_answer, one_reply, why_not
from mathsynth.printed import in_mathematics
from mathsynth.records import Problem, Solution, Verdict
from mathsynth.sandbox.results import Result
from mathsynth.verifier import CUT
from mathsynth.verifier.thinking import split

PROMPTS = ("solve-program",)
VALUES: frozenset[str] = frozenset()
RUNS = True
NOT_JUNK = frozenset(("no_reasoning",))
"""The program is the reasoning; one that calculates nothing is refused here."""

DRAWN = fault("undecided", "drawn", "what is printed is drawn over several lines")
NO_PROGRAM = fault("undecided", "no_program", "no whole fenced Python program")


def calls(ask: Ask) -> tuple[int, int]:
    """One."""
    return 1, 1


async def attempt(problem: Problem, sample: int, ask: Ask, ctx: Context) -> Attempt:
    """One reply, and what its program prints."""
    attempt = replace(await one_reply(problem, sample, ask, ctx), final="")
    [reply], response = attempt.replies, attempt.response
    if reply.finish_reason in CUT:
        return replace(attempt, fault=fault("undecided", "truncated", f"cut ({reply.finish_reason})"))
    text = reply.read("cut")[0]  # code in thinking is not run
    code = program_of(text)
    if code is None:
        return replace(attempt, fault=NO_PROGRAM)
    # What stands behind a program was written before its output was known.
    end = len(response) - len(text) + len(up_to_code(text))
    return await tried(code, replace(attempt, response=response[:end]), ctx)


async def tried(code: str, attempt: Attempt, ctx: Context) -> Attempt:
    """The attempt, with what this program of it prints."""
    if not calculates(code):
        return replace(attempt, fault=NO_CALCULATION)
    result = await ctx.programs.run((code,))
    return replace(
        attempt,
        final=in_mathematics(result.answer),
        output=result.stdout,
        fault=_why_not(result),
        checks={"sandbox": result.tier},
    )


def _why_not(result: Result) -> Verdict | None:
    """Why a run gives no answer in its last line, or None if it gives one."""
    return why_not(result) or (DRAWN if drawn(result.stdout) else None)


async def grade(attempt: Attempt, reference: str | None, ctx: Context) -> Verdict:
    """The verifier's word on what was printed."""
    if attempt.fault is not None:
        return attempt.fault
    if reference is None:
        verdict = Verdict(
            outcome="undecided", reason="no reference", rule="no_reference", extracted=attempt.final, how="given"
        )
    else:
        verdict = await ctx.grader.check(reference, answer=attempt.final)
    return await _undisputed(verdict, attempt.response, attempt.final, ctx)


async def regrade(row: Solution, replay: bool, ctx: Context) -> Verdict:
    """The verifier's word on the stored answer; replayed, a program must print that answer again."""
    reference, answer = row.answer or "", row.extracted or ""
    code = program_of(split(row.response).rest)  # thinking that is kept may hold drafts of it
    if code is None:
        return NO_PROGRAM
    if not calculates(code):
        return NO_CALCULATION
    if replay:
        result = await ctx.programs.run((RESEED, code))
        if (found := _why_not(result)) is not None:
            return found
        if (printed := in_mathematics(result.answer)) != answer:
            return fault("undecided", "replay", f"prints {printed!r} now, {answer!r} is stored")
    return await _undisputed(await ctx.grader.check(reference, answer=answer), row.response, answer, ctx)


async def _undisputed(verdict: Verdict, response: str, answer: str, ctx: Context) -> Verdict:
    """The verdict, unless what stands around the program makes up an output or answers otherwise."""
    whole = split(response).rest
    text = without_code(whole)
    if fenced(text):
        return fault("wrong", "other_fence", "something else is fenced beside the program")
    if goes_on(whole):
        return fault("undecided", "made_up", "between its programs an output is made up, or another problem")
    said = final_answer(text)
    if said is None or (agrees := (await ctx.grader.checker.check(answer, answer=said)).outcome) == "correct":
        return verdict
    return fault(agrees, "answer_beside_code", f"the text says {said}, the program prints {answer}")


def prose(row: Solution) -> str:
    """What stands around the program."""
    return without_code(row.response)
