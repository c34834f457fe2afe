"""What is wrong with a config, in words: the path to the field, what was expected and what is allowed there."""

from __future__ import annotations

import ast
import difflib
import inspect
import itertools
import re
import textwrap
import typing
from collections.abc import Iterator
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from mathsynth.errors import UsageError

_DICTIONARY = re.compile("a valid dictionary(?: or instance of \\w+)?")

Place = tuple[str | int, ...]
Config = TypeVar("Config", bound=BaseModel)


class ConfigError(UsageError):
    """A config is wrong at `faults`: pairs of (path inside the config, what was expected)."""

    def __init__(self, faults: list[tuple[Place, str]]) -> None:
        super().__init__("; ".join(f"{dotted(place)}: {text}" for place, text in faults))
        self.faults = faults


def validate(model: type[Config], data: Any, at: Place = ()) -> Config:
    """`data` as a config. ConfigError with every fault, each path starting with `at`."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise ConfigError([((*at, *place), text) for place, text in _faults(error, model)]) from None
    except ConfigError as error:
        raise ConfigError([((*at, *place), text) for place, text in error.faults]) from None


def dotted(place: Place) -> str:
    """`steps.sample.k`."""
    return ".".join(str(part) for part in place)


def unknown(name: object, allowed: typing.Iterable[str], kind: str = "key") -> str:
    """The line for a name that does not exist, with the nearest one that does."""
    allowed = sorted(allowed)
    near = difflib.get_close_matches(str(name), allowed, n=1)
    meant = f"; did you mean {near[0]!r}?" if near else ""
    return f"unknown {kind} {str(name)!r}{meant} (allowed: {', '.join(allowed) or 'none'})"


def _faults(error: ValidationError, model: type[BaseModel]) -> Iterator[tuple[Place, str]]:
    found = error.errors(include_url=False)
    for fault in found:
        place = tuple(fault["loc"])
        below = [other for other in found if other["loc"][: len(place)] == place and other is not fault]
        if fault["type"] == "too_short" and below:
            continue  # an item that is wrong counts for none
        if fault["type"] == "extra_forbidden":
            yield place, unknown(place[-1], _fields_at(model, place[:-1]))
        elif fault["type"] == "missing":
            yield place, "this key is required"
        else:
            value = repr(fault["input"])
            given = f", got {value if len(value) < 60 else value[:57] + '...'}"
            if fault["type"] == "value_error" and isinstance(fault["input"], dict):
                given = ""  # keys that don't go together; the line names them
            said = fault["msg"].removeprefix("Value error, ").replace("Input should be", "should be")
            yield place, _DICTIONARY.sub("a mapping of keys", said) + given


def _fields_at(model: type[BaseModel], place: Place) -> list[str]:
    """The keys allowed in the config that `place` leads to."""
    here: Any = model
    for part in place:
        if isinstance(part, str) and isinstance(here, type) and issubclass(here, BaseModel):
            here = _model_in(here.model_fields[part].annotation) if part in here.model_fields else here
    return list(here.model_fields) if isinstance(here, type) and issubclass(here, BaseModel) else []


def _model_in(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in typing.get_args(annotation) if (found := _model_in(part))), None)


def keys_of(model: type[BaseModel]) -> list[tuple[str, str, str]]:
    """(key, default, sentence) of a config, the sentences read from the strings below its fields."""
    sentences = _sentences(model)
    return [
        (key, "required" if field.is_required() else _shown(field.get_default(call_default_factory=True)), text)
        for key, field in model.model_fields.items()
        for text in [" ".join(sentences.get(key, "").split())]
    ]


def _shown(default: Any) -> str:
    if isinstance(default, BaseModel):
        return ", ".join(f"{key}={value}" for key, value in default.model_dump().items())
    return '""' if default == "" else str(default)


def _sentences(model: type[BaseModel]) -> dict[str, str]:
    """The string literal below each field, over the classes that a config is made of."""
    found: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if not (issubclass(base, BaseModel) and base.__module__.startswith("mathsynth")):
            continue
        body = ast.parse(textwrap.dedent(inspect.getsource(base))).body[0]
        assert isinstance(body, ast.ClassDef)
        for field, text in itertools.pairwise(body.body):
            if (
                isinstance(field, ast.AnnAssign)
                and isinstance(field.target, ast.Name)
                and isinstance(text, ast.Expr)
                and isinstance(text.value, ast.Constant)
                and isinstance(text.value.value, str)
            ):
                found[field.target.id] = text.value.value
    return found
