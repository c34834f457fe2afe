"""A Ray cluster does the work; this process keeps what must be one: allocation, journals, the files of the run.

* A model whose engine lives in a process (`vllm`, `llamacpp`), or one with `replicas`, becomes so many actors, each
  with the GPUs that it needs. Servers are asked from here: that costs little.
* Comparisons that the fast path leaves open go to actors on the processors of all nodes.
* Stages that work on any part of their rows and ask no model (`verify`) run as one task a shard.

What a killed worker or node had in flight is asked or done again, elsewhere. Nothing but this process touches the run's
directory, so the nodes need no shared file system for it; weights must be readable where engines run, and the same
mathsynth be installed. The only file that imports ray.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import signal
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, cast

from mathsynth.backends import connect
from mathsynth.backends.base import Backend, Home, ModelConfig, Reply, Request
from mathsynth.context import Context
from mathsynth.errors import BackendError, MathsynthError, RunError, Stopped, UsageError
from mathsynth.executors import Executor
from mathsynth.progress import Meter
from mathsynth.records import Outcoming, Record
from mathsynth.stages import StageConfig, load_stage
from mathsynth.steps import Step
from mathsynth.verifier import Policy
from mathsynth.verifier.verdict import Question
from mathsynth.verifier.words import Finding
from mathsynth.verifier.worker import Checker

if TYPE_CHECKING:
    from ray.actor import ActorHandle as Handle

    ActorHandle = Handle[Any]

TASK_ROWS = 1000
TICK_S = 0.25
REST_S = 5.0
"""Seconds in which a replica that died is asked only if all others did, too."""
TRIES = 3
"""Times that a comparison is begun, if the actors that do it die."""
ENVIRONMENT = {
    # It reports its use to its makers unless told not to; mathsynth has no telemetry.
    "RAY_USAGE_STATS_ENABLED": "0",
    # Actors without a GPU must not have the GPUs of others taken away from them.
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


class Cluster:
    """A connection to a cluster, or one of this machine alone that ends with it."""

    def __init__(self, address: str, say: Callable[[str], None]) -> None:
        """Connect. UsageError if ray is not installed, MathsynthError if no cluster answers."""
        for name, value in ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        try:
            import ray
        except ImportError as error:
            raise UsageError(f"--executor ray needs Ray ({error}); run: pip install 'mathsynth[ray]'") from None
        known = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        wanted: dict[str, Any] = {"address": address} if address else {"address": "local", "include_dashboard": False}
        wanted |= {"logging_level": "error", "log_to_driver": False, "configure_logging": False}
        self._ray: Any = ray
        try:
            if paths := _paths():
                wanted["runtime_env"] = {"env_vars": {"PYTHONPATH": os.pathsep.join(paths)}}
            ray.init(**wanted)
            self._resources: dict[str, float] = self._ray.cluster_resources()
        except (ConnectionError, RuntimeError, ValueError) as error:
            said = " ".join(str(error).split())
            raise MathsynthError(f"can't reach a Ray cluster at {address or 'this machine'}: {said[:200]}") from None
        finally:
            # Ray ends the process at a signal; a run ends in order.
            if threading.current_thread() is threading.main_thread():
                for number, handler in known.items():
                    signal.signal(number, handler)
        cpus, gpus = (int(self._resources.get(name, 0)) for name in ("CPU", "GPU"))
        say(f"the work is done on a Ray cluster of {len(self._ray.nodes())} nodes, {cpus} CPUs, {gpus} GPUs")
        self._cpus = max(1, cpus)
        self._judges: Judges | None = None

    def __enter__(self) -> Executor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ray.shutdown()

    def connect(self, config: ModelConfig, home: Home) -> Backend:
        """Actors for an engine, a client here for a server. UsageError if the cluster has no room for them."""
        if config.replicas is None and not config.in_process:
            return connect(config, home)
        count = config.replicas or 1
        gpus = config.gpus if self._resources.get("GPU") else 0
        for name, needed in (("GPU", count * gpus), ("CPU", count)):
            if needed > (there := self._resources.get(name, 0)):
                raise UsageError(f"{config.model}: {count} replicas need {needed} {name}s, the cluster has {there:.0f}")
        options = {"num_cpus": 1, "num_gpus": gpus, "max_restarts": -1, "max_task_retries": 0}
        engine = self._ray.remote(Engine).options(**options, max_concurrency=config.max_in_flight.most)
        return Replicas(config, [engine.remote(config) for _ in range(count)])

    def checker(self, policy: Policy) -> Checker:
        """One whose hard comparisons are made on all nodes."""
        if self._judges is None or self._judges.policy != policy:
            judge = self._ray.remote(Judge).options(num_cpus=0, max_restarts=-1, scheduling_strategy="SPREAD")
            self._judges = Judges(policy, [judge.remote(policy) for _ in range(self._cpus)])
        return FarChecker(policy, self._judges)

    def rows(self, step: Step, records: Iterable[Record], ctx: Context) -> Iterator[Outcoming]:
        """The stage here, or its shards as tasks, their rows in order."""
        if not step.number or step.models or not step.splits or step.config.runs_programs():
            yield from load_stage(step.stage).run(iter(records), step.config, ctx)
            return
        task = self._ray.remote(work_on_shard).options(num_cpus=1, max_retries=TRIES)
        source, under_way = iter(records), deque[Any]()
        while True:
            while len(under_way) < 2 * self._cpus and (shard := list(islice(source, TASK_ROWS))):
                under_way.append(task.remote(step.stage, step.config, ctx.grader.policy, ctx.seed, shard))
            if not under_way:
                return
            first = under_way.popleft()
            while not self._ray.wait([first], timeout=TICK_S)[0]:
                ctx.show()
                if ctx.stopping:
                    raise Stopped(ctx.stopping)
            try:
                rows, done, graded, correct = self._ray.get(first)
            except self._ray.exceptions.RayTaskError as error:
                raise (error.cause or error) from None
            except self._ray.exceptions.RayError as error:
                said = " ".join(str(error).split())[:200]
                raise RunError(f"{step.name}: a shard was lost {TRIES} times on the cluster: {said}") from None
            ctx.meter.graded += graded
            ctx.meter.correct += correct
            yield from rows
            ctx.meter.done += done


class Engine:
    """An actor: one copy of a model's engine."""

    def __init__(self, config: ModelConfig) -> None:
        self._config = config
        self._backend: Backend | None = None

    async def complete(self, request: Request, n: int) -> Sequence[Reply | BackendError] | MathsynthError:
        """What the backend says; its errors come as values, for Ray would wrap what is raised."""
        try:
            self._backend = self._backend or connect(self._config)
            return await self._backend.complete(request, n)
        except MathsynthError as error:
            return error

    async def probe(self) -> str | MathsynthError:
        """What the backend says of itself."""
        try:
            self._backend = self._backend or connect(self._config)
            return await self._backend.probe()
        except MathsynthError as error:
            return error


class Replicas:
    """The backend of this process for a model's actors: the one with the least in flight is asked."""

    def __init__(self, config: ModelConfig, actors: Sequence[ActorHandle]) -> None:
        self._config, self._actors = config, actors
        self._in_flight = [0] * len(actors)
        self._rests_until = [0.0] * len(actors)

    async def complete(self, request: Request, n: int = 1) -> Sequence[Reply | BackendError]:
        """Ask one replica, once. One that died starts again by itself; the request is tried again elsewhere."""
        now = time.monotonic()
        number = min(range(len(self._actors)), key=lambda i: (self._rests_until[i] > now, self._in_flight[i]))
        self._in_flight[number] += n
        try:
            return cast("Sequence[Reply | BackendError]", await self._ask(number, "complete", request, n))
        finally:
            self._in_flight[number] -= n

    async def queue(self) -> int | None:
        """Not known."""
        return None

    async def probe(self) -> str:
        """What each replica says of itself."""
        said = [await self._ask(number, "probe") for number in range(len(self._actors))]
        return "; ".join(f"replica {number}: {text}" for number, text in enumerate(said))

    async def aclose(self) -> None:
        """End the actors."""
        import ray

        for actor in self._actors:
            ray.kill(actor)

    async def _ask(self, number: int, method: str, *arguments: object) -> Any:
        import ray

        call = getattr(self._actors[number], method).remote(*arguments)
        try:
            answer = await call
        except asyncio.CancelledError:
            ray.cancel(call)
            raise
        except ray.exceptions.RayActorError:
            self._rests_until[number] = time.monotonic() + REST_S
            died = f"replica {number} of {self._config.model} died"
            raise BackendError(died, retryable=True, unreachable=True) from None
        if isinstance(answer, MathsynthError):
            raise answer
        return answer


class Judge:
    """An actor: compares answers in a worker process that can be killed."""

    def __init__(self, policy: Policy) -> None:
        self._checker = Checker(policy)

    def compare(self, reference: str, answer: str) -> Finding:
        """Whether two answers are equal, by all means."""
        return self._checker.slow(Question(reference, answer, "given"))


class Judges:
    """The actors that compare, those that are free."""

    def __init__(self, policy: Policy, actors: Sequence[ActorHandle]) -> None:
        self.policy, self.count = policy, len(actors)
        self.free: queue.Queue[ActorHandle] = queue.Queue()  # one that died comes last
        for actor in actors:
            self.free.put(actor)


class FarChecker(Checker):
    """A checker whose hard comparisons are made by judges elsewhere."""

    def __init__(self, policy: Policy, judges: Judges) -> None:
        super().__init__(policy, workers=judges.count)
        self._judges = judges

    def slow(self, asked: Question) -> Finding:
        """What a judge says. It has its own deadline; one that died is replaced by Ray, and another one asked."""
        import ray

        for _ in range(TRIES):
            judge = self._judges.free.get()
            try:
                found = cast(Finding, ray.get(judge.compare.remote(asked.reference, asked.answer)))
                self.remember(asked, found)
                return found
            except ray.exceptions.RayActorError:
                continue
            finally:
                self._judges.free.put(judge)
        return Finding(None, "worker", f"the process that compares died {TRIES} times")


def work_on_shard(
    stage: str, config: StageConfig, policy: Policy, seed: int, records: list[Record]
) -> tuple[list[Outcoming], int, int, int]:
    """A task: (rows, records done, graded, correct) of a shard of records."""
    with tempfile.TemporaryDirectory(prefix="mathsynth-") as scratch:
        meter = Meter(stage)
        ctx = Context(
            stage=stage, directory=Path(scratch), replies=Path(scratch), seed=seed, policy=policy, meter=meter
        )
        with contextlib.closing(ctx):
            rows = list(load_stage(stage).run(iter(records), config, ctx))
        return rows, meter.done, meter.graded, meter.correct


def _paths() -> list[str]:
    """Where workers find this mathsynth, if it is not installed."""
    root = str(Path(__file__).resolve().parents[2])
    given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return [path for path in dict.fromkeys([root, *given]) if path and not path.endswith("site-packages")]
