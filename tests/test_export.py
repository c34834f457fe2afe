"""The stage `export`: what goes out, in which form and split, and what the card says of it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jinja2
import orjson
import pytest
import yaml
from pydantic import ValidationError

from mathsynth.records import Difficulty, Dropped, Problem, Solution, Turn, Usage, Verdict
from mathsynth.stages import export

RIGHT = Verdict(outcome="correct", reason="equal numbers", rule="rational", extracted="2", how="boxed")
RECIPE = "name: demo\nsteps:\n- export: {}\n# ```\n"


def solution(number: int = 0, **changed: Any) -> Solution:
    values: dict[str, Any] = {
        "problem_id": f"p{number}",
        "question": f"What is {number}+1?",
        "answer": "2",
        "answer_source": "given",
        "response": r"It is \boxed{2}.",
        "verdict": RIGHT,
        "model": "smol",
        "seed": 3,
        "usage": Usage(prompt_tokens=5, completion_tokens=7),
        "finish_reason": "stop",
        "source": "seeds",
        "license": "CC0-1.0",
        "method": "rephrase",
    }
    return Solution(**values | changed)


def run(directory: Path, records: list[Any], **config: Any) -> list[Any]:
    def dropped(record: Problem | Solution, reason: str, detail: str = "") -> Dropped:
        return Dropped(stage="export", reason=reason, detail=detail, row=record.model_dump(mode="json"))

    info = SimpleNamespace(
        name="demo", recipe=RECIPE, command="mathsynth generate demo.yaml", models={"teacher": "smol"}
    )
    ctx: Any = SimpleNamespace(directory=directory, info=info, dropped=dropped)
    directory.mkdir(exist_ok=True)
    return list(export.run(records, export.Config.model_validate(config), ctx))


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def card(directory: Path) -> tuple[dict[str, Any], str]:
    _, front, body = (directory / "README.md").read_text().split("---\n", 2)
    return yaml.safe_load(front), body


@pytest.mark.parametrize(
    ("row_format", "system", "expected"),
    [
        ("messages", None, {"messages": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "R"}]}),
        (
            "messages",
            "S",
            {
                "messages": [
                    {"role": "system", "content": "S"},
                    {"role": "user", "content": "Q"},
                    {"role": "assistant", "content": "R"},
                ]
            },
        ),
        ("alpaca", None, {"instruction": "Q", "input": "", "output": "R"}),
        ("alpaca", "S", {"instruction": "Q", "input": "", "output": "R", "system": "S"}),
        ("sharegpt", None, {"conversations": [{"from": "human", "value": "Q"}, {"from": "gpt", "value": "R"}]}),
        (
            "sharegpt",
            "S",
            {
                "conversations": [
                    {"from": "system", "value": "S"},
                    {"from": "human", "value": "Q"},
                    {"from": "gpt", "value": "R"},
                ]
            },
        ),
        ("prompt_completion", None, {"prompt": "Q\n\n", "completion": "R"}),
        ("prompt_completion", "S", {"prompt": "S\n\nQ\n\n", "completion": "R"}),
    ],
)
def test_formats(tmp_path: Path, row_format: str, system: str | None, expected: dict[str, Any]) -> None:
    kept = run(tmp_path, [solution(question="Q", response="R")], format=row_format, system=system, metadata=False)
    assert lines(tmp_path / "train.jsonl") == [expected]
    assert kept == [solution(question="Q", response="R")]


def test_rows_keep_their_order_and_carry_where_they_come_from(tmp_path: Path) -> None:
    records = [solution(number) for number in (5, 3, 9, 1)]
    assert run(tmp_path, records) == records
    rows = lines(tmp_path / "train.jsonl")
    assert [row["metadata"]["problem_id"] for row in rows] == ["p5", "p3", "p9", "p1"]
    assert rows[0]["metadata"] == {
        "id": records[0].id,
        "problem_id": "p5",
        "source": "seeds",
        "license": "CC0-1.0",
        "method": "rephrase",
        "persona": "",
        "format": "cot",
        "model": "smol",
        "temperature": 0.0,
        "top_p": 1.0,
        "answer": "2",
        "rule": "rational",
        "seed": 3,
        "finish_reason": "stop",
        "completion_tokens": 7,
    }
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("README.md", "axolotl.yaml", "dataset_info.json", "train.jsonl"),
    ]


@pytest.mark.parametrize("reasoning", ["strip", "field"])
def test_a_program_gives_its_answer_without_its_thinking(tmp_path: Path, reasoning: str) -> None:
    code = "```python\nprint(1 + 1)\n```"
    row = solution(1, format="program", response=f"<think>1 + 1 = 2</think>\n\n{code}")
    [out] = run(tmp_path, [row], reasoning=reasoning)
    assert isinstance(out, Solution)
    [written] = lines(tmp_path / "train.jsonl")
    assert written["messages"][-1]["content"] == code


@pytest.mark.parametrize(
    ("changed", "config", "reason"),
    [
        ({"verdict": RIGHT.model_copy(update={"outcome": "wrong"})}, {}, "not_correct"),
        ({"verdict": RIGHT.model_copy(update={"outcome": "undecided"})}, {}, "not_correct"),
        ({"finish_reason": "length"}, {}, "truncated"),
        ({"response": " \n"}, {}, "empty"),
        ({"response": "x" * 90}, {"max_chars": 100}, "too_long"),
        ({"response": "<think>hm \\boxed{2}</think>"}, {"reasoning": "strip"}, "answer_in_reasoning"),
        ({"response": "<think>a</think> \\boxed{2} <think> \\boxed{3}"}, {"reasoning": "strip"}, "unclosed_reasoning"),
    ],
)
def test_what_does_not_go_out(tmp_path: Path, changed: dict[str, Any], config: dict[str, Any], reason: str) -> None:
    good = solution(1, response=r"\boxed{2}")
    rows = run(tmp_path, [solution(2, **changed), good], **config)
    assert [row.reason for row in rows if isinstance(row, Dropped)] == [reason]
    assert [row for row in rows if isinstance(row, Solution)] == [good]
    assert len(lines(tmp_path / "train.jsonl")) == 1


def test_a_problem_is_dropped(tmp_path: Path) -> None:
    (row,) = run(tmp_path, [Problem(question="q")])
    assert row.reason == "not_a_solution"
    assert (tmp_path / "train.jsonl").read_bytes() == b""
    assert "0 worked solutions" in card(tmp_path)[1]


def test_thinking_goes_into_a_field_of_the_message_in_every_kind_of_file(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    inside = solution(0, response="<think>So.</think>It is \\boxed{2}.")
    rows = [solution(1), inside, solution(2, reasoning="Well.")]
    for files in ("jsonl", "parquet"):
        assert len(run(tmp_path / files, rows, reasoning="field", files=files)) == 3
    written = [row["messages"] for row in lines(tmp_path / "jsonl" / "train.jsonl")]
    read = [row["messages"] for row in parquet.read_table(tmp_path / "parquet" / "train.parquet").to_pylist()]
    for one, other in zip(written, read, strict=True):
        assert one == [{key: text for key, text in turn.items() if text is not None} for turn in other]
    assert [turns[-1]["reasoning_content"] for turns in written] == ["", "So.", "Well."]
    assert {turns[-1]["content"] for turns in written} == {"It is \\boxed{2}."}
    assert not (tmp_path / "jsonl" / "dataset_info.json").exists()
    with pytest.raises(ValidationError, match="reasoning: field needs format: messages"):
        export.Config(reasoning="field", format="alpaca")


@pytest.mark.parametrize("opening", ["<think>", ""])
def test_reasoning_is_kept_or_stripped(tmp_path: Path, opening: str) -> None:
    response = f"{opening}So 1+1.\nIs it 3?</think>\n\nIt is \\boxed{{2}}."
    run(tmp_path / "keep", [solution(response=response)])
    assert lines(tmp_path / "keep" / "train.jsonl")[0]["messages"][1]["content"] == response
    run(tmp_path / "strip", [solution(response=response)], reasoning="strip")
    assert lines(tmp_path / "strip" / "train.jsonl")[0]["messages"][1]["content"] == "It is \\boxed{2}."


# --- the split -----------------------------------------------------------------------------------------------------


def split_of(directory: Path) -> Mapping[str, set[str]]:
    return {
        name: {row["metadata"]["problem_id"] for row in lines(directory / f"{name}.jsonl")}
        for name in ("train", "validation")
        if (directory / f"{name}.jsonl").exists()
    }


@pytest.mark.parametrize("share", [0.05, 0.1, 0.3, 0.5])
def test_the_split_is_near_its_share_whole_by_problem_and_the_same_each_time(tmp_path: Path, share: float) -> None:
    records = [solution(number, seed=sample) for number in range(100) for sample in range(1 + number % 4)]
    run(tmp_path / "one", records, validation=share)
    sides = split_of(tmp_path / "one")
    assert not sides["train"] & sides["validation"]
    assert sides["train"] | sides["validation"] == {record.problem_id for record in records}
    count = len(lines(tmp_path / "one" / "validation.jsonl"))
    assert abs(count - share * len(records)) <= 2
    run(tmp_path / "two", records[::-1], validation=share)
    assert split_of(tmp_path / "two") == sides


def test_a_seed_and_all_that_was_made_from_it_are_on_one_side(tmp_path: Path) -> None:
    records = []
    for number in range(30):
        records += [
            solution(number),
            solution(number, problem_id=f"child{number}", question=f"c{number}", parents=(f"p{number}",)),
            solution(
                number,
                problem_id=f"grandchild{number}",
                question=f"g{number}",
                parents=(f"p{number}", f"child{number}"),
            ),
            solution(number, problem_id=f"named{number}", question=f"n{number}", meta={"root": f"p{number}"}),
            solution(number, problem_id=f"same{number}", question=f"what  is {number}+1?"),
        ]
    run(tmp_path, records, validation=0.3)
    sides = split_of(tmp_path)
    assert len(sides["validation"]) == 45
    for number in range(30):
        members = {f"{kind}{number}" for kind in ("p", "child", "grandchild", "named", "same")}
        assert members <= sides["train"] or members <= sides["validation"]


def test_a_problem_made_of_two_seeds_joins_them(tmp_path: Path) -> None:
    chain = [
        solution(number, problem_id=f"m{number}", question=f"m{number}", parents=(f"p{number}", f"p{number + 1}"))
        for number in range(10)
    ]
    run(tmp_path, [*chain, *(solution(number) for number in range(50, 60))], validation=0.4)
    sides = split_of(tmp_path)
    joined = {record.problem_id for record in chain}
    assert joined <= sides["train"] or joined <= sides["validation"]
    assert len(sides["validation"]) in (8, 10)


def test_one_problem_is_never_all_validation(tmp_path: Path) -> None:
    run(tmp_path, [solution(1, seed=0), solution(1, seed=1)], validation=0.5)
    assert split_of(tmp_path) == {"train": {"p1"}}


# --- files and their readers ---------------------------------------------------------------------------------------

TRICKY = ["007", "2024-01-01", "1.50", "null", "Zeile\u2028mit ü, \\frac{1}{2} und 😀", "true"]


def tricky() -> list[Solution]:
    return [solution(number, response=text, question=text, answer=text) for number, text in enumerate(TRICKY)]


def test_jsonl_and_parquet_read_back_the_same(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    run(tmp_path / "jsonl", tricky(), validation=0.34)
    run(tmp_path / "parquet", tricky(), validation=0.34, files="parquet")
    for split, rows in (("train", 4), ("validation", 2)):
        written = lines_by_newline(tmp_path / "jsonl" / f"{split}.jsonl")
        assert len(written) == rows
        assert parquet.read_table(tmp_path / "parquet" / f"{split}.parquet").to_pylist() == written


def lines_by_newline(path: Path) -> list[Any]:
    return [orjson.loads(line) for line in path.read_bytes().split(b"\n") if line]


@pytest.mark.parametrize("row_format", ["messages", "alpaca", "sharegpt", "prompt_completion"])
def test_a_datasets_folder_reads_back_the_same(tmp_path: Path, row_format: str) -> None:
    datasets = pytest.importorskip("datasets")
    run(tmp_path / "jsonl", tricky(), format=row_format, validation=0.34)
    run(tmp_path / "one", tricky(), format=row_format, validation=0.34, files="datasets")
    loaded = datasets.load_from_disk(str(tmp_path / "one" / "dataset"))
    for split in ("train", "validation"):
        assert loaded[split].to_list() == lines_by_newline(tmp_path / "jsonl" / f"{split}.jsonl")
    run(tmp_path / "two", tricky(), format=row_format, validation=0.34, files="datasets")
    first, second = (
        {
            file.relative_to(tmp_path / name): file.read_bytes()
            for file in (tmp_path / name).rglob("*")
            if file.is_file()
        }
        for name in ("one", "two")
    )
    assert first == second
    assert not [path for path in first if path.name.startswith(".")]


@pytest.mark.parametrize("files", ["jsonl", "parquet", "datasets"])
def test_load_dataset_finds_the_splits_by_the_card(tmp_path: Path, files: str) -> None:
    datasets = pytest.importorskip("datasets")
    rows = [solution(number, response=f"So {number}.") for number in range(40)]
    run(tmp_path / "out", rows, validation=0.25, files=files)
    # What else lies in a stage's directory must not be taken for rows.
    (tmp_path / "out" / "00000.jsonl").write_text('{"other": 1}\n')
    (tmp_path / "out" / "manifest.json").write_text("{}")
    loaded = datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    assert {name: len(split) for name, split in loaded.items()} == {"train": 30, "validation": 10}
    asked = [row["messages"][0]["content"] for split in loaded.values() for row in split]
    assert sorted(asked) == sorted(row.question for row in rows)


def test_side_files_for_trainers(tmp_path: Path) -> None:
    records = [solution(number) for number in range(10)]
    for row_format, column in (("messages", "messages"), ("sharegpt", "conversations")):
        run(tmp_path, records, format=row_format, validation=0.2)
        info = json.loads((tmp_path / "dataset_info.json").read_text())
        assert {name: entry["file_name"] for name, entry in info.items()} == {
            "demo": "train.jsonl",
            "demo_validation": "validation.jsonl",
        }
        assert info["demo"]["formatting"] == "sharegpt"
        assert info["demo"]["columns"] == {"messages": column}
        config = yaml.safe_load((tmp_path / "axolotl.yaml").read_text())
        assert config["datasets"][0]["path"] == "train.jsonl"
        assert config["datasets"][0]["field_messages"] == column
        assert config["test_datasets"][0]["path"] == "validation.jsonl"
    run(tmp_path, records, format="alpaca", system="S")
    info = json.loads((tmp_path / "dataset_info.json").read_text())
    assert info["demo"]["columns"] == {
        "prompt": "instruction",
        "query": "input",
        "response": "output",
        "system": "system",
    }
    assert yaml.safe_load((tmp_path / "axolotl.yaml").read_text())["datasets"][0]["type"]["field_system"] == "system"


# --- the card ------------------------------------------------------------------------------------------------------


def test_the_card_counts_and_never_assumes_a_licence(tmp_path: Path) -> None:
    hard = Difficulty(pass_rate=0.25, trials=8, model="smol")
    records = [
        solution(1, difficulty=hard),
        solution(1, seed=4, difficulty=hard),
        solution(2, license="", source="found | on the web"),
        solution(3, license="Some Own Licence 2", source="book", method="backward", model="big"),
    ]
    run(tmp_path, records)
    front, body = card(tmp_path)
    assert front["license"] == ["cc0-1.0", "other", "unknown"]
    assert front["size_categories"] == ["n<1K"]
    assert front["configs"] == [{"config_name": "default", "data_files": [{"split": "train", "path": "train.jsonl"}]}]
    assert "# demo\n" in body
    assert "4 worked solutions to 3 mathematical problems" in body
    assert "| train | `train.jsonl` | 4 | 3 | 3 |" in body
    assert "| seeds | CC0-1.0 | 2 |" in body
    assert "| found \\| on the web | unknown | 1 |" in body
    assert "| book | Some Own Licence 2 | 1 |" in body
    assert "Where the licence is unknown, none was stated" in body
    assert "| smol | 3 |" in body
    assert "| backward | 1 |" in body
    assert "| rational | 4 |" in body
    assert "| 20 to 40 % | 1 |" in body
    assert "for the 1 problems where it was measured; on average 25.0 %" in body
    assert "mathsynth generate demo.yaml" in body
    assert "````yaml\n" + RECIPE + "````\n" in body
    run(tmp_path, [solution()])
    assert "licence is unknown" not in card(tmp_path)[1]


def test_the_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        run(tmp_path / name, [solution(number) for number in range(20)], validation=0.2, files="parquet")
    first, second = ({p.name: p.read_bytes() for p in (tmp_path / name).iterdir()} for name in ("one", "two"))
    assert first == second


CODE = "I multiply.\n```python\nprint(6 * 7)\n```"
OUTPUT = "42 SECRET OUTPUT"
TRACE = (
    Turn(role="assistant", content=CODE),
    Turn(role="tool", content=OUTPUT),
    Turn(role="assistant", content=r"So \boxed{42}."),
)
# What trainers render: here the loss is on what the template says a model generates.
TEMPLATE = """{% for m in messages %}<|{{ m.role }}|>
{% if m.role == "assistant" %}{{ "[[" }}{% endif %}{{ m.content }}{% if m.role == "assistant" %}{{ "]]" }}{% endif %}
{% endfor %}"""


def trace(**changed: Any) -> Solution:
    return solution(1, format="tool", turns=TRACE, response="as one text", **changed)


def test_no_loss_falls_on_what_a_tool_printed(tmp_path: Path) -> None:
    run(tmp_path, [trace()])
    [row] = lines(tmp_path / "train.jsonl")
    assert [turn["role"] for turn in row["messages"]] == ["user", "assistant", "tool", "assistant"]
    rendered = jinja2.Template(TEMPLATE).render(messages=row["messages"])
    trained = re.findall(r"\[\[(.*?)\]\]", rendered, re.DOTALL)
    assert trained == [CODE, r"So \boxed{42}."]
    assert OUTPUT in rendered
    assert not any(OUTPUT in span for span in trained)
    [entry] = yaml.safe_load((tmp_path / "axolotl.yaml").read_text())["datasets"]
    assert entry["roles_to_train"] == ["assistant"]
    [info] = json.loads((tmp_path / "dataset_info.json").read_text()).values()
    assert info["tags"]["observation_tag"] == "tool"
    # LLaMA-Factory: what is learned stands at every second place.
    assert {turn["role"] for turn in row["messages"][1::2]} == {"assistant"}
    assert row["metadata"]["format"] == "tool"


def test_sharegpt_names_the_roles_as_its_readers_do(tmp_path: Path) -> None:
    run(tmp_path, [trace()], format="sharegpt")
    [row] = lines(tmp_path / "train.jsonl")
    assert [turn["from"] for turn in row["conversations"]] == ["human", "gpt", "observation", "gpt"]
    [entry] = yaml.safe_load((tmp_path / "axolotl.yaml").read_text())["datasets"]
    assert entry["roles"] == {"user": ["human"], "assistant": ["gpt"], "tool": ["observation"]}


@pytest.mark.parametrize("row_format", ["alpaca", "prompt_completion"])
def test_a_format_that_can_not_mask_takes_no_turns(tmp_path: Path, row_format: str) -> None:
    dropped, kept = run(tmp_path, [trace(), solution(2)], format=row_format)
    assert (dropped.reason, kept.problem_id) == ("has_turns", "p2")
    assert "messages or sharegpt can" in dropped.detail


def test_a_dialogue_that_its_student_opens_begins_with_the_problem(tmp_path: Path) -> None:
    turns = (Turn(role="user", content="I don't know how."), Turn(role="assistant", content=r"Then \boxed{2}."))
    run(tmp_path, [solution(1, format="dialogue", turns=turns)])
    [row] = lines(tmp_path / "train.jsonl")
    assert row["messages"] == [
        {"role": "user", "content": "What is 1+1?\n\nI don't know how."},
        {"role": "assistant", "content": r"Then \boxed{2}."},
    ]
    assert "| a tutor and a student, with calculations; train on the assistant's turns only | 1 |" in card(tmp_path)[1]


def test_turns_are_typed_in_tables_beside_rows_without_them(tmp_path: Path) -> None:
    from pyarrow import parquet

    run(tmp_path, [solution(2), trace()], files="parquet")
    rows = parquet.read_table(tmp_path / "train.parquet").to_pylist()
    assert [len(row["messages"]) for row in rows] == [2, 4]
