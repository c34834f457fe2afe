"""Programs that models wrote, each run once: its result is stored in the step's journal, under the program's hash.

So an interrupted trace goes on with the very outputs that its model was shown, and equal programs run once. A result
that says nothing about the program (`infra_error`) is not stored, and stands until the step ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import asdict

import orjson
import xxhash

from mathsynth.journal import Journal
from mathsynth.sandbox.pool import Sandbox
from mathsynth.sandbox.results import VERSION, Result


class Programs:
    """The programs of one step."""

    def __init__(self, sandbox: Sandbox | None, journal: Callable[[], Journal]) -> None:
        """The journal is asked for when the first program comes."""
        self._sandbox, self._journal = sandbox, journal
        self._running: dict[str, asyncio.Task[Result]] = {}
        self._failed: dict[str, Result] = {}

    @property
    def sandbox(self) -> Sandbox:
        """What they are run in."""
        if self._sandbox is None:
            raise RuntimeError("the stage runs programs, but its config's runs_programs() does not say so")
        return self._sandbox

    @property
    def under_way(self) -> int:
        """Programs that run, or wait for a worker."""
        return len(self._running)

    @property
    def told(self) -> dict[str, str]:
        """What a manifest says of the sandbox: the tier, what was tried on it, limits and libraries."""
        if self._sandbox is None:
            return {}
        limits, tried = self._sandbox.limits, ", ".join(self._sandbox.tried)
        return {
            "sandbox": str(self._sandbox.tier),
            "sandbox self-test": f"refused: {tried}" if tried else "none",
            "sandbox limits": f"{limits.cpu_s:g} s of CPU, {limits.wall_s:g} s, {limits.memory_mb} MiB",
            "sandbox libraries": ", ".join(f"{name} {version}" for name, version in self._sandbox.libraries.items()),
        }

    async def run(self, blocks: Sequence[str], notebook: bool = False) -> Result:
        """What became of a program, from the journal or from the sandbox."""
        sandbox, journal = self.sandbox, self._journal()
        key = program_key(blocks, notebook, sandbox)
        if key in self._failed:
            return self._failed[key]
        if (stored := journal.get(key)) is not None:
            return Result(**(stored | {"blocks": tuple(stored["blocks"])}))
        if key not in self._running:
            self._running[key] = asyncio.ensure_future(self._run(key, blocks, notebook))
            self._running[key].add_done_callback(lambda _: self._running.pop(key))
        return await asyncio.shield(self._running[key])

    async def _run(self, key: str, blocks: Sequence[str], notebook: bool) -> Result:
        result = await self.sandbox.run(blocks, notebook)
        if result.status == "infra_error":
            self._failed[key] = result
        else:
            self._journal().put(key, asdict(result))
        return result


def program_key(blocks: Sequence[str], notebook: bool, sandbox: Sandbox) -> str:
    """32 hex digits that name a program's result: its source, the limits and what it was run with."""
    named = [
        "program",
        VERSION,
        list(blocks),
        notebook,
        sandbox.limits.model_dump(),
        sandbox.libraries,
        sandbox.tier.name,
    ]
    return xxhash.xxh3_128_hexdigest(orjson.dumps(named, option=orjson.OPT_SORT_KEYS))
