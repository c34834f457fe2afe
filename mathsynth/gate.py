"""A gate that so many may be inside of at once: a semaphore whose size can change, and that can be held shut.

Those who wait enter in the order in which they came. Everything happens on one event loop.
"""

from __future__ import annotations

import asyncio
from collections import deque


class Gate:
    """`async with gate:` waits for a place. A smaller size or a hold puts nobody out; it lets nobody new in."""

    def __init__(self, size: int) -> None:
        self.size, self.held, self._inside = size, False, 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    def set(self, size: int, held: bool) -> None:
        """Another size, and whether nobody may enter for now."""
        self.size, self.held = size, held
        self._admit()

    async def __aenter__(self) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        self._admit()
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # it was let in before it heard that it shall end
                await self.__aexit__()
            raise

    async def __aexit__(self, *_: object) -> None:
        self._inside -= 1
        self._admit()

    def _admit(self) -> None:
        while self._waiting and self._inside < self.size and not self.held:
            turn = self._waiting.popleft()
            if not turn.done():
                self._inside += 1
                turn.set_result(None)
