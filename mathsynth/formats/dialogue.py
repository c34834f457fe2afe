"""A tutor and a student talk a problem through; the tutor may calculate in Python unseen, and finishes with the answer.

After Code Soliloquies (2309.12161), methods.md 7e. The question is the student's first turn. On each turn of the
student the tutor decides in one line of a fixed form: to calculate (a program, its one output, a reply that knows it),
to answer, or to finish. A turn of a wrong form and a program that fails are asked again, `retries` times, with what was
wrong; what failed is not part of the dialogue. One that does not finish, or whose answer the last output does not
state, counts for nothing. `turns` holds the hidden ones as assistant (the program) and tool (its output), so trainers
can mask or use them.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from itertools import pairwise
from typing import NamedTuple, TypeVar

from mathsynth.backends.base import Message, Reply, Request
from mathsynth.code_blocks import calculates, fenced, first_block, shown
from mathsynth.context import Context
from mathsynth.formats import (
    NO_CALCULATION,
    RESEED,
    Ask,
    Attempt,
    DialogueRules,
    fault,
    final_verdict,
    supported,
    why_not,
)
from mathsynth.records import Problem, Solution, Turn, Verdict
from mathsynth.sandbox.results import Result
from mathsynth.verifier import CUT

PROMPTS = ("tutor-reply", "tutor-decide", "tutor-code", "student")
VALUES = frozenset(("conversation", "task", "output", "finish"))
RUNS = True
NOT_JUNK = frozenset(("no_reasoning",))
"""The tutor explains turn by turn, and the last turn only sums up."""

_DECISION = re.compile(r"(ANSWER|FINISH)|(CALCULATE):[ \t]*(\S.*)")
_SPEAKER = re.compile(r"^[*_ \t]{0,3}(?:student|tutor)[*_ \t]{0,3}:", re.IGNORECASE | re.MULTILINE)

Read = TypeVar("Read")


class Decision(NamedTuple):
    """What the tutor does on a turn of the student."""

    state: str
    """`ANSWER`, `FINISH` or `CALCULATE`."""
    task: str
    """What to calculate."""


class _Void(Exception):
    """The dialogue counts for nothing."""

    def __init__(self, verdict: Verdict) -> None:
        self.verdict = verdict


def calls(ask: Ask) -> tuple[int, int]:
    """Two turns of the student without a program; at most all turns with one, and every try of each."""
    rules = ask.dialogue
    return 5, (4 * rules.max_student_turns - 1) * (1 + rules.retries)


async def attempt(problem: Problem, sample: int, ask: Ask, ctx: Context) -> Attempt:
    """A dialogue up to the tutor's last turn, or to where it went wrong for good."""
    talk, wrong = Talk(problem, sample, ask, ctx), None
    try:
        await talk.hold()
    except _Void as void:
        wrong = void.verdict
    assert talk.first is not None
    python_turns = sum(turn.role == "tool" for turn in talk.turns)
    counted = {"student_turns": talk.student_turns, "python_turns": python_turns}
    return Attempt(
        talk.first,
        transcript(talk.turns),
        tuple(talk.replies),
        tuple(talk.turns),
        final=talk.turns[-1].content if talk.turns else "",
        output=talk.output,
        fault=wrong,
        checks={"sandbox": talk.tier, "dialogue": counted | {"output_chars": ask.dialogue.output_chars}},
    )


async def grade(attempt: Attempt, reference: str | None, ctx: Context) -> Verdict:
    """The verifier's word on the tutor's last turn, if the last output, where there is one, states its answer."""
    if attempt.fault is not None:
        return attempt.fault
    verdict = await final_verdict(attempt, reference, ctx)
    return await supported(verdict, attempt.output, ctx) if attempt.output else verdict


async def regrade(row: Solution, replay: bool, ctx: Context) -> Verdict:
    """The verifier's word on the stored dialogue; replayed, every program must give its stored output again."""
    output, told = "", row.checks.get("dialogue", {})
    chars = told.get("output_chars", DialogueRules().output_chars) if isinstance(told, dict) else None
    if not isinstance(chars, int):
        return fault("undecided", "bad_checks", "dialogue.output_chars: a whole number is expected")
    calculations = [pair for pair in pairwise(row.turns) if pair[1].role == "tool"]
    for number, (program, printed) in enumerate(calculations, 1):
        output, block = printed.content, first_block(program.content)
        if block is None:
            return fault("wrong", "bad_turns", f"before output {number} stands no program")
        if not calculates(block.code):
            return NO_CALCULATION
        if replay:
            result = await ctx.programs.run((RESEED, block.code))
            if result.status == "infra_error":
                return why_not(result) or NO_CALCULATION
            if result.status != "ok" or _shown(result, chars) != output:
                return fault("undecided", "replay", f"program {number} gives another output than is stored")
    final = row.turns[-1].content if row.turns else ""
    if isinstance(unfinished := await _last_speech(final), Verdict):
        return unfinished
    verdict = await ctx.grader.check(row.answer or "", response=final, finish_reason=row.finish_reason)
    return await supported(verdict, output, ctx) if output else verdict


def prose(row: Solution) -> str:
    """What the tutor said: the student may be wrong."""
    return "\n\n".join(turn.content for turn in row.turns if turn.role == "assistant" and not _hidden(turn))


class Talk:
    """One dialogue under way."""

    def __init__(self, problem: Problem, sample: int, ask: Ask, ctx: Context) -> None:
        self._problem, self._sample, self._ask, self._ctx = problem, sample, ask, ctx
        self.first: Request | None = None
        self.replies: list[Reply] = []
        self.turns: list[Turn] = []
        self.student_turns = 0
        self.output, self.tier = "", ""

    async def hold(self) -> None:
        """Talk until the tutor finishes. Raises _Void with what went wrong for good."""
        while self.student_turns < self._ask.dialogue.max_student_turns:
            self.student_turns += 1
            if self.turns:
                seen = transcript([turn for turn in self.turns if not _hidden(turn)])
                self._add("user", await self._say("student", _speech, conversation=seen))
            decision = await self._say("tutor-decide", self._decision)
            output, finish = "", decision.state == "FINISH"
            if decision.state == "CALCULATE":
                program, output = await self._say("tutor-code", self._calculation, task=decision.task)
                self._add("assistant", program)
                self._add("tool", output)
                self.output = output
            read = _last_speech if finish else _speech
            self._add("assistant", await self._say(self._ask.prompt, read, output=output, finish=finish))
            if finish:
                return
        raise _Void(fault("wrong", "too_many_turns", f"not finished in {self.student_turns} turns of the student"))

    def _add(self, role: str, content: str) -> None:
        self.turns.append(Turn.model_validate({"role": role, "content": content}))

    async def _say(
        self,
        prompt: str,
        read: Callable[[str], Awaitable[Read | Verdict]],
        *,
        conversation: str | None = None,
        task: str = "",
        output: str = "",
        finish: bool = False,
    ) -> Read:
        """What `read` makes of a reply to a prompt. If that is a complaint, the model is told and asked again."""
        messages: list[Message] = list(
            self._ctx.chat(
                self._ask.model,
                prompt,
                question=self._problem.question,
                conversation=transcript(self.turns) if conversation is None else conversation,
                task=task,
                output=output,
                finish=finish,
            )
        )
        tries_left = self._ask.dialogue.retries
        while True:
            request = self._ctx.request(
                self._ask.model, tuple(messages), sample=self._sample, sampling=self._ask.sampling
            )
            self.first = self.first or request
            reply = await self._ctx.complete(self._ask.model, request)
            self.replies.append(reply)
            if reply.finish_reason in CUT:
                raise _Void(fault("undecided", "truncated", f"cut ({reply.finish_reason})"))
            text = reply.read("cut")[0].strip()
            found = await read(text)
            if not isinstance(found, Verdict):
                return found
            if not tries_left:
                raise _Void(found)
            complaint = f"This cannot be used: {found.reason}. Answer again, in the form that was asked for."
            messages += [{"role": "assistant", "content": text}, {"role": "user", "content": complaint}]
            tries_left -= 1

    async def _decision(self, text: str) -> Decision | Verdict:
        found = _DECISION.fullmatch(text)
        if found is None:
            return fault("wrong", "bad_decision", "expected one line: CALCULATE: what, or ANSWER, or FINISH")
        if found[1] == "FINISH" and not self.turns:
            return fault("wrong", "bad_decision", "the student has not said anything yet, so it is too early to FINISH")
        return Decision(found[1] or found[2], found[3] or "")

    async def _calculation(self, text: str) -> tuple[str, str] | Verdict:
        """A program as it is stored, and its output."""
        block = first_block(text)
        if block is None or not block.closed or first_block(text[block.end :]) is not None:
            return fault("wrong", "no_program", "expected one whole fenced Python program")
        if not calculates(block.code):
            return NO_CALCULATION
        result = await self._ctx.programs.run((block.code,))
        self.tier = result.tier
        if (found := why_not(result)) is None:
            return f"```python\n{block.code}```", _shown(result, self._ask.dialogue.output_chars)
        if result.status == "infra_error":  # the sandbox failed, not the program
            raise _Void(found)
        return found


async def _speech(text: str) -> str | Verdict:
    """A turn of the student's, or one of the tutor's that is not the last."""
    if "\\boxed" in text:
        return fault("wrong", "bad_turn", "only the tutor's last turn may hold \\boxed")
    return _said(text)


async def _last_speech(text: str) -> str | Verdict:
    if "\\boxed{" not in text:
        return fault("wrong", "bad_turn", "the last turn must end with \\boxed{answer}")
    return _said(text)


def _said(text: str) -> str | Verdict:
    if not text:
        return fault("wrong", "bad_turn", "nothing was said")
    if fenced(text):
        return fault("wrong", "bad_turn", "code is not for the other's eyes")
    if _SPEAKER.search(text):
        return fault("wrong", "bad_turn", "say your own next turn alone, without a name before it")
    return text


def _shown(result: Result, chars: int) -> str:
    """An output as the tutor is shown it."""
    return shown(result.stdout, chars)


def _hidden(turn: Turn) -> bool:
    """Whether the student does not see it: what is said holds no code."""
    return turn.role == "tool" or first_block(turn.content) is not None


def transcript(turns: Sequence[Turn]) -> str:
    """The turns as one text: speech behind its speaker's name, programs and outputs in fences."""
    return "\n\n".join(_told(turn) for turn in turns)


def _told(turn: Turn) -> str:
    if turn.role == "tool":
        return f"```output\n{turn.content}\n```"
    name = "Student: " if turn.role == "user" else "" if _hidden(turn) else "Tutor: "
    return name + turn.content
