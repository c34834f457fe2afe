"""A recipe: what extends, overrides and the environment do; what is in a step's key; mistakes with their place."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from command_line import ms, write_lines, write_project
from mathsynth.changes import _differences
from mathsynth.errors import UsageError
from mathsynth.recipe import Recipe, find_recipe, read_recipe, read_recipe_for, shipped_recipes
from mathsynth.resources import folder

ROOT = Path(__file__).parents[1]
STEPS = {
    "seed-expand": {"methods": {"rephrase": {"prompt": "say"}, "backward": {}}},
    "persona-rewrite": {"prompt": "retell"},
    "sample": {"prompt": "ask", "k": 2},
    "verify": {},
    "dedupe": {},
    "export": {},
}
ALL = ["input", *STEPS]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_project(tmp_path / "sums", steps=STEPS)


def keys(recipe: Recipe) -> dict[str, str]:
    return {step.name: step.key for step in recipe.steps}


def changed(path: Path, *sets: str) -> list[str]:
    """The steps whose keys these overrides change."""
    before, after = keys(read_recipe(path)), keys(read_recipe(path, sets))
    return [name for name in before if before[name] != after[name]]


# --- extends, environment, overrides -------------------------------------------------------------------------------


def test_a_recipe_extends_another_key_by_key(path: Path) -> None:
    child = path.with_name("child.yaml")
    child.write_text("extends: recipe.yaml\ninput: {limit: 2}\nsteps:\n  sample: {k: 3}\n  dedupe:\n")
    recipe = read_recipe(child)
    assert [step.name for step in recipe.steps] == [name for name in ALL if name != "dedupe"]
    sample = next(step.config for step in recipe.steps if step.name == "sample")
    assert (sample.k, sample.prompt) == (3, "ask")  # type: ignore[attr-defined]
    assert recipe.steps[0].config.limit == 2  # type: ignore[attr-defined]
    assert [source.path for source in recipe.steps[0].config.sources] == ["seeds.jsonl"]  # type: ignore[attr-defined]


def test_a_recipe_extends_a_shipped_one_by_name(tmp_path: Path) -> None:
    child = tmp_path / "mine.yaml"
    child.write_text("extends: quickstart\nsteps: {sample: {k: 7}}\n")
    base, recipe = read_recipe(find_recipe("quickstart")), read_recipe(child)
    assert recipe.name == "mine"
    assert [step.name for step in recipe.steps] == [step.name for step in base.steps]
    assert [step.key == other.key for step, other in zip(recipe.steps, base.steps, strict=True)][:3] == [True] * 3
    for given, name in (("quickstrat", "quickstart"), ("program-of-thought.yaml", "program-of-thought")):
        child.write_text(f"extends: {given}\n")
        with pytest.raises(UsageError) as caught:
            read_recipe(child)
        said = f"no such file: {tmp_path / given}, and no recipe of that name ships with mathsynth"
        assert str(caught.value) == f"{child}:1: extends: {said}; did you mean {name!r}?"


def test_the_order_of_words_is_base_then_recipe_then_overrides_then_environment(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODEL", "from-env")
    child = path.with_name("child.yaml")
    child.write_text("extends: recipe.yaml\nmodels: {teacher: {temperature: 0.1, max_tokens: 7}}\n")
    recipe = read_recipe(child, ["models.teacher.temperature=0.2", "models.teacher.model=${MODEL}"])
    teacher = recipe.models["teacher"]
    assert (str(teacher.max_in_flight), teacher.max_tokens, teacher.temperature) == ("4", 7, 0.2)
    assert teacher.model == "from-env"


def test_the_short_forms_of_input_take_overrides(path: Path) -> None:
    for sets in (["input.limit=2"], ["input=seeds.jsonl", "input.limit=2"], ["input=[seeds.jsonl]", "input.limit=2"]):
        config = read_recipe(path, sets).steps[0].config
        assert (config.limit, len(config.sources)) == (2, 1)  # type: ignore[attr-defined]


def test_what_came_from_the_environment_is_in_no_saved_recipe(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLACE", "secret-host-8213")
    recipe = read_recipe(path, ["description=on ${PLACE} it runs"])
    assert "secret-host-8213" in recipe.head.description
    assert "secret-host-8213" not in recipe.text
    assert yaml.safe_load(recipe.text)["description"] == "on ${PLACE} it runs"


def test_the_saved_recipe_runs_again_with_the_same_keys(path: Path) -> None:
    first = read_recipe(path, ["sample.k=3", "input.limit=2"])
    again = path.with_name("saved.yaml")
    again.write_text(first.text)
    assert keys(read_recipe(again)) == keys(first)


def test_check_and_plan_say_which_answers_nothing_reads(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_lines(path.with_name("seeds.jsonl"), [{"question": "1+1?", "final": 0, "Final_answer": "2"}])
    sets = ("--set", "input=[{path: seeds.jsonl, fields: {question: question}}]")
    for command in (("recipe", "check"), ("plan",)):
        caplog.clear()
        assert ms(*command, path, *sets).code == 0
        assert [text.partition(";")[0].rpartition("/")[2] for text in caplog.messages] == [
            "seeds.jsonl:1: nothing reads the column Final_answer"
        ], command


def test_what_a_run_stores_runs_again_from_there(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = path.read_text().replace("name: sums\n", "").replace("max_in_flight: 4", "max_in_flight: ${SLOTS:-4}")
    path.write_text(text.replace("replies: ", "few_shot: shots.yaml\n    replies: "))
    path.with_name("shots.yaml").write_text("- {question: q, response: r}\n")
    monkeypatch.setenv("SLOTS", "7")
    path = path.rename(path.with_name("tried.yaml"))
    run, again, third = (path.parent / "runs" / name for name in ("one", "two", "three"))
    assert ms("generate", path, "-o", run, "--set", "sample.k=1", "--set", "description=says sums").code == 0
    stored = run / "recipe.yaml"
    assert "max_in_flight: ${SLOTS:-4}" in stored.read_text()
    monkeypatch.delenv("SLOTS")
    assert keys(read_recipe(stored)) == keys(read_recipe(path, ["sample.k=1"]))
    assert str(read_recipe(stored).models["teacher"].max_in_flight) == "4"
    assert ms("generate", stored, "-o", again).code == ms("generate", again / "recipe.yaml", "-o", third).code == 0
    for name in ("recipe.yaml", "steps.json"):
        assert (run / name).read_bytes() == (again / name).read_bytes() == (third / name).read_bytes()
    assert [line for line in stored.read_text().splitlines() if line.startswith("name")] == ["name: tried"]
    assert read_recipe(stored).base == path.parent


def test_what_a_run_of_a_shipped_recipe_stores_says_nothing_of_this_machine() -> None:
    stored = read_recipe(find_recipe("mario-tool")).stored
    assert (str(ROOT) in stored, "${MODEL_URL:-http://localhost:8000/v1}" in stored) == (False, True)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            [{"path": "my.jsonl", "fields": {"question": "problem", "answer": "answer"}}],
            [{"path": "my.jsonl", "fields": {"question": "problem"}}],
            ['input.sources.0.fields.answer: "answer" -> null'],
        ),
        (
            [{"path": "a"}],
            [{"path": "a"}, {"path": "b"}],
            ['input.sources: [{"path":"a"}] -> [{"path":"a"},{"path":"b"}]'],
        ),
        (
            "It is a text that begins as the other does, and then says A to the reader of it, who waits.",
            "It is a text that begins as the other does, and then says B to the reader of it, who waits.",
            [
                'input.sources: ...does, and then says A to the reader of it, who waits." -> '
                '...does, and then says B to the reader of it, who waits."'
            ],
        ),
        ("x" * 100, "y", [f'input.sources: "{"x" * 56}... -> "y"']),
        (4, 8, ["input.sources: 4 -> 8"]),
    ],
)
def test_what_changed_is_shown_where_it_differs(old: Any, new: Any, said: list[str]) -> None:
    assert list(_differences({"sources": old}, {"sources": new}, "input")) == said


def test_recipes_are_found_by_path_then_by_name(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(path.parent)
    assert find_recipe("recipe.yaml") == path.resolve()
    assert find_recipe("quickstart") == folder("recipes") / "quickstart.yaml"
    names = [name for name, _ in shipped_recipes()]
    assert "quickstart" in names
    with pytest.raises(UsageError, match=re.escape(f"nope: no such recipe file; shipped ones: {', '.join(names)}")):
        find_recipe("nope")
    for given in ("mariotool", "mario-tool.yaml", "recipes/mario-tool.yml"):
        with pytest.raises(
            UsageError, match=r"no such recipe file; did you mean 'mario-tool'\?; shipped ones: augment"
        ):
            find_recipe(given)


def test_a_stage_command_takes_its_step_by_stage_and_short_keys(path: Path) -> None:
    data = yaml.safe_load(path.read_text())
    data["steps"] = {"solve-it": {"stage": "sample", "prompt": "ask", "k": 2}}
    path.write_text(yaml.safe_dump(data, sort_keys=False))
    (step,) = read_recipe_for("sample", path, ["k=5"]).steps
    assert (step.name, step.config.k, step.config.prompt) == ("solve-it", 5, "ask")  # type: ignore[attr-defined]
    with pytest.raises(UsageError, match="no step runs the stage 'verify' \\(steps: solve-it\\)"):
        read_recipe_for("verify", path, [])
    (step,) = read_recipe_for("verify", None, ["steps=off"]).steps
    assert step.config.steps == "off"  # type: ignore[attr-defined]


# --- keys ----------------------------------------------------------------------------------------------------------


def test_keys_do_not_depend_on_the_process(path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from mathsynth.recipe import read_recipe\n"
        "print(*[step.key for step in read_recipe(Path(sys.argv[1])).steps])"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code, path],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
            cwd=path.parent if seed == "1" else ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()[-1]
        for seed in ("1", "2")
    }
    assert outputs == {read_recipe(path).steps[-1].key}


def test_keys_do_not_depend_on_where_the_project_is_nor_on_the_order_of_keys(path: Path, tmp_path: Path) -> None:
    moved = write_project(tmp_path / "elsewhere", steps=STEPS)
    data = yaml.safe_load(moved.read_text())
    data["models"]["teacher"] = dict(reversed(data["models"]["teacher"].items()))
    data["steps"]["sample"] = dict(reversed(data["steps"]["sample"].items()))
    moved.write_text(yaml.safe_dump(dict(reversed(data.items())), sort_keys=False))
    assert keys(read_recipe(moved)) == keys(read_recipe(path))


@pytest.mark.parametrize(
    "knob",
    [
        "models.teacher.max_in_flight=1",
        "models.teacher.max_in_flight=2-8-16",
        "models.teacher.requests_per_minute=60",
        "models.teacher.tokens_per_minute=1000",
        "models.teacher.price={prompt: 1, completion: 2}",
        "budget={tokens: 5, hours: 1}",
        "models.teacher.timeout_s=1",
        "models.teacher.retries=0",
        "models.teacher.give_up_after_s=1",
        "name=other",
        "description=other",
        "max_failed_share=0.5",
    ],
)
def test_tuning_knobs_are_in_no_key(path: Path, knob: str) -> None:
    assert changed(path, knob) == []


def test_another_backend_or_address_of_the_same_model_is_in_no_key(path: Path) -> None:
    data = yaml.safe_load(path.read_text())
    found = []
    for teacher in (
        {"backend": "openai", "base_url": "http://one/v1"},
        {"backend": "openai", "base_url": ["http://one/v1", "http://two/v1"], "api_key_env": "KEY"},
        {"backend": "openai", "base_url": "http://one/v1", "max_reply_chars": 5},
        {"backend": "scripted", "replies": "anything.jsonl"},
        {"backend": "llamacpp", "slots": 3, "threads": 1, "context_per_slot": 99, "weights": "x.gguf"},
    ):
        data["models"]["teacher"] = {"model": "m", "temperature": 0.5, **teacher}
        path.write_text(yaml.safe_dump(data, sort_keys=False))
        found.append(keys(read_recipe(path)))
    assert found.count(found[0]) == len(found)


ASKING = ["seed-expand", "persona-rewrite", "sample", "verify", "dedupe", "export"]


@pytest.mark.parametrize(
    ("sets", "steps"),
    [
        ("models.teacher.model=other", ASKING),
        ("models.teacher.system=Be brief.", ASKING),
        ("models.teacher.temperature=0.3", ASKING),
        ("models.teacher.top_p=0.3", ASKING),
        ("models.teacher.max_tokens=3", ASKING),
        ("models.teacher.stop=[x]", ASKING),
        ("models.teacher.extra_body={top_k: 5}", ASKING),
        ("seed=7", ALL),
        ("input.limit=2", ALL),
        ("seed-expand.methods.rephrase.n=2", ASKING),
        ("sample.sampling.temperature=0.3", ASKING[2:]),
        ("sample.k=3", ASKING[2:]),
        ("sample.keep_wrong=true", ASKING[2:]),
        ("verifier.digits=7", ASKING[2:]),
        ("verify.steps=flag", ASKING[3:]),
        ("export.format=alpaca", ASKING[5:]),
    ],
)
def test_whatever_is_sent_or_decides_is_in_the_keys_of_its_step_and_all_after(
    path: Path, sets: str, steps: list[str]
) -> None:
    assert changed(path, sets) == steps


def test_the_content_of_prompts_and_seeds_is_in_the_key(path: Path) -> None:
    before = keys(read_recipe(path))

    def differ() -> list[str]:
        after = keys(read_recipe(path))
        return [name for name in before if before[name] != after[name]]

    prompt = path.parent / "prompts" / "ask.md"
    kind = prompt.read_text()
    prompt.write_text(kind + "\nPlease.\n")
    assert differ() == ASKING[2:]
    prompt.write_text(kind)
    assert differ() == []
    write_lines(path.with_name("seeds.jsonl"), [{"question": "What is 7 + 8?", "answer": "15"}])
    assert differ() == ALL


def test_a_prompt_beside_the_recipe_comes_before_a_shipped_one(path: Path) -> None:
    assert changed(path, "sample.prompt=solve") == ASKING[2:]
    shipped = next(step for step in read_recipe(path, ["sample.prompt=solve"]).steps if step.name == "sample")
    assert shipped.prompts["solve"].path == folder("recipes") / "prompts" / "solve.md"
    own = path.parent / "prompts" / "solve.md"
    own.write_text("## user\n\n{{ question }}\n")
    recipe = read_recipe(path, ["sample.prompt=solve"])
    assert next(step for step in recipe.steps if step.name == "sample").prompts["solve"].path == own


def test_the_material_of_each_key_is_beside_the_rows(path: Path, tmp_path: Path) -> None:
    assert ms("generate", path, "-o", tmp_path / "run", "--until", "seed-expand").code == 0
    for step in read_recipe(path).steps[:2]:
        written = json.loads((tmp_path / "run" / step.directory / "key.json").read_text())
        assert (written["key"], written["material"]) == (step.key, step.material)
        assert step.directory == f"{step.number:02d}-{step.name}-{step.key[:8]}"


# --- mistakes ------------------------------------------------------------------------------------------------------

HEAD = "input: seeds.jsonl\nmodels:\n  teacher: {backend: openai, model: m}\n"


TOOL = "steps:\n  sample: {format: tool}\n"
RETOLD = "steps:\n  seed-expand: {methods: {rephrase: {}}}\n"


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("", 1, "should be a mapping of keys"),
        ("- a\n", 1, "should be a mapping of keys"),
        ("a: [\n", 2, "not YAML"),
        ("seed: 1\nseed: 2\n", 2, "seed: this key is written twice"),
        ("steps:\n  verify: {}\n", 1, "input: this key is required: which files hold the seed problems"),
        ("input: seeds.jsonl\n", 1, "steps: this key is required: which stages run (there are: dedupe, export, "),
        (
            HEAD + "steps:\n  sample: {}\n  export: {}\n  dedupe: {}\n",
            7,
            "steps.dedupe: stands behind export",
        ),
        (HEAD + "steps: [sample]\n", 4, "steps: should be a mapping of stage names, got list"),
        (HEAD + "steps:\n  smaple: {}\n", 5, "steps.smaple: unknown stage 'smaple'; there are: dedupe, "),
        (HEAD + "steps:\n  Sample: {stage: sample}\n", 5, "steps.Sample: a step's name is lower-case letters"),
        (HEAD + "steps:\n  sample: 4\n", 5, "steps.sample: should be a mapping of stage settings, got int"),
        (HEAD + "steps:\n  sample:\n    kk: 4\n", 6, "steps.sample.kk: unknown key 'kk'; did you mean 'k'? (allowed: "),
        (HEAD + "steps:\n  sample:\n    k: many\n", 6, "steps.sample.k: should be a valid integer"),
        (HEAD + "steps:\n  sample:\n    policy: best\n", 6, "'prop2diff' or 'adaptive', got 'best'"),
        (HEAD + "steps:\n  sample:\n    vote:\n      share: 1\n", 7, "unknown key 'share'"),
        (HEAD + "steps:\n  sample:\n    model: tacher\n", 6, "unknown model 'tacher'; did you mean 'teacher'?"),
        (HEAD + "steps:\n  sample: {prompt: nope}\n", 5, "prompt 'nope': no nope.md in "),
        (HEAD + "steps:\n  sample: {sampling: {top_p: 7}}\n", 5, "steps.sample.sampling.top_p: should be less than"),
        (HEAD + "steps:\n  seed-expand: {}\n", 5, "steps.seed-expand.methods: this key is required"),
        (HEAD + "steps:\n  seed-expand:\n    methods: {}\n", 6, "steps.seed-expand.methods: "),
        (HEAD + "steps:\n  seed-expand:\n    methods: {nope: {}}\n", 6, "unknown method 'nope'; there are: backward"),
        (HEAD + "steps:\n  seed-expand:\n    methods:\n      evolve: {ways: [up]}\n", 7, "evolve.ways.0: should be"),
        (HEAD.replace("openai", "opnai") + "steps: {verify: {}}\n", 3, "unknown backend 'opnai'; there are: "),
        (HEAD.replace("backend: openai, ", "") + "steps: {verify: {}}\n", 3, "backend: this key is required"),
        (HEAD.replace("m}", "m, temprature: 1}") + "steps: {verify: {}}\n", 3, "did you mean 'temperature'?"),
        (
            HEAD.replace("m}", "m, temperature: hot}") + "steps: {verify: {}}\n",
            3,
            "temperature: should be a valid number",
        ),
        (HEAD + "verifier: {digitz: 3}\nsteps: {verify: {}}\n", 4, "verifier.digitz: unknown key 'digitz'"),
        (
            HEAD + "seed: ${SURELY_NOT_SET}\nsteps: {verify: {}}\n",
            4,
            "the environment variable SURELY_NOT_SET is not set",
        ),
        (HEAD + "name: a/b\nsteps: {verify: {}}\n", 4, "name: "),
        ("input:\n  - path: seeds.jsonl\n    layuot: gsm8k\nsteps: {verify: {}}\n", 3, "did you mean 'layout'?"),
        (
            "input:\n  - path: seeds.jsonl\n    layout: gsm\nsteps: {verify: {}}\n",
            3,
            "should be 'problems', 'gsm8k' or",
        ),
        (HEAD + "steps:\n  measure: {at_least: 0.9, at_most: 0.1}\n", 5, "measure: at_least is above at_most"),
        (
            HEAD + f"{TOOL}  export:\n    format: alpaca\n",
            7,
            "export.format: alpaca has one text, in which the turns of tool ",
        ),
        (HEAD + f"{TOOL}  export: {{format: prompt_completion}}\n", 6, "can't be told apart; messages or sharegpt can"),
        (HEAD + "steps:\n  sample: {format: adapt}\n  export: {format: alpaca}\n", 6, "the turns of tool solutions"),
        (HEAD + "steps:\n  sample: {}\n  verify: {replay: true}\n", 6, "verify.replay: nothing to run again: the sol"),
        (HEAD + f"{TOOL}  partial-programs: {{}}\n", 6, "partial-programs: it reads rows of sample: {format: program}"),
        (HEAD + "steps:\n  sample: {}\n  verify: {keep: [wrong]}\n  export: {}\n", 7, "only correct rows go out, but"),
        (HEAD + "steps:\n  sample: {vote: {samples: 2}}\n", 5, "sample.vote: min_votes (3) is above samples (2)"),
        (
            HEAD + f"{RETOLD}  sample: {{max_trials: 1}}\n",
            6,
            "sample.max_trials: below confirm_votes (2): no rewritten",
        ),
        (
            HEAD + "steps:\n  seed-expand:\n    methods: {backward: {}}\n  sample:\n    max_trials: 1\n",
            8,
            "sample.max_trials: below confirm_votes (2): no rewritten or backward problem would count",
        ),
        (HEAD + f"{RETOLD}  sample:\n    policy: fixed\n    k: 1\n", 8, "sample.k: below confirm_votes (2)"),
        ("extends: [a]\n", 1, "extends: should be the path of a recipe"),
        ("seed: 1\nextends: mine.yaml\n", 2, "it extends itself"),
    ],
)
def test_every_mistake_names_file_and_line(tmp_path: Path, text: str, line: int, said: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        read_recipe(path)
    complaints = str(caught.value).splitlines()
    assert all(complaint.startswith(f"{path}:") for complaint in complaints), complaints
    assert any(complaint.startswith(f"{path}:{line}: ") and said in complaint for complaint in complaints), complaints


@pytest.mark.parametrize(
    ("sets", "said"),
    [
        ("sample.kk=3", "--set sample.kk=3: steps.sample.kk: unknown key 'kk'"),
        ("nope.kk=3", "--set nope.kk=3: nope: unknown key 'nope'"),
        ("sample", "--set sample: expected stage.key=value"),
        ("=3", "--set =3: expected stage.key=value"),
        ("name.x=3", "--set name.x=3: name has no keys below it"),
    ],
)
def test_a_wrong_override_is_quoted(path: Path, sets: str, said: str) -> None:
    with pytest.raises(UsageError, match=re.escape(said)):
        read_recipe(path, [sets])


@pytest.mark.parametrize("wrong", ["{{ 1 / 0 }}", "{{ question.some.part }}", "{% include 'other' %}"])
def test_a_prompt_that_cannot_be_rendered_is_one_line(path: Path, wrong: str) -> None:
    prompt = path.parent / "prompts" / "ask.md"
    prompt.write_text(f"## user\n\n{{{{ question }}}} {wrong}\n")
    result = ms("generate", path, "-o", path.parent / "run", "--set", "steps={sample: {prompt: ask}}")
    assert (result.code, result.err.count("\n")) == (2, 1)
    assert result.err.startswith(f"{prompt}: user turn: ")


def test_a_missing_input_is_named_with_its_place_before_anything_runs(path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"^--set input=no\.jsonl: input\.sources\.0\.path: .*/no\.jsonl: no such file"
    ):
        read_recipe(path, ["input=no.jsonl"])
    path.write_text(path.read_text().replace("- seeds.jsonl", "- seeds.jsonl\n- path: gone.jsonl\n- {path: '*.x'}"))
    line = path.read_text().splitlines().index("- path: gone.jsonl") + 1
    with pytest.raises(UsageError) as caught:
        read_recipe(path)
    assert [text.replace(f"{path.parent}/", "") for text in str(caught.value).splitlines()] == [
        f"recipe.yaml:{line}: input.sources.1.path: gone.jsonl: no such file or folder; a data set on the Hub needs "
        "`format: datasets`",
        f"recipe.yaml:{line + 1}: input.sources.2.path: *.x: no file matches",
    ]


def test_a_path_that_the_shell_says_starts_at_its_folder(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shell = path.parent.with_name("shell")
    shell.mkdir()
    monkeypatch.chdir(shell)
    mine = write_lines(shell / "mine.jsonl", [{"question": "1+1?", "answer": "2"}])

    def read(*sets: str, recipe: Path = path) -> list[str]:
        config = read_recipe(recipe, sets).steps[0].config
        return [source.path for source in config.sources]  # type: ignore[attr-defined]

    for text in ("input=mine.jsonl", "input=[{path: mine.jsonl}]", "input.sources=[{path: mine.jsonl}]"):
        assert read(text) == [str(mine)] == read(text, recipe=find_recipe("mario-tool"))
    assert read("input=[m*.jsonl]") == [str(shell / "m*.jsonl")]
    assert read("input=seeds.jsonl") == ["seeds.jsonl"]  # only the recipe's folder has it
    assert read("input=[data:seeds/one_step.jsonl, {path: my/set, format: datasets}]") == [
        "data:seeds/one_step.jsonl",
        "my/set",
    ]
    assert read("input.limit=1") == ["seeds.jsonl"]
    with pytest.raises(UsageError, match=re.escape(f"{shell}/no.jsonl: no such file")):
        read("input=no.jsonl")
    (shell / "shots.yaml").write_text("- {question: q, response: r}\n")
    assert read_recipe(path, ["models.teacher.few_shot=shots.yaml"]).models["teacher"].shots


def test_a_seed_file_that_cannot_be_told_is_named(path: Path, tmp_path: Path) -> None:
    other: Any = tmp_path / "seeds.csv"
    other.write_text("a,b\n")
    with pytest.raises(UsageError, match=r"seeds\.csv: the name doesn't tell the format"):
        read_recipe(path, [f"input={other}"])
