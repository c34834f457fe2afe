"""Stages as commands: pipes, files, directories, what is up to date, and Make's chain against `generate`."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from command_line import asked, ms, read_lines, rows, step, write_lines, write_project
from mathsynth.shards import open_lines, read_manifest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = write_project(tmp_path / "sums")
    monkeypatch.chdir(path.parent)
    return path


def lines(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


def counts(err: str) -> str:
    """Lines of stages without what their samples and the clock said."""
    return re.sub(r"(, pass rate [\d.]+ %)?, [\d.]+ s$", "", err, flags=re.MULTILINE)


def test_the_line_of_a_stage_says_how_often_samples_were_right_and_its_time(recipe: Path) -> None:
    assert ms("input", "seeds.jsonl", "-o", "hand/input").code == 0
    for out in ("hand/sample", "-", "rows.jsonl"):
        said = ms("sample", "hand/input", "-o", out, "-r", recipe).err
        assert re.fullmatch(r"sample: read 4, kept 8, pass rate (\d+) %, \d\.\d s\n", said), said
    right, samples = [
        sum(line[of] for line in read_lines(Path("hand/sample/problems.jsonl"))) for of in ("corrects", "trials")
    ]
    assert f"pass rate {100 * right / samples:.0f} %" in said


def test_the_directory_of_a_makefile_names_its_steps(recipe: Path) -> None:
    assert ms("input", "seeds.jsonl", "-o", "hand/input").code == 0
    assert ms("sample", "hand/input", "-o", "hand/sample", "-r", recipe).code == 0
    for command, code in (("status", 2), ("report", 1)):
        done = ms(command, "hand")
        assert done.code == code
        assert done.err.endswith("; its steps are runs of their own: hand/input, hand/sample\n")
        assert ms(command, "hand/sample").code == 0


def test_stages_chain_through_pipes(recipe: Path) -> None:
    problems = ms("input", "seeds.jsonl", "-o", "-")
    assert (problems.code, counts(problems.err)) == (0, "input: read 4, kept 4\n")
    sampled = ms("sample", "-", "-o", "-", "-r", recipe, stdin=problems.out.encode())
    assert (sampled.code, counts(sampled.err)) == (0, "sample: read 4, kept 8\n")
    verified = ms("verify", "-", "-o", "-", stdin=sampled.out.encode())
    assert (verified.code, counts(verified.err)) == (0, "verify: read 8, kept 8\n")
    assert [row["verdict"]["outcome"] for row in lines(verified.out)] == ["correct"] * 8  # type: ignore[index]
    assert {row["problem_id"] for row in lines(verified.out)} == {row["id"] for row in lines(problems.out)}
    assert sorted(path.name for path in Path().iterdir()) == sorted(
        ["prompts", "teacher.py", "seeds.jsonl", "recipe.yaml", "asked.log"]
    )


def test_the_shell_chains_them_too(recipe: Path) -> None:
    ms("input", "seeds.jsonl", "-o", "in.jsonl")
    run = f"PYTHONPATH={ROOT} {sys.executable} -m mathsynth"
    command = f"{run} sample in.jsonl -o - -r recipe.yaml --set k=1 | {run} verify - -o out.jsonl"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    assert sorted(counts(done.stderr).splitlines()) == ["sample: read 4, kept 4", "verify: read 4, kept 4"]
    assert len(read_lines(Path("out.jsonl"))) == 4


def test_a_file_output_is_the_rows_and_has_its_work_beside_it(recipe: Path) -> None:
    ms("input", "seeds.jsonl", "-o", "in.jsonl")
    assert ms("sample", "in.jsonl", "-o", "out.jsonl", "-r", recipe).code == 0
    assert ms("sample", "in.jsonl", "-o", "packed.jsonl.zst", "-r", recipe).code == 0
    plain = Path("out.jsonl").read_bytes()
    assert b"".join(line + b"\n" for line in open_lines(Path("packed.jsonl.zst"))) == plain
    assert Path("packed.jsonl.zst").read_bytes()[:4] == b"\x28\xb5\x2f\xfd"
    assert (Path("out.jsonl.work") / "problems.jsonl").exists()
    verified = ms("verify", "packed.jsonl.zst", "-o", "-")
    assert len(lines(verified.out)) == 8


def test_the_same_command_is_up_to_date_until_something_changes(recipe: Path) -> None:
    ms("input", "seeds.jsonl", "-o", "in.jsonl")
    command = ["sample", "in.jsonl", "-o", "out.jsonl", "-r", recipe]
    ms(*command)
    calls, first = asked(recipe), Path("out.jsonl").read_bytes()
    again = ms(*command)
    assert counts(again.err) == "out.jsonl.work: up to date\nsample: read 4, kept 8\n"
    assert (asked(recipe), Path("out.jsonl").read_bytes()) == (calls, first)
    Path("out.jsonl").unlink()
    ms(*command)
    assert Path("out.jsonl").read_bytes() == first
    # Another config asks only what is new; other rows too; --fresh everything, from its journal.
    assert counts(ms(*command, "--set", "k=3").err) == "sample: read 4, kept 12\n"
    more = asked(recipe)
    assert more[: len(calls)] == calls
    assert len(set(more)) == len(more) > len(calls)
    write_lines(Path("in.jsonl"), [json.loads(line) for line in Path("in.jsonl").read_text().splitlines()[:3]])
    assert counts(ms(*command).err) == "sample: read 3, kept 6\n"
    assert asked(recipe) == more


def test_a_directory_output_chains_by_its_manifest(recipe: Path) -> None:
    assert ms("input", "-o", "one", "-r", recipe).code == 0
    assert ms("seed-expand", "one", "-o", "two", "-r", recipe).code == 0
    assert ms("sample", "two", "-o", "three", "-r", recipe).code == 0
    manifest = read_manifest(Path("three"))
    assert manifest is not None
    assert (manifest.stage, manifest.counts.read, manifest.counts.kept) == ("sample", 8, 16)
    assert [row["method"] for row in rows(Path("two"))] == ["seed", "rephrase"] * 4


def test_several_inputs_are_read_in_their_order(recipe: Path) -> None:
    for number in (1, 2):
        write_lines(Path(f"{number}.jsonl"), [{"question": f"What is {number} + {number}?", "answer": f"{2 * number}"}])
        ms("input", f"{number}.jsonl", "-o", f"p{number}.jsonl")
    done = ms("sample", "p2.jsonl", "p1.jsonl", "-o", "-", "-r", recipe, "--set", "k=1")
    assert [row["answer"] for row in lines(done.out)] == ["4", "2"]


def test_a_glob_that_catches_earlier_settings_is_refused(recipe: Path) -> None:
    for k in (2, 1):
        done = ms("generate", recipe, "-o", "run", "--set", f"sample.k={k}", "--until", "sample")
        assert done.code == 0
    now = done.out.split("rows in")[1].split()[0]
    steps = sorted(map(str, Path("run").glob("*-sample-*")))
    shards = [f"{step}/00000.jsonl" for step in steps]
    for inputs in (steps, shards):
        refused = ms("verify", *inputs, "-o", "out")
        assert (refused.code, refused.err) == (
            2,
            f"{steps[0]} and {steps[1]} are one step with different settings; now the run has {now}\n",
        )
    checked = ms("recipe", "check", recipe, "--set", "input=[{path: 'run/*-sample-*/0*.jsonl'}]")
    assert checked.code == 2
    assert "are one step with different settings" in checked.err
    assert ms("verify", now, "-o", "out").code == 0
    assert ms("verify", *sorted(map(str, Path(now).glob("0*.jsonl"))), "-o", "again").code == 0


def test_a_link_and_what_it_leads_to_are_read_once(recipe: Path) -> None:
    """`RUN/*export*` catches both."""
    ms("generate", recipe, "-o", "run")
    both = sorted(Path("run").glob("*export*"))
    assert [path.is_symlink() for path in both] == [False, True]
    once, twice = (ms("dedupe", *places, "-o", "-", "--set", "solutions=off") for places in (both[:1], both))
    assert once.code == 0
    assert once.out == twice.out != ""


def test_settings_come_from_the_recipe_then_from_set(recipe: Path) -> None:
    ms("input", "seeds.jsonl", "-o", "in.jsonl")
    done = ms("sample", "in.jsonl", "-o", "-", "-r", recipe, "--set", "k=1", "--set", "models.teacher.temperature=0.25")
    found = lines(done.out)
    assert len(found) == 4
    assert {row["sampling"]["temperature"] for row in found} == {0.25}  # type: ignore[index]
    done = ms("seed-expand", "in.jsonl", "-o", "-", "--set", "methods={backward: {}}", "--set", "keep_seeds=false")
    assert [row["answer"] for row in lines(done.out)] == ["2", "3", "3", "4", "4", "5", "5", "6"]


def test_files_beside_the_recipe_are_found_by_what_a_run_stored_of_it(
    recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ms("generate", recipe, "-o", "run", "--until", "input").code == 0
    write_lines(recipe.with_name("few.jsonl"), [{"question": "What is 1 + 1?", "response": "The answer is 2."}])
    elsewhere = recipe.parent / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    write_lines(Path("in.jsonl"), rows(step(recipe.parent / "run", "input")))
    for given in (recipe, recipe.parent / "run" / "recipe.yaml"):
        sets = ("--set", "models.teacher.few_shot=few.jsonl")
        done = ms("sample", "in.jsonl", "-o", "-", "-r", given, *sets)
        assert done.code == 0, done.err


def test_what_is_put_aside_is_counted_by_reason(recipe: Path) -> None:
    write_lines(Path("mine.jsonl"), [{"question": "What is 2 + 3?", "answer": "5"}, {"answer": "7"}, [1]])
    done = ms("input", "mine.jsonl", "-o", "out")
    assert (done.code, counts(done.err)) == (0, "input: read 3, kept 1, dropped 2 (bad_row 2)\n")
    assert [row["reason"] for row in read_lines(Path("out/dropped.jsonl"))] == ["bad_row"] * 2
    assert "mine.jsonl:2" in read_lines(Path("out/dropped.jsonl"))[0]["detail"]


def test_input_takes_the_keys_of_its_sources(recipe: Path) -> None:
    write_lines(Path("g.jsonl"), [{"question": "2 + 3?", "answer": "We add.\n#### 5"}])
    done = ms("input", "g.jsonl", "-o", "-", "--set", "layout=gsm8k", "--set", "license=MIT")
    (row,) = lines(done.out)
    assert (row["answer"], row["solution"], row["license"]) == ("5", "We add.", "MIT")


def test_input_and_gold_take_a_key_of_fields(recipe: Path) -> None:
    write_lines(Path("mine.jsonl"), [{"problem": "1+1?", "final": "2"}])
    sets = ("--set", "fields.question=problem", "--set", "fields.answer=final")
    assert ms("gold", "mine.jsonl", *sets).err == "1 problems, all gradable\n"
    assert ms("input", "mine.jsonl", "-o", "in", *sets).code == 0
    (row,) = rows(Path("in"))
    assert (row["question"], row["answer"]) == ("1+1?", "2")
    wrong = ms("input", "mine.jsonl", "-o", "in", "--set", "fields=problem")
    said = "command line: input.sources.0.fields: should be a mapping of keys, got 'problem'\n"
    assert (wrong.code, wrong.err) == (2, said)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("verify in.jsonl -o out", "verify reads solutions, but 2eb99e48e307acef is a problem"),
        ("sample out.jsonl -o out -r recipe.yaml", "sample reads problems, but "),
        ("seed-expand out.jsonl -o out -r recipe.yaml", "seed-expand reads problems, but "),
        ("persona-rewrite out.jsonl -o out -r retell.yaml", "persona-rewrite reads problems, but "),
        ("sample in.jsonl -o out", "unknown model 'teacher'"),
    ],
)
def test_rows_of_the_wrong_kind_are_refused(recipe: Path, command: str, said: str) -> None:
    ms("input", "seeds.jsonl", "-o", "in.jsonl")
    ms("sample", "in.jsonl", "-o", "out.jsonl", "-r", recipe, "--set", "k=1")
    Path("retell.yaml").write_text("extends: recipe.yaml\nsteps: {persona-rewrite: {prompt: retell}}\n")
    done = ms(*command.split())
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert said in done.err


def test_a_line_that_is_no_row_is_named(recipe: Path) -> None:
    Path("in.jsonl").write_text('{"schema": 1, "question": "What is 2 + 3?", "answer": "5"}\n{"question": 7}\n')
    done = ms("sample", "in.jsonl", "-o", "-", "-r", recipe)
    assert (done.code, done.out, done.err.count("\n")) == (1, "", 1)
    assert done.err.startswith("in.jsonl:2: question: ")
    done = ms("sample", "-", "-o", "-", "-r", recipe, stdin=b"nonsense\n")
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert done.err.startswith("stdin:1: ")


@pytest.mark.slow
def test_make_by_stages_gives_the_bytes_of_generate(recipe: Path) -> None:
    steps = {"seed-expand": {"methods": {"rephrase": {"prompt": "say"}, "backward": {}}}}
    other = write_project(
        recipe.parent / "whole",
        steps={
            **steps,
            "persona-rewrite": {"prompt": "retell"},
            "sample": {"prompt": "ask", "k": 2, "max_trials": 6},
            "verify": {},
            "dedupe": {},
            "export": {"validation": 0.2},
        },
    )
    make = [
        "make",
        "-f",
        str(ROOT / "recipes" / "Makefile.example"),
        f"MS=env PYTHONPATH={ROOT} {sys.executable} -m mathsynth",
        f"RECIPE={other}",
        "OUT=parts",
    ]
    done = subprocess.run(make, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    calls = asked(other)
    assert ms("generate", other, "-o", "run").code == 0
    whole, parts = step(Path("run"), "export"), Path("parts/export")
    for name in ("train.jsonl", "validation.jsonl", "00000.jsonl"):
        assert (parts / name).read_bytes() == (whole / name).read_bytes()
    assert len(read_lines(whole / "train.jsonl")) > 4
    assert sorted(asked(other)) == sorted(calls * 2)
    again = subprocess.run(make, capture_output=True, text=True, check=True)
    assert again.stderr.count("up to date") == 7
    assert len(asked(other)) == 2 * len(calls)
