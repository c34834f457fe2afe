"""The system call filter, as BPF made here: what a program may ask of the kernel.

Calls that only calculating needs are allowed, some after a look at their arguments; clear attempts to get out end the
process (the kernel's SIGSYS can't be forged); every other one is refused with EPERM, because killing for an unknown
call kills honest programs now and then (dify-sandbox#274). Another machine's numbers (int 0x80, x32) end the process.
"""

from __future__ import annotations

import ctypes
import platform
import struct
from collections.abc import Sequence

from mathsynth.sandbox.syscalls import ALLOWED, KILLED, table

ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
X32 = 0x40000000
NR, ARCH, ARGS = 0, 4, 16
"""Offsets in the kernel's seccomp_data; argument i stands at ARGS + 8 * i, its low half first."""

LOAD, JEQ, JGE, JSET, JA, RET = 0x20, 0x15, 0x35, 0x45, 0x05, 0x06
ALLOW, KILL = 0x7FFF0000, 0x80000000
EPERM, EACCES, ENOSYS = 0x00050001, 0x0005000D, 0x00050026

O_WRITES = 0o1 | 0o2 | 0o100 | 0o1000 | 0o2000 | 0o20000000
"""O_WRONLY, O_RDWR, O_CREAT, O_TRUNC, O_APPEND and the bit that makes O_TMPFILE."""
CLONE_THREAD = 0x00010000
AF_UNIX, SOCK_STREAM, SOCK_KIND = 1, 1, 0xF
FCNTL = (0, 1, 2, 3, 4, 1030)
"""F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC. F_SETOWN would let a program signal its parent."""
IOCTL = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)
"""TCGETS, TIOCGWINSZ, FIONREAD, FIONBIO, FIONCLEX, FIOCLEX."""
PRCTL = (3, 15, 16)
"""PR_GET_DUMPABLE, PR_SET_NAME, PR_GET_NAME."""

Code = list[tuple[int, int, int, int]]
"""Instructions: code, jump if true, jump if false, value."""


def supported() -> bool:
    """Whether this machine's system call numbers are known here."""
    return platform.system() == "Linux" and platform.machine() in ARCHITECTURES


def build(own_pid: int, opens: bool) -> bytes:
    """The filter for the process `own_pid`, 8 bytes an instruction; with `opens` it may open files for reading."""
    machine = platform.machine()
    numbers = table(machine)
    assert numbers is not None
    rules: dict[int, Code] = {numbers[name]: _ret(ALLOW) for name in ALLOWED.split() if name in numbers}
    rules |= {numbers[name]: _ret(KILL) for name in KILLED.split() if name in numbers}
    for name, rule in _checked(own_pid, opens).items():
        if name in numbers:
            rules[numbers[name]] = rule
    foreign = [(LOAD, 0, 0, ARCH), (JEQ, 1, 0, ARCHITECTURES[machine]), *_ret(KILL), (LOAD, 0, 0, NR)]
    if machine == "x86_64":
        foreign += [(JGE, 0, 1, X32), *_ret(KILL)]
    code = [*foreign, *_tree(_intervals(rules))]
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in code)


def install(program: bytes) -> None:
    """Put the filter on this process for good; the process must have given up new privileges. OSError if refused."""

    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]

    libc = ctypes.CDLL(None, use_errno=True)
    argument = Program(len(program) // 8, program)
    if libc.prctl(22, 2, ctypes.byref(argument), 0, 0) != 0:  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER
        raise OSError(ctypes.get_errno(), "seccomp")


def _checked(own_pid: int, opens: bool) -> dict[str, Code]:
    """The calls that depend on their arguments."""
    reading = [(JSET, 0, 1, O_WRITES), *_ret(EACCES), *_ret(ALLOW)] if opens else _ret(EACCES)
    own = [(JEQ, 1, 0, own_pid), *_ret(KILL), *_ret(ALLOW)]
    return {
        "open": [_argument(1), *reading],
        "openat": [_argument(2), *reading],
        "openat2": _ret(ENOSYS),  # its flags stand in memory, where they could be changed after the look
        "clone3": _ret(ENOSYS),
        "clone": [_argument(0), (JSET, 1, 0, CLONE_THREAD), *_ret(KILL), *_ret(ALLOW)],
        "kill": [_argument(0), *own],
        "tgkill": [_argument(0), *own],
        "fcntl": [_argument(1), *_one_of(FCNTL)],
        "ioctl": [_argument(1), *_one_of(IOCTL)],
        "prctl": [_argument(0), *_one_of(PRCTL)],
        # Reading its own limits, changing none.
        "prlimit64": [
            _argument(0), (JEQ, 2, 0, 0), (JEQ, 1, 0, own_pid), *_ret(KILL), *_zero(2), *_ret(ALLOW)
        ],
        # asyncio wakes itself through a pair of stream sockets; an address would reach other sockets.
        "socketpair": [
            _argument(0), (JEQ, 1, 0, AF_UNIX), *_ret(KILL),
            _argument(1), (0x54, 0, 0, SOCK_KIND), (JEQ, 1, 0, SOCK_STREAM), *_ret(EPERM), *_ret(ALLOW),
        ],
        "sendto": [*_zero(4), *_ret(ALLOW)],
    }  # fmt: skip


def _ret(value: int) -> Code:
    return [(RET, 0, 0, value)]


def _argument(number: int) -> tuple[int, int, int, int]:
    return (LOAD, 0, 0, ARGS + 8 * number)


def _zero(number: int) -> Code:
    """Go on only if a whole argument is 0."""
    low, high = ARGS + 8 * number, ARGS + 8 * number + 4
    return [(LOAD, 0, 0, low), (JEQ, 1, 0, 0), *_ret(EPERM), (LOAD, 0, 0, high), (JEQ, 1, 0, 0), *_ret(EPERM)]


def _one_of(values: Sequence[int]) -> Code:
    return [*(step for value in values for step in ((JEQ, 0, 1, value), *_ret(ALLOW))), *_ret(EPERM)]


def _intervals(rules: dict[int, Code]) -> list[tuple[int, Code]]:
    """(first number, what is done from it on), numbers without a rule refused."""
    found: list[tuple[int, Code]] = []
    for number in range(max(rules) + 2):
        rule = rules.get(number, _ret(EPERM))
        if not found or found[-1][1] != rule:
            found.append((number, rule))
    return found


def _tree(intervals: Sequence[tuple[int, Code]]) -> Code:
    """A binary search for the number that is loaded."""
    if len(intervals) == 1:
        return intervals[0][1]
    middle = len(intervals) // 2
    below, above = _tree(intervals[:middle]), _tree(intervals[middle:])
    return [(JGE, 0, 1, intervals[middle][0]), (JA, 0, 0, len(below)), *below, *above]
