"""The numbers of a run, gathered from its directory in one stream per file: memory does not grow with the rows.

It reads manifests, shards, `problems.jsonl`, `dropped.jsonl`, `failed.jsonl` and `rejected.jsonl`, of the journals of
replies only what each cost, and checks while it reads that every row is accounted for. What is not finished yet is
shown as such.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from mathsynth.errors import RunError
from mathsynth.journal import Tokens
from mathsynth.report.collect import Example, Group, PassBin, Right, Sampling, Tally
from mathsynth.report.lines import Aside, Asked, Row, read
from mathsynth.report.tallies import Lengths, Names
from mathsynth.report.unmerged import shards_of, shards_told, spent_with
from mathsynth.shards import (
    COINCIDENCE,
    DROPPED,
    FAILED,
    PROBLEMS,
    REJECTED,
    STEPS,
    FileSeal,
    Manifest,
    ModelUse,
    open_lines,
    read_manifest,
    read_steps,
    steps_below,
)

__all__ = ["Example", "Group", "PassBin", "Right", "RunNumbers", "Sampling", "Stage", "gather"]

RECIPE, REPORT = "recipe.yaml", "report.html"
ONE_TO_ONE = frozenset({"verify", "dedupe", "export"})
"""Stages that make no row: what they read is exactly what they keep, drop or fail. Others make several of one."""
TRAIN = ("train.jsonl", "train.parquet", "dataset/train")


@dataclass(frozen=True)
class Stage:
    """One step of a run. Rows are `problems` or `solutions`; "" before the first one is written."""

    step: str
    stage: str
    directory: Path
    done: bool = False
    rows: str = ""
    read: int = 0
    kept: int = 0
    dropped: tuple[tuple[str, int], ...] = ()
    """Reason and rows, most first."""
    failed: tuple[tuple[str, int], ...] = ()
    """Boundary and rows, most first."""
    seconds: float = 0.0
    models: tuple[ModelUse, ...] = ()
    spent: Tokens = field(default_factory=Tokens)
    """What its journal holds, asked for by whichever settings."""

    @property
    def dropped_rows(self) -> int:
        """Rows put aside."""
        return sum(number for _, number in self.dropped)

    @property
    def failed_rows(self) -> int:
        """Rows that could not be worked on."""
        return sum(number for _, number in self.failed)

    @property
    def one_to_one(self) -> bool:
        """Whether it made no row: what it read is what it kept, dropped or failed."""
        return self.read == self.kept + self.dropped_rows + self.failed_rows

    @property
    def requests(self) -> int:
        """Replies over the wire."""
        return sum(use.requests for use in self.models)

    @property
    def reused(self) -> int:
        """Replies found on disk."""
        return sum(use.reused for use in self.models)

    @property
    def timed(self) -> int:
        """Completion tokens that came in the seconds with a request under way."""
        return sum(use.timed for use in self.models)

    @property
    def busy(self) -> float:
        """Seconds with a request under way."""
        return max((use.seconds for use in self.models), default=0.0)

    @property
    def tokens_per_second(self) -> float | None:
        """Completion tokens over the seconds with a request under way; None if no token was generated."""
        return self.timed / self.busy if self.timed and self.busy else None


@dataclass(frozen=True)
class RunNumbers:
    """All that is said of a run."""

    name: str
    run: Path
    recipe: str
    """The resolved recipe, "" for the directory of a single stage command."""
    stages: tuple[Stage, ...]
    spent: tuple[tuple[str, Tokens], ...]
    """What was asked of models and what they said, by step; also by steps that the recipe had earlier."""
    shards: str
    """What shards that are not merged have come to, "" if there is none."""
    complaints: tuple[str, ...]
    """What is not accounted for, one line each; empty if every row is."""
    sampling: Sampling | None
    rows: int
    """Solutions that came out of the last finished step that holds solutions."""
    problems: int
    """Different problems among them."""
    rows_from: str
    """The name of that step, "" if there is none."""
    tokens: Lengths
    characters: Lengths
    finish_reasons: Names
    rules: Names
    """Verdict rules of the rows."""
    undecided: Names
    """Rules by which samples could not be decided, as far as such samples were written."""
    personas: Names
    errors: Names
    """What failed rows met."""
    tutor_turns: int
    """Turns of the tutor in the dialogues among the rows, but for the last of each."""
    python_turns: int
    """Those for which a program was run."""
    right: tuple[Right, ...]
    beginnings: tuple[int, int]
    """Beginnings of wrong programs that were proved, and those that only by coincidence reached a right one's state."""
    examples: tuple[Example, ...]
    dropped: tuple[Example, ...]
    train: Path | None
    """The training file or data set that was exported."""

    @property
    def report(self) -> Path:
        """Where the page is."""
        return self.run / REPORT

    @property
    def done(self) -> bool:
        """Whether every step is finished."""
        return all(stage.done for stage in self.stages)

    @property
    def total(self) -> Tokens:
        """What the whole run took."""
        return Tokens(*map(sum, zip(*(tokens for _, tokens in self.spent), strict=True))) if self.spent else Tokens()

    @property
    def beside(self) -> int:
        """Tokens of `sample` that are not of samples that count: surplus and failed ones, those of other settings."""
        sampled = sum(stage.spent.all for stage in self.stages if stage.stage == "sample")
        return max(0, sampled - self.sampling.tokens) if self.sampling else 0

    @property
    def seconds(self) -> float:
        """Seconds worked, all steps together."""
        return sum(stage.seconds for stage in self.stages)

    @property
    def reused(self) -> int:
        """Replies found on disk."""
        return sum(stage.reused for stage in self.stages)

    @property
    def tokens_per_second(self) -> float | None:
        """Completion tokens over the seconds with a request under way; None if no token was generated."""
        busy = sum(stage.busy for stage in self.stages)
        made = sum(stage.timed for stage in self.stages)
        return made / busy if made and busy else None


def gather(run: Path) -> RunNumbers:
    """The numbers of a run directory, or of the directory of a single stage. RunError if it is neither."""
    names = _steps(run)
    manifests = [read_manifest(directory) for _, _, directory in names]
    stages, complaints = [], []
    shards = shards_of(run)
    journals = spent_with(run, shards)
    tally = Tally()
    before: Manifest | None = None
    proved = by_chance = 0
    kinds = [_kind(directory, manifest) for (_, _, directory), manifest in zip(names, manifests, strict=True)]
    last = max((place for place, rows in enumerate(kinds) if rows == "solutions"), default=None)
    rows_from = "" if last is None else names[last][0]
    if last is not None and (sealed := manifests[last]) is not None:
        for row in _rows(names[last][2], sealed):
            tally.keep(rows_from, row)
    for (step, stage, directory), manifest, rows in zip(names, manifests, kinds, strict=True):
        tokens = journals.pop(_journal(run, directory), Tokens())
        if manifest is None:
            stages.append(Stage(step, stage, directory, spent=tokens))
            before = None
            continue
        complaints += [f"{step}: {fault}" for fault in _faults(directory, manifest, before)]
        stages.append(_stage(step, stage, directory, manifest, rows, tokens))
        complaints += [f"{step}: {fault}" for fault in _asides(step, directory, manifest, tally)]
        for asked in read(directory / PROBLEMS, Asked):
            tally.ask(asked, _model(manifest, asked.model))
        for row in read(directory / REJECTED, Row):
            tally.reject(row)
        if (path := directory / COINCIDENCE).exists():
            told = orjson.loads(path.read_bytes())
            proved, by_chance = proved + told["samples"]["proved"], by_chance + told["coincidences"]
        if stage == "verify":
            for row in _rows(directory, manifest):
                tally.check(row)
        before = manifest
    by_step = [*((stage.step, stage.spent) for stage in stages), *journals.items()]
    return RunNumbers(
        name=run.resolve().name,
        run=run,
        recipe=(run / RECIPE).read_text("utf-8", "replace") if (run / RECIPE).exists() else "",
        stages=tuple(stages),
        spent=tuple((name, tokens) for name, tokens in by_step if tokens.replies),
        shards=shards_told(run, shards) if shards else "",
        complaints=tuple(complaints),
        sampling=tally.sampling(),
        rows=tally.tokens.number,
        problems=tally.distinct.number(),
        rows_from=rows_from,
        tokens=tally.tokens,
        characters=tally.characters,
        finish_reasons=tally.finish_reasons,
        rules=tally.rules,
        undecided=tally.undecided,
        personas=tally.personas,
        errors=tally.errors,
        tutor_turns=tally.tutor_turns,
        python_turns=tally.python_turns,
        right=tally.right(),
        beginnings=(proved, by_chance),
        examples=tally.examples(),
        dropped=tally.dropped(),
        train=_train(stages),
    )


def _steps(run: Path) -> list[tuple[str, str, Path]]:
    """Name, stage and directory of each step, in order."""
    if listed := read_steps(run):
        return [(step, stage, run / directory) for step, stage, directory in listed]
    if shards := shards_of(run):
        raise RunError(f"{run}: no numbers before the merge: {shards_told(run, shards)}")
    manifest = read_manifest(run)
    if manifest is None:
        raise RunError(
            f"{run}: holds neither {STEPS} nor a finished stage, so it is no run of mathsynth{steps_below(run)}"
        )
    return [(manifest.step, manifest.stage, run)]


def _journal(run: Path, directory: Path) -> str:
    """What `spent` calls the journal of a step: its directory without the hash."""
    return "" if directory == run else directory.name.rpartition("-")[0]


def _stage(step: str, stage: str, directory: Path, manifest: Manifest, rows: str, tokens: Tokens) -> Stage:
    counts = manifest.counts
    return Stage(
        step=step,
        stage=stage,
        directory=directory,
        done=True,
        rows=rows,
        read=counts.read,
        kept=counts.kept,
        dropped=_most_first(counts.dropped),
        failed=_most_first(counts.failed),
        seconds=manifest.seconds,
        models=tuple(manifest.models.values()),
        spent=tokens,
    )


def _most_first(counts: dict[str, int]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _kind(directory: Path, manifest: Manifest | None) -> str:
    """What the rows of a finished stage are, as the first one tells."""
    for sealed in manifest.shards if manifest else ():
        if (directory / sealed.file).exists():
            for line in open_lines(directory / sealed.file):
                return "solutions" if b'"response":' in line else "problems"
    return ""


def _rows(directory: Path, manifest: Manifest) -> Iterator[Row]:
    for sealed in manifest.shards:
        yield from read(directory / sealed.file, Row)


def _model(manifest: Manifest, name: str) -> str:
    """The model behind a name of the recipe."""
    return manifest.models[name].model if name in manifest.models else name


def _faults(directory: Path, manifest: Manifest, before: Manifest | None) -> Iterator[str]:
    """What does not add up in the counts of a finished stage, and the files that are not as they were written."""
    counts = manifest.counts
    out = counts.kept + sum(counts.dropped.values()) + sum(counts.failed.values())
    if before is not None and counts.read != before.counts.kept:
        yield f"read {counts.read} rows, but the step before kept {before.counts.kept}"
    if out < counts.read:
        yield f"{counts.read - out} of {counts.read} rows are neither kept nor dropped nor failed"
    if out > counts.read and manifest.stage in ONE_TO_ONE:
        yield f"{out} rows came out of {counts.read}"
    written = sum(sealed.rows for sealed in manifest.shards)
    if written != counts.kept:
        yield f"kept {counts.kept} rows, but its shards hold {written}"
    for sealed in [*manifest.shards, *manifest.files]:
        yield from _changed(directory, sealed)


def _changed(directory: Path, sealed: FileSeal) -> Iterator[str]:
    path = directory / sealed.file
    if not path.exists():
        yield f"{path} is missing"
    elif path.stat().st_size != sealed.bytes:
        yield f"{path} was edited after it was written"


def _asides(step: str, directory: Path, manifest: Manifest, tally: Tally) -> Iterator[str]:
    """Count the rows put aside; what differs from the manifest."""
    dropped, failed = Names(), Names()
    for aside in read(directory / DROPPED, Aside):
        dropped.add(aside.reason)
        tally.drop(step, manifest.stage, aside)
    for aside in read(directory / FAILED, Aside):
        failed.add(aside.boundary)
        tally.fail(aside)
    for name, found, counts in (
        (DROPPED, dropped, manifest.counts.dropped),
        (FAILED, failed, manifest.counts.failed),
    ):
        for reason in sorted({*found, *counts}):
            if found[reason] != counts.get(reason, 0):
                yield f"{name} holds {found[reason]} rows of `{reason}`, the manifest says {counts.get(reason, 0)}"


def _train(stages: list[Stage]) -> Path | None:
    for stage in reversed(stages):
        for name in TRAIN:
            if stage.done and stage.stage == "export" and (stage.directory / name).exists():
                return stage.directory / name
    return None
