"""Runs the command line in this process, and writes small projects for it: seeds, a recipe, prompts, a scripted model.

The model adds: right twice of three times, by question and sample number; told to REWRITE, it puts words before the
question, and told to CHANGE, it adds one to each number. Every request that reaches it is a line of `asked.log`.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import sys
from collections.abc import Iterable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import yaml

from mathsynth import cli

TEACHER = r"""
import re
from pathlib import Path

ASKED = Path(__file__).with_name("asked.log")

def reply(request):
    with ASKED.open("a") as log:
        log.write(request.key() + "\n")
    system = "".join(m["content"] for m in request.messages if m["role"] == "system")
    text = request.messages[-1]["content"]
    if "REWRITE" in system:
        return f"Problem: Think of this. {text}"
    if "CHANGE" in system:
        return "Problem: " + re.sub(r"\d+", lambda found: str(int(found[0]) + 1), text)
    numbers = [int(number) for number in re.findall(r"\d+", text)]
    first, second = numbers[-2:] if len(numbers) > 1 else (0, 0)
    right = first + second
    said = right if (request.sample + first) % 3 else right + 1
    return f"We add {first} and {second}, so {first} + {second} = {said}. The answer is \\boxed{{{said}}}."
"""
PROMPTS = {
    "ask": "## user\n\n{{ question }}\n",
    "say": "## system\n\nREWRITE\n\n## user\n\n{{ question }}\n",
    "change": "## system\n\nCHANGE {{ instruction }}\n\n## user\n\n{{ question }}\n",
    "retell": "## system\n\nREWRITE for {{ persona }}\n\n## user\n\n{{ question }}\n",
}
STEPS: dict[str, Any] = {
    "seed-expand": {"methods": {"rephrase": {"prompt": "say"}}},
    "sample": {"prompt": "ask", "k": 2, "max_trials": 6},
    "verify": {},
    "dedupe": {},
    "export": {},
}


@dataclass(frozen=True)
class Result:
    """What a command left: its exit code, its data and its messages."""

    code: int
    out: str
    err: str


def ms(*args: object, stdin: bytes = b"") -> Result:
    """Run `mathsynth args…` here."""
    out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.TextIOWrapper(io.BytesIO(), "utf-8")
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        with (
            patch.object(os, "fsync", lambda handle: None),  # a third of the time of a small run
            patch.object(cli.app, "registered_commands", [*cli.app.registered_commands]),  # or they add up
            patch.object(sys, "argv", ["mathsynth", *map(str, args)]),
            patch.object(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin), "utf-8")),
            redirect_stdout(out),
            redirect_stderr(err),
        ):
            cli.main()
    except SystemExit as end:
        code = end.code
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        out.flush()
        err.flush()
    texts = [stream.buffer.getvalue().decode() for stream in (out, err)]  # type: ignore[attr-defined]
    return Result(int(code or 0), *texts)


def write_project(folder: Path, seeds: int = 4, steps: dict[str, Any] | None = None, **model: Any) -> Path:
    """Seeds `What is 2 + 3?`, the prompts, the model and `recipe.yaml`; the recipe's path."""
    (folder / "prompts").mkdir(parents=True)
    for name, text in PROMPTS.items():
        (folder / "prompts" / f"{name}.md").write_text(text)
    (folder / "teacher.py").write_text(TEACHER)
    write_lines(folder / "seeds.jsonl", [seed(number) for number in range(seeds)])
    teacher = {"backend": "scripted", "replies": f"{folder / 'teacher.py'}:reply", "max_in_flight": 4, **model}
    recipe = {
        "name": "sums",
        "input": ["seeds.jsonl"],
        "models": {"teacher": teacher},
        "steps": STEPS if steps is None else steps,
    }
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe, sort_keys=False))
    return path


def copy_run(recipe: Path, run: Path, to: Path) -> None:
    """A finished run of another project of the same content, with what its model was asked."""
    shutil.copytree(run, to, symlinks=True)
    shutil.copy(run.parent / "sums" / "asked.log", recipe.with_name("asked.log"))


def seed(number: int) -> dict[str, Any]:
    first, second = 2 + number, 3 + number
    return {"question": f"What is {first} + {second}?", "answer": str(first + second), "license": "CC-BY-4.0"}


def asked(recipe: Path) -> list[str]:
    """The keys of the requests that reached the model, in order."""
    log = recipe.with_name("asked.log")
    return log.read_text().split() if log.exists() else []


def write_lines(path: Path, rows: Iterable[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def read_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def step(run: Path, name: str) -> Path:
    """The one directory of a step."""
    (found,) = run.glob(f"[0-9][0-9]-{name}-*")
    return found


def rows(directory: Path) -> list[dict[str, Any]]:
    """The kept rows of a step."""
    return [row for shard in sorted(directory.glob("[0-9]*.jsonl")) for row in read_lines(shard)]
