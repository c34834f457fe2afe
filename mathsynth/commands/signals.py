"""What signals do to a run. SIGTERM: finish what is under way, then stop; a second one: now. Ctrl-C: now, in order."""

from __future__ import annotations

import asyncio
import os
import signal

from mathsynth.live import Stop

KILLED_BY_TERM = 143


def obey_signals(stop: Stop) -> None:
    """From now on a first SIGTERM tells the run to stop."""

    def on_term(*_: object) -> None:
        if stop:
            os._exit(KILLED_BY_TERM)  # as good as kill -9: every finished reply is on disk; cleaning up could hang
        stop.reason = "stopped by SIGTERM"

    signal.signal(signal.SIGTERM, on_term)
    signal.signal(signal.SIGINT, _on_int)


def _on_int(*_: object) -> None:
    # Raised inside a task it would leave half-done work behind that nothing wakes; the event loop raises it
    # between two steps of its tasks.
    try:
        asyncio.get_running_loop().call_soon_threadsafe(_interrupt)
    except RuntimeError:
        raise KeyboardInterrupt from None


def _interrupt() -> None:
    raise KeyboardInterrupt
