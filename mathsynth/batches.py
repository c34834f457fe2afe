"""Requests that go to a provider in batches and come back within a day, for less money.

    collected -> uploaded -> INTENT on disk -> created -> ID on disk -> polled -> downloaded -> journal -> file deleted

A batch that was or may have been created is one file, `batch-<token>.json`, beside the replies of the step. So whatever
kills the process, nothing is submitted twice: a request whose key is in such a file waits for that batch; an intent
without an id is looked for in the provider's list (the batch carries the token, and its input file is its alone), and
only what is not there was never created: its requests are collected anew. A kill before the intent leaves at most an
unused file at the provider. The state is deleted once every reply that the batch brought is in the journal.

A provider that does not answer is waited for, up to `give_up_after_s`; a request fails only by what its own line says,
or if the batch as a whole was refused. Retries of single requests live in `calls.py`, the calls in `batchapi.py`.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

import xxhash
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mathsynth.batchapi import ENDED, BatchAPI, answer_of, completed_of, request_line, status_of
from mathsynth.errors import BackendError, RunError, Stopped
from mathsynth.journal import Journal
from mathsynth.records import explain
from mathsynth.shards import write_json
from mathsynth.wire import Wire

log = logging.getLogger(__name__)

SETTLE_S = 30.0
"""A batch that was created shows in the provider's list within so many seconds."""

Answer = TypeVar("Answer")
Found = TypeVar("Found")


class Batch(BaseModel):
    """How requests are gathered into batches, and what those cost."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_requests: int = Field(default=50_000, ge=1)
    """Requests of one batch at most."""
    max_mb: float = Field(default=200, gt=0)
    """Megabytes of one batch at most."""
    linger_s: float = Field(default=5, ge=0)
    """A batch is sent once nothing was added to it for so many seconds."""
    poll_s: float = Field(default=60, gt=0)
    """Seconds between two looks at a batch."""
    window: str = "24h"
    """The provider's completion window."""
    price_factor: float = Field(default=0.5, ge=0)
    """What a batch costs, as a share of `price`."""


class State(BaseModel):
    """`batch-<token>.json`: a batch that was created, or may have been."""

    token: str
    number: int
    server: str
    """A hash of its address, which may come from the environment."""
    model: str
    keys: list[str]
    """Request hashes, which are the `custom_id`s."""
    file: str = ""
    """The provider's id of the uploaded requests."""
    tried: float = 0.0
    """When its creation was tried last, in seconds since 1970; 0: never, or the provider said no."""
    batch: str = ""
    """The provider's id of the batch, once it is known."""


@dataclass
class _UnderWay:
    """A batch, from its closing on."""

    state: State
    waiting: dict[str, asyncio.Future[_UnderWay]] = field(default_factory=dict)
    content: bytes = b""
    """What is to be uploaded, until it is."""
    task: asyncio.Task[None] | None = None
    status: str = ""
    completed: int = 0
    ended: bool = False
    """Its answers are here."""
    answers: dict[str, bytes] = field(default_factory=dict)
    """Lines that were downloaded and not yet asked for."""
    owed: set[str] = field(default_factory=set)
    """Keys of good replies that are not known to be in the journal."""


class Batches(Generic[Answer]):
    """All batches of one model in one step."""

    def __init__(
        self,
        rules: Batch,
        wire: Wire,
        model: str,
        give_up_after_s: float,
        journal: Journal,
        say: Callable[[str], None],
        read: Callable[[dict[str, Any]], Answer],
    ) -> None:
        """`say` shows what is waited for; `read` makes an answer of a reply's body, or raises BackendError."""
        self._rules, self._model, self._give_up_after_s = rules, model, give_up_after_s
        self._journal, self._say, self._read = journal, say, read
        self._api = BatchAPI(wire, model, give_up_after_s, say)
        self._server = xxhash.xxh3_64_hexdigest(wire.url.encode())
        self._resumed: asyncio.Task[None] | None = None
        self._batches: list[_UnderWay] = []
        self._where: dict[str, _UnderWay] = {}
        """By key the newest batch that holds it."""
        self._numbers = 0
        self._open: dict[str, tuple[bytes, asyncio.Future[_UnderWay]]] = {}
        self._open_bytes, self._touched = 0, 0.0
        self._lingering: asyncio.Task[None] | None = None

    async def ask(self, key: str, body: dict[str, Any]) -> Answer:
        """The answer to one request, by the batch that holds it already or by the next one.

        BackendError if the request failed or must be asked again, Stopped if the provider answers nobody.
        """
        if self._resumed is None:
            self._resumed = asyncio.create_task(self._resume())
        await asyncio.shield(self._resumed)
        batch = self._where.get(key)
        if batch is None or (batch.ended and key not in batch.answers):
            batch = await self._collect(key, body)
        elif not batch.ended:
            batch = await self._attach(key, batch)
        try:
            return self._read(self._api.body(batch.answers.pop(key, None)))
        except BackendError:
            batch.owed.discard(key)
            if batch.status == "cancelled":
                raise Stopped(f"batch {batch.state.batch} was cancelled at {self._api.url}") from None
            raise

    async def aclose(self) -> None:
        """Let the batches go on without us."""
        tasks = [task for task in (self._resumed, self._lingering, *(b.task for b in self._batches)) if task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._sweep()
        away = [batch for batch in self._batches if batch.state.tried and not batch.ended]
        if away:
            log.warning(
                "batches under way at %s: %d, with %d requests; they go on there, and the same command picks them up",
                *(self._api.url, len(away), sum(len(batch.state.keys) for batch in away)),
            )

    # --- collecting --------------------------------------------------------------------------------------------

    def _collect(self, key: str, body: dict[str, Any]) -> asyncio.Future[_UnderWay]:
        """Put a request into the open batch."""
        line = request_line(key, body)
        if self._open_bytes + len(line) > self._rules.max_mb * 1e6:
            self._send_off()
        future: asyncio.Future[_UnderWay] = asyncio.get_running_loop().create_future()
        self._open[key] = line, future
        self._open_bytes += len(line)
        self._touched = time.monotonic()
        if len(self._open) >= self._rules.max_requests:
            self._send_off()
        elif self._lingering is None:
            self._lingering = asyncio.create_task(self._linger())
        return future

    async def _linger(self) -> None:
        while (left := self._touched + self._rules.linger_s - time.monotonic()) > 0:
            await asyncio.sleep(left)
        self._lingering = None
        self._send_off()

    def _send_off(self) -> None:
        """Close the open batch and send what is still waited for."""
        wanted = {key: pair for key, pair in self._open.items() if not pair[1].done()}
        self._open, self._open_bytes = {}, 0
        if wanted:
            self._numbers += 1
            state = State(
                token=uuid.uuid4().hex,
                number=self._numbers,
                server=self._server,
                model=self._model,
                keys=list(wanted),
            )
            waiting = {key: future for key, (_, future) in wanted.items()}
            self._start(self._add(_UnderWay(state, waiting, b"".join(line for line, _ in wanted.values()))))

    def _add(self, batch: _UnderWay) -> _UnderWay:
        self._batches.append(batch)
        self._where |= dict.fromkeys(batch.state.keys, batch)
        return batch

    def _start(self, batch: _UnderWay) -> None:
        def done(task: asyncio.Task[None]) -> None:
            error = None if task.cancelled() else task.exception()
            for future in batch.waiting.values():
                if not future.done() and error is not None:
                    future.set_exception(error)
                elif not future.done():
                    future.cancel()

        batch.task = asyncio.create_task(self._bring(batch))
        batch.task.add_done_callback(done)

    def _attach(self, key: str, batch: _UnderWay) -> asyncio.Future[_UnderWay]:
        """Wait for a batch that holds this request already."""
        if batch.task is None:
            self._start(batch)
        elif batch.task.done():
            batch.task.result()  # raises what ended it
        future: asyncio.Future[_UnderWay] = asyncio.get_running_loop().create_future()
        batch.waiting[key] = future
        return future

    # --- out and back ------------------------------------------------------------------------------------------

    async def _bring(self, batch: _UnderWay) -> None:
        """Submit a batch if need be, wait for it and hand out what it brings."""
        state = batch.state
        if batch.content:
            upload = partial(self._api.upload, f"mathsynth-{state.token}.jsonl", batch.content)
            state.file = await self._api.patiently(upload)
            batch.content = b""
            await self._create(state)
        since = time.monotonic()
        while status_of(ended := await self._follow(batch)) == "failed":
            if any(other.status == "in_progress" for other in self._batches):
                since = time.monotonic()
            await self._wait_for_room(state, ended, since)
            await self._create(state)
        batch.answers = await self._had(state, partial(self._api.lines, ended))
        batch.owed = {key for key, line in batch.answers.items() if answer_of(line) is not None}
        batch.ended = True
        self._tell()
        # Good ones first: a model that refuses its first requests is given up.
        for key in sorted(batch.waiting, key=lambda key: key not in batch.owed):
            if not batch.waiting[key].done():
                batch.waiting[key].set_result(batch)

    async def _create(self, state: State) -> None:
        """Create the batch of an uploaded file. If the provider refuses, nothing is left behind."""

        async def attempt() -> str:
            # The try before may have created it, though its answer was lost.
            if state.tried and (found := await self._find(state)):
                return found
            state.tried = time.time()
            write_json(self._path(state), state)
            try:
                return await self._api.create(state.file, state.token, self._rules.window)
            except BackendError as error:
                if error.limited or not error.retryable:
                    state.tried = 0.0
                raise

        try:
            state.batch = await self._api.patiently(attempt)
        except BackendError:
            if not state.tried:
                self._path(state).unlink(missing_ok=True)
            raise
        write_json(self._path(state), state)

    async def _find(self, state: State) -> str | None:
        """The id of a batch that may have been created; None once it is sure that it was not."""
        found = await self._api.find(state.file, state.token)
        if found is None and (left := state.tried + SETTLE_S - time.time()) > 0:
            await asyncio.sleep(min(left, SETTLE_S))
            found = await self._api.find(state.file, state.token)
        return found

    async def _follow(self, batch: _UnderWay) -> dict[str, Any]:
        """The provider's word on a batch once it has ended."""
        while True:
            found = await self._had(batch.state, partial(self._api.look, batch.state.batch))
            batch.status, batch.completed = status_of(found), completed_of(found)
            if batch.status in ENDED:
                return found
            self._tell()
            self._sweep()
            await asyncio.sleep(self._rules.poll_s)

    async def _wait_for_room(self, state: State, failed: dict[str, Any], since: float) -> None:
        """Wait before a batch is created once more, if it failed for nothing but a full queue; else BackendError."""
        said, only_full = self._api.faults(failed)
        if not only_full:
            self._path(state).unlink(missing_ok=True)
            raise BackendError(f"{self._api.url} refused batch {state.batch}: {said}", fatal=True)
        if time.monotonic() - since > self._give_up_after_s:
            raise Stopped(f"{self._model}: no room for batch {state.number} of {len(state.keys):,} requests ({said})")
        self._say(f"batch {state.number}: waits until there is room ({said})")
        await asyncio.sleep(self._rules.poll_s)
        state.batch, state.tried = "", 0.0

    async def _had(self, state: State, call: Callable[[], Awaitable[Found]]) -> Found:
        """What the provider says of a batch. A refusal is fatal: its requests must not be submitted anew."""
        try:
            return await self._api.patiently(call)
        except BackendError as error:
            path = self._path(state)
            raise BackendError(
                f"{error}; batch {state.batch} can't be had, and without {path} its requests are submitted anew",
                fatal=True,
            ) from None

    # --- the disk ----------------------------------------------------------------------------------------------

    async def _resume(self) -> None:
        """Take up what earlier processes left in the folder of the journal."""
        folder = self._journal.directory
        for path in folder.glob(".batch-*.tmp"):
            path.unlink()
        for state in sorted(map(_read_state, folder.glob("batch-*.json")), key=lambda state: state.number):
            if (state.server, state.model) != (self._server, self._model):
                continue
            self._numbers = max(self._numbers, state.number)
            path = self._path(state)
            if all(key in self._journal for key in state.keys):
                path.unlink()
                continue
            if not state.batch:
                found: str | None = await self._api.patiently(partial(self._find, state))
                if found is None:
                    path.unlink()
                    continue
                state.batch = found
                write_json(path, state)
            self._add(_UnderWay(state))

    def _sweep(self) -> None:
        """Delete the state of batches that have brought all they will."""
        for batch in [batch for batch in self._batches if batch.ended]:
            batch.owed = {key for key in batch.owed if key not in self._journal}
            if not batch.owed:
                self._journal.sync()
                self._path(batch.state).unlink(missing_ok=True)
                self._batches.remove(batch)

    def _path(self, state: State) -> Path:
        return self._journal.directory / f"batch-{state.token}.json"

    def _tell(self) -> None:
        """Show what is under way."""
        away = [batch for batch in self._batches if batch.state.batch and not batch.ended]
        if away:
            name = f"batch {away[0].state.number}" if len(away) == 1 else f"{len(away)} batches"
            done, total = sum(b.completed for b in away), sum(len(b.state.keys) for b in away)
            minutes = (time.time() - min(batch.state.tried for batch in away)) / 60
            self._say(f"{name}: {done:,} of {total:,} done, waiting {minutes:.0f} min")


def _read_state(path: Path) -> State:
    try:
        return State.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise RunError(f"{path}: {': '.join(explain(error))}; it says which batch is under way") from None
