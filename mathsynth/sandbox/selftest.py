"""Whether the sandbox holds here: programs that try to get out, each confined like any other; one success is enough.

That a system call returned 0 proves nothing (OpenShell#803 reported layers that were not there), so each thing that a
tier promises is tried.
"""

from __future__ import annotations

import os
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

from mathsynth.sandbox.results import Limits, Result, reason_of

BREACH = "got out"
LIMITS = Limits(cpu_s=5, wall_s=10, memory_mb=256)

UDP, CHANGE = "send by UDP", "change a file"
"""Sending goes well even if nobody is there, and WebAssembly's chmod does nothing and says it went well."""
ARRIVES_S = 0.1

Run = Callable[[str, Limits], Result]

ATTEMPTS = {
    "read a file": "open({file!r}).read()",
    "write a file": "open({folder!r} + '/new', 'w').write('x')",
    CHANGE: "import os; os.chmod({file!r}, 0o777)",
    "connect by TCP": "import socket; socket.create_connection(('127.0.0.1', {tcp}), 2)",
    UDP: "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', {udp}))",
    "connect to a Unix socket": "import socket; socket.socket(socket.AF_UNIX).connect({unix!r})",
    "connect to an abstract socket": "import socket; socket.socket(socket.AF_UNIX).connect('\\0' + {abstract!r})",
    "start a process": "import os; os.fork() and os._exit(0)",
    "start another program": "import os; os.execv('/bin/true', ['true'])",
    "signal its parent": "import os; os.kill(os.getppid(), 0)",
    "own a signal of its parent": "import fcntl, os; r, w = os.pipe(); fcntl.fcntl(r, 8, os.getppid())",
    "read its parent's environment": "import os; open('/proc/%d/environ' % os.getppid()).read()",
    "take too much memory": "x = bytearray(1 << 30)",
}
"""What is tried -> a program that gets to its end only if it succeeds."""

INSIDE = frozenset(
    (
        "start a process",
        "start another program",
        "signal its parent",
        "own a signal of its parent",
        "read its parent's environment",
    )
)
"""What does no harm in a container of its own."""

CONTROLS = {
    "calculate": "print(6 * 7)",
    "threads": "import threading; t = threading.Thread(target=print, args=(42,)); t.start(); t.join()",
    "asyncio": "import asyncio\nasync def f(): await asyncio.sleep(0); return 42\nprint(asyncio.run(f()))",
    "sympy": "import sympy; print(sympy.solve(sympy.Symbol('x') - 42)[0])",
    "numpy": "import numpy; print(int(numpy.linalg.det(numpy.diag([6.0, 7.0])).round()))",
}
THREADED = ("threads", "asyncio")


def attempts(contained: bool) -> tuple[str, ...]:
    """What is tried; less where programs run in a container that the user vouches for."""
    return tuple(what for what in ATTEMPTS if not (contained and what in INSIDE))


def breaches(run: Run, contained: bool = False) -> Iterator[str]:
    """What succeeded that must not, in words; `contained`: programs run in a container that the user vouches for."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="mathsynth-sandbox-"))
        file, unix, abstract = f"{folder}/canary", f"{folder}/socket", f"mathsynth-{os.getpid()}-{id(stack)}"
        Path(file).write_text("canary")
        mode = os.stat(file).st_mode
        tcp = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        udp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        udp.bind(("127.0.0.1", 0))
        udp.settimeout(ARRIVES_S)
        for address in (unix, f"\0{abstract}") if sys.platform == "linux" else (unix,):
            listener = stack.enter_context(socket.socket(socket.AF_UNIX))
            listener.bind(address)
            listener.listen()
        places = {"file": file, "folder": folder, "unix": unix, "abstract": abstract}
        places |= {"tcp": tcp.getsockname()[1], "udp": udp.getsockname()[1]}
        for what in attempts(contained):
            program = ATTEMPTS[what]
            ended_well = run(f"{program.format(**places)}\nprint({BREACH!r})", LIMITS).status == "ok"
            in_vain = (what == UDP and not _arrived(udp)) or (what == CHANGE and os.stat(file).st_mode == mode)
            if ended_well and not in_vain:
                yield what


def _arrived(udp: socket.socket) -> bool:
    try:
        return bool(udp.recv(1))
    except TimeoutError:
        return False


def failures(run: Run, libraries: Mapping[str, str], threads: bool = True) -> Iterator[str]:
    """What does not work that must, in words; without `threads` there are none here."""
    for what, program in CONTROLS.items():
        if (what in ("sympy", "numpy") and what not in libraries) or (what in THREADED and not threads):
            continue
        result = run(program, LIMITS)
        if result.answer != "42":
            yield f"{what} ({result.status}: {reason_of(result, LIMITS)})"
            if result.status == "infra_error":
                return  # and so are the others
