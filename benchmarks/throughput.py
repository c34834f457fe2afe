"""Completions per second, and CPU seconds per 1,000 of them, of the whole `sample` stage and of bare HTTP clients.

    python benchmarks/throughput.py [--completions 2000] [--in-flight 256] [--latency 0.2] [--repeat 3]

A mock server in another process answers every request after a fixed time. The stage is all that `generate` does from
problems to sealed shards: prompts, hashes, journal, grading, allocation; once with a problem for each completion, once
with eight of each problem in one request (`choices`). The bare clients send the same bodies and read the answers' text.
The best of the repeats counts; CPU is that of this process and of the verifier's workers.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import openai
import orjson
from aiohttp import web

from mathsynth.backends.base import Request, Sampling, chat_body
from mathsynth.pipeline import Options, generate
from mathsynth.recipe import read_recipe

TEXT = "First we add what there is, then we look at it once more to be sure. " * 15 + "The answer is \\boxed{7}."
EIGHT = 8
RECIPE = """\
input: problems.jsonl
models:
  teacher: {{backend: openai, model: mock, base_url: "{url}", max_in_flight: {in_flight}, choices: {choices}}}
steps:
  sample: {{policy: fixed, k: {choices}}}
"""


def answer(n: int) -> dict[str, Any]:
    return {
        "choices": [
            {"index": number, "message": {"role": "assistant", "content": TEXT}, "finish_reason": "stop"}
            for number in range(n)
        ],
        "usage": {"prompt_tokens": 40, "completion_tokens": 300 * n, "total_tokens": 40 + 300 * n},
        "model": "mock",
    }


def serve(latency: float) -> None:
    """Answer alike after `latency` seconds, until killed; the port is the first line of stdout."""
    bodies = {n: json.dumps(answer(n)).encode() for n in range(1, EIGHT + 1)}

    async def chat(request: web.BaseRequest) -> web.Response:
        asked = orjson.loads(await request.read())
        await asyncio.sleep(latency)
        return web.Response(body=bodies[asked.get("n", 1)], content_type="application/json")

    async def run() -> None:
        runner = web.ServerRunner(web.Server(chat))
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, backlog=4096)
        await site.start()
        print(site._server.sockets[0].getsockname()[1], flush=True)  # type: ignore[union-attr]
        await asyncio.Event().wait()

    asyncio.run(run())


async def at_once(count: int, in_flight: int, ask: Callable[[int], Awaitable[str]]) -> None:
    numbers = iter(range(count))

    async def slot() -> None:
        for number in numbers:
            assert await ask(number) == TEXT

    await asyncio.gather(*(slot() for _ in range(in_flight)))


def body(number: int) -> dict[str, Any]:
    return chat_body(Request("mock", ({"role": "user", "content": f"What is 3 + 4? ({number})"},), Sampling()))


async def bare_aiohttp(url: str, count: int, in_flight: int) -> None:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=in_flight)) as session:

        async def ask(number: int) -> str:
            async with session.post(f"{url}/chat/completions", json=body(number)) as response:
                return str((await response.json())["choices"][0]["message"]["content"])

        await at_once(count, in_flight, ask)


async def bare_openai(url: str, count: int, in_flight: int, http: Any) -> None:
    async with openai.AsyncOpenAI(api_key="none", base_url=url, max_retries=0, http_client=http) as client:

        async def ask(number: int) -> str:
            reply = await client.chat.completions.create(**body(number))
            return str(reply.choices[0].message.content)

        await at_once(count, in_flight, ask)


def sample_stage(url: str, count: int, in_flight: int, choices: int) -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        problems = [{"question": f"What is 3 + 4? ({number})", "answer": "7"} for number in range(count // choices)]
        (folder / "problems.jsonl").write_text("".join(json.dumps(problem) + "\n" for problem in problems))
        (folder / "recipe.yaml").write_text(RECIPE.format(url=url, in_flight=in_flight, choices=choices))
        recipe = read_recipe(folder / "recipe.yaml")
        generate(recipe, folder / "run", Options(until="input"))
        taken = clock(lambda: generate(recipe, folder / "run", Options()))
        assert sum(line.count("\n") for line in (p.read_text() for p in folder.glob("run/01-*/0*.jsonl"))) == count
        return taken


def clock(work: Callable[[], object]) -> tuple[float, float]:
    """(wall, CPU) seconds, the CPU of ended child processes included."""
    wall, cpu = time.perf_counter(), cpu_seconds()
    work()
    return time.perf_counter() - wall, cpu_seconds() - cpu


def cpu_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(use.ru_utime + use.ru_stime for use in used)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, kind, default in (("completions", int, 2000), ("in-flight", int, 256), ("repeat", int, 3)):
        parser.add_argument(f"--{name}", type=kind, default=default)
    parser.add_argument("--latency", type=float, default=0.2)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        return serve(given.latency)
    count, in_flight = given.completions // EIGHT * EIGHT, given.in_flight
    limits = openai.DEFAULT_CONNECTION_LIMITS
    contenders: dict[str, Callable[[str], tuple[float, float]]] = {
        "bare aiohttp": lambda url: clock(lambda: asyncio.run(bare_aiohttp(url, count, in_flight))),
        "bare openai, aiohttp transport": lambda url: clock(
            lambda: asyncio.run(bare_openai(url, count, in_flight, openai.DefaultAioHttpClient(limits=limits)))
        ),
        "bare openai, httpx transport": lambda url: clock(
            lambda: asyncio.run(bare_openai(url, count, in_flight, openai.DefaultAsyncHttpxClient(limits=limits)))
        ),
        "mathsynth sample": lambda url: sample_stage(url, count, in_flight, 1),
        f"mathsynth sample, choices: {EIGHT}": lambda url: sample_stage(url, count, in_flight, EIGHT),
    }
    command = [sys.executable, __file__, "--serve", "--latency", str(given.latency)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            url = f"http://127.0.0.1:{server.stdout.readline().strip()}/v1"
            most = in_flight / given.latency
            print(
                f"{count:,} completions, {in_flight} in flight, {given.latency:g} s each: at most {most:,.0f} a second"
            )
            print(f"{'':<32}{'completions/s':>14}{'CPU s per 1,000':>17}")
            for name, run in contenders.items():
                wall, cpu = (min(found) for found in zip(*(run(url) for _ in range(given.repeat)), strict=True))
                print(f"{name:<32}{count / wall:>14,.0f}{cpu / count * 1000:>17.2f}", flush=True)
        finally:
            server.terminate()


if __name__ == "__main__":
    main()
