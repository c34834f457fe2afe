"""A run while it runs: what it is doing and what it is told, for other shells in two small files.

`.status.json` is written by the process that holds the run, whole or not at all, when something changes and else at
most every two seconds. `.control.json` is written by `mathsynth pause`, `resume` and `concurrency` and read by that
process twice a second. Plain files and no sockets, so both work from another machine on the same file system. Whether
the run is alive is told by its lock alone (`lock.py`), never by these.
"""

from __future__ import annotations

import contextlib
import os
import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mathsynth.errors import SAME, Stopped
from mathsynth.progress import Display, Meter, Numbers

STATUS, CONTROL = ".status.json", ".control.json"
STATUS_EVERY_S, CONTROL_EVERY_S = 2.0, 0.5

File = TypeVar("File", bound=BaseModel)


@dataclass(frozen=True)
class RunInfo:
    """What a stage may say about its run: `recipe` is the resolved YAML without secrets, `models` name -> model."""

    name: str = ""
    recipe: str = ""
    command: str = ""
    models: Mapping[str, str] = field(default_factory=dict)


class Stop:
    """Whether the run was told to end in order, and why."""

    def __init__(self) -> None:
        self.reason = ""

    def __bool__(self) -> bool:
        return bool(self.reason)


class Control(BaseModel):
    """`.control.json`: what a run is told. It ends with the process: whoever starts the run again begins without."""

    model_config = ConfigDict(frozen=True)

    paused: bool = False
    in_flight: dict[str, int] = Field(default_factory=dict)
    """Requests under way at once, by the model's name in the recipe, where that is not what the recipe says."""


class Status(BaseModel):
    """`.status.json`: what a run is doing, or was when it ended. Times are ISO 8601, UTC."""

    model_config = ConfigDict(frozen=True)

    state: Literal["running", "finished", "stopped", "failed"] = "running"
    reason: str = ""
    """Why it ended early."""
    then: str = ""
    """What goes on from there, if not the same command."""
    process: int
    host: str
    command: str
    started: str
    step_started: str = ""
    updated: str
    control: Control = Control()
    """What it was told and does."""
    in_flight: dict[str, int] = Field(default_factory=dict)
    """Requests that may be under way at once, by model."""
    now: Numbers | None = None
    """The step at hand; None before the first."""


class Live:
    """The side of the process that runs: shows its meter here and to other shells, and hears what they want.

    A `with` block: however it is left, the status says so.
    """

    def __init__(self, directory: Path, display: Display, command: str, in_flight: Mapping[str, int]) -> None:
        """`in_flight` is what the recipe allows, by model."""
        self._directory, self._display, self._recipe_says = directory, display, dict(in_flight)
        self._control, self._looked_at, self._wrote_at = Control(), time.monotonic(), 0.0
        # From the start there is a file, for NFS remembers for half a minute that a file is not there.
        write(directory / CONTROL, self._control)
        self._meter: Meter | None = None
        now = _clock()
        self._status = Status(
            process=os.getpid(), host=platform.node(), command=command, started=now, updated=now, in_flight=in_flight
        )

    def __enter__(self) -> Live:
        self._write()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        early = isinstance(error, (Stopped, KeyboardInterrupt, SystemExit))
        names = {KeyboardInterrupt: "Ctrl-C", SystemExit: "a second SIGTERM"}
        self._set(
            now=self._meter and self._meter.now(),
            state="finished" if error is None else "stopped" if early else "failed",
            reason="" if kind is None else names.get(kind, str(error) or kind.__name__),
            then=error.then if isinstance(error, Stopped) and error.then != SAME else "",
        )

    def update(self, meter: Meter) -> None:
        """Show these numbers, if it is time to; another step at once."""
        self._display.update(meter)
        self._meter = meter
        began = self._status.now is None or self._status.now.step != meter.step
        if began or time.monotonic() - self._wrote_at >= STATUS_EVERY_S:
            started = _clock() if began else self._status.step_started
            self._set(now=meter.now(), step_started=started)

    def end(self) -> None:
        """Make way for other text."""
        self._display.end()

    def control(self) -> Control:
        """What the run is told, at most half a second old."""
        now = time.monotonic()
        if now - self._looked_at >= CONTROL_EVERY_S:
            self._looked_at = now
            found = read(self._directory / CONTROL, Control)
            if found is not None and found != self._control:
                self._control = found
                self._wrote_at = 0.0  # so that the next update says that it was heard
                self._status = self._status.model_copy(
                    update={"control": found, "in_flight": self._recipe_says | found.in_flight}
                )
        return self._control

    def _set(self, **changes: object) -> None:
        self._status = self._status.model_copy(update=changes)
        self._write()

    def _write(self) -> None:
        self._wrote_at = time.monotonic()
        self._status = self._status.model_copy(update={"updated": _clock()})
        # A run goes on, and tells why it ended, even where nobody can be told about it.
        with contextlib.suppress(OSError):
            write(self._directory / STATUS, self._status)


def write(path: Path, value: BaseModel) -> None:
    """A file for others to read now; it is no loss if a power cut takes it, so it is not synced."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_bytes(value.model_dump_json().encode() + b"\n")
    os.replace(temporary, path)


def read(path: Path, kind: type[File]) -> File | None:
    """One of these files, None if it is not there or no such file. Opened anew, which is when NFS looks for changes."""
    try:
        return kind.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def _clock() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
