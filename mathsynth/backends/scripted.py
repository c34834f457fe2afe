"""Replies from a file or a Python function: for tests and for trying a recipe without a model. Never a default.

A file has one JSON object a line: `{"reply": "...", "match": "part of the conversation"}`, or `regex` instead of
`match`, or neither, and optionally `finish_reason`. Of the lines that match (those with neither only if no other
does) the sample number picks one, in turn, so that a reply depends on its request alone.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mathsynth.backends.base import Backend, Home, ModelConfig, Reply, Request, texts
from mathsynth.errors import BackendError, UsageError
from mathsynth.records import Usage, explain

Script = Callable[[Request], "Reply | str"]


class Config(ModelConfig):
    """A model that says what it is told to say."""

    model: str = "scripted"
    """Any name. Give changed replies another name: finished ones are found again by it."""
    replies: str = Field(exclude=True)
    """A .jsonl file, or `module:function` or `file.py:function` with `function(request) -> str`."""


class Line(BaseModel):
    """One line of a replies file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reply: str
    match: str | None = None
    """Text that the conversation must hold."""
    regex: str | None = None
    """Pattern that must be found in it."""
    finish_reason: str = "stop"

    def fits(self, conversation: str) -> bool:
        """Whether this line may answer."""
        if self.match is not None and self.match not in conversation:
            return False
        return self.regex is None or _pattern(self.regex).search(conversation) is not None


def connect(config: ModelConfig, home: Home | None = None) -> Backend:
    """Read the file or import the function. UsageError naming what is wrong with it."""
    assert isinstance(config, Config)
    if re.search(r":[A-Za-z_]\w*$", config.replies):
        return Scripted(config, _function(config.replies))
    return Scripted(config, _from_file(Path(config.replies)))


class Scripted:
    """Answers at once."""

    def __init__(self, config: Config, script: Script) -> None:
        self._config, self._script = config, script

    async def complete(self, request: Request, n: int = 1) -> list[Reply]:
        """What the script says to this request and those after it."""
        replies = []
        for _ in range(n):
            replies.append(self._reply(request))
            request = request.after()
        return replies

    def _reply(self, request: Request) -> Reply:
        said = self._script(request)
        if isinstance(said, Reply):
            return said
        if not isinstance(said, str):
            raise BackendError(f"{self._config.replies} returned {type(said).__name__}, expected str", fatal=True)
        return _reply(said, "stop", request)

    async def queue(self) -> int | None:
        """Not known."""
        return None

    async def probe(self) -> str:
        """Where the replies come from."""
        return f"{self._config.model}: scripted by {self._config.replies}, no model"

    async def aclose(self) -> None:
        """Nothing is held."""


def _reply(text: str, finish_reason: str, request: Request) -> Reply:
    # There is no tokenizer here: words stand in for tokens.
    usage = Usage(prompt_tokens=len(texts(request.messages).split()), completion_tokens=len(text.split()))
    return Reply(text=text, finish_reason=finish_reason, usage=usage, model=request.model)


def _from_file(path: Path) -> Script:
    try:
        content = path.read_bytes().splitlines()
    except OSError as error:
        raise UsageError(f"replies: {path}: {error.strerror}") from None
    lines = [_line(line, f"{path}:{number}") for number, line in enumerate(content, 1) if line.strip()]
    if not lines:
        raise UsageError(f"replies: {path}: no line in it")

    def script(request: Request) -> Reply:
        conversation = "\n".join(message["content"] for message in request.messages)
        fitting = [line for line in lines if line.fits(conversation)]
        particular = [line for line in fitting if line.match is not None or line.regex is not None]
        if not fitting:
            raise BackendError(f"no line of {path} answers: {' '.join(conversation.split())[-120:]!r}")
        chosen = (particular or fitting)[request.sample % len(particular or fitting)]
        return _reply(chosen.reply, chosen.finish_reason, request)

    return script


def _line(line: bytes, where: str) -> Line:
    try:
        parsed = Line.model_validate_json(line)
        if parsed.regex is not None:
            _pattern(parsed.regex)
        return parsed
    except ValidationError as error:
        raise UsageError(f"{where}: {': '.join(filter(None, explain(error)))}") from None
    except re.error as error:
        raise UsageError(f"{where}: regex: {error}") from None


@lru_cache(maxsize=4096)
def _pattern(regex: str) -> re.Pattern[str]:
    return re.compile(regex, re.DOTALL)


def _function(name: str) -> Script:
    place, _, function = name.rpartition(":")
    try:
        module = _from_path(Path(place)) if place.endswith(".py") else importlib.import_module(place)
    except (ImportError, OSError) as error:
        raise UsageError(f"replies: can't import {place}: {error}") from None
    found = getattr(module, function, None)
    if not callable(found):
        raise UsageError(f"replies: {place} has no function {function!r}")
    return cast("Script", found)


def _from_path(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError("not a Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
