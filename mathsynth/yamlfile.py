"""YAML with the place of every key, so that a mistake can be shown as `file:line`. Knows nothing of recipes.

Also `extends` (the base is merged key by key, `null` removes one), `${NAME}` and `${NAME:-default}` in text, and
`--set a.b=c`. What came from the environment is remembered, so that it can be kept out of every file. The short forms
of `input:` (a path, a list) are spelled out first, so that they merge and take overrides like the long one.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar, cast

import yaml

from mathsynth.errors import UsageError
from mathsynth.resources import from_shell, meant, shipped_recipe
from mathsynth.settings import Place, dotted

INPUT = "input"
FILES = {"path", "few_shot", "personas"}
"""Keys whose values are paths of files."""
_BOOL, _NO_TYPES = "tag:yaml.org,2002:bool", ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:timestamp")
Plain = TypeVar("Plain")
_ADDRESS = re.compile(r"https?://[\w.:\[\]-]+(?:/(?:v\d+|[a-z]{1,12}))*/?")
"""One of a host and plain words: other paths may hold a key."""
_ENV = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")


class _Loader(yaml.SafeLoader):
    """YAML 1.1 less its traps: `off`, `no` and `on` are texts, and so are dates; true and false are as in YAML 1.2."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in _NO_TYPES]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(_BOOL, re.compile("^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF"))


@dataclass
class Document:
    """Plain data, the place where each key was written, and the texts that came from the environment."""

    data: dict[str, Any]
    marks: dict[Place, str] = field(default_factory=dict)
    from_env: dict[str, str] = field(default_factory=dict)
    unfilled: dict[str, Any] = field(default_factory=dict)
    """The data as it was before the environment was read: what may be written down."""

    @property
    def base(self) -> str:
        """What relative paths start from, as it is written: from the recipe's folder on."""
        return str(self.data.get("base") or "")

    def where(self, place: Place) -> str:
        """`file:line` (or `--set …`) of the nearest key that was written down."""
        for length in range(len(place), -1, -1):
            if place[:length] in self.marks:
                return self.marks[place[:length]]
        return ""

    def redact(self, data: Plain) -> Plain:
        """Text or plain data with every value from the environment put back to its `${NAME}`."""
        return cast("Plain", self._redact(data))

    def hide(self, text: str) -> str:
        """A message without what came from the environment, but for plain addresses, in which nothing is secret."""
        secret = {value: name for value, name in self.from_env.items() if not _ADDRESS.fullmatch(value)}
        return replace(self, from_env=secret).redact(text)

    def _redact(self, data: Any) -> Any:
        if isinstance(data, dict):
            return {key: self._redact(item) for key, item in data.items()}
        if isinstance(data, list):
            return [self._redact(item) for item in data]
        if not isinstance(data, str):
            return data
        for value, name in sorted(self.from_env.items(), key=lambda pair: -len(pair[0])):
            data = data.replace(value, f"${{{name}}}") if len(value) >= 4 else data
        return data


def parse_value(text: str) -> Any:
    """What a text stands for as a value in YAML; itself if it is none."""
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.YAMLError:
        return text


def load(path: Path) -> Document:
    """The file merged over its bases. UsageError with `file:line` for whatever is wrong."""
    return _load(path, ())


def override(document: Document, sets: Sequence[str], base: Path | None = None) -> None:
    """Apply `--set` texts: `models.teacher.model=x`, or `sample.k=4` for a key of a step.

    With `base`, what the recipe's own paths start from, files that they name are looked for from the shell's folder.
    """
    for text in sets:
        _set(document, text)
    if base is not None:
        _from_shell(document.data, (), document, base)


def fill_from_env(document: Document) -> None:
    """Put in what `${NAME}` stands for. UsageError with `file:line` for a variable that is not set."""
    document.unfilled = document.data
    document.data = _fill(document.data, document, ())


def _load(path: Path, above: tuple[Path, ...]) -> Document:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise UsageError(f"{path}: {reason}") from None
    document = _parse(text, path)
    base = document.data.pop("extends", None)
    if base is None:
        return document
    if not isinstance(base, str):
        raise UsageError(f"{document.where(('extends',))}: extends: should be the path of a recipe")
    where, read = document.where(("extends",)), (*above, path)
    base_path = _base(base, path, where)
    if base_path in read:
        raise UsageError(f"{where}: it extends itself ({' -> '.join(str(p) for p in (*read, base_path))})")
    below = _load(base_path, read)
    return Document(_merge(below.data, document.data), below.marks | document.marks)


def _base(given: str, path: Path, where: str) -> Path:
    """The recipe that `path` extends: a file beside it, or by name one that ships with mathsynth."""
    beside = (path.parent / given).resolve()
    if beside.is_file():
        return beside
    if (shipped := shipped_recipe(given)) is not None:
        return shipped
    said = f"no such file: {beside}, and no recipe of that name ships with mathsynth{meant(given)}"
    raise UsageError(f"{where}: extends: {said}")


def _parse(text: str, path: Path) -> Document:
    try:
        node = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise UsageError(f"{path}:{line}: not YAML: {error.problem}") from None
    except yaml.YAMLError as error:
        raise UsageError(f"{path}: not YAML: {str(error).splitlines()[0]}") from None
    if not isinstance(node, yaml.MappingNode):
        raise UsageError(f"{path}:1: should be a mapping of keys, see `mathsynth recipe schema`")
    document = Document({}, {(): f"{path}:1"})
    document.data = _plain(node, (), path, document.marks, _Loader(""))
    _spell_out_input(document)
    return document


def _spell_out_input(document: Document) -> None:
    """`input: a.jsonl` and `input: [a.jsonl, {path: b}]` as `input: {sources: [{path: …}, …]}`, marks too."""
    given = document.data.get(INPUT)
    if not isinstance(given, str | list):
        return
    items = [given] if isinstance(given, str) else given
    document.data[INPUT] = {"sources": [{"path": item} if isinstance(item, str) else item for item in items]}
    moved = {place: mark for place, mark in document.marks.items() if place[0:1] == (INPUT,) and len(place) > 1}
    for place, mark in moved.items():
        del document.marks[place]
        document.marks[(INPUT, "sources", *place[1:])] = mark


def _plain(node: yaml.Node, place: Place, path: Path, marks: dict[Place, str], loader: _Loader) -> Any:
    if isinstance(node, yaml.MappingNode):
        data: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key, line = key_node.value, key_node.start_mark.line + 1
            if not isinstance(key, str) or key in data:
                raise UsageError(f"{path}:{line}: {dotted((*place, str(key)))}: this key is written twice")
            marks[(*place, key)] = f"{path}:{line}"
            data[key] = _plain(value_node, (*place, key), path, marks, loader)
        return data
    if isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            marks[(*place, number)] = f"{path}:{item.start_mark.line + 1}"
        return [_plain(item, (*place, number), path, marks, loader) for number, item in enumerate(node.value)]
    return loader.construct_object(node)


def _merge(below: Any, above: Any) -> Any:
    if isinstance(below, dict) and isinstance(above, dict):
        merged = dict(below)
        for key, value in above.items():
            if value is None:
                merged.pop(key, None)
            else:
                merged[key] = _merge(below[key], value) if key in below else value
        return merged
    return above


def _set(document: Document, text: str) -> None:
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise UsageError(f"--set {text}: expected stage.key=value")
    parts = key.strip().split(".")
    steps = document.data.get("steps")
    if isinstance(steps, dict) and parts[0] in steps:
        parts = ["steps", *parts]
    parsed = parse_value(value)
    here: Any = document.data
    for number, part in enumerate(parts[:-1]):
        if isinstance(here, dict) and here.get(part) is None:
            here[part] = {}
        if not isinstance(here, dict) or not isinstance(here[part], dict):
            raise UsageError(f"--set {text}: {dotted(tuple(parts[: number + 1]))} has no keys below it")
        here = here[part]
    here[parts[-1]] = parsed
    for place in [place for place in document.marks if place[: len(parts)] == tuple(parts)]:
        del document.marks[place]  # what was written there holds no more
    for length in range(1, len(parts) + 1):
        document.marks.setdefault(tuple(parts[:length]), f"--set {text}")
    _spell_out_input(document)


def _from_shell(value: Any, place: Place, document: Document, base: Path) -> None:
    for key, item in list(value.items() if isinstance(value, dict) else enumerate(value)):
        here = (*place, key)
        if isinstance(item, dict | list):
            _from_shell(item, here, document, base)
        elif key in FILES and isinstance(item, str) and "${" not in item and document.where(here).startswith("--set "):
            hub = value.get("format") == "datasets" and not os.path.exists(item)  # the name of a data set
            value[key] = item if hub else from_shell(item, base)


def _fill(value: Any, document: Document, place: Place) -> Any:
    if isinstance(value, dict):
        return {key: _fill(item, document, (*place, key)) for key, item in value.items()}
    if isinstance(value, list):
        return [_fill(item, document, (*place, number)) for number, item in enumerate(value)]
    if not isinstance(value, str):
        return value

    def from_env(match: re.Match[str]) -> str:
        name, default = match.groups()
        found = os.environ.get(name)
        if found is None:
            if default is None:
                raise UsageError(
                    f"{document.where(place)}: {dotted(place)}: the environment variable {name} is not set "
                    f"(write ${{{name}:-default}} to do without)"
                )
            return str(default)
        document.from_env[found] = name
        return found

    return _ENV.sub(from_env, value)
