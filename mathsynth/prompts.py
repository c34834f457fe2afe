"""Prompts: Markdown files whose `## system`, `## user` and `## assistant` headings are the turns of a chat.

Text between the headings is a Jinja template (`{{ question }}`); a missing value is an error, never an empty string.
Worked examples are earlier `## user` / `## assistant` turns. A prompt is found by its name, first beside the recipe
in `prompts/`, then among those that ship with mathsynth. Its content is part of the hash of every stage that uses it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

from mathsynth.backends.base import Message
from mathsynth.errors import UsageError
from mathsynth.records import content_id
from mathsynth.resources import folder

if TYPE_CHECKING:
    from jinja2 import Template

_HEADING = re.compile(r"^## (system|user|assistant)[ \t]*$", re.MULTILINE)


class _Turn(NamedTuple):
    role: str
    template: Template
    used: set[str]
    """The names it asks for."""


class Prompt:
    """One prompt file: `messages(**values)` renders it."""

    def __init__(self, path: Path) -> None:
        """Read and compile; UsageError naming file and line for a wrong one."""
        self.path = path
        try:
            self.text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{path}: can't be read: {error}") from None
        self.hash = content_id(self.text)

    def check(self, values: frozenset[str]) -> None:
        """UsageError if the file is no prompt, never says `question`, or asks for what is not among `values`."""
        used = {name for turn in self._turns for name in turn.used}
        if unknown := sorted(used - values):
            offered = ", ".join(sorted(values))
            raise UsageError(f"{self.path}: {{{{ {unknown[0]} }}}} is not given here; what is: {offered}")
        if "question" not in used:
            raise UsageError(f"{self.path}: {{{{ question }}}} does not occur, so every problem would ask the same")

    def messages(self, **values: object) -> tuple[Message, ...]:
        """The chat to send, turns trimmed."""
        rendered = [{"role": turn.role, "content": turn.template.render(**values).strip()} for turn in self._turns]
        return cast("tuple[Message, ...]", tuple(rendered))

    @cached_property
    def _turns(self) -> list[_Turn]:
        from jinja2 import StrictUndefined, TemplateSyntaxError, meta
        from jinja2.sandbox import SandboxedEnvironment

        parts = _HEADING.split(self.text)[1:]
        if not parts or parts[-2] != "user":
            raise UsageError(f"{self.path}: expected `## system`, `## user`, `## assistant` headings, `## user` last")
        environment = SandboxedEnvironment(undefined=StrictUndefined)
        turns = []
        for number, (role, text) in enumerate(zip(parts[::2], parts[1::2], strict=True), 1):
            try:
                used = meta.find_undeclared_variables(environment.parse(text))
                turns.append(_Turn(role, environment.from_string(text), used))
            except TemplateSyntaxError as error:
                raise UsageError(f"{self.path}: turn {number}, line {error.lineno}: {error.message}") from None
        return turns


def find_prompt(name: str, folders: Sequence[Path]) -> Prompt:
    """The prompt `name` from the first of these folders that has it, else from those that ship with mathsynth."""
    shipped = folder("recipes") / "prompts"
    for place in [*folders, shipped]:
        path = place / f"{name}.md"
        if path.is_file():
            return Prompt(path)
    looked = ", ".join(str(place) for place in [*folders, shipped])
    offered = ", ".join(sorted(path.stem for path in shipped.glob("*.md")))
    raise UsageError(f"prompt {name!r}: no {name}.md in {looked}; shipped: {offered}")
