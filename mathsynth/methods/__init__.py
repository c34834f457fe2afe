"""One file a way of making problems or solutions. This file is the contract that each of them keeps.

A method module has
* a docstring, whose first line is its help;
* `class Config(MethodConfig)`, a sentence under each field;
* `async def make(seed, config, model, ctx)`, the new problems of one seed, with Dropped for each one refused.

It is found by its file name and imported when a recipe names it.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast

from pydantic import BaseModel, ConfigDict

from mathsynth.backends.base import Message, Reply
from mathsynth.errors import UsageError
from mathsynth.questions import fault, read_question
from mathsynth.records import Dropped, Problem

if TYPE_CHECKING:
    from mathsynth.context import Context


Kind = Literal["rephrased", "new"]


class MethodConfig(BaseModel):
    """The config of one method: frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def prompt_names(self) -> tuple[str, ...]:
        """The prompts that the method renders."""
        return ()

    def calls(self) -> int:
        """Model calls for one seed."""
        return 0

    def kind(self) -> Kind:
        """What its problems are to their seed: the same in other words, or others."""
        return "new"

    def unsure(self) -> bool:
        """Whether samples must confirm the answers that its problems should have: these are marked `confirm`."""
        return self.kind() == "rephrased"

    def makes(self) -> int:
        """Problems made from one seed, at most."""
        return self.calls()


class Method(Protocol):
    """A method module, as the stages see it."""

    Config: type[MethodConfig]

    async def make(self, seed: Problem, config: Any, model: str, ctx: Context) -> list[Problem | Dropped]:
        """The new problems of one seed."""


def method_names() -> list[str]:
    """The methods that exist, by file name."""
    return sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(__path__))


def load_method(name: str) -> Method:
    """The module of a method. UsageError naming those that exist if there is none."""
    if name not in method_names():
        raise UsageError(f"unknown method {name!r}; there are: {', '.join(method_names())}")
    return cast(Method, importlib.import_module(f"{__name__}.{name.replace('-', '_')}"))


async def ask_for_question(
    ctx: Context,
    model: str,
    messages: tuple[Message, ...],
    sample: int,
    seed: Problem,
    *,
    keeps_answer: bool,
    max_change: float = 1.0,
) -> tuple[str, Reply, tuple[str, str] | None]:
    """One question from the model: its text, the reply, and why it is refused, if it is."""
    reply = await ctx.complete(model, ctx.request(model, messages, sample=sample))
    question = read_question(reply.read("cut")[0])
    refused = fault(question, seed.question, reply.finish_reason, keeps_answer=keeps_answer, max_change=max_change)
    return question or reply.text, reply, refused


def child(seed: Problem, question: str, *, method: str, answer: str | None, meta: Mapping[str, Any]) -> Problem:
    """A problem made from `seed`: it inherits licence, source and topics, and names its ancestors, the root first."""
    return Problem(
        question=question or "(empty)",
        answer=answer,
        answer_source=None if answer is None else "given",
        source=seed.source,
        license=seed.license,
        level=seed.level,
        topics=seed.topics,
        parents=(*seed.parents, seed.id),
        method=method,
        meta=dict(meta),
    )
