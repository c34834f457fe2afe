"""Programs in the user's own wrapper (docker, podman, apptainer, runsc …): one start of it a program.

The wrapper isolates; here are only limits, the clock and the reading of what is printed. Descriptors and warm
interpreters don't go through a container's border, so the program goes in by stdin and blocks are told apart by a mark.
A program can print the mark itself, and then only mixes up its own outputs.
"""

from __future__ import annotations

import contextlib
import inspect
import math
import os
import select
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from typing import IO

from mathsynth.errors import MathsynthError
from mathsynth.sandbox import runner
from mathsynth.sandbox.results import OUTPUT_BYTES, STDERR_KEPT, Limits, Result, Status, report, status_of
from mathsynth.sandbox.worker import frame

START_S, GRACE_S = 30.0, 5.0
"""Seconds that a wrapper may take to start beside the program's own, and to end when it is told to."""
LOOK_MS = 100


class Command:
    """The wrapper, with the interface of a zygote."""

    def __init__(self, command: str) -> None:
        self.command = command
        self._argv = [*shlex.split(command), "python3", "-s", "-c", f"{inspect.getsource(runner)}\nin_container()"]
        self.asked, self._closed = 0, False
        self._process: subprocess.Popen[bytes] | None = None

    def run(self, blocks: Sequence[str], limits: Limits, notebook: bool) -> Result:
        """Run one program to its end. MathsynthError if the wrapper does not start."""
        self.asked += 1
        kind = "notebook" if notebook else "program"
        argv = [*self._argv, str(limits.cpu_s), str(limits.memory_mb), kind]
        started = time.monotonic()
        try:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise MathsynthError(f"sandbox.command: can't start {argv[0]}: {error.strerror}") from None
        assert process.stdin and process.stdout and process.stderr
        stopped: list[Status] = []
        self._process = process
        if self._closed:  # before it could be found
            _stop(process, stopped, "infra_error")
        timer = threading.Timer(limits.wall_s + START_S, _stop, (process, stopped, "timeout"))
        timer.start()
        said: list[bytes] = []
        complaints = threading.Thread(target=_keep_end, args=(process, said))
        complaints.start()
        try:
            with contextlib.suppress(OSError):
                for block in blocks:
                    process.stdin.write(frame(block))
                process.stdin.close()
            printed = _read(process, stopped)
            code = process.wait()
        finally:
            self._process = None
            timer.cancel()
            complaints.join()
            for pipe in (process.stdout, process.stderr):
                pipe.close()
        status = status_of(_wait_status(code), stopped[0] if stopped else None, 0.0, limits)
        # Each block that ended is followed by a mark, the last one by nothing else.
        outputs = printed.removesuffix(runner.MARK).split(runner.MARK)
        return report(status, outputs, b"".join(said), wall_s=time.monotonic() - started)

    def close(self) -> None:
        """End what runs, or is about to; nothing is held between two programs."""
        self._closed = True
        if (process := self._process) is not None:
            _stop(process, [], "infra_error")


def _wait_status(code: int) -> int:
    """What the kernel would say. A wrapper reports a signal inside as 128 + its number, as shells do, and its own
    failures by codes that the runner does not use (docker: 125 to 127; ssh, apptainer: 255)."""
    if code < 0:
        return -code
    if 128 < code < 128 + signal.NSIG:
        return code - 128
    return (code if code in (0, runner.FAILED, runner.OUT_OF_MEMORY) else runner.NOT_BEGUN) << 8


def _read(process: subprocess.Popen[bytes], stopped: list[Status]) -> bytes:
    assert process.stdout
    printed = b""
    for more in _chunks(process, process.stdout):
        printed += more[: OUTPUT_BYTES + 1 - len(printed)]
        if len(printed) > OUTPUT_BYTES:
            _stop(process, stopped, "output_limit")
    return printed


def _keep_end(process: subprocess.Popen[bytes], said: list[bytes]) -> None:
    assert process.stderr
    kept = b""
    for more in _chunks(process, process.stderr):
        kept = (kept + more)[-STDERR_KEPT:]
    said.append(kept)


def _chunks(process: subprocess.Popen[bytes], pipe: IO[bytes]) -> Iterator[bytes]:
    """What comes until the pipe ends, or soon after its process: what the wrapper left running may hold it open."""
    poll, until = select.poll(), math.inf
    poll.register(pipe)
    while True:
        ready = poll.poll(LOOK_MS)
        if process.poll() is not None:
            until = min(until, time.monotonic() + GRACE_S)
            if not ready or time.monotonic() > until:
                return
        if ready:
            if not (more := os.read(pipe.fileno(), OUTPUT_BYTES)):
                return
            yield more


def _stop(process: subprocess.Popen[bytes], stopped: list[Status], why: Status) -> None:
    """Ask the wrapper to end, so that it takes its container with it, then end it."""
    if not stopped:
        stopped.append(why)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        timer = threading.Timer(GRACE_S, _kill, (process,))
        timer.daemon = True  # who leaves waits for the process, not for this
        timer.start()


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
