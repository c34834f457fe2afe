"""How fast one model may be asked: so many at once, so many a minute, and not while its server wants to rest.

Every try of a request passes the model's gate. How many may be under way grows while answers come and halves when the
server says "too many" (additive increase, multiplicative decrease: Chiu and Jain 1989; slow start: RFC 5681). What is
sent, what is tried again and when a run gives up is decided in `calls.py`; nothing here touches a wire or a disk.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from typing import NamedTuple

from pydantic_core import core_schema

from mathsynth.errors import Stopped
from mathsynth.records import Usage

TICK_S = 0.5
"""Seconds until a request that waits looks whether the run was told to stop."""
SLACK_S = 0.02
"""How much earlier than evenly spaced a request may go, to make good what timers oversleep."""
NEAR = 7 / 8
"""Share of what the server last bore up to which the limit returns fast, to feel its way from there."""


class InFlight(NamedTuple):
    """How many samples may be under way: at least, at the start, at most. Recipes write a number or `4-32-512`."""

    least: int
    start: int
    most: int

    def __str__(self) -> str:
        return f"{self.least}-{self.start}-{self.most}" if self.adaptive else str(self.most)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: object) -> core_schema.CoreSchema:
        written = [core_schema.int_schema(ge=1), core_schema.str_schema(pattern=r"^\d+(-\d+-\d+)?$")]
        return core_schema.no_info_plain_validator_function(
            _parse,
            serialization=core_schema.to_string_ser_schema(),
            json_schema_input_schema=core_schema.union_schema([*written]),
        )

    @property
    def adaptive(self) -> bool:
        """Whether there is anything to find out."""
        return self.least < self.most


def always(count: int) -> InFlight:
    """So many, whatever happens."""
    return InFlight(count, count, count)


def _parse(value: object) -> InFlight:
    if isinstance(value, InFlight):
        return value
    parts = re.fullmatch(r"(\d+)(?:-(\d+)-(\d+))?", str(value))
    least, start, most = (int(part or parts[1]) for part in parts.groups()) if parts else (0, 0, 0)
    if not 1 <= least <= start <= most:
        raise ValueError("should be a number of requests, or min-start-max such as 4-32-512")
    return InFlight(least, start, most)


class Pace:
    """So much a minute, evenly spaced: a leaky bucket with no room for a burst."""

    def __init__(self, per_minute: float | None) -> None:
        self._each_s = 60 / per_minute if per_minute else 0.0
        self._next = 0.0

    def wait(self, now: float) -> float:
        """Seconds until the next may go; none left if not above 0."""
        return self._next - now if self._each_s else 0.0

    def take(self, now: float, amount: float) -> None:
        """One goes that weighs so much."""
        self._next = max(self._next, now - SLACK_S) + amount * self._each_s

    def correct(self, by: float) -> None:
        """One that went weighed so much more (or less) than was taken for it."""
        self._next += by * self._each_s


class Gate:
    """Lets the requests to one model go, in the order in which they came."""

    def __init__(
        self, bounds: InFlight, requests_per_minute: float | None = None, tokens_per_minute: float | None = None
    ) -> None:
        self.under_way, self.held = 0, False
        self._bounds, self._limit = bounds, float(bounds.start)
        self._requests, self._tokens = Pace(requests_per_minute), Pace(tokens_per_minute)
        self._rests_until = 0.0
        self._turnstile, self._room = asyncio.Lock(), asyncio.Event()
        # Tickets are numbers in the order of sending. Answers to those up to the cut or the trouble say nothing of the
        # limit of now, nor do those to later ones than the last with which it was reached.
        self._sent = self._cut_at = self._trouble_at = self._full_at = 0
        self._borne, self._fast_until = 0, float(bounds.most)
        self._queued = False
        self._under: dict[int, tuple[int, float]] = {}
        """By ticket: samples asked for, and the tokens that they are thought to cost."""
        self._answers, self._completions = 0, 0

    def set(self, most: int, held: bool) -> None:
        """Another upper bound, and whether nobody may go for now. Nobody is called back."""
        if most != self._bounds.most:
            least = min(self._bounds.least, most) if self._bounds.adaptive else most
            self._limit = min(self._limit, float(most)) if self._bounds.adaptive else float(most)
            self._bounds = InFlight(least, min(max(least, self._bounds.start), most), most)
        self.held = held
        self._room.set()

    @property
    def limit(self) -> int:
        """How many may be under way now."""
        return int(self._limit)

    async def enter(
        self,
        prompt_tokens: float,
        max_tokens: int,
        stopping: Callable[[], object],
        room: Callable[[], bool] = lambda: True,
        size: Callable[[], int] = lambda: 1,
    ) -> int:
        """Wait until one more may be sent; its ticket, with which it must leave. Stopped if the run ends.

        One that asks for several samples, `size` of them when it goes, is so many under way, and one of those a minute.
        """
        async with self._turnstile:
            while not stopping():
                now = time.monotonic()
                pause = max(self._rests_until - now, self._requests.wait(now), self._tokens.wait(now))
                if pause > 0:
                    await asyncio.sleep(min(pause, TICK_S))
                elif self.held or (self.under_way and self.under_way + size() > self.limit):
                    self._room.clear()
                    await self._room.wait()
                elif not room():
                    await asyncio.sleep(TICK_S)
                else:
                    samples = size()
                    self.under_way += samples
                    self._sent += 1
                    completion = self._completions / self._answers if self._answers else max_tokens
                    tokens = prompt_tokens + samples * completion
                    self._under[self._sent] = samples, tokens
                    self._requests.take(now, 1)
                    self._tokens.take(now, tokens)
                    if self.under_way + samples > self.limit:  # no room for another like it
                        self._full_at = self._sent
                    return self._sent
        raise Stopped("stopped before this request was sent")

    def leave(self, ticket: int) -> None:
        """One that was under way no longer is."""
        self.under_way -= self._under.pop(ticket)[0]
        self._room.set()

    def answered(self, ticket: int, usage: Usage) -> None:
        """An answer: the limit grows, fast at first, if it was reached and nothing waits inside the server."""
        samples, thought = self._under[ticket]
        if cost := usage.prompt_tokens + usage.completion_tokens:
            self._answers += samples
            self._completions += usage.completion_tokens
            self._tokens.correct(cost - thought)
        if self._queued or not max(self._cut_at, self._trouble_at) < ticket <= self._full_at:
            return
        step = samples if self._limit < self._fast_until else samples / self._limit
        self._limit = min(float(self._bounds.most), self._limit + step)

    def refused(self, ticket: int) -> None:
        """The server said "too many". One cut for all that were under way then: they say the same again and again."""
        if ticket > self._cut_at:
            self._cut_at, self._borne = self._sent, self.under_way
            self._limit = max(float(self._bounds.least), min(self._limit, self.under_way) / 2)
        # Each that is refused was one too many; the rest is what the server bears.
        self._borne -= self._under[ticket][0]
        self._fast_until = NEAR * self._borne

    def troubled(self) -> None:
        """The server failed or was not there: no growth from what is under way now."""
        self._trouble_at = self._sent

    def queued(self, waiting: int) -> None:
        """So many requests wait inside the server, which more of them would not make faster."""
        self._queued = waiting > 0
        if self._queued:
            self._fast_until = min(self._fast_until, self._limit)

    def rest(self, seconds: float) -> None:
        """Nothing is sent for so long."""
        self._rests_until = max(self._rests_until, time.monotonic() + seconds)
