"""The numbers of work under way, counted in one place and drawn by the command line."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Protocol

from pydantic import BaseModel, ConfigDict

TELLING = 20
"""Finished records from which on the time left can be told, or a tenth of all: the first ones wait for workers and
servers to start."""


class Numbers(BaseModel):
    """A Meter at one moment, as the bar and `mathsynth status` show it."""

    model_config = ConfigDict(frozen=True)

    step: str
    number: int
    """The step is the n-th of `steps`, from 1; 0 when it runs alone."""
    steps: int
    total: int | None
    done: int
    """Records that are finished."""
    in_flight: int
    limit: int
    answered: int
    reused: int
    errors: int
    tokens_per_second: float
    pass_rate: float | None
    seconds_left: float | None
    paused: bool
    waiting: str


@dataclass
class Meter:
    """Counters of one step while it runs. `total` is None while the number of rows is unknown."""

    step: str
    number: int = 0
    """The step is the n-th of `steps`, from 1; 0 when it runs alone."""
    steps: int = 0
    total: int | None = None
    done: int = 0
    """Records whose rows are all out: the number of the record that the next row is made of."""
    ahead: int = 0
    """Records that are finished too, but whose rows wait for those of one before them."""
    in_flight: int = 0
    """Samples under way."""
    limit: int = 0
    """How many may be, as of now: what the recipe or another shell says, or what was found."""
    answered: int = 0
    """Replies over the wire, this process."""
    reused: int = 0
    """Replies found in the journal."""
    errors: int = 0
    completion_tokens: int = 0
    """Of the replies over the wire."""
    correct: int = 0
    graded: int = 0
    """Samples (rows in `verify`) that are finished, whatever they came to; of these the correct ones."""
    rows: int = 0
    """Kept so far."""
    waiting: str = ""
    """Why nothing moves, while it does not ("server down for 40 s, …")."""
    started: float = field(default_factory=time.monotonic)
    paused_at: float | None = None

    def grade(self, outcome: str) -> None:
        """A sample is finished: one that failed before the verifier saw it counts as well."""
        self.graded += 1
        self.correct += outcome == "correct"

    def pause(self, paused: bool) -> None:
        """Begin or end a pause; its time counts for no rate."""
        now = time.monotonic()
        if paused and self.paused_at is None:
            self.paused_at = now
        elif not paused and self.paused_at is not None:
            self.started += now - self.paused_at
            self.paused_at = None

    def now(self) -> Numbers:
        """What there is to show."""
        return Numbers(
            step=self.step,
            number=self.number,
            steps=self.steps,
            total=self.total,
            done=self.done + self.ahead,
            in_flight=self.in_flight,
            limit=self.limit,
            answered=self.answered,
            reused=self.reused,
            errors=self.errors,
            tokens_per_second=self.tokens_per_second,
            pass_rate=self.pass_rate,
            seconds_left=self.seconds_left,
            paused=self.paused_at is not None,
            waiting=self.waiting,
        )

    @property
    def seconds(self) -> float:
        """Wall seconds since the step started, without its pauses."""
        return (time.monotonic() if self.paused_at is None else self.paused_at) - self.started

    @property
    def tokens_per_second(self) -> float:
        """Completion tokens over wall seconds."""
        return self.completion_tokens / max(self.seconds, 1e-9)

    @property
    def pass_rate(self) -> float | None:
        """Correct over finished samples."""
        return self.correct / self.graded if self.graded else None

    @property
    def seconds_left(self) -> float | None:
        """Remaining records at the rate so far, None without a total or while too few are finished to tell."""
        done = self.done + self.ahead
        if not self.total or done < min(TELLING, self.total / 10):
            return None
        return self.seconds * (self.total - done) / done


class Display(Protocol):
    """What shows a Meter. `update` is called often and must be cheap."""

    def update(self, meter: Meter) -> None:
        """Show these numbers, if it is time to."""

    def end(self) -> None:
        """Make way for other text."""


class Silent:
    """Shows nothing."""

    def update(self, meter: Meter) -> None:
        """Ignore."""

    def end(self) -> None:
        """Nothing is shown."""
