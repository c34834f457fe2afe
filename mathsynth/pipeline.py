"""Runs a recipe's steps in order: skip what is done, read, call, write, manifest last.

The same command again goes on where the last one stopped. One process at a time writes a run. What changed since the
last run is said before anything is asked: which keys differ, which steps stay valid, whether replies are asked again.
"""

from __future__ import annotations

import fcntl
import os
import platform
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import orjson

from mathsynth.backends import connect
from mathsynth.backends.base import Reply, Request
from mathsynth.budget import Purse, opened
from mathsynth.context import Context, RunInfo, Stop
from mathsynth.errors import RunError, Stopped, UsageError
from mathsynth.executors import local
from mathsynth.live import CONTROL, STATUS, Live
from mathsynth.progress import Display, Meter, Silent
from mathsynth.recipe import Recipe, Step
from mathsynth.records import Record
from mathsynth.report.numbers import gather
from mathsynth.report.page import page
from mathsynth.servers import Fleet
from mathsynth.settings import unknown
from mathsynth.shards import (
    KEY,
    MANIFEST,
    REPLIES,
    SERVERS,
    Manifest,
    atomic,
    check_seals,
    read_failed,
    read_manifest,
    read_rows,
    write_json,
)

LOCK, RECIPE, STEPS, REPORT = ".lock", "recipe.yaml", "steps.json", "report.html"


@dataclass(frozen=True)
class Options:
    """What the command line says about one run of a recipe."""

    until: str | None = None
    fresh: bool = False
    retry_failed: bool = False
    command: str = ""
    say: Callable[[str], None] = lambda line: None
    """Where one-line messages go."""
    display: Display = field(default_factory=Silent)
    stop: Stop = field(default_factory=Stop)
    watch: Callable[[str, Request, Reply], None] | None = None
    """Told of every reply, with the name of the step that asked."""


def generate(recipe: Recipe, run: Path, options: Options) -> Path:
    """Run the recipe into `run` and write its report; the report's path.

    RunError if the directory can't be used or too much failed, Stopped if the run was told to end early.
    """
    steps = _until(recipe, options.until)
    with disk_errors(run), hold(run), _live(recipe, run, options) as live:
        if options.fresh:
            _clear(run)
        if options.retry_failed:
            _forget_failures(recipe, run, options.say)
        for line in changes(recipe, run):
            options.say(line)
        with atomic(run / RECIPE) as file:
            file.write(recipe.text.encode())
        _write_key_texts(run, recipe.steps)
        done = all((run / step.directory / MANIFEST).exists() for step in steps)
        purse = _purse(recipe)
        with opened(purse, run / REPLIES), _fleet(recipe, run, options) as fleet:
            manifest = _run_steps(_Run(recipe, options, live, purse, fleet), run, steps)
        if done:
            options.say("every step was done before; nothing was asked")
        report = write_report(run)
        if manifest is not None and not manifest.counts.kept:
            raise RunError(f"no row is left after {steps[-1].name}; {report} and `mathsynth show {run}` tell why")
        return report


@dataclass(frozen=True)
class _Run:
    """What all steps of one run share."""

    recipe: Recipe
    options: Options
    live: Live
    purse: Purse
    fleet: Fleet


def _run_steps(run: _Run, directory: Path, steps: Sequence[Step]) -> Manifest | None:
    """The manifest of the last step, once all that were not done before are done."""
    manifest: Manifest | None = None
    source: Path | None = None
    for number, step in enumerate(steps, 1):
        place = directory / step.directory
        before = manifest
        manifest = read_manifest(place)
        if manifest is not None:
            check_seals(place, manifest)
        else:
            if run.options.stop:
                raise Stopped(run.options.stop.reason)
            meter = Meter(step.name, number, len(steps))
            ctx = _context(run, step, place, directory / REPLIES / step.replies, meter)
            records = read_rows(source, [s.file for s in before.shards]) if source and before else iter(())
            with _saying_what_it_bought(run.purse, meter):
                manifest = local.run_step(
                    _shown(run.recipe, step), records, place, ctx, before.counts.kept if before else None
                )
        _refuse_mass_failure(run.recipe, step, place, manifest)
        source = place
    return manifest


def run_stage(recipe: Recipe, step: Step, records: Iterable[Record], directory: Path, options: Options) -> Manifest:
    """One step as a command: from records into a stage directory that holds its own journal."""
    with disk_errors(directory), hold(directory):
        manifest = read_manifest(directory)
        if manifest is not None and manifest.key == step.key and not options.fresh:
            check_seals(directory, manifest)
            options.say(f"{directory}: up to date")
            return manifest
        (directory / MANIFEST).unlink(missing_ok=True)
        purse, meter = _purse(recipe), Meter(step.name)
        with _live(recipe, directory, options) as live, _fleet(recipe, directory, options) as fleet:
            ctx = _context(_Run(recipe, options, live, purse, fleet), step, directory, directory / REPLIES, meter)
            with opened(purse, directory / REPLIES), _saying_what_it_bought(purse, meter):
                return local.run_step(_shown(recipe, step), records, directory, ctx, None)


def write_report(run: Path) -> Path:
    """The HTML page of a run as it stands."""
    path = run / REPORT
    with atomic(path) as file:
        file.write(page(gather(run)).encode())
    return path


@contextmanager
def disk_errors(directory: Path) -> Iterator[None]:
    """A disk that is full or refuses is no bug: RunError in its place."""
    try:
        yield
    except OSError as error:
        if error.errno is None or isinstance(error, BrokenPipeError):
            raise
        raise RunError(
            f"{error.filename or directory}: {error.strerror}; what is finished is kept, "
            "the same command goes on once this is mended"
        ) from None


@contextmanager
def hold(directory: Path) -> Iterator[None]:
    """The right to write a run. RunError naming who has it, or if something else lives in the directory."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        there = {path.name for path in directory.iterdir()}
    except OSError as error:
        raise RunError(f"{directory}: {error.strerror}") from None
    if there and not there & {LOCK, RECIPE, MANIFEST, KEY}:
        raise UsageError(f"{directory}: not empty and not a run of mathsynth; choose another directory")
    handle = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        if not _lock(handle):
            holder = holder_of(directory) or "another process"
            raise RunError(f"{directory}: {holder} is writing this run; wait for it or stop it")
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"process {os.getpid()} on {platform.node()}\n".encode(), 0)
        yield
    finally:
        os.close(handle)


def _lock(handle: int) -> bool:
    """Whether the lock could be had. `held` has it for a moment when it looks, so one refusal is none."""
    for wait in (0.05, 0.05, 0.0):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except OSError:
            time.sleep(wait)
    return False


def held(directory: Path) -> bool:
    """Whether a process, on this machine or another, is writing this run now."""
    try:
        with open(directory / LOCK, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False


def holder_of(directory: Path) -> str:
    """Who wrote this run last, or does now: `process 12 on gpu1`."""
    lock = directory / LOCK
    return lock.read_bytes().decode("utf-8", "replace").strip() if lock.exists() else ""


def changes(recipe: Recipe, run: Path) -> list[str]:
    """What is different from the last run in this directory, in lines for the user; empty if nothing is."""
    valid, again, keys = [], [], []
    for step in recipe.steps:
        if (run / step.directory / MANIFEST).exists():
            valid.append(step.name)
            continue
        old = _last_key(run, step)
        if old is None or old["key"] == step.key:
            continue
        material = _shown(recipe, step).material
        differ = list(_differences(old["material"], material, step.name))
        if old["material"] == material:
            differ = [f"{step.name}.models: a value that comes from the environment"]
        keys += differ
        asks = any(".prompts." in d or ".models." in d or ".sampling" in d or ".seed" in d for d in differ)
        if not step.models:
            again.append(step.name)
        elif asks:
            again.append(f"{step.name} (its requests differ: they are asked again)")
        else:
            again.append(f"{step.name} (replies on disk are used, only new requests are asked)")
    if not again:
        return []
    return [
        "the recipe changed since the last run here:",
        *(f"  {line}" for line in keys),
        f"  still valid: {', '.join(valid) or 'nothing'}",
        f"  run again: {', '.join(again)}",
    ]


def _shown(recipe: Recipe, step: Step) -> Step:
    """The step as it may be written down: its key's material without what came from the environment."""
    return replace(step, material=recipe.document.redact(step.material))


def _last_key(run: Path, step: Step) -> dict[str, Any] | None:
    """`key.json` of the same step in the last run here, or the newest one if that run ended before it."""
    listed = orjson.loads((run / STEPS).read_bytes())["steps"] if (run / STEPS).exists() else []
    found = sorted(run.glob(f"{step.replies}-????????/{KEY}"), key=lambda path: path.stat().st_mtime)
    last = [run / entry["directory"] / KEY for entry in listed if entry["step"] == step.name]
    found += [path for path in last if path.exists()]
    return cast("dict[str, Any]", orjson.loads(found[-1].read_bytes())) if found else None


def _differences(old: Any, new: Any, place: str) -> Iterator[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted({*old, *new}):
            if key != "before":
                yield from _differences(old.get(key), new.get(key), f"{place}.{key}".replace(".config.", "."))
    elif old != new:
        yield f"{place}: {_short(old)} -> {_short(new)}"


def _short(value: Any) -> str:
    text = orjson.dumps(value).decode()
    return text if len(text) <= 60 else text[:57] + "..."


def _until(recipe: Recipe, until: str | None) -> Sequence[Step]:
    if until is None:
        return recipe.steps
    names = [step.name for step in recipe.steps]
    if until not in names:
        raise UsageError(f"--until {until}: {unknown(until, names, 'step')}")
    return recipe.steps[: names.index(until) + 1]


def _live(recipe: Recipe, directory: Path, options: Options) -> Live:
    in_flight = {name: model.max_in_flight.most for name, model in recipe.models.items()}
    return Live(directory, options.display, options.command, in_flight)


def _fleet(recipe: Recipe, directory: Path, options: Options) -> Fleet:
    return Fleet(directory / SERVERS, options.say, recipe.document.redact)


def _purse(recipe: Recipe) -> Purse:
    return Purse(recipe.head.budget, {model.model: model.price for model in recipe.models.values() if model.price})


@contextmanager
def _saying_what_it_bought(purse: Purse, meter: Meter) -> Iterator[None]:
    """Tells the user, if the budget is why a step stopped."""
    try:
        yield
    except Stopped:
        if not purse.reason:
            raise
        raise Stopped(
            f"{purse.reason}: {purse.bill()} bought {purse.replies:,} replies; {meter.step} has {meter.rows:,} rows of "
            f"{meter.done:,} finished problems, {meter.correct:,} of {meter.graded:,} graded replies are right",
            then="the same command with a larger budget goes on",
        ) from None


def _context(run: _Run, step: Step, directory: Path, replies: Path, meter: Meter) -> Context:
    recipe, options = run.recipe, run.options
    return Context(
        stage=step.name,
        directory=directory,
        replies=replies,
        base=recipe.base,
        seed=recipe.head.seed,
        models=step.models,
        connect=connect,
        prompts=step.prompts,
        policy=recipe.policy,
        info=RunInfo(
            name=recipe.name,
            recipe=recipe.text,
            command=options.command,
            models={name: model.model for name, model in recipe.models.items()},
        ),
        meter=meter,
        display=run.live,
        stop=options.stop,
        hear=run.live.control,
        watch=options.watch,
        redact=recipe.document.redact,
        purse=run.purse,
        fleet=run.fleet,
    )


def _write_key_texts(run: Path, steps: Sequence[Step]) -> None:
    listed = [{"step": step.name, "stage": step.stage, "directory": step.directory} for step in steps]
    write_json(run / STEPS, {"schema": 1, "steps": listed})


def _clear(run: Path) -> None:
    for path in run.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name not in (LOCK, STATUS, CONTROL):
            path.unlink()


def _forget_failures(recipe: Recipe, run: Path, say: Callable[[str], None]) -> None:
    """Reopen the first step with failed rows and all that built on it; their replies stay."""
    reopened = False
    for step in recipe.steps:
        directory = run / step.directory
        manifest = read_manifest(directory)
        if manifest is None:
            return
        failed = sum(manifest.counts.failed.values())
        if failed and not reopened:
            say(f"asking {failed} failed {'row' if failed == 1 else 'rows'} of {step.name} again")
        reopened = reopened or failed > 0
        if reopened:
            (directory / MANIFEST).unlink()
    if not reopened:
        say("no row failed; there is nothing to ask again")


def _refuse_mass_failure(recipe: Recipe, step: Step, directory: Path, manifest: Manifest) -> None:
    """RunError if more than the stated share of a step's calls (or rows, without a model) failed."""
    failed = sum(manifest.counts.failed.values())
    if not failed:
        return
    answered = sum(use.requests + use.reused for use in manifest.models.values())
    share = failed / (failed + answered if manifest.models else max(manifest.counts.read, failed))
    if share > recipe.head.max_failed_share:
        first = next(read_failed(directory))
        raise RunError(
            f"{step.name}: {failed} failed ({share:.0%}, max_failed_share is {recipe.head.max_failed_share:.0%}); "
            f"the first: {first.error}. All are in {directory / 'failed.jsonl'}; --retry-failed asks only those again"
        )
