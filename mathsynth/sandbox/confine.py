"""What a forked child gives up before it reads its program: files, network, other processes, memory, time."""

from __future__ import annotations

import ctypes
import glob
import os
import resource
import signal
import site
import struct
import sysconfig
from collections.abc import Iterable
from dataclasses import dataclass

from mathsynth.sandbox import landlock, seccomp

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_CAPBSET_DROP, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 4, 24, 36, 38
NEW_USER, NEW_PID, NEW_NET, NEW_IPC, NEW_UTS = 0x10000000, 0x20000000, 0x40000000, 0x08000000, 0x04000000
CAPSET_VERSION, CAPSET = 0x20080522, {"x86_64": 126, "aarch64": 91}
OPEN_FILES, STACK_BYTES = 64, 8 << 20
FIRST_OF_OURS = 5
"""0, 1, 2 are the program's; 3 its source, 4 where it says that a block is done."""

OWN = "mathsynth"

libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Layers:
    """What holds a child, prepared once by the zygote."""

    rules: int | None
    """The Landlock descriptor."""
    filtered: bool
    """Whether seccomp is there."""


def readable() -> tuple[list[str], list[str]]:
    """(what Python needs to read, folders whose names it needs): its library, packages, what it has mapped, time zones.

    No project, no home, and of the packages not our own, which carries the answers to its seeds.
    """
    named = sysconfig.get_paths()
    packages = {*site.getsitepackages(), named["purelib"], named["platlib"]}
    with open("/proc/self/maps") as maps:
        mapped = {line.split(maxsplit=5)[5].strip() for line in maps if len(line.split(maxsplit=5)) == 6}
    roots = {os.path.dirname(path) for path in mapped if path.startswith("/") and os.path.isfile(path)}
    roots |= packages | {named["stdlib"], named["platstdlib"], "/usr/share/zoneinfo", "/etc/localtime"}
    hidden = {os.path.dirname(os.path.dirname(os.path.realpath(__file__)))}
    for folder in packages:
        hidden |= {os.path.realpath(path) for path in glob.glob(os.path.join(folder, f"{OWN}*"))}
    read, listed = {"/dev/null", "/dev/urandom"}, set[str]()
    for root in {os.path.realpath(path) for path in roots} - {"/"}:
        _all_but(hidden, root, read, listed)
    return sorted(read), sorted(listed)


def _all_but(hidden: set[str], path: str, read: set[str], listed: set[str]) -> None:
    """Add a path to what is read, or, around what is hidden, all else in it."""
    if path in hidden:
        return
    if not any(one.startswith(f"{path}/") for one in hidden):
        read.add(path)
        return
    listed.add(path)
    for entry in os.scandir(path):
        _all_but(hidden, entry.path, read, listed)


def namespaces() -> bool:
    """Own user, process, network and IPC namespaces for what this process forks; False if they are refused."""
    return bool(libc.unshare(NEW_USER | NEW_PID | NEW_NET | NEW_IPC | NEW_UTS) == 0)


def settle() -> None:
    """Adopt what its children leave behind, and be unreadable for others of the same user."""
    libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def confine(layers: Layers, parent: int, source: int, out: int, err: int, done: int, cpu_s: float, memory: int) -> None:
    """Give up everything, for good. `memory` is the whole address space in bytes. OSError if a layer is refused."""
    os.setsid()
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
    null = os.open("/dev/null", os.O_RDONLY)
    # First out of the way of 0 to 4, then to them.
    moved = [os.dup2(handle, 100 + place) for place, handle in enumerate((null, out, err, source, done))]
    rules = os.dup2(layers.rules, 110) if layers.rules is not None else None
    for place, handle in enumerate(moved):
        os.dup2(handle, place, inheritable=place < 3)
    _limits(cpu_s, memory)
    _drop_capabilities()
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if rules is not None:
        landlock.restrict(rules)
    os.closerange(FIRST_OF_OURS, 1024)
    resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, OPEN_FILES))
    if layers.filtered:
        seccomp.install(seccomp.build(os.getpid(), opens=layers.rules is not None))


def _limits(cpu_s: float, memory: int) -> None:
    seconds = max(1, round(cpu_s))
    for limit, (soft, hard) in {
        resource.RLIMIT_CPU: (seconds, seconds + 1),
        resource.RLIMIT_AS: (memory, memory),
        resource.RLIMIT_FSIZE: (0, 0),
        resource.RLIMIT_CORE: (0, 0),
        resource.RLIMIT_MEMLOCK: (0, 0),
        resource.RLIMIT_STACK: (STACK_BYTES, STACK_BYTES),
    }.items():
        resource.setrlimit(limit, (soft, hard))


def _drop_capabilities() -> None:
    """Those of root, or of its own namespace: Landlock does not know of them, and limits can be raised with one."""
    for capability in range(64):
        libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
    libc.syscall(CAPSET.get(os.uname().machine, 126), struct.pack("=Ii", CAPSET_VERSION, 0), bytes(24))


def preload(names: Iterable[str]) -> list[str]:
    """Import what programs use most; the names that are not installed are left out."""
    import importlib

    found = []
    for name in names:
        try:
            importlib.import_module(name)
            found.append(name)
        except ImportError:
            continue
    return found
