"""Sample solutions until enough of them are proved right, grading each as it arrives.

One loop draws from all problems (`allocation.py` decides which is next), so no slot waits for a wave. A problem with a
reference keeps its first correct samples by sample number. A problem without one gets up to `vote.samples` samples,
until none to come can change the vote, and if enough of them agree, the answer that they agree on. A rewritten problem
is trusted only if the answer that it should have is also the one that its samples reach most often. `problems.jsonl`
says what every problem cost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from mathsynth.allocation import Allocator, Trials, rows_wanted
from mathsynth.backends.base import Sampling
from mathsynth.context import Context
from mathsynth.errors import BackendError
from mathsynth.formats import Ask, DialogueRules, ToolRules, load_format, must_differ
from mathsynth.records import Difficulty, Outcoming, Problem, Record, Solution
from mathsynth.samples import Sample, difficulty_of, elect, ledger_line, most_tokens, outcome_of, unconfirmed
from mathsynth.settings import ConfigError, validate
from mathsynth.shards import PROBLEMS, REJECTED, to_json_line, to_line
from mathsynth.stages import Flow, StageConfig, only
from mathsynth.verifier.vote import Vote, samples_missing

VERSION = 6
SCOPE = "shard"
TAKES = (Problem,)
GIVES = Solution

OPEN_PER_SLOT = 16
"""Unfinished or not yet written problems per request slot: bounds memory when one early problem takes long."""
CARRIED = ["question", "answer", "answer_source", "source", "license", "level", "topics", "method", "parents", "meta"]
"""What a solution takes over from its problem."""

WriteLine = Callable[[bytes], None]


class VoteConfig(StageConfig):
    """How a problem without a reference gets its answer."""

    samples: int = Field(default=8, ge=2)
    """Samples of such a problem at most; they end once no further one can change the vote and k rows are there."""
    min_share: float = Field(default=0.5, gt=0, le=1)
    """Share of the answers that must agree; below it the problem is dropped as `no_agreement`."""
    min_votes: int = Field(default=3, ge=1)
    """Samples that must agree."""

    @model_validator(mode="after")
    def _can_be_won(self) -> Self:
        if self.min_votes > self.samples:
            raise ValueError(f"min_votes ({self.min_votes}) is above samples ({self.samples}): no vote could be won")
        return self


class Config(StageConfig):
    """Sampling: the model, the prompt, and how many samples each problem gets."""

    model: str = "teacher"
    """The entry of `models:` that solves."""
    format: Literal["cot", "program", "tool", "dialogue", "adapt"] = "cot"
    """`cot`: text; `program`: one Python program that prints the answer; `tool`: text, Python and its output in turns;
    `dialogue`: a tutor, who may calculate, with a student; `adapt`: `cot` for problems of a measured pass rate of at
    least `text_from`, else `tool` (the step `measure` measures)."""
    prompt: str = ""
    """The prompt; it is given `question` and `answer_format`. By default the format's own (`solve`, …; of a
    `dialogue`, `tutor-reply`)."""
    text_from: float = Field(default=0.5, ge=0, le=1)
    """The pass rate from which `adapt` asks for text."""
    tool: ToolRules = ToolRules()
    """`tool` traces."""
    dialogue: DialogueRules = DialogueRules()
    """How long tutor and student of a `dialogue` may talk."""
    policy: Literal["fixed", "uniform", "prop2diff", "adaptive"] = "uniform"
    """`fixed`: k samples each; `uniform`: until k correct; `prop2diff`: correct ones in proportion to difficulty;
    `adaptive`: the same without a pilot, and under a token budget each sample goes where it gains most."""
    k: int = Field(default=4, ge=1)
    """Samples (fixed) or correct samples wanted; for prop2diff those of the hardest problem."""
    max_trials: int = Field(default=16, ge=1)
    """Samples of one problem at most."""
    pilot: int = Field(default=8, ge=1)
    """Samples that measure a problem's difficulty first (prop2diff)."""
    token_budget: int | None = Field(default=None, ge=1)
    """Prompt and completion tokens after which every problem ends where it stands."""
    vote: VoteConfig = VoteConfig()
    """Problems without a reference answer."""
    confirm_votes: int = Field(default=2, ge=0)
    """A rewritten or backward problem counts only if this many samples reach its expected answer, and more than any
    other answer; 0 trusts a single one."""
    keep_wrong: bool = False
    """Write wrong and undecided samples to `rejected.jsonl`, for preference data."""
    sampling: dict[str, Any] = Field(default_factory=dict)
    """Overrides of the model's sampling (temperature, top_p, max_tokens, stop, extra_body)."""

    @field_validator("sampling")
    @classmethod
    def _known(cls, value: dict[str, Any]) -> dict[str, Any]:
        """Only what a request can carry, as it will be sent."""
        return validate(Sampling, value, ("sampling",)).model_dump(mode="json", include=set(value))

    @model_validator(mode="after")
    def _a_prompt_is_of_one_format(self) -> Self:
        if self.prompt and len(self.formats) > 1:
            raise ValueError(f"format {self.format} asks for {' and '.join(self.formats)}, so there is no one prompt")
        return self

    @property
    def formats(self) -> tuple[str, ...]:
        """The formats that solutions may have."""
        return ("cot", "tool") if self.format == "adapt" else (self.format,)

    def prompt_names(self) -> tuple[str, ...]:
        """The prompts whose content is part of the hash."""
        names = [load_format(form).PROMPTS for form in self.formats]
        if not self.prompt:
            return tuple(name for prompts in names for name in prompts)
        return (self.prompt, *(name for prompts in names for name in prompts[1:]))

    def runs_programs(self) -> bool:
        """Whether any of its formats does."""
        return any(load_format(form).RUNS for form in self.formats)

    def prompt_values(self) -> frozenset[str]:
        """The problem, how the model's config wants the answer, and what its formats say beside."""
        return frozenset({"question", "answer_format"}).union(*(load_format(form).VALUES for form in self.formats))

    def model_names(self) -> tuple[str, ...]:
        """The models that are asked."""
        return (self.model,)

    def calls_per_row(self) -> tuple[int, int]:
        """From the luckiest problem to the trial cap."""
        fewest, most = self._calls_per_sample()
        if self.policy == "fixed":
            return self.k * fewest, max(self.k, self.vote.samples) * most
        wanted = {"uniform": self.k, "prop2diff": self.pilot, "adaptive": rows_wanted(self.k, 0)}
        return min(wanted[self.policy], self.max_trials) * fewest, max(self.max_trials, self.vote.samples) * most

    def _calls_per_sample(self) -> tuple[int, int]:
        """Fewest and most, over its formats."""
        each = [load_format(form).calls(_how(form, self)) for form in self.formats]
        return min(least for least, _ in each), max(most for _, most in each)

    def rows_per_row(self) -> tuple[int, int]:
        """At most k solutions."""
        return 0, self.k

    def spending(self, calls: int) -> Self:
        """Up to as many correct ones in as many samples as these calls make at their most."""
        samples = max(1, calls // self._calls_per_sample()[1])
        vote = self.vote.model_copy(update={"samples": max(2, self.vote.min_votes, samples)})
        return self.model_copy(update={"k": samples, "max_trials": samples, "vote": vote})

    def through(self, flow: Flow) -> Flow:
        """Solutions of its formats. Rewritten and backward problems need as many samples as shall confirm them."""
        key = "k" if self.policy == "fixed" else "max_trials"
        if flow.unsure and getattr(self, key) < self.confirm_votes:
            raise ConfigError(
                [((key,), f"below confirm_votes ({self.confirm_votes}): no rewritten or backward problem would count")]
            )
        forms = {form: load_format(form) for form in self.formats}
        return Flow(
            formats=frozenset(forms),
            programs=frozenset(form for form in forms if forms[form].RUNS),
            turns=frozenset(form for form in forms if forms[form].calls(_how(form, self))[1] > 1),
        )

    def grades(self) -> bool:
        """Yes."""
        return True

    def needs_all(self) -> str:
        """Whether one problem's samples depend on the others'."""
        if self.policy == "prop2diff":
            return "policy prop2diff sets every target by the largest fail rate of all problems"
        return "token_budget is one budget for all problems" if self.token_budget is not None else ""


@dataclass
class Asked:
    """A problem under way: its samples by number."""

    problem: Problem
    format: str
    samples: dict[int, Sample] = field(default_factory=dict)


def run(records: Iterator[Record], config: Config, ctx: Context) -> Iterator[Outcoming]:
    """Kept solutions, and every problem that yielded none as Dropped or Failed, in the order of the problems."""
    allocator = Allocator(
        config.policy,
        k=config.k,
        max_trials=config.max_trials,
        pilot=config.pilot,
        token_budget=config.token_budget,
        window=OPEN_PER_SLOT * ctx.in_flight(config.model),
    )
    problems = only(Problem, records, ctx.stage)
    asked: dict[int, Asked] = {}
    ended: dict[int, Trials] = {}
    written = 0

    def next_job() -> tuple[int, int] | None:
        allocator.resize(OPEN_PER_SLOT * ctx.in_flight(config.model))
        while True:
            if (job := allocator.next()) is not None:
                return job
            if allocator.spent or allocator.waits or len(asked) >= allocator.window:
                return None
            if (problem := next(problems, None)) is None:
                allocator.close()
                return allocator.next()
            entry = Asked(problem, _format(problem, config))
            allocator.most_tokens = max(allocator.most_tokens, _most_tokens(entry, config, ctx))
            if problem.answer is None:
                must_differ(_how(entry.format, config), config.vote.samples, ctx)
                missing = partial(_missing, entry, config, ctx)
                number = allocator.add(samples=config.vote.samples, missing=missing)
            else:
                needed = config.confirm_votes if problem.meta.get("confirm") else 1
                must_differ(_how(entry.format, config), needed, ctx)
                number = allocator.add(least=max(1, needed))
            asked[number] = entry

    async def ask(job: tuple[int, int]) -> None:
        number, sample = job
        entry = asked.get(number)
        if entry is None:
            return
        graded = await _ask(entry, sample, config, ctx)
        entry.samples[sample] = graded
        if graded.verdict is not None and entry.problem.answer is not None:
            ctx.meter.grade(outcome_of(graded))
        allocator.record(number, sample, outcome_of(graded), graded.prompt_tokens + graded.completion_tokens)

    with ExitStack() as files:
        ledger = files.enter_context(ctx.lines(PROBLEMS))
        rejected = files.enter_context(ctx.lines(REJECTED)) if config.keep_wrong else None

        def finished() -> Iterator[Outcoming]:
            nonlocal written
            ended.update({trials.number: trials for trials in allocator.finished()})
            while written in ended:
                yield from _settle(asked.pop(written), ended.pop(written), config, ctx, ledger, rejected)
                written += 1
                ctx.meter.done += 1
            ctx.meter.ahead = len(ended)

        for _ in ctx.pump(next_job, ask):
            yield from finished()
        yield from finished()
        for problem in problems:
            yield ctx.dropped(problem, "budget", f"token_budget={config.token_budget} was spent before it was asked")
            ctx.meter.done += 1


def _missing(asked: Asked, config: Config, ctx: Context, settled: int) -> int:
    """How many samples more a vote takes at least, when so many count."""
    answers = [asked.samples[number].answer for number in range(settled)]
    rules, same = config.vote, ctx.grader.same
    return samples_missing(
        answers, rules.samples, min_share=rules.min_share, min_votes=rules.min_votes, rows=config.k, same=same
    )


def _format(problem: Problem, config: Config) -> str:
    """The format of a problem's solutions. Without a measured pass rate, `adapt` takes the tool."""
    if config.format != "adapt":
        return config.format
    return "cot" if problem.difficulty is not None and problem.difficulty.pass_rate >= config.text_from else "tool"


def _how(form: str, config: Config) -> Ask:
    own = load_format(form).PROMPTS[0]
    return Ask(config.model, config.prompt or own, config.sampling, config.tool, config.dialogue)


def _most_tokens(asked: Asked, config: Config, ctx: Context) -> int:
    model, how = ctx.model(config.model), _how(asked.format, config)
    said = [asked.problem.question, ctx.prompt(how.prompt), *(s.question + s.response for s in model.shots)]
    calls = load_format(asked.format).calls(how)[1]
    return most_tokens(calls, model.draw(0, config.sampling).max_tokens, said)


async def _ask(asked: Asked, sample: int, config: Config, ctx: Context) -> Sample:
    form = load_format(asked.format)
    try:
        attempt = await form.attempt(asked.problem, sample, _how(asked.format, config), ctx)
    except BackendError as error:
        if error.fatal:
            raise
        return Sample(None, error=str(error))
    # Where there is no reference yet the answer is read, and waits for the vote.
    verdict = await form.grade(attempt, asked.problem.answer, ctx)
    usage = attempt.usage
    return Sample(verdict, attempt.finish_reason, usage.prompt_tokens, usage.completion_tokens)


def _settle(
    asked: Asked, trials: Trials, config: Config, ctx: Context, ledger: WriteLine, rejected: WriteLine | None
) -> Iterator[Outcoming]:
    """The rows of a finished problem, and its line in the ledger."""
    problem = asked.problem
    counted = {number: asked.samples[number] for number in range(trials.settled)}
    reason = detail = ""
    if problem.answer is None:
        election = elect(counted.values(), ctx.grader.same)
        reason, detail = _why_not(election, config.vote)
        if not reason:
            ballot = {"share": election.share, "margin": election.margin, "voters": election.voters}
            problem = problem.model_copy(
                update={
                    "answer": election.answer,
                    "answer_source": "vote",
                    "meta": problem.meta | {"vote": ballot},
                }
            )
            counted = {number: _as_voted(sample, problem, ctx) for number, sample in counted.items()}
    correct = [number for number, sample in counted.items() if outcome_of(sample) == "correct"]
    if not reason and not correct:
        reason, detail = "unsolved", f"no correct one in {len(counted)} samples ({trials.reason})"
    if not reason and problem.meta.get("confirm") and config.confirm_votes:
        reason, detail = unconfirmed(problem, counted, len(correct), config.confirm_votes, ctx.grader.same)
    kept = [] if reason else correct[: min(trials.target or config.k, config.k)]

    if asked.problem.answer is None:  # only the vote says which of them are right
        for sample in counted.values():
            if sample.verdict is not None:
                ctx.meter.grade(outcome_of(sample))
    line = ledger_line(problem, list(counted.values()), kept=len(kept), target=trials.target, model=config.model)
    ledger(to_json_line(line | {"reason": reason or trials.reason}))
    difficulty = difficulty_of(list(counted.values()), ctx.model(config.model).model)
    done = Asked(problem, asked.format)
    for number in kept:
        yield _solution(done, number, counted[number], difficulty, config, ctx)
    if rejected is not None:
        for number, sample in counted.items():
            if sample.verdict is not None and number not in kept and outcome_of(sample) != "correct":
                rejected(to_line(_solution(done, number, sample, difficulty, config, ctx)))
    for number, sample in counted.items():
        if sample.error:
            yield ctx.failed(problem, "model", f"sample {number}: {sample.error}")
    if reason and (not counted or any(sample.verdict for sample in counted.values())):
        yield ctx.dropped(problem, reason, detail)


def _why_not(election: Vote, config: VoteConfig) -> tuple[str, str]:
    """Why a vote gives no answer, or ("", "")."""
    if election.share is None:
        return "no_answer", "no sample gave an answer that could be read"
    votes = election.clusters[0].votes
    if election.share < config.min_share or votes < config.min_votes or not election.margin:
        return (
            "no_agreement",
            f"{votes} of {election.voters} answers agree on {election.answer} "
            f"(min_share {config.min_share:g}, min_votes {config.min_votes})",
        )
    return "", ""


def _as_voted(sample: Sample, problem: Problem, ctx: Context) -> Sample:
    """The sample graded against the answer that the vote chose."""
    if sample.verdict is None or sample.verdict.extracted is None or problem.answer is None:
        return sample
    verdict = ctx.grader.checker.check_now(problem.answer, answer=sample.verdict.extracted)
    verdict = verdict.model_copy(update={"extracted": sample.verdict.extracted, "how": sample.verdict.how})
    return Sample(verdict, sample.finish_reason, sample.prompt_tokens, sample.completion_tokens)


def _solution(
    asked: Asked, number: int, sample: Sample, difficulty: Difficulty, config: Config, ctx: Context
) -> Solution:
    problem = asked.problem
    attempt = ctx.again(load_format(asked.format).attempt(problem, number, _how(asked.format, config), ctx))
    assert sample.verdict is not None
    return Solution(
        **{name: getattr(problem, name) for name in CARRIED},
        problem_id=problem.id,
        response=attempt.response,
        reasoning=attempt.reasoning,
        turns=attempt.turns,
        format=asked.format,
        extracted=sample.verdict.extracted,
        verdict=sample.verdict,
        checks={**attempt.checks, **({"refused": attempt.fault.rule} if attempt.fault else {})},
        model=attempt.request.model,
        sampling=ctx.shown(attempt.request.sampling),
        seed=number,
        usage=attempt.usage,
        finish_reason=attempt.finish_reason,
        difficulty=difficulty,
    )
