"""Every way a server can fail is mapped once, in one line, and never shows the key."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest
from pydantic import ValidationError

from fault_server import MODEL, Served, fault_server
from mathsynth import wire
from mathsynth.backends import openai as backend
from mathsynth.backends.base import Reply, Request, Sampling
from mathsynth.errors import BackendError, UsageError
from mathsynth.records import Usage

KEY = "sk-very-secret-0123456789"


def config(url: Any, **more: Any) -> backend.Config:
    return backend.Config(backend="openai", model=MODEL, base_url=url, **{"timeout_s": 5, "max_in_flight": 16, **more})


def question(text: str = "What is 3 + 4?", seed: int = 0, model: str = MODEL) -> Request:
    return Request(model=model, messages=({"role": "user", "content": text},), sampling=Sampling(), seed=seed)


def ask(cfg: backend.Config, *requests: Request) -> list[Reply | BaseException]:
    async def all_of_them() -> list[Reply | BaseException]:
        client = backend.connect(cfg)
        try:
            found = await asyncio.gather(*(client.complete(request) for request in requests), return_exceptions=True)
            return [reply if isinstance(reply, BaseException) else reply[0] for reply in found]
        finally:
            await client.aclose()

    return asyncio.run(all_of_them())


def failure(cfg: backend.Config, request: Request | None = None) -> BackendError:
    (error,) = ask(cfg, request or question())
    assert isinstance(error, BackendError), error
    assert "\n" not in str(error) and len(str(error)) < 500
    return error


def probe(cfg: backend.Config) -> str:
    async def once() -> str:
        client = backend.connect(cfg)
        try:
            return await client.probe()
        finally:
            await client.aclose()

    return asyncio.run(once())


@pytest.fixture(params=["aiohttp", "httpx"])
def transport(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "httpx":
        monkeypatch.setattr(wire, "_has_aiohttp", lambda: False)


def test_a_reply_carries_text_tokens_and_finish_reason(transport: None) -> None:
    with fault_server(right=1.0) as server:
        (reply,) = ask(config(server.url), question())
        assert isinstance(reply, Reply)
        assert "\\boxed{7}" in reply.text and reply.finish_reason == "stop" and reply.model == MODEL
        assert reply.usage.prompt_tokens > 0 and reply.usage.completion_tokens > 0
        (body,) = server.bodies.values()
        assert body["messages"] == [{"role": "user", "content": "What is 3 + 4?"}] and body["seed"] == 0


def test_as_many_are_under_way_as_are_asked(transport: None) -> None:
    with fault_server(latency=0.3) as server:
        ask(config(server.url), *(question(seed=number) for number in range(200)))
        assert server.most_in_flight > 150, "no connection pool with a limit of its own"


@pytest.mark.parametrize(
    ("fault", "flags"),
    [
        ("429", {"retry_after": 7.0}),
        ("500", {}),
        ("503", {"unreachable": True}),
        ("drop", {"unreachable": True}),
        ("cut", {"unreachable": True}),
        ("json", {}),
        ("empty", {}),
        ("null", {}),
    ],
)
def test_faults_that_may_pass_are_retryable(transport: None, fault: str, flags: dict[str, Any]) -> None:
    with fault_server(faults=[fault], retry_after="7") as server:
        error = failure(config(server.url))
    assert error.retryable and not error.fatal, error
    assert error.retry_after == flags.get("retry_after")
    assert error.unreachable == flags.get("unreachable", False), error


def test_a_truncated_reply_is_a_reply_that_says_so() -> None:
    with fault_server(faults=["length"]) as server:
        (reply,) = ask(config(server.url), question())
    assert isinstance(reply, Reply) and reply.finish_reason == "length"


def test_a_reply_of_a_million_characters_fails_its_row_only() -> None:
    with fault_server(faults=["huge"], huge=1_000_001) as server:
        error = failure(config(server.url))
        assert not error.retryable and not error.fatal
        assert str(error) == "reply of 1,000,001 characters exceeds max_reply_chars=1,000,000"
        (reply,) = ask(config(server.url, max_reply_chars=1_000_001), question())
        assert isinstance(reply, Reply)


def test_a_slow_drip_is_waited_for_and_a_silent_server_is_not(transport: None) -> None:
    with fault_server(faults=["drip"], drip=0.2) as server:
        (reply,) = ask(config(server.url), question())
        assert isinstance(reply, Reply) and "boxed" in reply.text
    with fault_server(latency=3) as server:
        error = failure(config(server.url, timeout_s=0.2))
        assert error.retryable


def test_nobody_listening(transport: None) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    error = failure(config(url))
    assert error.retryable and error.unreachable and not error.fatal
    assert str(error).startswith(f"can't reach {url}: ")


def test_a_wrong_key_is_fatal_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with fault_server(key="another") as server:
        error = failure(config(server.url))
        assert error.fatal and not error.retryable
        assert "$OPENAI_API_KEY" in str(error) and "[key]" in str(error)
        assert KEY not in str(error) and KEY not in repr(error.__context__)
        with pytest.raises(BackendError) as told:
            probe(config(server.url))
        assert told.value.fatal and KEY not in str(told.value)
    with fault_server(key=KEY) as server:
        assert isinstance(ask(config(server.url), question())[0], Reply)


def test_a_wrong_model_is_fatal_and_the_probe_names_what_is_offered() -> None:
    with fault_server() as server:
        wrong = config(server.url).model_copy(update={"model": "gpt-7"})
        error = failure(wrong, question(model="gpt-7"))
        assert error.fatal and "'gpt-7'" in str(error)
        with pytest.raises(BackendError, match=f"no model 'gpt-7'; it offers {MODEL}"):
            probe(wrong)


def test_the_probe_tells_context_and_n() -> None:
    with fault_server() as server:
        assert probe(config(server.url)) == f"{server.url}: {MODEL}, context 4,096, n supported"
    with fault_server(n_supported=False) as server:
        assert probe(config(server.url)).endswith("n ignored")


def test_openai_itself_needs_a_key_and_a_local_server_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(UsageError, match=r"set \$OPENAI_API_KEY"):
        backend.connect(backend.Config(backend="openai", model="gpt-5"))
    with fault_server() as server:
        assert isinstance(ask(config(server.url), question())[0], Reply)


@pytest.mark.parametrize(
    "more",
    [{"base_url": "localhost:8000"}, {"base_url": f"http://me:{KEY}@host/v1"}, {"base_url": ()}, {"api_key_env": KEY}],
)
def test_addresses_and_key_names_are_checked(more: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as told:
        backend.Config(backend="openai", model="m", **more)
    assert KEY not in str(told.value.errors(include_input=False, include_url=False)[0]["msg"])


def test_no_tuning_knob_is_in_the_hash() -> None:
    plain = backend.Config(backend="openai", model="m").model_dump()
    assert not {"base_url", "api_key_env", "max_reply_chars", "backend", "timeout_s"} & set(plain)


def served(server: Served) -> int:
    return server.finished.total()


def test_servers_are_balanced_and_a_dead_one_rests() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{free.getsockname()[1]}/v1"

    async def waves(client: Any) -> list[list[Any]]:
        results = []
        for wave in range(4):
            requests = [question(seed=wave * 10 + k) for k in range(10)]
            results.append(await asyncio.gather(*map(client.complete, requests), return_exceptions=True))
        await client.aclose()
        return results

    with fault_server(latency=0.01) as one, fault_server(latency=0.01) as two:
        results = asyncio.run(waves(backend.connect(config([one.url, two.url, dead]))))
        failed = [sum(isinstance(result, BackendError) for result in wave) for wave in results]
        assert failed[0] in (3, 4) and failed[1:] == [0, 0, 0]
        assert abs(served(one) - served(two)) <= 4


def test_a_server_that_was_down_is_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "REST_FIRST_S", 0.05)

    async def until_both_serve(client: Any, away: Served) -> int:
        tries = 0
        while not away.finished and tries < 400:
            tries += 1
            await asyncio.gather(client.complete(question(seed=tries)), return_exceptions=True)
            await asyncio.sleep(0.005)
        await client.aclose()
        return tries

    with fault_server(down_after=1, down=0.2) as away, fault_server() as here:
        assert asyncio.run(until_both_serve(backend.connect(config([away.url, here.url])), away)) < 400
        assert away.finished and here.finished


def test_retry_after_reads_seconds_dates_and_nonsense() -> None:
    def read(**headers: str) -> float | None:
        import httpx2

        return wire._retry_after(httpx2.Headers({name.replace("_", "-"): value for name, value in headers.items()}))

    assert read(retry_after="3") == 3 and read(retry_after_ms="250") == 0.25
    assert read(retry_after="Wed, 21 Oct 2015 07:28:00 GMT") == 0
    assert (read(retry_after="Wed, 21 Oct 2099 07:28:00 GMT") or 0) > 1e6
    assert read() is None and read(retry_after="soon") is None and read(retry_after="-5") is None


@pytest.mark.parametrize(
    ("choice", "outcome"),
    [
        ({"message": {"content": "a", "reasoning_content": "b"}, "finish_reason": "stop"}, ("a", "b", "stop")),
        ({"message": {"content": "a", "reasoning": "b"}, "finish_reason": None}, ("a", "b", "unknown")),
        ({"message": {"content": None, "reasoning": "b"}, "finish_reason": "length"}, ("", "b", "length")),
        ({"message": {"content": ""}, "finish_reason": "stop"}, ("", None, "stop")),
        ({"message": {"content": None}, "finish_reason": "content_filter"}, False),
        ({"message": {"content": "a"}, "finish_reason": "abort"}, True),
        ({"message": {"content": ["a"]}, "finish_reason": "stop"}, True),
        ({}, True),
        ("text", True),
    ],
)
def test_choices_of_every_shape(choice: Any, outcome: tuple[str, str | None, str] | bool) -> None:
    if isinstance(outcome, bool):
        with pytest.raises(BackendError) as told:
            backend._reply(choice, {}, Usage())
        assert told.value.retryable == outcome
        return
    reply = backend._reply(choice, {}, Usage())
    assert (reply.text, reply.reasoning, reply.finish_reason) == outcome


@pytest.mark.parametrize(
    ("status", "text", "kind"),
    [
        (400, '{"error": {"message": "This model\'s maximum context length is 4096 tokens."}}', "row"),
        (400, '{"error": {"code": "model_not_found", "message": "x"}}', "fatal"),
        (402, "", "fatal"),
        (403, '{"detail": "no"}', "fatal"),
        (422, '{"error": "bad"}', "row"),
        (429, '{"error": {"code": "insufficient_quota", "message": "pay"}}', "fatal"),
        (429, "", "retry"),
        (409, "", "retry"),
        (500, "<html><body>oops</body></html>", "retry"),
        (501, "", "row"),
        (504, "", "retry"),
    ],
)
def test_every_status_has_its_kind(status: int, text: str, kind: str) -> None:
    import httpx2

    server = wire.Wire("http://localhost:1/v1", httpx2.AsyncClient(), "none", "OPENAI_API_KEY", MODEL)
    error = server.refused(status, {}, text)
    assert (error.retryable, error.fatal) == {"row": (False, False), "fatal": (False, True), "retry": (True, False)}[
        kind
    ]
    assert f"HTTP {status}" in str(error) and "<html>" not in str(error)
