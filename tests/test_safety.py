"""The sandbox of a run: refused before a model is asked, never weaker than it was."""

import threading
import time

import pytest

from mathsynth.errors import Stopped, UsageError
from mathsynth.live import Stop
from mathsynth.pipeline import Options
from mathsynth.sandbox.pool import Tier
from test_formats import ONE_PROGRAM, PROGRAM, run


def test_programs_are_refused_before_a_model_is_asked(tmp_path, monkeypatch):
    monkeypatch.setattr("mathsynth.sandbox.seccomp.supported", lambda: False)
    with pytest.raises(UsageError, match="can't be run safely here"):
        run(tmp_path, "def say(said, sample):\n    raise SystemExit('asked')\n", ONE_PROGRAM)


@pytest.mark.slow
def test_a_run_does_not_go_on_in_a_weaker_sandbox(tmp_path, monkeypatch):
    script = f"def say(said, sample):\n    return {PROGRAM!r}\n"
    run(tmp_path, script, ONE_PROGRAM)
    (tmp_path / "run" / ".sandbox.json").write_text('{"name": "namespaces+kernel", "details": "before"}')
    monkeypatch.setattr("mathsynth.sandbox.pool._tier_of", lambda zygote: Tier("kernel", "after"))
    with pytest.raises(UsageError, match=r"here it would be kernel \(after\)"):
        run(tmp_path, script, ONE_PROGRAM, sets=("sample.k=2",))
    run(tmp_path, script, ONE_PROGRAM, sets=("sample.k=2", "sandbox.require=kernel"))


def test_what_to_say_is_something_that_a_recipe_may_say(tmp_path, monkeypatch):
    script = f"def say(said, sample):\n    return {PROGRAM!r}\n"
    run(tmp_path, script, ONE_PROGRAM)
    monkeypatch.setattr("mathsynth.sandbox.seccomp.supported", lambda: False)
    less = ("sample.k=2", "sandbox.unsafe=true")
    with pytest.raises(UsageError, match=r"it would be rlimits .*sandbox\.require \(here: seccomp-noopen\)"):
        run(tmp_path, script, ONE_PROGRAM, sets=less)
    run(tmp_path, script, ONE_PROGRAM, sets=(*less, "sandbox.require=seccomp-noopen"))


@pytest.mark.slow
def test_a_run_that_is_stopped_does_not_wait_for_programs(tmp_path):
    sleeper = "```python\nimport time\ntime.sleep(14)\nprint(6 * 7)\n```"
    stop = Stop()
    threading.Timer(1.5, setattr, (stop, "reason", "stopped by SIGTERM")).start()
    started = time.monotonic()
    with pytest.raises(Stopped, match="stopped by SIGTERM"):
        run(tmp_path, f"def say(said, sample):\n    return {sleeper!r}\n", ONE_PROGRAM, options=Options(stop=stop))
    assert time.monotonic() - started < 8
    assert list(tmp_path.glob("run/replies/01-sample/*.jsonl")), "what was asked is kept"
