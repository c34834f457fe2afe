"""The zygote: a warm interpreter that forks one confined child a program. It is started, never forked itself.

It is told by its parent over a socket: a fixed message of limits, with four descriptors. It sees neither a program nor
an output, for the next child inherits its memory. It answers with how the child ended, and kills it when told to.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import random
import select
import signal
import socket
import struct
import sys
import time

from mathsynth.sandbox import confine, landlock, runner, seccomp
from mathsynth.sandbox.confine import Layers

JOB, END = struct.Struct("=dQ?"), struct.Struct("=iddQ")
"""Seconds of processor time, bytes of memory, whether a notebook; wait status, user and system seconds, KiB at most."""
KILL = b"K"
POLL_MS = 5

PRELOAD = (
    "math cmath fractions decimal statistics itertools functools operator collections heapq bisect string re random "
    "datetime calendar time json copy typing dataclasses enum numbers textwrap pprint io threading asyncio numpy sympy"
)
EVERYTHING = (
    "array queue types abc contextlib unicodedata struct secrets hashlib zoneinfo tempfile csv timeit warnings mmap "
    "concurrent.futures.thread multiprocessing.dummy logging inspect traceback ctypes fcntl select socket subprocess"
)


def main() -> None:
    """Serve until the parent is gone. Arguments: the socket's descriptor and JSON of what is wanted."""
    inherited = int(sys.argv[1])
    # To a low number: under the one that a busy parent gave it, a child might not close it.
    channel = socket.socket(fileno=os.dup(inherited))
    os.close(inherited)
    wanted = json.loads(sys.argv[2])
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as score:
        score.write("1000")
    spaces = wanted["layers"] and wanted["namespaces"] and confine.namespaces()
    if spaces and (inner := os.fork()):
        # This one is not in the new namespace of processes: it only waits for the one that is.
        channel.close()
        os.waitpid(inner, 0)
        os._exit(0)
    abi = landlock.abi() if wanted["landlock"] else 0
    filtered = bool(wanted["layers"]) and seccomp.supported()
    loaded = _warm(everything=filtered and not abi)
    rules = landlock.ruleset(*confine.readable()) if wanted["layers"] and abi else None
    layers = Layers(rules, filtered)
    confine.settle()
    ready: dict[str, object] = {
        "namespaces": bool(spaces),
        "landlock": abi if rules is not None else 0,
        "seccomp": filtered,
    }
    ready["libraries"] = {name: sys.modules[name].__version__ for name in ("numpy", "sympy") if name in loaded}
    sys.stdout.flush()  # what a module printed while it was imported is no program's
    gc.collect()
    gc.freeze()
    size = _address_space()
    channel.send(json.dumps(ready).encode())
    own_pid = os.getpid()
    while True:
        message, handles, _, _ = socket.recv_fds(channel, 64, 4)
        if message == KILL:
            continue  # it was meant for a program that had ended by itself
        if len(handles) != 4:
            os._exit(0)
        cpu_s, memory, notebook = JOB.unpack(message)
        child = os.fork()
        if child == 0:
            _child(layers, own_pid, handles, cpu_s, size + memory, notebook)
        for handle in handles:
            os.close(handle)
        channel.send(_wait(channel, child, spaces))


def _child(layers: Layers, zygote: int, handles: list[int], cpu_s: float, memory: int, notebook: bool) -> None:
    """Become a program."""
    try:
        source, out, err, done = handles
        confine.confine(layers, zygote, source, out, err, done, cpu_s, memory)
        sys.stdin = open(0)  # noqa: SIM115
        blocks = runner.framed(lambda count: os.read(3, count))
        runner.run(blocks, notebook, lambda: os.write(4, b"."))
    finally:
        os._exit(runner.NOT_BEGUN)  # a program ends by itself, so a layer was refused


def _wait(channel: socket.socket, child: int, spaces: bool) -> bytes:
    """How the child ended, once neither it nor anything that it started is left."""
    waiting = select.poll()
    waiting.register(channel, select.POLLIN)
    try:
        handle = os.pidfd_open(child)
        waiting.register(handle, select.POLLIN)
        pause = None
    except OSError:  # a kernel before 5.3
        handle, pause = -1, POLL_MS
    ended = 0
    while not ended:
        for ready, _ in waiting.poll(pause):
            if ready == channel.fileno():
                if channel.recv(1) != KILL:
                    os._exit(0)  # the parent is gone; children go with us
                os.kill(child, signal.SIGKILL)
        ended, status, use = os.wait4(child, os.WNOHANG)
    if handle >= 0:
        os.close(handle)
    _kill_leftovers(spaces)
    return END.pack(status, use.ru_utime, use.ru_stime, use.ru_maxrss)


def _kill_leftovers(spaces: bool) -> None:
    """End what the child left behind, where nothing forbade it to fork."""
    while True:
        try:
            if os.waitpid(-1, os.WNOHANG)[0]:
                continue
        except ChildProcessError:
            return
        if spaces:
            os.kill(-1, signal.SIGKILL)  # all of its own namespace
        else:
            with open("/proc/thread-self/children") as listed:
                for pid in listed.read().split():
                    os.kill(int(pid), signal.SIGKILL)
        time.sleep(0.001)


def _warm(everything: bool) -> list[str]:
    loaded = confine.preload(PRELOAD.split())
    if everything:
        confine.preload(EVERYTHING.split())
    if "sympy" in loaded:
        _warm_sympy(everything)
    if "numpy" in loaded:
        import numpy.random  # noqa: F401
    random.seed(0)
    return loaded


def _warm_sympy(everything: bool) -> None:
    """Let sympy import and build what it only does when it is first used (sandbox.md 3.2)."""
    import sympy
    from sympy.core.cache import clear_cache

    sympy.Dummy._base_dummy_index = 0  # random else, and with it the order of some results
    x, y = sympy.symbols("x y")
    sympy.solve(x**3 - 2 * x + 1, x)
    sympy.integrate(x**2 * sympy.exp(-x), (x, 0, sympy.oo))
    sympy.simplify((x**2 - 1) / (x - 1) + sympy.sin(x) ** 2 + sympy.cos(x) ** 2)
    sympy.limit(sympy.sin(x) / x, x, 0)
    sympy.factor(x**4 - y**4)
    sympy.solve([x + y - 3, x - y - 1], [x, y])
    sympy.nsolve(sympy.cos(x) - x, 1)
    sympy.Matrix([[2, 1], [1, 3]]).eigenvals()
    sympy.diff(sympy.log(x) * x, x)
    sympy.series(sympy.exp(x), x, 0, 4)
    sympy.factorint(360360)
    sympy.Rational(1, 3).evalf(20)
    sympy.sympify("2*x + 1")
    sympy.latex(sympy.sqrt(x) / 2)
    if everything:
        import pkgutil

        for package in ("sympy", "mpmath"):
            path = sys.modules[package].__path__
            confine.preload(
                info.name
                for info in pkgutil.walk_packages(path, f"{package}.", onerror=lambda name: None)
                if not any(
                    part in info.name for part in (".tests", ".benchmarks", ".this", "testing", "plotting", "__main__")
                )
            )
    clear_cache()


def _address_space() -> int:
    with open("/proc/self/statm") as sizes:
        return int(sizes.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
