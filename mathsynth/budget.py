"""What a run may spend, and what it has spent, over all its attempts.

Tokens and dollars are those of every reply in the run's journals, so that a kill buys nothing twice, and of replies
that were useless but had to be paid. Hours, and the useless replies, are kept in a book beside the journals.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, Field

from mathsynth.journal import stored_usage
from mathsynth.shards import write_json

BOOK = ".spent.json"


class Price(BaseModel):
    """What a model's tokens cost, in US dollars per million."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt: float = Field(ge=0)
    """Of what is sent."""
    completion: float = Field(ge=0)
    """Of what is answered."""


class Budget(BaseModel):
    """What a run may spend. Once any of it is spent the run stops in order, with exit 3; in no hash."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tokens: int | None = Field(default=None, ge=1)
    """Prompt and completion tokens of all models and attempts."""
    hours: float | None = Field(default=None, gt=0)
    """Wall hours of all attempts that had a budget."""
    usd: float | None = Field(default=None, gt=0)
    """Dollars, by the `price` of each model."""


def has_room(limit: float, spent: float, most: float, replies: int, under_way: int) -> bool:
    """Whether one more may be under way: if all may cost `most`, or what replies cost so far, for twice their number.

    So a run that knows little of its costs begins with what it can pay for in any case, and one that knows more ends
    near its limit. One may always go.
    """
    count = under_way + 1
    each = spent / replies if count <= 2 * replies else most
    return count == 1 or spent + count * each <= limit


class Purse:
    """A budget while it is spent. What is under way counts as the mean of what came, so a run ends near its budget."""

    def __init__(self, budget: Budget | None = None, prices: Mapping[str, Price] | None = None) -> None:
        """`prices` by the model's name as its server knows it."""
        self.budget, self._prices = budget or Budget(), dict(prices or {})
        self.tokens, self.usd, self.replies, self.under_way = 0, 0.0, 0, 0
        self.reason = ""
        """Why the run must end, once it must."""
        self.paid: set[str] = set()
        """Models that answered."""
        self.lost: dict[str, tuple[int, int]] = {}
        """Prompt and completion tokens of useless replies, by model."""
        self.earlier_s, self._started = 0.0, time.monotonic()

    @property
    def seconds(self) -> float:
        """Wall seconds of this and earlier attempts."""
        return self.earlier_s + time.monotonic() - self._started

    def room_for(self, model: str, prompt: float, completion: float) -> bool:
        """Whether one more may go before those under way have told what they cost. One may always."""
        limits: tuple[tuple[float | None, float, float], ...] = (
            (self.budget.tokens, self.tokens, prompt + completion),
            (self.budget.usd, self.usd, self._cost(model, prompt, completion)),
        )
        return all(
            limit is None or has_room(limit, spent, most, self.replies, self.under_way) for limit, spent, most in limits
        )

    def pay(self, model: str, prompt: int, completion: int) -> None:
        """A reply came."""
        self.replies += 1
        self.paid.add(model)
        self._spend(model, prompt, completion)

    def lose(self, model: str, prompt: int, completion: int) -> None:
        """A reply came that was of no use."""
        before = self.lost.get(model, (0, 0))
        self.lost[model] = (before[0] + prompt, before[1] + completion)
        self._spend(model, prompt, completion)

    def spent(self) -> str:
        """Why nothing more may be sent, or ""."""
        share = 1 + self.under_way / max(self.replies, 1)
        for name, limit, amount in (
            ("tokens", self.budget.tokens, self.tokens * share),
            ("usd", self.budget.usd, self.usd * share),
            ("hours", self.budget.hours, self.seconds / 3600),
        ):
            if limit is not None and amount >= limit and not self.reason:
                self.reason = f"budget.{name}={limit:,} is spent"
        return self.reason

    def bill(self) -> str:
        """What was spent, in words."""
        dollars = f", ${self.usd:,.2f}" if self._prices else ""
        return f"{self.tokens:,} tokens{dollars}, {self.seconds / 3600:.2f} h"

    def _spend(self, model: str, prompt: int, completion: int) -> None:
        self.tokens += prompt + completion
        self.usd += self._cost(model, prompt, completion)

    def _cost(self, model: str, prompt: float, completion: float) -> float:
        price = self._prices.get(model)
        return (prompt * price.prompt + completion * price.completion) / 1e6 if price else 0.0


@contextmanager
def opened(purse: Purse, replies: Path) -> Iterator[None]:
    """The purse with what earlier attempts spent, by the journals in `replies`; written down when it closes.

    Without a budget there is nothing to count and to write.
    """
    if purse.budget == Budget():
        yield
        return
    book = _read(replies)
    purse.earlier_s = book["seconds"]
    for model, tokens in book["lost"].items():
        purse.lose(model, *tokens)
    for model, usage in stored_usage(replies):
        purse.pay(model, usage.prompt_tokens, usage.completion_tokens)
    write_json(replies / BOOK, book | {"since": time.time()})
    try:
        yield
    finally:
        write_json(replies / BOOK, {"seconds": round(purse.seconds, 3), "lost": purse.lost})


def _read(replies: Path) -> dict[str, Any]:
    """The book; an attempt that was killed before it could write lasted until its last reply."""
    path = replies / BOOK
    book: dict[str, Any] = {"seconds": 0.0, "lost": {}} | (orjson.loads(path.read_bytes()) if path.exists() else {})
    if since := book.pop("since", None):
        last = max((path.stat().st_mtime for path in replies.rglob("*.jsonl*")), default=since)
        book["seconds"] += max(0.0, last - since)
    return book
