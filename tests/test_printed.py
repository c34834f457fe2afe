"""Printed answers in the notation of mathematics; their meaning is compared with sympy's own LaTeX."""

import random

import pytest
import sympy

from mathsynth.printed import answers_in, in_mathematics, rounded
from mathsynth.verifier import equal


@pytest.mark.parametrize(
    ("answer", "read"),
    [
        ("0.30000000000000004", "0.3"),
        ("2.9999999999999996", "3"),
        ("0.3333333333333333", "0.333333333333"),
        ("-1.2000000000000002", "-1.2"),
        ("1e-05", "1e-05"),
        ("0.5", "0.5"),
        ("007", "007"),
        ("12345678901234567890", "12345678901234567890"),
        ("3.14159", "3.14159"),
        ("sqrt(2)/2", "sqrt(2)/2"),
        (" 42 ", "42"),
        ("99.99999999999989", "100"),
        ("123456789012345.0", "123456789012345.0"),
        ("123456789012.345", "123456789012.345"),
        ("2.43290200817664e+18", "2.43290200817664e+18"),
        ("1234567.8900000001", "1234567.89"),
        ("3.06057512216441e+614", "3.06057512216441e+614"),
        ("3.26734362292358e-615", "3.26734362292358e-615"),
    ],
)
def test_only_binary_noise_is_rounded(answer, read):
    assert rounded(answer) == read


@pytest.mark.parametrize(
    ("answer", "reference"),
    [
        ("[-2, 2]", "-2, 2"),
        ("[-2, 2]", r"x = \pm 2"),
        ("{1, 2}", r"\{1, 2\}"),
        ("[2, 1]", r"\{1, 2\}"),
        ("FiniteSet(1, 2)", r"\{1, 2\}"),
        ("[(1, 2), (3, 4)]", "(1, 2), (3, 4)"),
        ("(sqrt(2), 1)", r"(\sqrt 2, 1)"),
        ("sqrt(2), 1", r"\sqrt 2, 1"),
        ("{x: 1, y: 2}", "x = 1, y = 2"),
        ("[{x: 1, y: 2}]", "(1, 2)"),
        ("[0.30000000000000004]", "0.3"),
        ("[]", r"\emptyset"),
        ("EmptySet", r"\emptyset"),
        ("set()", "no solution"),
        ("x**2 - 1", "x^2-1"),
        ("(-x)**2", "x^2"),
        ("3 + 4*I", "3+4i"),
        ("(3-4j)", "3-4i"),
        ("exp(2)", "e^2"),
        ("log(8, 2)", "3"),
        ("Abs(x)", "|x|"),
        ("2**(1/3)", r"\sqrt[3]{2}"),
        ("root(x, 3)", r"\sqrt[3]{x}"),
        ("Fraction(3, 4)", r"\frac34"),
        ("Decimal('1.5')", "1.5"),
        ("np.float64(5.0)", "5"),
        ("theta*pi", r"\pi\theta"),
        ("Interval(0, 1)", "[0,1]"),
        ("Interval.open(0, oo)", r"(0,\infty)"),
        ("Interval.Lopen(0, 1)", "(0,1]"),
        ("Union(Interval.open(-oo, 1), Interval.open(2, oo))", r"(-\infty,1)\cup(2,\infty)"),
        ("(-oo < x) & (x < 1)", r"(-\infty, 1)"),
        ("((-oo < x) & (x < 1)) | ((3 < x) & (x < oo))", r"(-\infty,1)\cup(3,\infty)"),
        ("Matrix([[1, 2], [3, 4]])", r"\begin{pmatrix}1&2\\3&4\end{pmatrix}"),
        ("Point2D(1, 1/2)", r"(1,\frac12)"),
        ("['Tom']", "Tom"),
        ("['Tom', 'Ann']", "Tom, Ann"),
        ("[1, 1, 2]", "1, 1, 2"),
        ("Answer: 42", "42"),
        ("Total cost in dollars: [0.30000000000000004]", "0.3"),
    ],
)
def test_what_python_and_sympy_print_is_read(answer, reference):
    assert equal(reference, in_mathematics(answer)).outcome == "correct", in_mathematics(answer)


@pytest.mark.parametrize("reference", ["(1,2)", "[1,2]"])
def test_a_list_is_no_interval_and_no_point(reference):
    assert equal(reference, in_mathematics("[1, 2]")).outcome == "undecided"


@pytest.mark.parametrize(
    "answer",
    [
        "1,234", "[1,2]", "(1, 2)", "1/2", "12 apples", "3:00", r"\frac{1}{2}", r"\{1, 2\}", "$5.00", "x = 3", "f(x)",
        "[[1, 2], [3, 4]]", "True", "None", "e4", "__import__('os').system('x')", "[x for x in y]", "Piecewise((1, x))",
        "zoo", "[" * 500, "2*" * 900 + "x", "9**9**9**9**9" * 200, "(x < 1) + 2", "{}", "{**x}", "sin(1, 2, 3)",
        "[1 2]", "3: 4", "[3.06057512216441e+614]", "x + 3.26734362292358e-615",
    ],
)  # fmt: skip
def test_all_else_stays_as_it_is(answer):
    assert in_mathematics(answer) == answer


def expression(chance, depth):
    """A random expression; none with a logarithm, whose powers sympy's LaTeX leaves open."""
    x, y = sympy.symbols("x y")
    if depth == 0:
        return chance.choice(
            [x, y, sympy.pi, sympy.Integer(chance.randint(-9, 9)), sympy.Rational(chance.randint(1, 9), 7)]
        )
    a, b = expression(chance, depth - 1), expression(chance, chance.randint(0, depth - 1))
    sums = [a + b, a - b, a * b, a / (b**2 + 1), a ** chance.randint(-3, 3) if a != 0 else a, -a]
    return chance.choice([*sums, sympy.sqrt(a**2 + 1), sympy.sin(a), sympy.exp(b), sympy.Abs(a)])


@pytest.mark.parametrize("seed", range(120))
def test_an_expression_keeps_its_meaning(seed):
    """Never another value than sympy's own LaTeX, and the same wherever the verifier can tell."""
    found = expression(random.Random(seed), 3)
    assert equal(sympy.latex(found), in_mathematics(str(found))).outcome != "wrong", (
        found,
        in_mathematics(str(found)),
    )
    assert equal(sympy.latex(found + 1), in_mathematics(str(found))).outcome != "correct"


def test_most_expressions_are_read():
    found = [expression(random.Random(seed), 2) for seed in range(100)]
    told = [equal(sympy.latex(each), in_mathematics(str(each))).outcome for each in found]
    assert told.count("correct") >= 97


def test_an_output_states_its_lines_what_stands_behind_a_sign_and_its_numbers_the_last_first():
    assert answers_in("total = 12\n[1/2, 3] 7/2\n") == [
        "[1/2, 3] 7/2",
        "1/2, 3",
        "7/2",
        "3",
        "1/2",
        "total = 12",
        "12",
    ]
    assert answers_in("") == []
    assert len(answers_in("\n".join(f"x = {n}" for n in range(100)))) == 10  # the last five lines


@pytest.mark.parametrize(
    ("output", "numbers"),
    [
        ("1,234", {"1,234", "1234"}),
        ("[1, 2, 3, 4, 6, 12]", {"[1, 2, 3, 4, 6, 12]", r"\{1, 2, 3, 4, 6, 12\}", "1, 2, 3, 4, 6, 12"}),
        ("[1, 2, 3, 4, 6, 12] 28", {"[1, 2, 3, 4, 6, 12] 28", "1, 2, 3, 4, 6, 12", "28"}),
        ("2*x**3 + f(5)", {"2*x**3 + f(5)"}),
        ("x1 is 3.50", {"x1 is 3.50", "3.50"}),
    ],
)
def test_a_number_inside_of_something_longer_supports_nothing(output, numbers):
    assert set(answers_in(output)) == numbers
