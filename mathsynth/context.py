"""What a stage may use: models, a verifier, prompts, seeded randomness, and two ways to keep many calls under way.

All concurrency of mathsynth is here: one event loop, run by the generator that the pipeline drains, so a stage is a
plain generator that hands `async` functions to `each` (one record at a time, results in input order) or to `pump`
(jobs drawn one by one as slots fall free). Both stop in order when the run is told to stop.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar, cast

from mathsynth.backends.base import Backend, Home, Message, ModelConfig, Reply, Request, Sampling
from mathsynth.budget import Purse
from mathsynth.calls import Caller
from mathsynth.errors import BackendError, Stopped
from mathsynth.grading import Grader
from mathsynth.journal import Journal
from mathsynth.live import Control, RunInfo, Stop
from mathsynth.parts import PlaceWriter
from mathsynth.programs import Programs
from mathsynth.progress import Display, Meter, Silent
from mathsynth.prompts import Prompt, asks_for
from mathsynth.records import Dropped, Failed, Outcoming, Record, Solution, content_id
from mathsynth.sandbox.pool import Sandbox
from mathsynth.servers import Fleet
from mathsynth.shards import atomic
from mathsynth.verifier import Policy
from mathsynth.verifier.worker import Checker

Job = TypeVar("Job")
Result = TypeVar("Result")

TICK_S = 0.25
DRAIN_S = 30.0
"""Seconds that requests under way get to finish once the run is told to stop."""
GRADING_JOBS = 8
"""Jobs open beyond the request slots, so that grading leaves no slot empty."""
CHATS_KEPT = 4096
"""Rendered prompts, for the samples of one problem share theirs."""
WINDOW = 4
"""Records open in `each` per slot: bounds what waits for a slow one before it."""


class Context:
    """The surroundings of one stage while it runs. Close it when the stage's rows are drained."""

    def __init__(
        self,
        *,
        stage: str,
        directory: Path,
        replies: Path,
        base: Path = Path(),
        seed: int = 0,
        models: Mapping[str, ModelConfig] | None = None,
        connect: Callable[[ModelConfig, Home], Backend] | None = None,
        prompts: Mapping[str, Prompt] | None = None,
        policy: Policy | None = None,
        checker: Callable[[Policy], Checker] = Checker,
        info: RunInfo | None = None,
        meter: Meter | None = None,
        display: Display | None = None,
        stop: Stop | None = None,
        hear: Callable[[], Control] | None = None,
        watch: Callable[[str, Request, Reply], None] | None = None,
        redact: Callable[[Any], Any] | None = None,
        hide: Callable[[str], str] | None = None,
        purse: Purse | None = None,
        sandbox: Sandbox | None = None,
        fleet: Fleet | None = None,
    ) -> None:
        """`directory` is the stage's own, `replies` its journal's folder, `base` what relative paths start from.

        `redact` takes what came from the environment out of text or plain data, `hide` out of messages; `hear` says
        what the run is told, `fleet` holds the servers that are ours.
        """
        self.stage, self.directory, self.base, self.seed = stage, directory, base, seed
        self.info, self.meter = info or RunInfo(), meter or Meter(stage)
        self._replies, self._models, self._connect = replies, dict(models or {}), connect
        self._prompts, self.grader = dict(prompts or {}), Grader(policy or Policy(), checker)
        self._chats = lru_cache(CHATS_KEPT)(self._render)
        # A Stop is false until it is told to stop, so `or` would put another in its place.
        self._display, self._watch, self._stop = display or Silent(), watch, Stop() if stop is None else stop
        self._redact, self._hide = redact or (lambda data: data), hide or str
        self._purse, self._fleet = purse or Purse(), fleet
        self._control, self._paused, self._again = Control(), False, False
        self._hear = hear or (lambda: self._control)
        self._loop = asyncio.new_event_loop()
        self._journal: Journal | None = None
        self._callers: dict[str, Caller] = {}
        self.programs = Programs(sandbox, lambda: self.journal)
        self.places: PlaceWriter | None = None
        """Where the lines of a run's part are counted."""

    # --- randomness, prompts, models ---------------------------------------------------------------------------

    def rng(self, *parts: str) -> random.Random:
        """A generator that depends on the recipe's seed, the stage and `parts`, and on nothing else."""
        return random.Random(content_id(str(self.seed), self.stage, *parts))

    def chat(self, model: str, prompt: str, **values: object) -> tuple[Message, ...]:
        """What a model is told: a prompt of `prompt_names()`, in its answer format and after its worked examples."""
        return self._chats(model, prompt, **values)

    def prompt(self, name: str) -> str:
        """The text of a prompt, before anything is put into it."""
        return self._prompts[name].text

    def _render(self, model: str, prompt: str, **values: object) -> tuple[Message, ...]:
        config = self.model(model)
        return self._prompts[prompt].messages(config.shots, **values, answer_format=asks_for(config.answer_format))

    def model(self, name: str) -> ModelConfig:
        """A model that the stage's config declared in `model_names()`."""
        return self._models[name]

    def in_flight(self, model: str) -> int:
        """Requests to a model that may be under way at once, at most, as of now."""
        return self._control.in_flight.get(model, self.model(model).max_in_flight.most)

    def request(
        self, model: str, messages: tuple[Message, ...], *, sample: int = 0, sampling: Mapping[str, Any] | None = None
    ) -> Request:
        """The request for sample number `sample` of a conversation; `sampling` overrides the model's own."""
        config = self.model(model)
        if config.system is not None and not any(m["role"] == "system" for m in messages):
            messages = ({"role": "system", "content": config.system}, *messages)
        return Request(
            model=config.model,
            messages=messages,
            sampling=config.draw(sample, sampling or {}),
            sample=sample,
            seed=(self.seed * 1_000_003 + sample) % 2**31,
        )

    async def complete(self, model: str, request: Request) -> Reply:
        """The reply of a request, from the journal or from the model `model` of the recipe."""
        if self._again:
            return Reply.model_validate(self.journal.get(request.key()))
        reply = await self._caller(model).complete(request)
        if self._watch is not None:
            self._watch(self.stage, request, reply)
        return reply

    def shown(self, sampling: Sampling) -> dict[str, Any]:
        """Sampling as rows may show it: without what came from the environment, which may be secret."""
        return cast("dict[str, Any]", self._redact(sampling.model_dump(mode="json")))

    def again(self, work: Coroutine[Any, Any, Result]) -> Result:
        """What work came to that was done before: its calls and programs are in the journal, and count no more."""
        self._again = True
        try:
            work.send(None)
        except StopIteration as done:
            return cast("Result", done.value)
        finally:
            self._again = False
        raise RuntimeError(f"stage {self.stage}: what was done before asks for something new")

    @property
    def stopping(self) -> str:
        """Why the run should end in order, empty while it should go on."""
        return self._stop.reason

    # --- concurrency -------------------------------------------------------------------------------------------

    def each(
        self, records: Iterable[Record | list[Solution]], work: Callable[[Any], Awaitable[Iterable[Outcoming]]]
    ) -> Iterator[Outcoming]:
        """Ordered concurrent map: the rows that `work` makes of each record, in the order of the records.

        A list is worked on as one. A model call that failed for good makes its record `Failed`; the run goes on.
        """
        source, taken, given = iter(records), 0, 0
        waiting: dict[int, tuple[int, list[Outcoming]]] = {}

        def next_job() -> tuple[int, Record | list[Solution]] | None:
            nonlocal taken
            if taken - given >= WINDOW * self._slots() + GRADING_JOBS or (record := next(source, None)) is None:
                return None
            taken += 1
            return taken - 1, record

        async def one(job: tuple[int, Record | list[Solution]]) -> tuple[int, int, list[Outcoming]]:
            number, record = job
            records = record if isinstance(record, list) else [record]
            try:
                return number, len(records), list(await work(record))
            except BackendError as error:
                if error.fatal:
                    raise
                return number, len(records), [self.failed(one, "model", str(error)) for one in records]

        for number, read, rows in self.pump(next_job, one):
            waiting[number] = read, rows
            self.meter.ahead += read
            while given in waiting:
                read, rows = waiting.pop(given)
                yield from rows
                given += 1
                self.meter.done += read
                self.meter.ahead -= read

    def pump(self, next_job: Callable[[], Job | None], work: Callable[[Job], Awaitable[Result]]) -> Iterator[Result]:
        """What `work` returns for every job, in order of completion, with all request slots kept busy.

        `next_job` is asked whenever a slot is free; None means "nothing now", and once nothing is under way, the end.
        Stopped is raised after what was under way is finished, if the run was told to stop. While it is paused no job
        is begun.
        """
        finished: deque[asyncio.Task[Result]] = deque()
        open_tasks: set[asyncio.Task[Result]] = set()
        wake = asyncio.Event()

        def on_done(task: asyncio.Task[Result]) -> None:
            open_tasks.discard(task)
            finished.append(task)
            wake.set()

        def full() -> bool:
            slots = self._slots()
            # What waits for its program to end leaves its slot to another.
            busy = len(open_tasks) + len(finished) - min(self.programs.under_way, slots)
            return busy >= slots + GRADING_JOBS

        def fill() -> None:
            self._obey()
            self.show()
            while not self._stop and not self._paused and not full() and (job := next_job()) is not None:
                task = self._loop.create_task(cast("Coroutine[Any, Any, Result]", work(job)))
                open_tasks.add(task)
                task.add_done_callback(on_done)
                # A reply that is in the journal comes now, so the next job is chosen knowing it: after a kill nothing
                # is asked for that what was known makes needless.
                self._loop.run_until_complete(asyncio.sleep(0))

        async def wait() -> None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(wake.wait(), TICK_S)

        stopped_at: float | None = None
        # Batches go on without us, and the same command picks them up.
        patience = 0.0 if self._models and all(model.patient for model in self._models.values()) else DRAIN_S
        try:
            while True:
                fill()
                while finished:
                    try:
                        result = finished.popleft().result()
                    except Stopped as error:
                        # One call gave up or was not sent: nothing new begins, the others under way may finish.
                        self._stop.reason = self._stop.reason or str(error)
                        continue
                    yield result
                    fill()
                if self._stop:
                    stopped_at = stopped_at or self._loop.time()
                    # A spent budget is no hurry: what is under way will have to be paid, so it is waited for.
                    late = self._loop.time() - stopped_at > patience and not self._purse.reason
                    # Programs cost nothing to run again.
                    only_programs = self.programs.under_way > 0 and not self.meter.in_flight
                    if not open_tasks or late or only_programs:
                        raise Stopped(self._stop.reason)
                if not open_tasks and not self._paused:
                    return
                wake.clear()
                self._loop.run_until_complete(wait())
        finally:
            self._cancel(open_tasks)
            for task in finished:
                if not task.cancelled():
                    task.exception()  # seen here, or asyncio would print it

    # --- rows that do not go on --------------------------------------------------------------------------------

    def dropped(self, record: Record, reason: str, detail: str = "") -> Dropped:
        """A record put aside by this stage."""
        return Dropped(stage=self.stage, reason=reason, detail=detail, row=record.model_dump(mode="json"))

    def failed(self, record: Record, boundary: str, error: str) -> Failed:
        """A record that this stage could not work on."""
        return Failed(stage=self.stage, boundary=boundary, error=error, row=record.model_dump(mode="json"))

    @contextlib.contextmanager
    def lines(self, name: str) -> Iterator[Callable[[bytes], None]]:
        """Writes lines to a file of the stage beside its rows, each made of the record at hand; whole or absent."""
        with atomic(self.directory / name) as file:

            def write(line: bytes) -> None:
                file.write(line)
                self.count(name)

            yield write

    def count(self, name: str) -> None:
        """A line was written to file `name`, made of the record at hand."""
        if self.places is not None:
            self.places.count(self.meter.done, name)

    # --- inside ------------------------------------------------------------------------------------------------

    def show(self) -> None:
        """Let the meter be seen."""
        self.meter.limit = self._slots()
        self._display.update(self.meter)

    def _obey(self) -> None:
        """Do what the run is told by other shells. A run that was told to stop is not paused."""
        control, paused = self._hear(), self._paused
        self._paused = control.paused and not self._stop
        if control is not self._control or paused != self._paused:
            self._control = control
            self.meter.pause(self._paused)
            for name, caller in self._callers.items():
                caller.gate.set(self.in_flight(name), self._paused)

    @property
    def journal(self) -> Journal:
        """The reply journal of the step, opened when first needed."""
        if self._journal is None:
            self._journal = Journal(self._replies)
        return self._journal

    @property
    def callers(self) -> Mapping[str, Caller]:
        """The models that were asked so far, by their name in the recipe."""
        return self._callers

    def probe(self, model: str) -> str:
        """What answers at a model's address, in one line."""
        return self._loop.run_until_complete(self._caller(model).probe())

    def close(self, done: bool = False) -> None:
        """Release everything; `done` packs the journal, for the stage is finished."""
        # A stage that was left in the middle, by an error of the disk or Ctrl-C, leaves its tasks behind.
        self._cancel(asyncio.all_tasks(self._loop))
        self._finish(self._aclose())
        self._loop.close()
        self.grader.close()
        if self._journal is not None:
            self._journal.close(compress=done)

    def _cancel(self, tasks: set[asyncio.Task[Any]]) -> None:
        if tasks := set(tasks):
            for task in tasks:
                task.cancel()
            self._finish(asyncio.gather(*tasks, return_exceptions=True))

    def _finish(self, work: Awaitable[object]) -> None:
        """Run to its end. Ctrl-C may have left the loop an order to stop, which ends the first attempt."""
        future = asyncio.ensure_future(work, loop=self._loop)
        try:
            self._loop.run_until_complete(future)
        except RuntimeError:
            if future.done():
                raise
            self._loop.run_until_complete(future)

    async def _aclose(self) -> None:
        for caller in self._callers.values():
            await caller.aclose()

    def _caller(self, name: str) -> Caller:
        if name not in self._callers:
            if self._connect is None:
                raise RuntimeError(f"stage {self.stage} was given no way to reach a model")
            config, servers = self.model(name), None
            if (serve := config.own_servers()) is not None:
                if self._fleet is None:
                    raise RuntimeError(f"stage {self.stage} was given no way to start servers")
                servers = self._fleet.servers(name, config.model, serve)
            self._callers[name] = Caller(
                config, self._connect, self.journal, self.meter, self._ended, self._hide, self._purse, servers
            )
            self._callers[name].gate.set(self.in_flight(name), self._paused)
        return self._callers[name]

    def _ended(self) -> bool:
        """Whether nothing more may be sent."""
        if not self._stop:
            self._stop.reason = self._purse.spent()
        return bool(self._stop)

    def _slots(self) -> int:
        """Requests that may be under way now."""
        return sum(self._limit(name) for name in self._models) or 1

    def _limit(self, model: str) -> int:
        if (caller := self._callers.get(model)) is not None:
            return caller.gate.limit
        return self._control.in_flight.get(model, self.model(model).max_in_flight.start)
