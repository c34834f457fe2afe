"""The embedded engine: llama.cpp in this process, for a machine with no GPU, no key and no server.

Needs the extra `mathsynth[local]` and weights (`mathsynth models pull smollm2-135m`). `slots` requests are decoded
together; the same request and seed gave the same text whatever the slots, threads and neighbours (measured with
SmolLM2 on xllamacpp 2026.10). llama.cpp's own `top_k` 40 and `min_p` 0.05 hold unless `extra_body` says otherwise.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from mathsynth import models
from mathsynth.backends.base import Backend, Home, ModelConfig, Reply, Request, chat_body
from mathsynth.errors import BackendError, UsageError
from mathsynth.limits import InFlight, always
from mathsynth.records import Usage

if TYPE_CHECKING:
    import xllamacpp

RANDOM_SEED = 0xFFFFFFFF
"""llama.cpp reads this seed as "draw one"."""


class Config(ModelConfig):
    """A small model inside this process."""

    model: str = "smollm2-135m"
    """Known weights (`mathsynth models list`), or a name of your own for the file in `weights`."""
    weights: str | None = Field(default=None, exclude=True)
    """Path of a .gguf file, in place of the known weights. Name other weights by another `model` (tuning)."""
    slots: int = Field(default=8, ge=1, le=256, exclude=True)
    """Requests decoded together (tuning)."""
    context_per_slot: int = Field(default=1024, ge=64, exclude=True)
    """Tokens of prompt and reply together; a reply that reaches it is cut and counts as truncated (tuning)."""
    threads: int | None = Field(default=None, ge=1, exclude=True)
    """Threads that compute; none means the cores that are free when the engine starts (tuning)."""
    max_in_flight: InFlight = Field(default=always(16), exclude=True)
    """Requests under way at once: those in slots and a few that wait for one (tuning)."""
    verbosity: int = Field(default=0, ge=0, exclude=True)
    """Of llama.cpp's own log on stderr; 0 is silent (tuning)."""

    @property
    def in_process(self) -> bool:
        """Yes."""
        return True


def connect(config: ModelConfig, home: Home | None = None) -> Backend:
    """Load the weights (0.3 s for SmolLM2). UsageError if the extra or the weights are missing or broken."""
    assert isinstance(config, Config)
    try:
        import xllamacpp  # noqa: F401
    except ImportError as error:
        raise UsageError(
            f"the llamacpp backend needs xllamacpp ({error}); run: pip install 'mathsynth[local]'"
        ) from None
    return LlamaEngine(config, models.weights(config.weights or config.model))


class LlamaEngine:
    """One llama.cpp server in this process, asked directly. `address` and `key` let HTTP clients of this machine in."""

    def __init__(self, config: Config, path: Path) -> None:
        import xllamacpp

        self._config, self._path = config, path
        self.threads = min(config.threads or free_cores(), os.cpu_count() or 1)
        # xllamacpp always listens on 127.0.0.1; without the key no other user of this machine can spend its cores.
        self.key = secrets.token_urlsafe(16)
        params = xllamacpp.CommonParams()
        params.model.path = str(path)
        params.model_alias = {config.model}
        params.n_ctx, params.n_parallel = config.slots * config.context_per_slot, config.slots
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = self.threads
        params.verbosity = config.verbosity
        params.api_keys = [self.key]
        params.ui = False
        # It would keep up to 8 GB of old prompts; slots still reuse the prompt they share.
        params.cache_ram_mib = 0
        try:
            self._server: xllamacpp.Server | None = xllamacpp.Server(params)
        except RuntimeError as error:
            raise UsageError(f"{path}: llama.cpp can't load these weights ({error})") from None
        self.address = f"{self._server.listening_address}/v1"
        self._slots = asyncio.Semaphore(config.slots)
        self._pool = ThreadPoolExecutor(config.slots, thread_name_prefix="llamacpp")
        self._closed = threading.Event()

    async def complete(self, request: Request, n: int = 1) -> list[Reply]:
        """Decode one reply in a slot, whatever `n`. Cancelling stops the decoding at its next token."""
        body = chat_body(request) | {"model": self._config.model, "seed": request.seed % RANDOM_SEED}
        stop = threading.Event()
        async with self._slots:
            if self._closed.is_set():
                raise BackendError("the embedded engine is closed")
            work = asyncio.get_running_loop().run_in_executor(self._pool, self._decode, body, stop)
            try:
                return [await asyncio.shield(work)]
            except asyncio.CancelledError:
                stop.set()
                work.add_done_callback(lambda done: done.cancelled() or done.exception())
                raise

    async def queue(self) -> int | None:
        """Not known."""
        return None

    async def probe(self) -> str:
        """What is loaded and how it is set, after one tiny reply."""
        body = {"messages": [{"role": "user", "content": "What is 1 + 1?"}], "max_tokens": 4, "seed": 0}
        await asyncio.get_running_loop().run_in_executor(self._pool, self._decode, body, threading.Event())
        config = self._config
        return (
            f"{self._path.name} in this process: {config.model}, context {config.context_per_slot:,} in each of "
            f"{config.slots} slots, {self.threads} threads, one reply a request"
        )

    async def aclose(self) -> None:
        """Stop what is being decoded and release the memory. Leaving it to the interpreter's exit may crash."""
        self._closed.set()
        await asyncio.get_running_loop().run_in_executor(None, self._pool.shutdown)
        self._server = None

    def _decode(self, body: dict[str, Any], stop: threading.Event) -> Reply:
        """One reply, token by token so that it can be stopped. Runs in a thread of the pool; the GIL is dropped."""
        pieces: list[str] = []
        thoughts: list[str] = []
        finish, usage, refused = "", Usage(), BackendError("llama.cpp ended without a reply", retryable=True)

        def on_chunk(chunk: dict[str, Any]) -> bool:
            nonlocal finish, usage, refused
            if "error" in chunk:
                refused = _refusal(chunk["error"], self._config)
                return True
            for choice in chunk.get("choices") or ():
                pieces.append(choice["delta"].get("content") or "")
                thoughts.append(choice["delta"].get("reasoning_content") or "")
                finish = choice.get("finish_reason") or finish
            if counted := chunk.get("usage"):
                usage = Usage(prompt_tokens=counted["prompt_tokens"], completion_tokens=counted["completion_tokens"])
            return stop.is_set() or self._closed.is_set()

        server = self._server
        assert server is not None, "aclose() waits for this thread before it drops the server"
        try:
            server.handle_chat_completions(body | {"stream": True, "stream_options": {"include_usage": True}}, on_chunk)
        except (RuntimeError, ValueError) as error:
            raise BackendError(f"llama.cpp refused the request ({_line(str(error))})") from None
        if not finish:
            raise BackendError("stopped") if stop.is_set() or self._closed.is_set() else refused
        return Reply(
            text="".join(pieces),
            finish_reason=finish,
            usage=usage,
            model=self._config.model,
            reasoning="".join(thoughts) or None,
        )


def _refusal(error: dict[str, Any], config: Config) -> BackendError:
    if error.get("type") == "exceed_context_size_error":
        return BackendError(
            f"prompt of {error.get('n_prompt_tokens', 0):,} tokens does not fit "
            f"context_per_slot={config.context_per_slot:,}"
        )
    code = int(error.get("code") or 500)
    return BackendError(f"llama.cpp answered {code}: {_line(str(error.get('message')))}", retryable=code >= 500)


def _line(text: str) -> str:
    return " ".join(text.split())[:300]


def free_cores() -> int:
    """Cores that nobody else is using now, at least 1. llama.cpp's threads spin: a busy core halves their speed."""
    mine = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))
    most = 0.0
    # The best of three looks: one short burst of another process should not cost half the speed of a whole run.
    before = _ticks(mine)
    for _ in range(3):
        time.sleep(0.1)
        after = _ticks(mine)
        spent = [now - then for now, then in zip(after, before, strict=True)]
        most = max(most, len(mine) * (spent[0] + spent[1]) / max(1, spent[2]))
        before = after
    # Without /proc/stat (not Linux) nothing is known of the others.
    return max(1, min(len(mine), _quota(), round(most) if before[2] else len(mine)))


def _ticks(cores: set[int]) -> tuple[int, int, int]:
    """Clock ticks since boot of these cores: (idle, spent by this process and its children, all). Zeros off Linux."""
    try:
        lines = Path("/proc/stat").read_text().splitlines()
    except OSError:
        return 0, 0, 0
    idle = total = 0
    for line in lines:
        name, *numbers = line.split()
        if name[:3] == "cpu" and name[3:].isdigit() and int(name[3:]) in cores:
            ticks = [int(number) for number in numbers[:8]]
            idle, total = idle + ticks[3] + ticks[4], total + sum(ticks)
    parents: dict[int, int] = {}
    spent: dict[int, int] = {}
    for process in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = process.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(process.parent.name)], spent[int(process.parent.name)] = (
            int(fields[1]),
            sum(map(int, fields[11:13])),
        )
    own = 0
    for process_id, ticks_of_it in spent.items():
        ancestor: int | None = process_id
        while ancestor and ancestor != os.getpid():
            ancestor = parents.get(ancestor)
        own += ticks_of_it if ancestor else 0
    return idle, own, total


def _quota() -> int:
    """Whole cores that the container's CPU quota (cgroup v2) allows."""
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
    except (OSError, ValueError):
        return 1 << 16
    return 1 << 16 if quota == "max" else max(1, int(quota) // int(period))
