"""The commands. Each parses, calls one function and prints; nothing else in mathsynth prints, sets up logging or exits.

Data goes to files or stdout, messages to stderr. Exit codes: 0 done, 1 error, 2 usage or recipe error, 3 stopped early
(the same command goes on), 130 Ctrl-C. Modules are imported by the command that needs them, so `--help` is fast.
"""

from __future__ import annotations

import logging
import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from mathsynth.cli_groups import RecipeArg, Sets, models_app, recipe_app, resolved, say
from mathsynth.errors import MathsynthError, RunError, Stopped, UsageError

if TYPE_CHECKING:
    from mathsynth.pipeline import Options

app = typer.Typer(
    help="Make supervised fine-tuning data for mathematical reasoning: problems, solutions, proof that they are right.",
    no_args_is_help=True,
    rich_markup_mode=None,
    add_completion=True,
    pretty_exceptions_enable=False,
)
app.add_typer(models_app, name="models", no_args_is_help=True)
app.add_typer(recipe_app, name="recipe", no_args_is_help=True)

INTERRUPTED = 130
# What Typer raises for a wrong command line. It ships its own click or uses the installed one, depending on its
# version, and names this class nowhere.
USAGE: type[Exception] = typer.BadParameter.__mro__[1]

Ins = Annotated[list[str], typer.Argument(metavar="IN...", help="Shards, step directories, or - (stdin).")]
Out = Annotated[Path | None, typer.Option("-o", "--output", metavar="DIR", help="The run directory [runs/<name>].")]
Until = Annotated[str | None, typer.Option(metavar="STEP", help="Stop after this step.")]
RunArg = Annotated[Path, typer.Argument(metavar="RUN", help="A run directory.")]
Limit = Annotated[int | None, typer.Option("--limit", min=1, metavar="N", help="Read at most this many problems.")]


def main() -> None:
    """The entry point: one line for a user's mistake, the exit code of the error, 130 for Ctrl-C."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    try:
        _add_stage_commands(sys.argv[1:2])
        code = app(prog_name="mathsynth", standalone_mode=False)
        if code == INTERRUPTED:
            say("interrupted; what is finished is kept, the same command goes on")
            sys.stdout.flush()
            # All is closed by now; a task that the interrupt hit would only complain while Python shuts down.
            os._exit(INTERRUPTED)
        sys.exit(code)
    except USAGE as error:
        say(_usage_line(error))
        sys.exit(2)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except MathsynthError as error:
        say(f"{error}; {error.then}" if isinstance(error, Stopped) else str(error))
        sys.exit(error.exit_code)


def _usage_line(error: Any) -> str:
    """One line on a wrong command line; for a bare `mathsynth` or `mathsynth models` the help."""
    text, command = error.format_message(), error.ctx.command_path if error.ctx else "mathsynth"
    return str(text) if "\n" in text else f"{command}: {text.rstrip('.')} (see {command} --help)"


def _print_version(asked: bool) -> None:
    if asked:
        from mathsynth import __version__

        typer.echo(f"mathsynth {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="The version.")
    ] = False,
) -> None:
    pass


@app.command()
def generate(
    recipe: RecipeArg,
    output: Out = None,
    sets: Sets = [],  # noqa: B006 (Typer wants a list)
    limit: Limit = None,
    until: Until = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start over: delete what the run has.")] = False,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Ask only failed requests again.")] = False,
    shard: Annotated[str | None, typer.Option(metavar="I/N", help="Only part I of N, I from 0; then merge.")] = None,
    executor: Annotated[Literal["local", "ray"], typer.Option(help="Where the work is done.")] = "local",
    ray_address: Annotated[
        str, typer.Option(metavar="ADDRESS", envvar="RAY_ADDRESS", help="A cluster; else one is started here.")
    ] = "",
) -> None:
    """The main job: run a recipe from seeds to training files. The same command again goes on."""
    from mathsynth import pipeline
    from mathsynth.parts import parse_part

    found = resolved(recipe, sets, limit)
    part = parse_part(shard) if shard else None
    ray = ray_address if executor == "ray" else None
    with _options(fresh=fresh, until=until, retry_failed=retry_failed, part=part, ray=ray) as options:
        page = pipeline.generate(found, output or Path("runs") / found.name, options)
    _print_tables(page.parent)


@app.command()
def merge(
    run: RunArg,
    recipe: Annotated[str | None, typer.Option("-r", "--recipe", help="Where it is now, if it was moved.")] = None,
    sets: Sets = [],  # noqa: B006
    until: Until = None,
) -> None:
    """Put the shards of a run together, checked for gaps and overlaps, and run the steps that need all rows."""
    from mathsynth.commands import merge as merging

    with _options(until=until) as options:
        merging.merge(merging.recipe_of(run, recipe, sets), run, options)
    _print_tables(run)


@app.command()
def plan(recipe: RecipeArg, output: Out = None, sets: Sets = [], limit: Limit = None) -> None:  # noqa: B006
    """Before spending: the calls and tokens that each step of a recipe will take."""
    from mathsynth.commands.plan import shown_plan

    found = resolved(recipe, sets, limit)
    _print(shown_plan(found, output or Path("runs") / found.name))


@app.command()
def preview(
    recipe: RecipeArg,
    problems: Annotated[int, typer.Option("-n", min=1, help="Seed problems to try.")] = 3,
    sets: Sets = [],  # noqa: B006
) -> None:
    """Try a recipe on a few seeds: the exact prompts, the replies, the verdicts. Keeps nothing."""
    from mathsynth.commands.preview import preview as run_preview

    with _options() as options:
        for text in run_preview(resolved(recipe, sets, problems), options):
            options.display.end()
            typer.echo(text)


# An answer may begin with a minus sign, so what is no option of `check` is an answer.
@app.command(context_settings={"ignore_unknown_options": True})
def check(
    reference: Annotated[str | None, typer.Argument(help="The reference answer.")] = None,
    answer: Annotated[str | None, typer.Argument(help="The answer to judge.")] = None,
    jsonl: Annotated[bool, typer.Option("--jsonl", help="Judge lines from stdin instead.")] = False,
) -> None:
    """Judge one answer: exit 0 equal, 1 different, 2 undecided. --jsonl: a line in, a line out, in order."""
    from mathsynth.commands import grading

    if jsonl:
        if reference is not None:
            raise UsageError(f"check --jsonl reads stdin: mathsynth check --jsonl < {reference}")
        for line in grading.check_lines(sys.stdin.buffer):
            sys.stdout.buffer.write(line)
        return
    if reference is None or answer is None:
        raise UsageError("check: expected REFERENCE ANSWER, or --jsonl")
    verdict = grading.check_one(reference, answer)
    typer.echo(f"{verdict.outcome}: {verdict.reason} (rule {verdict.rule})")
    raise typer.Exit({"correct": 0, "wrong": 1, "undecided": 2}[verdict.outcome])


@app.command()
def gold(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Files, folders or data sets of problems.")],
    sets: Sets = [],  # noqa: B006
) -> None:
    """Put every reference answer through its own verifier, without a model. --set layout=gsm8k and the like."""
    from mathsynth.commands import grading

    count, faults = 0, 0
    for where, fault in grading.gold(files, sets):
        count += 1
        if fault:
            faults += 1
            typer.echo(f"{where}: {fault}")
    found = f"{faults} of them can't be used as they are" if faults else "all gradable" if count else "nothing to grade"
    say(f"{count} problems, {found}")
    raise typer.Exit(1 if faults or not count else 0)


@app.command()
def report(run: RunArg) -> None:
    """The numbers of a run: tables here, and report.html beside the run."""
    from mathsynth import pipeline

    if not run.is_dir():
        raise UsageError(f"{run}: no such run directory")
    unwritten: OSError | None = None
    try:
        pipeline.write_report(run)
    except OSError as error:  # the run of somebody else, or an archive
        unwritten = error
    _print_tables(run)
    if unwritten is not None:
        raise RunError(
            f"{run / pipeline.REPORT}: could not be written ({unwritten.strerror}); these tables are all there is"
        )


@app.command()
def show(
    place: Annotated[Path, typer.Argument(metavar="FILE|RUN", help="A shard, a step directory or a run.")],
    identifier: Annotated[str | None, typer.Option("--id", help="One row and its whole ancestry.")] = None,
    number: Annotated[int, typer.Option("-n", min=1, help="Rows to show.")] = 5,
) -> None:
    """Rows for reading; with --id everything that a row came from."""
    from mathsynth.commands.show import ancestry, rows

    for text in ancestry(place, identifier) if identifier else rows(place, number):
        typer.echo(text)


@app.command()
def doctor(
    recipe: Annotated[str | None, typer.Argument(metavar="[RECIPE]", help="Ask each of its models once.")] = None,
    sets: Sets = [],  # noqa: B006
) -> None:
    """What works on this machine; with a recipe, whether each model answers. Exit 1 if something doesn't."""
    from mathsynth.commands.doctor import examine, machine

    healthy = True
    for name, fine, text in [*machine(), *(examine(resolved(recipe, sets), say) if recipe else [])]:
        healthy = healthy and fine is not False
        typer.echo(f"{ {True: 'ok  ', None: 'none', False: 'FAIL'}[fine] } {name}: {text}")
    raise typer.Exit(0 if healthy else 1)


@app.command("exec")
def execute(
    file: Annotated[str, typer.Argument(metavar="FILE.py", help="A program, or - (stdin).")],
    cpu_s: Annotated[float, typer.Option("--cpu", min=1, max=3600, metavar="S", help="Processor seconds.")] = 5,
    wall_s: Annotated[float, typer.Option("--wall", min=1, max=7200, metavar="S", help="Seconds by the clock.")] = 15,
    memory_mb: Annotated[int, typer.Option("--memory", min=16, metavar="MB", help="MiB beyond Python's own.")] = 512,
    command: Annotated[str | None, typer.Option(help="A wrapper of yours that isolates.")] = None,
    wasm: Annotated[bool, typer.Option("--wasm", help="Run it in WebAssembly (needs the extra wasm).")] = False,
    unsafe: Annotated[bool, typer.Option("--unsafe-exec", help="Run it even where nothing isolates it.")] = False,
) -> None:
    """Run one program in the sandbox; the result as JSON. Exit 0 only if its status is ok."""
    import json

    from mathsynth.commands import execute as executing

    limits = {"cpu_s": cpu_s, "wall_s": wall_s, "memory_mb": memory_mb}
    result = executing.execute(file, say, **limits, command=command, wasm=wasm, unsafe=unsafe)
    typer.echo(json.dumps(result, ensure_ascii=False))
    raise typer.Exit(0 if result["status"] == "ok" else 1)


@app.command()
def status(run: RunArg, as_json: Annotated[bool, typer.Option("--json", help="All of it as JSON.")] = False) -> None:
    """What a run is doing, seen from any shell; of one that ended, what is done and what comes next."""
    from mathsynth.commands.status import look, told

    seen = look(run)
    typer.echo(seen.model_dump_json(indent=2) if as_json else told(seen))


@app.command()
def pause(run: RunArg) -> None:
    """Let a live run send nothing new until `resume` (or until it is started again); what is under way finishes."""
    _steer(run, "pause", paused=True)


@app.command()
def resume(run: RunArg) -> None:
    """Let a paused run go on."""
    _steer(run, "resume", paused=False)


@app.command()
def concurrency(
    run: RunArg,
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Its name in the recipe.")],
    requests: Annotated[int, typer.Argument(metavar="N", min=1, help="Requests under way at once.")],
) -> None:
    """Change how many requests a live run has under way at once, until it ends."""
    _steer(run, "change", in_flight={model: requests})


def _steer(run: Path, verb: str, **told: Any) -> None:
    from mathsynth.commands.status import steer

    say(steer(run, verb, **told))


def _add_stage_commands(invoked: list[str]) -> None:
    """A command for each stage; only the invoked one's module is imported, for the help of its config."""
    from mathsynth.stages import stage_help, stage_names

    for name in stage_names():
        app.command(name, help=stage_help(name, full=[name] == invoked))(_stage_command(name))


def _stage_command(name: str) -> Any:
    def command(
        inputs: Ins = [],  # noqa: B006
        *,
        output: Annotated[
            str, typer.Option("-o", "--output", metavar="OUT", help="A directory, a .jsonl[.zst] file, or - (stdout).")
        ],
        recipe: Annotated[str | None, typer.Option("-r", "--recipe", help="Take the config from this recipe.")] = None,
        sets: Sets = [],  # noqa: B006
        fresh: Annotated[bool, typer.Option("--fresh", help="Start over.")] = False,
    ) -> None:
        from mathsynth.commands.stage import run_stage_command

        if not inputs and not (name == "input" and recipe):
            raise UsageError(f"{name}: expected at least one IN")
        with _options(fresh=fresh) as options:
            run_stage_command(name, inputs, output, recipe, sets, options)

    return command


@contextmanager
def _options(**chosen: Any) -> Iterator[Options]:
    """Options with the bar and messages on stderr, and what signals do. In the end the bar makes way."""
    from mathsynth.commands.display import Bar
    from mathsynth.commands.signals import obey_signals
    from mathsynth.live import Stop
    from mathsynth.pipeline import Options

    stop, bar = Stop(), Bar()

    def message(text: str) -> None:
        bar.end()
        say(text)

    obey_signals(stop)
    command = shlex.join(["mathsynth", *sys.argv[1:]])
    try:
        yield Options(display=bar, stop=stop, say=message, command=command, **chosen)
    finally:
        bar.end()


def _print_tables(run: Path) -> None:
    from mathsynth.report.numbers import gather
    from mathsynth.report.tables import funnel, summary

    numbers = gather(run)
    _print(funnel(numbers))
    _print(summary(numbers))


def _print(renderable: Any) -> None:
    from rich.console import Console

    console = Console()
    # A log has no width of its own; 100 columns keep the tables in one piece.
    Console(width=None if console.is_terminal else 100).print(renderable)
