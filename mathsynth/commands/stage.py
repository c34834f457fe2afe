"""One stage as a command: rows from files, directories or stdin, through the stage, to a directory, a file or stdout.

A directory keeps everything (shards, dropped, failed, journal, manifest) and is up to date or goes on when the command
runs again. For `OUT.jsonl` these stand beside it in `OUT.jsonl.work/`; for `-` what is dropped is only counted.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, cast

from mathsynth.errors import UsageError
from mathsynth.pipeline import Options, run_stage
from mathsynth.recipe import INPUT, find_recipe, fresh_key, read_recipe_for
from mathsynth.records import Record
from mathsynth.report.lines import Asked, read
from mathsynth.report.wording import duration, percent
from mathsynth.shards import (
    PROBLEMS,
    Manifest,
    atomic,
    distinct,
    open_lines,
    read_manifest,
    read_record,
    refuse_two_of_one_step,
    seal,
)

STREAM = "-"


def run_stage_command(
    stage: str, inputs: Sequence[str], output: str, recipe: str | None, sets: Sequence[str], options: Options
) -> None:
    """Run `stage` over the rows of `inputs` into `output`. UsageError for whatever doesn't fit together."""
    inputs = distinct(inputs)
    refuse_two_of_one_step(path if path.is_dir() else path.parent for path in map(Path, inputs))
    sources = [{"path": os.path.abspath(path)} for path in inputs if stage == INPUT]
    found = read_recipe_for(stage, find_recipe(recipe) if recipe else None, sets, sources)
    for line in found.notes:
        options.say(line)
    step = found.steps[0]
    shards = [] if stage == INPUT else [path for given in inputs for path in _shards(given)]
    step = replace(step, key=fresh_key({**step.material, "rows": [_seal(path) for path in shards]}))
    records = read_records(shards)
    if output == STREAM:
        with tempfile.TemporaryDirectory(prefix="mathsynth-") as scratch:
            work = Path(scratch) / "work"
            manifest = run_stage(found, step, records, work, options)
            _copy(work, manifest, sys.stdout.buffer)
            told = summary(manifest, work)
    elif output.endswith((".jsonl", ".jsonl.zst")):
        work = Path(output + ".work")
        manifest = run_stage(found, step, records, work, options)
        _write(Path(output), work, manifest)
        told = summary(manifest, work)
    else:
        told = summary(run_stage(found, step, records, Path(output), options), Path(output))
    options.say(told)


def summary(manifest: Manifest, directory: Path) -> str:
    """The ledger of one stage in one line, with how often samples were right, if it took any, and its time."""
    counts = manifest.counts
    parts = [f"{manifest.stage}: read {counts.read}, kept {counts.kept}"]
    for what, by_reason in (("dropped", counts.dropped), ("failed", counts.failed)):
        if by_reason:
            named = ", ".join(f"{reason} {count}" for reason, count in sorted(by_reason.items()))
            parts.append(f"{what} {sum(by_reason.values())} ({named})")
    asked = [(line.corrects, line.trials - line.failed) for line in read(directory / PROBLEMS, Asked)]
    if replies := sum(number for _, number in asked):
        parts.append(f"pass rate {percent(sum(right for right, _ in asked) / replies)}")
    return ", ".join([*parts, duration(manifest.seconds)])


def read_records(shards: Iterable[Path | None]) -> Iterator[Record]:
    """The records of shard files, None being stdin."""
    for path in shards:
        lines = (line.rstrip(b"\r\n") for line in sys.stdin.buffer) if path is None else open_lines(path)
        for number, line in enumerate(lines, 1):
            if line:
                yield read_record(line, f"{path or 'stdin'}:{number}")


def _shards(given: str) -> list[Path | None]:
    """The shard files that an argument names: a file, the shards of a step directory, or stdin (None)."""
    path = Path(given)
    if given == STREAM:
        return [None]
    if path.is_dir():
        manifest = read_manifest(path)
        if manifest is None:
            raise UsageError(f"{path}: no manifest.json; give a finished step directory, or files")
        return [path / shard.file for shard in manifest.shards]
    if not path.is_file():
        raise UsageError(f"{path}: no such file or directory")
    return [path]


def _seal(path: Path | None) -> str:
    # Rows from a pipe can't be known beforehand, so they are never "up to date".
    return seal(path).xxh3 if path is not None else os.urandom(8).hex()


def _copy(work: Path, manifest: Manifest, out: BinaryIO) -> None:
    for shard in manifest.shards:
        with open(work / shard.file, "rb") as file:
            shutil.copyfileobj(file, out)
    out.flush()


def _write(path: Path, work: Path, manifest: Manifest) -> None:
    with atomic(path) as file:
        if path.suffix != ".zst":
            _copy(work, manifest, cast(BinaryIO, file))
            return
        from backports import zstd

        with zstd.open(file, "wb", level=3) as packed:
            _copy(work, manifest, cast(BinaryIO, packed))
