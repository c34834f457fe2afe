"""Where the recipes and data that come with mathsynth are: inside the installed package, or beside it in a checkout."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from mathsynth.errors import UsageError


def folder(name: Literal["data", "recipes"]) -> Path:
    """The folder `recipes` or `data` of this installation. UsageError if it was not installed."""
    package = Path(__file__).parent
    for place in (package / name, package.parent / name):
        if place.is_dir():
            return place
    raise UsageError(f"{name}/ is neither in {package} nor beside it; install mathsynth from its wheel or a checkout")


def resolve(path: str, base: Path) -> Path:
    """A path as recipes write them: relative to `base`, or `data:` for what comes with mathsynth."""
    if path.startswith("data:"):
        return folder("data") / path.removeprefix("data:")
    return Path(os.path.normpath(base / Path(path).expanduser()))
