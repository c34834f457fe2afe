"""`--shard I/N` and `merge`: the bytes of a run without shards, whatever N; gaps, overlaps and strangers are named."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from command_line import ms
from fault_server import Served, fault_server
from mathsynth import pipeline
from mathsynth.commands import merge as merging
from mathsynth.errors import MathsynthError, UsageError
from mathsynth.executors import local
from mathsynth.lock import hold
from mathsynth.parts import Part, parse_part
from mathsynth.pipeline import Options
from mathsynth.stages import input as input_stage
from mock_replies import arithmetic
from runs import (
    EVERY_STEP,
    IN_FLIGHT,
    ROOT,
    SAMPLE_ONLY,
    Done,
    finish,
    generate_here,
    question,
    replies,
    result,
    rows,
    start,
    step,
    write_recipe,
)
from test_resume import differing, wait_until

WRONG_TOO = EVERY_STEP.replace("max_trials: 6", "max_trials: 3, keep_wrong: true")
TWO_ROUNDS = EVERY_STEP.replace("  sample:", "  dedupe-problems: {stage: dedupe}\n  sample:")


@pytest.fixture
def server() -> Iterator[Served]:
    with fault_server(right=0.45) as served:
        yield served


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of the time of a run as small as these."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    monkeypatch.setattr(pipeline, "page", lambda numbers: "")


def shards(recipe: Path, run: Path, url: str, of: int, sets: Sequence[str] = (), **options: Any) -> None:
    for index in reversed(range(of)):
        done = generate_here(recipe, run, url, sets, part=Part(index, of), **options)
        assert done.code == 0, done.err


def merge(run: Path, sets: Sequence[str] = (), **options: Any) -> Done:
    said: list[str] = []
    try:
        merging.merge(merging.recipe_of(run, None, sets), run, Options(say=said.append, **options))
    except MathsynthError as error:
        return Done(error.exit_code, "\n".join([*said, str(error)]))
    return Done(0, "\n".join(said))


def merged(run: Path) -> dict[str, bytes]:
    return {name: content for name, content in result(run).items() if not name.startswith("shards/")}


def with_bad_rows(recipe: Path) -> Path:
    """Rows at the beginning, in the middle and at the end of the input that do not go on."""
    path = recipe.with_name("problems.jsonl")
    lines = path.read_text().splitlines(keepends=True)
    again, bad = lines[3], '{"question": ""}\n'
    path.write_text("".join([bad, *lines[:8], again, bad, *lines[8:], bad, again]))
    return recipe


@pytest.mark.parametrize(("of", "steps"), [(1, WRONG_TOO), (3, WRONG_TOO), (15, SAMPLE_ONLY)])
def test_the_bytes_are_those_of_a_run_without_shards(
    tmp_path: Path, server: Served, monkeypatch: pytest.MonkeyPatch, of: int, steps: str
) -> None:
    """15 shards of 13 problems: two have none."""
    monkeypatch.setattr(local, "SHARD_ROWS", 5)
    recipe = with_bad_rows(write_recipe(tmp_path, 13, steps))
    whole, run = tmp_path / "whole", tmp_path / "run"
    assert generate_here(recipe, whole, server.url).code == 0
    server.asked.clear()
    shards(recipe, run, server.url, of)
    assert set(server.asked.values()) == {1}
    server.asked.clear()
    done = merge(run)
    assert done.code == 0, done.err
    assert not server.asked
    assert differing(merged(run), result(whole)) == []
    assert len(list(step(run, "sample").glob("0*.jsonl"))) > 2
    assert rows(step(run, "input") / "dropped.jsonl")
    assert steps == SAMPLE_ONLY or rows(step(run, "sample") / "dropped.jsonl")
    assert steps == SAMPLE_ONLY or rows(step(run, "sample") / "rejected.jsonl")
    assert merge(run).last == "every step was done before; nothing was asked"


def test_a_problem_made_of_seeds_in_two_shards_is_as_without_shards(tmp_path: Path) -> None:
    def reply(body: dict[str, Any]) -> str:
        if "`Problem:`" in body["messages"][0]["content"]:
            return f"Problem: {question(99)}"
        return arithmetic(body, int(body["seed"]), 0.8, {})

    steps = "  seed-expand: {methods: {inspired: {n: 2, prompt: rephrase}}}\n" + SAMPLE_ONLY
    steps = steps.replace("  export", "  dedupe: {solutions: exact}\n  export")
    recipe, whole, run = write_recipe(tmp_path, 5, steps), tmp_path / "whole", tmp_path / "run"
    with fault_server(reply=reply) as server:
        assert generate_here(recipe, whole, server.url).code == 0
        shards(recipe, run, server.url, 2)
        assert merge(run).code == 0
    made = [row for row in rows(step(run, "seed-expand") / "00000.jsonl") if row["method"] == "inspired"]
    assert (len(made), len({row["id"] for row in made})) == (5, 1)
    assert [row["reason"] for row in rows(step(run, "seed-expand") / "dropped.jsonl")] == ["made_before"] * 5
    trained = [row["metadata"]["id"] for row in rows(step(run, "export") / "train.jsonl")]
    assert len(trained) == len(set(trained)) > 5
    assert differing(merged(run), result(whole)) == []


def test_a_step_that_needs_all_rows_in_the_middle_takes_two_rounds(tmp_path: Path, server: Served) -> None:
    recipe, whole, run = write_recipe(tmp_path, 9, TWO_ROUNDS), tmp_path / "whole", tmp_path / "run"
    assert generate_here(recipe, whole, server.url).code == 0
    server.asked.clear()
    shards(recipe, run, server.url, 2)
    assert not list(run.glob("shards/*/*sample*"))
    shutil.copytree(run, tmp_path / "once")
    assert "to split it too, merge with --until dedupe-problems, then run the shards" in merge(tmp_path / "once").err
    assert differing(merged(tmp_path / "once"), result(whole)) == []
    server.asked.clear()
    done = merge(run, until="dedupe-problems")
    assert (done.code, "to split it too" in done.err) == (0, False)
    shards(recipe, run, server.url, 2)
    assert list(run.glob("shards/*/*sample*"))
    before = server.asked.total()
    assert merge(run).code == 0
    assert server.asked.total() == before
    assert set(server.asked.values()) == {1}
    assert differing(merged(run), result(whole)) == []
    shards(recipe, run, server.url, 2)
    assert merge(run).last == "every step was done before; nothing was asked"
    assert server.asked.total() == before


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("sample.policy=prop2diff", "policy prop2diff sets every target by the largest fail rate of all problems"),
        ("sample.token_budget=1000", "token_budget is one budget for all problems"),
    ],
)
def test_what_compares_all_problems_is_not_split(tmp_path: Path, server: Served, change: str, why: str) -> None:
    recipe, whole, run = write_recipe(tmp_path, 6, EVERY_STEP), tmp_path / "whole", tmp_path / "run"
    refused = generate_here(recipe, run, server.url, [change], part=Part(0, 2))
    assert refused.code == 2
    assert (
        refused.err == f"--shard: sample: {why}; change that, or let the shards end before it: --until persona-rewrite"
    )
    if "prop2diff" in change:  # a budget that binds depends on timing
        shards(recipe, run, server.url, 2, [change], until="persona-rewrite")
        assert merge(run).code == 0
        assert generate_here(recipe, whole, server.url, [change]).code == 0
        assert differing(merged(run), result(whole)) == []


def test_a_budget_is_not_split(tmp_path: Path, server: Served) -> None:
    recipe, run = write_recipe(tmp_path, 6, EVERY_STEP), tmp_path / "run"
    refused = generate_here(recipe, run, server.url, ["budget.tokens=1000"], part=Part(0, 2))
    assert (refused.code, run.exists()) == (2, False)
    assert "budget: is one budget for all problems" in refused.err


def test_what_needs_all_rows_at_the_beginning_runs_first(tmp_path: Path, server: Served) -> None:
    recipe = write_recipe(tmp_path, 5, "  dedupe: {}\n" + SAMPLE_ONLY)
    whole, run = tmp_path / "whole", tmp_path / "run"
    refused = generate_here(recipe, run, server.url, part=Part(0, 2))
    assert refused.code == 2
    assert "dedupe needs all rows, so it runs first and alone: --until dedupe without --shard" in refused.err
    assert generate_here(recipe, run, server.url, until="dedupe").code == 0
    shards(recipe, run, server.url, 2)
    assert merge(run).code == 0
    assert generate_here(recipe, whole, server.url).code == 0
    assert differing(merged(run), result(whole)) == []


def test_a_changed_verifier_grades_the_merged_run_again_without_asking(tmp_path: Path, server: Served) -> None:
    recipe, run = write_recipe(tmp_path, 6), tmp_path / "run"
    shards(recipe, run, server.url, 3)
    assert merge(run).code == 0
    server.asked.clear()
    assert generate_here(recipe, run, server.url, ["verifier.convert_units=true"]).code == 0
    assert not server.asked
    assert len(list(run.glob("*-sample-*"))) == 2


def test_a_run_with_shards_is_not_begun_again_without_them(tmp_path: Path, server: Served) -> None:
    recipe, run = write_recipe(tmp_path, 4), tmp_path / "run"
    shards(recipe, run, server.url, 2)
    refused = generate_here(recipe, run, server.url)
    assert refused.code == 2
    assert f"`mathsynth merge {run}` goes on from them" in refused.err


def test_another_number_of_shards_is_refused_before_anything_is_asked(tmp_path: Path, server: Served) -> None:
    recipe, run = write_recipe(tmp_path, 4), tmp_path / "run"
    for begun in (lambda: shards(recipe, run, server.url, 2), lambda: merge(run)):
        begun()
        server.asked.clear()
        refused = generate_here(recipe, run, server.url, part=Part(0, 3))
        assert (refused.code, refused.err.count("\n")) == (2, 0)
        assert f"--shard 0/3: {run} is shared out to 2, so its shards are 0/2 to 1/2; " in refused.err
        assert not server.asked
        assert not (run / "shards" / "0-of-3").exists()


def test_what_was_made_whole_is_not_shared_out_again(tmp_path: Path, server: Served) -> None:
    recipe, run = write_recipe(tmp_path, 4), tmp_path / "run"
    assert generate_here(recipe, run, server.url, until="sample").code == 0
    server.asked.clear()
    refused = generate_here(recipe, run, server.url, part=Part(0, 2))
    assert refused.code == 2
    assert f"--shard: {step(run, 'sample')} was made without shards" in refused.err
    other = generate_here(recipe, run, server.url, ["sample.k=3"], part=Part(0, 2))
    assert (other.code, other.err) == (2, f"--shard: {run} holds a run of other settings; take another directory")
    assert not server.asked
    assert not (run / "shards").exists()


def test_status_and_report_say_what_the_shards_have_come_to(tmp_path: Path, server: Served) -> None:
    recipe, run = write_recipe(tmp_path, 6), tmp_path / "run"
    assert generate_here(recipe, run, server.url, part=Part(1, 2)).code == 0
    waiting = f"1 of 2 shards done, 0/2 not begun; when all are: mathsynth merge {run}"
    assert ms("status", run).out.splitlines()[:2] == [f"{run}: stopped", f"  shards: {waiting}"]
    with hold(Part(0, 2).directory(run)):
        assert f"{run}: running\n  shards: 1 of 2 shards done, 0/2 running; " in ms("status", run).out
        assert json.loads(ms("status", run, "--json").out)["shards"] == {"0/2": "running", "1/2": "done"}
    done = ms("report", run)
    assert (done.code, done.out) == (1, "")
    assert done.err == f"{run}: no numbers before the merge: {waiting}\n"
    assert generate_here(recipe, run, server.url, part=Part(0, 2)).code == 0
    told = ms("status", run).out
    assert told.startswith(f"{run}: unmerged\n")
    assert f"  shards: 2 of 2 shards done; mathsynth merge {run}\n" in told
    assert merge(run).code == 0
    after = ms("status", run).out
    assert "finished" in after and "shards" not in after
    spent = [line for line in told.splitlines() if "tokens: " in line]
    assert spent and spent == [line for line in after.splitlines() if "tokens: " in line]


def test_failures_are_judged_over_all_shards_and_asked_again_in_one(tmp_path: Path) -> None:
    recipe, whole, run = write_recipe(tmp_path, 8), tmp_path / "whole", tmp_path / "run"
    # How many requests are asked beside those that fail depends on timing.
    sets = ["models.teacher.retries=0", "max_failed_share=0.01"]
    with fault_server() as good, fault_server(faults=["500"], fault_tries=-1, fault_share=0.4) as bad:
        shards(recipe, run, good.url, 2, sets)
        done = generate_here(recipe, run, bad.url, sets, part=Part(1, 2), fresh=True)
        assert done.code == 0
        assert "failed (" in done.err
        refused = merge(run)
        assert refused.code == 1
        assert "max_failed_share is 1%" in refused.err
        assert "the shards with --retry-failed ask only those again" in refused.err
        done = generate_here(recipe, run, good.url, sets, part=Part(1, 2), retry_failed=True)
        assert done.code == 0
        assert merge(run).code == 0
        assert generate_here(recipe, whole, good.url, sets).code == 0
    apart = {"recipe.yaml"}
    assert {name for name in differing(merged(run), result(whole)) if "export" not in name} <= apart
    assert len(rows(step(run, "export") / "train.jsonl")) == len(rows(step(whole, "export") / "train.jsonl"))


def test_the_merge_names_what_does_not_fit(tmp_path: Path, server: Served) -> None:
    recipe, run = write_recipe(tmp_path, 7), tmp_path / "run"
    run.mkdir()
    assert (merge(run).code, "has no shards" in merge(run).err) == (2, True)
    shards(recipe, run, server.url, 3)
    one = run / "shards" / "1-of-3"
    away = tmp_path / "away"

    def complaint(code: int = 1) -> str:
        done = merge(run)
        assert done.code == code, done.err
        assert "\n" not in done.err
        return done.err

    one.rename(away)
    assert "no shard 1/3; run the same command with --shard 1/3" in complaint()
    shutil.copytree(run / "shards" / "0-of-3", one)
    assert "holds shard 0/3; was it copied here?" in complaint()
    shutil.rmtree(one)
    shutil.copytree(away, run / "shards" / "1-of-4")
    assert "holds shards of 3 and of 4" in complaint()
    (run / "shards" / "1-of-4").rename(one)
    with hold(one):
        assert f"process {os.getpid()} on " in complaint()
    manifest = step(one, "sample") / "manifest.json"
    manifest.rename(away / "manifest.json")
    assert "shard 1/3 is not finished: sample is not; run it with --shard 1/3" in complaint()
    (away / "manifest.json").rename(manifest)
    kept = step(one, "sample") / "00000.jsonl"
    content = kept.read_bytes()
    kept.write_bytes(content.replace(b"Ann", b"Bob"))
    assert f"{kept}: edited after it was written" in complaint()
    kept.write_bytes(content)
    assert generate_here(recipe, run, server.url, ["sample.k=1"], part=Part(1, 3)).code == 0
    assert complaint() == "shard 1/3 is of another recipe (sample.k: 1 -> 2); run it again"
    assert generate_here(recipe, run, server.url, part=Part(1, 3)).code == 0
    assert merge(run).code == 0


def test_gaps_and_overlaps_are_named(tmp_path: Path, server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """A data set on the Hub is known by its name alone, so that it changed between two shards shows in the rows."""
    monkeypatch.setattr(input_stage.Config, "content_key", lambda config, base: "")
    recipe, run = write_recipe(tmp_path, 6), tmp_path / "run"
    problems = recipe.with_name("problems.jsonl")
    assert generate_here(recipe, run, server.url, part=Part(0, 2)).code == 0
    lines = problems.read_text().splitlines(keepends=True)
    problems.write_text("".join(lines[1:]))
    assert generate_here(recipe, run, server.url, part=Part(1, 2)).code == 0
    problems.write_text("".join(lines))
    done = merge(run)
    assert done.code == 1
    ids = [row["id"] for row in rows(step(run, "input") / "00000.jsonl")]
    assert f"3 in no shard ({ids[1]}, {ids[3]}, {ids[5]})" in done.err
    assert f"2 in several ({ids[2]} in 0/2 and 1/2, {ids[4]} in 0/2 and 1/2)" in done.err
    problems.write_text("".join(lines[:5]))
    shutil.rmtree(run)
    shards(recipe, run, server.url, 2)
    problems.write_text("".join(lines))
    done = merge(run)
    assert done.code == 1
    assert f"1 in no shard ({ids[5]})" in done.err
    problems.write_text("".join(lines[:4]))
    shutil.rmtree(next(run.glob("00-input-*")))
    assert f"1 not there ({ids[4]} of shard 0/2)" in merge(run).err


def test_a_merge_that_was_killed_goes_on(tmp_path: Path, server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe, whole, run = write_recipe(tmp_path, 6, EVERY_STEP), tmp_path / "whole", tmp_path / "run"
    assert generate_here(recipe, whole, server.url).code == 0
    shards(recipe, run, server.url, 2)
    write_json = merging.write_json

    def killed(path: Path, value: Any) -> None:
        if "-sample-" in path.parent.name:
            raise KeyboardInterrupt
        write_json(path, value)

    monkeypatch.setattr(merging, "write_json", killed)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            merge(run)
    monkeypatch.setattr(merging, "write_json", write_json)
    assert merge(run).code == 0
    assert differing(merged(run), result(whole)) == []
    assert replies(run) == sum(map(replies, run.glob("shards/*")))


def test_a_shard_that_ran_again_after_the_merge_is_merged_again(tmp_path: Path, server: Served) -> None:
    recipe, run = write_recipe(tmp_path, 6), tmp_path / "run"
    shards(recipe, run, server.url, 2)
    assert merge(run).code == 0
    first = merged(run)
    with fault_server(right=0.05) as other:
        assert generate_here(recipe, run, other.url, part=Part(0, 2), fresh=True).code == 0
    assert merge(run).code == 0
    assert set(differing(merged(run), first)) - {"recipe.yaml"}
    (run / "shards" / "merged.json").unlink()
    assert "was made without shards" in merge(run).err


@pytest.mark.parametrize("text", ["", "3", "3/3", "-1/3", "1/0", "a/b", "0/2/3", "1 of 2"])
def test_a_wrong_shard_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="expected I/N"):
        parse_part(text)


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_kill_9_of_a_shard_changes_no_byte(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, 30, EVERY_STEP)
    whole, run = tmp_path / "whole", tmp_path / "one" / "run"
    with fault_server(latency=0.03, jitter=0.03) as server:
        assert generate_here(recipe, whole, server.url).code == 0
        server.finished.clear()
        kills = 0
        for answers in (3, 12, 30, 45):
            process = start(recipe, run, server.url, flags=["--shard", "1/3"])
            if wait_until(process, lambda at=answers: server.finished.total() >= at):  # type: ignore[misc]
                process.kill()
                kills += 1
            finish(process)
        assert "no shard 0/3, 2/3; run the same command with --shard 0/3" in merge(run).err
        for index in range(3):
            done = finish(start(recipe, run, server.url, flags=["--shard", f"{index}/3"]))
            assert done.code == 0, done.err
        asked_again = sum(count - 1 for count in server.finished.values())
    assert kills == 4
    assert asked_again <= kills * IN_FLIGHT
    assert merge(run).code == 0
    assert differing(merged(run), result(whole)) == []


class Cluster:
    """The script for Slurm under bash, with commands of Slurm that only note what they are told."""

    def __init__(self, directory: Path) -> None:
        self.told = directory / "told"
        programs = directory / "bin"
        programs.mkdir()
        for name, body in (
            ("sbatch", f'printf "%s|" sbatch "$@" >> {self.told}; echo >> {self.told}; echo "77;cluster"'),
            ("scontrol", f"echo scontrol $@ >> {self.told}"),
            ("mathsynth", f'exec {sys.executable} -m mathsynth "$@"'),
        ):
            (programs / name).write_text(f"#!/bin/bash\n{body}\n")
            (programs / name).chmod(0o755)
        self.env = os.environ | {"PYTHONPATH": str(ROOT), "PATH": f"{programs}:{os.environ['PATH']}"}

    def bash(self, *words: str | Path, **env: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["bash", *map(str, words)], env=self.env | env, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def task(self, index: int, recipe: Path, url: str, run: Path) -> subprocess.Popen[str]:
        words = (SCRIPT, recipe, "--set", f"models.teacher.base_url={url}")
        array = {"SLURM_ARRAY_JOB_ID": "77", "SLURM_ARRAY_TASK_ID": str(index)}
        return self.bash(*words, RUN=str(run), SHARDS="2", **array)


SCRIPT = ROOT / "recipes" / "slurm.sh"


def test_the_script_for_slurm_submits_an_array_and_a_merge_that_waits_for_it(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    assert finish(cluster.bash(SCRIPT, "my.yaml", "--set", "sample.k=8", RUN="/all/runs/big", SHARDS="3")).code == 0
    assert finish(cluster.bash(SCRIPT, "my.yaml", RUN="/all/runs/big", UNTIL="dedupe")).code == 0
    assert finish(cluster.bash(SCRIPT, "my.yaml")).code == 1
    array, merging, _, round_one = (line.split("|")[:-1] for line in cluster.told.read_text().splitlines())
    assert array == ["sbatch", "--parsable", "--array=0-2", str(SCRIPT), "my.yaml", "--set", "sample.k=8"]
    assert merging[1] == "--dependency=afterok:77"
    assert merging[-1].split() == ["mathsynth", "merge", "'/all/runs/big'"]
    assert round_one[-1].split() == ["mathsynth", "merge", "'/all/runs/big'", "--until", "'dedupe'"]


@pytest.mark.slow
def test_the_script_for_slurm_makes_the_run(tmp_path: Path) -> None:
    """A task that is told to end finishes what is under way and puts itself back in the queue."""
    recipe, whole, run = write_recipe(tmp_path, 8, EVERY_STEP), tmp_path / "whole", tmp_path / "the run"
    cluster = Cluster(tmp_path)
    with fault_server(latency=0.2) as server:
        first = cluster.task(0, recipe, server.url, run)
        assert wait_until(first, lambda: server.finished.total() >= 3 and server.in_flight > 0)
        first.send_signal(signal.SIGTERM)
        done = finish(first)
        assert (done.code, "stopped by SIGTERM" in done.err) == (3, True)
        assert cluster.told.read_text() == "scontrol requeue 77_0\n"
        assert server.finished == server.asked
        for task in [cluster.task(index, recipe, server.url, run) for index in (1, 0)]:
            done = finish(task)
            assert done.code == 0, done.err
        assert set(server.asked.values()) == {1}
        done = finish(cluster.bash("-c", f"mathsynth merge '{run}'"))
        assert done.code == 0, done.err
        assert set(server.asked.values()) == {1}
        assert generate_here(recipe, whole, server.url).code == 0
    # The card says by which command it was made.
    card = {f"{step(whole, 'export').name}/{name}" for name in ("README.md", "manifest.json")}
    assert set(differing(merged(run), result(whole))) <= card
