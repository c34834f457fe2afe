"""Recipes as text: places of keys, extends, environment, overrides."""

import pytest

from mathsynth.errors import UsageError
from mathsynth.yamlfile import fill_from_env, load, override


def write(path, text):
    path.write_text(text)
    return path


def test_every_key_knows_its_line(tmp_path):
    document = load(write(tmp_path / "a.yaml", "x: 1\nsteps:\n  sample:\n    k: 2\nlist:\n  - a\n  - b\n"))
    assert document.where(("steps", "sample", "k")) == f"{tmp_path}/a.yaml:4"
    assert document.where(("steps", "sample", "nothing")) == f"{tmp_path}/a.yaml:3"
    assert document.where(("list", 1)) == f"{tmp_path}/a.yaml:7"


def test_extends_merges_key_by_key_and_null_removes(tmp_path):
    write(tmp_path / "base.yaml", "steps:\n  a: {k: 1, n: 2}\n  b: {}\nname: base\n")
    document = load(write(tmp_path / "top.yaml", "extends: base.yaml\nsteps:\n  a: {k: 5}\n  b: null\n"))
    assert document.data == {"steps": {"a": {"k": 5, "n": 2}}, "name": "base"}
    assert document.where(("steps", "a", "n")).endswith("base.yaml:2")
    assert document.where(("steps", "a", "k")).endswith("top.yaml:3")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a: [1", ":1: not YAML"),
        ("- 1\n", ":1: should be a mapping"),
        ("a: 1\nb: 2\na: 3\n", ":3: a: this key is written twice"),
        ("extends: nothing.yaml\n", ":1: extends: no such file"),
        ("extends: 3\n", ":1: extends: should be"),
        ("\ta: 1", "not YAML"),
    ],
)
def test_mistakes_give_one_line_with_file_and_line(tmp_path, text, complaint):
    with pytest.raises(UsageError) as error:
        load(write(tmp_path / "r.yaml", text))
    assert complaint in str(error.value)
    assert "\n" not in str(error.value)


def test_a_recipe_that_extends_itself_is_refused(tmp_path):
    write(tmp_path / "a.yaml", "extends: b.yaml\n")
    with pytest.raises(UsageError, match="extends itself"):
        load(write(tmp_path / "b.yaml", "extends: a.yaml\n"))


def test_environment_values_are_filled_in_and_redacted(tmp_path, monkeypatch):
    monkeypatch.setenv("MY_SECRET", "s3cr3t-value")
    document = load(write(tmp_path / "r.yaml", "a: pre-${MY_SECRET}\nb: ${NOT_THERE:-else}\n"))
    fill_from_env(document)
    assert document.data == {"a": "pre-s3cr3t-value", "b": "else"}
    assert document.redact("x s3cr3t-value y") == "x ${MY_SECRET} y"


def test_a_message_may_name_an_address_of_the_environment_but_no_secret(tmp_path, monkeypatch):
    values = {"URL": "http://gpu7:8000/v1", "WITH_KEY": "http://u:pw@gpu7/v1", "KEY": "http-key-1"}
    for name, value in {**values, "IN_PATH": "https://gate.way/api/9f3cA1/v1"}.items():
        monkeypatch.setenv(name, value)
    document = load(write(tmp_path / "r.yaml", "a: ${URL}\nb: ${WITH_KEY}\nc: ${KEY}\nd: ${IN_PATH}\n"))
    fill_from_env(document)
    text = "can't reach http://gpu7:8000/v1 or http://u:pw@gpu7/v1 with http-key-1"
    assert document.hide(text) == "can't reach http://gpu7:8000/v1 or ${WITH_KEY} with ${KEY}"
    assert document.hide("no https://gate.way/api/9f3cA1/v1") == "no ${IN_PATH}"
    assert "gpu7" not in document.redact(text)


def test_a_missing_environment_variable_is_named_with_its_line(tmp_path):
    document = load(write(tmp_path / "r.yaml", "a: 1\nb: ${SURELY_NOT_SET_ANYWHERE}\n"))
    with pytest.raises(UsageError, match=r"r\.yaml:2: b: the environment variable SURELY_NOT_SET_ANYWHERE"):
        fill_from_env(document)


def test_overrides_reach_steps_by_their_name_and_anything_by_its_path(tmp_path):
    document = load(write(tmp_path / "r.yaml", "steps:\n  sample: {k: 1}\nmodels: {}\n"))
    override(document, ["sample.k=4", "models.teacher.model=a=b", "seed=7", "sample.sampling.stop=[x, y]"])
    assert document.data["steps"]["sample"] == {"k": 4, "sampling": {"stop": ["x", "y"]}}
    assert document.data["models"]["teacher"]["model"] == "a=b"
    assert document.data["seed"] == 7
    assert document.where(("steps", "sample", "k")) == "--set sample.k=4"


@pytest.mark.parametrize("text", ["k", "=3", "seed.x=1"])
def test_a_wrong_override_is_refused(tmp_path, text):
    document = load(write(tmp_path / "r.yaml", "seed: 3\n"))
    with pytest.raises(UsageError, match="--set"):
        override(document, [text])


def test_words_and_dates_stay_text(tmp_path):
    document = load(
        write(tmp_path / "r.yaml", "a: off\nb: no\nc: yes\nd: true\ne: 2024-05-01\nf: 7\ng: 1.5\nh: null\ni: False\n")
    )
    assert list(document.data.values()) == ["off", "no", "yes", True, "2024-05-01", 7, 1.5, None, False]
    override(document, ["a=on", "b=true", "c=[x, y"])
    assert [document.data[key] for key in "abc"] == ["on", True, "[x, y"]


def test_short_forms_of_input_are_spelled_out_with_their_lines(tmp_path):
    document = load(write(tmp_path / "r.yaml", "input:\n- a.jsonl\n- path: b.jsonl\n  layout: math\n"))
    assert document.data["input"] == {"sources": [{"path": "a.jsonl"}, {"path": "b.jsonl", "layout": "math"}]}
    assert document.where(("input", "sources", 1, "layout")).endswith("r.yaml:4")
    assert load(write(tmp_path / "s.yaml", "input: a.jsonl\n")).data["input"] == {"sources": [{"path": "a.jsonl"}]}
    child = load(write(tmp_path / "t.yaml", "extends: r.yaml\ninput: {limit: 3}\n"))
    assert child.data["input"] == {"sources": document.data["input"]["sources"], "limit": 3}
