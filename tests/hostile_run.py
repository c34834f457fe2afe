"""Runs one hostile program after another and looks at the machine after each: what was read, changed, reached, left.

It is a process of its own (`test_hostile.py` starts it, as root or as a plain user), because it takes namespaces or
Landlock from itself where the sandbox is to do without, and because a program may end what started it. It is told
programs and tells problems by lines of JSON.

A program's head, one `# key: value` a line: `expect` (verdicts that are right, `|` between), `invariants` (`out=TEXT`,
`not_out=TEXT`, `same_each_time`; the others name what the program is after, and all of them are checked around every
program), `wall_s`, `arch`, `kind` (`hostile`, `benign-control`). `@CANARY_DIR@` and so on: places of the yard.

    python tests/hostile_run.py [namespaces] [landlock]      what the kernel is to refuse
    python tests/hostile_run.py unconfined                   no sandbox at all: are the eyes open?
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import platform
import re
import resource
import secrets
import socket
import struct
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mathsynth.sandbox import seccomp, syscalls
from mathsynth.sandbox.pool import Sandbox
from mathsynth.sandbox.results import Config, Result
from mathsynth.verifier import equal

Run = Callable[[str, float], Result]

VARIABLE = "MATHSYNTH_HOSTILE_TOKEN"
PREPARES = "import random\nkept = {0!r} * 100\nprint({0!r})"
"""A program that ran before: its text and its output are nobody's business."""
NEXT = """
import math, random, sys
import numpy as np, sympy
print(sympy.sqrt(8), sympy.Integer(3), math.sqrt(4), np.sqrt(9.0), sum([1, 2]), random.random(), np.random.rand(),
      sys.getrecursionlimit(), len(str(10**700)))
"""
"""What must give the same after every program."""
PACKAGES = sysconfig.get_path("purelib")
PLACES = ("/tmp", "/var/tmp", "/dev/shm", "/run", "/", ".", sys.prefix, PACKAGES, f"{PACKAGES}/sympy")
LIBRARY = (os.__file__, f"{PACKAGES}/sympy", f"{PACKAGES}/sympy/__init__.py")
NAME = "ms_hostile"
"""What the names of all files begin with that a program of the lists tries to make outside the yard."""
WALLS_S = (2.0, 5.0, 10.0, 20.0)
"""One sandbox each, so that a program that is run under each of them has met four zygotes."""
PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 36, 38


def head_of(source: str) -> dict[str, str]:
    """The lines `# key: value` at the top of a program."""
    head = {}
    for line in source.splitlines():
        if not (found := re.fullmatch(r"# (\w+): (.*)", line)):
            break
        head[found[1]] = found[2]
    return head


class Yard:
    """What a program might reach for: a folder, secrets, listeners; and what all of it looked like before."""

    def __init__(self) -> None:
        self.stack = contextlib.ExitStack()
        self.folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory(prefix="hostile-yard-"))) / "canary"
        self.folder.mkdir()
        self.secrets = {
            place: f"SECRET_{place}_{secrets.token_hex(8)}" for place in ("env", "key", "answer", "earlier")
        }
        (self.folder / "id_rsa").write_text(self.secrets["key"])
        (self.folder / "answers.jsonl").write_text(json.dumps({"answer": self.secrets["answer"]}))
        tcp = self._listener(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0))
        udp = self._listener(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0))
        port = tcp.getsockname()[1]
        self.listeners = {
            "TCP": tcp,
            "UDP": udp,
            "a Unix socket": self._listener(socket.AF_UNIX, socket.SOCK_STREAM, f"{self.folder}/agent.sock"),
            "a Unix datagram socket": self._listener(
                socket.AF_UNIX, socket.SOCK_DGRAM, f"{self.folder}/datagrams.sock"
            ),
            "an abstract socket": self._listener(socket.AF_UNIX, socket.SOCK_STREAM, f"\0ms_hostile_{port}"),
            "an abstract datagram socket": self._listener(
                socket.AF_UNIX, socket.SOCK_DGRAM, f"\0ms_hostile_datagrams_{port}"
            ),
        }
        self.tokens = {
            "@CANARY_DIR@": str(self.folder),
            "@CANARY_FILE@": f"{self.folder}/id_rsa",
            "@PORT@": str(port),
            "@UDP_PORT@": str(udp.getsockname()[1]),
        }

    def _listener(self, family: int, kind: int, address: Any) -> socket.socket:
        listener = self.stack.enter_context(socket.socket(family, kind))
        listener.bind(address)
        if kind == socket.SOCK_STREAM:
            listener.listen()
        listener.setblocking(False)
        return listener

    def source(self, program: str) -> str:
        """The program with this yard's places in it."""
        for token, value in self.tokens.items():
            program = program.replace(token, value)
        return program

    def reached(self) -> Iterator[str]:
        """Listeners that heard something."""
        for name, listener in self.listeners.items():
            with contextlib.suppress(BlockingIOError):
                if listener.type == socket.SOCK_STREAM:
                    listener.accept()[0].close()
                else:
                    listener.recv(1)
                yield name


def _looks(path: Path) -> tuple[object, ...]:
    """What must not change of a file."""
    about = path.lstat()
    content = path.read_bytes() if path.is_file() else b""
    return (str(path), about.st_mode, about.st_uid, about.st_mtime_ns, content, tuple(os.listxattr(path)))


def files(yard: Yard) -> dict[str, object]:
    """The folder as a whole, strange names elsewhere, the library's marks."""
    strange = [
        f"{place}/{name}"
        for place in PLACES
        if os.access(place, os.R_OK)
        for name in os.listdir(place)
        if name.startswith(NAME)
    ]
    library = [(path, os.stat(path).st_mode, os.stat(path).st_mtime_ns, os.listxattr(path)) for path in LIBRARY]
    tables = [Path(f"/proc/sysvipc/{kind}").read_text().splitlines() for kind in ("shm", "msg", "sem")]
    queues = [[line.split()[1] for line in table[1:] if str(os.getuid()) in line.split()] for table in tables]
    seen = [_looks(path) for path in sorted([yard.folder, *yard.folder.rglob("*")])]
    return {"canary": seen, "files": strange, "library": library, "what outlives a process": queues}


def family() -> set[int]:
    """This process and all that came from it and lives."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
                if state != "Z":
                    parents[int(entry.name)] = int(parent)
    known, found = {os.getpid()}, {os.getpid()}
    while found:
        found = {pid for pid, parent in parents.items() if parent in known} - known
        known |= found
    return known


def processes() -> dict[int, object]:
    """The family, which adopts what loses its parent -> what others could change of each."""
    about = {}
    for pid in sorted(family()):
        with contextlib.suppress(ProcessLookupError):
            limits = [resource.prlimit(pid, limit) for limit in (resource.RLIMIT_NOFILE, resource.RLIMIT_CPU)]
            about[pid] = (
                os.getpriority(os.PRIO_PROCESS, pid),
                os.sched_getscheduler(pid),
                os.sched_getaffinity(pid),
                limits,
            )
    return about


def expected(head: dict[str, str], tier: str) -> set[str]:
    """Verdicts that are right. Where no file can be opened, a module that is not loaded is an error, and in WebAssembly
    so is what there is no call for; it is slower, too, and a deadlock ends it."""
    labels = {label.strip() for label in head["expect"].split("|")}
    also = {"seccomp-noopen": {"error"}, "wasm": {"error", "timeout", "crash"}} if head["kind"] == "hostile" else {}
    return labels | also.get(tier, set())


def problems(program: str, usual: tuple[str, Result], yard: Yard, run: Run) -> list[str]:
    """What is wrong after a program, in words; nothing if the sandbox held and the verdict is one of the expected.
    `usual` is the program that runs next, and what it gives."""
    following, given = usual
    head = head_of(program)
    wall_s = float(head["wall_s"])
    wanted = re.split(r",(?=\w+(?:=|,|$))", head.get("invariants", ""))
    found = [] if given.status == "ok" else [f"the usual program gives {given}"]
    run(PREPARES.format(yard.secrets["earlier"]), 20.0)
    before, alive = files(yard), processes()
    times = [wall_s, *(WALLS_S if "same_each_time" in wanted else ())]
    results = [run(yard.source(program), each) for each in times]
    result = results[0]
    if result.status not in expected(head, result.tier):
        found.append(f"{result.status}, expected {head['expect']}: {result.stdout[-200:]!r} {result.stderr[-200:]!r}")
    if result.status != "ok" and result.answer:
        found.append("an answer that must not count")
    for said in wanted:
        name, _, text = said.partition("=")
        if name == "out" and result.stdout.strip() != text:
            found.append(f"printed {result.stdout[-200:]!r}, expected {text!r}")
        if name == "not_out" and text in result.stdout:
            found.append(f"printed {text!r}")
    if len({each.stdout for each in results}) > 1:
        found.append("another output each time")
    if result.status == "ok" and equal("no such answer", result.answer).outcome == "correct":
        found.append("its answer equals anything")
    found += [
        f"read the secret {name}" for name, secret in yard.secrets.items() if secret in result.stdout + result.stderr
    ]
    found += [f"changed: {name}" for name, seen in files(yard).items() if seen != before[name]]
    found += [f"reached {name}" for name in yard.reached()]
    if (now := processes()) != alive:
        found.append(f"processes: {alive} before, {now} after")
    after = run(following, 20.0)
    if (after.status, after.stdout) != (given.status, given.stdout):
        found.append(f"the next program gives {after}")
    return found


def refuse(layers: set[str]) -> None:
    """Take layers from this process and its children, as containers and older kernels do."""
    assert layers <= {"namespaces", "landlock"}
    numbers = syscalls.table(platform.machine())
    assert numbers is not None
    new = 0x00020000 | 0x7E000000  # CLONE_NEWNS and the other kinds
    refused = {
        "namespaces": [
            (seccomp.JEQ, 0, 1, numbers["unshare"]), (seccomp.RET, 0, 0, seccomp.EPERM),
            (seccomp.JEQ, 0, 1, numbers["clone3"]), (seccomp.RET, 0, 0, seccomp.ENOSYS),
            (seccomp.JEQ, 0, 4, numbers["clone"]), (seccomp.LOAD, 0, 0, seccomp.ARGS),
            (seccomp.JSET, 0, 1, new), (seccomp.RET, 0, 0, seccomp.EPERM), (seccomp.RET, 0, 0, seccomp.ALLOW),
        ],
        "landlock": [(seccomp.JEQ, 0, 1, 444), (seccomp.RET, 0, 0, seccomp.ENOSYS)],
    }  # fmt: skip
    code = [(seccomp.LOAD, 0, 0, seccomp.NR)]
    for name in ("landlock", "namespaces"):
        code += refused[name] if name in layers else []
    code.append((seccomp.RET, 0, 0, seccomp.ALLOW))
    ctypes.CDLL(None).prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    seccomp.install(b"".join(struct.pack("=HBBI", *instruction) for instruction in code))


def main() -> None:
    """Serve programs until the input ends: a line with one in, a line with its tier and its problems out."""
    unconfined, wasm = sys.argv[1:] == ["unconfined"], sys.argv[1:] == ["wasm"]
    if len(sys.argv) > 1 and not unconfined and not wasm:
        refuse(set(sys.argv[1:]))
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    with contextlib.ExitStack() as stack:
        yard = Yard()
        stack.enter_context(yard.stack)
        os.environ[VARIABLE] = yard.secrets["env"]
        boxes: dict[float, Sandbox] = {}

        def run(source: str, wall_s: float) -> Result:
            if unconfined:
                done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, env=os.environ)
                return Result("ok" if done.returncode == 0 else "error", stdout=done.stdout, stderr=done.stderr)
            if wall_s not in boxes:
                boxes[wall_s] = stack.enter_context(Sandbox(Config(cpu_s=max(5.0, wall_s), wall_s=wall_s, wasm=wasm)))
            return boxes[wall_s].run_now((source,))

        for wall_s in WALLS_S:  # so that no process is new when a program is tried
            run("print(42)", wall_s)
        # In WebAssembly each program has an interpreter of its own: sympy would be loaded, and nothing more be seen.
        following = "print(6 * 7)" if wasm else NEXT
        usual = following, run(following, 20.0)
        for line in sys.stdin:
            tier = "none" if unconfined else boxes[20.0].tier.name
            print(json.dumps({"tier": tier, "problems": problems(json.loads(line), usual, yard, run)}), flush=True)


if __name__ == "__main__":
    main()
