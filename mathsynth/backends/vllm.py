"""vLLM inside this process: continuous batching and prefix caching on the GPUs of this machine.

Needs the extra `mathsynth[vllm]`. The chat template is the model's own; of its `generation_config` only the end tokens
are used, for what a recipe doesn't say is not sent. The engine starts with the first request, in a thread, so that the
run can be stopped meanwhile, and requests stream into it: there are no waves. Its processes end with this one, also
when this one is killed. A server started with `vllm serve` is spoken to by the `openai` backend instead.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import multiprocessing
import os
import secrets
import threading
from concurrent.futures import Future
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, field_validator

from mathsynth.backends.base import Backend, Home, Message, ModelConfig, Reply, Request
from mathsynth.errors import BackendError, MathsynthError, UsageError
from mathsynth.guard import Guard
from mathsynth.limits import InFlight, always
from mathsynth.records import Usage

if TYPE_CHECKING:
    from vllm.lora.request import LoRARequest
    from vllm.outputs import CompletionOutput, RequestOutput
    from vllm.sampling_params import SamplingParams
    from vllm.v1.engine.async_llm import AsyncLLM

OURS = {
    "model": "weights",
    "enable_lora": "lora",
    **{
        name: name
        for name in (
            "quantization",
            "dtype",
            "max_model_len",
            "tensor_parallel_size",
            "data_parallel_size",
            "gpu_memory_utilization",
            "enforce_eager",
        )
    },
}
"""vLLM's name of a setting -> the key of ours that sets it."""

ENVIRONMENT = {
    # It reports its use to its makers unless told not to; mathsynth has no telemetry.
    "VLLM_NO_USAGE_STATS": "1",
    # It logs to stdout, which is for data. Set VLLM_LOGGING_LEVEL=INFO to see what it does.
    "VLLM_LOGGING_STREAM": "ext://sys.stderr",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "TORCH_CPP_LOG_LEVEL": "ERROR",
    # In its processes only: this one has set its own filters by now.
    "PYTHONWARNINGS": "ignore",
    # A fork would inherit the run's open journals and locks, and the threads' locks as they happen to be.
    "VLLM_WORKER_MULTIPROC_METHOD": "spawn",
}
"""What vLLM reads from the environment, unless the user has set it."""

DRAIN_S = 30
"""Seconds that vLLM lets requests finish when a SIGTERM reaches all processes of a job at once (Slurm, systemd)."""
TICK_S = 0.2
LORA_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
"""The values that vLLM takes for `max_lora_rank`."""
PROMPTS_KEPT = 4096
"""Prompts whose tokens are remembered: the samples of one problem share theirs."""


class Config(ModelConfig):
    """A model that this process loads with vLLM."""

    weights: str | None = Field(default=None, exclude=True)
    """Model directory or hub name, where it differs from `model` (tuning)."""
    lora: str | None = None
    """Directory of a LoRA adapter that every request uses."""
    quantization: str | None = None
    """vLLM's name of the quantisation (`fp8`, `awq`, …); by default what the weights say."""
    dtype: str = "auto"
    """Number type of the weights: `auto`, `bfloat16`, `float16` or `float32`."""
    seeded: bool = False
    """Draw each sample from its own seed: then it is nearly the same in every run, but vLLM samples the requests of a
    batch one by one, without its fast kernels, and dies of it on CPUs unless prompts stay whole (engine_args:
    {enable_chunked_prefill: false})."""
    max_model_len: int | None = Field(default=None, ge=16, exclude=True)
    """Tokens of prompt and reply together; by default the model's own limit (tuning)."""
    tensor_parallel_size: int = Field(default=1, ge=1, exclude=True)
    """GPUs that share one copy of the model (tuning)."""
    data_parallel_size: int = Field(default=1, ge=1, exclude=True)
    """Copies of the model (tuning)."""
    gpu_memory_utilization: float | None = Field(default=None, gt=0, le=1, exclude=True)
    """Share of each GPU's memory to use; by default vLLM's (tuning)."""
    enforce_eager: bool = Field(default=False, exclude=True)
    """Skip graph capture: a faster start, slower decoding (tuning)."""
    engine_args: dict[str, Any] = Field(default_factory=dict, exclude=True)
    """Further fields of vLLM's AsyncEngineArgs, passed on as they are (tuning)."""
    max_in_flight: InFlight = Field(default=always(1024), exclude=True)
    """Requests under way at once; vLLM queues what does not fit (tuning)."""
    timeout_s: float = Field(default=3600, gt=0, exclude=True)
    """Seconds until one request counts as lost; the first ones wait for the model to load (tuning)."""

    @field_validator("engine_args")
    @classmethod
    def _not_ours(cls, value: dict[str, Any]) -> dict[str, Any]:
        for name in sorted(set(value) & set(OURS)):
            raise ValueError(f"{name!r} is set by the model's own key {OURS[name]!r}")
        return value

    @property
    def in_process(self) -> bool:
        """Yes."""
        return True

    @property
    def gpus(self) -> int:
        """One for each part of each copy."""
        return self.tensor_parallel_size * self.data_parallel_size


def connect(config: ModelConfig, home: Home | None = None) -> Backend:
    """An engine that starts with its first request. UsageError if vLLM or the adapter is missing."""
    assert isinstance(config, Config)
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        import vllm  # noqa: F401
    except ImportError as error:
        raise UsageError(f"the vllm backend needs vLLM ({error}); run: pip install 'mathsynth[vllm]'") from None
    return VllmEngine(config, engine_settings(config))


def engine_settings(config: Config) -> dict[str, Any]:
    """The fields of vLLM's AsyncEngineArgs. UsageError if the LoRA adapter can't be read."""
    chosen = {
        "model": config.weights or config.model,
        "tensor_parallel_size": config.tensor_parallel_size,
        "data_parallel_size": config.data_parallel_size,
        "dtype": config.dtype,
        "enforce_eager": config.enforce_eager,
        "enable_prefix_caching": True,
        "disable_log_stats": True,
        "use_tqdm_on_load": False,
        "shutdown_timeout": DRAIN_S,
    }
    for name in ("quantization", "max_model_len", "gpu_memory_utilization"):
        if (value := getattr(config, name)) is not None:
            chosen[name] = value
    if not config.seeded and "seed" not in config.engine_args:
        # vLLM's own default is the same number at every start: a resumed run would draw its first samples again.
        chosen["seed"] = secrets.randbelow(2**31)
    if config.lora is not None:
        chosen |= {"enable_lora": True, "max_lora_rank": _lora_rank(Path(config.lora))}
    return chosen | config.engine_args


def _lora_rank(adapter: Path) -> int:
    """The least rank that vLLM must make room for; its own default refuses adapters above 16."""
    try:
        rank = int(json.loads((adapter / "adapter_config.json").read_bytes())["r"])
        return next(known for known in LORA_RANKS if known >= rank)
    except (OSError, ValueError, KeyError, TypeError, StopIteration) as error:
        raise UsageError(f"{adapter}: not a LoRA adapter that vLLM takes ({_line(error)})") from None


class VllmEngine:
    """One engine, fed by all requests of this process."""

    def __init__(self, config: Config, settings: dict[str, Any]) -> None:
        self._config, self._settings = config, settings
        self._loading: Future[AsyncLLM] = Future()
        self._starting: asyncio.Task[AsyncLLM] | None = None
        self._engine: AsyncLLM | None = None
        self._lora: LoRARequest | None = None
        self._guard: Guard | None = None
        self._guarded: set[int | None] = set()
        self._numbers = itertools.count()
        self._tokens = lru_cache(PROMPTS_KEPT)(self._encode)

    async def complete(self, request: Request, n: int = 1) -> list[Reply | BackendError]:
        """Cancelling takes the request out of the engine. UsageError if vLLM does not start."""
        engine = self._engine or await self._start()
        from vllm.v1.engine.exceptions import EngineDeadError, EngineGenerateError

        template = request.sampling.extra_body.get("chat_template_kwargs") or {}
        prompt = self._tokens(tuple((m["role"], m["content"]) for m in request.messages), json.dumps(template))
        last: RequestOutput | None = None
        try:
            async for output in engine.generate(
                # The form that vLLM's own renderer gives: any other is prepared once more, in another thread.
                {"type": "token", "prompt_token_ids": list(prompt)},
                self._parameters(request, n),
                f"mathsynth-{next(self._numbers)}",
                lora_request=self._lora,
            ):
                last = output
        except EngineDeadError:
            raise BackendError("the vLLM engine died; its own log above says why", fatal=True) from None
        except EngineGenerateError as error:
            raise BackendError(f"vLLM failed on the request ({_line(error)})", retryable=True) from None
        except Exception as error:  # noqa: BLE001
            # A boundary: its refusals (prompt too long, unknown sampling setting) have no common class.
            raise BackendError(f"vLLM refused the request ({_line(error)})") from None
        if last is None or not last.outputs:
            raise BackendError("vLLM ended without a reply", retryable=True)
        replies = [self._reply(choice, 0 if number else len(prompt)) for number, choice in enumerate(last.outputs)]
        if isinstance(replies[0], BackendError) and n == 1:
            raise replies[0]
        return replies

    def _reply(self, choice: CompletionOutput, prompt_tokens: int) -> Reply | BackendError:
        usage = Usage(prompt_tokens=prompt_tokens, completion_tokens=len(choice.token_ids))
        if choice.finish_reason in (None, "abort", "error"):
            error = BackendError(f"vLLM broke the reply off ({choice.finish_reason})", retryable=True)
            error.tokens = usage.prompt_tokens, usage.completion_tokens
            return error
        return Reply(text=choice.text, finish_reason=str(choice.finish_reason), usage=usage, model=self._config.model)

    async def queue(self) -> int | None:
        """Not known."""
        return None

    async def probe(self) -> str:
        """What is loaded, after one tiny reply."""
        tiny = Request(
            self._config.model,
            ({"role": "user", "content": "What is 1 + 1?"},),
            self._config.model_copy(update={"max_tokens": 4}),
        )
        await self.complete(tiny)
        assert self._engine is not None
        limit = self._engine.model_config.max_model_len
        return f"{self._config.model} by vLLM in this process, context {limit:,}, n supported"

    async def aclose(self) -> None:
        """Stop the engine's processes and free the GPUs; one that is still starting is killed."""
        if self._guard is None:
            return
        while not self._loading.done():
            self._watch(self._guard)
            self._guard.kill()
            await asyncio.sleep(TICK_S)
        if self._loading.exception() is None:
            await asyncio.get_running_loop().run_in_executor(None, self._loading.result().shutdown)
        self._guard.close()

    async def _start(self) -> AsyncLLM:
        if self._starting is None:
            # What runs already is not the engine's.
            self._guarded = {child.pid for child in multiprocessing.active_children()}
            self._guard = Guard()
            threading.Thread(target=self._load, name="vllm-start", daemon=True).start()
            self._starting = asyncio.get_running_loop().create_task(self._started(self._guard))
        return await asyncio.shield(self._starting)

    async def _started(self, guard: Guard) -> AsyncLLM:
        loaded = asyncio.wrap_future(self._loading)
        while not loaded.done():
            self._watch(guard)
            await asyncio.wait({loaded}, timeout=TICK_S)
        self._watch(guard)
        self._engine = loaded.result()
        return self._engine

    def _watch(self, guard: Guard) -> None:
        """Have the processes guarded that vLLM has started since."""
        for child in multiprocessing.active_children():
            if child.pid is not None and child.pid not in self._guarded:
                self._guarded.add(child.pid)
                guard.watch(child.pid)

    def _load(self) -> None:
        """Start the engine (minutes for a large model), in a thread: the event loop must hear of signals meanwhile."""
        try:
            self._loading.set_result(self._build())
        except BaseException as error:  # noqa: BLE001
            # A boundary: whatever it is, the requests that wait must hear of it.
            self._loading.set_exception(error)

    def _build(self) -> AsyncLLM:
        from vllm.engine.arg_utils import AsyncEngineArgs
        from vllm.lora.request import LoRARequest
        from vllm.usage.usage_lib import UsageContext
        from vllm.v1.engine.async_llm import AsyncLLM

        if self._config.lora:
            self._lora = LoRARequest("adapter", 1, self._config.lora)
        try:
            # As the offline LLM class: in any other context vLLM batches 128 requests at most, on any GPU.
            return AsyncLLM.from_engine_args(AsyncEngineArgs(**self._settings), usage_context=UsageContext.LLM_CLASS)
        except MathsynthError:
            raise
        except (TypeError, ValueError, OSError, RuntimeError) as error:
            raise UsageError(f"vLLM does not start with {self._settings['model']}: {_line(error)}") from None

    def _encode(self, messages: tuple[tuple[str, str], ...], template: str) -> tuple[int, ...]:
        """The conversation as tokens, through the model's own chat template; `template` is JSON with its options."""
        assert self._engine is not None
        tokenizer = self._engine.tokenizer
        if tokenizer is None:
            raise BackendError(f"{self._config.model} has no tokenizer", fatal=True)
        turns: list[Message] = [{"role": role, "content": text} for role, text in messages]  # type: ignore[typeddict-item]
        try:
            # As text first: what `tokenize=True` returns differs between versions of transformers.
            text = tokenizer.apply_chat_template(
                turns, tokenize=False, add_generation_prompt=True, **json.loads(template)
            )
        except Exception as error:  # noqa: BLE001
            # A boundary: a template is a program of the model's makers and raises what it likes.
            raise BackendError(f"{self._config.model}: its chat template fails ({_line(error)})", fatal=True) from None
        return tuple(tokenizer.encode(text, add_special_tokens=False))

    def _parameters(self, request: Request, n: int) -> SamplingParams:
        from vllm.sampling_params import RequestOutputKind, SamplingParams

        sampling = request.sampling
        further = {name: value for name, value in sampling.extra_body.items() if name != "chat_template_kwargs"}
        return SamplingParams(
            n=n,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            max_tokens=sampling.max_tokens,
            stop=list(sampling.stop) or None,
            seed=request.seed if self._config.seeded else None,
            # Only the whole reply is wanted: no wake-up of this process for every token.
            output_kind=RequestOutputKind.FINAL_ONLY,
            **further,
        )


def _line(error: Exception) -> str:
    return " ".join(f"{error.__cause__ or error}".split())[:300] or type(error).__name__
