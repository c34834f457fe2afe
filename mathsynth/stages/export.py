"""Write the verified solutions as training files, with a split by problem, a data set card and trainers' side files.

Only rows with the verdict `correct` go out. A seed problem and all that was made from it are in one split.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import orjson
from pydantic import Field, model_validator

from mathsynth import training
from mathsynth.card import Split, Tally, write_card
from mathsynth.code_blocks import named_alike
from mathsynth.records import Outcoming, Record, Solution, Turn, content_id
from mathsynth.settings import ConfigError
from mathsynth.shards import atomic, write_json
from mathsynth.stages import Flow, StageConfig
from mathsynth.verifier import CUT, extract
from mathsynth.verifier.thinking import split

if TYPE_CHECKING:
    from mathsynth.context import Context

VERSION = 4
SCOPE = "all"
TAKES = (Solution,)
GIVES = Solution


class Config(StageConfig):
    """What the rows look like and where they go."""

    format: training.Format = "messages"
    """`messages` (role, content), `alpaca` (instruction, input, output), `sharegpt` (conversations: from, value), or
    `prompt_completion` (two texts; the prompt ends in a blank line, because trainers join them as they are). Rows with
    turns need one of the first two kinds of chat, where tool output has a role of its own and can be masked."""
    files: training.Files = "jsonl"
    """`jsonl`, `parquet`, or `datasets` (a folder for `datasets.load_from_disk`)."""
    validation: float = Field(default=0.0, ge=0, le=0.5)
    """Share of the rows that goes to a validation split, as near as whole problem families allow."""
    system: str | None = None
    """A system message for every row."""
    reasoning: Literal["keep", "strip", "field"] = "keep"
    """Thinking: `keep` what the response has, `strip` it, or give the assistant's message the `field`
    `reasoning_content` with it, which the chat templates of thinking models take (`messages` only). A row whose answer
    would go with it is put aside."""
    max_chars: int | None = Field(default=None, ge=1)
    """Longest question and response together, in characters; longer rows are put aside."""
    metadata: bool = True
    """Give each row its ids, source, licence, method, persona, model, sampling, verdict rule and token count."""

    @model_validator(mode="after")
    def _has_the_field(self) -> Config:
        if self.reasoning == "field" and self.format != "messages":
            raise ValueError(f"reasoning: field needs format: messages, for {self.format} has no place for it")
        return self

    def through(self, flow: Flow) -> Flow:
        """The same, if its format can hold them."""
        if flow.turns and self.format not in training.CHATS:
            kinds, can = " and ".join(sorted(flow.turns)), " or ".join(training.CHATS)
            said = f"{self.format} has one text, in which the turns of {kinds} solutions can't be told apart; {can} can"
            raise ConfigError([(("format",), said)])
        if "correct" not in flow.verdicts:
            raise ConfigError([((), f"only correct rows go out, but those before it are {', '.join(flow.verdicts)}")])
        return flow


def run(records: Iterable[Record], config: Config, ctx: Context) -> Iterator[Outcoming]:
    """The solutions that were exported; files and card are written once all rows were seen."""
    families, tally = Families(), Tally()
    # The split needs all rows first; they wait on disk, for there may be millions.
    waiting = ctx.directory / ".rows.tmp"
    try:
        with open(waiting, "wb") as file:
            for record in records:
                if not isinstance(record, Solution):
                    yield ctx.dropped(record, "not_a_solution", "a problem without a solution can't be trained on")
                    continue
                response, reason, detail = _response(record, config)
                if reason:
                    yield ctx.dropped(record, reason, detail)
                    continue
                turns: Sequence[Turn] = record.turns
                if record.format != "cot":  # a model learns one way to write a program
                    response, turns = named_alike(response), [_named_alike(turn) for turn in turns]
                row = training.render(config.format, record.question, response, config.system, turns)
                if config.reasoning == "field":
                    row["messages"][-1]["reasoning_content"] = _thinking(record)
                if config.metadata:
                    row["metadata"] = training.metadata(record)
                file.write(orjson.dumps([record.problem_id, row]) + b"\n")
                families.add(record)
                tally.add(record, response)
                yield record
        _write(waiting, families, tally, config, ctx)
    finally:
        waiting.unlink(missing_ok=True)


def _named_alike(turn: Turn) -> Turn:
    return turn.model_copy(update={"content": named_alike(turn.content)}) if turn.role == "assistant" else turn


def _response(solution: Solution, config: Config) -> tuple[str, str, str]:
    """(the text to train on, why the row is put aside or "", in words)."""
    verdict, text = solution.verdict, solution.response
    if verdict.outcome != "correct":
        return "", "not_correct", f"the verdict is {verdict.outcome}: {verdict.reason}"
    if solution.finish_reason in CUT:
        return "", "truncated", f"the reply was cut ({solution.finish_reason})"
    if config.reasoning != "keep":
        thought, text, closed = split(text)
        text = text.strip()
        if not closed:
            return "", "unclosed_reasoning", "its thinking is never closed"
        # A program gives its answer by printing it, and none in thinking was run.
        if thought is not None and solution.format == "cot" and not _gives_the_same(text, solution.response):
            return "", "answer_in_reasoning", "without its thinking it does not give its answer"
    if solution.turns and config.format not in training.CHATS:
        can = " or ".join(training.CHATS)
        return "", "has_turns", f"{config.format} has one text, in which tool output can't be masked; {can} can"
    if not text.strip():
        return "", "empty", "the response is empty"
    length = len(solution.question) + len(text)
    if config.max_chars is not None and length > config.max_chars:
        return "", "too_long", f"{length} characters, the limit is {config.max_chars}"
    return text, "", ""


def _thinking(solution: Solution) -> str:
    """All thinking of a row, never null, for then a column would have two types."""
    return "\n\n".join(filter(None, (solution.reasoning, split(solution.response).thought)))


def _gives_the_same(text: str, response: str) -> bool:
    left, whole = extract(text), extract(response)
    return left is not None and (whole is None or left.answer == whole.answer)


class Families:
    """Which problems belong together: by ancestry (`parents` are problem ids, the seed first) or by equal questions."""

    def __init__(self) -> None:
        self._above: dict[str, str] = {}
        self._seeds: dict[str, str] = {}
        self.rows: Counter[str] = Counter()

    def add(self, solution: Solution) -> None:
        """Count one row and join its problem with its ancestors."""
        problem, seed = solution.problem_id, str(solution.meta.get("root") or "")
        seed = seed or (solution.parents[0] if solution.parents else problem)
        same_text = content_id("question", " ".join(solution.question.casefold().split()))
        for relative in (seed, *solution.parents, same_text):
            self._join(problem, relative)
        self._seeds[problem] = seed
        self.rows[problem] += 1

    def of(self, problem: str) -> str:
        """The name of a problem's family: the same for all of its members."""
        top = problem
        while (above := self._above.get(top, top)) != top:
            top = above
        while problem != top:
            self._above[problem], problem = top, self._above[problem]
        return top

    def _join(self, one: str, other: str) -> None:
        first, second = sorted((self.of(one), self.of(other)))
        self._above[second] = first

    def validation(self, share: float) -> frozenset[str]:
        """The families that make `share` of all rows, as near as they allow; which ones, a hash of seeds decides."""
        rows: Counter[str] = Counter()
        order: dict[str, str] = {}
        for problem, count in self.rows.items():
            family, place = self.of(problem), content_id("validation", self._seeds[problem])
            rows[family] += count
            order[family] = min(order.get(family, place), place)
        wanted, taken, chosen = share * rows.total(), 0, set()
        for family in sorted(order, key=lambda name: order[name]):
            if abs(taken + rows[family] - wanted) < abs(taken - wanted):
                taken += rows[family]
                chosen.add(family)
        return frozenset(chosen)


def _write(waiting: Path, families: Families, tally: Tally, config: Config, ctx: Context) -> None:
    held_out = families.validation(config.validation)
    splits, paths = [], {}
    for name in ("train", "validation") if held_out else ("train",):
        inside = {problem for problem in families.rows if (families.of(problem) in held_out) == (name == "validation")}
        paths[name] = training.write_split(ctx.directory, name, _rows(waiting, inside), config.files)
        rows = sum(families.rows[problem] for problem in inside)
        splits.append(Split(name, paths[name], rows, len(inside), len({families.of(problem) for problem in inside})))
    if config.files == "datasets":
        training.finish_data_set(ctx.directory, paths)
    elif config.reasoning != "field":  # which LLaMA-Factory would leave out without a word
        name = re.sub(r"[^A-Za-z0-9_]+", "_", ctx.info.name) or "mathsynth"
        entries = training.llama_factory(name, config.format, config.system is not None, paths)
        write_json(ctx.directory / "dataset_info.json", entries)
    _text(
        ctx.directory / "axolotl.yaml",
        training.axolotl(config.format, config.system is not None, config.files, paths),
    )
    told = "in `reasoning_content` instead" if config.reasoning == "field" else config.reasoning
    card = write_card(tally, ctx.info, splits, row_format=config.format, reasoning=told)
    _text(ctx.directory / "README.md", card)


def _rows(waiting: Path, inside: set[str]) -> Iterator[dict[str, Any]]:
    with open(waiting, "rb") as file:
        for line in file:
            problem, row = orjson.loads(line)
            if problem in inside:
                yield row


def _text(path: Path, text: str) -> None:
    with atomic(path) as file:
        file.write(text.encode("utf-8"))
