"""Runs one step: drain the stage, write its shards, check the ledger, seal it with a manifest.

`Local` is the executor that does all work in this process and its own workers.
"""

from __future__ import annotations

import platform
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import orjson

import mathsynth
from mathsynth.backends import connect
from mathsynth.context import Context
from mathsynth.errors import RunError, Stopped
from mathsynth.executors import Executor
from mathsynth.parts import KEPT, PLACES, Part, PlaceWriter
from mathsynth.recipe import Step
from mathsynth.records import Dropped, Failed, Outcoming, Record
from mathsynth.shards import (
    DROPPED,
    FAILED,
    KEY,
    MANIFEST,
    REPLIES,
    SERVERS,
    Counts,
    FileSeal,
    Manifest,
    ModelUse,
    atomic,
    seal,
    shard_name,
    to_line,
    write_json,
)
from mathsynth.stages import load_stage
from mathsynth.verifier.worker import Checker

SHARD_ROWS = 1000
USE = ".use.json"
"""Where a step's replies begin in its journal, and what interrupted attempts at it counted."""


class Local:
    """This process."""

    connect = staticmethod(connect)
    checker = staticmethod(Checker)

    def rows(self, step: Step, records: Iterable[Record], ctx: Context) -> Iterator[Outcoming]:
        """The stage itself."""
        return load_stage(step.stage).run(iter(records), step.config, ctx)


@dataclass(frozen=True)
class Split:
    """How a step runs in a part of a run."""

    places: Iterator[int]
    """The place of each record, in order."""
    own: Part | None = None
    """For a step that needs all rows: of what it gives, only the rows of this part are written."""


def run_step(
    step: Step,
    records: Iterable[Record],
    directory: Path,
    ctx: Context,
    executor: Executor,
    rows: int | None,
    split: Split | None = None,
) -> Manifest:
    """Run a step into its directory. Whatever an interrupted attempt left there but replies is written anew.

    `rows` is how many records there are, if known. RunError if a record was lost, OSError if the disk refuses.
    """
    begin(step, directory)
    started, clock = datetime.now(UTC), time.monotonic()
    ctx.meter.total = rows
    ctx.show()
    done = False
    earlier: dict[str, Any] | None = None
    use: dict[str, ModelUse] = {}
    try:
        earlier = _earlier_attempts(step, directory, ctx)
        counts, shards = _drain(step, records, directory, ctx, executor, split)
        done = True
    finally:
        try:
            if earlier is not None:
                use = _models_use(step, directory, ctx, earlier)
        finally:
            ctx.close(done=done)
    manifest = Manifest(
        stage=step.stage,
        step=step.name,
        key=step.key,
        counts=counts,
        shards=shards,
        files=other_files(directory, shards),
        models=use,
        seconds=round(time.monotonic() - clock, 3),
        started=started.isoformat(timespec="seconds"),
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
        host=platform.node(),
        versions={"mathsynth": mathsynth.__version__, "python": platform.python_version(), **ctx.programs.told},
    )
    write_json(directory / MANIFEST, manifest)
    (directory / USE).unlink(missing_ok=True)
    return manifest


def begin(step: Step, directory: Path) -> None:
    """An empty directory for a step, but for what counts its replies, with the material of its key."""
    directory.mkdir(parents=True, exist_ok=True)
    for path in directory.iterdir():
        # Hidden ones are the lock, what other shells read and USE; `.tmp` is a file that was never finished.
        if path.is_file() and path.name != KEY and (path.name[0] != "." or path.suffix == ".tmp"):
            path.unlink()
    write_json(directory / KEY, {"key": step.key, "material": step.material})


def _drain(
    step: Step, records: Iterable[Record], directory: Path, ctx: Context, executor: Executor, split: Split | None
) -> tuple[Counts, list[FileSeal]]:
    ledger = _Ledger()
    dropped: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    with ExitStack() as files:
        dropped_file = files.enter_context(atomic(directory / DROPPED))
        failed_file = files.enter_context(atomic(directory / FAILED))
        if split is not None:
            ctx.places = PlaceWriter(files.enter_context(atomic(directory / PLACES)), split.places)

        def kept() -> Iterator[bytes]:
            for row in _made(step, records, ledger, ctx, executor, split):
                ledger.account(row)
                if isinstance(row, Dropped):
                    dropped[row.reason] += 1
                    dropped_file.write(to_line(row))
                    ctx.count(DROPPED)
                elif isinstance(row, Failed):
                    failed[row.boundary] += 1
                    failed_file.write(to_line(row))
                    ctx.count(FAILED)
                else:
                    ctx.count(KEPT)
                    ctx.meter.rows += 1
                    yield to_line(row)

        shards = list(write_shards(kept(), directory))
        if ctx.places is not None:
            ctx.places.flush()
    rows = sum(shard.rows for shard in shards)
    read = ledger.read or rows + sum(dropped.values())
    ledger.close(step.name, None if split is None or split.own else ctx.meter.done)
    return Counts(read=read, kept=rows, dropped=dict(dropped), failed=dict(failed)), shards


def _made(
    step: Step, records: Iterable[Record], ledger: _Ledger, ctx: Context, executor: Executor, split: Split | None
) -> Iterator[Outcoming]:
    """What a step makes of its records; in a part of a run, only its own rows of a step that needs all."""
    if split is None or split.own is None:
        yield from executor.rows(step, ledger.reading(records, ctx), ctx)
        return
    # The input is cheap to read again. What another such step made is in the run's own directory.
    for row in records if step.number else executor.rows(step, iter(()), ctx):
        if ctx.stopping:
            raise Stopped(ctx.stopping)
        # A row put aside goes with the one after it.
        if split.own.owns(ctx.meter.done):
            yield row
        ctx.meter.done += not isinstance(row, (Dropped, Failed))


def write_shards(lines: Iterator[bytes], directory: Path) -> Iterator[FileSeal]:
    """Write lines as numbered files of SHARD_ROWS each."""
    number, line = 0, next(lines, None)
    while line is not None:
        path = directory / shard_name(number)
        with atomic(path) as file:
            line = _fill(file, line, lines)
        yield seal(path)
        number += 1


def _fill(file: IO[bytes], line: bytes, lines: Iterator[bytes]) -> bytes | None:
    """Write a shard's worth of lines, the first one given; the line that begins the next shard."""
    following: bytes | None = line
    for _ in range(SHARD_ROWS):
        if following is None:
            break
        file.write(following)
        following = next(lines, None)
    return following


def other_files(directory: Path, shards: list[FileSeal]) -> list[FileSeal]:
    """Everything that the stage wrote beside its shards. A stage command keeps more there."""
    apart = {KEY, MANIFEST, REPLIES, SERVERS, *(shard.file for shard in shards)}
    found = []
    for path in sorted(directory.rglob("*")):
        name = path.relative_to(directory)
        if path.is_file() and path.name[0] != "." and name.parts[0] not in apart:
            found.append(seal(path).model_copy(update={"file": str(name)}))
    return found


def _earlier_attempts(step: Step, directory: Path, ctx: Context) -> dict[str, Any]:
    """What is known of interrupted attempts at this step; the replies that they got count as asked for by it."""
    if not step.models:
        return {"models": {}}
    path = directory / USE
    earlier: dict[str, Any] = orjson.loads(path.read_bytes()) if path.exists() else {}
    if earlier.get("key") == step.key:
        ctx.journal.since(tuple(earlier["since"]))
        return earlier
    earlier = {"key": step.key, "since": ctx.journal.end, "models": {}}
    write_json(path, earlier)
    return earlier


def _models_use(step: Step, directory: Path, ctx: Context, earlier: dict[str, Any]) -> dict[str, ModelUse]:
    """What the models were asked for this step, in this attempt and the interrupted ones before it."""
    use = {}
    for name in step.models:
        now = ctx.callers[name].use if name in ctx.callers else ModelUse(model=step.models[name].model)
        before = ModelUse.model_validate(earlier["models"].get(name, {"model": now.model}))
        more = {part: getattr(before, part) + getattr(now, part) for part in ("errors", "timed", "seconds")}
        use[name] = now.model_copy(update=more)
    if use:
        models = {name: model.model_dump(mode="json") for name, model in use.items()}
        write_json(directory / USE, earlier | {"models": models})
    return use


class _Ledger:
    """Which records a stage still owes an answer for: each must be kept, dropped, failed or become a parent."""

    def __init__(self) -> None:
        self.read = 0
        self._owing: set[str] = set()

    def reading(self, records: Iterable[Record], ctx: Context) -> Iterator[Record]:
        for record in records:
            if ctx.stopping:
                raise Stopped(ctx.stopping)
            self.read += 1
            self._owing.add(record.id)
            yield record

    def account(self, row: Outcoming) -> None:
        if not self._owing:
            return
        fields: dict[str, Any] = row.row if isinstance(row, (Dropped, Failed)) else row.__dict__
        self._owing.difference_update((fields.get("id", ""), fields.get("problem_id", ""), *fields.get("parents", ())))

    def close(self, step: str, done: int | None) -> None:
        """RunError if a record was lost, or if it can't be told which rows were made of which record."""
        if done is not None and done != self.read:
            raise RunError(
                f"step {step}: {done} of {self.read} records are counted as done; this is a bug of the stage"
            )
        if self._owing:
            raise RunError(
                f"step {step}: {len(self._owing)} of {self.read} records are neither kept nor dropped nor failed, "
                f"the first {min(self._owing)}; this is a bug of the stage"
            )
