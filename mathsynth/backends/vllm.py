"""vLLM inside this process: continuous batching and prefix caching on the GPUs of this machine.

Needs the extra `mathsynth[vllm]`. The chat template is the model's own. Requests stream into one engine, which batches
them; there are no waves. A server started with `vllm serve` is spoken to by the `openai` backend instead.
"""

from __future__ import annotations

import asyncio
import itertools
import os
from typing import TYPE_CHECKING, Any

from pydantic import Field, field_validator

from mathsynth.backends.base import Backend, Message, ModelConfig, Reply, Request
from mathsynth.errors import BackendError, UsageError
from mathsynth.records import Usage

if TYPE_CHECKING:
    from vllm.lora.request import LoRARequest
    from vllm.outputs import RequestOutput
    from vllm.sampling_params import SamplingParams

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
    max_in_flight: int = Field(default=512, ge=1, exclude=True)
    """Requests under way at once; vLLM queues what does not fit (tuning)."""

    @field_validator("engine_args")
    @classmethod
    def _not_ours(cls, value: dict[str, Any]) -> dict[str, Any]:
        for name in sorted(set(value) & set(OURS)):
            raise ValueError(f"{name!r} is set by the model's own key {OURS[name]!r}")
        return value


def connect(config: ModelConfig) -> Backend:
    """Start the engine (minutes for a large model). UsageError if vLLM is missing or refuses the settings."""
    assert isinstance(config, Config)
    # vLLM reports its use to its makers unless told not to; mathsynth has no telemetry.
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    try:
        import vllm  # noqa: F401
    except ImportError as error:
        raise UsageError(f"the vllm backend needs vLLM ({error}); run: pip install 'mathsynth[vllm]'") from None
    return VllmEngine(config)


class VllmEngine:
    """One engine, fed by all requests of this process."""

    def __init__(self, config: Config) -> None:
        from vllm.engine.arg_utils import AsyncEngineArgs
        from vllm.lora.request import LoRARequest
        from vllm.v1.engine.async_llm import AsyncLLM

        self._config = config
        chosen = {
            "model": config.weights or config.model,
            "tensor_parallel_size": config.tensor_parallel_size,
            "data_parallel_size": config.data_parallel_size,
            "dtype": config.dtype,
            "enforce_eager": config.enforce_eager,
            "enable_prefix_caching": True,
            "disable_log_stats": True,
            "enable_lora": config.lora is not None,
            **{
                name: value
                for name in ("quantization", "max_model_len", "gpu_memory_utilization")
                if (value := getattr(config, name)) is not None
            },
        }
        try:
            self._engine = AsyncLLM.from_engine_args(AsyncEngineArgs(**chosen | config.engine_args))
        except (TypeError, ValueError, OSError, RuntimeError) as error:
            raise UsageError(f"vLLM does not start with {chosen['model']}: {_line(error)}") from None
        self._lora: LoRARequest | None = LoRARequest("adapter", 1, config.lora) if config.lora else None
        self._numbers = itertools.count()

    async def complete(self, request: Request) -> Reply:
        """One reply. Cancelling takes the request out of the engine."""
        from vllm.v1.engine.exceptions import EngineDeadError, EngineGenerateError

        prompt = self._prompt(request.messages, request.sampling.extra_body.get("chat_template_kwargs") or {})
        last: RequestOutput | None = None
        try:
            parameters = self._parameters(request)
            async for output in self._engine.generate(
                {"prompt_token_ids": prompt}, parameters, f"mathsynth-{next(self._numbers)}", lora_request=self._lora
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
        best = last.outputs[0]
        if best.finish_reason in (None, "abort", "error"):
            raise BackendError(f"vLLM broke the reply off ({best.finish_reason})", retryable=True)
        return Reply(
            text=best.text,
            finish_reason=str(best.finish_reason),
            usage=Usage(prompt_tokens=len(prompt), completion_tokens=len(best.token_ids)),
            model=self._config.model,
        )

    async def probe(self) -> str:
        """What is loaded, after one tiny reply."""
        tiny = Request(
            self._config.model,
            ({"role": "user", "content": "What is 1 + 1?"},),
            self._config.model_copy(update={"max_tokens": 4}),
        )
        await self.complete(tiny)
        limit = self._engine.model_config.max_model_len
        return f"{self._config.model} by vLLM in this process, context {limit:,}, n supported"

    async def aclose(self) -> None:
        """Stop the engine's processes and free the GPUs."""
        await asyncio.get_running_loop().run_in_executor(None, self._engine.shutdown)

    def _prompt(self, messages: tuple[Message, ...], options: dict[str, Any]) -> list[int]:
        """The conversation as tokens, through the model's own chat template."""
        tokenizer = self._engine.tokenizer
        if tokenizer is None:
            raise BackendError(f"{self._config.model} has no tokenizer", fatal=True)
        try:
            # As text first: what `tokenize=True` returns differs between versions of transformers.
            text = tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=True, **options)
        except Exception as error:  # noqa: BLE001
            # A boundary: a template is a program of the model's makers and raises what it likes.
            raise BackendError(f"{self._config.model}: its chat template fails ({_line(error)})", fatal=True) from None
        return list(tokenizer.encode(text, add_special_tokens=False))

    def _parameters(self, request: Request) -> SamplingParams:
        from vllm.sampling_params import RequestOutputKind, SamplingParams

        sampling = request.sampling
        further = {name: value for name, value in sampling.extra_body.items() if name != "chat_template_kwargs"}
        return SamplingParams(
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            max_tokens=sampling.max_tokens,
            stop=list(sampling.stop) or None,
            seed=request.seed,
            # Only the whole reply is wanted: no wake-up of this process for every token.
            output_kind=RequestOutputKind.FINAL_ONLY,
            **further,
        )


def _line(error: Exception) -> str:
    return " ".join(f"{error.__cause__ or error}".split())[:300] or type(error).__name__
