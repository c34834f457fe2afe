"""Grade solutions again, check the calculations they state, and put aside those that only look right.

Reads solution shards of any age, so a changed verifier re-grades without generating. Kept are correct rows whose steps
and form pass; every other row is Dropped with the name of the rule.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

from pydantic import Field

from mathsynth.context import Context
from mathsynth.formats import load_format
from mathsynth.records import Outcoming, Record, Solution
from mathsynth.settings import ConfigError
from mathsynth.stages import Flow, StageConfig, only
from mathsynth.verifier.equations import operations
from mathsynth.verifier.junk import RULES, junk
from mathsynth.verifier.steps import false_steps
from mathsynth.verifier.thinking import join

VERSION = 5
SCOPE = "shard"
TAKES = (Solution,)
GIVES = Solution


class Config(StageConfig):
    """What a solution must pass."""

    steps: Literal["drop", "flag", "off"] = "drop"
    """Responses that state a false calculation: put aside, mark in `checks.false_steps`, or don't look."""
    junk: tuple[str, ...] = tuple(RULES)
    """Names of the rules against responses that are right for no good reason."""
    language: str = "en"
    """The language that responses must be in (rule `other_language`)."""
    operations: Literal["drop", "off"] = "drop"
    """Text solutions of a `numbers` evolution that calculate otherwise than the seed's solution."""
    keep: tuple[Literal["correct", "wrong", "undecided"], ...] = Field(default=("correct",), min_length=1)
    """Verdicts that go on."""
    replay: bool = False
    """Run the programs of `program`, `tool` and `dialogue` rows again, with other random numbers: one that prints
    something else than is stored is put aside as undecided, for it depends on more than its text."""

    def through(self, flow: Flow) -> Flow:
        """Rows of the verdicts that it keeps."""
        if self.replay and flow.formats and not flow.programs:
            said = f"nothing to run again: the solutions are {' and '.join(sorted(flow.formats))}, without programs"
            raise ConfigError([(("replay",), said)])
        return replace(flow, verdicts=frozenset(self.keep))

    def runs_programs(self) -> bool:
        """Only to replay them."""
        return self.replay

    def grades(self) -> bool:
        """Yes."""
        return True


def run(records: Iterator[Record], config: Config, ctx: Context) -> Iterator[Outcoming]:
    """The solutions with their new verdict and checks."""

    async def grade(row: Solution) -> list[Outcoming]:
        if row.answer is None:
            return [ctx.dropped(row, "no_reference", "there is no answer to compare with")]
        form = load_format(row.format)
        # What counted for nothing because of how it was made has the right answer at best by chance.
        refused = "refused" in row.checks
        verdict, prose = row.verdict if refused else await form.regrade(row, config.replay, ctx), form.prose(row)
        false = [] if config.steps == "off" else [step.key for step in false_steps(prose)]
        checks = row.checks if config.steps == "off" else row.checks | {"false_steps": false}
        ctx.meter.grade(verdict.outcome)
        row = row.model_copy(update={"verdict": verdict, "extracted": verdict.extracted, "checks": checks})
        if verdict.outcome not in config.keep:
            return [ctx.dropped(row, verdict.outcome, f"{verdict.rule}: {verdict.reason}")]
        if false and config.steps == "drop":
            return [ctx.dropped(row, "false_step", "; ".join(false))]
        expected = row.meta.get("operations")
        # What a program calculates is no equation of its text.
        if expected and config.operations == "drop" and not form.RUNS and operations(row.response) != expected:
            return [ctx.dropped(row, "other_operations", f"the seed calculates {expected}")]
        whole = join(row.reasoning, prose)  # what is trained on has its reasoning, wherever it is stored
        rules = tuple(rule for rule in config.junk if rule not in form.NOT_JUNK)
        found = junk(whole, rules, question=row.question, reference=row.answer, language=config.language)
        return [ctx.dropped(row, *found[0])] if found else [row]

    yield from ctx.each(only(Solution, records, ctx.stage), grade)
