"""Checks that always come back: the fast path here, the rest in processes that can be killed.

No signals, no threads in the caller, no fork: it works from any thread, under any event loop, and beside libraries
that break after a fork. A worker that outlives the deadline is killed and the verdict is undecided, rule `timeout`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import queue
import select
import subprocess
import sys
import threading
import time
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

from mathsynth.records import Verdict
from mathsynth.verifier.expressions import NeedSlow
from mathsynth.verifier.judge import judge
from mathsynth.verifier.policy import Policy
from mathsynth.verifier.verdict import Question, question, verdict
from mathsynth.verifier.words import Finding

RECYCLE_AFTER = 1000
CACHE_SIZE = 50_000
START_LIMIT_S = 60.0
_CODE = (
    "import json, sys; sys.path[:] = json.loads(sys.argv.pop(2)); "
    "from mathsynth.verifier.worker_main import main; main()"
)


class _Died(Exception):
    """The worker process ended without an answer."""


class _Worker:
    """One process; one request at a time."""

    def __init__(self, policy: Policy) -> None:
        self.deadline = policy.deadline_s
        self.asked = 0
        root = str(Path(__file__).resolve().parents[2])
        paths = json.dumps([root, *(p for p in sys.path if p)])
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-c", _CODE, policy.model_dump_json(), paths],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.rest = b""
        try:
            self.ready = self._line(START_LIMIT_S) == b"ready"
        except BaseException:
            self.kill()
            raise

    def ask(self, reference: str, answer: str) -> Finding:
        """The finding, or one that says why there is none; `_Died` if the process was gone already."""
        assert self.process.stdin is not None
        self.asked += 1
        try:
            self.process.stdin.write(json.dumps([reference, answer]).encode() + b"\n")
            self.process.stdin.flush()
        except OSError:
            raise _Died from None
        line = self._line(self.deadline)
        if line is None:
            return Finding(None, "timeout", f"not decided within {self.deadline:g} s")
        equal, rule, reason = json.loads(line)
        return Finding(equal, rule, reason)

    def _line(self, limit: float) -> bytes | None:
        """The next line, or None at the deadline."""
        assert self.process.stdout is not None
        descriptor = self.process.stdout.fileno()
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        until = time.monotonic() + limit
        while b"\n" not in self.rest:
            left = until - time.monotonic()
            if left <= 0 or not poll.poll(left * 1000):
                return None
            block = os.read(descriptor, 65536)
            if not block:
                raise _Died
            self.rest += block
        line, self.rest = self.rest.split(b"\n", 1)
        return line

    def kill(self) -> None:
        """End the process and take it from the process table."""
        self.process.kill()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        self.process.wait()


class Checker:
    """Checks responses against references under one policy, with up to `workers` processes for the hard ones.

    Processes start when they are first needed and end with the `with` block, or with this process. Verdicts of the
    same reference and answer are remembered.
    """

    def __init__(self, policy: Policy | None = None, workers: int = 1) -> None:
        self.policy = policy or Policy()
        self.workers = max(1, workers)
        self._reset()

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[str, str], Finding] = OrderedDict()
        self._idle: queue.LifoQueue[_Worker | None] = queue.LifoQueue()
        self._all: set[_Worker] = set()
        self._threads: ThreadPoolExecutor | None = None
        self._closed = False
        for _ in range(self.workers):
            self._idle.put(None)

    def __enter__(self) -> Checker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Checker:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the worker processes; checks under way come back undecided."""
        if self._pid != os.getpid():
            return
        self._closed = True
        with self._lock:
            workers, self._all = list(self._all), set()
        for worker in workers:
            worker.kill()
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)

    async def check(
        self,
        reference: str,
        *,
        response: str | None = None,
        answer: str | None = None,
        finish_reason: str | None = None,
    ) -> Verdict:
        """The verdict, without blocking the event loop for longer than a fast comparison."""
        asked = question(reference, response=response, answer=answer, finish_reason=finish_reason)
        if isinstance(asked, Verdict):
            return asked
        found = self._fast(asked)
        if found is None:
            if self._threads is None:
                self._threads = ThreadPoolExecutor(self.workers, thread_name_prefix="verifier")
            found = await asyncio.get_running_loop().run_in_executor(self._threads, self.slow, asked)
        return verdict(asked, found, self.policy)

    def check_now(
        self,
        reference: str,
        *,
        response: str | None = None,
        answer: str | None = None,
        finish_reason: str | None = None,
    ) -> Verdict:
        """The verdict; blocks, at most for the deadline and the wait for a free worker. From any thread."""
        asked = question(reference, response=response, answer=answer, finish_reason=finish_reason)
        if isinstance(asked, Verdict):
            return asked
        found = self._fast(asked)
        return verdict(asked, self.slow(asked) if found is None else found, self.policy)

    def _fast(self, asked: Question) -> Finding | None:
        if self._pid != os.getpid():
            self._reset()  # after a fork the parent's workers are not ours
        pair = (asked.reference, asked.answer)
        with self._lock:
            known = self._known.get(pair)
            if known is not None:
                self._known.move_to_end(pair)
                return known
        try:
            found = judge(asked.reference, asked.answer, self.policy, slow=False)
        except (NeedSlow, RecursionError):
            return None
        self.remember(asked, found)
        return found

    def remember(self, asked: Question, found: Finding) -> None:
        """Answer the same question so from now on."""
        with self._lock:
            self._known[asked.reference, asked.answer] = found
            if len(self._known) > CACHE_SIZE:
                self._known.popitem(last=False)

    def slow(self, asked: Question) -> Finding:
        """What a worker process finds; blocks, at most for the deadline and the wait for a free one."""
        for _ in range(2):
            worker = self._idle.get()
            again: _Worker | None = None
            try:
                if self._closed:
                    return Finding(None, "closed", "the checker was closed")
                if worker is None:
                    worker = _Worker(self.policy)
                    with self._lock:
                        self._all.add(worker)
                found = worker.ask(asked.reference, asked.answer)
                if found.rule not in ("timeout", "memory") and worker.asked < RECYCLE_AFTER:
                    again = worker
                self.remember(asked, found)
                return found
            except (_Died, ValueError, OSError):
                continue  # gone, or closed under our hands: once more with a fresh one
            finally:
                if again is None and worker is not None:
                    with self._lock:
                        self._all.discard(worker)
                    worker.kill()
                self._idle.put(again)
        return Finding(None, "worker", "the worker process died twice")
