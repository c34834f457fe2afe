"""Prompts: Markdown files whose `## system`, `## user` and `## assistant` headings are the turns of a chat.

Text between the headings is a Jinja template (`{{ question }}`); a missing value is an error, never an empty string.
Worked examples are earlier `## user` / `## assistant` turns; those of a model's `few_shot` follow them. A prompt is
found by its name, first beside the recipe in `prompts/`, then among those that ship with mathsynth. Its content is part
of the hash of every stage that uses it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

import orjson

from mathsynth.backends.base import Message, ModelConfig, Shot
from mathsynth.errors import UsageError
from mathsynth.records import content_id
from mathsynth.resources import folder
from mathsynth.shards import open_lines, parse_row
from mathsynth.verifier import Policy, how_asked
from mathsynth.yamlfile import parse_value

if TYPE_CHECKING:
    from jinja2 import Template

ANSWER_FORMATS = {
    "boxed": r"write the final answer as \boxed{answer}",
    "hash": "write the final answer on a line of its own at the end, as #### answer",
    "sentence": "end with the sentence: The answer is ANSWER",
}

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

    def uses(self, name: str) -> bool:
        """Whether some turn says `{{ name }}`."""
        return any(name in turn.used for turn in self._turns)

    def messages(self, shots: Sequence[Shot] = (), **values: object) -> tuple[Message, ...]:
        """The chat to send, turns trimmed; worked examples come before the last turn and are asked in its words."""
        *turns, last = self._turns
        chat = [self._said(turn, values) for turn in turns]
        for shot in shots:
            chat += [
                self._said(last, values | {"question": shot.question}),
                Message(role="assistant", content=shot.response),
            ]
        return (*chat, self._said(last, values))

    def _said(self, turn: _Turn, values: Mapping[str, object]) -> Message:
        try:
            text = turn.template.render(**values)
        except Exception as error:  # noqa: BLE001  a template of the user's may raise anything
            raise UsageError(f"{self.path}: {turn.role} turn: {type(error).__name__}: {error}") from None
        return cast("Message", {"role": turn.role, "content": text.strip()})

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


def asks_for(answer_format: str) -> str:
    """The words of an answer format: those of its name, else the text itself."""
    return ANSWER_FORMATS.get(answer_format, answer_format)


def format_fault(model: ModelConfig, prompts: Sequence[Prompt], policy: Policy) -> str:
    """Why the answer format of a model can't be meant: no prompt asks for it, or its answers would never count."""
    told, how = any(prompt.uses("answer_format") for prompt in prompts), how_asked(asks_for(model.answer_format))
    if told and how not in policy.accept:
        return f"its answers would be read as {how!r}, but verifier.accept is {', '.join(sorted(policy.accept))}"
    if not told and "answer_format" in model.model_fields_set:
        return f"not asked for: {prompts[0].path.name} has no {{{{ answer_format }}}}"
    return ""


def read_shots(path: Path) -> tuple[Shot, ...]:
    """The worked examples of a JSONL or YAML file. BadRow or UsageError naming the file, the place and the field."""
    try:
        if path.suffix in (".yaml", ".yml"):
            rows = parse_value(path.read_text(encoding="utf-8"))
            if not isinstance(rows, list):
                raise UsageError(f"{path}: should be a list of `question` and `response`")
            lines = {f"{path}: example {number}": orjson.dumps(row) for number, row in enumerate(rows, 1)}
        else:
            lines = {f"{path}:{number}": line for number, line in enumerate(open_lines(path), 1) if line.strip()}
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: can't be read: {error}") from None
    if not lines:
        raise UsageError(f"{path}: holds no example")
    return tuple(parse_row(line, Shot, where) for where, line in lines.items())


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
