"""Where the recipes and the data that come with mathsynth are: inside the installed package, or beside it in a checkout."""

from __future__ import annotations

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
