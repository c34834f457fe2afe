"""An OpenAI-compatible server for tests that never lies twice: every reply is a pure function of its request.

    python tests/fault_server.py --port 0 --faults all --fault-share 0.05 --log served.jsonl
    with fault_server(faults=["429"]) as server: ... server.url ...

It solves `a + b` in the last user message (or a problem from `--seeds`) rightly in a stated share of (message, seed)
and writes `\\boxed{}`; asked for a `Problem:` it rewrites one. Every request that came and every one that was answered
is a line of `--log`, appended with O_APPEND, so that a test can count what was asked again after the client was
killed. Keys are logged as ok or bad only.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from batch_server import BatchHalf
from mock_replies import arithmetic, chance

FAULTS = ("429", "500", "503", "drop", "cut", "drip", "json", "empty", "null", "length", "huge")
"""`drop`: closed before any answer; `cut`: closed in the middle of one. `length` and `huge` are final answers."""
FINAL = ("length", "huge")
MODEL = "mock-model"


@dataclass(frozen=True)
class Settings:
    """What the server does; shares are in [0, 1], times in seconds."""

    faults: tuple[str, ...] = ()
    fault_share: float = 1.0
    """Share of the requests, chosen by their hash, that meet a fault; which one is chosen by hash too."""
    fault_tries: int = 1
    """A request meets its fault this many times and is then answered; -1: always."""
    fault_every: int = 0
    """Instead of the share: every N-th request that comes."""
    right: float = 0.7
    latency: float = 0.0
    jitter: float = 0.0
    """Further seconds at most, by the hash of the request."""
    retry_after: str = "0.05"
    drip: float = 0.5
    """Seconds that a dripping answer takes."""
    huge: int = 1_200_000
    key: str | None = None
    """Requests with another key get 401."""
    n_supported: bool = True
    n_refused: bool = False
    """400 for several choices."""
    log: Path | None = None
    seeds: Path | None = None
    """A .jsonl file of problems with `question` and `answer`, or a folder of them, that it can solve."""
    down_after: int = 0
    """After this many requests nobody listens for `down` seconds, once."""
    down: float = 1.0
    most: int = 0
    """429 for whatever comes while so many are under way."""
    slots: int = 0
    """Only so many are answered at once, as vLLM does: the others wait, and `/metrics` tells how many."""
    reply: Callable[[dict[str, Any]], str] | None = None
    """Another way to answer a request body."""


def body_key(body: dict[str, Any]) -> str:
    """32 hex digits that name a request by its content."""
    return hashlib.blake2b(json.dumps(body, sort_keys=True).encode(), digest_size=16).hexdigest()


@dataclass
class Served:
    """A running server, seen from a test."""

    settings: Settings
    port: int = 0
    asked: Counter[str] = field(default_factory=Counter)
    finished: Counter[str] = field(default_factory=Counter)
    met: Counter[str] = field(default_factory=Counter)
    """Faults that were served, by name."""
    bodies: dict[str, dict[str, Any]] = field(default_factory=dict)
    in_flight: int = 0
    most_in_flight: int = 0
    waiting: int = 0
    tokens: int = 0
    """Of all answers that held any, by the server's own count."""
    came: list[tuple[float, int]] = field(default_factory=list)
    """When each request came, and how many were under way with it."""
    known: dict[str, str] = field(default_factory=dict)
    batches: BatchHalf = field(init=False)

    @property
    def url(self) -> str:
        """What goes into `base_url`."""
        return f"http://127.0.0.1:{self.port}/v1"


def fault_of(settings: Settings, key: str, before: int, number: int) -> str | None:
    """The fault that this request meets now, if any. `before`: how often it came already."""
    if not settings.faults:
        return None
    if settings.fault_every:
        return (
            settings.faults[(number // settings.fault_every - 1) % len(settings.faults)]
            if (number % settings.fault_every == 0)
            else None
        )
    if chance("fault", key) >= settings.fault_share:
        return None
    fault = settings.faults[int(chance("which", key) * len(settings.faults))]
    return fault if fault in FINAL or settings.fault_tries < 0 or before < settings.fault_tries else None


class _Handler:
    def __init__(self, served: Served, stop_listening: Callable[[], None]) -> None:
        self.served, self.settings, self.stop_listening = served, served.settings, stop_listening
        self._slots = asyncio.Semaphore(self.settings.slots or 1_000_000)
        self._log = os.open(self.settings.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT) if self.settings.log else None

    def note(self, event: str, key: str, **more: object) -> None:
        if self._log is not None:
            os.write(self._log, json.dumps({"event": event, "key": key, "at": time.time(), **more}).encode() + b"\n")

    def auth(self, request: web.Request) -> str:
        given = request.headers.get("Authorization", "")
        return "ok" if self.settings.key is None or given == f"Bearer {self.settings.key}" else "bad"

    async def models(self, request: web.Request) -> web.Response:
        if self.auth(request) == "bad":
            return _error(401, "invalid_api_key", f"Incorrect key: {request.headers.get('Authorization')}")
        entry = {"id": MODEL, "object": "model", "owned_by": "tests", "max_model_len": 4096}
        return web.json_response({"object": "list", "data": [entry]})

    async def metrics(self, request: web.Request) -> web.Response:
        if not self.settings.slots:
            return _error(404, "not_found", "There is no such path.")
        gauge = f'vllm:num_requests_waiting{{engine="0",model_name="{MODEL}"}} {self.served.waiting:.1f}'
        return web.Response(text=f"# TYPE vllm:num_requests_waiting gauge\n{gauge}\n")

    async def chat(self, request: web.Request) -> web.StreamResponse:
        served, settings = self.served, self.settings
        body = await request.json()
        key, auth = body_key(body), self.auth(request)
        before = served.asked[key]
        served.asked[key] += 1
        number = served.asked.total()
        served.bodies[key] = body
        self.note("asked", key, auth=auth)
        if auth == "bad":
            return _error(401, "invalid_api_key", f"Incorrect key: {request.headers.get('Authorization')}")
        if body.get("model") != MODEL:
            return _error(404, "model_not_found", f"The model `{body.get('model')}` does not exist.")
        if settings.n_refused and body.get("n", 1) > 1:
            return _error(400, "bad_request", "Only one completion choice is allowed.")
        if settings.down_after and number == settings.down_after:
            self.stop_listening()
            served.met["down"] += 1
            return _abort(request)
        served.in_flight += 1
        served.most_in_flight = max(served.most_in_flight, served.in_flight)
        served.came.append((time.monotonic(), served.in_flight))
        try:
            if settings.most and served.in_flight > settings.most:
                served.met["429"] += 1
                headers = {"Retry-After": settings.retry_after} if settings.retry_after else None
                return _error(429, "rate_limit", "Too many at once.", headers)
            served.waiting += 1
            async with self._slots:
                served.waiting -= 1
                if pause := settings.latency + settings.jitter * chance("latency", key):
                    await asyncio.sleep(pause)
            fault = fault_of(settings, key, before, number)
            if fault is None:
                return await self.answer(request, body, key)
            served.met[fault] += 1
            return await self.fail(request, body, key, fault)
        finally:
            served.in_flight -= 1

    def completion(self, body: dict[str, Any], fault: str | None = None) -> dict[str, Any]:
        seed, choices = int(body.get("seed") or 0), []
        wanted = int(body.get("n") or 1) if self.settings.n_supported else 1
        alone = {name: value for name, value in body.items() if name != "n"}
        for index in range(wanted):
            one = alone | {"seed": seed + index}
            reply = self.settings.reply
            text = reply(one) if reply else arithmetic(one, seed + index, self.settings.right, self.served.known)
            finish = "stop"
            if fault == "huge":
                text = ("and so on " * (self.settings.huge // 10 + 1))[: self.settings.huge]
            if fault == "length":
                text, finish = text[: len(text) // 2], "length"
            message = {"role": "assistant", "content": text}
            choices.append({"index": index, "message": message, "finish_reason": finish})
        prompt = sum(len(message["content"].split()) for message in body["messages"])
        done = sum(len(choice["message"]["content"].split()) for choice in choices)
        self.served.tokens += prompt + done
        usage = {"prompt_tokens": prompt, "completion_tokens": done, "total_tokens": prompt + done}
        return {"id": "mock", "object": "chat.completion", "model": MODEL, "choices": choices, "usage": usage}

    async def answer(
        self, request: web.Request, body: dict[str, Any], key: str, fault: str | None = None
    ) -> web.StreamResponse:
        response = web.Response(body=json.dumps(self.completion(body, fault)).encode(), content_type="application/json")
        await response.prepare(request)
        await response.write_eof()
        # Only now has the client's kernel all of it: an answer that is logged as finished was sent.
        self.served.finished[key] += 1
        self.note("finished", key)
        return response

    async def fail(self, request: web.Request, body: dict[str, Any], key: str, fault: str) -> web.StreamResponse:
        if fault in FINAL:
            return await self.answer(request, body, key, fault)
        self.note("fault", key, fault=fault)
        if fault == "429":
            return _error(429, "rate_limit", "Slow down.", {"Retry-After": self.settings.retry_after})
        if fault in ("500", "503"):
            return _error(int(fault), "server_error", "The server fell over.")
        if fault == "drop":
            return _abort(request)
        if fault == "json":
            return web.Response(
                text='{"choices": [{"message": {"content": "half an ans', content_type="application/json"
            )
        data = self.completion(body)
        if fault == "empty":
            return web.json_response(data | {"choices": []})
        if fault == "null":
            data["choices"][0]["message"]["content"] = None
            return web.json_response(data)
        text = json.dumps(data).encode()
        response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": str(len(text))})
        await response.prepare(request)
        if fault == "cut":
            await response.write(text[: len(text) // 2])
            return _abort(request)
        size = max(1, len(text) // 20)
        for start in range(0, len(text), size):
            await response.write(text[start : start + size])
            await asyncio.sleep(self.settings.drip / 20)
        await response.write_eof()
        self.served.finished[key] += 1
        self.note("finished", key)
        return response


def _error(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response({"error": {"code": code, "message": message}}, status=status, headers=headers)


def _abort(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def _run(served: Served, ready: Callable[[], None], stop: asyncio.Event) -> None:
    site: web.TCPSite | None = None
    back: set[asyncio.Task[None]] = set()

    async def listen() -> None:
        nonlocal site
        site = web.TCPSite(runner, "127.0.0.1", served.port, reuse_address=True, backlog=4096)
        await site.start()
        served.port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]

    async def away() -> None:
        assert site is not None
        await site.stop()
        await asyncio.sleep(served.settings.down)
        await listen()

    def stop_listening() -> None:
        back.add(asyncio.ensure_future(away()))

    handler = _Handler(served, stop_listening)
    app = web.Application(client_max_size=64 * 2**20)
    app.router.add_post("/v1/chat/completions", handler.chat)
    app.router.add_get("/v1/models", handler.models)
    app.router.add_get("/metrics", handler.metrics)
    served.batches = BatchHalf(handler.completion)
    served.batches.add_to(app)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await listen()
    ready()
    await stop.wait()
    for task in back:
        task.cancel()
    await runner.cleanup()
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    for pending in rest:
        pending.cancel()
    await asyncio.gather(*rest, return_exceptions=True)


@contextmanager
def fault_server(**settings: Any) -> Iterator[Served]:
    """A server in a thread of this process, for the length of a `with`."""
    made = Settings(**{name: tuple(v) if name == "faults" else v for name, v in settings.items()})
    served, started, stop = Served(made, known=_known(made.seeds)), threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=lambda: loop.run_until_complete(_run(served, started.set, stop)), daemon=True)
    thread.start()
    if not started.wait(20):
        raise RuntimeError("the fault server did not start")
    try:
        yield served
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()


def _known(path: Path | None) -> dict[str, str]:
    files = sorted(path.glob("*.jsonl")) if path and path.is_dir() else [path] if path else []
    rows = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    return {row["question"]: row["answer"] for row in rows if row.get("answer")}


def finished_twice(log: Path) -> dict[str, int]:
    """Requests of a server's log that were answered in full more than once, and how often."""
    events = [json.loads(line) for line in log.read_text().splitlines()]
    counts = Counter(event["key"] for event in events if event["event"] == "finished")
    return {key: count for key, count in counts.items() if count > 1}


def main() -> None:
    """Serve until killed; the first line of stdout is the address."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--faults", default="", help=f"'all' or a comma list of {', '.join(FAULTS)}")
    parser.add_argument("--no-n", action="store_true", help="ignore n, as some servers do")
    for name in ("fault_share", "right", "latency", "jitter", "drip", "down"):
        parser.add_argument(f"--{name.replace('_', '-')}", type=float, default=getattr(Settings, name))
    for name in ("fault_tries", "fault_every", "huge", "down_after", "most", "slots"):
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=getattr(Settings, name))
    for name, kind in (("retry_after", str), ("key", str), ("log", Path), ("seeds", Path)):
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, default=getattr(Settings, name))
    options = vars(parser.parse_args())
    port, faults, no_n = options.pop("port"), options.pop("faults"), options.pop("no_n")
    chosen = FAULTS if faults == "all" else tuple(fault for fault in faults.split(",") if fault)
    if unknown := set(chosen) - set(FAULTS):
        parser.error(f"unknown faults {sorted(unknown)}; there are {', '.join(FAULTS)}")
    settings = Settings(faults=chosen, n_supported=not no_n, **options)
    served = Served(settings, port=port, known=_known(settings.seeds))

    def ready() -> None:
        print(served.url, flush=True)

    try:
        asyncio.run(_run(served, ready, asyncio.Event()))
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
