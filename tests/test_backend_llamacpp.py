"""The embedded engine says what is missing; with weights (`engine` tests) it answers, repeats itself and stops."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from mathsynth import models
from mathsynth.backends import llamacpp
from mathsynth.backends import openai as openai_backend
from mathsynth.backends.base import Reply, Request, Sampling
from mathsynth.errors import BackendError, UsageError

NAME = "smollm2-135m"


def config(**more: Any) -> llamacpp.Config:
    return llamacpp.Config(backend="llamacpp", **{"slots": 4, "context_per_slot": 512, "threads": 1, **more})


def question(text: str, seed: int = 0, max_tokens: int = 24, **extra: Any) -> Request:
    sampling = Sampling(max_tokens=max_tokens, extra_body=extra)
    return Request(NAME, ({"role": "user", "content": text},), sampling, seed=seed)


def test_a_missing_extra_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    with pytest.raises(UsageError, match=r"run: pip install 'mathsynth\[local\]'"):
        llamacpp.connect(config())


def test_missing_and_broken_weights_are_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp")
    monkeypatch.setenv("MATHSYNTH_CACHE", str(tmp_path))
    with pytest.raises(UsageError, match=f"run: mathsynth models pull {NAME}"):
        llamacpp.connect(config())
    path = models.known(NAME).path
    path.parent.mkdir(parents=True)
    path.write_bytes(b"GGUF and no more")
    with pytest.raises(UsageError, match=rf"broken .* mathsynth models pull {NAME}"):
        llamacpp.connect(config())
    with pytest.raises(UsageError, match=r"llama\.cpp can't load these weights"):
        llamacpp.connect(config(weights=str(path)))


def test_free_cores_are_at_least_one_and_at_most_ours() -> None:
    ours = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    assert 1 <= llamacpp.free_cores() <= ours


def test_no_tuning_knob_is_in_the_hash() -> None:
    assert not {"slots", "threads", "context_per_slot", "weights", "verbosity"} & set(config().model_dump())


@pytest.fixture
def weights() -> None:
    pytest.importorskip("xllamacpp")
    if not models.known(NAME).pulled:
        pytest.skip(f"needs the weights: mathsynth models pull {NAME}")


def with_engine(work: Callable[[llamacpp.LlamaEngine], Awaitable[Any]], **more: Any) -> Any:
    async def run() -> Any:
        engine = llamacpp.connect(config(**more))
        assert isinstance(engine, llamacpp.LlamaEngine)
        try:
            return await work(engine)
        finally:
            await engine.aclose()

    return asyncio.run(run())


@pytest.mark.slow
@pytest.mark.engine
def test_same_request_same_text_whatever_the_slots_and_neighbours(weights: None) -> None:
    requests = [question(f"What is {k} + 4?", seed=k) for k in range(6)]

    async def together(engine: llamacpp.LlamaEngine) -> list[Reply]:
        return [reply for (reply,) in await asyncio.gather(*map(engine.complete, requests))]

    async def alone(engine: llamacpp.LlamaEngine) -> list[Reply]:
        return [(await engine.complete(request))[0] for request in reversed(requests)][::-1]

    first = with_engine(together)
    assert all(reply.text and reply.finish_reason in ("stop", "length") for reply in first)
    assert all(reply.usage.prompt_tokens > 10 and 0 < reply.usage.completion_tokens <= 24 for reply in first)
    assert len({reply.text for reply in first}) > 3
    assert [reply.text for reply in with_engine(alone, slots=1)] == [reply.text for reply in first]


@pytest.mark.slow
@pytest.mark.engine
def test_a_prompt_that_does_not_fit_fails_its_row_and_a_cut_reply_says_so(weights: None) -> None:
    async def work(engine: llamacpp.LlamaEngine) -> None:
        assert "context 512 in each of 4 slots, 1 threads" in await engine.probe()
        with pytest.raises(BackendError, match=r"prompt of [\d,]+ tokens does not fit context_per_slot=512") as told:
            await engine.complete(question("one two three " * 400))
        assert not told.value.retryable and not told.value.fatal
        (cut,) = await engine.complete(question("Tell a story.", max_tokens=5))
        assert cut.finish_reason == "length"

    with_engine(work)


@pytest.mark.slow
@pytest.mark.engine
def test_cancelling_and_closing_stop_the_decoding_at_once(weights: None) -> None:
    endless = question("Tell a long story.", max_tokens=400, ignore_eos=True)

    async def work(engine: llamacpp.LlamaEngine) -> float:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(engine.complete(endless), 0.3)
        waiting = [asyncio.create_task(engine.complete(endless)) for _ in range(8)]
        await asyncio.sleep(0.2)
        start = time.monotonic()
        await engine.aclose()
        assert {type(result) for result in await asyncio.gather(*waiting, return_exceptions=True)} == {BackendError}
        return time.monotonic() - start

    assert with_engine(work) < 2


@pytest.mark.slow
@pytest.mark.engine
def test_its_own_http_server_speaks_to_the_openai_backend(weights: None, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(engine: llamacpp.LlamaEngine) -> tuple[Reply, Reply, str]:
        monkeypatch.setenv("LOCAL_KEY", engine.key)
        http = openai_backend.connect(
            openai_backend.Config(
                backend="openai", model=NAME, base_url=engine.address, api_key_env="LOCAL_KEY", max_in_flight=4
            )
        )
        try:
            request = question("What is 3 + 4?")
            (here,), (served,) = await engine.complete(request), await http.complete(request)
            assert isinstance(served, Reply)
            return here, served, await http.probe()
        finally:
            await http.aclose()

    direct, over_http, probed = with_engine(work)
    assert direct == over_http
    assert probed.endswith(f": {NAME}, context 512, n supported")
