"""Any OpenAI-compatible server: OpenAI itself, `vllm serve`, SGLang, llama.cpp, Ollama, a gateway.

One request is sent to one server, once. Several `base_url`s are served by what is in flight there; one that does not
answer rests and is then tried with a single request. Retries, time-outs and back-off live in `calls.py`. With `batch`
the requests go to one server's Batch API instead (`batches.py`).
"""

from __future__ import annotations

import itertools
import os
import re
import time
from typing import Any

from pydantic import Field, field_validator, model_validator

from mathsynth.backends.base import Backend, Home, ModelConfig, Reply, Request, chat_body
from mathsynth.batches import Batch, Batches
from mathsynth.budget import Price
from mathsynth.errors import BackendError, UsageError
from mathsynth.limits import InFlight
from mathsynth.records import Usage
from mathsynth.servers import Serve
from mathsynth.wire import CONNECT_S, Wire, connection_pool

OPENAI_URL = "https://api.openai.com/v1"
QUEUE = re.compile(r"^vllm:num_requests_waiting(?:\{.*\})? ([0-9.]+)", re.MULTILINE)
"""A gauge of vLLM's, one line for each of its engines."""
REST_FIRST_S, REST_MAX_S = 1.0, 30.0
BATCHED = 50_000
"""Requests under way in batch mode."""


def _or_true(schema: dict[str, Any]) -> None:
    schema["anyOf"].append({"type": "boolean"})


class Config(ModelConfig):
    """A model behind one or more OpenAI-compatible servers."""

    base_url: str | tuple[str, ...] = Field(default=OPENAI_URL, exclude=True)
    """Address up to and with `/v1`; a list is balanced (tuning)."""
    serve: Serve | None = Field(default=None, exclude=True)
    """Servers that the run starts and stops itself, in place of `base_url`: `{command: "vllm serve {model} --port
    {port}", replicas: 2, gpus_each: 1}`; more in recipes/README.md (tuning)."""
    api_key_env: str = Field(default="OPENAI_API_KEY", exclude=True)
    """Environment variable that holds the key. Local servers need none (tuning)."""
    max_in_flight: InFlight = Field(default=InFlight(4, 32, 512), exclude=True)
    """Requests under way at once: a number, or `min-start-max` to find out how many are best (tuning)."""
    max_reply_chars: int = Field(default=1_000_000, ge=1, exclude=True)
    """A longer reply fails its row (tuning)."""
    seeded: bool = Field(default=True, exclude_if=bool)
    """Send each sample's seed, so that a server that starts anew, mostly with a fixed seed of its own, draws no sample
    twice. `false` is for `vllm serve --seed N` with another N at each start: of seeds vLLM samples the requests of a
    batch one by one, without its fast kernels, and dies on CPUs."""
    batch: Batch | None = Field(default=None, exclude=True, json_schema_extra=_or_true)
    """`true`, or `{max_requests, max_mb, linger_s, poll_s, window, price_factor}`: ask by the provider's Batch API, at
    `price_factor` (0.5) of the price. 50,000 requests may be under way unless `max_in_flight` is one number; limits a
    minute, `timeout_s` and `choices` bind no batch (tuning)."""

    @property
    def patient(self) -> bool:
        """Batches may take a day."""
        return self.batch is not None

    @property
    def paid(self) -> Price | None:
        """Batches are cheaper."""
        factor = self.batch.price_factor if self.batch else 1.0
        price = self.price
        return price and Price(prompt=price.prompt * factor, completion=price.completion * factor)

    @model_validator(mode="before")
    @classmethod
    def _live_limits_bind_no_batch(cls, data: Any) -> Any:
        if not isinstance(data, dict) or "batch" not in data:
            return data
        if data["batch"] in (None, False):
            return data | {"batch": None}
        needless = {"requests_per_minute", "tokens_per_minute"}
        if "-" in str(data.get("max_in_flight")):
            needless.add("max_in_flight")
        kept = {key: value for key, value in data.items() if key not in needless}
        return {"max_in_flight": BATCHED} | kept | {"batch": {} if data["batch"] is True else data["batch"]}

    @model_validator(mode="after")
    def _batches_are_of_one_server(self) -> Config:
        if self.batch and not isinstance(self.base_url, str) and len(self.base_url) > 1:
            raise ValueError("batch: needs a single base_url")
        return self

    @field_validator("base_url")
    @classmethod
    def _plain_address(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        for url in (value,) if isinstance(value, str) else value:
            if not re.match(r"https?://[^/]", url):
                raise ValueError("must begin with http:// or https://, for example http://localhost:8000/v1")
            if "@" in url.split("//", 1)[1].split("/", 1)[0]:
                raise ValueError("must not hold a name or password; keys come from the environment (api_key_env)")
        if not value:
            raise ValueError("at least one address")
        return value

    @field_validator("api_key_env")
    @classmethod
    def _names_a_variable(cls, value: str) -> str:
        # Someone may paste the key itself here; the message must not repeat it.
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", value):
            raise ValueError("the name of an environment variable, never the key itself")
        return value

    @model_validator(mode="after")
    def _one_way_to_servers(self) -> Config:
        if self.serve is not None and "base_url" in self.model_fields_set:
            raise ValueError("serve starts servers at addresses of its own: leave base_url out")
        if self.serve is not None and self.batch is not None:
            raise ValueError("serve starts servers that have no Batch API: leave batch out")
        return self

    def own_servers(self) -> Serve | None:
        """What `serve` says."""
        return self.serve


def connect(config: ModelConfig, home: Home | None = None) -> Backend:
    """A client for the servers of `config`; nothing is sent yet. UsageError without a key where one is needed."""
    assert isinstance(config, Config)
    urls = [config.base_url] if isinstance(config.base_url, str) else list(config.base_url)
    key = os.environ.get(config.api_key_env, "").strip()
    if not key:
        if any("://api.openai.com" in url for url in urls):
            raise UsageError(f"no API key: set ${config.api_key_env}, or base_url to a server that needs none")
        key = "none"
    if not key.isascii() or not key.isprintable():
        raise UsageError(f"${config.api_key_env} holds characters that no API key has")
    servers = OpenAIServers(config, [url.rstrip("/") for url in urls], key)
    if config.batch is None:
        return servers
    assert home is not None
    return OpenAIBatches(config, config.batch, servers, home)


class _Server:
    """One address and how it does: what is in flight there, and whether it rests after failing."""

    def __init__(self, wire: Wire) -> None:
        self.url, self.wire = wire.url, wire
        self.in_flight = self.served = self.failures = 0
        self.rests_until = 0.0

    def ready(self, now: float) -> bool:
        # After a failure one request at a time may find out whether it is back.
        return self.rests_until <= now and not (self.failures and self.in_flight)

    def note(self, *, reached: bool) -> None:
        self.failures = 0 if reached else self.failures + 1
        pause = min(REST_MAX_S, REST_FIRST_S * 2 ** min(self.failures - 1, 10)) if self.failures else 0.0
        self.rests_until = time.monotonic() + pause if pause else 0.0


class OpenAIServers:
    """The client. One connection pool serves all addresses; what is under way is bounded in `calls.py`."""

    def __init__(self, config: Config, urls: list[str], key: str) -> None:
        self._config, self._http = config, connection_pool(config.timeout_s, urls)
        self._servers = [_Server(Wire(url, self._http, key, config.api_key_env, config.model)) for url in urls]

    @property
    def wires(self) -> list[Wire]:
        """What leads to the servers."""
        return [server.wire for server in self._servers]

    async def complete(self, request: Request, n: int = 1) -> list[Reply | BackendError]:
        """Ask the server with the least in flight, once."""
        server = self._choose()
        choices, data = await self._ask(server, chat_body(request, n, self._config.seeded))
        choices = choices[:n]
        replies: list[Reply | BackendError] = []
        for choice, usage in zip(choices, _shares(choices, _usage(data)), strict=True):
            try:
                replies.append(_whole_reply(choice, data, usage, self._config.max_reply_chars))
            except BackendError as error:
                if len(choices) == 1:
                    raise
                replies.append(error)
        return replies

    async def queue(self) -> int | None:
        """Requests that wait inside the servers, by what those that are vLLM tell."""
        found = [waiting for server in self._servers if (waiting := await self._waiting(server)) is not None]
        return sum(found) if found else None

    async def probe(self) -> str:
        """What answers at each address: the model, its context length, whether `n` works."""
        return "; ".join([await self._probe(server) for server in self._servers])

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    def _choose(self) -> _Server:
        if len(self._servers) == 1:
            return self._servers[0]
        now = time.monotonic()
        ready = [server for server in self._servers if server.ready(now)]
        if not ready:
            return min(self._servers, key=lambda server: (server.rests_until, server.in_flight))
        return min(ready, key=lambda server: (server.in_flight, server.served))

    async def _ask(self, server: _Server, body: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """(choices, whole answer) of one request."""
        server.in_flight += 1
        server.served += 1
        try:
            data = await server.wire.post("/chat/completions", body)
        except BackendError as error:
            server.note(reached=not error.unreachable)
            raise
        finally:
            server.in_flight -= 1
        server.note(reached=True)
        choices = data.get("choices")
        if not isinstance(choices, list) or not choices:
            raise BackendError(f"{server.url} answered without a choice", retryable=True)
        return choices, data

    async def _waiting(self, server: _Server) -> int | None:
        import httpx2

        try:
            response = await self._http.get(server.url.removesuffix("/v1") + "/metrics", timeout=CONNECT_S)
        except httpx2.HTTPError:
            return None
        counts = QUEUE.findall(response.text) if response.status_code == 200 else []
        return sum(int(float(count)) for count in counts) if counts else None

    async def _probe(self, server: _Server) -> str:
        names, context = await self._models(server)
        if names and self._config.model not in names:
            offered = ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
            raise BackendError(f"{server.url} has no model {self._config.model!r}; it offers {offered}", fatal=True)
        body: dict[str, Any] = {
            "model": self._config.model,
            "messages": [{"role": "user", "content": "What is 1 + 1?"}],
            "max_tokens": 4,
        }
        try:
            choices, _ = await self._ask(server, body | {"n": 2})
            many = "n supported" if len(choices) == 2 else "n ignored"
        except BackendError as error:
            if error.retryable or error.fatal:
                raise
            await self._ask(server, body)
            many = "n refused"
        known = f"context {context:,}" if context else "context unknown"
        return f"{server.url}: {self._config.model}, {known}, {many}"

    async def _models(self, server: _Server) -> tuple[list[str], int | None]:
        """(model names, context length of ours if told). No names from a server without the list."""
        try:
            data = await server.wire.get("/models")
        except BackendError as error:
            if "HTTP 404" in str(error) or "HTTP 405" in str(error):
                return [], None
            raise
        entries = [entry for entry in data.get("data") or [] if isinstance(entry, dict)]
        for entry in entries:
            if entry.get("id") == self._config.model:
                meta = entry.get("meta") or {}
                # vLLM and SGLang; llama.cpp (per slot); gateways.
                for value in (entry.get("max_model_len"), meta.get("n_ctx"), entry.get("context_length")):
                    if isinstance(value, int):
                        return [str(entry["id"]) for entry in entries if "id" in entry], value
        return [str(entry["id"]) for entry in entries if "id" in entry], None


class OpenAIBatches:
    """The client in batch mode."""

    def __init__(self, config: Config, rules: Batch, servers: OpenAIServers, home: Home) -> None:
        self._config, self._servers = config, servers
        self._batches = Batches(
            rules, servers.wires[0], config.model, config.give_up_after_s, home.journal, home.say, self._read
        )

    async def complete(self, request: Request, n: int = 1) -> list[Reply]:
        """Wait for the batch that brings the reply, a single one whatever `n`."""
        return [await self._batches.ask(request.key(), chat_body(request, seeded=self._config.seeded))]

    async def queue(self) -> int | None:
        """Of no use here: there is no limit to be found."""
        return None

    async def probe(self) -> str:
        """What answers there, and whether it has batches."""
        answers = await self._servers.probe()
        await self._servers.wires[0].get("/batches?limit=1")
        return f"{answers}, batches supported"

    async def aclose(self) -> None:
        """Leave the batches to the server."""
        await self._batches.aclose()
        await self._servers.aclose()

    def _read(self, data: dict[str, Any]) -> Reply:
        choice = next(iter(data.get("choices") or []), None)
        return _whole_reply(choice, data, _usage(data), self._config.max_reply_chars)


def _whole_reply(choice: Any, data: dict[str, Any], usage: Usage, max_chars: int) -> Reply:
    """One choice of an answer. BackendError, with the tokens that it cost, if there is no text or too much."""
    try:
        reply = _reply(choice, data, usage)
        if len(reply.text) > max_chars:
            raise BackendError(f"reply of {len(reply.text):,} characters exceeds max_reply_chars={max_chars:,}")
    except BackendError as error:
        error.tokens = usage.prompt_tokens, usage.completion_tokens
        raise
    return reply


def _shares(choices: list[Any], usage: Usage) -> list[Usage]:
    """What each choice used of an answer's tokens, of which servers tell the sum: it is the sum of these.

    The first one has all of the prompt; the rest goes by the length of the texts.
    """
    ends = list(itertools.accumulate((1 + _length(choice) for choice in choices), initial=0))
    upto = [usage.completion_tokens * end // ends[-1] for end in ends]
    return [
        Usage(prompt_tokens=0 if number else usage.prompt_tokens, completion_tokens=end - begin)
        for number, (begin, end) in enumerate(itertools.pairwise(upto))
    ]


def _length(choice: Any) -> int:
    """Characters of text and thinking in a choice, whatever came as one."""
    message = choice.get("message") if isinstance(choice, dict) else None
    said = message.values() if isinstance(message, dict) else ()
    return sum(len(text) for text in said if isinstance(text, str))


def _reply(choice: Any, data: dict[str, Any], usage: Usage) -> Reply:
    """One choice as a Reply; a retryable BackendError if it holds no text."""
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(message, dict):
        raise BackendError("the server answered with a choice that holds no message", retryable=True)
    text, finish = message.get("content"), choice.get("finish_reason") or "unknown"
    reasoning = message.get("reasoning_content") or message.get("reasoning")
    if finish in ("abort", "error"):
        raise BackendError(f"the server broke the reply off (finish_reason {finish!r})", retryable=True)
    if text is None and finish == "content_filter":
        raise BackendError("the server's content filter refused to answer")
    if text is None and finish == "length" and reasoning:
        text = ""  # the budget went into thinking: a truncated reply, not a missing one
    if not isinstance(text, str):
        raise BackendError("the server answered with a message without text", retryable=True)
    return Reply(
        text=text,
        finish_reason=str(finish),
        usage=usage,
        model=str(data.get("model") or ""),
        reasoning=reasoning if isinstance(reasoning, str) else None,
    )


def _usage(data: dict[str, Any]) -> Usage:
    usage = data.get("usage") or {}
    return Usage(prompt_tokens=usage.get("prompt_tokens") or 0, completion_tokens=usage.get("completion_tokens") or 0)
