"""One HTTP call to an OpenAI-compatible server, sent once, and what its failure means: `BackendError`.

What is asked and answered is read in `backends/openai.py` and `batches.py`; retries live there and in `calls.py`.
"""

from __future__ import annotations

import logging
import re
import resource
import ssl
import time
from collections.abc import Awaitable, Mapping, Sequence
from contextlib import suppress
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import orjson

from mathsynth.errors import BackendError

if TYPE_CHECKING:
    import httpx2

CONNECT_S = 10.0
LOOPBACK = re.compile(r"https?://(localhost|127\.[0-9.]+|\[::1\])(:|/|$)")
FILES = 65_536
"""Open files that are enough for anyone's connections."""


def connection_pool(timeout_s: float, urls: Sequence[str]) -> httpx2.AsyncClient:
    """One for all addresses of a model; what is under way is bounded in `calls.py`."""
    import httpx2
    import openai

    # It logs a line for every request at INFO.
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    # A connection is an open file, of which many shells allow 1,024 to those who don't ask for more.
    files, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(files, min(most, FILES)), most))
    # No limit: the aiohttp transport would take None for 100.
    limits = httpx2.Limits(max_connections=1_000_000, max_keepalive_connections=None, keepalive_expiry=30)
    timeout = httpx2.Timeout(timeout_s, connect=min(CONNECT_S, timeout_s), pool=None)
    # The aiohttp transport costs 0.6 of the CPU (peers.md 4.3); it is there when aiohttp is installed.
    kind = openai.DefaultAioHttpClient if _has_aiohttp() else openai.DefaultAsyncHttpxClient
    # A proxy that the environment names can't reach servers of this machine.
    here = all(LOOPBACK.match(url) for url in urls)
    client: httpx2.AsyncClient = kind(limits=limits, timeout=timeout, trust_env=not here)
    return client


class Wire:
    """Calls to one address."""

    def __init__(self, url: str, http: httpx2.AsyncClient, key: str, key_env: str, model: str) -> None:
        """`key_env` and `model` are named in errors."""
        import httpx2
        import openai

        self.url, self._key, self._key_env, self._model = url, key, key_env, model
        self._client = openai.AsyncOpenAI(api_key=key, base_url=url, max_retries=0, http_client=http)
        self._response = httpx2.Response

    async def get(self, path: str) -> dict[str, Any]:
        """The JSON object at a path. BackendError for whatever else comes."""
        return self._object(await self._answer(self._client.get(path, cast_to=self._response)))

    async def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """The JSON object that answers a JSON body. BackendError for whatever else comes."""
        return self._object(await self._answer(self._client.post(path, body=body, cast_to=self._response)))

    async def upload(self, name: str, content: bytes, purpose: str) -> dict[str, Any]:
        """What the server says of a file that it was sent. BackendError if it did not take it."""
        sent = self._client.post(
            "/files",
            body={"purpose": purpose},
            files=[("file", (name, content, "application/jsonl"))],
            options={"headers": {"Content-Type": "multipart/form-data"}},
            cast_to=self._response,
        )
        return self._object(await self._answer(sent))

    async def download(self, path: str) -> bytes:
        """The bytes at a path. BackendError if there are none."""
        return (await self._answer(self._client.get(path, cast_to=self._response))).content

    async def _answer(self, call: Awaitable[httpx2.Response]) -> httpx2.Response:
        import openai

        failure: BackendError
        try:
            return await call
        except openai.APIStatusError as error:
            failure = self.refused(error.status_code, error.response.headers, error.response.text)
        except openai.APIConnectionError as error:
            failure = self._unreached(error)
        except openai.OpenAIError as error:
            failure = BackendError(self.line(f"{self.url}: {error}"), retryable=True)
        # Outside the handlers, so that the SDK's error, which may quote the key, is not kept as its context.
        raise failure

    def _object(self, response: httpx2.Response) -> dict[str, Any]:
        """The JSON object of a 200 answer; a retryable BackendError if there is none."""
        try:
            data = orjson.loads(response.content)
        except orjson.JSONDecodeError:
            raise BackendError(f"{self.url} answered with broken JSON", retryable=True) from None
        if not isinstance(data, dict):
            raise BackendError(f"{self.url} answered with JSON that is no object", retryable=True)
        if data.get("error") and not data.get("choices"):
            # Some gateways answer 200 and put the error inside.
            code = data["error"].get("code") if isinstance(data["error"], dict) else None
            status = code if isinstance(code, int) and 400 <= code < 600 else 500
            raise self.refused(status, response.headers, response.text)
        return data

    def refused(self, status: int, headers: Mapping[str, str], text: str) -> BackendError:
        """The error of a server that answered with an error status."""
        code, message = _error_of(text)
        said = self.line(f"HTTP {status}: {message}" if message else f"HTTP {status}")
        if status in (401, 403):
            return BackendError(f"{self.url} refuses the key in ${self._key_env} ({said})", fatal=True)
        if status in (404, 405) or code == "model_not_found":
            return BackendError(f"{self.url} has no model {self._model!r}, or no such path ({said})", fatal=True)
        if status == 402 or code == "insufficient_quota":
            return BackendError(f"{self.url} wants to be paid first ({said})", fatal=True)
        if status in (408, 409, 425, 429) or (status >= 500 and status != 501):
            return BackendError(
                f"{self.url} answered {said}",
                retryable=True,
                unreachable=status in (502, 503, 504),
                loading=status == 503,
                limited=status == 429,
                retry_after=_retry_after(headers),
            )
        return BackendError(f"{self.url} refused the request ({said})")

    def _unreached(self, error: Exception) -> BackendError:
        """The error of a server that did not answer: the deepest cause says most."""
        cause: BaseException = error
        while (deeper := cause.__cause__ or cause.__context__) is not None:
            cause = deeper
        reason = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
        said = self.line(f"can't reach {self.url}: {reason}")
        if isinstance(cause, ssl.SSLCertVerificationError):
            return BackendError(said, fatal=True)
        return BackendError(said, retryable=True, unreachable=True)

    def line(self, text: str) -> str:
        """One short line, without the key even if the server repeats it."""
        if self._key != "none":
            text = text.replace(self._key, "[key]")
        text = " ".join(text.split())
        return text if len(text) <= 300 else text[:299] + "…"


def _has_aiohttp() -> bool:
    try:
        import aiohttp  # noqa: F401
    except ImportError:
        return False
    return True


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


def _retry_after(headers: Mapping[str, str]) -> float | None:
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
