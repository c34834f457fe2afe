"""The Ray executor on real clusters of this machine: the same bytes as here, also if workers and a node are killed."""

import contextlib
import gc
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mathsynth.errors import UsageError
from mathsynth.executors.ray import Judges
from mathsynth.verifier import Policy

pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
ROOT = Path(__file__).parents[1]
PROBLEMS = 2300
TEACHER = r"""
import random, re, time

def reply(request):
    numbers = re.search(r"What is (\d+) \+ (\d+)", request.messages[-1]["content"])
    a, b = int(numbers[1]), int(numbers[2])
    time.sleep(0.001)
    total = a + b + (random.Random(request.key()).random() < 0.3)
    return f"Adding {a} to {b}: {a} + {b} = {total}. So the answer is \\boxed{{{total}}}."
"""
RECIPE = """
name: sums
input: problems.jsonl
models:
  teacher: {backend: scripted, replies: '%s/teacher.py:reply', replicas: 2, max_in_flight: 16}
steps:
  sample: {policy: prop2diff, pilot: 2, k: 3, max_trials: 5}
  verify: {}
  export: {}
"""


@pytest.fixture(autouse=True)
def tidy():
    """Ray leaves files open in the process that uses it; what complains of them must do so here."""
    yield
    gc.collect()


def write_recipe(folder: Path) -> Path:
    (folder / "teacher.py").write_text(TEACHER)
    lines = (f'{{"question": "What is {n} + {n + 7} in total?", "answer": "{2 * n + 7}"}}\n' for n in range(PROBLEMS))
    (folder / "problems.jsonl").write_text("".join(lines))
    (folder / "recipe.yaml").write_text(RECIPE % folder)
    return folder / "recipe.yaml"


def start(recipe: Path, run: Path, *more: str) -> subprocess.Popen[str]:
    environment = {key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"}
    return subprocess.Popen(
        [sys.executable, "-m", "mathsynth", "generate", str(recipe), "-o", str(run), *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment | {"PYTHONPATH": str(ROOT)},
    )


def bytes_of(run: Path) -> dict[str, bytes]:
    files = [path for path in run.glob("0*/*.jsonl") if not path.name.startswith(".")]
    return {str(path.relative_to(run)): path.read_bytes() for path in files}


def processes(name: str) -> list[int]:
    """Those that Ray gives this name while they work."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if path.read_bytes().startswith(name.encode()):
                found.append(int(path.parent.name))
    return found


def kill_one(name: str, within_s: float = 60) -> None:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        for pid in processes(name):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                return
        time.sleep(0.002)
    raise AssertionError(f"no process {name} came")


@pytest.mark.slow
def test_the_rows_are_those_of_a_local_run_though_workers_and_a_node_are_killed(tmp_path):
    from ray.cluster_utils import Cluster

    recipe = write_recipe(tmp_path)
    local = start(recipe, tmp_path / "local")
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False})
    try:
        node = cluster.add_node(num_cpus=1)
        assert local.wait(120) == 0
        far = start(recipe, tmp_path / "far", "--executor", "ray", "--ray-address", cluster.address)
        journal = tmp_path / "far" / "replies" / "01-sample" / "00000.jsonl"
        while not (journal.exists() and journal.stat().st_size > 100_000):
            assert far.poll() is None, far.communicate()
            time.sleep(0.02)
        kill_one("ray::Engine")
        cluster.remove_node(node, allow_graceful=False)
        kill_one("ray::work_on_shard")
        out, err = far.communicate(timeout=180)
        assert far.returncode == 0, err
        assert "a Ray cluster of 2 nodes, 3 CPUs, 0 GPUs" in err
        assert "training data" in out
        assert bytes_of(tmp_path / "far") == bytes_of(tmp_path / "local")
    finally:
        cluster.shutdown()


@pytest.mark.slow
def test_a_cluster_of_this_machine_ends_with_the_run_and_a_signal_ends_it_in_order(tmp_path):
    recipe, run = write_recipe(tmp_path), tmp_path / "run"
    first = start(recipe, run, "--executor", "ray")
    while not any(run.glob("replies/01-sample/0*")):
        assert first.poll() is None, first.communicate()
        time.sleep(0.05)
    time.sleep(0.5)
    first.send_signal(signal.SIGTERM)
    out, err = first.communicate(timeout=90)
    assert (first.returncode, out) == (3, ""), err
    assert "the same command goes on" in err
    assert processes("ray::Engine") == []
    # What it asked for is used by a run without a cluster.
    second = start(recipe, run)
    out, err = second.communicate(timeout=120)
    assert second.returncode == 0, err


def test_without_ray_the_extra_is_named(monkeypatch):
    from mathsynth.executors.ray import Cluster

    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError, match=r"pip install 'mathsynth\[ray\]'"):
        Cluster("", print)


@pytest.mark.slow
def test_hard_comparisons_are_made_by_judges_and_too_many_replicas_are_refused():
    from mathsynth.backends.scripted import Config
    from mathsynth.executors.ray import Cluster
    from mathsynth.verifier import Policy
    from mathsynth.verifier.verdict import Question
    from mathsynth.verifier.worker import Checker

    hard = Question(r"\sqrt{2+\sqrt3}", r"\frac{\sqrt6+\sqrt2}{2}", "given")
    with Cluster("", lambda line: None) as cluster, Checker(Policy()) as here:
        far = cluster.checker(Policy())
        assert far.slow(hard) == here.slow(hard)
        assert far.slow(hard).equal is True
        config = Config(backend="scripted", replies="nowhere.jsonl", replicas=1000)
        with pytest.raises(UsageError, match="1000 replicas need 1000 CPUs"):
            cluster.connect(config, None)


def test_a_judge_that_died_is_not_the_next_one_asked():
    judges = Judges(Policy(), ["died", "alive"])
    judges.free.put(judges.free.get())
    assert judges.free.get() == "alive"
