"""The sandbox as it is used; what tries to get out of it is in test_hostile.py."""

import asyncio
import json
import os
import resource
import signal
import subprocess
import threading
from pathlib import Path

import pytest

from command_line import ms
from mathsynth.errors import MathsynthError, UsageError
from mathsynth.sandbox import confine, zygote
from mathsynth.sandbox.command import Command
from mathsynth.sandbox.confine import Layers
from mathsynth.sandbox.pool import Sandbox
from mathsynth.sandbox.results import Config, Limits, Result, default_workers, reason_of, status_of
from mathsynth.sandbox.worker import Zygote


@pytest.fixture(scope="module")
def box():
    with Sandbox(Config(cpu_s=1, wall_s=2, memory_mb=256, workers=2)) as sandbox:
        yield sandbox


@pytest.mark.parametrize(
    ("program", "status", "answer"),
    [
        ("print(6 * 7)", "ok", "42"),
        ("print(1)\n\nprint('  2  ')\nprint()", "ok", "2"),
        ("x = 1", "ok", ""),
        ("raise SystemExit(0)", "ok", ""),
        ("print(42)\nraise SystemExit(1)", "error", ""),
        ("print(42)\n1 / 0", "error", ""),
        ("x = (", "error", ""),
        ("print('x' * 70_000)", "output_limit", ""),
        ("while True: pass", "timeout", ""),
        ("x = bytearray(1 << 30)", "memory", ""),
        ("import os; os.fork()", "denied", ""),
        ("import os; os.abort()", "crash", ""),
        ("print(open('/etc/passwd').read())", "error", ""),
        ("input()", "error", ""),
    ],
)
def test_what_becomes_of_a_program(box, program, status, answer):
    result = box.run_now((program,))
    assert (result.status, result.answer) == (status, answer)
    assert result.tier == box.tier.name


def test_the_answer_is_the_whole_last_line(box):
    """A line longer than what is kept of stdout was read by its end, and U+2028 ended a line."""
    assert not box.run_now(("print('7' + ' ' * 20_000 + '42')",)).answer.startswith("4")
    assert box.run_now(("print('not \\u2028' + str(6 * 7))",)).answer == "not \u2028" + "42"


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("print(42)", ""),
        ("x = bytearray(1 << 30)", "more than 256 MiB of memory"),
        ("print('x' * 70_000)", "more than 65,536 bytes of output"),
        ("import os; os.fork()", "it asked for what the sandbox forbids (a process, a socket, a file to write …)"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("raise SystemExit(3)", "an exit code that is not 0"),
    ],
)
def test_why_a_program_does_not_count_is_said_in_words(box, program, reason):
    assert box.run_now((program,)).reason == reason


def test_of_the_two_clocks_the_one_that_ran_out_is_named():
    assert reason_of(Result("timeout", cpu_s=4.97, wall_s=5.2), Limits(cpu_s=5)) == "more than 5 s of processor time"
    assert reason_of(Result("timeout", cpu_s=0.02, wall_s=15.0), Limits(wall_s=15)) == "more than 15 s by the clock"


def test_blocks_share_their_variables_and_their_outputs_are_told_apart(box):
    result = box.run_now(("x = 6\nprint('one')", "y = x * 7\ny", "print('three'); None"), notebook=True)
    assert result.blocks == ("one\n", "42\n", "three\n")
    assert result.answer == "three"
    failed = box.run_now(("print(1)", "print(2)\nprint(nope)", "print(3)"), notebook=True)
    assert (failed.status, failed.blocks) == ("error", ("1\n", "2\n"))
    assert failed.stderr.strip().endswith("NameError: name 'nope' is not defined")


def test_many_blocks_with_much_output_keep_their_order(box):
    result = box.run_now([f"print({n}, 'x' * 500)" for n in range(60)])
    assert [block.split()[0] for block in result.blocks] == [str(n) for n in range(60)]


def test_without_notebook_an_expression_shows_nothing(box):
    assert box.run_now(("6 * 7",)).stdout == ""


def test_what_is_printed_does_nothing_to_a_terminal(box):
    result = box.run_now((r"print('\x1b[2J\x07\x9b1m a\tb\r\n 42')",))
    assert result.stdout == "\\x1b[2J\\x07\\x9b1m a\tb\n 42\n"
    assert result.answer == "42"


def test_a_program_leaves_nothing_for_the_next_one(box):
    for _ in range(2 * box.workers):
        box.run_now(("import math, builtins\nmath.pi = 3\nbuiltins.print = None\nleft = 1",))
    result = box.run_now(("import math\nprint(math.pi, 'left' in globals())",))
    assert result.answer == "3.141592653589793 False"


def test_chance_and_hashes_are_the_same_each_time(box):
    program = "import random, numpy\nprint(random.random(), numpy.random.rand(), hash('a'), list({'a', 'b', 'c'}))"
    assert len({box.run_now((program,)).answer for _ in range(4)}) == 1


def test_programs_run_beside_each_other_and_the_event_loop_goes_on(box):
    sleeper = "import time\nstarted = time.monotonic()\ntime.sleep(0.5)\nprint(started, time.monotonic())"

    async def both():
        ticks, runs = 0, [asyncio.ensure_future(box.run((sleeper,))) for _ in range(2)]
        while not all(run.done() for run in runs):
            await asyncio.sleep(0.01)
            ticks += 1
        return ticks, [run.result().answer for run in runs]

    asyncio.run(both())  # the second worker starts when it is first needed
    ticks, answers = asyncio.run(both())
    (one, one_ends), (other, other_ends) = ([float(text) for text in answer.split()] for answer in answers)
    assert max(one, other) < min(one_ends, other_ends)
    assert ticks > 5


def test_a_killed_interpreter_is_replaced_and_its_program_run_again():
    with Sandbox(Config(workers=1)) as box:
        [worker] = box._all
        # With namespaces the process that was started only waits for the one inside.
        outer = worker.process.pid
        inner = Path(f"/proc/{outer}/task/{outer}/children").read_text().split()
        os.kill(int(inner[0]) if inner else outer, signal.SIGKILL)
        assert box.run_now(("print(6 * 7)",)).answer == "42"
        assert box._all != {worker}


def test_too_long_a_program_is_not_begun(box):
    result = box.run_now(("x = 1\n" * 20_000,))
    assert (result.status, result.cpu_s) == ("error", 0)
    assert "65,536 bytes" in result.stderr


def test_a_wrapper_that_isolates_nothing_is_refused():
    with pytest.raises(UsageError, match=r"under command \(env\) a program can read a file, write a file"):
        Sandbox(Config(command="env"))


def test_a_wrapper_that_fails_says_it_once():
    with pytest.raises(UsageError, match=r"does not work here: calculate \(infra_error: no such image\)$"):
        Sandbox(Config(command="sh -c 'echo no such image >&2; exit 125'"))


def test_a_wrapper_that_is_not_there_is_one_line():
    with pytest.raises(Exception, match=r"sandbox.command: can't start no-such-wrapper"):
        Sandbox(Config(command="no-such-wrapper run"))


def test_without_layers_programs_run_only_if_the_recipe_says_so(monkeypatch):
    monkeypatch.setattr("mathsynth.sandbox.seccomp.supported", lambda: False)
    with pytest.raises(UsageError, match=r"sandbox: \{unsafe: true\}"):
        Sandbox()
    with Sandbox(Config(unsafe=True, workers=1)) as box:
        assert box.tier.name == "rlimits"
        assert box.run_now(("print(6 * 7)",)).answer == "42"


def test_more_than_there_is_can_not_be_required(monkeypatch):
    from mathsynth.sandbox.pool import Tier

    monkeypatch.setattr("mathsynth.sandbox.pool._tier_of", lambda zygote: Tier("kernel", "seccomp, Landlock 2"))
    with pytest.raises(UsageError, match=r"sandbox\.require is namespaces"):
        Sandbox(Config(require="namespaces+kernel"))


def test_the_limits_must_make_sense():
    for wrong in ({"cpu_s": 0}, {"wall_s": 0}, {"memory_mb": 1}):
        with pytest.raises(ValueError, match="greater than"):
            Limits(**wrong)


@pytest.mark.parametrize(
    ("files", "workers"),
    [
        ({}, 4),
        ({"cpu.max": ["200000", "100000"], "memory.max": ["max"]}, 2),
        ({"cpu.max": ["max", "100000"], "memory.max": [str(3 << 30)]}, 3),
        ({"cpu.max": ["50000", "100000"], "memory.max": ["1000"]}, 1),
    ],
)
def test_workers_are_as_many_as_a_container_allows(monkeypatch, files, workers):
    monkeypatch.delenv("SLURM_CPUS_PER_TASK", raising=False)
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(4)))
    monkeypatch.setattr("os.sysconf", lambda name: 1 << 24 if name == "SC_PHYS_PAGES" else 4096)
    monkeypatch.setattr("mathsynth.sandbox.results._cgroup", lambda name: files.get(name, []))
    assert default_workers(Limits()) == workers


def test_around_what_is_hidden_the_rest_is_read(tmp_path):
    for name in ("site/mathsynth/data", "site/sympy", "site/numpy", "other"):
        (tmp_path / name).mkdir(parents=True)
    read, listed = set(), set()
    confine._all_but({f"{tmp_path}/site/mathsynth"}, str(tmp_path), read, listed)
    assert read == {f"{tmp_path}/{name}" for name in ("site/sympy", "site/numpy", "other")}
    assert listed == {str(tmp_path), f"{tmp_path}/site"}


def test_exec_prints_the_result_and_exits_0_only_for_ok(tmp_path):
    (tmp_path / "right.py").write_text("print('é', 6 * 7)")
    done = ms("exec", str(tmp_path / "right.py"))
    assert done.code == 0
    result = json.loads(done.out)
    assert (result["status"], result["answer"]) == ("ok", "é 42")
    assert set(result) == {"status", "answer", "stdout", "stderr", "cpu_s", "wall_s", "memory_mb", "tier", "reason"}
    (tmp_path / "wrong.py").write_text("1 / 0")
    done = ms("exec", str(tmp_path / "wrong.py"))
    assert (done.code, json.loads(done.out)["status"]) == (1, "error")
    done = ms("exec", str(tmp_path / "none.py"))
    assert (done.code, done.err) == (2, f"{tmp_path}/none.py: No such file or directory\n")


FORGER = """
import os, struct
for number in range(3000):
    try:
        os.write(number, struct.pack("=iddQ", 0, 0.0, 0.0, 1))
    except OSError:
        continue
1 / 0
"""


def test_a_program_has_no_way_to_the_zygotes_parent_however_many_files_are_open():
    """The zygote's socket had the number that it got here, and a child closed those below 1024."""
    files, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most < 2000:
        pytest.skip("so many files can't be open here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(files, 2000), most))
    held = [os.open(os.devnull, os.O_RDONLY) for _ in range(1200)]
    try:
        with Sandbox(Config(workers=1)) as box:
            assert box.run_now((FORGER,)).status == "error"
            assert box.run_now(("print(6 * 7)",)).answer == "42"
    finally:
        for handle in held:
            os.close(handle)
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, most))


def test_what_the_sandbox_or_a_scheduler_did_is_no_error_of_the_program():
    assert status_of(signal.SIGTERM, None, 0.0, Limits()) == "infra_error"
    child = os.fork()
    if child == 0:
        zygote._child(Layers(rules=-1, filtered=False), os.getppid(), [0, 1, 2, 2], 1.0, 1 << 40, False)
    assert status_of(os.waitpid(child, 0)[1], None, 0.0, Limits()) == "infra_error"


@pytest.mark.parametrize(
    ("code", "status"),
    [(0, "ok"), (1, "error"), (101, "memory"), (139, "crash"), (137, "memory"), (125, "infra_error")]
    + [(code, "infra_error") for code in (127, 128, 143, 255)],
)
def test_a_wrapper_that_fails_is_no_error_of_the_program(code, status):
    """255 was read as a stopped process, and so as a good end."""
    wrapper = Command(f"sh -c 'echo 42; exit {code}'")
    assert wrapper.run(("print(42)",), Limits(), False).status == status


def test_an_interpreter_that_is_not_ready_in_time_is_given_up(monkeypatch):
    """With namespaces only its outer process was ended, and the inner one waited for without end."""
    monkeypatch.setattr("mathsynth.sandbox.worker.START_S", 0.05)
    with pytest.raises(MathsynthError, match=r"does not start: not warm in 0\.05 s"):
        Zygote()


def test_a_worker_that_starts_as_the_sandbox_closes_runs_nothing(monkeypatch):
    with Sandbox(Config(workers=2)) as box:
        begin = box._start

        def start():
            monkeypatch.setattr(box, "_start", begin)
            box.close()
            return begin()

        monkeypatch.setattr(box, "_start", start)
        box._idle.get()  # the one that was tried
        assert box.run_now(("while True: pass",)).status == "infra_error"
        assert not box._all


def test_closing_ends_what_a_wrapper_runs(tmp_path):
    os.mkfifo(tmp_path / "begun")
    wrapper = Command(f"sh -c 'echo > {tmp_path}/begun; exec sleep 60'")
    found = []
    run = threading.Thread(target=lambda: found.append(wrapper.run(("print(42)",), Limits(), False)), daemon=True)
    run.start()
    (tmp_path / "begun").read_text()
    wrapper.close()
    run.join(10)
    assert [result.status for result in found] == ["infra_error"]


def test_what_a_wrapper_leaves_running_holds_nothing_up():
    """A descendant in a session of its own kept the pipes open, and was waited for."""
    wrapper = Command("""sh -c 'setsid sleep 20 & exec "$0" "$@"'""")
    result = wrapper.run(("print(42)",), Limits(), False)
    assert (result.status, result.answer) == ("ok", "42")
    assert result.wall_s < 15


def test_a_wrapper_that_is_closed_as_it_starts_is_ended(monkeypatch):
    """It was not found yet, and ran on to the end of its time."""
    wrapper = Command("sh -c 'exec sleep 60'")
    started = subprocess.Popen

    def start(*args, **kwargs):
        process = started(*args, **kwargs)
        wrapper.close()
        return process

    monkeypatch.setattr("mathsynth.sandbox.command.subprocess.Popen", start)
    result = wrapper.run(("print(42)",), Limits(), False)
    assert (result.status, result.wall_s < 30) == ("infra_error", True)
