"""A server with every fault at once: all requests are accounted for, no finished one is asked again."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from fault_server import FAULTS, MODEL, fault_server, finished_twice
from mathsynth.backends import openai as backend
from mathsynth.backends.base import Reply, Request, Sampling
from mathsynth.calls import Caller
from mathsynth.errors import BackendError
from mathsynth.journal import Journal
from mathsynth.progress import Meter

SECRET = "sk-never-on-disk-42"
ROOT = Path(__file__).parents[1]


def requests(count: int) -> list[Request]:
    return [
        Request(MODEL, ({"role": "user", "content": f"What is {k} + 4?"},), Sampling(), sample=s, seed=s)
        for k in range(count // 2)
        for s in range(2)
    ]


def run(
    url: str | Sequence[str], directory: Path, wanted: Sequence[Request], **more: object
) -> list[Reply | BaseException]:
    async def work() -> list[Reply | BaseException]:
        config = backend.Config(
            backend="openai", model=MODEL, base_url=url, **{"max_in_flight": 32, "timeout_s": 5, "retries": 8, **more}
        )
        journal = Journal(directory)
        caller = Caller(config, backend.connect, journal, Meter("test"), lambda: False)
        try:
            return await asyncio.gather(*map(caller.complete, wanted), return_exceptions=True)
        finally:
            await caller.aclose()
            journal.close()

    return asyncio.run(work())


def test_every_fault_at_once_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mathsynth.calls.BACKOFF_FIRST_S", 0.02)
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    log, wanted = tmp_path / "served.jsonl", requests(120)
    start = time.monotonic()
    with fault_server(faults=FAULTS, fault_share=0.5, drip=0.2, key=SECRET, log=log) as server:
        results = run(server.url, tmp_path / "replies", wanted)
        assert set(FAULTS) == set(server.met)
        refused = [result for result in results if isinstance(result, BaseException)]
        assert all(isinstance(error, BackendError) and "exceeds max_reply_chars" in str(error) for error in refused)
        assert len(refused) == server.met["huge"]
        replies = [result for result in results if isinstance(result, Reply)]
        assert sum(reply.finish_reason == "length" for reply in replies) == server.met["length"]
        again = run(
            server.url, tmp_path / "replies", [r for r, got in zip(wanted, results, strict=True) if got in replies]
        )
        assert again == replies
    assert not finished_twice(log)
    assert time.monotonic() - start < 20
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]


def test_replies_are_the_same_with_and_without_faults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mathsynth.calls.BACKOFF_FIRST_S", 0.02)
    wanted = requests(60)
    with fault_server() as server:
        undisturbed = run(server.url, tmp_path / "one", wanted)
    passing = [fault for fault in FAULTS if fault not in ("length", "huge")]
    with fault_server(faults=passing, fault_share=0.6, drip=0.1, jitter=0.05, down_after=20, down=0.3) as server:
        assert run(server.url, tmp_path / "two", wanted) == undisturbed
        assert server.met["down"] == 1


CLIENT = """
import sys; sys.path[:0] = [{root!r}, {tests!r}]
from pathlib import Path
from test_backend_faults import requests, run
run({url!r}, Path({replies!r}), requests(200))
"""


def answered(log: Path) -> int:
    return log.read_text().count('"finished"') if log.exists() else 0


@pytest.mark.slow
def test_kill_9_costs_only_what_was_in_flight(tmp_path: Path) -> None:
    log, replies = tmp_path / "served.jsonl", tmp_path / "replies"
    command = [sys.executable, "tests/fault_server.py", "--latency", "0.1", "--jitter", "0.1", "--log", str(log)]
    kills = 0
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        code = CLIENT.format(root=str(ROOT), tests=str(ROOT / "tests"), url=url, replies=str(replies))
        try:
            code_of_last = None
            while code_of_last != 0:
                kill_at = answered(log) + 50
                with subprocess.Popen([sys.executable, "-c", code]) as client:
                    while client.poll() is None and (kills == 3 or answered(log) < kill_at):
                        time.sleep(0.005)
                    if client.poll() is None:
                        client.kill()
                        kills += 1
                code_of_last = client.returncode
                assert code_of_last in (0, -signal.SIGKILL)
        finally:
            server.terminate()
    assert kills == 3
    # Answered by the server, but the client was killed before it had the answer: at most what was in flight.
    assert sum(count - 1 for count in finished_twice(log).values()) <= 32 * kills
    journal = Journal(replies)
    assert len(journal) == 200
    journal.close()
