"""One zygote and its parent's side: hand over a program, read what it prints, end it in time, say what became of it."""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mathsynth.errors import MathsynthError
from mathsynth.sandbox.results import (
    OUTPUT_BYTES,
    STDERR_KEPT,
    Limits,
    Result,
    Status,
    report,
    status_of,
)

JOB, END = struct.Struct("=dQ?"), struct.Struct("=iddQ")
"""As in zygote.py, which must not import this module: what a program can find in its memory should be little."""
START_S, GRACE_S = 60.0, 10.0
"""Seconds for a zygote to warm up, and for one to report the end of a child that it was told to kill."""
ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "HOME": "/nonexistent",
    "PYTHONHASHSEED": "0",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONIOENCODING": "utf-8:backslashreplace",
    "MALLOC_ARENA_MAX": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}
START = (
    "import sys; root = sys.argv.pop(3); sys.path.insert(0, root); from mathsynth.sandbox.zygote import main; "
    "sys.path.remove(root); main()"
)


class ZygoteDied(Exception):
    """The zygote is gone, or does not answer."""


class Zygote:
    """A warm interpreter that runs one program at a time."""

    def __init__(self, *, layers: bool = True, namespaces: bool = True, landlock: bool = True) -> None:
        """Start it and wait until it is warm. MathsynthError if it does not start."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        wanted = json.dumps({"layers": layers, "namespaces": namespaces, "landlock": landlock})
        root = str(Path(__file__).resolve().parents[2])
        self._socket, self.asked = ours, 0
        self._running = threading.Lock()
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-s", "-P", "-c", START, str(theirs.fileno()), wanted, root],
                env=ENVIRONMENT,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
        ours.settimeout(START_S)
        try:
            ready, late = ours.recv(4096), ""
        except OSError as error:
            ready, late = b"", f"not warm in {START_S:g} s" if isinstance(error, TimeoutError) else ""
        if not ready:
            ours.close()  # ends the one inside, too, where the process that was started only waits for it
            self.process.kill()
            said = (self.process.communicate()[1] or b"").decode("utf-8", "replace").strip().splitlines()
            why = late or (said[-1] if said else "no word from it")
            raise MathsynthError(f"the sandbox's interpreter does not start: {why}")
        self.about: dict[str, Any] = json.loads(ready)

    def run(self, blocks: Sequence[str], limits: Limits, notebook: bool) -> Result:
        """Run one program to its end. ZygoteDied if the zygote does not survive it."""
        self.asked += 1
        with self._running:
            return _Run(self._socket, blocks, limits).to_its_end(notebook)

    def close(self) -> None:
        """End it and what it runs; who waits for that is told at once."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self.process.kill()
        with self._running:
            self._socket.close()
        if self.process.stderr is not None:
            self.process.stderr.close()
        self.process.wait()


class _Run:
    """One program while it runs."""

    def __init__(self, channel: socket.socket, blocks: Sequence[str], limits: Limits) -> None:
        self.channel, self.limits = channel, limits
        self.waiting = [frame(block) for block in blocks]
        self.stopped: Status | None = None
        self.printed, self.said, self.outputs = bytearray(), bytearray(), list[bytes]()
        self.total = 0

    def to_its_end(self, notebook: bool) -> Result:
        pipes = [os.pipe() for _ in range(4)]
        (source, self.source), (self.out, out), (self.err, err), (self.done, done) = pipes
        started = time.monotonic()
        try:
            job = JOB.pack(self.limits.cpu_s, self.limits.memory_mb << 20, notebook)
            try:
                socket.send_fds(self.channel, [job], [source, out, err, done])
            except OSError:
                raise ZygoteDied from None
            finally:
                for theirs in (source, out, err, done):
                    os.close(theirs)
            for ours in (self.source, self.out, self.err, self.done):
                os.set_blocking(ours, False)
            status, user_s, system_s, peak_kib = END.unpack(self._watch(started))
            self._read_out()
            self._read_err()
        finally:
            for ours in (self.source, self.out, self.err, self.done):
                if ours >= 0:
                    os.close(ours)
        cpu_s = user_s + system_s
        return report(
            status_of(status, self.stopped, cpu_s, self.limits),
            [*self.outputs, self._since_last()],
            bytes(self.said),
            cpu_s=cpu_s,
            wall_s=time.monotonic() - started,
            memory_mb=peak_kib / 1024,
        )

    def _watch(self, started: float) -> bytes:
        """Feed, read and time the program until the zygote tells its end."""
        poll = select.poll()
        for handle in (self.channel.fileno(), self.out, self.err, self.done):
            poll.register(handle, select.POLLIN)
        pending = self.waiting.pop(0)
        poll.register(self.source, select.POLLOUT)
        self.deadline = started + self.limits.wall_s
        while True:
            left = self.deadline - time.monotonic()
            if left <= 0:
                if self.stopped is not None:
                    raise ZygoteDied
                self._stop("timeout")
            for handle, event in poll.poll(max(0.0, left) * 1000 + 1):
                if handle == self.channel.fileno():
                    try:
                        if not (end := self.channel.recv(64)):
                            raise ZygoteDied
                    except OSError:
                        raise ZygoteDied from None
                    return end
                if handle == self.source:
                    try:
                        pending = pending[os.write(self.source, pending) :]
                    except OSError:
                        pending = b""
                    if not pending:
                        poll.unregister(self.source)
                        if not self.waiting:
                            os.close(self.source)
                            self.source = -1
                elif handle == self.out:
                    if not self._read_out():
                        poll.unregister(self.out)
                elif handle == self.err:
                    if not self._read_err():
                        poll.unregister(self.err)
                elif not self._block_done():
                    poll.unregister(self.done)
                elif self.waiting and self.source >= 0:
                    # What the block printed was in the pipe before it said that it was done.
                    self._read_out()
                    self.outputs.append(self._since_last())
                    pending = self.waiting.pop(0)
                    poll.register(self.source, select.POLLOUT)

    def _block_done(self) -> bool:
        try:
            return bool(os.read(self.done, 1))
        except BlockingIOError:
            return True

    def _since_last(self) -> bytes:
        return bytes(self.printed[sum(map(len, self.outputs)) :])

    def _read_out(self) -> bool:
        """Take what is there of stdout, at most as much as is allowed; whether there can be more."""
        while True:
            try:
                more = os.read(self.out, OUTPUT_BYTES)
            except BlockingIOError:
                return True
            if not more:
                return False
            self.total += len(more)
            self.printed += more[: OUTPUT_BYTES - len(self.printed)]
            if self.total > OUTPUT_BYTES:
                self._stop("output_limit")
                return True

    def _read_err(self) -> bool:
        try:
            more = os.read(self.err, OUTPUT_BYTES)
        except BlockingIOError:
            return True
        self.said = (self.said + more)[-STDERR_KEPT:]
        return bool(more)

    def _stop(self, why: Status) -> None:
        if self.stopped is None:
            self.stopped, self.deadline = why, time.monotonic() + GRACE_S
            try:
                self.channel.send(b"K")
            except OSError:
                raise ZygoteDied from None


def frame(block: str) -> bytes:
    """A block as `runner.framed` reads it."""
    data = block.encode("utf-8", "surrogatepass")
    return len(data).to_bytes(4, "little") + data
