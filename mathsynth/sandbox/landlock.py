"""Landlock: this process may read the files that Python needs, and do nothing else with any file, net or process.

Three system calls, the same numbers on every machine. Of what a kernel does not know yet, seccomp must refuse the rest.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterable

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
READ_FILE, READ_DIR = 1 << 2, 1 << 3
FILES = {1: 13, 2: 14, 3: 15, 5: 16}
"""ABI -> how many rights on files there are from it on: 2 adds REFER, 3 TRUNCATE, 5 IOCTL_DEV."""
NET_FROM, SCOPES_FROM = 4, 6


def abi() -> int:
    """The version of the kernel's Landlock, 0 without it."""
    found = int(_libc().syscall(CREATE_RULESET, None, ctypes.c_size_t(0), 1))
    return max(found, 0)


def ruleset(readable: Iterable[str], listable: Iterable[str] = ()) -> int:
    """A descriptor of rules that let only these files and folders be read, and the names in the `listable` ones.

    It is made once, before any program is known.
    """
    version = abi()
    rights = (1 << FILES[max(known for known in FILES if known <= version)]) - 1
    net, scopes = (3 if version >= NET_FROM else 0), (3 if version >= SCOPES_FROM else 0)
    size = 24 if version >= SCOPES_FROM else 16 if version >= NET_FROM else 8
    attributes = struct.pack("=QQQ", rights, net, scopes)[:size]
    rules = _check(_libc().syscall(CREATE_RULESET, attributes, ctypes.c_size_t(size), 0))
    wanted = [(path, READ_FILE | READ_DIR) for path in readable] + [(path, READ_DIR) for path in listable]
    for path, may in wanted:
        try:
            handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            continue  # not on this machine
        may &= READ_FILE | READ_DIR if os.path.isdir(path) else READ_FILE
        _check(_libc().syscall(ADD_RULE, rules, 1, struct.pack("=Qi", may, handle), 0))
        os.close(handle)
    return rules


def restrict(rules: int) -> None:
    """Put the rules on this process for good. OSError if the kernel refuses."""
    _check(_libc().syscall(RESTRICT_SELF, rules, 0))


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _check(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), "landlock")
    return int(result)
