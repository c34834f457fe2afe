"""The rows of every shard: frozen, versioned by `schema`, named by their content.

A `Problem` is asked, a `Solution` answers it. `Dropped` and `Failed` keep what did not go on, so that in each
stage every row that was read can be found again. A record's `id` is a hash of what makes it itself; it never
depends on row numbers, time or machine.
"""

from __future__ import annotations

from typing import Any, Literal

import xxhash
from pydantic import BaseModel, ConfigDict, Field, ValidationError

SCHEMA = 1

Outcome = Literal["correct", "wrong", "undecided"]


def content_id(*parts: str) -> str:
    """16 hex digits that name these texts (xxh3-64 over their length-framed bytes)."""
    digest = xxhash.xxh3_64()
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        digest.update(b"%d:" % len(data))
        digest.update(data)
    return digest.hexdigest()


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", serialize_by_alias=True, validate_by_name=True)

    schema_: Literal[1] = Field(default=1, alias="schema")


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Difficulty(_Value):
    """How often one model solved the problem: `pass_rate` is the share of correct ones among decided `trials`."""

    pass_rate: float
    trials: int
    model: str


class Verdict(_Value):
    """What the verifier says of one answer against one reference.

    `outcome` is `undecided` when it could not be checked; that is never `wrong` and never `correct`.
    `rule` names the rule that decided, `reason` says it in words, `extracted` is the answer that was read and
    `how` the way it was found (`boxed | answer phrase | last line | guessed | given`).
    """

    outcome: Outcome
    reason: str
    rule: str
    extracted: str | None = None
    how: str | None = None


class Usage(_Value):
    """Tokens of one reply as the backend counted them."""

    prompt_tokens: int = 0
    completion_tokens: int = 0


class Turn(_Value):
    """One turn after the question. What a tool printed is never something to be trained on."""

    role: Literal["assistant", "tool", "user"]
    content: str


class Problem(_Row):
    """A question with, if known, its reference answer."""

    id: str = ""
    question: str = Field(min_length=1)
    answer: str | None = None
    answer_source: Literal["given", "program", "vote", "judge"] | None = None
    solution: str | None = None
    source: str = ""
    license: str = ""
    level: str | int | None = None
    topics: tuple[str, ...] = ()
    parents: tuple[str, ...] = ()
    method: str = "seed"
    difficulty: Difficulty | None = None
    meta: dict[str, Any] = Field(default_factory=dict)

    def model_post_init(self, _: Any) -> None:
        """Name the problem by its content: the question, the answer and how it was made."""
        if not self.id:
            object.__setattr__(self, "id", content_id("problem", self.question, self.answer or "", self.method))


class Solution(_Row):
    """One sampled response to a problem, with its verdict and how it was made.

    `reasoning` is thinking that was taken out of the response (`thinking: field` of its model); no key without it.
    """

    id: str = ""
    problem_id: str
    question: str
    answer: str | None = None
    answer_source: Literal["given", "program", "vote", "judge"] | None = None
    response: str
    reasoning: str | None = Field(default=None, exclude_if=lambda value: value is None)
    turns: tuple[Turn, ...] = Field(default=(), exclude_if=lambda turns: not turns)
    """The conversation after the question, if `response` is more than one turn."""
    format: Literal["cot", "program", "tool", "dialogue"] = "cot"
    extracted: str | None = None
    verdict: Verdict
    checks: dict[str, Any] = Field(default_factory=dict)
    model: str
    sampling: dict[str, Any] = Field(default_factory=dict)
    seed: int = 0
    usage: Usage = Usage()
    finish_reason: str
    source: str = ""
    license: str = ""
    level: str | int | None = None
    topics: tuple[str, ...] = ()
    method: str = "seed"
    parents: tuple[str, ...] = ()
    difficulty: Difficulty | None = None
    meta: dict[str, Any] = Field(default_factory=dict)

    def model_post_init(self, _: Any) -> None:
        """Name the solution by its problem, its sample number and its text."""
        if not self.id:
            object.__setattr__(self, "id", content_id("solution", self.problem_id, str(self.seed), self.response))


class Dropped(_Row):
    """A row that a stage put aside, and why. `reason` is a short name that is counted, `detail` says it in full."""

    stage: str
    reason: str
    detail: str = ""
    row: dict[str, Any]


class Failed(_Row):
    """A row that could not be worked on: `boundary` is what it crossed (model, verifier, …), `error` one line."""

    stage: str
    boundary: str
    error: str
    row: dict[str, Any]


Record = Problem | Solution
Outcoming = Problem | Solution | Dropped | Failed


def explain(error: ValidationError) -> tuple[str, str]:
    """(field path, what was expected) of a pydantic error's first complaint."""
    first = error.errors(include_url=False, include_input=False)[0]
    return ".".join(str(part) for part in first["loc"]), str(first["msg"])
