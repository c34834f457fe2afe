"""Formats of solutions through the pipeline: programs and tool traces of a scripted model, run in the real sandbox."""

import asyncio
import contextlib
import json
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from command_line import ms
from mathsynth.errors import BackendError
from mathsynth.formats import NO_OUTPUT, supported
from mathsynth.pipeline import Options, generate
from mathsynth.progress import Silent
from mathsynth.recipe import read_recipe
from mathsynth.records import Verdict
from mathsynth.report.numbers import gather
from mathsynth.sandbox.pool import Sandbox
from mathsynth.sandbox.results import Config, Result
from mathsynth.shards import open_lines, read_manifest
from mathsynth.stages import together
from mathsynth.stages.sample import Config as SampleConfig
from mathsynth.verifier import Checker

PROGRAM = "```python\nx = 6\nprint(x * 7)\n```"


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox(Config(workers=1, wall_s=5)) as box:
        yield box


@pytest.fixture(autouse=True)
def one_sandbox(sandbox, monkeypatch):
    """All runs here share one: to start it takes longer than most of these tests."""
    monkeypatch.setattr("mathsynth.safety.Sandbox", lambda config, say: contextlib.nullcontext(sandbox))


def run(
    tmp_path: Path,
    script: str,
    steps: str,
    *,
    answer: str | None = "42",
    sets: tuple[str, ...] = (),
    options: Options | None = None,
) -> Path:
    """Run steps on one problem, with a `reply(said)` that gets the texts of a request and its sample number."""
    (tmp_path / "teacher.py").write_text(
        f"def reply(request):\n    return say([m['content'] for m in request.messages], request.sample)\n\n\n{script}"
    )
    problem = {"question": "What is six times seven?"} | ({} if answer is None else {"answer": answer})
    (tmp_path / "problems.jsonl").write_text(json.dumps(problem) + "\n")
    (tmp_path / "recipe.yaml").write_text(
        f"input: problems.jsonl\nmodels:\n  teacher: {{backend: scripted, replies: '{tmp_path}/teacher.py:reply'}}\n"
        f"steps:\n{steps}"
    )
    generate(read_recipe(tmp_path / "recipe.yaml", list(sets)), tmp_path / "run", options or Options())
    return tmp_path / "run"


def rows(run: Path, step: str) -> list[dict]:
    return [json.loads(line) for path in sorted(run.glob(f"*-{step}-*/0*.jsonl")) for line in open_lines(path)]


def rejected(run: Path) -> list[tuple[str, str]]:
    lines = [json.loads(line) for path in run.glob("*-sample-*/rejected.jsonl") for line in open_lines(path)]
    return [(row["verdict"]["outcome"], row["verdict"]["rule"]) for row in lines]


def tool(*replies: str) -> str:
    """A model that says these, one a turn."""
    return f"def say(said, sample):\n    replies = {list(replies)!r}\n    return replies[(len(said) - 5) // 2]\n"


SAMPLE = "  sample: {format: %s, k: 1, max_trials: 1, keep_wrong: true}\n"
TOOL, ONE_PROGRAM = SAMPLE % "tool", SAMPLE % "program"
CODE = "I multiply.\n```python\nx = 6\nprint(x * 7)\n```"
END = "The product is \\boxed{42}."


def keep_going(tmp_path: Path, script: str, steps: str) -> Path:
    """Run what keeps no row."""
    with pytest.raises(Exception, match="no row is left"):
        run(tmp_path, script, steps)
    return tmp_path / "run"


def test_what_a_program_prints_is_its_answer(tmp_path, sandbox):
    made = run(
        tmp_path, f"def say(said, sample):\n    return {PROGRAM!r}\n", ONE_PROGRAM + "  verify: {replay: true}\n"
    )
    [row] = rows(made, "verify")
    assert (row["format"], row["extracted"], row["verdict"]["outcome"]) == ("program", "42", "correct")
    assert row["checks"]["sandbox"] == sandbox.tier.name
    manifest = read_manifest(next(made.glob("*-sample-*")))
    assert manifest is not None
    assert manifest.versions["sandbox"] == str(sandbox.tier)


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [
        ("The answer is 42.", ("undecided", "no_program")),
        ("```python\nprint(6 * 7)\n", ("undecided", "no_program")),
        ("```python\nprint(42)\n```", ("wrong", "no_calculation")),
        ("```python\nprint(6 * 8)\n```", ("wrong", "identical")),
        ("```python\nx = 6 * 7\n```", ("wrong", "no_output")),
        ("```python\nfrom sympy import pprint, symbols\npprint(symbols('x') / 42)\n```", ("undecided", "drawn")),
        ("```python\nprint(6 * 7)\nraise ValueError(1 + 1)\n```", ("wrong", "program_error")),
        ("```python\nimport os\nos.system('true')\nprint(6 * 7)\n```", ("wrong", "program_denied")),
        ("```python\nx = bytearray(1 << 40)\nprint(6 * 7)\n```", ("undecided", "program_memory")),
    ],
)
def test_a_program_that_does_not_end_well_gives_no_answer(tmp_path, reply, verdict):
    made = keep_going(tmp_path, f"def say(said, sample):\n    return {reply!r}\n", ONE_PROGRAM)
    [found] = rejected(made)
    assert found[0] == verdict[0]
    assert found[1] == verdict[1] or verdict[1] == "identical"


class LastSeen(Silent):
    """Keeps each step's meter, in place of a bar."""

    def __init__(self):
        self.meters = {}

    def update(self, meter):
        self.meters[meter.step] = meter


def test_the_live_pass_rate_is_that_of_all_finished_samples_as_the_reports(tmp_path):
    shown, bad = LastSeen(), ["I see no way.", "```python\nprint(6 * 7 / 0)\n```", "```python\nprint(6 * 8)\n```"]
    script = f"def say(said, sample):\n    return ({bad!r} + [{PROGRAM!r}])[sample % 4]\n"
    steps = "  measure: {samples: 4}\n  sample: {format: program, policy: fixed, k: 8}\n  verify: {}\n"
    made = run(tmp_path, script, steps, options=Options(display=shown))
    rates = {name: meter.pass_rate for name, meter in shown.meters.items()}
    assert rates == {"input": None, "measure": 0.0, "sample": 0.25, "verify": 1.0}
    assert gather(made).sampling.pass_rate == rates["sample"]


def test_samples_that_vote_count_in_the_live_pass_rate_once_the_vote_is_over(tmp_path):
    shown = LastSeen()
    script = "def say(said, sample):\n    return 'Six times seven is \\\\boxed{%d}.' % (43 if sample == 0 else 42)\n"
    vote = "  sample: {policy: fixed, k: 1, vote: {samples: 4, min_votes: 2}}\n"
    made = run(tmp_path, script, vote, answer=None, options=Options(display=shown))
    assert shown.meters["sample"].pass_rate == gather(made).sampling.pass_rate == 0.75


def test_a_draft_in_thinking_that_is_kept_is_no_part_of_the_program(tmp_path):
    reply = f"<think>Perhaps\n```python\nraise ValueError\n```\n</think>\n{PROGRAM}"
    made = run(tmp_path, f"def say(said, sample):\n    return {reply!r}\n", ONE_PROGRAM + "  verify: {replay: true}\n")
    assert [row["response"] for row in rows(made, "verify")] == [reply]


def test_a_trace_is_code_its_real_output_and_an_answer(tmp_path):
    made_up = CODE + "\n```output\n99\n```\nSo it is \\boxed{99}."
    made = run(tmp_path, tool(made_up, END), TOOL + "  verify: {replay: true}\n")
    [row] = rows(made, "verify")
    assert row["turns"] == [
        {"role": "assistant", "content": CODE},
        {"role": "tool", "content": "42"},
        {"role": "assistant", "content": END},
    ]
    assert row["response"] == f"{CODE}\n\n```output\n42\n```\n\n{END}"
    assert row["checks"]["tool"] == {"max_blocks": 4, "output_chars": 400}
    # Each turn pays for what was said before it.
    assert row["usage"]["completion_tokens"] == len(made_up.split()) + len(END.split())


@pytest.mark.parametrize("end", ["", "```output\n43\n```"])
def test_a_block_may_be_closed_by_the_output_at_which_it_is_stopped(tmp_path, end):
    [row] = rows(
        run(tmp_path, tool(CODE.removesuffix("```") + end, END), TOOL + "  verify: {replay: true}\n"), "verify"
    )
    assert [turn["content"] for turn in row["turns"]] == [CODE, "42", END]


def test_variables_stay_known_and_a_last_expression_is_shown(tmp_path):
    second = "Now the product.\n```python\nx * 7\n```"
    [row] = rows(run(tmp_path, tool("Set x.\n```python\nx = 6\n```", second, END), TOOL), "sample")
    assert [turn["content"] for turn in row["turns"] if turn["role"] == "tool"] == ["(no output)", "42"]


def test_an_error_is_fed_back_and_leaves_no_state(tmp_path):
    failing = "```python\nx = 5\nprint(x * y)\n```"
    script = tool("```python\nx = 6\n```", failing, "Again.\n```python\nprint(x * 7)\n```", END)
    [row] = rows(run(tmp_path, script, TOOL), "sample")
    assert [turn["content"] for turn in row["turns"] if turn["role"] == "tool"] == [
        "(no output)",
        "NameError: name 'y' is not defined",
        "42",
    ]


@pytest.mark.parametrize(
    ("replies", "rule"),
    [
        ((END,), "no_program"),
        ((CODE, "The answer is 42."), "no_box"),
        (("So \\boxed{42}.\n" + CODE, END), "answer_beside_code"),
        (("```python\nprint(y)\n```", "```python\nprint(y)\n```", END), "same_code_again"),
        ((CODE, "Done, \\boxed{43}."), "identical"),
        (("```python\nprint(42)\n```", END), "no_calculation"),
        (("```python\nx = 42\n```", "```python\nprint(x)\n```", END), "no_calculation"),
        (("```python\nprint(6 + 7)\n```", "```python\nprint(42)\n```", END), "no_calculation"),
        ((CODE, "<tool_call>\n{}\n</tool_call>\n" + END), "answer_beside_code"),
        (("<tool_response>43</tool_response>\n" + CODE, END), "other_fence"),
        (("```python\nprint(6 + 7)\n```", END), "unsupported"),
        ((CODE, "```python\ny = 42\n```", END), "unsupported"),
        (("```python\nx = 6 * 7\n```", END), "unsupported"),
        (("```python\nprint('x' * 300, 100042 + 0, 'y' * 197)\n```", END), "unsupported"),
        (("```python\nprint('x' * 442)\n```", END), "unsupported"),
        ((CODE, "```python\nprint(y)\n```", END), "answer_after_error"),
        (("```python\nprint(y)\n```", "```python\nprint( y )  # again\n```", END), "same_code_again"),
        (("The answer is 42.\n" + CODE, END), "answer_beside_code"),
        (("```python\nprint(6 * 7)  # \\boxed{42}\n```", END), "answer_beside_code"),
        (("```text\n42\n```\n" + CODE, END), "other_fence"),
        ((CODE, END + "\n~~~\nprint(x)\n~~~"), "answer_beside_code"),
        (("```python\nprint([1, 2, 3, 4, 5, 6 * 7])\n```", END), "unsupported"),
        (tuple(f"```python\nprint(6 * {n})\n```" for n in range(6)), "too_many_blocks"),
    ],
)
def test_what_a_trace_must_not_do(tmp_path, replies, rule):
    [(outcome, found)] = rejected(keep_going(tmp_path, tool(*replies), TOOL))
    assert outcome != "correct"
    assert found == rule or rule == "identical"


FAILING = "```python\nraise ValueError(6 * 7)\n```"


def test_what_counts_for_nothing_never_passes_later(tmp_path):
    for number, replies in enumerate(
        [
            (CODE, "So \\boxed{42}.\n" + CODE),
            tuple(f"```python\nprint(6 * 7 + {n})\n```" for n in (4, 3, 2, 1, 0, 5)),
            ("```python\nprint(6 + 7)\n```", FAILING, END),
        ]
    ):
        (tmp_path / str(number)).mkdir()
        [path] = keep_going(tmp_path / str(number), tool(*replies), TOOL).glob("*-sample-*/rejected.jsonl")
        for sets in ((), ("--set", "replay=true")):
            assert ms("verify", path, "-o", "-", *sets).out == ""


def test_a_row_whose_checks_were_written_by_hand_is_put_aside(tmp_path):
    [row] = rows(run(tmp_path, tool(CODE, END), TOOL), "sample")
    for checks in ({"tool": 5}, {"tool": {"max_blocks": -1}}):
        (tmp_path / "rows.jsonl").write_text(json.dumps(row | {"checks": checks}) + "\n")
        found = ms("verify", tmp_path / "rows.jsonl", "-o", "-")
        assert (found.code, found.out) == (0, "")
        assert "undecided 1" in found.err


@pytest.mark.parametrize(("steps", "script"), [(TOOL, tool(CODE, END)), (ONE_PROGRAM, tool(PROGRAM))])
def test_a_sandbox_that_fails_leaves_the_sample_undecided(tmp_path, monkeypatch, steps, script):
    broken = Result("infra_error", stderr="the interpreter died twice", blocks=("",))
    monkeypatch.setattr(Sandbox, "run_now", lambda box, blocks, notebook=False: broken)
    made = keep_going(tmp_path, script, steps)
    assert rejected(made) == [("undecided", "program_infra_error")]


def test_a_trace_with_a_block_that_was_not_run_is_put_aside(tmp_path):
    [row] = rows(run(tmp_path, tool(CODE, "Now this.\n```python\nx * 7\n```", END), TOOL), "sample")
    [path] = tmp_path.glob("run/*-sample-*/0*.jsonl")
    assert ms("verify", path, "-o", "-").out
    (tmp_path / "rows.jsonl").write_text(json.dumps(row | {"turns": [*row["turns"][:3], row["turns"][-1]]}) + "\n")
    for sets in ((), ("--set", "replay=true")):
        assert ms("verify", tmp_path / "rows.jsonl", "-o", "-", *sets).out == ""


def test_a_row_without_its_program_is_put_aside_though_nothing_is_replayed(tmp_path):
    [row] = rows(run(tmp_path, tool(PROGRAM), ONE_PROGRAM), "sample")
    (tmp_path / "rows.jsonl").write_text(json.dumps(row | {"response": "Six times seven is clear."}) + "\n")
    found = ms("verify", tmp_path / "rows.jsonl", "-o", "-")
    assert (found.code, found.out) == (0, "")
    assert "undecided 1" in found.err


def test_a_long_output_is_cut_with_a_marker(tmp_path):
    long = "```python\nprint('9' * 1000)\nprint(6 * 7)\n```"
    [row] = rows(run(tmp_path, tool(long, END), TOOL + "  verify: {replay: true}\n"), "verify")
    output = row["turns"][1]["content"]
    assert "characters cut" in output
    assert len(output) < 450


def test_a_program_that_depends_on_more_than_its_text_is_put_aside_on_replay(tmp_path):
    clock = "```python\nimport time\nprint(time.time_ns())\nprint(6 * 7)\n```"
    with pytest.raises(Exception, match="no row is left"):
        run(tmp_path, tool(clock, END), TOOL + "  verify: {replay: true}\n", sets=("sample.tool.output_chars=4000",))
    [line] = [json.loads(line) for path in tmp_path.glob("run/*-verify-*/dropped.jsonl") for line in open_lines(path)]
    assert line["detail"].startswith("replay: ")


def test_what_was_run_is_in_the_journal_and_runs_once(tmp_path, monkeypatch):
    ran: list[tuple[str, ...]] = []
    real = Sandbox.run_now

    def counted(self, blocks, notebook=False):
        ran.append(tuple(blocks))
        return real(self, blocks, notebook)

    monkeypatch.setattr(Sandbox, "run_now", counted)
    script = f"def say(said, sample):\n    return {PROGRAM!r}\n"
    steps = "  sample: {format: program, k: 4, max_trials: 4}\n"
    run(tmp_path, script, steps)
    assert len(ran) == 1
    # Another config asks nothing and runs nothing again.
    run(tmp_path, script, steps, sets=("sample.k=3",))
    assert len(ran) == 1


FENCED_THOUGHT = "<think>\n```\nx\n</think>\n\n" + PROGRAM + "\n\nIt prints 43."


@pytest.mark.parametrize("thinking", ["keep", "cut", "field"])
def test_a_program_ends_its_row_and_code_in_thinking_is_not_run(tmp_path, thinking):
    script = f"def say(said, sample):\n    return {FENCED_THOUGHT!r}\n"
    steps = ONE_PROGRAM + "  verify: {replay: true, junk: []}\n"
    [row] = rows(run(tmp_path, script, steps, sets=(f"models.teacher.thinking={thinking}",)), "verify")
    assert row["response"].endswith(PROGRAM)
    assert row["response"].startswith("<think>") is (thinking == "keep")


@pytest.mark.parametrize(
    ("reply", "outcome", "rule"),
    [
        ("The answer is 43.\n\n" + PROGRAM, "wrong", "answer_beside_code"),
        ("So it is \\boxed{\\text{a blue bird}}.\n\n" + PROGRAM, None, "answer_beside_code"),
        (PROGRAM + "\n\n```output\n43\n```\n\n" + PROGRAM, "wrong", "other_fence"),
    ],
)
def test_a_text_that_says_otherwise_spoils_its_program(tmp_path, reply, outcome, rule):
    made = keep_going(tmp_path, f"def say(said, sample):\n    return {reply!r}\n", ONE_PROGRAM)
    [found] = rejected(made)
    assert found[1] == rule
    assert found[0] == outcome or outcome is None


def test_what_exit_leaves_unsaid_is_an_error(tmp_path):
    again = "```python\nprint(7 * 6)\n```"
    ending = "```python\nprint(6 * 7)\nexit()\n```"
    [found] = rejected(keep_going(tmp_path, tool(ending, again, END), TOOL))
    assert found == ("wrong", "answer_after_error")
    other = tmp_path / "other"
    other.mkdir()
    assert len(rows(run(other, tool(ending, END), TOOL + "  verify: {replay: true}\n"), "verify")) == 1


@pytest.mark.parametrize("said", ["The answer is the number of ways to fill 6 boxes with 7 balls each.", "So, 6 by 7."])
def test_what_is_sought_is_no_answer_beside_code(tmp_path, said):
    assert len(rows(run(tmp_path, tool(f"{said}\n{CODE}", END), TOOL), "sample")) == 1


@pytest.mark.parametrize(
    "made_up", ["```python\nprint(6 * 7)\n```\n```output\n42\n```", "<tool_call>\n{}\n</tool_call>"]
)
def test_a_text_that_makes_up_an_output_counts_for_nothing(tmp_path, made_up):
    reply = f"Let us see what 6 * 7 = 42 gives.\n{made_up}\nThe answer is \\boxed{{42}}."
    made = keep_going(tmp_path, f"def say(said, sample):\n    return {reply!r}\n", SAMPLE % "cot")
    assert rejected(made) == [("undecided", "made_up")]
    # A row that an earlier version kept does not pass either.
    [path] = made.glob("*-sample-*/rejected.jsonl")
    (tmp_path / "rows.jsonl").write_text(json.dumps(json.loads(path.read_text()) | {"checks": {}}) + "\n")
    assert ms("verify", tmp_path / "rows.jsonl", "-o", "-").out == ""


@pytest.mark.parametrize(
    ("steps", "script", "seeded"),
    [
        (ONE_PROGRAM, "```python\n{}import random\nprint(42 - random.randint(0, 4) + {})\n```", 3),
        (ONE_PROGRAM, "```python\n{}import numpy as np\nprint(42 - np.random.randint(0, 5) + {})\n```", 4),
    ],
)
def test_a_program_that_is_right_by_luck_is_put_aside_on_replay(tmp_path, steps, script, seeded):
    lucky = script.format("", seeded)
    with pytest.raises(Exception, match="no row is left"):
        run(tmp_path, f"def say(said, sample):\n    return {lucky!r}\n", steps + "  verify: {replay: true}\n")
    [line] = [json.loads(line) for path in tmp_path.glob("run/*-verify-*/dropped.jsonl") for line in open_lines(path)]
    assert line["detail"].startswith("replay: ")
    # One that seeds itself depends on its text alone.
    own = lucky.replace("\nprint", "\nrandom.seed(0)\nprint" if "numpy" not in lucky else "\nnp.random.seed(0)\nprint")
    (tmp_path / "own").mkdir()
    script = f"def say(said, sample):\n    return {own!r}\n"
    assert len(rows(run(tmp_path / "own", script, steps + "  verify: {replay: true}\n"), "verify")) == 1


def test_a_trace_that_is_right_by_luck_is_put_aside_on_replay(tmp_path):
    lucky = "```python\nimport random\nprint(42 - random.randint(0, 4) + 3)\n```"
    with pytest.raises(Exception, match="no row is left"):
        run(tmp_path, tool(lucky, END), TOOL + "  verify: {replay: true}\n")
    assert len(list(tmp_path.glob("run/*-sample-*/0*.jsonl"))) == 1


def test_programs_are_not_held_against_the_equations_of_a_text(tmp_path):
    [row] = rows(run(tmp_path, tool(PROGRAM), ONE_PROGRAM), "sample")
    (tmp_path / "rows.jsonl").write_text(json.dumps(row | {"meta": {"operations": "*"}}) + "\n")
    found = ms("verify", tmp_path / "rows.jsonl", "-o", "-")
    assert json.loads(found.out)["id"] == row["id"]


LABELLED = """\
def say(said, sample):
    value = {}
    if "Write one Python program" in said[-1]:
        return f"```python\\nx = 6\\nprint(x * 7 + {{value}})\\n```"
    return "6 times 7 is 42. So the answer is \\\\boxed{{42}}."
"""


def test_texts_and_programs_that_agree_label_a_problem(tmp_path):
    [row] = rows(run(tmp_path, LABELLED.format(0), "  label: {}\n", answer=None), "label")
    assert (row["answer"], row["answer_source"]) == ("42", "program")
    assert row["meta"]["label"] == {"texts": 4, "programs": 4}


def test_a_disagreement_is_kept_and_counted(tmp_path):
    with pytest.raises(Exception, match="no row is left"):
        run(tmp_path, LABELLED.format(1), "  label: {}\n", answer=None)
    manifest = read_manifest(next(tmp_path.glob("run/*-label-*")))
    assert manifest is not None
    assert manifest.counts.dropped == {"disagreement": 1}
    [line] = [json.loads(line) for path in tmp_path.glob("run/*-label-*/dropped.jsonl") for line in open_lines(path)]
    assert line["detail"] == "texts say 42, programs 43"


def test_answers_that_cannot_be_compared_are_no_disagreement(tmp_path):
    script = LABELLED.format(0).replace("print(x", "print('forty', 'two', x")
    with pytest.raises(Exception, match="no row is left"):
        run(tmp_path, script, "  label: {}\n", answer=None)
    manifest = read_manifest(next(tmp_path.glob("run/*-label-*")))
    assert manifest is not None
    assert manifest.counts.dropped == {"not_compared": 1}


def test_a_share_is_met_by_just_so_many_votes(tmp_path):
    """As floats, 0.56 * 25 is more than 14."""
    script = LABELLED.format("sample - 13 if sample > 13 else 0").replace(
        '    return "6', "    if sample > 13:\n        return 'It is \\\\boxed{%d}.' % sample\n    return \"6"
    )
    steps = "  label: {texts: 25, programs: 25, min_share: 0.56}\n"
    [row] = rows(run(tmp_path, script, steps, answer=None), "label")
    assert row["meta"]["label"] == {"texts": 14, "programs": 14}


@pytest.mark.parametrize(
    ("step", "sets"),
    [
        ("label: {}", ("models.teacher.temperature=0",)),
        ("measure: {}", ("models.teacher.temperature=0",)),
        ("sample: {format: program}", ("models.teacher.temperatures=[0.5, 0]",)),
        ("sample: {format: program}", ("sample.sampling.temperature=0",)),
    ],
)
def test_samples_that_are_alike_count_as_one(tmp_path, step, sets):
    with pytest.raises(Exception, match="at temperature 0 all samples of 'teacher' are alike"):
        run(tmp_path, LABELLED.format(0), f"  {step}\n", answer="42" if "measure" in step else None, sets=sets)
    (tmp_path / "other").mkdir()
    warm = ("models.teacher.temperatures=[0, 0.5]",)
    assert rows(
        run(
            tmp_path / "other", LABELLED.format(0), f"  {step}\n", answer="42" if "measure" in step else None, sets=warm
        ),
        step.split(":")[0],
    )


ADAPTING = """\
def say(said, sample):
    if any("letting Python" in text for text in said):
        shown = said[-1].startswith("```output")
        return "The product is \\\\boxed{{42}}." if shown else "```python\\nprint(6 * 7)\\n```"
    found = 42 if sample % 4 < {right} else 41
    return f"6 times 7 is {{found}}. The answer is \\\\boxed{{{{{{found}}}}}}."
"""


@pytest.mark.parametrize(("right", "expected"), [(3, "cot"), (1, "tool")])
def test_problems_that_text_solves_keep_text_and_the_others_get_the_tool(tmp_path, right, expected):
    steps = "  measure: {samples: 4}\n  sample: {format: adapt, k: 1, max_trials: 8}\n"
    made = run(tmp_path, ADAPTING.format(right=right), steps)
    [problem], [row] = rows(made, "measure"), rows(made, "sample")
    assert problem["difficulty"]["pass_rate"] == right / 4
    assert row["format"] == expected


def test_measure_chooses_by_difficulty(tmp_path):
    with pytest.raises(Exception, match="no row is left"):
        run(tmp_path, ADAPTING.format(right=1), "  measure: {samples: 4, at_least: 0.5}\n")
    manifest = read_manifest(next(tmp_path.glob("run/*-measure-*")))
    assert manifest is not None
    assert Counter(manifest.counts.dropped) == {"too_hard": 1}


def test_measure_counts_a_cut_reply_as_a_failure(tmp_path):
    script = (
        "from mathsynth.backends.base import Reply\n\n\ndef say(said, sample):\n"
        "    return Reply(text='It is \\\\boxed{42}.', finish_reason='length' if sample else 'stop')\n"
    )
    [problem] = rows(run(tmp_path, script, "  measure: {samples: 4}\n"), "measure")
    assert problem["difficulty"]["pass_rate"] == 0.25


def test_an_error_waits_for_what_is_under_way_beside_it():
    ended = []

    async def works(number: int) -> None:
        for _ in range(number):
            await asyncio.sleep(0)
        ended.append(number)
        if number == 1:
            raise BackendError("no")

    with pytest.raises(BackendError, match="no"):
        asyncio.run(together(works(number) for number in range(5)))
    assert ended == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("form", "calls"), [("cot", (4, 16)), ("program", (4, 16)), ("tool", (8, 80)), ("adapt", (4, 80))]
)
def test_a_plan_counts_the_turns_of_a_trace(form, calls):
    assert SampleConfig(format=form).calls_per_row() == calls


def test_reading_a_kept_trace_back_counts_nothing_and_asks_nothing(tmp_path):
    made = run(tmp_path, tool(CODE, END), TOOL)
    manifest = read_manifest(next(made.glob("*-sample-*")))
    assert manifest is not None
    [use] = manifest.models.values()
    assert (use.requests, use.reused) == (2, 0)


def test_one_prompt_can_not_ask_for_two_formats():
    with pytest.raises(ValueError, match="format adapt asks for cot and tool, so there is no one prompt"):
        SampleConfig(format="adapt", prompt="solve")


def test_the_lack_of_an_output_supports_no_answer():
    """ "(no output)" was read as a no."""
    said = Verdict(outcome="correct", reason="identical", rule="identical", extracted="no", how="boxed")
    with Checker() as checker:
        ctx: Any = SimpleNamespace(grader=SimpleNamespace(checker=checker))
        assert asyncio.run(supported(said, "is it prime: no", ctx)).outcome == "correct"
        assert asyncio.run(supported(said, NO_OUTPUT, ctx)).rule == "unsupported"
