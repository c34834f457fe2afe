"""Runs of a small recipe against the fault server, as a process or in this one, and what they leave on disk.

with fault_server() as server:
    recipe = write_recipe(tmp_path)
    done = generate(recipe, tmp_path / "one" / "run", server.url)  # a process: done.code, done.err
    done = generate_here(recipe, tmp_path / "run", server.url)  # the same without the start-up time
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fault_server import MODEL
from mathsynth.errors import MathsynthError
from mathsynth.pipeline import Options
from mathsynth.pipeline import generate as run_pipeline
from mathsynth.recipe import read_recipe
from mathsynth.shards import open_lines

ROOT = Path(__file__).parents[1]
IN_FLIGHT = 8
NOT_ROWS = (".lock", ".status.json", ".control.json", "report.html")
SAMPLE_ONLY = "  sample: {policy: uniform, k: 2, max_trials: 6}\n  export: {}\n"
EVERY_STEP = """\
  seed-expand: {methods: {rephrase: {n: 1}}}
  persona-rewrite: {kind: keep}
  sample: {policy: uniform, k: 2, max_trials: 6}
  verify: {}
  dedupe: {solutions: exact}
  export: {validation: 0.2}
"""
RECIPE = """\
name: small
input: problems.jsonl
models:
  teacher:
    backend: openai
    model: {model}
    max_in_flight: {in_flight}
    timeout_s: 5
    retries: 8
    give_up_after_s: 20
steps:
{steps}"""
# In the words that the mock server understands.
PROMPTS = {
    "rephrase": "## system\nBegin with `Problem:`. Keep every number.\n## user\nProblem: {{ question }}\n",
    "persona-keep": "## system\n{{ persona }} Begin with `Problem:`. Keep every number.\n"
    "## user\nProblem: {{ question }}\n",
}


@dataclass(frozen=True)
class Done:
    """How a run ended."""

    code: int
    err: str
    out: str = ""

    @property
    def last(self) -> str:
        """The last line on stderr."""
        return (self.err.splitlines() or [""])[-1]


def question(number: int) -> str:
    return f"Ann has {number + 3} red beans and {2 * number + 5} green ones. What is {number + 3} + {2 * number + 5}?"


def write_problems(path: Path, numbers: Sequence[int]) -> None:
    lines = [json.dumps({"question": question(n), "answer": str(3 * n + 8)}) + "\n" for n in numbers]
    path.write_text("".join(lines))


def write_recipe(directory: Path, problems: int = 10, steps: str = SAMPLE_ONLY) -> Path:
    """`recipe.yaml`, its `problems.jsonl` and its prompts in `directory`."""
    (directory / "prompts").mkdir(parents=True, exist_ok=True)
    for name, text in PROMPTS.items():
        (directory / "prompts" / f"{name}.md").write_text(text)
    write_problems(directory / "problems.jsonl", range(problems))
    (directory / "recipe.yaml").write_text(RECIPE.format(model=MODEL, in_flight=IN_FLIGHT, steps=steps))
    return directory / "recipe.yaml"


def start(
    recipe: Path,
    run: Path,
    url: str | None,
    sets: Sequence[str] = (),
    flags: Sequence[str] = (),
    env: dict[str, str] | None = None,
) -> subprocess.Popen[str]:
    """`mathsynth generate` as a process of its own."""
    run.parent.mkdir(parents=True, exist_ok=True)
    texts = [*_at(url), *sets]
    return subprocess.Popen(
        # Named alike from alike places, for the data set card quotes the command.
        [sys.executable, "-m", "mathsynth", "generate", str(recipe), "-o", run.name, *flags]
        + [part for text in texts for part in ("--set", text)],
        cwd=run.parent,
        env=os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "100"} | (env or {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _at(url: str | None) -> list[str]:
    return [f"models.teacher.base_url={url}"] if url else []


def finish(process: subprocess.Popen[str], timeout: float = 60) -> Done:
    """Wait for a started run."""
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        raise AssertionError(f"the run did not end within {timeout} s; stderr: {err[-2000:]}") from None
    return Done(process.returncode, err, out)


def generate(
    recipe: Path,
    run: Path,
    url: str | None,
    sets: Sequence[str] = (),
    flags: Sequence[str] = (),
    env: dict[str, str] | None = None,
    timeout: float = 60,
) -> Done:
    """`mathsynth generate` as a process, until it ends."""
    return finish(start(recipe, run, url, sets, flags, env), timeout)


def generate_here(recipe: Path, run: Path, url: str | None, sets: Sequence[str] = (), **options: Any) -> Done:
    """The same inside this process: what the command would say and return."""
    said: list[str] = []
    try:
        found = read_recipe(recipe, [*_at(url), *sets])
        run_pipeline(found, run, Options(say=said.append, **options))
    except MathsynthError as error:
        return Done(error.exit_code, "\n".join([*said, str(error)]))
    return Done(0, "\n".join(said))


def step(run: Path, name: str) -> Path:
    """The newest directory of a step."""
    found = sorted(run.glob(f"[0-9][0-9]-{name}-????????"), key=lambda path: path.stat().st_mtime)
    assert found, f"{run} has no step {name}"
    return found[-1]


def rows(path: Path) -> list[dict[str, Any]]:
    """The lines of a JSONL file, none if there is no file."""
    return [json.loads(line) for line in open_lines(path)] if path.exists() else []


def result(run: Path) -> dict[str, bytes]:
    """Every file of a run that must not depend on time, host or kills, by its relative path.

    Journals hold replies in the order of their arrival and are left out; so is what a manifest says of time and tries.
    """
    files = {}
    for path in sorted(run.rglob("*")):
        name = path.relative_to(run).as_posix()
        if path.is_dir() or path.name in NOT_ROWS or name.startswith("replies/"):
            continue
        content = path.read_bytes()
        if path.name == "manifest.json":
            manifest = json.loads(content)
            for key in ("seconds", "started", "finished", "host"):
                del manifest[key]
            for use in manifest["models"].values():
                del use["errors"], use["timed"], use["seconds"]
            if manifest["stage"] == "sample":
                del manifest["models"]
            content = json.dumps(manifest, indent=1).encode()
        files[name] = content
    return files


def replies(run: Path) -> int:
    """How many replies the journals of a run hold."""
    return sum(1 for path in (run / "replies").rglob("*.jsonl*") for _ in open_lines(path))


def unaccounted(run: Path, name: str = "sample") -> set[str]:
    """Ids of problems that a step read and that are in none of its files."""
    directory = step(run, name)
    before = sorted(run.glob(f"{int(directory.name[:2]) - 1:02d}-*"), key=lambda path: path.stat().st_mtime)[-1]
    read = {row["id"] for shard in before.glob("0*.jsonl") for row in rows(shard)}
    there = {row.get("problem_id", row["id"]) for shard in directory.glob("0*.jsonl") for row in rows(shard)}
    for side in ("dropped.jsonl", "failed.jsonl"):
        there |= {row["row"]["id"] for row in rows(directory / side)}
    return read - there
