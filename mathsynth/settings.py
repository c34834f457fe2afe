"""What is wrong with a config, in words: the path to the field, what was expected and what is allowed there."""

from __future__ import annotations

import difflib
import typing
from collections.abc import Iterator
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from mathsynth.errors import UsageError

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
    for fault in error.errors(include_url=False):
        place = tuple(fault["loc"])
        if fault["type"] == "extra_forbidden":
            yield place, unknown(place[-1], _fields_at(model, place[:-1]))
        elif fault["type"] == "missing":
            yield place, "this key is required"
        else:
            value = repr(fault["input"])
            given = f", got {value if len(value) < 60 else value[:57] + '...'}"
            yield place, fault["msg"].removeprefix("Value error, ").replace("Input should be", "should be") + given


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
