"""Any OpenAI-compatible server: OpenAI itself, `vllm serve`, SGLang, llama.cpp, Ollama, a gateway.

One request is sent to one server, once. Several `base_url`s are served by what is in flight there; one that does not
answer rests and is then tried with a single request. Retries, time-outs and back-off live in `calls.py`.
"""

from __future__ import annotations

import itertools
import logging
import os
import re
import ssl
import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import orjson
from pydantic import Field, field_validator

from mathsynth.backends.base import Backend, ModelConfig, Reply, Request, chat_body
from mathsynth.errors import BackendError, UsageError
from mathsynth.limits import InFlight
from mathsynth.records import Usage

if TYPE_CHECKING:
    import httpx2
    import openai

OPENAI_URL = "https://api.openai.com/v1"
CONNECT_S = 10.0
QUEUE = re.compile(r"^vllm:num_requests_waiting(?:\{.*\})? ([0-9.]+)", re.MULTILINE)
"""A gauge of vLLM's, one line for each of its engines."""
REST_FIRST_S, REST_MAX_S = 1.0, 30.0


class Config(ModelConfig):
    """A model behind one or more OpenAI-compatible servers."""

    base_url: str | tuple[str, ...] = Field(default=OPENAI_URL, exclude=True)
    """Address up to and with `/v1`; a list is balanced (tuning)."""
    api_key_env: str = Field(default="OPENAI_API_KEY", exclude=True)
    """Environment variable that holds the key. Local servers need none (tuning)."""
    max_in_flight: InFlight = Field(default=InFlight(4, 32, 512), exclude=True)
    """Requests under way at once: a number, or `min-start-max` to find out how many are best (tuning)."""
    max_reply_chars: int = Field(default=1_000_000, ge=1, exclude=True)
    """A longer reply fails its row (tuning)."""
    seeded: bool = Field(default=True, exclude_if=bool)
    """Send each sample's own seed, so that a server that was started anew, whose own seed may be fixed, never draws a
    sample again. `false` for `vllm serve`, once it is started with a new `--seed` each time: sent seeds make vLLM sample
    the requests of a batch one by one, without its fast kernels, and on CPUs it dies of them."""

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


def connect(config: ModelConfig) -> Backend:
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
    return OpenAIServers(config, [url.rstrip("/") for url in urls], key)


class _Server:
    """One address and how it does: what is in flight there, and whether it rests after failing."""

    def __init__(self, url: str, client: openai.AsyncOpenAI) -> None:
        self.url, self.client = url, client
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
        import httpx2
        import openai

        # It logs a line for every request at INFO.
        logging.getLogger("httpx2").setLevel(logging.WARNING)
        self._config, self._key, self._response = config, key, httpx2.Response
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=30)
        timeout = httpx2.Timeout(config.timeout_s, connect=min(CONNECT_S, config.timeout_s), pool=None)
        # The aiohttp transport costs 0.6 of the CPU (peers.md 4.3); it is there when aiohttp is installed.
        kind = openai.DefaultAioHttpClient if _has_aiohttp() else openai.DefaultAsyncHttpxClient
        self._http: httpx2.AsyncClient = kind(limits=limits, timeout=timeout)
        self._servers = [
            _Server(url, openai.AsyncOpenAI(api_key=key, base_url=url, max_retries=0, http_client=self._http))
            for url in urls
        ]

    async def complete(self, request: Request, n: int = 1) -> list[Reply | BackendError]:
        """Ask the server with the least in flight, once."""
        server = self._choose()
        choices, data = await self._ask(server, chat_body(request, n, self._config.seeded))
        replies = [
            _whole_reply(choice, data, usage, self._config.max_reply_chars)
            for choice, usage in zip(choices[:n], _shares(choices[:n], _usage(data)), strict=True)
        ]
        if len(replies) == 1 and isinstance(replies[0], BackendError):
            raise replies[0]
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
            data = await self._json(server, "POST", "/chat/completions", body)
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

    async def _json(self, server: _Server, method: str, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        import openai

        failure: BackendError
        try:
            if method == "GET":
                response = await server.client.get(path, cast_to=self._response)
            else:
                response = await server.client.post(path, body=body, cast_to=self._response)
        except openai.APIStatusError as error:
            failure = self._refused(server, error.status_code, error.response.headers, error.response.text)
        except openai.APIConnectionError as error:
            failure = self._unreached(server, error)
        except openai.OpenAIError as error:
            failure = BackendError(self._line(f"{server.url}: {error}"), retryable=True)
        else:
            return self._object(server, response)
        # Outside the handlers, so that the SDK's error, which may quote the key, is not kept as its context.
        raise failure

    def _object(self, server: _Server, response: httpx2.Response) -> dict[str, Any]:
        """The JSON object of a 200 answer; a retryable BackendError if there is none."""
        try:
            data = orjson.loads(response.content)
        except orjson.JSONDecodeError:
            raise BackendError(f"{server.url} answered with broken JSON", retryable=True) from None
        if not isinstance(data, dict):
            raise BackendError(f"{server.url} answered with JSON that is no object", retryable=True)
        if data.get("error") and not data.get("choices"):
            # Some gateways answer 200 and put the error inside.
            code = data["error"].get("code") if isinstance(data["error"], dict) else None
            status = code if isinstance(code, int) and 400 <= code < 600 else 500
            raise self._refused(server, status, response.headers, response.text)
        return data

    def _refused(self, server: _Server, status: int, headers: httpx2.Headers, text: str) -> BackendError:
        """The error of a server that answered with an error status."""
        code, message = _error_of(text)
        said = self._line(f"HTTP {status}: {message}" if message else f"HTTP {status}")
        if status in (401, 403):
            return BackendError(f"{server.url} refuses the key in ${self._config.api_key_env} ({said})", fatal=True)
        if status in (404, 405) or code == "model_not_found":
            return BackendError(
                f"{server.url} has no model {self._config.model!r}, or no such path ({said})", fatal=True
            )
        if status == 402 or code == "insufficient_quota":
            return BackendError(f"{server.url} wants to be paid first ({said})", fatal=True)
        if status in (408, 409, 425, 429) or (status >= 500 and status != 501):
            return BackendError(
                f"{server.url} answered {said}",
                retryable=True,
                unreachable=status in (502, 503, 504),
                limited=status == 429,
                retry_after=_retry_after(headers),
            )
        return BackendError(f"{server.url} refused the request ({said})")

    def _unreached(self, server: _Server, error: Exception) -> BackendError:
        """The error of a server that did not answer: the deepest cause says most."""
        cause: BaseException = error
        while (deeper := cause.__cause__ or cause.__context__) is not None:
            cause = deeper
        reason = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
        said = self._line(f"can't reach {server.url}: {reason}")
        if isinstance(cause, ssl.SSLCertVerificationError):
            return BackendError(said, fatal=True)
        return BackendError(said, retryable=True, unreachable=True)

    def _line(self, text: str) -> str:
        """One short line, without the key even if the server repeats it."""
        if self._key != "none":
            text = text.replace(self._key, "[key]")
        text = " ".join(text.split())
        return text if len(text) <= 300 else text[:299] + "…"

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
            data = await self._json(server, "GET", "/models", None)
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


def _has_aiohttp() -> bool:
    try:
        import aiohttp  # noqa: F401
    except ImportError:
        return False
    return True


def _whole_reply(choice: Any, data: dict[str, Any], usage: Usage, max_chars: int) -> Reply | BackendError:
    """One choice as a Reply, or the error, with the tokens that it cost, if there is no text or too much."""
    try:
        reply = _reply(choice, data, usage)
        if len(reply.text) > max_chars:
            raise BackendError(f"reply of {len(reply.text):,} characters exceeds max_reply_chars={max_chars:,}")
    except BackendError as error:
        error.tokens = usage.prompt_tokens, usage.completion_tokens
        return error
    return reply


def _shares(choices: list[Any], usage: Usage) -> list[Usage]:
    """What each choice used of a request's tokens: the first all of the prompt, each by its length of the rest.

    Servers tell the sum alone, and the shares add up to it.
    """
    # Of a choice as it came, whatever it is: with thinking, and not empty.
    ends = list(itertools.accumulate(len(orjson.dumps(choice)) for choice in choices))
    upto = [usage.completion_tokens * end // ends[-1] for end in ends]
    return [
        Usage(prompt_tokens=usage.prompt_tokens if not number else 0, completion_tokens=end - begin)
        for number, (begin, end) in enumerate(itertools.pairwise([0, *upto]))
    ]


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


def _error_of(text: str) -> tuple[str, str]:
    """(code, message) of an error body, whatever its shape."""
    try:
        data = orjson.loads(text)
    except orjson.JSONDecodeError:
        return "", re.sub(r"<[^>]*>", " ", text[:2000]).strip()
    error = data.get("error", data) if isinstance(data, dict) else data
    if not isinstance(error, dict):
        return "", str(error)
    return str(error.get("code") or ""), str(error.get("message") or error.get("detail") or "")


def _retry_after(headers: httpx2.Headers) -> float | None:
    """Seconds of a Retry-After header (RFC 9110 10.2.3: seconds or a date), or of OpenAI's retry-after-ms."""
    if re.fullmatch(r"\d+(\.\d+)?", milliseconds := headers.get("retry-after-ms", "")):
        return float(milliseconds) / 1000
    value = headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d+(\.\d+)?", value):
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError, IndexError):
        return None
