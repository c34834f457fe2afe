"""What a run is doing, was doing when it ended, and would do next; and the word to a live run to do otherwise.

Everything is read from plain files of the run directory, so it works from another machine on the same file system.
Whether a process writes the run is told by the run's lock: a status whose process is gone is said to be old.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from mathsynth.commands.display import duration, line
from mathsynth.errors import RunError, UsageError
from mathsynth.live import CONTROL, STATUS, Control, Status, read, write
from mathsynth.lock import LOCK, held, holder_of
from mathsynth.report.unmerged import shards_of, shards_told, spent_with
from mathsynth.report.wording import tokens as said
from mathsynth.settings import unknown
from mathsynth.shards import KEY, STEPS, Manifest, read_manifest, read_steps, steps_below

HEARD_WITHIN_S, LOOK_EVERY_S = 5.0, 0.1
ALIVE = ("starting", "running", "paused")
OLD_S = 10.0
"""A status older than this is said to be: its step asks no model, or its machine hangs."""


class Done(BaseModel):
    """A finished step, the rows that it kept and where they are."""

    step: str
    kept: int
    directory: str


class Tokens(BaseModel):
    """All tokens of a step's replies, as the report counts them."""

    replies: int
    prompt: int
    completion: int


class Seen(BaseModel):
    """A run as it is seen from outside; `--json` prints it."""

    model_config = ConfigDict(frozen=True)

    run: str
    state: Literal["starting", "running", "paused", "finished", "stopped", "failed", "killed", "never run", "unmerged"]
    holder: str = ""
    """Who writes the run, or did last: `process 12 on gpu1`."""
    status: Status | None = None
    """What that process wrote last; None if it wrote nothing."""
    age_s: float | None = None
    """Seconds since then, by this machine's clock."""
    shards: dict[str, str]
    """If shards are not merged: each one, `0/2`, and its state."""
    done: list[Done]
    tokens: dict[str, Tokens]
    """What the replies took that are on disk, by journal."""
    next: str | None
    """The first step that is not done: the one at hand, or where the same command would go on."""


def look(run: Path) -> Seen:
    """See what a run is doing. UsageError if it is none."""
    shards = shards_of(run)
    if not shards and not any((run / name).exists() for name in (LOCK, STEPS, KEY)):
        no = f"no run of mathsynth{steps_below(run)}" if run.is_dir() else "no such run directory"
        raise UsageError(f"{run}: {no}")
    alive, holder, status = held(run), holder_of(run), read(run / STATUS, Status)
    if alive and status and (status.state != "running" or holder != f"process {status.process} on {status.host}"):
        status = None  # of the process before
    done, coming = _steps(run)
    if shards and not alive:
        told = set(shards.values())
        state: Any = "running" if "running" in told else "unmerged" if told == {"done"} else "stopped"
        holder, status = "", None  # of what ran here before it was shared out
    elif alive:
        state = "starting" if status is None else "paused" if status.control.paused else "running"
    elif status is None:
        state = "never run" if not done else "stopped" if coming else "finished"
    else:
        state = "killed" if status.state == "running" else status.state
    age = (datetime.now(UTC) - datetime.fromisoformat(status.updated)).total_seconds() if status else None
    return Seen(
        run=str(run),
        state=state,
        holder=holder,
        status=status,
        age_s=age,
        shards={str(part): told for part, told in shards.items()},
        done=done,
        tokens={step: Tokens(**found._asdict()) for step, found in spent_with(run, shards).items()},
        next=coming,
    )


def told(seen: Seen) -> str:
    """The same in a few lines for reading."""
    status, alive = seen.status, seen.state in ALIVE
    lines = [f"{seen.run}: {seen.state}" + (f", {status.reason}" if status and status.reason else "")]
    if seen.shards:
        lines.append(f"  shards: {shards_told(seen.run, seen.shards)}")
    if alive and seen.holder:
        lines[0] += f", {seen.holder}" + (f", since {_since(status.started)}" if status else "")
    elif status:
        lines[0] += f", {_since(status.updated)}; no process runs it"
    if status and status.now and (alive or seen.state != "finished"):
        lines.append(f"  {'now' if alive else 'then'}: {line(status.now)}")
        if alive:
            lines[-1] += f" | since {_since(status.step_started)}"
            lines.append(f"  the most that may be in flight: {_limits(status)}; {status.now.limit} by now")
        if alive and seen.age_s is not None and seen.age_s > OLD_S:
            lines.append(
                f"  these numbers are {duration(seen.age_s)} old: the step asks no model, or its machine hangs"
            )
    if seen.done:
        kept = ", ".join(f"{step.step} {step.kept:,}" for step in seen.done)
        lines += [f"  done: {kept} rows", f"  the last: {seen.done[-1].directory}"]
    if seen.tokens:
        prompt, completion, replies = (
            sum(getattr(step, name) for step in seen.tokens.values()) for name in ("prompt", "completion", "replies")
        )
        lines.append(f"  tokens: {said(prompt, completion, replies)}")
    if not alive and not seen.shards:
        command = f"`{status.command}`" if status and status.command else "the same command"
        coming = "has nothing to do"
        if seen.next and seen.state == "finished":
            coming += f"; without --until it goes on with {seen.next}"
        elif seen.next:
            coming = f"goes on with {seen.next}; no reply that is here is asked again"
            if status and status.then:  # as it is, the command would only stop once more
                command, coming = status.then, f"with {seen.next}; it was {command}"
        lines.append(f"  next: {command} {coming}")
    return "\n".join(lines)


def steer(run: Path, verb: str, paused: bool | None = None, in_flight: Mapping[str, int] | None = None) -> str:
    """Tell a live run to go on differently; what came of it in one line. RunError if no process runs it."""
    until = time.monotonic() + HEARD_WITHIN_S
    while (seen := look(run)).state == "starting" and time.monotonic() < until:
        time.sleep(LOOK_EVERY_S)  # a run that begins forgets what it was told before
    if seen.status is None or seen.state not in ALIVE:
        raise RunError(f"{run}: no process runs it, so there is nothing to {verb}; see mathsynth status {run}")
    for model in in_flight or {}:
        if model not in seen.status.in_flight:
            raise UsageError(f"{run}: {unknown(model, seen.status.in_flight, 'model')}")
    before = read(run / CONTROL, Control) or Control()
    wanted = Control(
        paused=before.paused if paused is None else paused, in_flight={**before.in_flight, **(in_flight or {})}
    )
    write(run / CONTROL, wanted)
    while (seen := look(run)).state in ALIVE and time.monotonic() < until:
        if seen.status is not None and seen.status.control == wanted:
            busy = f"{seen.status.now.in_flight} in flight, " if seen.status.now else ""
            return f"{run}: {seen.state}, {busy}at most {_limits(seen.status)}"
        time.sleep(LOOK_EVERY_S)
    if seen.state not in ALIVE:
        raise RunError(f"{run}: it ended ({seen.state}) before it heard")
    return f"{run}: told; it is heard when the run next asks a model"


def _limits(status: Status) -> str:
    return ", ".join(f"{model} {size}" for model, size in status.in_flight.items())


def _steps(run: Path) -> tuple[list[Done], str | None]:
    """The finished steps of a run or of a stage's own directory, and the first that is not."""
    if not (run / STEPS).exists():
        manifest = read_manifest(run)
        return ([_done(run, manifest)], None) if manifest else ([], "its only step")
    done: list[Done] = []
    listed = read_steps(run)
    for entry in listed:
        manifest = read_manifest(run / entry.directory)
        if manifest is None:
            return done, f"{entry.step} ({len(done) + 1} of {len(listed)})"
        done.append(_done(run / entry.directory, manifest))
    return done, None


def _done(directory: Path, manifest: Manifest) -> Done:
    return Done(step=manifest.step, kept=manifest.counts.kept, directory=str(directory))


def _since(moment: str) -> str:
    """`2026-11-25 21:35 UTC (12 min ago)`."""
    then = datetime.fromisoformat(moment)
    return f"{then:%Y-%m-%d %H:%M} UTC ({duration(max(0.0, (datetime.now(UTC) - then).total_seconds()))} ago)"
