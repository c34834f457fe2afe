"""The vLLM backend: what can be said of it without vLLM, and (slow, `make test-vllm`) real engines on this CPU.

The slow tests run `mathsynth generate` as a user does, with SmolLM2-135M in bfloat16 made by `vllm_model.py`.
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from mathsynth.backends import vllm as backend
from mathsynth.errors import UsageError
from mathsynth.shards import open_lines
from runs import rows, step, unaccounted

HERE = Path(__file__).parent
INSTALLED = importlib.util.find_spec("vllm") is not None
SEEDS = 24
NAME = "smollm2"
SHARED = {"max_model_len": 1024, "dtype": "bfloat16", "max_num_seqs": 32}
"""What both kinds of engine are told."""


@pytest.mark.skipif(INSTALLED, reason="vLLM is installed here")
def test_without_vllm_one_line_says_how_to_install_it() -> None:
    with pytest.raises(UsageError, match=r"run: pip install 'mathsynth\[vllm\]'"):
        backend.connect(backend.Config(backend="vllm", model="m"))


def test_settings_with_a_key_of_their_own_are_not_taken_from_engine_args() -> None:
    with pytest.raises(ValidationError, match="'tensor_parallel_size' is set by"):
        config(engine_args={"tensor_parallel_size": 2})
    assert config(engine_args={"max_num_seqs": 8}).engine_args == {"max_num_seqs": 8}


def test_what_changes_the_replies_is_in_the_hash_and_what_changes_the_speed_is_not() -> None:
    hashed = config().model_dump()
    assert {"lora", "quantization", "dtype", "seeded"} <= set(hashed)
    assert not {"tensor_parallel_size", "max_model_len", "engine_args", "enforce_eager", "weights"} & set(hashed)


def test_every_setting_reaches_the_engine() -> None:
    given = {
        "tensor_parallel_size": 2,
        "data_parallel_size": 4,
        "quantization": "fp8",
        "dtype": "float16",
        "max_model_len": 4096,
        "gpu_memory_utilization": 0.8,
        "enforce_eager": True,
    }
    settings = backend.engine_settings(config(weights="w", engine_args={"max_num_seqs": 8}, **given))
    assert given.items() <= settings.items()
    assert (settings["model"], settings["max_num_seqs"]) == ("w", 8)
    assert "enable_lora" not in settings
    assert "quantization" not in backend.engine_settings(config())


def test_unseeded_engines_do_not_repeat_each_other() -> None:
    seeds = {backend.engine_settings(config())["seed"] for _ in range(3)}
    assert len(seeds) == 3
    assert backend.engine_settings(config(engine_args={"seed": 5}))["seed"] == 5
    assert "seed" not in backend.engine_settings(config(seeded=True))


def test_room_is_made_for_the_rank_of_the_lora_adapter(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text('{"r": 40}')
    settings = backend.engine_settings(config(lora=str(tmp_path)))
    assert (settings["enable_lora"], settings["max_lora_rank"]) == (True, 64)
    with pytest.raises(UsageError, match="not a LoRA adapter"):
        backend.engine_settings(config(lora=str(tmp_path / "none")))


def test_the_guard_kills_what_its_owner_leaves_behind(tmp_path: Path) -> None:
    owner = subprocess.Popen([sys.executable, "-c", OWNER], stdout=subprocess.PIPE, text=True, cwd=HERE.parent)
    assert owner.stdout is not None
    child = int(owner.stdout.readline())
    below = wait_for(lambda: descendants(child))
    owner.kill()
    owner.wait()
    owner.stdout.close()
    wait_for(lambda: not alive([*below, *tree_of(child)]))


OWNER = """
import multiprocessing, subprocess, time
from mathsynth.guard import Guard

if __name__ == "__main__":
    guard = Guard()
    # As vLLM starts its own, but for the fork that would hold the guard's pipe open.
    child = multiprocessing.get_context("spawn").Process(target=subprocess.run, args=(["sleep", "60"],))
    child.start()
    guard.watch(child.pid)
    print(child.pid, flush=True)
    time.sleep(60)
"""


@pytest.fixture(scope="module")
def model() -> str:
    """The directory of the converted weights."""
    if not INSTALLED:
        assert not os.environ.get("MATHSYNTH_TEST_VLLM"), "make test-vllm runs where vLLM is not installed"
        pytest.skip("needs vLLM: make test-vllm")
    done = subprocess.run(
        [sys.executable, HERE / "vllm_model.py"],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=300,
        env=os.environ | {"PYTHONPATH": str(HERE.parent)},
    )
    return done.stdout.splitlines()[-1]


@pytest.mark.slow
@pytest.mark.vllm
@pytest.mark.timeout(600)
def test_in_process_and_behind_vllm_serve_the_same_recipe_gives_the_same_rows(model: str, tmp_path: Path) -> None:
    here, run = in_process(tmp_path, model), tmp_path / "here"
    done = generate(here, run)
    assert done.returncode == 0, done.stderr
    assert len(check_run(run)) == SEEDS

    # Without its manifest the step is open again: every reply is found, no engine starts.
    (step(run, "sample") / "manifest.json").unlink()
    started = time.monotonic()
    assert generate(here, run).returncode == 0
    use = json.loads((step(run, "sample") / "manifest.json").read_bytes())["models"]["teacher"]
    assert (use["requests"], use["reused"]) == (0, SEEDS)
    assert time.monotonic() - started < 15

    # A server of the run's own, killed in the middle of its work.
    there = tmp_path / "there"
    with running(served(tmp_path, model), there, ("models.teacher.max_in_flight=4",)) as process:
        wait_for(lambda: len(journal(there)) >= 3)
        below = descendants(process.pid)
        (server,) = [number for number, text in below if " serve " in text and "EngineCore" not in text]
        os.kill(server, signal.SIGKILL)
        assert process.wait(120) == 0
        assert process.stderr is not None
        assert "server teacher-0 ended and is started again, signal 9" in process.stderr.read()
        assert not alive(below)
    log = (there / "servers" / "teacher-0.log").read_text()
    assert log.count("=== ") == 2
    one, other = check_run(run), check_run(there)
    # The same requests by their hashes. Greedy replies in bfloat16 may part where two tokens are nearly as likely and
    # the batches differ.
    assert one.keys() == other.keys()
    same = sum(one[key]["text"] == other[key]["text"] for key in one)
    print(f"in process and served: {same} of {len(one)} greedy replies are alike")
    assert same >= 0.9 * len(one)
    assert {r["usage"]["prompt_tokens"] for r in one.values()} == {r["usage"]["prompt_tokens"] for r in other.values()}


@pytest.mark.slow
@pytest.mark.vllm
@pytest.mark.timeout(600)
def test_however_it_ends_no_process_stays_and_no_reply_is_lost(model: str, tmp_path: Path) -> None:
    path = in_process(tmp_path, model, temperature=1, max_tokens=200, stop=[])
    run, sets = tmp_path / "run", ("steps.sample.k=8",)

    def engine(process: subprocess.Popen[str]) -> list[tuple[int, str]]:
        return [found for found in descendants(process.pid) if "spawn_main" in found[1] or "EngineCore" in found[1]]

    def replies(process: subprocess.Popen[str] | None = None) -> list[str]:
        places = (run / "replies").rglob("*.jsonl")
        return [json.loads(line)["key"] for place in places for line in open_lines(place) if line.endswith(b"}")]

    with running(path, run, sets) as process:
        wait_for(lambda: engine(process))
        below = descendants(process.pid)
        process.send_signal(signal.SIGINT)
        assert (process.wait(20), alive(below)) == (130, [])

    with running(path, run, sets) as process:
        wait_for(lambda: len(replies()) >= 3)
        below = descendants(process.pid)
        process.send_signal(signal.SIGTERM)
        assert (process.wait(60), alive(below)) == (3, [])
    kept = replies()

    with running(path, run, sets) as process:
        wait_for(lambda: len(replies()) >= len(kept) + 3)
        below = descendants(process.pid)
        process.kill()
        process.wait()
        wait_for(lambda: not alive(below), 10)
    assert replies()[: len(kept)] == kept

    with running(path, run, sets) as process:
        wait_for(lambda: len(replies()) >= len(kept) + 6)
        below = descendants(process.pid)
        os.kill(engine(process)[0][0], signal.SIGKILL)
        assert process.wait(30) == 1
        # The engine's own child sees its parent die and needs a moment.
        wait_for(lambda: not alive(below), 10)
        assert process.stderr is not None
        assert "the vLLM engine died" in process.stderr.read().splitlines()[-1]
    assert len(replies()) == len(set(replies()))


@pytest.mark.slow
@pytest.mark.vllm
@pytest.mark.timeout(300)
def test_a_lora_adapter_changes_the_replies_and_a_wrong_setting_is_one_line(model: str, tmp_path: Path) -> None:
    adapter = tmp_path / "adapter"
    subprocess.run([sys.executable, "-c", ADAPTER, model, str(adapter)], check=True, timeout=120)
    path, run = in_process(tmp_path, model, lora=str(adapter)), tmp_path / "run"
    done = generate(path, run, flags=("--limit", "4"))
    # Such an adapter spoils every answer.
    assert done.returncode == 1 and "no row is left after export" in done.stderr, done.stderr
    texts = [reply["text"] for reply in journal(run).values()]
    assert len(texts) == 4
    assert not any("answer is" in text for text in texts)

    for setting, said in (
        ("weights=/nowhere", "vLLM does not start with /nowhere"),
        ("engine_args={max_num_sequences: 8}", "max_num_sequences"),
    ):
        done = generate(path, tmp_path / "wrong", (f"models.teacher.{setting}",))
        assert done.returncode == 2, done.stderr
        assert said in done.stderr.splitlines()[-1]


ADAPTER = """
import json, sys
from pathlib import Path
import torch
from safetensors.torch import save_file

config, target = json.loads(Path(sys.argv[1], "config.json").read_text()), Path(sys.argv[2])
target.mkdir()
width, rank = config["hidden_size"], 24
adapter = {"peft_type": "LORA", "r": rank, "lora_alpha": 256, "target_modules": ["o_proj"], "bias": "none"}
(target / "adapter_config.json").write_text(json.dumps(adapter))
torch.manual_seed(0)
place = "base_model.model.model.layers.{}.self_attn.o_proj.lora_{}.weight"
layers = range(config["num_hidden_layers"])
weights = {place.format(layer, "A"): torch.randn(rank, width) for layer in layers}
weights |= {place.format(layer, "B"): torch.randn(width, rank) for layer in layers}
save_file(weights, target / "adapter_model.safetensors")
"""


def config(**more: Any) -> backend.Config:
    return backend.Config(backend="vllm", model="m", **more)


def recipe(path: Path, teacher: dict[str, Any], **sampling: Any) -> Path:
    """Seeds to training rows, greedy unless told otherwise."""
    greedy = {"temperature": 0, "top_p": 1, "max_tokens": 64, "stop": ["\n\n", "Question:"]}
    document = {
        "name": "vllm",
        "input": {"sources": [{"path": "data:seeds/one_step.jsonl"}], "limit": SEEDS},
        "models": {"teacher": {"model": NAME, **greedy, **sampling, **teacher}},
        "steps": {
            "sample": {"prompt": "solve-few-shot", "policy": "fixed", "k": 1},
            "verify": {},
            "export": {},
        },
    }
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    return path


def in_process(directory: Path, model: str, **more: Any) -> Path:
    settings = {key: SHARED[key] for key in ("max_model_len", "dtype")}
    engine = {"max_num_seqs": SHARED["max_num_seqs"]}
    teacher = {"backend": "vllm", "weights": model, "enforce_eager": True, "engine_args": engine}
    return recipe(directory / "here.yaml", teacher | settings, **more)


def environment() -> dict[str, str]:
    return os.environ | {"VLLM_CPU_KVCACHE_SPACE": "1", "PYTHONPATH": str(HERE.parent)}


def start(path: Path, run: Path, sets: tuple[str, ...] = (), flags: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "mathsynth", "generate", str(path), "-o", str(run), *flags]
    for text in sets:
        command += ["--set", text]
    return subprocess.Popen(
        command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


@contextmanager
def running(path: Path, run: Path, sets: tuple[str, ...]) -> Iterator[subprocess.Popen[str]]:
    with start(path, run, sets) as process:
        try:
            yield process
        finally:
            process.kill()


def generate(
    path: Path, run: Path, sets: tuple[str, ...] = (), flags: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    process = start(path, run, sets, flags)
    out, err = process.communicate(timeout=240)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def served(directory: Path, model: str) -> Path:
    command = f"vllm serve {model} --served-model-name {{model}} --host 127.0.0.1 --port {{port}}"
    command += " --enforce-eager --generation-config vllm"
    command += "".join(f" --{key.replace('_', '-')} {value}" for key, value in SHARED.items())
    return recipe(
        directory / "there.yaml", {"backend": "openai", "serve": {"command": command, "env": backend.ENVIRONMENT}}
    )


def journal(run: Path) -> dict[str, dict[str, Any]]:
    """Replies by request hash."""
    places = (run / "replies").rglob("*.jsonl*")
    return {row["key"]: row["reply"] for place in places for row in map(json.loads, open_lines(place))}


def check_run(run: Path) -> dict[str, dict[str, Any]]:
    """The replies of a whole run, after its books were checked: rows proved, problems all there, tokens added up."""
    asked, directory = journal(run), step(run, "sample")
    assert not unaccounted(run)
    problems = rows(directory / "problems.jsonl")
    counts = json.loads((directory / "manifest.json").read_bytes())["counts"]
    assert counts["read"] == len(problems) == SEEDS
    assert counts["read"] == counts["kept"] + sum(counts["dropped"].values()) + sum(counts["failed"].values())
    assert not counts["failed"]
    for name in ("prompt_tokens", "completion_tokens"):
        assert sum(line[name] for line in problems) == sum(reply["usage"][name] for reply in asked.values()) > 0
    solved = rows(step(run, "verify") / "00000.jsonl")
    assert len(solved) == sum(line["kept"] for line in problems) > 0
    assert all(row["verdict"]["outcome"] == "correct" and row["answer"] == row["extracted"] for row in solved)
    assert len(rows(step(run, "export") / "train.jsonl")) == len(solved)
    return asked


def wait_for(moment: Callable[[], Any], seconds: float = 90) -> Any:
    until = time.monotonic() + seconds
    while not (found := moment()):
        assert time.monotonic() < until, "it did not come to this"
        time.sleep(0.05)
    return found


def tree_of(root: int) -> list[tuple[int, str]]:
    """(id, start and command) of a process and all below it."""
    there: dict[int, tuple[int, str]] = {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            fields = (place / "stat").read_text().rpartition(")")[2].split()
            command = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if fields[0] != "Z":
            there[int(place.name)] = int(fields[1]), f"{fields[19]} {command}"
    found = [root]
    for parent in found:
        found += [number for number, (above, _) in there.items() if above == parent]
    return [(number, there[number][1]) for number in found if number in there]


def descendants(root: int) -> list[tuple[int, str]]:
    """Those below a process."""
    return tree_of(root)[1:]


def alive(processes: list[tuple[int, str]]) -> list[tuple[int, str]]:
    """Those that still run: a process is known by its number and the moment of its start."""
    return [
        (number, text)
        for number, text in processes
        for now in tree_of(number)[:1]
        if now[1].split()[0] == text.split()[0]
    ]
