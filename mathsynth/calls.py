"""Model calls: journal first, then the wire, with retries and their limits in this one place.

A request whose reply is in the journal is not sent; any other passes the model's gate (`limits.py`) at every try, once
its servers are there, where they are ours (`servers.py`).
Retryable errors back off with full jitter; a Retry-After holds the whole model back. An error that the server answered
uses up the request's `retries`; a server that answers nobody, or only says "too many", is waited for, up to
`give_up_after_s`, then the run stops in order. Failures are never stored as replies.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable

from mathsynth.backends.base import Backend, Home, ModelConfig, Reply, Request, texts
from mathsynth.budget import Purse
from mathsynth.errors import BackendError, Stopped
from mathsynth.journal import Journal
from mathsynth.limits import Gate
from mathsynth.progress import Meter
from mathsynth.servers import Servers
from mathsynth.shards import ModelUse

BACKOFF_FIRST_S, BACKOFF_MAX_S = 0.5, 30.0
REFUSED_AT_FIRST = 20
"""Refusals before any answer that stop the run."""
QUEUE_EVERY_S, QUEUE_UNKNOWN_S = 1.0, 60.0
"""Seconds between two looks at a server's queue, and between two tries where it can't be seen."""
SERVERS_EVERY_S = 0.2
"""Seconds between two looks at servers of ours that are not there yet."""
CHARS_PER_TOKEN = 3.5
"""English with digits, over common tokenizers."""


class Caller:
    """All calls of one stage to one model."""

    def __init__(
        self,
        config: ModelConfig,
        connect: Callable[[ModelConfig, Home], Backend],
        journal: Journal,
        meter: Meter,
        stopping: Callable[[], bool],
        redact: Callable[[str], str] = str,
        purse: Purse | None = None,
        servers: Servers | None = None,
    ) -> None:
        """`connect` is called at the first request that is not in the journal; errors are reported through `redact`.

        `servers` are those that we run ourselves for this model.
        """
        self.config, self.use = config, ModelUse(model=config.model)
        self._connect, self._journal, self._meter, self._stopping = connect, journal, meter, stopping
        self._redact, self._purse = redact, purse or Purse()
        self._servers, self._door = servers, asyncio.Lock()
        self._home = Home(journal, self._wait_for)
        self._backend: Backend | None = None
        self.gate = Gate(config.max_in_flight, config.requests_per_minute, config.tokens_per_minute)
        self._looking: asyncio.Task[None] | None = None
        self._look_at = 0.0
        self._under_way: dict[str, asyncio.Future[Reply]] = {}
        self._jitter = random.Random()  # spreads retries; touches no row
        self._last_answer = time.monotonic()
        self._refused = 0
        self._busy_since = 0.0

    async def complete(self, request: Request) -> Reply:
        """The reply of this request, from the journal or over the wire.

        BackendError once its retries are used up, Stopped if nobody answers for `give_up_after_s`, the server wants to
        be left alone for longer, or the run ends.
        """
        key = request.key()
        if (stored := self._journal.get(key)) is not None:
            reply = Reply.model_validate(stored)
            self._meter.reused += 1
            if self._journal.claim(key):
                self._charge(reply)
            else:
                self.use.reused += 1
            return reply
        if key in self._under_way:
            return await asyncio.shield(self._under_way[key])
        future = self._under_way[key] = asyncio.get_running_loop().create_future()
        future.add_done_callback(lambda done: done.cancelled() or done.exception())
        try:
            reply = await self._ask(request)
            self._journal.put(key, reply.model_dump(mode="json"), self.config.model)
            future.set_result(reply)
            return reply
        except BaseException as error:
            if isinstance(error, asyncio.CancelledError):
                future.cancel()
            else:
                future.set_exception(error)
            raise
        finally:
            del self._under_way[key]

    async def _ask(self, request: Request) -> Reply:
        """One reply, with as many tries as the config allows."""
        pauses = charged = 0
        waiting_since: float | None = None
        prompt_tokens, max_tokens = len(texts(request.messages)) / CHARS_PER_TOKEN, request.sampling.max_tokens

        def room() -> bool:
            # Where replies come all at once, a budget would be overrun before the first tells what one costs.
            return not self.config.patient or self._purse.room_for(self.config.model, prompt_tokens, max_tokens)

        while True:
            if await self._wait_for_servers():
                waiting_since = None  # while they start nobody can answer
            ticket = await self.gate.enter(prompt_tokens, max_tokens, self._stopping, room)
            sent = time.monotonic()
            waiting_since = waiting_since or sent
            try:
                reply = await self._send(request, ticket)
            except BackendError as error:
                # A server may repeat what it was sent, and some of that may be secret.
                error.args = (self._redact(str(error)),)
                self.use.errors += 1
                self._meter.errors += 1
                if error.fatal:
                    if self._stopping():  # a signal to the whole job ends an engine before us
                        raise Stopped(f"stopped while a request was under way ({error})") from None
                    raise
                if not error.retryable:
                    raise self._refusal(error) from None
                if error.limited or (error.unreachable and self._last_answer < sent):
                    since = waiting_since if error.limited else max(self._last_answer, waiting_since)
                    silent = time.monotonic() - since
                    if silent > self.config.give_up_after_s:
                        if self._last_answer > waiting_since:
                            raise  # others were answered while this one was tried: it is this request
                        raise Stopped(f"{self.config.model}: no answer for {silent:.0f} s ({error})") from None
                    self._meter.waiting = f"{self.config.model}: no answer for {silent:.0f} s ({error})"
                elif charged >= self.config.retries:
                    raise
                else:
                    charged += 1
                if await self._pause(pauses, error.retry_after):
                    waiting_since = time.monotonic()  # while the run was paused nobody could answer
                pauses += 1
            else:
                self._count(reply)
                return reply

    def _refusal(self, error: BackendError) -> BackendError:
        """The error, fatal if this model has refused all that it was asked: a million more would go the same way."""
        self._refused += 1
        if self._meter.answered or self._refused < REFUSED_AT_FIRST:
            return error
        return BackendError(f"{self.config.model} refused its first {self._refused} requests: {error}", fatal=True)

    async def _send(self, request: Request, ticket: int) -> Reply:
        """One try, by the ticket of the gate."""
        started = time.monotonic()
        if not self._meter.in_flight:
            self._busy_since = started
        self._meter.in_flight += 1
        self._purse.under_way += 1
        try:
            timeout = None if self.config.patient else self.config.timeout_s
            reply = await asyncio.wait_for(self._connected().complete(request), timeout)
        except TimeoutError:
            self.gate.troubled()
            raise BackendError(f"no reply within timeout_s={self.config.timeout_s:g}", retryable=True) from None
        except Stopped as error:
            error.args = (self._redact(str(error)),)
            raise
        except BackendError as error:
            self._purse.lose(self.config.model, *error.tokens)
            if error.limited:
                self.gate.refused(ticket)
            elif error.retryable:
                self.gate.troubled()
            raise
        else:
            self._look_at_queue()
            self.gate.answered(ticket, reply.usage)
            return reply
        finally:
            self.gate.leave(ticket)
            self._purse.under_way -= 1
            self._meter.in_flight -= 1
            if not self._meter.in_flight:
                self.use.seconds += time.monotonic() - self._busy_since

    def _look_at_queue(self) -> None:
        """Ask the server for its queue, beside the requests and not too often, if there is a limit to be found."""
        now = time.monotonic()
        if self.config.max_in_flight.adaptive and now >= self._look_at and self._looking is None:
            self._look_at = now + QUEUE_EVERY_S
            self._looking = asyncio.create_task(self._look())

    async def _look(self) -> None:
        assert self._backend is not None
        waiting = await self._backend.queue()
        self.gate.queued(waiting or 0)
        self._look_at = time.monotonic() + (QUEUE_UNKNOWN_S if waiting is None else QUEUE_EVERY_S)
        self._looking = None

    async def _pause(self, pauses: int, retry_after: float | None) -> bool:
        """Wait before the next try, and for the end of a pause of the run; whether there was one."""
        if retry_after and retry_after > self.config.give_up_after_s:
            raise Stopped(f"{self.config.model}: the server wants {retry_after:,.0f} s of rest (Retry-After)")
        if retry_after:
            self.gate.rest(retry_after * self._jitter.uniform(1.0, 1.2))
            self._meter.waiting = f"{self.config.model}: the server wants {retry_after:,.0f} s of rest (Retry-After)"
        longest = min(BACKOFF_MAX_S, BACKOFF_FIRST_S * 2 ** min(pauses, 10))
        until = time.monotonic() + (0.0 if retry_after else self._jitter.uniform(0.1, longest))
        held = False
        while not self._stopping() and ((left := until - time.monotonic()) > 0 or self.gate.held):
            held = held or self.gate.held
            await asyncio.sleep(min(left, 0.5) if left > 0 else 0.2)
        return held

    def _wait_for(self, what: str) -> None:
        self._meter.waiting = self._redact(what)

    def _count(self, reply: Reply) -> None:
        self._purse.pay(self.config.model, reply.usage.prompt_tokens, reply.usage.completion_tokens)
        if self._servers is not None:
            self._servers.answered()
        self._last_answer = time.monotonic()
        self._meter.waiting = ""
        self._meter.answered += 1
        self._meter.completion_tokens += reply.usage.completion_tokens
        self._charge(reply)

    def _charge(self, reply: Reply) -> None:
        self.use.requests += 1
        self.use.prompt_tokens += reply.usage.prompt_tokens
        self.use.completion_tokens += reply.usage.completion_tokens

    async def probe(self) -> str:
        """What answers at this model's address, in one line."""
        await self._wait_for_servers()
        return await self._connected().probe()

    def _connected(self) -> Backend:
        if self._backend is None:
            at = {"base_url": self._servers.urls} if self._servers is not None else {}
            self._backend = self._connect(self.config.model_copy(update=at), self._home)
        return self._backend

    async def _wait_for_servers(self) -> bool:
        """Wait until a server of ours can be asked; whether that took time. Stopped if the run ends."""
        if self._servers is None:
            return False
        came = time.monotonic()
        async with self._door:
            while not self._stopping():
                if not (why := self._servers.waiting()):
                    if waited := time.monotonic() - came > SERVERS_EVERY_S:
                        self._meter.waiting = ""
                    return waited
                self._meter.waiting = why
                await asyncio.sleep(SERVERS_EVERY_S)
        raise Stopped("stopped before its servers were there")

    async def aclose(self) -> None:
        """Close the connection, if one was made."""
        if self._looking is not None:
            self._looking.cancel()
        if self._backend is not None:
            await self._backend.aclose()
