"""Text from a model or a reference is never run: answers shaped like code, and a look for side effects."""

import ast
import os
from pathlib import Path

import pytest

from mathsynth.verifier import Checker, Policy

ROOT = Path(__file__).parents[1]
PAYLOADS = [
    "__import__('os').system('touch {mark}')",
    "[__import__('os').system('touch {mark}')]",
    "exec(\"open('{mark}','w')\")",
    "eval(\"open('{mark}','w')\")",
    "open('{mark}','w')",
    "lambda: open('{mark}','w')",
    "Symbol('x').__class__.__mro__[1].__subclasses__()",
    "{{7*7}}; os.system('touch {mark}')",
    "().__class__.__bases__[0].__subclasses__()[104].load_module('os').system('touch {mark}')",
    "sin(x).__reduce__()",
    "\\input{{/etc/passwd}}",
    "\\write18{{touch {mark}}}",
    "\\def\\x{{\\x}}\\x",
    "$(touch {mark})",
    "`touch {mark}`",
    "1; touch {mark}",
    "1 if open('{mark}','w') else 1",
    'f\'{{open("{mark}","w")}}\'',
    "x.__init__.__globals__",
    "\\text{{__import__('os').system('touch {mark}')}}",
    "\\operatorname{{exec}}(open('{mark}','w'))",
    "quit()",
    "raise SystemExit",
]


@pytest.mark.parametrize("shape", ["{}", "\\boxed{{{}}}", "The answer is {}", "({})^2", "\\frac{{{}}}{{2}}"])
def test_code_shaped_answers_do_nothing(tmp_path, monkeypatch, shape):
    monkeypatch.chdir(tmp_path)
    mark = tmp_path / "mark"
    before = dict(os.environ)
    with Checker(Policy(deadline_s=1)) as checker:
        for payload in PAYLOADS:
            text = shape.format(payload.format(mark=mark))
            for reference, answer in (("1", text), (text, "1"), (text, "2" + text)):
                assert checker.check_now(reference, answer=answer).outcome != "correct", text
            assert checker.check_now("1", response=f"So\n{text}").outcome != "correct", text
            assert checker.check_now(text, answer=text).outcome == "correct", text
    assert list(tmp_path.iterdir()) == []
    assert dict(os.environ) == before


def test_the_verifier_calls_nothing_that_runs_text():
    for path in (ROOT / "mathsynth" / "verifier").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
                assert name not in {"eval", "exec", "sympify", "parse_expr", "parse_latex", "lambdify", "__import__"}, (
                    path
                )
                if name == "compile":
                    assert isinstance(node.func, ast.Attribute) and node.func.value.id == "re", path


@pytest.mark.parametrize(
    ("reference", "answer"),
    [
        ("42", "\u202e24"),
        ("1", "\x00"),
        ("1", "💩" * 500),
        ("7", "7\u202e"),
        ("1", "Z̷̢̛" * 300),
        ("1", "\ud800"),
        ("5", "5" * 5000),
        ("1", "1" + "0" * 400_000),
        ("1", "x" * 100_000),
        ("1", "\\frac{1}{" * 3000),
        ("0", "1e-999999999"),
        ("\\infty", "1e999999999"),
        ("1", "((((((((((9!)!)!)!)!)!)!)!)!)!)"),
        ("1", "0^0"),
        ("1", "\\frac{0}{0}"),
        ("1", "\\infty-\\infty"),
        ("1", "1/(x-x)"),
        ("0", "\\frac{1}{9^{9^9}}"),
        ("1", "\\log_1 1"),
        ("1", "\\sqrt[0]{1}"),
        ("1", "\\binom{10^9}{5\\cdot 10^8}"),
        ("1", "1:0"),
        ("1", "1_1"),
        ("1", "\\begin{cases}\\end{cases}"),
    ],
    ids=range(24),
)
def test_odd_texts_are_not_correct_and_raise_nothing(reference, answer):
    with Checker(Policy(deadline_s=1)) as checker:
        assert checker.check_now(reference, answer=answer).outcome != "correct"
        assert checker.check_now(answer, answer=reference).outcome != "correct"
