"""One file a backend, found by its file name and imported when a recipe names it.

A backend module has a docstring, `class Config(ModelConfig)` and `def connect(config, home) -> Backend`.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any, Protocol, cast

from mathsynth.backends.base import Backend, Home, ModelConfig
from mathsynth.errors import UsageError


class BackendModule(Protocol):
    """A backend module, as the recipe and the context see it."""

    Config: type[ModelConfig]

    def connect(self, config: Any, home: Home | None = None) -> Backend:
        """Open a connection. UsageError for what only the user can mend (no key, no weights, missing extra)."""


def backend_names() -> list[str]:
    """The backends that exist, by file name."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name != "base")


def load_backend(name: str) -> BackendModule:
    """The module of a backend. UsageError naming those that exist if there is none."""
    if name not in backend_names():
        raise UsageError(f"unknown backend {name!r}; there are: {', '.join(backend_names())}")
    return cast(BackendModule, importlib.import_module(f"{__name__}.{name}"))


def connect(config: ModelConfig, home: Home | None = None) -> Backend:
    """The backend that a model's config names, connected."""
    return load_backend(config.backend).connect(config, home)
