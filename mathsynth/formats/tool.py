"""Text, Python and its real output in turns, until a final answer that the last output supports.

The trace of ToRA (2309.17452), MARIO (2401.08190) and Qwen2.5-Math TIR, methods.md 7: state carries over between the
blocks, errors are fed back, and what a model made up behind its code is cut off. A trace counts for nothing if it wants
more blocks than allowed, answers in the same step as a block, repeats a failed block unchanged, answers after an error,
or ends with an answer that its last output does not say.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import ValidationError

from mathsynth.backends.base import Message, Reply, Request
from mathsynth.code_blocks import Block, bare, fenced, first_block, invents, shown, without_code
from mathsynth.context import Context
from mathsynth.formats import (
    NO_CALCULATION,
    NO_OUTPUT,
    RESEED,
    Ask,
    Attempt,
    ToolRules,
    fault,
    final_answer,
    final_verdict,
    supported,
)
from mathsynth.records import Problem, Solution, Turn, Verdict, explain
from mathsynth.sandbox.results import Result
from mathsynth.verifier import CUT

PROMPTS = ("solve-tool",)
VALUES: frozenset[str] = frozenset()
RUNS = True
NOT_JUNK = frozenset(("no_reasoning",))
"""Its last turn says what the program found."""

NOT_RUN = fault("undecided", "program_infra_error", "the sandbox failed, not the program")
STOP = ("```output",)
"""Where a model begins to make up an output."""


def calls(ask: Ask) -> tuple[int, int]:
    """A block and the answer; at most as many blocks as allowed and a last reply."""
    return 2, ask.tool.max_blocks + 1


async def attempt(problem: Problem, sample: int, ask: Ask, ctx: Context) -> Attempt:
    """A conversation of code and outputs, up to the first reply without code."""
    messages: list[Message] = list(ctx.chat(ask.model, ask.prompt, question=problem.question))
    stop = (*(ask.sampling.get("stop") or ctx.model(ask.model).stop), *STOP)
    replies: list[Reply] = []
    turns: list[Turn] = []
    session = Session(ask.tool, ctx)
    first: Request | None = None
    while True:
        request = ctx.request(ask.model, tuple(messages), sample=sample, sampling={**ask.sampling, "stop": stop})
        first = first or request
        reply = await ctx.complete(ask.model, request)
        replies.append(reply)
        text, _ = reply.read("cut")  # code in thinking is no call of the tool
        if (block := first_block(text)) is not None and not block.closed and reply.finish_reason not in CUT:
            text = f"{text.rstrip()}\n```"  # its fence began the output at which the reply was stopped
            block = first_block(text)
        if block is None:
            turns.append(Turn(role="assistant", content=text.strip()))
            wrong = _end(reply, text, session) or _without_box(text, messages)
        else:
            # What stands behind the block was written before its output was known.
            said = text[: block.end].strip()
            turns.append(Turn(role="assistant", content=said))
            wrong = await session.run(reply, said, block)
            if wrong is None:
                turns.append(Turn(role="tool", content=session.output))
                messages += [
                    {"role": "assistant", "content": said},
                    {"role": "user", "content": f"```output\n{session.output}\n```"},
                ]
                continue
        return Attempt(
            first,
            as_text(turns),
            tuple(replies),
            tuple(turns),
            final=text,
            output=session.output,
            fault=wrong,
            checks={"sandbox": session.tier, "tool": ask.tool.model_dump()},
        )


async def grade(attempt: Attempt, reference: str | None, ctx: Context) -> Verdict:
    """The verifier's word on the final answer, if the last output supports it."""
    if attempt.fault is not None:
        return attempt.fault
    verdict = await final_verdict(attempt, reference, ctx)
    return await supported(verdict, attempt.output, ctx)


async def regrade(row: Solution, replay: bool, ctx: Context) -> Verdict:
    """The verifier's word on the stored trace; replayed, every block must give its stored output again."""
    outputs = [turn.content for turn in row.turns if turn.role == "tool"]
    said = [turn.content for turn in row.turns if turn.role == "assistant"]
    final = said[-1] if said else ""
    if first_block(final) is not None:
        return fault("wrong", "no_final_answer", "it ends with a block of code that was not run")
    try:
        rules = ToolRules.model_validate(row.checks.get("tool", {}))
    except ValidationError as error:
        return fault("undecided", "bad_checks", f"tool.{': '.join(explain(error))}")
    blocks = [block.code for text in said if (block := first_block(text)) is not None]
    if [turn.role for turn in row.turns] != [*["assistant", "tool"] * len(blocks), "assistant"]:
        return fault("wrong", "bad_turns", "code and outputs do not take turns up to a final answer")
    if outputs[-1:] != [NO_OUTPUT] and invents(blocks):
        return NO_CALCULATION
    if replay:
        session = Session(rules, ctx, RESEED)
        for code, stored in zip(blocks, outputs, strict=False):
            if (output := await session.execute(code)) is None:
                return NOT_RUN
            if output != stored:
                return fault("undecided", "replay", f"block {session.blocks} gives another output than is stored")
    verdict = await ctx.grader.check(row.answer or "", response=final, finish_reason=row.finish_reason)
    return await supported(verdict, outputs[-1] if outputs else "", ctx)


class Session:
    """The blocks of one trace, each run with the state that those before it left."""

    def __init__(self, rules: ToolRules, ctx: Context, *before: str) -> None:
        self.output, self.tier, self.blocks = "", "", 0
        self._rules, self._ctx = rules, ctx
        self.good: list[str] = [*before]
        self.failed = ""
        """The last block, if it failed."""

    async def run(self, reply: Reply, said: str, block: Block) -> Verdict | None:
        """Run a block of a reply; why the trace counts for nothing, if it does."""
        if not block.closed or reply.finish_reason in CUT:
            return fault("undecided", "truncated", "cut inside a block of code")
        if "\\boxed" in said or final_answer(block.before) is not None:
            return fault("wrong", "answer_beside_code", "a final answer stands in the same step as a block of code")
        if fenced(block.before):
            return fault("wrong", "other_fence", "something else is fenced before the block of code")
        if self.blocks == self._rules.max_blocks:
            return fault("wrong", "too_many_blocks", f"more than {self._rules.max_blocks} blocks of code")
        if self.failed and bare(block.code) == bare(self.failed):
            return fault("wrong", "same_code_again", "a block that failed was repeated without a change")
        if await self.execute(block.code) is None:
            return NOT_RUN
        return None

    async def execute(self, code: str) -> str | None:
        """The output of a block as the model is shown it, None if it could not be run.

        Blocks that failed leave no state behind.
        """
        self.blocks += 1
        result = await self._ctx.programs.run((*self.good, code), notebook=True)
        self.tier = result.tier
        if result.status == "infra_error":
            return None
        reached = len(result.blocks) > len(self.good)
        printed = result.blocks[-1].strip() if reached else ""
        if result.status != "ok":
            self.failed, printed = code, _complaint(result, printed)
        elif not reached:  # exit() ends a program well, but what follows is not run
            self.failed, printed = code, "SystemExit: an earlier block ended Python"
        else:
            self.good.append(code)
            self.failed = ""
        self.output = shown(printed or NO_OUTPUT, self._rules.output_chars)
        return self.output


def _complaint(result: Result, stdout: str) -> str:
    """What was printed before the end, and the last line of the traceback (ToRA)."""
    said = (result.stderr.strip().splitlines() or [f"the program ended with: {result.status}"])[-1]
    return f"{stdout}\n{said}".strip()


def _without_box(text: str, messages: Sequence[Message]) -> Verdict | None:
    """The verdict on a final answer that was asked for in a box and stands in none."""
    if r"\boxed" in text or not any(r"\boxed" in message["content"] for message in messages):
        return None
    return fault("undecided", "no_box", "the final answer was asked for in a box")


def _end(reply: Reply, text: str, session: Session) -> Verdict | None:
    if reply.finish_reason in CUT:
        return fault("undecided", "truncated", f"cut ({reply.finish_reason})")
    if not session.blocks:
        return fault("undecided", "no_program", "no block of code was written")
    if fenced(text):
        return fault("wrong", "answer_beside_code", "something is fenced in the step of the final answer")
    if session.failed:
        return fault("wrong", "answer_after_error", "the last block failed and no other followed")
    if session.output != NO_OUTPUT and invents(session.good):
        return NO_CALCULATION
    return None


def prose(row: Solution) -> str:
    """What the model said around its code."""
    return "\n\n".join(without_code(turn.content) for turn in row.turns if turn.role == "assistant")


def as_text(turns: Sequence[Turn]) -> str:
    """The trace as one text, outputs in fences."""
    return "\n\n".join(
        turn.content if turn.role == "assistant" else f"```output\n{turn.content}\n```" for turn in turns
    )
