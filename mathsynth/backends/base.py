"""What a model call is: `Request` in, `Reply` out, and the seam `Backend` between them.

What names a reply in the journals (the request hash, `REQUEST_VERSION` 1):

    in                                              out
    model name                                      backend, base_url, serve, API key
    every message, role and text (also few_shot,    max_in_flight, timeout_s, retries, give_up_after_s
    system, answer_format, for they are in these)   requests_per_minute, tokens_per_minute, price
    temperature, top_p, max_tokens, stop            thinking (how a reply is read)
    extra_body, byte for byte                       choices (samples a request), slots, threads, context
    seed and sample number                          seeded (whether the seed is sent to the server)
                                                    which run, stage, shard and problem asks

So the same question to the same model is never asked twice, and nothing that changes what is sent is forgotten.
`base_url` is out because moving a model to another machine does not change it: name other weights by another `model`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Protocol, TypedDict

import msgspec
import orjson
import xxhash
from pydantic import BaseModel, ConfigDict, Field

from mathsynth.budget import Price
from mathsynth.errors import BackendError
from mathsynth.journal import Journal
from mathsynth.limits import InFlight, always
from mathsynth.records import Usage
from mathsynth.servers import Serve
from mathsynth.verifier.thinking import join, split

REQUEST_VERSION = 1
Thinking = Literal["keep", "cut", "field"]


class Message(TypedDict):
    """One turn of a chat."""

    role: Literal["system", "user", "assistant"]
    content: str


class Shot(BaseModel):
    """A worked example: what was asked and what was answered."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    question: str = Field(min_length=1)
    response: str = Field(min_length=1)


class Sampling(BaseModel):
    """How tokens are drawn. All of it is sent, all of it is in the request hash."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    temperature: float = Field(default=0.7, ge=0)
    """0 is greedy: then further samples of one problem are all alike."""
    top_p: float = Field(default=0.95, gt=0, le=1)
    """Nucleus mass."""
    max_tokens: int = Field(default=1024, ge=1)
    """Tokens of one reply; a longer one is cut and counts as truncated."""
    stop: tuple[str, ...] = ()
    """Texts that end a reply; they are not part of it."""
    extra_body: dict[str, Any] = Field(default_factory=dict)
    """Further fields of the request, sent as they are (for example `top_k`, `chat_template_kwargs`). `null` removes a
    field: `{max_tokens: null, max_completion_tokens: 4096}` for models that want it so."""


def _unset(value: object) -> bool:
    return not value


class ModelConfig(Sampling):
    """One entry of a recipe's `models:`. Fields marked as tuning never change what is sent, so they are in no hash."""

    backend: str = Field(exclude=True)
    """Which file of `mathsynth/backends` speaks to it (tuning)."""
    model: str
    """The model's name as the server knows it."""
    system: str | None = None
    """A system message put before every conversation that has none."""
    few_shot: str | tuple[Shot, ...] = Field(default=(), exclude_if=_unset)
    """Worked examples, asked and answered before each question in the words of its prompt: a JSONL or YAML file of
    `question` and `response`, or these pairs themselves."""
    temperatures: tuple[Annotated[float, Field(ge=0)], ...] = Field(default=(), exclude_if=_unset)
    """Temperatures by sample number, the last one for all further samples; instead of `temperature`."""
    answer_format: str = Field(default="boxed", min_length=1, exclude_if=lambda value: value == "boxed")
    """What a solving prompt says at `{{ answer_format }}`: `boxed`, `hash` (####), `sentence` (The answer is), or words
    of yours to go on after "Solve it step by step and". The verifier must accept what is asked for."""
    thinking: Thinking = Field(default="keep", exclude_if=lambda value: value == "keep")
    """Thinking before the response, in tags or in a field of the server's: `keep` it in the response (the field's in
    `<think>`), `cut` it, or move it to the `field` `reasoning` of the row. It is stored, so a change asks nothing."""
    max_in_flight: InFlight = Field(default=always(64), exclude=True)
    """Samples under way at once: a number, or `min-start-max` (`4-32-512`) to find out how many are best (tuning)."""
    choices: int = Field(default=1, ge=1, exclude=True)
    """Samples of one prompt asked in one request, at most, where the server can: it reads the prompt once and CPU is
    saved. What all of them used of the prompt is told by the first (tuning)."""
    replicas: int | None = Field(default=None, ge=1, exclude=True)
    """With `--executor ray`: copies of the engine on the cluster; else nothing comes of it (tuning)."""
    requests_per_minute: float | None = Field(default=None, gt=0, exclude=True)
    """At most so many, evenly spaced; each try counts (tuning)."""
    tokens_per_minute: float | None = Field(default=None, gt=0, exclude=True)
    """At most so many of prompts and completions, by estimate until the reply tells (tuning)."""
    timeout_s: float = Field(default=600, gt=0, exclude=True)
    """Seconds until one request counts as lost (tuning)."""
    retries: int = Field(default=6, ge=0, exclude=True)
    """Further tries of a request that met a retryable error (tuning)."""
    give_up_after_s: float = Field(default=900, gt=0, exclude=True)
    """Seconds without any answer after which the run stops with exit 3. Left out, it is 60 where nothing was there yet
    since the run began, for then the address may be wrong (tuning)."""
    price: Price | None = Field(default=None, exclude=True)
    """US dollars per million tokens, `{prompt: 0.15, completion: 0.6}`, for `budget.usd` (tuning)."""

    def own_servers(self) -> Serve | None:
        """How to start its servers, if they are ours."""
        return None

    @property
    def in_process(self) -> bool:
        """Whether the engine lives in the process that asks, and its memory with it."""
        return False

    @property
    def gpus(self) -> int:
        """Those that one engine of this process needs."""
        return 0

    @property
    def patient(self) -> bool:
        """Whether replies may take hours, and come even if nobody waits for them, as batches do."""
        return False

    @property
    def paid(self) -> Price | None:
        """The price as it is asked here."""
        return self.price

    @property
    def shots(self) -> tuple[Shot, ...]:
        """The worked examples, once the recipe has read their file."""
        return () if isinstance(self.few_shot, str) else self.few_shot

    def draw(self, sample: int, override: Mapping[str, Any]) -> Sampling:
        """The sampling of sample number `sample`; what a step overrides holds, over `temperatures` too."""
        drawn = {name: getattr(self, name) for name in Sampling.model_fields}
        if self.temperatures:
            drawn["temperature"] = self.temperatures[min(sample, len(self.temperatures) - 1)]
        return Sampling(**drawn | dict(override))


class Request(msgspec.Struct, frozen=True):
    """One model call for one sample."""

    model: str
    messages: tuple[Message, ...]
    sampling: Sampling
    sample: int = 0
    """Sample number: the same messages asked again for the k-th time."""
    seed: int = 0

    def after(self) -> Request:
        """The same asked for the next sample."""
        return msgspec.structs.replace(self, sample=self.sample + 1, seed=self.seed + 1)

    def key(self) -> str:
        """32 hex digits: the request hash of the table above."""
        sent = [
            REQUEST_VERSION,
            self.model,
            [[m["role"], m["content"]] for m in self.messages],
            self.sampling.model_dump(),
            self.sample,
            self.seed,
        ]
        return xxhash.xxh3_128_hexdigest(orjson.dumps(sent, option=orjson.OPT_SORT_KEYS))


class Reply(BaseModel):
    """One finished answer of a model. `finish_reason` is the server's word (`stop`, `length`, …)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str
    finish_reason: str
    usage: Usage = Usage()
    model: str = ""
    """The model's own name for itself, if the server tells."""
    reasoning: str | None = None
    """Thinking that the server delivers apart from the text."""

    @property
    def tokens(self) -> tuple[int, int]:
        """Of the prompt and of the completion."""
        return self.usage.prompt_tokens, self.usage.completion_tokens

    def read(self, thinking: Thinking) -> tuple[str, str | None]:
        """(the response, the thinking to store beside it); what `thinking` says is told at `ModelConfig.thinking`."""
        if thinking == "keep":
            return join(self.reasoning, self.text), None
        said = split(self.text)
        thoughts = [thought.strip() for thought in (self.reasoning, said.thought) if thought]
        beside = "\n\n".join(thoughts) or None
        return said.rest if said.thought is None else said.rest.lstrip(), beside if thinking == "field" else None


@dataclass(frozen=True)
class Home:
    """What a backend may use of the step that asks, if its work outlives the process."""

    journal: Journal
    """What is in it was received; beside it there is room for the backend's own files."""
    say: Callable[[str], None]
    """Shows what is waited for, until the next reply."""


class Backend(Protocol):
    """A connection to one model. `complete` raises `BackendError` and nothing else for what the far side does."""

    async def complete(self, request: Request, n: int = 1) -> Sequence[Reply | BackendError]:
        """Ask once, without retries: those live in `calls.py`.

        The replies to this request and those after it (`Request.after`), up to `n`, at least one: a backend may be
        able to give no more. With several, each may have an error of its own; a single one is raised.
        """

    async def queue(self) -> int | None:
        """Requests that wait inside the server because it is full; None where that is not known."""

    async def probe(self) -> str:
        """One line on what answers there (name, context length, `n`), for `doctor`; BackendError if nothing does."""

    async def aclose(self) -> None:
        """Release connections, processes and memory."""


def chat_body(request: Request, n: int = 1, seeded: bool = True) -> dict[str, Any]:
    """The JSON body of an OpenAI-compatible `/chat/completions` call; what `extra_body` sets to null is left out."""
    sampling = request.sampling
    body: dict[str, Any] = {
        "model": request.model,
        "messages": list(request.messages),
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "max_tokens": sampling.max_tokens,
        "seed": request.seed if seeded else None,
        "n": n if n > 1 else None,
    }
    if sampling.stop:
        body["stop"] = list(sampling.stop)
    return {name: value for name, value in (body | sampling.extra_body).items() if value is not None}


def texts(messages: Sequence[Message]) -> str:
    """The conversation as one readable text, for previews."""
    return "\n\n".join(f"[{m['role']}]\n{m['content']}" for m in messages)
