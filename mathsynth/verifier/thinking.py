"""Where the thinking of a reply ends and its response begins. PURE.

    <think> … </think>             Qwen3, DeepSeek-R1, GLM and most others; also thinking, thought, reasoning
    … </think>                     the same where the chat template opens the tag in the prompt
    [THINK] … [/THINK]             Magistral
    <|begin_of_thought|> …         Sky-T1; <|START_THINKING|> … Command A; <|channel>thought … <channel|> Gemma
    <|channel|>analysis … final    gpt-oss, where its server did not take the channels apart

Everything up to the last end is thinking, as is everything after a beginning that has no end.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_BEGIN = re.compile(
    r"<(?:think|thinking|thought|reasoning|seed:think)>|\[THINK\]|<\|begin_of_thought\|>|<\|START_THINKING\|>"
    r"|<\|channel>thought|<\|channel\|>analysis(?:<\|message\|>)?",
    re.I,
)
_END = re.compile(
    r"</(?:think|thinking|thought|reasoning|seed:think)>|\[/THINK\]|<\|end_of_thought\|>|<\|END_THINKING\|>"
    r"|<channel\|>|<\|channel\|>final(?:<\|message\|>)?",
    re.I,
)


class Thinking(NamedTuple):
    """A reply taken apart: `thought` without its outer tags, None if there is none; `closed` unless it never ends."""

    thought: str | None
    rest: str
    closed: bool = True


def split(text: str) -> Thinking:
    """The thinking of a reply and what comes after it; linear in its length."""
    ends = list(_END.finditer(text))
    begin = _BEGIN.search(text)
    if _BEGIN.search(text, ends[-1].end() if ends else 0):
        return Thinking(_bare(text, begin), "", closed=False)
    if not ends:
        return Thinking(None, text)
    return Thinking(_bare(text[: ends[-1].start()], begin), text[ends[-1].end() :])


def join(thought: str | None, text: str) -> str:
    """A response with its thinking before it in `<think>` tags, which stay open if nothing comes after."""
    if not thought:
        return text
    return f"<think>\n{thought.strip()}" + (f"\n</think>\n\n{text}" if text else "")


def _bare(thought: str, begin: re.Match[str] | None) -> str:
    if begin is None or begin.start() > len(thought):
        return thought.strip()
    return (thought[: begin.start()] + thought[begin.end() :]).strip()
