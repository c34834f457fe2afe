"""Every command of the README runs. The two make targets and the embedded model are for .ci/run; a mock stands in."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from fault_server import fault_server

ROOT = Path(__file__).parents[1]
MODEL_COMMANDS = ("generate", "preview")


def commands() -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [re.sub(r"\s+#\s.*", "", line).strip() for line in lines if line.strip()]


def test_the_make_targets_exist():
    makefile = (ROOT / "Makefile").read_text()
    for command in commands():
        if command.startswith("make "):
            assert re.search(rf"^{command.split()[1]}:", makefile, re.MULTILINE), command


def test_the_tree_is_true():
    text = (ROOT / "README.md").read_text()
    named = set(re.findall(r"\b(\w+)\.py\b", text)) | set(re.findall(r"── (\w+)/", text))
    real = {path.stem for path in (ROOT / "mathsynth").glob("*.py")} | {
        path.name for path in (ROOT / "mathsynth").iterdir() if path.is_dir() and path.name != "__pycache__"
    }
    assert real - {"__init__", "__main__", "procedural"} - named <= {
        "settings",
        "progress",
        "prompts",
        "models",
        "resources",
    }
    assert named - real <= {"my_stage", "test_my_stage", "test_architecture", "base"}


@pytest.mark.slow
def test_every_command_runs(tmp_path):
    (tmp_path / "data").symlink_to(ROOT / "data")
    with fault_server(seeds=ROOT / "data" / "seeds") as server:
        mock = f"--set models.teacher.backend=openai --set models.teacher.base_url={server.url} "
        mock += "--set models.teacher.model=mock-model"
        for command in commands():
            if not command.startswith("mathsynth "):
                continue
            words = shlex.split(command)[1]
            if words in MODEL_COMMANDS:
                command = f"{command} {mock}"
            command = command.replace("mathsynth", f"{sys.executable} -m mathsynth", 1)
            done = subprocess.run(
                ["bash", "-c", command],
                cwd=tmp_path,
                capture_output=True,
                text=True,
                env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
            )
            assert done.returncode == 0, (command, done.stderr, done.stdout)
            assert "Traceback" not in done.stderr
