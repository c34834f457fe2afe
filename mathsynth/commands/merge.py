"""Puts the shards of a run together, then runs once what needs all rows.

Checked first: all shards are there, finished, whole, of this recipe, and each row of the step that they share out is in
exactly one of them. Then lines are copied in the order of that step, so that the files are those of a run without
shards. Seconds are those of all shards together. Replies are linked, so a changed verifier still asks nothing here.
"""

from __future__ import annotations

import heapq
import os
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path

import orjson

from mathsynth.changes import differences
from mathsynth.errors import RunError, Stopped, UsageError
from mathsynth.executors.local import begin, other_files, write_shards
from mathsynth.lock import hold
from mathsynth.parts import KEPT, MERGED, PART, PLACES, SHARDS, Part, parse_part, parts_of, read_merged, read_places
from mathsynth.pipeline import Options, disk_errors, generate
from mathsynth.recipe import Recipe, Step, find_recipe, read_recipe
from mathsynth.records import content_id
from mathsynth.shards import (
    DROPPED,
    FAILED,
    MANIFEST,
    REPLIES,
    STEPS,
    Counts,
    Manifest,
    ModelUse,
    atomic,
    check_seals,
    open_lines,
    read_manifest,
    read_steps,
    seal,
    shard_name,
    write_json,
)

NAMED = 3
"""Rows that a complaint names."""


@dataclass(frozen=True)
class Shard:
    """One part of the run, finished. `manifests` by the name of the step's directory, in order."""

    part: Part
    directory: Path
    manifests: dict[str, Manifest]

    def lines(self, step: str, name: str) -> Iterator[bytes]:
        """The lines of a step's file, or of its kept rows, without line ends."""
        names = [sealed.file for sealed in self.manifests[step].shards] if name == KEPT else [name]
        directory = self.directory / step
        return chain.from_iterable(open_lines(directory / n) for n in names if (directory / n).exists())


def recipe_of(run: Path, moved_to: str | None = None, sets: Sequence[str] = ()) -> Recipe:
    """The recipe that the shards of a run were made with, and further overrides. UsageError if there is no shard."""
    directory = _directories(run)[0]
    noted = orjson.loads((directory / PART).read_bytes()) if (directory / PART).exists() else None
    if noted is None:
        raise RunError(f"{directory}: this shard has not begun")
    return read_recipe(find_recipe(moved_to or noted["recipe"]), [*noted["sets"], *sets])


def merge(recipe: Recipe, run: Path, options: Options) -> None:
    """Merge the shards of a run and do its other steps. RunError naming the shard that is missing or does not fit."""
    directories = _directories(run)
    with disk_errors(run), ExitStack() as locks:
        for directory in directories:
            locks.enter_context(hold(directory))
        shards = [_read(recipe, directory) for directory in directories]
        listed = {tuple(shard.manifests) for shard in shards}
        if len(listed) > 1:
            ends = ", ".join(f"{shard.part}: {[*shard.manifests][-1]}" for shard in shards[:10])
            raise RunError(f"{run}: its shards end at different steps ({ends}); run those that stopped earlier again")
        shared, *steps = listed.pop()
        marks = {name: content_id(*(_mark(shard.manifests[name]) for shard in shards)) for name in steps}
        with hold(run):
            _reopen(recipe, run, marks)

        def take(step: Step, directory: Path) -> Manifest | None:
            if step.directory not in marks:
                return None
            if step.directory == steps[0]:
                _check_rows(shards, run, shared)
            _link_replies(shards, run, step)
            return _merge_step(shards, step, directory, options)

        taken = [step for step in recipe.steps if step.directory in marks]
        options.say(f"merging {len(shards)} shards: {', '.join(step.name for step in taken)}")
        if line := _second_round(recipe, run, taken[-1], options.until):
            options.say(line)
        generate(recipe, run, replace(options, take=take))


def _directories(run: Path) -> list[Path]:
    """The directories of all shards of a run, in order."""
    found = {(part.of, part.index): part.directory(run) for part in parts_of(run)}
    if not found:
        raise UsageError(f"{run}: has no shards; they are made by `mathsynth generate RECIPE -o {run} --shard I/N`")
    if len(numbers := sorted({of for of, _ in found})) > 1:
        several = " and of ".join(map(str, numbers))
        raise RunError(f"{run / SHARDS}: holds shards of {several}; delete those that don't belong to this run")
    of = numbers[0]
    if missing := [f"{index}/{of}" for index in range(of) if (of, index) not in found]:
        raise RunError(f"{run / SHARDS}: no shard {', '.join(missing)}; run the same command with --shard {missing[0]}")
    return [found[of, index] for index in range(of)]


def _read(recipe: Recipe, directory: Path) -> Shard:
    """A shard with its files checked. RunError if it is not finished, damaged, or was made by another recipe."""
    named = directory.name.replace("-of-", "/")
    if not (directory / STEPS).exists() or not (directory / PART).exists():
        raise RunError(f"shard {named} has not begun; run it with --shard {named}")
    part = parse_part(orjson.loads((directory / PART).read_bytes())["shard"])
    if str(part) != named:
        raise RunError(f"{directory}: holds shard {part}; was it copied here?")
    listed = [entry.directory for entry in read_steps(directory)]
    steps = {step.directory: step for step in recipe.steps}
    if any(name not in steps for name in listed):
        differ = [line for step in recipe.steps for line in differences(recipe, step, directory) or []]
        raise RunError(f"shard {part} is of another recipe ({'; '.join(differ) or 'other steps'}); run it again")
    manifests = {}
    for name in listed:
        manifest = read_manifest(directory / name)
        if manifest is None:
            raise RunError(f"shard {part} is not finished: {steps[name].name} is not; run it with --shard {part}")
        check_seals(directory / name, manifest)
        _check_places(directory / name, manifest)
        manifests[name] = manifest
    return Shard(part, directory, manifests)


def _check_places(directory: Path, manifest: Manifest) -> None:
    """RunError if it can't be told what each line of a step's files was made of."""
    lines: Counter[str] = Counter()
    for _, made in read_places(directory):
        lines.update(made)
    wanted = {sealed.file: sealed.rows for sealed in manifest.files if sealed.file != PLACES and sealed.rows}
    if lines != Counter(wanted | {KEPT: manifest.counts.kept}):
        raise RunError(f"{directory / PLACES}: does not count the lines of this step's files; delete {directory}")


def _mark(manifest: Manifest) -> str:
    return content_id(*(sealed.xxh3 for sealed in [*manifest.shards, *manifest.files]))


def _reopen(recipe: Recipe, run: Path, marks: dict[str, str]) -> None:
    """Make way for shards that are not those merged before: for the first step that differs and what built on it."""
    merged, reopened = read_merged(run), False
    for step in recipe.steps:
        manifest = run / step.directory / MANIFEST
        name = step.directory
        if name in marks and manifest.exists() and name not in merged:
            raise RunError(f"{manifest.parent}: was made without shards; delete it to have the shards' rows")
        reopened = reopened or (name in marks and marks[name] != merged.get(name))
        if reopened:
            manifest.unlink(missing_ok=True)
    write_json(run / SHARDS / MERGED, merged | marks)


def _second_round(recipe: Recipe, run: Path, last: Step, until: str | None) -> str:
    """How a later step can be split too that asks a model and would now run here alone; empty if there is none."""
    before = last
    for step in recipe.steps[last.number + 1 :]:
        if before.name == until or (run / step.directory / MANIFEST).exists():
            break
        if step.splits and step.models:
            return (
                f"{step.name} runs in this process alone; to split it too, merge with --until {before.name}, "
                "then run the shards and the merge again"
            )
        before = step
    return ""


def _check_rows(shards: Sequence[Shard], run: Path, shared: str) -> None:
    """RunError unless every row of the step that the shards share out is in exactly one of them, and in its place."""
    manifest = read_manifest(run / shared)
    assert manifest is not None
    lines = chain.from_iterable(open_lines(run / shared / sealed.file) for sealed in manifest.shards)
    own = [shard.lines(shared, KEPT) for shard in shards]
    fits = all(next(own[place % len(own)], None) == line for place, line in enumerate(lines))
    if fits and all(next(rest, None) is None for rest in own):
        return
    owners: dict[str, list[str]] = defaultdict(list)
    for shard in shards:
        for line in shard.lines(shared, KEPT):
            owners[orjson.loads(line)["id"]].append(str(shard.part))
    there = chain.from_iterable(open_lines(run / shared / sealed.file) for sealed in manifest.shards)
    known = {orjson.loads(line)["id"]: None for line in there}
    faults = {
        "in no shard": [row for row in known if row not in owners],
        "in several": [f"{row} in {' and '.join(parts)}" for row, parts in owners.items() if len(parts) > 1],
        "not there": [f"{row} of shard {parts[0]}" for row, parts in owners.items() if row not in known],
    }
    told = [f"{len(rows)} {what} ({', '.join(rows[:NAMED])})" for what, rows in faults.items() if rows]
    raise RunError(
        f"the shards don't fit the rows of {run / shared}: {'; '.join(told) or 'they stand in another order'}. "
        "These are not what they were when the shards ran: run those that differ again with --fresh"
    )


def _merge_step(shards: Sequence[Shard], step: Step, directory: Path, options: Options) -> Manifest:
    manifests = [shard.manifests[step.directory] for shard in shards]
    begin(step, directory)
    reasons: dict[str, Counter[str]] = {DROPPED: Counter(), FAILED: Counter()}
    for name in sorted({sealed.file for manifest in manifests for sealed in manifest.files} - {PLACES}):
        with atomic(directory / name) as file:
            for line in _in_order(shards, step, name, options):
                file.write(line)
                if name in reasons:
                    row = orjson.loads(line)
                    reasons[name][row["reason" if name == DROPPED else "boundary"]] += 1
    kept = list(write_shards(_in_order(shards, step, KEPT, options), directory))
    manifest = Manifest(
        stage=step.stage,
        step=step.name,
        key=step.key,
        counts=Counts(
            read=sum(manifest.counts.read for manifest in manifests),
            kept=sum(sealed.rows for sealed in kept),
            dropped=dict(reasons[DROPPED]),
            failed=dict(reasons[FAILED]),
        ),
        shards=kept,
        files=other_files(directory, kept),
        models={name: _sum([manifest.models[name] for manifest in manifests]) for name in manifests[0].models},
        seconds=round(sum(manifest.seconds for manifest in manifests), 3),
        started=min(manifest.started for manifest in manifests),
        finished=max(manifest.finished for manifest in manifests),
        host=", ".join(sorted({manifest.host for manifest in manifests})),
        versions=manifests[0].versions,
    )
    write_json(directory / MANIFEST, manifest)
    return manifest


def _in_order(shards: Sequence[Shard], step: Step, name: str, options: Options) -> Iterator[bytes]:
    """The lines of one file of all shards, each with its line end, in the order of the rows that they were made of."""
    rows = [shard.lines(step.directory, name) for shard in shards]
    places = [_numbered(number, shard.directory / step.directory, name) for number, shard in enumerate(shards)]
    for _, number, lines in heapq.merge(*places):
        if options.stop:
            raise Stopped(options.stop.reason)
        for line in islice(rows[number], lines):
            yield line + b"\n"


def _numbered(number: int, directory: Path, name: str) -> Iterator[tuple[int, int, int]]:
    for place, lines in read_places(directory):
        yield place, number, lines.get(name, 0)


def _sum(uses: Sequence[ModelUse]) -> ModelUse:
    """What a model was asked in all shards."""
    total = uses[0]
    for use in uses[1:]:
        numbers = {key: getattr(total, key) + value for key, value in use.model_dump(exclude={"model"}).items()}
        total = total.model_copy(update=numbers)
    return total


def _link_replies(shards: Sequence[Shard], run: Path, step: Step) -> None:
    """The replies of all shards under the run's own journal, without a copy where the file system can link."""
    journal = run / REPLIES / step.replies
    for shard in shards:
        for packed in sorted((shard.directory / REPLIES / step.replies).glob("*.jsonl.zst")):
            journal.mkdir(parents=True, exist_ok=True)
            there = sorted(journal.glob("*.jsonl*"))
            if any(_same_file(packed, path) for path in there):
                continue
            number = max((int(path.name.split(".")[0]) for path in there), default=-1) + 1
            _link(packed, journal / f"{shard_name(number)}.zst")


def _same_file(one: Path, other: Path) -> bool:
    return one.samefile(other) or (one.stat().st_size == other.stat().st_size and seal(one).xxh3 == seal(other).xxh3)


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        with open(source, "rb") as file, atomic(target) as copy:
            shutil.copyfileobj(file, copy, 1 << 20)
