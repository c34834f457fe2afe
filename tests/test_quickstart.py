"""The quickstart's recipe on the real embedded model: in process, and through the engine's own HTTP server."""

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import orjson
import pytest

from mathsynth.models import list_models
from mathsynth.verifier.steps import false_steps

pytestmark = [
    pytest.mark.slow,
    pytest.mark.engine,
    pytest.mark.skipif(not list_models()[0].pulled, reason="mathsynth models pull smollm2-135m"),
]
ROOT = Path(__file__).parents[1]
SEEDS = 8


def generate(run: Path, *sets: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mathsynth", "generate", "quickstart", "-o", str(run), "--limit", str(SEEDS)]
    return subprocess.run(
        [*command, *(word for text in sets for word in ("--set", text))],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "HOME": str(Path.home()), **environment},
        timeout=280,
        check=False,
    )


def rows(run: Path, step: str) -> list[dict]:
    return [orjson.loads(line) for path in run.glob(f"*-{step}-*/0*.jsonl") for line in path.read_bytes().splitlines()]


def check(run: Path) -> None:
    solutions = rows(run, "export")
    assert solutions
    seeds = {row["id"]: row for row in rows(run, "input")}
    for row in solutions:
        seed = seeds[row["parents"][0] if row["parents"] else row["problem_id"]]
        assert Fraction(row["extracted"]) == Fraction(seed["answer"])
        assert row["verdict"]["outcome"] == "correct"
        assert row["finish_reason"] == "stop"
        assert row["usage"]["completion_tokens"] > 0
        assert not false_steps(row["response"])
    ledger = (
        rows(run, "sample"),
        [orjson.loads(line) for line in next(run.glob("*-sample-*/problems.jsonl")).read_bytes().splitlines()],
    )
    assert len(ledger[0]) == sum(line["kept"] for line in ledger[1])


def test_in_process_and_again_asks_nothing(tmp_path):
    done = generate(tmp_path / "run")
    assert done.returncode == 0, done.stderr
    check(tmp_path / "run")
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("0*.jsonl*")}
    assert generate(tmp_path / "run").returncode == 0
    assert {path: path.read_bytes() for path in (tmp_path / "run").rglob("0*.jsonl*")} == before


def test_through_an_openai_compatible_server(tmp_path):
    """The engine's own HTTP server in another process; the same recipe, the key from the environment."""
    code = (
        "import sys\n"
        "from mathsynth.backends.llamacpp import Config, connect\n"
        "engine = connect(Config(backend='llamacpp', slots=4, threads=1))\n"
        "print(engine.address, engine.key, flush=True)\n"
        "sys.stdin.read()\n"
    )
    server = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    try:
        assert server.stdout is not None
        address, key = server.stdout.readline().split()
        done = generate(
            tmp_path / "run",
            "models.teacher.backend=openai",
            f"models.teacher.base_url={address}",
            "models.teacher.model=smollm2-135m",
            OPENAI_API_KEY=key,
        )
        assert done.returncode == 0, done.stderr
        check(tmp_path / "run")
        assert all(key.encode() not in path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file())
    finally:
        server.kill()
        server.communicate()
