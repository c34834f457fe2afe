"""Runs a recipe's steps in order: skip what is done, read, call, write, manifest last.

The same command again goes on where the last one stopped. One process at a time writes a run. What changed since the
last run is said before anything is asked: which keys differ, which steps stay valid, whether replies are asked again.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from mathsynth.backends.base import Reply, Request
from mathsynth.budget import Budget, Purse, opened
from mathsynth.changes import changes, shown, write_steps
from mathsynth.context import Context
from mathsynth.errors import RunError, Stopped, UsageError
from mathsynth.executors import Executor, local
from mathsynth.executors.local import Local, Split
from mathsynth.executors.ray import Cluster
from mathsynth.live import CONTROL, STATUS, Live, RunInfo, Stop
from mathsynth.lock import LOCK, RECIPE, hold, refuse_strange
from mathsynth.parts import (
    MERGED,
    SHARDS,
    Part,
    places_of_rows,
    refuse_another_split,
    refuse_done_whole,
    refuse_other_run,
    write_part,
)
from mathsynth.progress import Display, Meter, Silent
from mathsynth.recipe import Recipe, Step
from mathsynth.records import Record
from mathsynth.report.numbers import gather
from mathsynth.report.page import page
from mathsynth.safety import sandbox_of
from mathsynth.sandbox.pool import Sandbox
from mathsynth.servers import Fleet
from mathsynth.settings import unknown
from mathsynth.shards import (
    MANIFEST,
    REPLIES,
    SERVERS,
    Manifest,
    atomic,
    check_seals,
    is_step,
    read_failed,
    read_manifest,
    read_rows,
)

REPORT = "report.html"


@dataclass(frozen=True)
class Options:
    """What the command line says about one run of a recipe."""

    until: str | None = None
    fresh: bool = False
    retry_failed: bool = False
    part: Part | None = None
    """Work on this part of the problems alone, in its own directory inside the run, as far as steps can be split."""
    take: Callable[[Step, Path], Manifest | None] | None = None
    """Writes a step's directory without running the step, where that can be done: `merge` takes it from the parts."""
    ray: str | None = None
    """The address of a Ray cluster that does the work, empty for `RAY_ADDRESS` or one that is started here."""
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
    steps, part = _until(recipe, options.until), options.part
    before: Rows | None = None
    if part is not None:
        if recipe.head.budget != Budget():
            raise UsageError("--shard: budget: is one budget for all problems; leave it out, or run without --shard")
        refuse_strange(run)
        refuse_another_split(run, part)
        refuse_other_run(run, {step.directory for step in recipe.steps})
        steps, before = _steps_of_part(recipe, steps, run)
        refuse_done_whole(run, (step.directory for step in steps[1:]))
        run = part.directory(run)
    elif not (options.take or options.fresh or (run / SHARDS / MERGED).exists()) and (run / SHARDS).is_dir():
        raise UsageError(f"{run / SHARDS}: holds shards of this run; `mathsynth merge {run}` goes on from them")
    with disk_errors(run), hold(run), _live(recipe, run, options) as live:
        if options.fresh:
            _clear(run)
        if options.retry_failed:
            _forget_failures(recipe.steps[steps[0].number :], run, options.say)
        for line in [*recipe.notes, *changes(recipe, run)]:
            options.say(line)
        with atomic(run / RECIPE) as file:
            file.write(recipe.stored.encode())
        write_steps(run, steps if part is not None else recipe.steps)
        if part is not None:
            write_part(run, part, recipe.path, recipe.sets)
        _link_exports(run, recipe.steps, lambda _: None)
        waiting = [step for step in steps if not (run / step.directory / MANIFEST).exists()]
        with _running(recipe, waiting, run, options, live) as running:
            manifest = _run_steps(running, run, steps, before)
        if not waiting:
            options.say("every step was done before; nothing was asked")
        _link_exports(run, recipe.steps, options.say)
        report = write_report(run)
        if part is not None:
            options.say(f"shard {part} is done, up to {steps[-1].name}; when all are: mathsynth merge {run.parents[1]}")
        elif manifest is not None and not manifest.counts.kept:
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
    sandbox: Sandbox | None
    executor: Executor


@contextmanager
def _running(recipe: Recipe, steps: Sequence[Step], directory: Path, options: Options, live: Live) -> Iterator[_Run]:
    """What these steps share, open while they run."""
    purse = _purse(recipe)
    with (
        sandbox_of(recipe, steps, directory, options.say) as sandbox,
        opened(purse, directory / REPLIES),
        _fleet(recipe, directory, options) as fleet,
        # A run that is done starts no cluster.
        Cluster(options.ray, options.say) if options.ray is not None and steps else nullcontext(Local()) as executor,
    ):
        yield _Run(recipe, options, live, purse, fleet, sandbox, executor)


Rows = tuple[Path, Manifest]
"""The directory of a finished step, whose kept rows another reads, and its manifest."""


def _run_steps(run: _Run, directory: Path, steps: Sequence[Step], before: Rows | None) -> Manifest | None:
    """The manifest of the last step, once all that were not done before are done; `before` is what the first reads."""
    take = run.options.take
    for number, step in enumerate(steps, 1):
        place = directory / step.directory
        manifest = read_manifest(place)
        if manifest is not None:
            check_seals(place, manifest)
        else:
            if run.options.stop:
                raise Stopped(run.options.stop.reason)
            manifest = take(shown(run.recipe, step), place) if take else None
            if manifest is None:
                meter = Meter(step.name, number, len(steps))
                ctx = _context(run, step, place, directory / REPLIES / step.replies, meter)
                with _saying_what_it_bought(run.purse, meter):
                    manifest = _run_step(run, step, before, place, ctx)
        _refuse_mass_failure(run.recipe, step, place, manifest, run.options)
        before = place, manifest
    return before[1] if before else None


def _run_step(run: _Run, step: Step, before: Rows | None, directory: Path, ctx: Context) -> Manifest:
    """Run one step on the rows of the step before it."""
    records = read_rows(before[0], [s.file for s in before[1].shards]) if before else iter(())
    part, split = run.options.part, None
    if part is not None:
        split = Split(places_of_rows(before[0])) if before and step.splits else Split(count(), part)
    rows = before[1].counts.kept if before else None
    return local.run_step(shown(run.recipe, step), records, directory, ctx, run.executor, rows, split)


def run_stage(recipe: Recipe, step: Step, records: Iterable[Record], directory: Path, options: Options) -> Manifest:
    """One step as a command: from records into a stage directory that holds its own journal."""
    with disk_errors(directory), hold(directory):
        manifest = read_manifest(directory)
        if manifest is not None and manifest.key == step.key and not options.fresh:
            check_seals(directory, manifest)
            options.say(f"{directory}: up to date")
            return manifest
        (directory / MANIFEST).unlink(missing_ok=True)
        meter = Meter(step.name)
        with _live(recipe, directory, options) as live, _running(recipe, [step], directory, options, live) as run:
            ctx = _context(run, step, directory, directory / REPLIES, meter)
            with _saying_what_it_bought(run.purse, meter):
                return local.run_step(shown(recipe, step), records, directory, ctx, run.executor, None)


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


def _link_exports(run: Path, steps: Sequence[Step], say: Callable[[str], None]) -> None:
    """`RUN/export` leads to the finished export of the recipe as it is, and never to one of earlier settings."""
    done = (step for step in steps if step.stage == "export" and (run / step.directory / MANIFEST).exists())
    wanted = {step.name: step.directory for step in done}
    for link in run.iterdir():
        if link.is_symlink() and is_step(there := os.readlink(link)) and wanted.get(link.name) != there:
            link.unlink()
    for name, directory in wanted.items():
        link = run / name
        if link.exists() and not link.is_symlink():
            say(f"{link}: is a copy and no link; the rows are in {run / directory}")
        with suppress(OSError):  # there already, or a file system without links
            link.symlink_to(directory)


def _until(recipe: Recipe, until: str | None) -> Sequence[Step]:
    if until is None:
        return recipe.steps
    names = [step.name for step in recipe.steps]
    if until not in names:
        raise UsageError(f"--until {until}: {unknown(until, names, 'step')}")
    return recipe.steps[: names.index(until) + 1]


def _steps_of_part(recipe: Recipe, steps: Sequence[Step], run: Path) -> tuple[Sequence[Step], Rows | None]:
    """The steps that the parts of a run work on now, with what the first of them takes its rows from.

    That first one needs all rows: the input, or a step like `dedupe` that the run itself has finished.
    """
    first, last, ready = 0, 0, 0
    for step in steps[1:]:
        if step.splits:
            first, last = ready, step.number
        elif read_manifest(run / step.directory) is not None:
            ready = step.number
        elif reason := step.config.needs_all():
            raise UsageError(
                f"--shard: {step.name}: {reason}; change that, or let the shards end before it: "
                f"--until {recipe.steps[step.number - 1].name}"
            )
        else:
            break
    if not last:
        name = steps[min(1, len(steps) - 1)].name
        raise UsageError(f"--shard: {name} needs all rows, so it runs first and alone: --until {name} without --shard")
    source = run / recipe.steps[first].directory
    manifest = read_manifest(source) if first else None
    return recipe.steps[first : last + 1], None if manifest is None else (source, manifest)


def _live(recipe: Recipe, directory: Path, options: Options) -> Live:
    in_flight = {name: model.max_in_flight.most for name, model in recipe.models.items()}
    return Live(directory, options.display, options.command, in_flight)


def _fleet(recipe: Recipe, directory: Path, options: Options) -> Fleet:
    return Fleet(directory / SERVERS, options.say, recipe.document.redact)


def _purse(recipe: Recipe) -> Purse:
    return Purse(recipe.head.budget, {model.model: model.paid for model in recipe.models.values() if model.paid})


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
            f"{meter.done:,} finished problems, {meter.correct:,} of {meter.graded:,} graded samples are right",
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
        connect=run.executor.connect,
        prompts=step.prompts,
        policy=recipe.policy,
        checker=run.executor.checker,
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
        hide=recipe.document.hide,
        purse=run.purse,
        sandbox=run.sandbox,
        fleet=run.fleet,
    )


def _clear(run: Path) -> None:
    for path in run.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name not in (LOCK, STATUS, CONTROL):
            path.unlink()


def _forget_failures(steps: Sequence[Step], run: Path, say: Callable[[str], None]) -> None:
    """Reopen the first step with failed rows and all that built on it; their replies stay."""
    reopened = False
    for step in steps:
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


def _refuse_mass_failure(recipe: Recipe, step: Step, directory: Path, manifest: Manifest, options: Options) -> None:
    """RunError if more than the stated share of a step's calls (or rows, without a model) failed.

    A part only says so, for the share is that of the whole run, which the merge judges.
    """
    failed = sum(manifest.counts.failed.values())
    if not failed:
        return
    answered = sum(use.requests + use.reused for use in manifest.models.values())
    share = failed / (failed + answered if manifest.models else max(manifest.counts.read, failed))
    if share > recipe.head.max_failed_share:
        first = next(read_failed(directory))
        again = "the shards with --retry-failed ask" if options.take else "--retry-failed asks"
        line = (
            f"{step.name}: {failed} failed ({share:.0%}, max_failed_share is {recipe.head.max_failed_share:.0%}); "
            f"the first: {first.error}. All are in {directory / 'failed.jsonl'}; {again} only those again"
        )
        if options.part is None:
            raise RunError(line)
        options.say(line)
