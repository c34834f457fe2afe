"""Draws a Meter: one live line on a terminal, one plain line every ten seconds in a log."""

from __future__ import annotations

import shutil
import sys
import time

from mathsynth.progress import Meter, Numbers

LIVE_EVERY_S, LOG_EVERY_S = 0.2, 10.0


class Bar:
    """Progress of a run, step by step."""

    def __init__(self) -> None:
        self._line, self._step = _Line(), ""

    def update(self, meter: Meter) -> None:
        """Draw, if it is time to."""
        if meter.step != self._step:
            self.end()
            self._step = meter.step
            self._line.restart()
        if self._line.due():
            self._line.draw(line(meter.now()))

    def end(self) -> None:
        """Make way for other text."""
        self._line.wipe()


class Download:
    """Progress of one download: a live line on a terminal, a line every ten seconds in a log."""

    def __init__(self, name: str) -> None:
        self._name, self._line = name, _Line()

    def __enter__(self) -> Download:
        return self

    def __exit__(self, *_: object) -> None:
        self._line.wipe()

    def update(self, here: int, total: int) -> None:
        """Bytes that are here, and in all."""
        if self._line.due():
            self._line.draw(f"{self._name}: {here / 1e6:,.0f} of {total / 1e6:,.0f} MB")


class _Line:
    """A line on stderr that is drawn over itself on a terminal and added in a log, not too often."""

    def __init__(self) -> None:
        self.live = sys.stderr.isatty()
        self._every = LIVE_EVERY_S if self.live else LOG_EVERY_S
        self._width = 0
        self.restart()

    def restart(self) -> None:
        """Something new begins: a terminal shows it at once, a log after its interval."""
        self._drawn_at = 0.0 if self.live else time.monotonic()

    def due(self) -> bool:
        """Whether it is time to draw."""
        return time.monotonic() - self._drawn_at >= self._every

    def draw(self, text: str) -> None:
        """Show this text."""
        self._drawn_at = time.monotonic()
        if self.live:
            text = text[: shutil.get_terminal_size().columns - 1]
            sys.stderr.write("\r" + text.ljust(self._width))
            self._width = len(text)
        else:
            sys.stderr.write(text + "\n")
        sys.stderr.flush()

    def wipe(self) -> None:
        """Clear the live line, so that other text can follow."""
        if self._width:
            sys.stderr.write("\r" + " " * self._width + "\r")
            sys.stderr.flush()
            self._width = 0


def line(now: Numbers) -> str:
    """One line: step, done/total, replies, in flight, tokens per second, pass rate, time left, what it waits for."""
    name = f"{now.step} ({now.number} of {now.steps})" if now.steps else now.step
    parts = [f"{name}: {now.done:,}" + (f"/{now.total:,}" if now.total else "")]
    if now.paused:
        parts.append("paused")
    if now.answered:
        parts.append(f"{now.answered:,} {'reply' if now.answered == 1 else 'replies'}")
    if now.answered or now.in_flight:
        parts.append(f"in flight {now.in_flight}/{now.limit}")
        parts.append(f"{now.tokens_per_second:,.0f} tok/s")
    if now.reused:
        parts.append(f"{now.reused:,} reused")
    if now.pass_rate is not None:
        parts.append(f"pass {now.pass_rate:.0%}")
    if now.errors:
        parts.append(f"{now.errors:,} errors")
    if now.seconds_left is not None and now.done != now.total:
        parts.append(f"{duration(now.seconds_left)} left")
    if now.total and now.done == now.total and now.in_flight:
        parts.append("surplus samples end")
    if now.waiting:
        parts.append(now.waiting)
    return " | ".join(parts)


def duration(seconds: float) -> str:
    """`45 s`, `12 min`, `3 h 05 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"
