"""Where the recipes and data that come with mathsynth are: inside the installed package, or beside it in a checkout."""

from __future__ import annotations

import difflib
import glob
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


def find_recipe(given: str) -> Path:
    """A recipe by path, or by name among those that ship with mathsynth. UsageError naming these."""
    path = Path(given)
    if path.is_file():
        return path.resolve()
    if (found := shipped_recipe(given)) is not None:
        return found
    raise UsageError(f"{given}: no such recipe file{meant(given)}; shipped ones: {', '.join(_names())}")


def shipped_recipe(name: str) -> Path | None:
    """The recipe of that name that ships, if one does."""
    return folder("recipes") / f"{name}.yaml" if name in _names() else None


def meant(given: str) -> str:
    """`; did you mean 'quickstart'?`, if a recipe that ships has nearly that name."""
    near = difflib.get_close_matches(Path(given).stem, _names(), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _names() -> list[str]:
    return sorted(found.stem for found in folder("recipes").glob("*.yaml"))


def from_shell(path: str, base: Path) -> str:
    """A path that the shell says, for a recipe whose paths start from `base`: absolute, unless only `base` has it."""
    here, there = Path(os.path.abspath(path)), resolve(path, base)
    if path.startswith(("data:", "~")) or here == there or (_there(there) and not _there(here)):
        return path
    return str(here)


def _there(path: Path) -> bool:
    return path.exists() or next(glob.iglob(str(path)), None) is not None


def resolve(path: str, base: Path) -> Path:
    """A path as recipes write them: relative to `base`, or `data:` for what comes with mathsynth."""
    if path.startswith("data:"):
        return folder("data") / path.removeprefix("data:")
    return Path(os.path.normpath(base / Path(path).expanduser()))
