"""Retell problems in the world of a persona (Persona Hub, PersonaMath).

Two kinds, always declared: `keep` retells with every number as it is, and counts only if solving it gives the old
answer; `change` may alter the numbers, so its answer is unknown and voted on. Each row names its persona and its seed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import orjson
from pydantic import Field

from mathsynth.context import Context
from mathsynth.errors import UsageError
from mathsynth.methods import Kind, ask_for_question, child
from mathsynth.records import Outcoming, Problem, Record
from mathsynth.resources import resolve
from mathsynth.shards import open_lines, seal
from mathsynth.similarity import Block, jaccard, sketch, words
from mathsynth.stages import StageConfig, only

VERSION = 2
SCOPE = "shard"
TAKES = (Problem,)
GIVES = Problem


class Config(StageConfig):
    """Personas and what they may change."""

    model: str = "teacher"
    """The entry of `models:` that writes."""
    kind: Literal["keep", "change"] = "keep"
    """`keep`: same numbers, same answer; `change`: a new problem whose answer is voted on."""
    personas: str = "data:personas/personas.jsonl"
    """JSONL of `{id, persona}`; `data:` names files that ship with mathsynth."""
    per_problem: int = Field(default=1, ge=1)
    """Personas drawn for each problem."""
    methods: tuple[str, ...] = ("seed",)
    """Problems of these methods are retold; others pass unchanged."""
    keep_originals: bool = True
    """Whether the problems go on beside their retellings."""
    max_similarity: float = Field(default=0.9, gt=0, le=1)
    """A persona whose words overlap an earlier one's by this Jaccard share is left out (Persona Hub: 0.9)."""
    max_change: float = Field(default=1.0, ge=0, le=1)
    """Share of the story's words that may change, and below 1 what is asked must stay: for models that can't be trusted
    to keep the meaning."""
    prompt: str = ""
    """The prompt, given `question` and `persona`; empty means `persona-keep` or `persona-change`."""

    def prompt_names(self) -> tuple[str, ...]:
        """The prompt in use."""
        return (self.prompt or f"persona-{self.kind}",)

    def prompt_values(self) -> frozenset[str]:
        """The problem and who retells it."""
        return frozenset({"question", "persona"})

    def content_key(self, base: Path) -> str:
        """The personas: other ones make other problems."""
        path = resolve(self.personas, base)
        return seal(path).xxh3 if path.is_file() else ""

    def model_names(self) -> tuple[str, ...]:
        """The writer."""
        return (self.model,)

    def calls_per_row(self) -> tuple[int, int]:
        """None for a problem that is not retold."""
        return 0, self.per_problem

    def makes(self) -> frozenset[Kind]:
        """The same problem retold, or another one."""
        return frozenset({"rephrased" if self.kind == "keep" else "new"})

    def rows_per_row(self) -> tuple[int, int]:
        """The problem and its retellings."""
        kept = int(self.keep_originals)
        return kept, kept + self.per_problem


def run(records: Iterator[Record], config: Config, ctx: Context) -> Iterator[Outcoming]:
    """Each problem, then its retellings."""
    personas = load_personas(resolve(config.personas, ctx.base), config.max_similarity)

    async def rewrite(problem: Problem) -> list[Outcoming]:
        rows: list[Outcoming] = [problem] if config.keep_originals else []
        if problem.method not in config.methods:
            return [problem]
        if config.kind == "keep" and problem.answer is None:
            return rows or [ctx.dropped(problem, "no_reference", "a retelling that keeps the answer needs one")]
        drawn = ctx.rng(problem.id).sample(personas, min(config.per_problem, len(personas)))
        for identifier, persona in drawn:
            messages = ctx.chat(config.model, config.prompt_names()[0], question=problem.question, persona=persona)
            keeps = config.kind == "keep"
            text, _, refused = await ask_for_question(
                ctx, config.model, messages, 0, problem, keeps_answer=keeps, max_change=config.max_change
            )
            meta = {"persona": identifier, "seed": problem.id} | ({"confirm": True} if keeps else {})
            answer = problem.answer if keeps else None
            retold = child(problem, text, method=f"persona-{config.kind}", answer=answer, meta=meta)
            rows.append(ctx.dropped(retold, *refused) if refused else retold)
        return rows

    yield from ctx.each(only(Problem, records, ctx.stage), rewrite)


def load_personas(path: Path, max_similarity: float) -> list[tuple[str, str]]:
    """(id, persona) of a file, without near-repeats. UsageError naming file and line for a wrong row."""
    personas = []
    if not path.is_file():
        raise UsageError(f"{path}: no such file of personas")
    for number, line in enumerate(open_lines(path), 1):
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError:
            row = None
        if not (isinstance(row, dict) and row.get("id") and isinstance(row.get("persona"), str) and row["persona"]):
            raise UsageError(f"{path}:{number}: expected an object with `id` and `persona`")
        personas.append((str(row["id"]), row["persona"]))
    if not personas:
        raise UsageError(f"{path}: holds no persona")
    return _without_repeats(personas, max_similarity)


def _without_repeats(personas: list[tuple[str, str]], max_similarity: float) -> list[tuple[str, str]]:
    bags = [words(sketch(persona).words) for _, persona in personas]
    block = Block(max_similarity, Counter(word for bag in bags for word in bag))
    kept = []
    for number, bag in enumerate(bags):
        if all(jaccard(bag, bags[earlier]) < max_similarity for earlier in block.candidates(bag)):
            block.keep(number, bag)
            kept.append(personas[number])
    return kept
