"""Who may write a run: one process at a time, in an empty directory or a run's. The lock ends with its process."""

from __future__ import annotations

import fcntl
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mathsynth.errors import RunError, UsageError
from mathsynth.parts import SHARDS
from mathsynth.shards import KEY, MANIFEST

LOCK, RECIPE = ".lock", "recipe.yaml"


@contextmanager
def hold(directory: Path) -> Iterator[None]:
    """The right to write a run. RunError naming who has it, or if something else lives in the directory."""
    refuse_strange(directory)
    handle = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        if not _lock(handle):
            holder = holder_of(directory) or "another process"
            raise RunError(f"{directory}: {holder} is writing this run; wait for it or stop it")
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"process {os.getpid()} on {platform.node()}\n".encode(), 0)
        yield
    finally:
        os.close(handle)


def refuse_strange(directory: Path) -> None:
    """UsageError if something else lives in the directory, which is made if it is missing."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        there = {path.name for path in directory.iterdir()}
    except OSError as error:
        raise RunError(f"{directory}: {error.strerror}") from None
    if there and not there & {LOCK, RECIPE, MANIFEST, KEY, SHARDS}:
        raise UsageError(f"{directory}: not empty and not a run of mathsynth; choose another directory")


def _lock(handle: int) -> bool:
    """Whether the lock could be had. `held` has it for a moment when it looks, so one refusal is none."""
    for wait in (0.05, 0.05, 0.0):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except OSError:
            time.sleep(wait)
    return False


def held(directory: Path) -> bool:
    """Whether a process, on this machine or another, is writing this run now."""
    try:
        with open(directory / LOCK, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False


def holder_of(directory: Path) -> str:
    """Who wrote this run last, or does now: `process 12 on gpu1`."""
    lock = directory / LOCK
    return lock.read_bytes().decode("utf-8", "replace").strip() if lock.exists() else ""
