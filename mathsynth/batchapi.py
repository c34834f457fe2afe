"""The calls of the Batch API of OpenAI-compatible providers, and how to read what they answer.

Nothing is kept here: what is under way, and what of it is on disk, is known to `batches.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import orjson

from mathsynth.errors import BackendError, Stopped
from mathsynth.wire import Wire

ENDPOINT = "/v1/chat/completions"
ENDED = ("completed", "expired", "cancelled", "failed")
QUEUE_FULL = "token_limit_exceeded"
"""OpenAI's code for a batch that failed only because too many tokens wait in others."""
RETRY_FIRST_S, RETRY_MAX_S = 1.0, 60.0

Answer = TypeVar("Answer")


class BatchAPI:
    """One provider, asked for batches. Every call raises BackendError for what the provider refuses."""

    def __init__(self, wire: Wire, model: str, give_up_after_s: float, say: Callable[[str], None]) -> None:
        self.url, self._wire, self._model = wire.url, wire, model
        self._give_up_after_s, self._say = give_up_after_s, say

    async def patiently(self, call: Callable[[], Awaitable[Answer]]) -> Answer:
        """What a call returns once the provider answers it. Stopped if it does not for `give_up_after_s`."""
        pause, since = RETRY_FIRST_S, time.monotonic()
        while True:
            try:
                return await call()
            except BackendError as error:
                if not error.retryable:
                    raise
                silent = time.monotonic() - since
                said = f"{self._model}: no answer for {silent:.0f} s ({error})"
                if silent > self._give_up_after_s:
                    raise Stopped(said) from None
                self._say(said)
                await asyncio.sleep(max(pause, error.retry_after or 0.0))
                pause = min(RETRY_MAX_S, pause * 2)

    async def upload(self, name: str, content: bytes) -> str:
        """The id of a file of requests."""
        return id_of(await self._wire.upload(name, content, "batch"))

    async def create(self, file: str, token: str, window: str) -> str:
        """The id of a new batch, which carries the token."""
        body = {
            "input_file_id": file,
            "endpoint": ENDPOINT,
            "completion_window": window,
            "metadata": {"mathsynth": token},
        }
        return id_of(await self._wire.post("/batches", body))

    async def find(self, file: str, token: str) -> str | None:
        """The id of the batch of this file or token in the provider's list, unless it failed."""
        after, more = "", True
        while more:
            page = await self._wire.get(f"/batches?limit=100{after}")
            entries = [entry for entry in page.get("data") or [] if isinstance(entry, dict)]
            for entry in entries:
                # Not every provider keeps metadata, nor do gateways always keep the names of files.
                ours = (entry.get("metadata") or {}).get("mathsynth") == token or entry.get("input_file_id") == file
                if ours and status_of(entry) != "failed":
                    return id_of(entry)
            more = bool(page.get("has_more") and entries)
            after = f"&after={id_of(entries[-1])}" if more else ""
        return None

    async def look(self, batch: str) -> dict[str, Any]:
        """The provider's word on a batch."""
        return await self._wire.get(f"/batches/{batch}")

    def faults(self, failed: dict[str, Any]) -> tuple[str, bool]:
        """Why a batch failed, and whether only because the provider's queue is full."""
        faults = [fault for fault in (failed.get("errors") or {}).get("data") or [] if isinstance(fault, dict)]
        said = "; ".join(str(fault.get("message") or fault.get("code")) for fault in faults[:3])
        return self._wire.line(said) or "no reason given", any(fault.get("code") == QUEUE_FULL for fault in faults)

    async def lines(self, ended: dict[str, Any]) -> dict[str, bytes]:
        """What an ended batch brings, errors too, by `custom_id`."""
        found = {}
        for name in filter(None, (ended.get("error_file_id"), ended.get("output_file_id"))):
            for line in (await self._wire.download(f"/files/{name}/content")).split(b"\n"):
                with contextlib.suppress(ValueError, KeyError, TypeError):  # what can't be read was not answered
                    found[str(orjson.loads(line)["custom_id"])] = line
        return found

    def body(self, line: bytes | None) -> dict[str, Any]:
        """The answer in a line. BackendError if it holds none, retryable unless the request itself was refused."""
        if line is not None and (answer := answer_of(line)) is not None:
            return answer
        entry = orjson.loads(line or b"{}")
        response = entry.get("response") or {}
        if (status := response.get("status_code") or 0) >= 400:
            error = self._wire.refused(status, {}, orjson.dumps(response.get("body")).decode())
            error.limited = error.unreachable = False  # it is this request that failed, and that was hours ago
            raise error
        fault = entry.get("error") or "no reason given"
        said = fault.get("message") or fault.get("code") if isinstance(fault, dict) else fault
        said = self._wire.line(str(said))
        raise BackendError(f"the batch ended without an answer to this request ({said})", retryable=True)


def answer_of(line: bytes) -> dict[str, Any] | None:
    """The answer in a line, if it holds one."""
    response = orjson.loads(line).get("response") or {}
    body = response.get("body")
    return body if response.get("status_code") == 200 and isinstance(body, dict) else None


def request_line(key: str, body: dict[str, Any]) -> bytes:
    """One request in a file of them."""
    return orjson.dumps({"custom_id": key, "method": "POST", "url": ENDPOINT, "body": body}) + b"\n"


def status_of(batch: dict[str, Any]) -> str:
    """`validating`, `in_progress`, … or one of ENDED."""
    return str(batch.get("status")).lower()


def completed_of(batch: dict[str, Any]) -> int:
    """How many requests of a batch were answered so far."""
    return int((batch.get("request_counts") or {}).get("completed") or 0)


def id_of(data: dict[str, Any]) -> str:
    """The id of a file or batch."""
    if not isinstance(data.get("id"), str):
        raise BackendError("the server answered without an id", retryable=True)
    return str(data["id"])
