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
from typing import TYPE_CHECKING, cast

from mathsynth.backends.base import Message
from mathsynth.errors import UsageError
from mathsynth.records import content_id
from mathsynth.resources import folder

if TYPE_CHECKING:
    from jinja2 import Template

_HEADING = re.compile(r"^## (system|user|assistant)[ \t]*$", re.MULTILINE)


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

    def messages(self, **values: object) -> tuple[Message, ...]:
        """The chat to send, turns trimmed. UsageError if the file asks for a value that this stage does not give."""
        from jinja2 import TemplateError

        rendered = []
        for role, template in self._turns:
            try:
                rendered.append({"role": role, "content": template.render(**values).strip()})
            except TemplateError as error:
                raise UsageError(f"{self.path}: {error}; given here: {', '.join(sorted(values))}") from None
        return cast("tuple[Message, ...]", tuple(rendered))

    @cached_property
    def _turns(self) -> list[tuple[str, Template]]:
        from jinja2 import StrictUndefined, TemplateSyntaxError
        from jinja2.sandbox import SandboxedEnvironment

        parts = _HEADING.split(self.text)[1:]
        if not parts or parts[-2] != "user":
            raise UsageError(f"{self.path}: expected `## system`, `## user`, `## assistant` headings, `## user` last")
        environment = SandboxedEnvironment(undefined=StrictUndefined)
        try:
            return [(role, environment.from_string(text)) for role, text in zip(parts[::2], parts[1::2], strict=True)]
        except TemplateSyntaxError as error:
            raise UsageError(f"{self.path}: {error.message} (template line {error.lineno})") from None


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
