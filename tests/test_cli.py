"""Every command as a user meets it: exit codes, data on stdout, messages on stderr, one line for a mistake."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import yaml

from command_line import asked, copy_run, ms, read_lines, rows, step, write_lines, write_project
from mathsynth import __version__
from mathsynth.methods import method_names
from mathsynth.recipe import read_recipe
from mathsynth.resources import folder
from mathsynth.shards import open_lines

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Commands run in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    return write_project(tmp_path / "sums")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run, made once."""
    there = tmp_path_factory.mktemp("made")
    assert ms("generate", write_project(there / "sums"), "-o", there / "run").code == 0
    return there / "run"


@pytest.fixture
def run(made: Path, recipe: Path, here: Path) -> Path:
    """The run `run` of the recipe, finished."""
    copy_run(recipe, made, here / "run")
    return Path("run")


# --- mistakes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("nope", "No such command 'nope'"),
        ("sampel", "sample"),
        ("generate", "RECIPE"),
        ("generate {recipe} --limt 3", "--limit"),
        ("generate {recipe} --limit 0", "greater than or equal to 1"),
        ("generate no.yaml", "no such recipe file; shipped ones: "),
        ("generate {recipe} --until smaple", "unknown step 'smaple'; did you mean 'sample'? (allowed: dedupe, "),
        ("generate {recipe} --set nope", "--set nope: expected stage.key=value"),
        ("generate {recipe} --set sample.kk=3", "steps.sample.kk: unknown key 'kk'; did you mean 'k'?"),
        ("generate {recipe} --set sample.k=three", "steps.sample.k: should be a valid integer"),
        ("generate {recipe} --set sample.sampling.temprature=1", "did you mean 'temperature'?"),
        ("generate {recipe} --set models.teacher.backend=opnai", "unknown backend 'opnai'; there are: "),
        ("generate {recipe} --set models.teacher.replies=/no.jsonl", "/no.jsonl: No such file or directory"),
        ("generate {recipe} --set input=no.jsonl", "no.jsonl: no such file or folder"),
        ("generate {recipe} -o foreign", "foreign: not empty and not a run of mathsynth"),
        ("plan no.yaml", "no such recipe file"),
        ("preview {recipe} -n 0", "greater than or equal to 1"),
        ("recipe check no.yaml", "no such recipe file"),
        ("sample {recipe}", "--output"),
        ("sample -o out -r {recipe}", "expected at least one IN"),
        ("sample no.jsonl -o out -r {recipe}", "no.jsonl: no such file or directory"),
        ("sample foreign -o out -r {recipe}", "foreign: no manifest.json; give a finished step directory, or files"),
        ("verify seeds.jsonl -o out --set nope=1", "unknown key 'nope'"),
        ("check 5", "expected REFERENCE ANSWER, or --jsonl"),
        ("check --jsonl seeds.jsonl", "mathsynth check --jsonl < seeds.jsonl"),
        ("gold no.jsonl", "no.jsonl: no such file or folder"),
        ("gold seeds.jsonl --set layout=gsm", "layout: should be 'problems', 'gsm8k' or 'math', got 'gsm'"),
        ("gold seeds.jsonl --set layout", "expected key=value"),
        ("show no", "no: no such file or directory"),
        ("show foreign", "foreign: neither a run nor a step directory"),
        ("show seeds.jsonl --id f", "no rows have an id that begins with f"),
        ("report no", "no: no such run directory"),
        ("status no", "no: no such run directory"),
        ("status foreign", "foreign: no run of mathsynth"),
        ("pause no", "no: no such run directory"),
        ("concurrency foreign teacher 0", "greater than or equal to 1"),
        ("models pull nope", "no weights named 'nope'; known: smollm2-135m"),
    ],
)
def test_a_mistake_is_one_line_on_stderr_and_exit_2(recipe: Path, command: str, said: str) -> None:
    (recipe.parent.parent / "foreign").mkdir()
    write_lines(Path("foreign/mine.txt"), [1])
    write_lines(Path("seeds.jsonl"), [{"question": "What is 2 + 3?", "answer": "5"}])
    done = ms(*command.replace("{recipe}", str(recipe)).split())
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert said in done.err
    assert asked(recipe) == []


def test_a_folder_that_is_no_run_has_no_report() -> None:
    Path("foreign").mkdir()
    done = ms("report", "foreign")
    assert (done.code, done.out, done.err.count("\n")) == (1, "", 1)
    assert "no run of mathsynth" in done.err


def test_every_mistake_of_a_recipe_is_told_at_once_with_its_line(recipe: Path) -> None:
    recipe.write_text(
        "input: seeds.jsonl\n"
        "seeed: 3\n"
        "models: {teacher: {backend: openai, model: m, base_url: x}}\n"
        "steps:\n"
        "  seed-expand:\n"
        "    methods:\n"
        "      nope: {}\n"
        "      backward: {max: 3}\n"
        "      inspired: 3\n"
        "  sample: {k: 0, model: tacher, prompt: nope}\n"
        "  smaple: {}\n"
        "  verify: []\n"
    )
    done = ms("recipe", "check", recipe)
    assert (done.code, done.out) == (2, "")
    places = {line.split(": ")[0].rpartition(":")[2] + " " + line.split(": ")[1] for line in done.err.splitlines()}
    assert places == {
        "2 seeed",
        "3 models.teacher.base_url",
        "7 steps.seed-expand.methods.nope",
        "8 steps.seed-expand.methods.backward.max",
        "9 steps.seed-expand.methods.inspired",
        "10 steps.sample.k",
        "11 steps.smaple",
        "12 steps.verify",
    }
    assert all(line.startswith(f"{recipe}:") for line in done.err.splitlines())


def test_version_and_bare_command() -> None:
    assert ms("--version").out == f"mathsynth {__version__}\n"
    done = ms()
    assert done.code == 2
    assert all(command in done.err for command in ("generate", "seed-expand", "recipe"))


def test_the_help_of_a_stage_lists_its_keys_and_methods() -> None:
    assert "max_trials  [16]\n    Samples of one problem at most." in ms("sample", "--help").out
    text = ms("seed-expand", "--help").out
    assert "keep_seeds  [True]\n    Whether the seeds go on" in text
    assert "backward  max_per_seed [None]\n    Mask one number and ask for it" in text
    assert all(f"\n  {name}  " in text for name in method_names())


def test_what_show_prints_does_nothing_to_a_terminal(tmp_path: Path) -> None:
    write_lines(tmp_path / "rows.jsonl", [{"id": "a", "response": "1\x1b[2J\x9b1m\r\t2\n3"}])
    shown = ms("show", tmp_path / "rows.jsonl")
    assert (shown.code, shown.out) == (0, "id: a\nresponse:\n    1\\x1b[2J\\x9b1m\\x0d\t2\n    3\n\n")


def test_a_closed_pipe_is_no_traceback() -> None:
    command = f"{sys.executable} -m mathsynth recipe schema | head -n 1"
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("{\n", "")


# --- the main job --------------------------------------------------------------------------------------------------


def test_generate_makes_training_rows_and_prints_the_funnel(recipe: Path) -> None:
    done = ms("generate", recipe, "-o", "run")
    assert (done.code, done.err) == (0, "")
    assert [line.split()[:3] for line in done.out.splitlines()[2:8] if line.strip()][:3] == [
        ["input", "4", "4"],
        ["seed-expand", "4", "8"],
        ["sample", "8", "16"],
    ]
    train = read_lines(step(Path("run"), "export") / "train.jsonl")
    assert len(train) == 8
    assert {row["messages"][0]["content"] for row in train} >= {"What is 2 + 3?", "Think of this. What is 5 + 6?"}
    assert "train.jsonl" in done.out
    assert Path("run/report.html").exists()


def test_a_run_goes_to_the_recipes_name_unless_told(recipe: Path) -> None:
    assert ms("generate", recipe, "--until", "input").code == 0
    assert step(Path("runs/sums"), "input").is_dir()


def test_the_same_command_again_asks_nothing_and_changes_nothing(recipe: Path, run: Path) -> None:
    calls, train = asked(recipe), (step(run, "export") / "train.jsonl").read_bytes()
    again = ms("generate", recipe, "-o", "run")
    assert (again.code, again.err) == (0, "every step was done before; nothing was asked\n")
    assert asked(recipe) == calls
    assert (step(run, "export") / "train.jsonl").read_bytes() == train


def test_fresh_starts_over(recipe: Path, run: Path) -> None:
    calls = asked(recipe)
    assert ms("generate", recipe, "-o", "run", "--fresh").code == 0
    assert sorted(asked(recipe)) == sorted(calls * 2)


def test_limit_reads_so_many_problems(recipe: Path) -> None:
    assert ms("generate", recipe, "-o", "run", "--limit", 2).code == 0
    assert [row["question"] for row in rows(step(Path("run"), "input"))] == ["What is 2 + 3?", "What is 3 + 4?"]


def test_until_stops_after_a_step_and_without_it_the_rest_is_done(recipe: Path) -> None:
    assert ms("generate", recipe, "-o", "run", "--until", "sample").code == 0
    assert not list(Path("run").glob("*-verify-*"))
    calls = asked(recipe)
    assert ms("generate", recipe, "-o", "run").code == 0
    assert asked(recipe) == calls
    assert step(Path("run"), "export").is_dir()


def test_a_changed_recipe_says_which_keys_differ_and_what_is_asked_again(recipe: Path, run: Path) -> None:
    calls = asked(recipe)
    done = ms("generate", recipe, "-o", "run", "--set", "sample.k=3")
    assert done.err.splitlines() == [
        "the recipe changed since the last run here:",
        "  sample.k: 2 -> 3",
        "  still valid: input, seed-expand",
        "  run again: sample (replies on disk are used, only new requests are asked), verify, dedupe, export",
    ]
    assert set(calls) < set(asked(recipe))
    assert len(asked(recipe)) == len(set(asked(recipe)))


def test_the_name_export_leads_to_the_rows_of_the_settings_as_they_are(recipe: Path, run: Path) -> None:
    def train() -> bytes:
        return Path("run/export/train.jsonl").read_bytes()

    first, before = train(), Path("run/export").resolve()
    assert ms("generate", recipe, "-o", "run", "--limit", "2", "--until", "verify").code == 0
    assert not Path("run/export").exists()  # what is there is of other settings
    out = ms("generate", recipe, "-o", "run", "--limit", "2").out
    now = Path("run/export").resolve()
    assert now != before and before.exists()
    assert f"training data      {now.relative_to(Path.cwd())}/train.jsonl" in out
    assert 0 < len(train()) < len(first)
    assert ms("generate", recipe, "-o", "run").code == 0
    assert train() == first
    assert ms("generate", recipe, "-o", "run", "--fresh").code == 0
    assert train() == first
    Path("run/export").unlink()
    Path("run/export").mkdir()  # as a copy of a run has it that follows links
    assert "run/export: is a copy and no link; the rows are in run/" in ms("generate", recipe, "-o", "run").err


def test_a_run_without_a_row_left_is_an_error(recipe: Path) -> None:
    done = ms(
        "generate", recipe, "-o", "run", "--set", "sample.confirm_votes=6", "--set", "seed-expand.keep_seeds=false"
    )
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert "no row is left" in done.err


def test_sigterm_is_exit_3_and_the_same_command_goes_on(recipe: Path) -> None:
    teacher = recipe.with_name("teacher.py")
    kind = teacher.read_text()
    teacher.write_text(
        kind.replace(
            "    system =",
            "    if len(ASKED.read_text().split()) == 9:\n"
            "        import os, signal\n"
            "        os.kill(os.getpid(), signal.SIGTERM)\n"
            "    system =",
        )
    )
    done = ms("generate", recipe, "-o", "run")
    assert (done.code, done.err) == (3, "stopped by SIGTERM; the same command goes on\n")
    teacher.write_text(kind)
    assert ms("generate", recipe, "-o", "run").code == 0
    assert len(asked(recipe)) == len(set(asked(recipe)))


@pytest.mark.parametrize(
    ("prompt", "says"),
    [
        ("Solve {{ question }}", "expected `## system`"),
        ("## user\n{{ question }", "turn 1, line 2"),
        ("## user\n{{ question }} {{ hint }}", "{{ hint }} is not given here; what is: answer_format, question"),
        ("## user\nSolve it.", "{{ question }} does not occur"),
    ],
)
def test_a_wrong_prompt_is_found_without_a_call(tmp_path: Path, prompt: str, says: str) -> None:
    recipe = write_project(tmp_path / "prompted", steps={"sample": {"prompt": "mine"}})
    (recipe.parent / "prompts" / "mine.md").write_text(prompt)
    done = ms("recipe", "check", recipe)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert says in done.err


def test_edited_personas_make_the_step_run_again(tmp_path: Path) -> None:
    recipe = write_project(
        tmp_path / "told",
        steps={"persona-rewrite": {"prompt": "retell", "personas": "people.jsonl"}},
    )
    people = recipe.parent / "people.jsonl"
    people.write_text('{"id": "p1", "persona": "A baker in Lyon."}\n')
    keys = [read_recipe(recipe).steps[1].key]
    people.write_text('{"id": "p1", "persona": "A smith in Cork."}\n')
    assert read_recipe(recipe).steps[1].key not in keys


def test_a_stage_in_the_wrong_place_is_named(tmp_path: Path) -> None:
    recipe = write_project(tmp_path / "wrong", steps={"verify": {}, "sample": {"prompt": "ask"}})
    done = ms("generate", recipe, "-o", "run")
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert "verify reads solutions" in done.err


# --- before spending -----------------------------------------------------------------------------------------------


def cells(table: str) -> dict[str, list[str]]:
    """The rows of a printed table by their first cell."""
    lines = [[cell.strip() for cell in line.strip("│ ").split("│")] for line in table.splitlines() if "│" in line]
    return {line[0]: line[1:] for line in lines}


def test_plan_adds_up(recipe: Path) -> None:
    done = ms("plan", recipe, "-o", "run")
    assert (done.code, done.err) == (0, "")
    table = cells(done.out)
    assert table["seed-expand"][:2] == ["4", "4"]
    # Two rows of each seed at most; two samples at least, eight (a vote) at most.
    assert table["sample"][:2] == ["4 to 8", "8 to 64"]
    assert table["sample"][3] == f"{64 * 1024:,}"
    assert table["all"][1] == "12 to 68"
    assert table["all"][3] == f"{68 * 1024:,}"
    assert asked(recipe) == []
    assert not Path("run").exists()


@pytest.mark.parametrize(
    ("keep", "dedupe", "label", "after"),
    [
        (True, False, ["4 to 8", "0 to 40"], "3 to 8"),  # one seed of four has no answer, so five may have none
        (True, True, ["0 to 8", "0 to 40"], "0 to 8"),
        (False, False, ["0 to 4", "0 to 32"], "0 to 4"),
    ],
)
def test_plan_knows_that_label_asks_nothing_for_an_answered_problem(
    tmp_path: Path, keep: bool, dedupe: bool, label: list[str], after: str
) -> None:
    steps = {"seed-expand": {"methods": {"inspired": {"prompt": "say"}}, "keep_seeds": keep}, "label": {}, "sample": {}}
    if dedupe:
        steps = {"seed-expand": steps["seed-expand"], "dedupe": {}, "label": {}, "sample": {}}
    recipe = write_project(tmp_path / "labelled", steps=steps)
    seeds = read_lines(recipe.with_name("seeds.jsonl"))
    write_lines(recipe.with_name("seeds.jsonl"), [seeds[0] | {"answer": None}, *seeds[1:]])
    table = cells(ms("plan", recipe, "-o", "run").out)
    assert (table["label"][:2], table["sample"][0]) == (label, after)


def test_plan_counts_what_is_done_as_free(recipe: Path) -> None:
    ms("generate", recipe, "-o", "run", "--until", "seed-expand")
    table = cells(ms("plan", recipe, "-o", "run").out)
    assert table["seed-expand (done)"][:2] == ["4", "0"]
    assert table["sample"][:2] == ["8", "16 to 64"]


def test_plan_of_a_part(recipe: Path) -> None:
    assert cells(ms("plan", recipe, "--limit", 1).out)["seed-expand"][:2] == ["1", "1"]


def test_preview_shows_prompts_replies_and_verdicts_and_leaves_nothing(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    before = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    done = ms("preview", recipe, "-n", 2)
    assert (done.code, done.err) == (0, "")
    assert "[system]\nREWRITE\n\n[user]\nWhat is 2 + 3?\n── reply 1 (stop, " in done.out
    assert "Problem: Think of this. What is 2 + 3?\n" in done.out
    assert "[user]\nThink of this. What is 3 + 4?\n" in done.out
    assert ": wrong, answer 8 for 7 (" in done.out
    assert ": correct, answer 5 for 5 (" in done.out
    # Of the replies of `sample` only those beyond what was needed have no verdict.
    assert 8 <= done.out.count("── verdict") <= done.out.count("── reply") - 2
    assert "What is 4 + 5?" not in done.out
    after = {path for path in tmp_path.rglob("*") if path.is_file()} - set(before)
    assert {path.name for path in after} == {"asked.log"}


def test_preview_shows_most_when_nothing_comes_out(recipe: Path) -> None:
    sets = ("sample.max_trials=1", "sample.confirm_votes=1", "sample.prompt=say")
    done = ms("preview", recipe, "-n", 1, *(word for text in sets for word in ("--set", text)))
    assert done.code == 1
    assert done.err == "no row is left after export\n"
    assert "Problem: Think of this. Think of this. What is 2 + 3?" in done.out
    assert "undecided, answer 2 + 3? for 5 (" in done.out
    assert "── dropped" in done.out


# --- the verifier --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reference", "answer", "code", "outcome"),
    [
        ("1/2", "0.5", 0, "correct"),
        ("1/2", "0.6", 1, "wrong"),
        ("-3", "-3", 0, "correct"),
        ("3", "-3", 1, "wrong"),
        ("1/2", "who knows", 2, "undecided"),
    ],
)
def test_check_tells_by_its_exit_code(reference: str, answer: str, code: int, outcome: str) -> None:
    done = ms("check", reference, answer)
    assert (done.code, done.err) == (code, "")
    assert done.out.startswith(f"{outcome}: ")


def test_check_reads_lines_and_answers_in_order_whatever_they_hold() -> None:
    lines = [
        '{"id": 1, "reference": "1/2", "answer": "0.5"}',
        "garbage",
        "",
        '{"id": "a", "reference": "5", "response": "So the answer is \\\\boxed{6}."}',
        "[1]",
        '{"id": 1.5, "reference": 5, "answer": 5.0}',
        '{"id": "x", "reference": "5"}',
        '{"id": "y", "reference": "5", "answer": "5", "response": "5"}',
        '{"id": "z", "reference": "5", "response": "\\\\boxed{5}", "finish_reason": "length"}',
        '{"id": "n", "reference": null, "answer": true}',
    ]
    done = ms("check", "--jsonl", stdin="\n".join(lines).encode())
    assert (done.code, done.err) == (0, "")
    found = [json.loads(line) for line in done.out.splitlines()]
    assert [(row["id"], row["verdict"], row["extracted"]) for row in found] == [
        (1, "correct", "0.5"),
        (None, "undecided", None),
        (None, "undecided", None),
        ("a", "wrong", "6"),
        (None, "undecided", None),
        (1.5, "correct", "5.0"),
        ("x", "undecided", None),
        ("y", "undecided", None),
        ("z", "undecided", None),
        ("n", "undecided", None),
    ]
    assert found[1]["reason"].startswith("line 2: ")
    assert found[8]["rule"] == "truncated"


def test_gold_finds_the_rows_of_a_layout_that_cannot_be_graded() -> None:
    write_lines(
        Path("g.jsonl"),
        [
            {"question": "2 + 3?", "answer": "We add. <<2+3=5>>\n#### 5"},
            {"question": "2 + 4?", "answer": "six"},
            {"question": "", "answer": "#### 5"},
        ],
    )
    write_lines(
        Path("m.jsonl"),
        [
            {"problem": "a", "solution": r"so $\boxed{\frac12}$", "level": "Level 3", "type": "Algebra"},
            {"problem": "b", "solution": "no box"},
        ],
    )
    done = ms("gold", "g.jsonl", "--set", "layout=gsm8k")
    assert done.code == 1
    assert done.out == "g.jsonl:2: answer: expected the final answer after '####'\ng.jsonl:3: question: empty\n"
    assert done.err == "3 problems, 2 of them can't be used as they are\n"
    done = ms("gold", "m.jsonl", "--set", "layout=math")
    assert (done.code, done.out.count("\n")) == (1, 1)
    assert done.out.startswith("m.jsonl:2: solution: ")


def test_gold_finds_a_solution_that_reaches_another_answer() -> None:
    write_lines(
        Path("p.jsonl"),
        [
            {"question": "2 + 3?", "answer": "5", "solution": r"2 + 3 = 6. The answer is \boxed{6}."},
            {"question": "2 + 4?", "answer": "6", "solution": r"2 + 4 = 6. The answer is \boxed{6.0}."},
            {"question": "2 + 5?"},
        ],
    )
    done = ms("gold", "p.jsonl")
    assert done.out.splitlines() == [
        "p.jsonl:1: its solution reaches '6', its answer is '5'",
        "p.jsonl:3: no reference answer",
    ]
    Path("empty.jsonl").write_text("")
    done = ms("gold", "empty.jsonl")
    assert (done.code, done.out, done.err) == (1, "", "0 problems, nothing to grade\n")
    done = ms("gold", "data:seeds/one_step.jsonl")
    assert (done.code, done.out) == (0, "")


# --- looking -------------------------------------------------------------------------------------------------------


def test_report_prints_the_tables_and_writes_the_page(recipe: Path, run: Path) -> None:
    Path("run/report.html").unlink()
    done = ms("report", "run")
    assert (done.code, done.err) == (0, "")
    assert done.out == ms("generate", recipe, "-o", "run").out
    assert Path("run/report.html").exists()


def test_report_of_a_run_that_cannot_be_written_prints_the_tables_all_the_same(run: Path) -> None:
    there = ms("report", "run").out
    Path("run/.report.html.tmp").mkdir()  # as good as a read-only file system, which holds no root back
    done = ms("report", "run")
    assert (done.code, done.out) == (1, there)
    assert done.err.startswith("run/report.html: could not be written (") and len(done.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"schema": 1, "steps": [{"st', "not a list of steps"),
        ('{"schema": 1, "steps": [{"step": 1}]}', "not a list of steps"),
        ('{"schema": 99, "steps": []}', "schema 99, this mathsynth reads schema 1"),
    ],
)
def test_a_cut_list_of_steps_and_that_of_another_version_are_told_in_a_line(
    recipe: Path, run: Path, text: str, said: str
) -> None:
    Path("run/steps.json").write_text(text)
    for command in (["status", "run"], ["report", "run"], ["show", "run"], ["generate", recipe, "-o", "run"]):
        done = ms(*command)
        assert (done.code, done.out) == (1, ""), command
        assert done.err.startswith(f"run/steps.json: {said}") and done.err.count("\n") == 1
    assert Path("run/steps.json").read_text() == text


def test_terminal_page_and_status_say_all_tokens_of_the_journals_by_step(recipe: Path, run: Path) -> None:
    found: dict[str, list[int]] = {}
    for again in ((), ("--set", "sample.k=1")):  # what earlier settings asked for was paid, too
        assert ms("generate", recipe, "-o", "run", *again).code == 0
    for place in sorted(Path("run/replies").iterdir()):
        usage = [json.loads(line)["reply"]["usage"] for path in place.glob("*") for line in open_lines(path)]
        found[place.name[3:]] = [
            len(usage),
            *(sum(one[f"{of}_tokens"] for one in usage) for of in ("prompt", "completion")),
        ]
    assert set(found) == {"seed-expand", "sample"} and min(map(min, found.values())) > 0
    whole = [sum(column) for column in zip(*found.values(), strict=True)]
    said = {" ".join(line.split()) for line in ms("report", "run").out.splitlines()}
    for name, (replies, sent, came) in [("tokens", whole), *found.items()]:
        assert f"{name} {sent + came:,}: {sent:,} in, {came:,} out ({replies} replies)" in said
    total = f"{sum(whole[1:]):,}: {whole[1]:,} in, {whole[2]:,} out ({whole[0]} replies)"
    assert f"  tokens: {total}\n" in ms("status", "run").out
    told = json.loads(ms("status", "run", "--json").out)["tokens"]
    assert {step[3:]: list(of.values()) for step, of in told.items()} == found
    page = Path("run/report.html").read_text()
    assert f'<dt>Tokens</dt><dd><div class="number">{sum(whole[1:]):,}</div>' in page
    for _, sent, came in found.values():
        assert f"<td>{sent:,}</td><td>{came:,}</td>" in page


def test_show_prints_rows_of_the_run_as_it_stands(recipe: Path, run: Path) -> None:
    ms("generate", recipe, "-o", "run", "--set", "models.teacher.temperature=0.9")
    done = ms("show", "run", "-n", 1)
    assert (done.code, done.err, done.out.count("\nid: ") + done.out.startswith("id: ")) == (0, "", 1)
    assert '"temperature":0.9' in done.out
    first = ms("show", next(iter(sorted(Path("run").glob("*-input-*")))), "-n", 2).out
    assert first.count("question: What is ") == 2
    assert ms("show", "seeds.jsonl" if Path("seeds.jsonl").exists() else recipe.with_name("seeds.jsonl")).code == 0


def test_show_id_prints_the_whole_ancestry_oldest_first(run: Path) -> None:
    solution = next(row for row in rows(step(Path("run"), "export")) if row["method"] == "rephrase")
    done = ms("show", "run", "--id", solution["id"][:12])
    assert (done.code, done.err) == (0, "")
    places = [line.split()[1].split("/")[0][:2] for line in done.out.splitlines() if line.startswith("── ")]
    # The seed in three steps, its rephrasing in two of them, the solution from `sample` on.
    assert places == ["00", "01", "01", "02", "03", "04", "05"]
    assert done.out.index("What is 2 + 3?") < done.out.index("Think of this. What is 2 + 3?")
    assert f"id: {solution['problem_id']}" in done.out
    assert "01-seed-expand" in done.out and ", unchanged" in done.out


def test_show_id_tells_why_a_row_was_dropped(run: Path) -> None:
    lost = read_lines(step(Path("run"), "dedupe") / "dropped.jsonl")[0]
    done = ms("show", "run", "--id", lost["row"]["id"])
    assert f"DROPPED by dedupe: {lost['reason']} {lost['detail']}" in done.out


def test_an_id_of_several_rows_is_refused(run: Path) -> None:
    done = ms("show", "run", "--id", "")
    assert (done.code, done.out, done.err.count("\n")) == (0, done.out, 0)
    first = {row["id"][0] for row in rows(step(Path("run"), "sample"))}
    assert any(ms("show", "run", "--id", letter).code == 2 for letter in first)


def test_doctor_calls_nothing_ok_that_is_not_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("mathsynth.commands.doctor.EXTRAS", {"programs": "sympy", "far": "no_such_package"})
    monkeypatch.setattr("mathsynth.commands.doctor._sandbox", lambda config: (False, "nothing isolates here"))
    monkeypatch.setenv("MATHSYNTH_CACHE", str(tmp_path))
    done = ms("doctor")
    assert done.code == 0
    assert "none sandbox: nothing isolates here\n" in done.out
    assert "ok   extra programs: sympy 1." in done.out
    assert "none extra far: no_such_package not installed (pip install 'mathsynth[far]')\n" in done.out
    assert re.search(r"^none weights \S+: not here", done.out, re.MULTILINE)


def test_doctor_asks_each_model(recipe: Path) -> None:
    done = ms("doctor")
    assert (done.code, done.err) == (0, "")
    assert f"ok   mathsynth: {__version__}" in done.out
    done = ms("doctor", recipe)
    assert done.code == 0
    assert done.out.splitlines()[-1].startswith("ok   model teacher: scripted: ")
    done = ms("doctor", recipe, "--set", "models.teacher.replies=/no.jsonl")
    assert done.code == 1
    assert done.out.splitlines()[-1] == "FAIL model teacher: replies: /no.jsonl: No such file or directory"


def test_models_list_names_size_and_licence() -> None:
    done = ms("models", "list")
    assert done.code == 0
    assert done.out.startswith("smollm2-135m ")
    assert " MB  Apache-2.0  " in done.out


# --- recipes -------------------------------------------------------------------------------------------------------


def test_recipe_list_has_a_line_for_each_that_ships() -> None:
    done = ms("recipe", "list")
    shipped = sorted(path.stem for path in folder("recipes").glob("*.yaml"))
    assert [line.split()[0] for line in done.out.splitlines()] == shipped
    assert all(len(line.split()) > 3 for line in done.out.splitlines())


@pytest.mark.parametrize("path", sorted(folder("recipes").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_recipe_is_fine_by_name(path: Path) -> None:
    done = ms("recipe", "check", path.stem)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"{path}: fine; ")


def unknown_keys(value: object, schema: dict[str, object], definitions: dict[str, object], at: str = "") -> list[str]:
    """The keys of a document that its schema doesn't know. Follows what our schema uses, no more."""
    while "$ref" in schema:
        schema = definitions[str(schema["$ref"]).rpartition("/")[2]]  # type: ignore[assignment]
    if choices := schema.get("anyOf"):
        return min((unknown_keys(value, choice, definitions, at) for choice in choices), key=len)  # type: ignore[attr-defined]
    if isinstance(value, dict):
        known, others = schema.get("properties", {}), schema.get("additionalProperties", True)
        found = []
        for key, item in value.items():
            inner = known.get(key) or (others if isinstance(others, dict) else {})  # type: ignore[attr-defined]
            if key not in known and others is False:  # type: ignore[operator]
                found.append(f"{at}.{key}")
            found += unknown_keys(item, inner, definitions, f"{at}.{key}")
        return found
    return [] if schema.get("type") not in ("object", "array") or isinstance(value, list) else [at]


def test_the_schema_knows_every_key_of_the_shipped_recipes() -> None:
    done = ms("recipe", "schema")
    assert done.code == 0
    schema = json.loads(done.out)
    assert schema["$schema"].endswith("2020-12/schema")
    for path in folder("recipes").glob("*.yaml"):
        assert unknown_keys(yaml.safe_load(path.read_text()), schema, schema["$defs"]) == []
    wrong = {"seeed": 1, "steps": {"sample": {"kk": 1}, "seed-expand": {"methods": {"nope": {}}}}}
    assert unknown_keys(wrong, schema, schema["$defs"]) == [
        ".seeed",
        ".steps.sample.kk",
        ".steps.seed-expand.methods.nope",
    ]


def test_the_schema_says_what_each_key_is_for() -> None:
    schema = json.loads(ms("recipe", "schema").out)
    steps = schema["properties"]["steps"]["properties"]
    made = {"seed-expand", "persona-rewrite", "label", "measure", "sample", "partial-programs"}
    assert set(steps) == made | {"verify", "dedupe", "export"}
    silent = [
        f"{name}.{key}"
        for name, step in steps.items()
        for key, field in step["properties"].items()
        if not (field.get("description") or key == "methods")
    ]
    assert silent == []


def test_no_command_writes_where_it_was_not_told(recipe: Path) -> None:
    before = set(os.listdir())
    for command in (["plan", recipe], ["recipe", "check", recipe], ["doctor", recipe], ["models", "list"]):
        assert ms(*command).code == 0
    assert set(os.listdir()) == before
