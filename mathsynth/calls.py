"""Model calls: journal first, then the wire, with retries and their limits in this one place.

A request whose reply is in the journal is not sent; any other passes the model's gate (`limits.py`) at every try, once
its servers are there, where they are ours (`servers.py`).
Retryable errors back off with full jitter; a Retry-After holds the whole model back. An error that the server answered
uses up the request's `retries`; a server that answers nobody, or only says "too many", is waited for, up to
`give_up_after_s` (sooner if it never was there), then the run stops in order. Failures are never stored as replies.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from mathsynth.backends.base import Backend, Home, ModelConfig, Reply, Request
from mathsynth.budget import Purse
from mathsynth.errors import BackendError, RunError, Stopped
from mathsynth.journal import Journal, knows
from mathsynth.limits import Gate
from mathsynth.progress import Meter
from mathsynth.records import Usage
from mathsynth.servers import Servers
from mathsynth.shards import ModelUse

log = logging.getLogger(__name__)

BACKOFF_FIRST_S, BACKOFF_MAX_S = 0.5, 30.0
REFUSED_AT_FIRST = 20
"""Refusals before any answer that stop the run."""
UNHEARD_S = 60.0
"""Seconds until a run gives up on a server that was never there, unless its config says otherwise."""
QUEUE_EVERY_S, QUEUE_UNKNOWN_S = 1.0, 60.0
"""Seconds between two looks at a server's queue, and between two tries where it can't be seen."""
SERVERS_EVERY_S = 0.2
"""Seconds between two looks at servers of ours that are not there yet."""
CHARS_PER_TOKEN = 3.5
"""English with digits, over common tokenizers."""
LINGER_S = 0.005
"""Seconds that a sample waits for the next ones of its prompt, to be asked with them."""


@dataclass
class Group:
    """Samples of one prompt, one after the other, that are asked for in one request."""

    requests: dict[str, Request] = field(default_factory=dict)
    """By their keys."""
    next: str = ""
    """The key of the one that may still join, until the request is sent."""
    ready: asyncio.Event = field(default_factory=asyncio.Event)

    def size(self) -> int:
        """Samples in it."""
        return len(self.requests)


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
        self._choices = 1 if config.patient else config.choices
        self._open: dict[str, Group] = {}
        """Groups by the key of the sample that each waits for."""
        self._jitter = random.Random()  # spreads retries; touches no row
        self._last_answer = time.monotonic()
        self._alive_at = 0.0
        """When the latest of the answered requests was sent: a server that goes away still answers earlier ones."""
        self._refused = 0
        self._heard: bool | None = None
        """Whether its servers are known to be somewhere; None before that is asked."""
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
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._under_way[key] = future
        future.add_done_callback(lambda done: done.cancelled() or done.exception())
        if (group := self._open.pop(key, None)) is not None:
            self._join(group, key, request)
            return await asyncio.shield(future)
        self._join(group := Group(), key, request)
        try:
            if not group.ready.is_set():
                late = asyncio.get_running_loop().call_later(LINGER_S, group.ready.set)
                await group.ready.wait()
                late.cancel()
            await self._answer(group)
        finally:
            for asked in group.requests:
                self._under_way.pop(asked).cancel()  # nothing happens to one that is done
        return future.result()

    def _join(self, group: Group, key: str, request: Request) -> None:
        """One more sample for a group, which is then open to the next one unless it is full."""
        group.requests[key] = request
        if group.size() >= min(self._choices, self.gate.limit) or not request.sampling.temperature:
            group.ready.set()
        else:
            group.next = request.after().key()
            self._open[group.next] = group

    async def _answer(self, group: Group) -> None:
        """Give every future that waits for one of these samples its reply or its error.

        What a request for several does not bring is asked for one by one. If that works, it will be from then on.
        """
        asked = group.requests
        try:
            replies = await self._ask(group)
        except Exception as error:  # noqa: BLE001
            # Each who waits must hear of it, whatever it is. If several were refused, it may be because they are.
            if len(asked) == 1 or not isinstance(error, BackendError) or error.fatal:
                for key in asked:
                    self._under_way[key].set_exception(error)
                return
            replies = []
        for key, reply in zip(asked, replies, strict=False):
            if isinstance(reply, Reply):
                self._keep(key, reply)
            elif not reply.retryable:
                self._under_way[key].set_exception(reply)
        rest = {key: request for key, request in asked.items() if not self._under_way[key].done()}
        if rest:
            await asyncio.gather(*(self._answer(Group({key: request})) for key, request in rest.items()))
            fewer = len(replies) < len(asked)
            if fewer and self._choices > 1 and any(not self._under_way[key].exception() for key in rest):
                log.warning("%s does not answer several choices; each sample is a request now", self.config.model)
                self._choices = 1

    def _keep(self, key: str, reply: Reply) -> None:
        try:
            self._journal.put(key, reply.model_dump(mode="json"), self.config.model)
        except RunError as error:
            self._under_way[key].set_exception(error)
        else:
            self._under_way[key].set_result(reply)

    async def _ask(self, group: Group) -> Sequence[Reply | BackendError]:
        """The replies to these samples, or to the first of them, with as many tries as the config allows."""
        pauses = charged = 0
        waiting_since: float | None = None
        first = next(iter(group.requests.values()))
        prompt_tokens = sum(len(message["content"]) for message in first.messages) / CHARS_PER_TOKEN
        max_tokens = first.sampling.max_tokens

        def room() -> bool:
            return self._purse.room_for(self.config.model, prompt_tokens, max_tokens)

        while True:
            try:
                if await self._wait_for_servers():
                    waiting_since = None  # while they start nobody can answer
                ticket = await self.gate.enter(prompt_tokens, max_tokens, self._stopping, room, group.size)
            finally:
                self._open.pop(group.next, None)
            sent = time.monotonic()
            waiting_since = waiting_since or sent
            try:
                replies = await self._send(first, group.size(), ticket)
            except BackendError as error:
                self._note(error)
                if error.fatal:
                    if self._stopping():  # a signal to the whole job ends an engine before us
                        raise Stopped(f"stopped while a request was under way ({error})") from None
                    raise
                if not error.retryable:
                    raise (self._refusal(error) if group.size() == 1 else error) from None
                if error.limited or (error.unreachable and self._alive_at < sent):
                    since = waiting_since if error.limited else max(self._last_answer, waiting_since)
                    silent = time.monotonic() - since
                    if silent > self._patience(error):
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
                self._alive_at = max(self._alive_at, sent)
                for reply in replies:
                    if isinstance(reply, BackendError):
                        self._note(reply)
                    else:
                        self._count(reply)
                return replies

    def _patience(self, error: BackendError) -> float:
        """Seconds of silence that are borne: fewer if this run never heard of a server there."""
        config = self.config
        if self._heard is None:
            given = self._servers is not None or "give_up_after_s" in config.model_fields_set
            self._heard = given or knows(self._journal.directory.parent, config.model)
        self._heard = self._heard or error.limited or error.loading or config.model in self._purse.paid
        return config.give_up_after_s if self._heard else min(UNHEARD_S, config.give_up_after_s)

    def _note(self, error: BackendError) -> None:
        # A server may repeat what it was sent, and some of that may be secret.
        error.args = (self._redact(str(error)),)
        self._purse.lose(self.config.model, *error.tokens)
        self.use.errors += 1
        self._meter.errors += 1

    def _refusal(self, error: BackendError) -> BackendError:
        """The error, fatal if this model has refused all that it was asked: a million more would go the same way."""
        self._refused += 1
        if self._meter.answered or self._refused < REFUSED_AT_FIRST:
            return error
        return BackendError(f"{self.config.model} refused its first {self._refused} requests: {error}", fatal=True)

    async def _send(self, request: Request, samples: int, ticket: int) -> Sequence[Reply | BackendError]:
        """One try, by the ticket of the gate."""
        if not self._meter.in_flight:
            self._busy_since = time.monotonic()
        self._meter.in_flight += samples
        self._purse.under_way += samples
        try:
            timeout = None if self.config.patient else self.config.timeout_s
            async with asyncio.timeout(timeout):
                replies = await self._connected().complete(request, samples)
        except TimeoutError:
            self.gate.troubled()
            raise BackendError(f"no reply within timeout_s={self.config.timeout_s:g}", retryable=True) from None
        except Stopped as error:
            error.args = (self._redact(str(error)),)
            raise
        except BackendError as error:
            if error.limited:
                self.gate.refused(ticket)
            elif error.retryable:
                self.gate.troubled()
            raise
        else:
            self._look_at_queue()
            prompts, completions = zip(*(reply.tokens for reply in replies), strict=True)
            self.gate.answered(ticket, Usage(prompt_tokens=sum(prompts), completion_tokens=sum(completions)))
            return replies
        finally:
            self.gate.leave(ticket)
            self._purse.under_way -= samples
            self._meter.in_flight -= samples
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
        self._purse.pay(self.config.model, *reply.tokens)
        if self._servers is not None:
            self._servers.answered()
        self._last_answer = time.monotonic()
        self._meter.waiting = ""
        self._meter.answered += 1
        self._meter.completion_tokens += reply.usage.completion_tokens
        self.use.timed += reply.usage.completion_tokens
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
