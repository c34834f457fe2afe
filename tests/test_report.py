"""The report: exact numbers, a ledger that is checked, a page that is whole, alone and safe, tables for 80 columns."""

from __future__ import annotations

import html.parser
import io
import re
from collections import Counter
from pathlib import Path
from typing import Any

import orjson
import pytest
from rich.console import Console

from mathsynth.errors import RunError
from mathsynth.records import Difficulty, Dropped, Problem, Solution, Usage, Verdict
from mathsynth.report.numbers import gather
from mathsynth.report.page import page
from mathsynth.report.tables import funnel, summary
from mathsynth.report.tallies import Distinct, Few, Lengths
from mathsynth.report.wording import clock, count, duration, percent, rate, short
from sample_run import HOSTILE, MODEL, STEPS, finish, write_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("runs") / "fake")


def lines(path: Path) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


def shards(directory: Path) -> list[dict[str, Any]]:
    return [row for path in sorted(directory.glob("0*.jsonl")) for row in lines(path)]


def printed(*things: Any, width: int = 80) -> str:
    file = io.StringIO()
    console = Console(file=file, width=width)
    for thing in things:
        console.print(thing, crop=False)
    return file.getvalue()


# --- numbers ---------------------------------------------------------------------------------------------------


def test_every_step_has_its_counts_and_the_ledger_is_clean(run: Path) -> None:
    numbers = gather(run)
    assert [stage.step for stage in numbers.stages] == [step for step, _, _ in STEPS]
    for stage, (_, _, directory) in zip(numbers.stages, STEPS, strict=True):
        assert stage.kept == len(shards(run / directory))
        assert dict(stage.dropped) == Counter(row["reason"] for row in lines(run / directory / "dropped.jsonl"))
        assert dict(stage.failed) == Counter(row["boundary"] for row in lines(run / directory / "failed.jsonl"))
    assert [stage.rows for stage in numbers.stages] == ["problems"] * 3 + ["solutions"] * 4
    assert numbers.complaints == () and numbers.done
    assert numbers.train == run / STEPS[-1][2] / "train.jsonl"


def test_the_sampling_adds_up_over_the_ledger(run: Path) -> None:
    ledger, rows = lines(run / STEPS[3][2] / "problems.jsonl"), shards(run / STEPS[-1][2])
    s = gather(run).sampling
    assert s is not None
    for name in ("trials", "corrects", "wrong", "undecided", "failed", "truncated", "no_answer"):
        assert getattr(s, name) == sum(line[name] for line in ledger)
    assert (s.problems, s.solved) == (len(ledger), sum(line["solved"] for line in ledger))
    spent = [line["prompt_tokens"] + line["completion_tokens"] for line in ledger]
    assert s.tokens == sum(spent)
    gave = {row["problem_id"] for row in rows}
    barren = [line["problem_id"] not in gave for line in ledger]
    # A later step may drop what was solved.
    assert s.fruitless == sum(barren) > len(ledger) - s.solved
    assert s.fruitless_tokens == sum(tokens for tokens, none in zip(spent, barren, strict=True) if none)
    assert s.pass_rate == s.corrects / (s.trials - s.failed)
    assert s.models[0].name == MODEL and s.models[0].problems == len(ledger)
    for groups, field in ((s.methods, "method"), (s.levels, "level")):
        assert {g.name: g.problems for g in groups} == Counter(str(line[field]) for line in ledger)
        assert {g.name: g.rows for g in groups} == Counter(str(row[field]) for row in rows)
        assert {g.name: g.solved for g in groups} == Counter(str(line[field]) for line in ledger if line["solved"])
    assert [level.name for level in s.levels] == ["1", "2", "3", "4", "5"]
    refused = [row["row"]["method"] for step in (1, 2) for row in lines(run / STEPS[step][2] / "dropped.jsonl")]
    assert {g.name: g.refused for g in s.methods if g.refused} == Counter(refused)


def test_pass_rate_bins_hold_every_problem_and_every_row_once(run: Path) -> None:
    ledger, rows = lines(run / STEPS[3][2] / "problems.jsonl"), shards(run / STEPS[-1][2])
    s = gather(run).sampling
    assert s is not None
    none, never, *tenths = s.bins
    assert none.problems == sum(line["pass_rate"] is None for line in ledger)
    assert never.problems == sum(line["pass_rate"] == 0 for line in ledger)
    for number, found in enumerate(tenths):
        inside = [line for line in ledger if line["pass_rate"] and number < 10 * line["pass_rate"] <= number + 1]
        assert (found.solved, found.problems) == (sum(line["solved"] for line in inside), len(inside))
        assert found.sampled == sum(line["kept"] for line in inside)
        rates = [row["difficulty"]["pass_rate"] for row in rows]
        assert found.rows == sum(number < 10 * rate <= number + 1 for rate in rates)


def test_rows_are_measured_after_the_last_step(run: Path) -> None:
    numbers, rows = gather(run), shards(run / STEPS[-1][2])
    assert (numbers.rows, numbers.problems) == (len(rows), len({row["problem_id"] for row in rows}))
    assert numbers.rules == Counter(row["verdict"]["rule"] for row in rows)
    assert numbers.finish_reasons == {"stop": len(rows)}
    assert numbers.personas == Counter(row["meta"]["persona"] for row in rows if "persona" in row["meta"])
    assert numbers.characters.total == sum(len(row["response"]) for row in rows)
    assert numbers.tokens.longest == max(row["usage"]["completion_tokens"] for row in rows)
    assert sum(part.number for part in numbers.tokens.bins()) == len(rows)


def test_false_steps_count_kept_and_dropped_right_answers(run: Path) -> None:
    directory = run / STEPS[4][2]
    seen = shards(directory) + [row["row"] for row in lines(directory / "dropped.jsonl")]
    right = [row for row in seen if row["verdict"]["outcome"] == "correct"]
    numbers = gather(run)
    assert {r.level: r.right for r in numbers.right} == Counter(str(row["level"]) for row in right)
    false = Counter(str(row["level"]) for row in right if row["checks"]["false_steps"])
    assert {r.level: r.false for r in numbers.right if r.false} == false
    assert numbers.undecided == Counter(row["verdict"]["rule"] for row in seen if row not in right)


def test_the_same_run_gives_the_same_examples_of_every_method(run: Path) -> None:
    first, again = gather(run), gather(run)
    assert first.examples == again.examples and first.dropped == again.dropped
    assert {e.method for e in first.examples} == {"seed", "rephrase", "backward", "evolve", "persona-keep"}
    reasons = {(e.step, e.reason) for e in first.dropped}
    assert reasons == {(stage.step, reason) for stage in first.stages for reason, _ in stage.dropped}


def test_a_run_under_way_shows_what_is_not_finished(tmp_path: Path) -> None:
    numbers = gather(write_run(tmp_path / "run", steps=4))
    assert not numbers.done and [stage.done for stage in numbers.stages] == [True] * 4 + [False] * 3
    assert numbers.rows_from == "sample" and numbers.rows == numbers.stages[3].kept
    assert printed(funnel(numbers)).count("not finished") == 3
    assert "Not finished: verify, dedupe, export." in page(numbers)


def test_a_single_stage_directory_is_one_stage(run: Path) -> None:
    numbers = gather(run / STEPS[4][2])
    assert [stage.step for stage in numbers.stages] == ["verify"]
    assert numbers.sampling is None and numbers.rows == numbers.stages[0].kept
    assert "Right answers reached through a false step" in page(numbers)


def test_what_is_not_accounted_for_is_said(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", seeds=8)
    verify, dedupe = run / STEPS[4][2], run / STEPS[5][2]
    manifest = orjson.loads((verify / "manifest.json").read_bytes())
    manifest["counts"]["read"] += 2
    (verify / "manifest.json").write_bytes(orjson.dumps(manifest))
    rows = (dedupe / "dropped.jsonl").read_bytes().splitlines(keepends=True)
    (dedupe / "dropped.jsonl").write_bytes(b"".join(rows[1:]))
    (run / STEPS[6][2] / "train.jsonl").unlink()
    numbers = gather(run)
    said = "\n".join(numbers.complaints)
    assert re.search(r"verify: read \d+ rows, but the step before kept \d+", said)
    assert "verify: 2 of" in said and "are neither kept nor dropped nor failed" in said
    assert f"dedupe: {dedupe / 'dropped.jsonl'} was edited after it was written" in said
    assert f"dropped.jsonl holds {len(rows) - 1} rows of `same_equations`, the manifest says {len(rows)}" in said
    assert "train.jsonl is missing" in said and numbers.train is None
    assert "Not every row is accounted for" in page(numbers)
    assert "NOT ACCOUNTED FOR" in printed(summary(numbers))


def test_a_broken_line_and_a_foreign_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no run of mathsynth"):
        gather(tmp_path)
    run = write_run(tmp_path / "run", seeds=2)
    path = run / STEPS[6][2] / "00000.jsonl"
    path.write_bytes(path.read_bytes() + b'{"id": 7}\n')
    with pytest.raises(RunError, match=r"00000\.jsonl:\d+: Expected `str`, got `int` - at `\$\.id`"):
        gather(run)


def test_a_voted_answer_and_an_unknown_level_have_their_place(tmp_path: Path) -> None:
    problem = Problem(question="How many?", method="evolve")
    row = Solution(
        problem_id=problem.id,
        question=problem.question,
        answer="7",
        answer_source="vote",
        response="So it is 7, I say 7.",
        verdict=Verdict(outcome="correct", reason="equal", rule="literal", extracted="7", how="answer phrase"),
        model="m",
        usage=Usage(completion_tokens=9),
        finish_reason="stop",
        method="evolve",
        difficulty=Difficulty(pass_rate=0.7, trials=10, model="m"),
    )
    aside = Dropped(stage="verify", reason="", detail="a reason without a name", row={"anything": 1})
    finish(tmp_path, "verify", "verify", [1, 2], [row, aside], {})
    numbers = gather(tmp_path)
    assert numbers.examples[0].level == "–" and numbers.dropped[0].detail == "a reason without a name"
    assert "I say <mark>7</mark>." in page(numbers)


# --- the page --------------------------------------------------------------------------------------------------

VOID = {"meta", "br", "link", "img", "input", "hr"}


class Reader(html.parser.HTMLParser):
    """Collects the elements, and checks that each one is closed in its turn."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), f"an attribute twice in {tag}"
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes nothing"


def alone(text: str) -> None:
    """Nothing on the page is loaded from anywhere, and nothing runs."""
    for tag, attributes in Reader(text).elements:
        assert tag not in ("script", "img", "link", "iframe", "object", "embed", "base", "form"), tag
        assert not {"src", "href", "xlink:href", "srcset", "data", "action"} & set(attributes), (tag, attributes)
        assert not [name for name in attributes if name.startswith("on")], (tag, attributes)
    assert not re.search(r"url\(|@import", text)


@pytest.mark.parametrize("seeds", [1, 12])
@pytest.mark.parametrize("steps", range(len(STEPS) + 1))
def test_the_page_is_whole_and_alone_at_every_point_of_a_run(tmp_path: Path, steps: int, seeds: int) -> None:
    alone(page(gather(write_run(tmp_path / "run", seeds=seeds, steps=steps))))


def test_the_page_shows_what_was_asked_of_it(run: Path) -> None:
    numbers = gather(run)
    text = page(numbers)
    for title in (
        "Where rows came from and went",
        "How often problems are solved",
        "Rows per problem by pass rate",
        "Rows per problem by level",
        "Length of responses in tokens",
        "Why rows were put aside",
        "What each way of making problems gave",
        "How replies finished",
        "Rows to read",
        "Rows that were dropped",
        "The recipe",
    ):
        assert f">{title}</h2>" in text
    assert f"{numbers.rows} rows from {numbers.problems} problems" in text
    assert "policy: uniform, k: 4" in text
    assert re.search(r"<mark>\\boxed\{\d+\}</mark>", text)
    pictures = [attributes for tag, attributes in Reader(text).elements if tag == "svg"]
    assert len(pictures) >= 8 and all(p["role"] == "img" and p["aria-label"] for p in pictures)
    assert "prefers-color-scheme: dark" in text


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    numbers = gather(write_run(tmp_path / "run", hostile=True))
    text = page(numbers)
    alone(text)
    assert "<script" not in text and "onerror=alert(1)>" not in text
    assert "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;" in text
    assert HOSTILE.replace("&", "&amp;") not in text


def test_a_huge_response_does_not_make_a_huge_page(tmp_path: Path) -> None:
    write_run(tmp_path / "run", seeds=30)
    directory = tmp_path / "run" / STEPS[6][2]
    rows = [Solution.model_validate(row) for row in shards(directory)]
    long = [row.model_copy(update={"response": "& so on " * 100_000 + f"\\boxed{{{row.answer}}}"}) for row in rows[:20]]
    alone_there = tmp_path / "alone"
    alone_there.mkdir()
    finish(alone_there, "export", "export", long, long, {})
    text = page(gather(alone_there))
    assert len(text) < 500_000
    assert "characters left out" in text and "<mark>\\boxed{" in text


# --- the terminal ----------------------------------------------------------------------------------------------


def test_the_tables_fit_80_columns_without_colour(run: Path) -> None:
    said = printed(funnel(gather(run)))
    assert max(len(line) for line in said.splitlines()) <= 80
    assert "\x1b" not in said and "…" not in said
    assert re.search(r"^sample +230 +602 +38 unsolved +2 +4m46s +650 *$", said, re.MULTILINE)
    assert re.search(r"^ +27 not_confirmed *$", said, re.MULTILINE)


def test_a_million_rows_and_long_names_fit_too(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", seeds=3)
    path = run / STEPS[4][2] / "manifest.json"
    manifest = orjson.loads(path.read_bytes())
    reasons = {f"[red]a_reason_with_a_very_long_name_{number}": 1_234_567 for number in range(9)}
    manifest["counts"] = {"read": 9_999_999, "kept": 9_999_999, "dropped": reasons, "failed": {"model": 123_456}}
    manifest["seconds"] = 360_000.0
    manifest["models"] = {"t": {"model": "m", "requests": 1, "timed": 10**9, "seconds": 90_000.0}}
    path.write_bytes(orjson.dumps(manifest))
    said = printed(funnel(gather(run)))
    assert max(len(line) for line in said.splitlines()) <= 80 and "…" not in said
    assert "1.23 M [red]a_reaso.." in said and "7.41 M in 6 more" in said


def test_the_summary_says_where_the_files_are_in_whole_lines(run: Path) -> None:
    (run / "report.html").write_text("")
    said = printed(summary(gather(run)), width=30).splitlines()
    (run / "report.html").unlink()
    assert any(line.endswith(str(run / STEPS[-1][2] / "train.jsonl")) for line in said)
    assert any(line.endswith(str(run / "report.html")) for line in said)
    assert "pass rate          24 % (650 of 2,710 samples right)" in [line.rstrip() for line in said]
    s = gather(run).sampling
    assert s is not None
    lost = f"{percent(s.fruitless_share)} on {s.fruitless} problems that gave no row"
    assert f"samples that count {s.trials:,}: {s.tokens:,} tokens, {lost}" in [line.rstrip() for line in said]


def test_tokens_are_told_with_what_was_put_aside_for_them_and_of_steps_that_are_no_more(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", seeds=4)
    for name, replies in (("00-input", 2), ("03-sample", 40), ("02-label", 5)):
        folder = run / "replies" / name
        folder.mkdir(parents=True)
        usage = {"prompt_tokens": 90, "completion_tokens": 1000}
        lines = [orjson.dumps({"key": str(n), "model": "m", "reply": {"usage": usage}}) for n in range(replies)]
        lines += [orjson.dumps({"key": "p", "model": "", "reply": {"stdout": "7"}}), b'{"key": "torn']
        (folder / "00000.jsonl").write_bytes(b"\n".join(lines))
    numbers = gather(run)
    said = [line.rstrip() for line in printed(summary(numbers)).splitlines()]
    assert numbers.sampling is not None and 0 < numbers.beside == 40 * 1090 - numbers.sampling.tokens
    assert f"other samples      {numbers.beside:,} tokens (surplus, failed, or asked for by other settings)" in said
    start = said.index("tokens             51,230: 4,230 in, 47,000 out (47 replies)")
    assert said[start + 1 : start + 4] == [
        "  input            2,180: 180 in, 2,000 out (2 replies), 1 of 5 put aside",
        "  sample           43,600: 3,600 in, 40,000 out (40 replies)",
        "  02-label         5,450: 450 in, 5,000 out (5 replies), of an earlier recipe",
    ]


def test_replies_that_were_all_reused_are_not_zero_tokens_per_second(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", seeds=4)
    for _, _, name in STEPS:
        manifest = orjson.loads((run / name / "manifest.json").read_bytes())
        for use in manifest["models"].values():
            use.update(requests=0, reused=50, prompt_tokens=0, completion_tokens=0, timed=0, seconds=0.0)
        (run / name / "manifest.json").write_bytes(orjson.dumps(manifest))
    numbers = gather(run)
    assert numbers.tokens_per_second is None
    assert "none generated, 150 replies reused" in printed(summary(numbers))
    assert printed(funnel(numbers)).count("reused") == 3
    assert "reused</div>" in page(numbers)


# --- small things ----------------------------------------------------------------------------------------------


def test_numbers_are_said_for_people() -> None:
    assert [count(n) for n in (0, 999, 1234, 9_999_999, 12_345_678)] == ["0", "999", "1,234", "9,999,999", "12.3 M"]
    assert [short(n) for n in (0, 0.5, 950, 1200, 5_600_000)] == ["0", "0.5", "950", "1.2 k", "5.6 M"]
    shares = (None, 0.0, 0.0004, 0.031, 0.31, 0.9999, 1.0)
    assert [percent(s) for s in shares] == ["–", "0 %", "< 0.1 %", "3.1 %", "31 %", "> 99.9 %", "100 %"]
    assert [duration(s) for s in (0.42, 12.4, 185, 8040)] == ["0.4 s", "12 s", "3 min 05 s", "2 h 14 min"]
    assert [clock(s) for s in (0.42, 59.6, 185, 8040, 360_000)] == ["0.4s", "1m00s", "3m05s", "2h14m", "100h"]
    assert [rate(None, 0), rate(None, 3), rate(4.2, 0), rate(1234.5, 3)] == ["–", "reused", "4.2", "1,234"]


def test_lengths_keep_three_digits_and_every_row() -> None:
    lengths = Lengths()
    for length in [*range(1, 101), 123_456]:
        lengths.add(length)
    assert (lengths.quantile(0.5), lengths.longest, lengths.number) == (51, 123_456, 101)
    assert sum(part.number for part in lengths.bins()) == 101
    assert lengths.bins()[0].high in (1, 2, 5, 10)
    assert Lengths().bins() == () and Lengths().quantile(0.5) == 0


def test_few_do_not_depend_on_the_order_and_distinct_counts_returns() -> None:
    names = [f"row-{number}" for number in range(500)]
    forth, back, distinct = Few[str](5), Few[str](5), Distinct()
    for name in names:
        forth.add(name, name)
        distinct.add(name)
    for name in [*reversed(names), *names]:
        back.add(name, name)
        distinct.add(name)
    assert forth.items() == back.items() and len(forth.items()) == 5
    assert distinct.number() == 500
