"""Readers and the stage `input`: everything a user may bring, and what is said of what can't be used."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from backports import zstd
from pydantic import ValidationError

from mathsynth.errors import BadRow, RunError, UsageError
from mathsynth.readers import Source, read
from mathsynth.readers.layouts import last_box
from mathsynth.records import Dropped, Problem
from mathsynth.stages import input as input_stage


def problems(base: Path, path: str, **more: Any) -> list[Problem]:
    found = [row for _, row in read(Source(path=path, **more), base)]
    bad = [str(row) for row in found if isinstance(row, BadRow)]
    assert not bad, bad
    return [row for row in found if isinstance(row, Problem)]


def complaints(base: Path, path: str, **more: Any) -> list[str]:
    return [
        str(row).replace(f"{base}/", "") for _, row in read(Source(path=path, **more), base) if isinstance(row, BadRow)
    ]


def write_rows(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


PLAIN = b'{"question": "1+1?", "answer": "2"}\n{"question": "2+2?", "answer": "4"}\n'


@pytest.mark.parametrize(
    ("name", "pack"),
    [("a.jsonl", bytes), ("a.ndjson", bytes), ("a.jsonl.gz", gzip.compress), ("a.jsonl.zst", zstd.compress)],
)
def test_reads_json_lines_plain_and_compressed(tmp_path: Path, name: str, pack: Callable[[bytes], bytes]) -> None:
    (tmp_path / name).write_bytes(pack(PLAIN))
    found = list(read(Source(path=name), tmp_path))
    assert [where for where, _ in found] == [f"{tmp_path / name}:1", f"{tmp_path / name}:2"]
    assert [(row.question, row.answer) for _, row in found if isinstance(row, Problem)] == [
        ("1+1?", "2"),
        ("2+2?", "4"),
    ]


def test_bom_blank_lines_crlf_and_line_separators_inside_text(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(
        b'\xef\xbb\xbf{"question": "one"}\r\n\r\n   \n{"question": "two\xe2\x80\xa8lines"}\r\n{"question": "last"}'
    )
    found = list(read(Source(path="a.jsonl"), tmp_path))
    assert [row.question for _, row in found if isinstance(row, Problem)] == ["one", "two\u2028lines", "last"]
    assert [where.rpartition(":")[2] for where, _ in found] == ["1", "4", "5"]


@pytest.mark.parametrize(
    ("written", "read_as"),
    [
        ('"007"', "007"),
        ('"1.50"', "1.50"),
        ("1.50", "1.50"),
        ("1e5", "1e5"),
        ("-0.0", "-0.0"),
        ("72", "72"),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
        ('"2024-01-01"', "2024-01-01"),
        ('" 3 "', " 3 "),
        ('""', None),
        ("null", None),
    ],
)
@pytest.mark.parametrize("fields", [None, {"question": "question", "answer": "answer"}])
def test_answers_are_kept_as_they_were_written(
    tmp_path: Path, written: str, read_as: str | None, fields: dict[str, str] | None
) -> None:
    (tmp_path / "a.jsonl").write_text(f'{{"question": "q", "answer": {written}}}\n')
    (row,) = problems(tmp_path, "a.jsonl", fields=fields)
    assert row.answer == read_as
    assert row.answer_source == (None if read_as is None else "given")


def test_own_layout_keeps_every_field(tmp_path: Path) -> None:
    given = Problem(
        question="q",
        answer="1/2",
        answer_source="program",
        solution="s",
        source="ours",
        license="CC0-1.0",
        level=3,
        topics=("algebra",),
        meta={"weight": 0.5},
    )
    (tmp_path / "a.jsonl").write_text(given.model_dump_json() + "\n")
    assert problems(tmp_path, "a.jsonl") == [given]


def test_source_and_license_fill_what_rows_lack(tmp_path: Path) -> None:
    write_rows(tmp_path / "a.jsonl", {"question": "q", "license": "MIT"}, {"question": "r", "source": "book"})
    first, second = problems(tmp_path, "a.jsonl", license="CC-BY-4.0", source="mine")
    assert (first.license, first.source) == ("MIT", "mine")
    assert (second.license, second.source) == ("CC-BY-4.0", "book")
    unnamed = problems(tmp_path, "a.jsonl")[1]
    assert (problems(tmp_path, "a.jsonl")[0].source, unnamed.license) == ("a.jsonl", "")


def test_gsm8k_layout(tmp_path: Path) -> None:
    write_rows(tmp_path / "a.jsonl", {"question": "How many?", "answer": "4*2 = <<4*2=8>>8\nSo 1,008.\n#### 1,008"})
    (row,) = problems(tmp_path, "a.jsonl", layout="gsm8k")
    assert row.answer == "1,008"
    assert row.solution == "4*2 = <<4*2=8>>8\nSo 1,008."


def test_math_layout(tmp_path: Path) -> None:
    solution = r"First \boxed{7}, then $\boxed{\left\{ \frac{1}{2}, 2 \right.}$."
    write_rows(tmp_path / "a.jsonl", {"problem": "p", "solution": solution, "level": "Level 3", "type": "Algebra"})
    (row,) = problems(tmp_path, "a.jsonl", layout="math")
    assert row.answer == r"\left\{ \frac{1}{2}, 2 \right."
    assert (row.level, row.topics, row.solution) == (3, ("Algebra",), solution)


@pytest.mark.parametrize(
    ("text", "box"),
    [
        (r"\boxed{5}", "5"),
        (r"\boxed 5.", "5"),
        (r"\boxed\pi", r"\pi"),
        (r"\fbox{ x + 1 }", "x + 1"),
        (r"\boxed{1} but \boxed{2", None),
        (r"\boxed{a_{b_{c}}} and \boxedthing{3}", "a_{b_{c}}"),
        ("no box", None),
    ],
)
def test_last_box(text: str, box: str | None) -> None:
    assert last_box(text) == box


def test_field_map_reaches_inside_and_wins_over_the_layout(tmp_path: Path) -> None:
    write_rows(
        tmp_path / "a.jsonl",
        {"chat": [{"content": "q"}], "gold": {"final": 3}, "n": 17, "tags": ["a", "b"], "a.b": "dot", "grade": "hard"},
    )
    fields = {
        "question": "chat.0.content",
        "answer": "gold.final",
        "id": "n",
        "topics": "tags",
        "source": "a.b",
        "level": "grade",
    }
    (row,) = problems(tmp_path, "a.jsonl", fields=fields)
    assert (row.question, row.answer, row.id, row.topics, row.source) == ("q", "3", "17", ("a", "b"), "dot")
    assert row.level == "hard"
    write_rows(tmp_path / "b.jsonl", {"q": "how", "text": r"so \boxed{1}"})
    (row,) = problems(tmp_path, "b.jsonl", layout="math", fields={"question": "q", "solution": "text"})
    assert row.answer == "1"


@pytest.mark.parametrize(
    ("line", "source", "said"),
    [
        (b'{"question": "q"', {}, "a.jsonl:1: expected JSON: "),
        (b'{"question": "\xff"}', {}, "a.jsonl:1: expected UTF-8, byte 15 is 0xff"),
        (b'{"question": "q", "answer": NaN}', {}, "a.jsonl:1: expected JSON: "),
        (b'{"question": "\\ud800"}', {}, "a.jsonl:1: expected JSON: "),
        (b'"text"', {}, "a.jsonl:1: expected an object with named fields, got text"),
        (b"null", {}, "a.jsonl:1: expected an object with named fields, got null"),
        (b"[1]", {}, "a.jsonl:1: expected an object with named fields, got a list"),
        (b'{"problem": "q"}', {}, "a.jsonl:1: problem: not a field of a problem ("),
        (b'{"answer": "2"}', {}, "a.jsonl:1: question: missing; the row has answer"),
        (b'{"question": "  "}', {}, "a.jsonl:1: question: empty"),
        (b'{"question": 3}', {}, "a.jsonl:1: question: expected text, got a number"),
        (b'{"question": "q", "answer": true}', {}, "a.jsonl:1: answer: expected text or a number, got true or false"),
        (b'{"question": "q", "answer": ["1"]}', {}, "a.jsonl:1: answer: expected text or a number, got a list"),
        (b'{"question": "q", "topics": "x"}', {}, "a.jsonl:1: topics: "),
        (b'{"question": "q", "response": "r"}', {}, "a.jsonl:1: response: this is a solution"),
        (b'{"question": "q", "schema": 9}', {}, "a.jsonl:1: schema: "),
        (
            b'{"question": "q", "answer": "8"}',
            {"layout": "gsm8k"},
            "a.jsonl:1: answer: expected the final answer after",
        ),
        (b'{"question": "q", "answer": "#### "}', {"layout": "gsm8k"}, "a.jsonl:1: answer: expected the final answer"),
        (b'{"question": "q"}', {"layout": "gsm8k"}, "a.jsonl:1: answer: missing or empty; the row has question"),
        (b'{"problem": "q", "solution": "5"}', {"layout": "math"}, "a.jsonl:1: solution: expected a last \\boxed"),
        (b'{"q": "q"}', {"fields": {"question": "q", "answer": "x.y"}}, "a.jsonl:1: x.y: missing; the row has q"),
        (
            b'{"q": "q", "l": 1.5}',
            {"fields": {"question": "q", "level": "l"}},
            "a.jsonl:1: l: expected text or a whole",
        ),
    ],
)
def test_a_bad_row_says_where_what_and_what_was_expected(
    tmp_path: Path, line: bytes, source: dict[str, Any], said: str
) -> None:
    (tmp_path / "a.jsonl").write_bytes(line + b"\n")
    (complaint,) = complaints(tmp_path, "a.jsonl", **source)
    assert complaint.startswith(said)
    assert "\n" not in complaint


def test_deep_nesting_and_huge_numbers_are_bad_rows(tmp_path: Path) -> None:
    deep = b'{"question": "q", "answer": 1.5, "meta": ' + b"[" * 1010 + b"]" * 1010 + b"}"
    long = b'{"question": "q", "answer": 1' + b"0" * 5000 + b"}"
    (tmp_path / "a.jsonl").write_bytes(deep + b"\n" + long + b"\n")
    assert len(complaints(tmp_path, "a.jsonl")) == 2


@pytest.mark.parametrize(("name", "pack"), [("a.jsonl.gz", gzip.compress), ("a.jsonl.zst", zstd.compress)])
@pytest.mark.parametrize("harm", ["cut", "damaged", "not compressed"])
def test_a_broken_compressed_file_gives_its_good_rows_then_a_bad_one(
    tmp_path: Path, name: str, pack: Callable[[bytes], bytes], harm: str
) -> None:
    rows = b"".join(b'{"question": "%d %s"}\n' % (i, str(i * 2654435761 % 2**61).encode()) for i in range(20000))
    packed = bytearray(pack(rows))
    if harm == "cut":
        packed = packed[: len(packed) * 7 // 10]
    elif harm == "damaged":
        packed[len(packed) // 2 : len(packed) // 2 + 40] = bytes(40)
    else:
        packed = bytearray(rows)
    (tmp_path / name).write_bytes(packed)
    found = list(read(Source(path=name), tmp_path))
    assert isinstance(found[-1][1], BadRow)
    assert all(isinstance(row, Problem) for _, row in found[:-1]) or harm == "damaged"
    if harm == "cut":
        assert len(found) < 20001
        assert len(found) > 5000


def test_json_documents(tmp_path: Path) -> None:
    (tmp_path / "one.json").write_text('{\n "question": "a",\n "answer": 1.50\n}')
    (tmp_path / "list.json").write_text('[\n {"question": "b"},\n {"question": "c"}, 4]')
    write_rows(tmp_path / "lines.json", {"question": "d"}, {"question": "e"})
    (tmp_path / "broken.json").write_text("[\n {\n")
    found = list(read(Source(path="*.json"), tmp_path))
    assert [row.question for _, row in found if isinstance(row, Problem)] == ["d", "e", "b", "c", "a"]
    assert [where.replace(f"{tmp_path}/", "") for where, _ in found] == [
        *("broken.json", "lines.json:1", "lines.json:2", "list.json[1]", "list.json[2]", "list.json[3]", "one.json"),
    ]
    assert [row.answer for _, row in found if isinstance(row, Problem)][-1] == "1.50"


def test_globs_folders_limits_and_packaged_data(tmp_path: Path) -> None:
    (tmp_path / "in" / ".cache").mkdir(parents=True)
    write_rows(tmp_path / "in" / "b.jsonl", {"question": "b1"}, {"question": "b2"})
    write_rows(tmp_path / "in" / "a.jsonl", {"question": "a1"}, {"question": ""}, {"question": "a2"})
    write_rows(tmp_path / "in" / ".cache" / "x.jsonl", {"question": "hidden"})
    (tmp_path / "in" / "notes.txt").write_text("no rows")
    for path in ("in", "in/*.jsonl", str(tmp_path / "in"), "other/../in"):
        found = [row.question for _, row in read(Source(path=path), tmp_path) if isinstance(row, Problem)]
        assert found == ["a1", "a2", "b1", "b2"]
    limited = [row for _, row in read(Source(path="in", limit=3), tmp_path) if isinstance(row, Problem)]
    assert [row.question for row in limited] == ["a1", "a2", "b1"]
    with pytest.raises(UsageError, match="no such file or folder"):
        list(read(Source(path="data:no/such.jsonl"), tmp_path))


def test_what_fields_does_not_name_is_read_from_the_layouts_own_column(tmp_path: Path) -> None:
    write_rows(tmp_path / "a.jsonl", {"problem": "q", "answer": "2", "id": 1, "level": 3, "x": 0})
    (row,) = problems(tmp_path, "a.jsonl", fields={"question": "problem"})
    assert (row.question, row.answer, row.answer_source, row.level) == ("q", "2", "given", 3)
    assert row.id == Problem(question="q", answer="2").id  # not 1, which is a line's number as likely as not
    (row,) = problems(tmp_path, "a.jsonl", fields={"question": "problem", "answer": None})
    assert (row.answer, row.level) == (None, 3)
    keys = [
        input_stage.Config(sources=(Source(path="a.jsonl", fields=fields),)).model_dump_json()  # type: ignore[arg-type]
        for fields in ({"question": "problem"}, {"question": "problem", "answer": None})
    ]
    assert keys[0] != keys[1]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (
            {"question": "problem"},
            ["a.jsonl:1: nothing reads the column final_answer, Solution; name it in `fields:`, or say `answer: null`"],
        ),
        ({"question": "problem", "answer": None}, []),
        ({"question": "problem", "answer": "final_answer", "solution": "Solution"}, []),
        ({"question": "problem", "solution": "Solution.text", "answer": "final_answer"}, []),
    ],
)
def test_says_which_column_that_looks_like_an_answer_is_read_by_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, fields: dict[str, Any], said: list[str]
) -> None:
    line = {"problem": "q", "final_answer": "2", "Solution": {"text": "so 2"}, "answer_type": "int"}
    write_rows(tmp_path / "a.jsonl", line, line)
    list(read(Source(path="a.jsonl", fields=fields), tmp_path))  # type: ignore[arg-type]
    assert [text.replace(f"{tmp_path}/", "") for text in caplog.messages] == said


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ({"path": "gone.jsonl"}, "gone.jsonl: no such file or folder; a data set on the Hub needs `format: datasets`"),
        ({"path": "*.nothing"}, "no file matches"),
        ({"path": "."}, "no .jsonl, .ndjson, .json or .parquet file in this folder"),
        ({"path": "notes.txt"}, "the name doesn't tell the format"),
        ({"path": ".", "format": "datasets"}, "not saved by `datasets`"),
        ({"path": "./gone", "format": "datasets"}, "no folder saved by `datasets` is there"),
        ({"path": "notes.txt", "format": "jsonl", "split": "train"}, "split, config and revision are for data sets"),
    ],
)
def test_a_source_that_is_not_there_is_a_usage_error(tmp_path: Path, source: dict[str, Any], said: str) -> None:
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(UsageError) as caught:
        list(read(Source(**source), tmp_path))
    assert said in str(caught.value)


def test_unknown_layouts_and_fields_are_refused() -> None:
    with pytest.raises(ValidationError, match="'problems', 'gsm8k' or 'math'"):
        Source(path="a.jsonl", layout="other")  # type: ignore[arg-type]
    with pytest.raises(ValidationError, match="anwser"):
        Source.model_validate({"path": "a.jsonl", "fields": {"question": "q", "anwser": "a"}})
    with pytest.raises(ValidationError, match="which column is the question"):
        Source.model_validate({"path": "a.jsonl", "fields": {"question": None}})
    with pytest.raises(ValidationError, match="which column is the solution"):
        Source.model_validate({"path": "a.jsonl", "layout": "gsm8k", "fields": {"solution": None}})


def test_parquet_keeps_text_and_names_the_bad_row(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    invalid = pyarrow.array([b"fine", b"\xff"]).view(pyarrow.string())
    parquet.write_table(pyarrow.table({"question": invalid}), tmp_path / "b.parquet")
    table = pyarrow.table(
        {"question": ["a", "b", "c", None], "answer": ["007", "1.50", None, "x"], "topics": [["t"], None, [], None]}
    )
    parquet.write_table(table, tmp_path / "a.parquet")
    found = list(read(Source(path="a.parquet"), tmp_path))
    kept = [row for _, row in found if isinstance(row, Problem)]
    assert [row.answer for row in kept] == ["007", "1.50", None]
    assert kept[0].topics == ("t",)
    assert complaints(tmp_path, "a.parquet") == ["a.parquet:4: question: missing; the row has question, answer, topics"]
    assert complaints(tmp_path, "b.parquet") == ["b.parquet:2: expected UTF-8 text"]
    (tmp_path / "c.parquet").write_bytes((tmp_path / "a.parquet").read_bytes()[:-30])
    (complaint,) = complaints(tmp_path, "c.parquet")
    assert complaint.startswith("c.parquet:1: not readable as Parquet from here on (")


def test_numbers_in_tables_become_text(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from decimal import Decimal

    from pyarrow import parquet

    for name, value in (("int", 7), ("float", 0.1), ("exact", Decimal("1.50"))):
        parquet.write_table(pyarrow.table({"question": ["q"], "answer": [value]}), tmp_path / f"{name}.parquet")
    answers = [problems(tmp_path, f"{name}.parquet")[0].answer for name in ("int", "float", "exact")]
    assert answers == ["7", "0.1", "1.50"]


def test_data_sets_on_disk(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    data = datasets.Dataset.from_dict({"problem": ["p"], "solution": [r"\boxed{007}"], "level": ["Level 5"]})
    datasets.disable_progress_bars()
    data.save_to_disk(str(tmp_path / "single"))
    datasets.DatasetDict({"train": data, "test": data}).save_to_disk(str(tmp_path / "both"))
    (row,) = problems(tmp_path, "single", layout="math")
    assert (row.answer, row.level, row.source) == ("007", 5, "single")
    ((where, _),) = read(Source(path="both", layout="math", format="datasets", split="test"), tmp_path)
    assert where == f"{tmp_path}/both[test]:1"
    with pytest.raises(UsageError, match="several splits; say `split:` with one of train, test"):
        list(read(Source(path="both", layout="math"), tmp_path))
    with pytest.raises(UsageError, match="no split 'dev'"):
        list(read(Source(path="both", layout="math", split="dev"), tmp_path))


def test_a_data_set_that_cannot_be_had_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = pytest.importorskip("datasets.config")
    import huggingface_hub.constants

    monkeypatch.setattr(config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(RunError) as caught:
        list(read(Source(path="some/thing", format="datasets"), tmp_path))
    assert str(caught.value).startswith("data set some/thing: can't be loaded: ")
    assert "\n" not in str(caught.value)


# --- the stage -----------------------------------------------------------------------------------------------------


def stage(base: Path, **config: Any) -> list[Any]:
    def dropped(record: Problem, reason: str, detail: str = "") -> Dropped:
        return Dropped(stage="input", reason=reason, detail=detail, row=record.model_dump(mode="json"))

    ctx: Any = SimpleNamespace(base=base, stage="input", dropped=dropped)
    return list(input_stage.run([], input_stage.Config.model_validate(config), ctx))


def test_the_stage_keeps_counts_and_names_what_it_drops(tmp_path: Path) -> None:
    write_rows(tmp_path / "a.jsonl", {"question": "a"}, {"question": ""}, {"question": "b"}, {"question": "a"})
    rows = stage(tmp_path, sources=[{"path": "a.jsonl"}])
    assert [row.question for row in rows if isinstance(row, Problem)] == ["a", "b"]
    bad, twice = [row for row in rows if isinstance(row, Dropped)]
    assert (bad.reason, bad.detail) == ("bad_row", f"{tmp_path}/a.jsonl:2: question: empty")
    assert bad.row == {"where": f"{tmp_path}/a.jsonl:2", "text": '{"question":""}'}
    assert twice.reason == "duplicate_id"
    assert f"{tmp_path}/a.jsonl:4: the id " in twice.detail
    assert twice.detail.endswith(f"is that of {tmp_path}/a.jsonl:1")


def test_strict_stops_at_the_first_bad_row(tmp_path: Path) -> None:
    write_rows(tmp_path / "a.jsonl", {"question": "a"}, {"q": ""})
    with pytest.raises(BadRow, match=r"a\.jsonl:2: q: not a field of a problem"):
        stage(tmp_path, sources=[{"path": "a.jsonl"}], strict=True)


def test_limit_over_all_sources_and_nothing_at_all(tmp_path: Path) -> None:
    write_rows(tmp_path / "a.jsonl", {"question": "a"}, {"question": "b"})
    write_rows(tmp_path / "c.jsonl", {"question": "c"}, {"question": "d"})
    sources = [{"path": "a.jsonl"}, {"path": "c.jsonl"}]
    assert [row.question for row in stage(tmp_path, sources=sources, limit=3)] == ["a", "b", "c"]
    write_rows(tmp_path / "x.jsonl", {"question": ""})
    with pytest.raises(RunError, match=r"no problem in x\.jsonl; the first bad row is .*x\.jsonl:1: question: empty"):
        stage(tmp_path, sources=[{"path": "x.jsonl"}])


def test_the_content_key_follows_the_bytes(tmp_path: Path) -> None:
    config = input_stage.Config.model_validate(
        {"sources": [{"path": "a.jsonl"}, {"path": "o/n", "format": "datasets"}]}
    )
    write_rows(tmp_path / "a.jsonl", {"question": "a"})
    before = config.content_key(tmp_path)
    assert config.content_key(tmp_path) == before
    write_rows(tmp_path / "a.jsonl", {"question": "b"})
    assert config.content_key(tmp_path) != before
