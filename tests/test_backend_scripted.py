"""Scripted replies depend on the request alone, and a wrong script is named by file and line."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from mathsynth.backends import scripted
from mathsynth.backends.base import Reply, Request, Sampling
from mathsynth.errors import BackendError, UsageError


def connect(replies: str | Path) -> scripted.Scripted:
    backend = scripted.connect(scripted.Config(backend="scripted", replies=str(replies)))
    assert isinstance(backend, scripted.Scripted)
    return backend


def ask(backend: scripted.Scripted, text: str, sample: int = 0) -> Reply:
    request = Request("scripted", ({"role": "user", "content": text},), Sampling(), sample=sample)
    return asyncio.run(backend.complete(request))[0]


def test_lines_are_picked_by_content_and_sample_number(tmp_path: Path) -> None:
    path = tmp_path / "replies.jsonl"
    path.write_text(
        '{"reply": "else 0"}\n{"reply": "else 1"}\n\n{"reply": "seven", "match": "3 + 4"}\n'
        '{"reply": "cut", "regex": "divide\\\\s+\\\\d", "finish_reason": "length"}\n'
    )
    backend = connect(path)
    assert [ask(backend, "Hello", sample).text for sample in range(3)] == ["else 0", "else 1", "else 0"]
    assert [ask(backend, "What is 3 + 4?", sample).text for sample in range(2)] == ["seven", "seven"]
    reply = ask(backend, "divide 8")
    assert (reply.text, reply.finish_reason) == ("cut", "length")
    assert reply.usage.prompt_tokens == 3 and reply.usage.completion_tokens == 1  # "[user]" is a word
    assert "no model" in asyncio.run(backend.probe())


def test_a_conversation_that_no_line_answers_fails_its_row(tmp_path: Path) -> None:
    path = tmp_path / "replies.jsonl"
    path.write_text('{"reply": "a", "match": "b"}\n')
    with pytest.raises(BackendError, match=r"no line of .* answers: 'Hello'") as told:
        ask(connect(path), "Hello")
    assert not told.value.retryable and not told.value.fatal


def test_a_function_answers(tmp_path: Path) -> None:
    path = tmp_path / "script.py"
    path.write_text("def reply(request):\n    return request.messages[-1]['content'][::-1]\nbad = lambda request: 7\n")
    assert ask(connect(f"{path}:reply"), "abc").text == "cba"
    with pytest.raises(BackendError, match="returned int, expected str"):
        ask(connect(f"{path}:bad"), "abc")
    with pytest.raises(UsageError, match="has no function 'nothing'"):
        connect(f"{path}:nothing")
    with pytest.raises(UsageError, match=r"can't import no\.such\.module"):
        connect("no.such.module:reply")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"replay": "a"}', "replies.jsonl:1: reply: "),
        ('{"reply": "a", "regex": "("}', "replies.jsonl:1: regex: "),
        ("nonsense", "replies.jsonl:1: "),
        ("", "no line in it"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "replies.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(UsageError) as told:
        connect(path)
    assert said in str(told.value) and "\n" not in str(told.value)
    with pytest.raises(UsageError, match="No such file"):
        connect(tmp_path / "away.jsonl")
