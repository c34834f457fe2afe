"""The seed problems we wrote ourselves: whole rows, no repeats, and every calculation in their solutions true.

The answers themselves were recomputed when the files were written; here the worked equations are checked again.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from fractions import Fraction
from pathlib import Path

import pytest

from mathsynth.records import Problem

SEEDS = Path(__file__).parents[1] / "data" / "seeds"
FILES = sorted(SEEDS.glob("*.jsonl"))
WORD_PROBLEMS = {"one_step": (60, 1, 1), "grade_school": (90, 2, 8)}  # least rows, fewest and most steps

NUMBER = r"\d+(?:,\d{3})*(?:\.\d+)?"
SIDE = rf"[(\-]*{NUMBER}(?:\s*\)*\s*[-+*/]\s*\(*\s*{NUMBER})*\)*"
CHAIN = re.compile(rf"(?<![\w.:,(]){SIDE}(?:\s*=\s*{SIDE})+")
MARK = re.compile(r"<<(.*?)>>")


def load(path: Path) -> list[Problem]:
    return [Problem.model_validate_json(line) for line in path.read_text(encoding="utf-8").splitlines()]


def plain(text: str) -> str:
    """The text with LaTeX arithmetic, × and ÷ written as + - * / and without currency or math dollars."""
    text = re.sub(r"\\[dt]?frac\{(\d+)\}\{(\d+)\}", r"\1/\2", text)
    for old, new in ((r"\times", "*"), (r"\cdot", "*"), (r"\div", "/"), ("×", "*"), ("÷", "/"), ("−", "-")):
        text = text.replace(old, new)
    return text.replace(r"\$", "").replace("$", "")


def equations(solution: str) -> list[str]:
    """Every plain arithmetic equation of a solution, calculator marks left out."""
    return CHAIN.findall(plain(MARK.sub("", solution)))


def formulas(solution: str) -> list[str]:
    """The `$...$` parts that are nothing but plain arithmetic equations, for solutions that also use algebra."""
    return [part for part in map(plain, re.findall(r"\$([^$]+)\$", solution)) if CHAIN.fullmatch(part)]


def value(side: str) -> Fraction:
    def walk(node: ast.expr) -> Fraction:
        match node:
            case ast.Constant(value=int() | float() as number):
                return Fraction(str(number))
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return -walk(operand)
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                return walk(left) + walk(right)
            case ast.BinOp(left=left, op=ast.Sub(), right=right):
                return walk(left) - walk(right)
            case ast.BinOp(left=left, op=ast.Mult(), right=right):
                return walk(left) * walk(right)
            case ast.BinOp(left=left, op=ast.Div(), right=right):
                return walk(left) / walk(right)
        raise ValueError(f"not plain arithmetic: {side}")

    return walk(ast.parse(side.strip().replace(",", ""), mode="eval").body)


def holds(equation: str) -> bool:
    return len({value(side) for side in equation.split("=")}) == 1


def test_the_equation_reader_sees_what_it_should() -> None:
    text = r"At 9:40: $3 \times 4 = 12$, 2*3=<<2*3=6>>6, 2 × $1.50 = $3, $\frac{4}{16} = \frac{1}{4}$, 7 / 2 = 3."
    assert [holds(found) for found in equations(text)] == [True, True, True, True, False]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_row_is_whole(path: Path) -> None:
    problems = load(path)
    assert problems
    for problem in problems:
        assert problem.answer and problem.solution and problem.level and problem.topics, problem.question
        assert problem.license == "CC-BY-4.0" and problem.answer_source and problem.method == "seed"
        assert problem.solution.removesuffix("$").endswith(rf"\boxed{{{problem.answer}}}"), problem.question


def test_no_question_and_no_id_appears_twice() -> None:
    problems = [problem for path in FILES for problem in load(path)]
    for seen in (Counter(problem.question for problem in problems), Counter(problem.id for problem in problems)):
        assert [key for key, count in seen.items() if count > 1] == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_calculation_is_true(path: Path) -> None:
    checked = 0
    for problem in load(path):
        solution = problem.solution or ""
        found = equations(solution) if path.stem in WORD_PROBLEMS else formulas(solution)
        for equation in [*found, *MARK.findall(solution)]:
            assert holds(equation), f"{problem.question}: {equation}"
            checked += 1
    assert checked


@pytest.mark.parametrize("name", WORD_PROBLEMS)
def test_no_calculation_of_a_word_problem_escapes_the_check(name: str) -> None:
    problems = load(SEEDS / f"{name}.jsonl")
    least, fewest, most = WORD_PROBLEMS[name]
    assert len(problems) >= least
    for problem in problems:
        found = equations(problem.solution or "")
        text = plain(MARK.sub("", problem.solution or ""))
        assert sum(equation.count("=") for equation in found) == text.count("="), problem.question
        assert fewest <= len(found) <= most, problem.question


def test_levels_follow_the_number_of_steps() -> None:
    assert all(problem.level == 1 for problem in load(SEEDS / "one_step.jsonl"))
    for problem in load(SEEDS / "grade_school.jsonl"):
        steps = len(equations(problem.solution or ""))
        assert problem.level == (1 if steps <= 3 else 2 if steps <= 5 else 3), problem.question


def test_one_step_problems_are_worded_differently() -> None:
    templates = Counter(re.sub(r"\d+", "N", problem.question) for problem in load(SEEDS / "one_step.jsonl"))
    assert max(templates.values()) <= 3
    assert all(re.fullmatch(r"\d+", problem.answer or "") for problem in load(SEEDS / "one_step.jsonl"))
