"""Kills the processes that we started if this one is killed: engines and servers would live on, GPU memory and all."""

from __future__ import annotations

import logging
import subprocess
import sys

log = logging.getLogger(__name__)


class Guard:
    """A small process that is told ids and holds the other end of a pipe, which closes when this process ends."""

    CODE = """
import os, signal, sys
from pathlib import Path

def processes():  # id -> (parent, session, ticks from boot to start: with the id it names a process for good)
    found = {}
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = place.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        found[int(place.parent.name)] = int(fields[1]), int(fields[3]), fields[19]
    return found

def kill():
    there = processes()
    # A session outlives the process that began it, and its number is not given again before it ends.
    ours = [number for number, born in watched.items() if born and there.get(number, (0, 0, born))[2] == born]
    doomed = [number for number in there if number in ours or there[number][1] in ours]
    for parent in doomed:
        doomed += [number for number in there if there[number][0] == parent and number not in doomed]
    for number in doomed:
        try:
            os.kill(number, signal.SIGKILL)
        except ProcessLookupError:
            pass

signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
watched = {}
for line in sys.stdin.buffer:
    if line == b"done\\n":
        sys.exit()
    if line == b"kill\\n":
        kill()
    else:
        watched[int(line)] = processes().get(int(line), (0, 0, None))[2]
kill()
kill()  # what one of them was just starting
"""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", self.CODE], stdin=subprocess.PIPE, start_new_session=True
        )

    def watch(self, process: int) -> None:
        """Kill this one too, by its id, with all below it and, if it began a session, all in that."""
        self._tell(f"{process}\n")

    def kill(self) -> None:
        """Kill them now."""
        self._tell("kill\n")

    def close(self) -> None:
        """They are gone: nothing is left to kill."""
        self._tell("done\n")
        self._process.communicate()

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line.encode())
            self._process.stdin.flush()
        except BrokenPipeError:
            log.warning("the process that guards those started here is gone; if this one is killed, look for theirs")
