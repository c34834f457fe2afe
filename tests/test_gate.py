"""The gate: so many inside, in order, more or fewer while it is used, held shut, no place lost to a cancellation."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

import pytest

from mathsynth.gate import Gate


class Crowd:
    """People who pass a gate and stay inside until they are let go."""

    def __init__(self, size: int) -> None:
        self.gate, self.inside, self.order = Gate(size), 0, []
        self.go: dict[int, asyncio.Event] = {}
        self.tasks: list[asyncio.Task[None]] = []

    async def come(self, number: int = 1) -> None:
        for _ in range(number):
            self.tasks.append(asyncio.create_task(self._pass(len(self.tasks))))
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def _pass(self, name: int) -> None:
        leave = self.go[name] = asyncio.Event()
        async with self.gate:
            self.inside += 1
            self.order.append(name)
            try:
                await leave.wait()
            finally:
                self.inside -= 1

    async def leave(self, *names: int) -> None:
        for name in names:
            self.go[name].set()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await asyncio.sleep(0)


def in_a_loop(test: Callable[[], Awaitable[None]]) -> Callable[[], None]:
    def run() -> None:
        asyncio.run(test())

    run.__name__ = test.__name__
    return run


@in_a_loop
async def test_those_who_wait_enter_in_order() -> None:
    crowd = Crowd(2)
    await crowd.come(5)
    assert crowd.order == [0, 1]
    await crowd.leave(1)
    assert crowd.order == [0, 1, 2]
    await crowd.leave(0, 2)
    assert (crowd.inside, crowd.order) == (2, [0, 1, 2, 3, 4])


@in_a_loop
async def test_a_larger_gate_lets_in_at_once_and_a_smaller_one_puts_nobody_out() -> None:
    crowd = Crowd(1)
    await crowd.come(6)
    crowd.gate.set(4, held=False)
    await crowd.leave()
    assert crowd.inside == 4
    crowd.gate.set(2, held=False)
    await crowd.leave(0, 1)
    assert crowd.inside == 2
    assert len(crowd.order) == 4
    await crowd.leave(2)
    assert crowd.order == [0, 1, 2, 3, 4]


@in_a_loop
async def test_nobody_enters_while_it_is_held() -> None:
    crowd = Crowd(3)
    await crowd.come(2)
    crowd.gate.set(3, held=True)
    await crowd.come(3)
    await crowd.leave(0)
    assert (crowd.inside, crowd.order) == (1, [0, 1])
    crowd.gate.set(3, held=False)
    await crowd.leave()
    assert crowd.order == [0, 1, 2, 3]


@pytest.mark.parametrize("seed", range(20))
def test_no_place_is_lost_or_made_whatever_is_cancelled_when(seed: int) -> None:
    rng = random.Random(seed)

    async def run() -> None:
        size, most = 3, 0
        crowd = Crowd(size)
        for _ in range(200):
            deed = rng.random()
            if deed < 0.5:
                await crowd.come()
            elif deed < 0.7:
                size = rng.randint(1, 5)
                crowd.gate.set(size, held=rng.random() < 0.2)
            elif crowd.tasks:
                chosen = rng.randrange(len(crowd.tasks))
                # Let go of a place and cancel, in the same step of the loop, one who may just be getting it.
                crowd.go[chosen].set()
                for task in rng.sample(crowd.tasks, min(2, len(crowd.tasks))):
                    task.cancel()
                if rng.random() < 0.5:
                    await crowd.leave()
            most = max(most, crowd.inside)
        assert most <= 5
        crowd.gate.set(3, held=False)
        for leave in crowd.go.values():
            leave.set()
        await asyncio.wait_for(asyncio.gather(*crowd.tasks, return_exceptions=True), 5)
        fresh = Crowd(0)
        fresh.gate = crowd.gate
        await fresh.come(4)
        assert fresh.inside == 3
        await fresh.leave(0, 1, 2)
        await fresh.leave(3)

    asyncio.run(run())
