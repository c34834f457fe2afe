"""Programs in a model's text."""

import pytest

from mathsynth.code_blocks import answers_in, calculates, first_block, printed, program_of, shortened, without_code

ONE = "First.\n```python\nx = 1\nprint(x)\n```\nThen."


def test_a_block_is_found_with_what_stands_before_and_behind():
    block = first_block(ONE)
    assert block is not None
    assert (block.before, block.code, ONE[block.end :], block.closed) == (
        "First.\n",
        "x = 1\nprint(x)\n",
        "\nThen.",
        True,
    )


@pytest.mark.parametrize(
    "text", ["no code", "```\nplain\n```", "```output\n7\n```", "`x = 1`", "```bash\nls\n```", "inline ```python x```"]
)
def test_what_is_no_python_is_text(text):
    assert first_block(text) is None
    assert program_of(text) is None
    assert without_code(text) == text


@pytest.mark.parametrize("language", ["python", "py", "Python", "python3"])
def test_python_has_several_names(language):
    assert program_of(f"```{language}\nx = 1\n```") == "x = 1\n"


def test_all_blocks_are_one_program_and_outputs_between_are_not_in_it():
    assert program_of("```python\nx = 1\n```\n```output\n3\n```\n```python\nprint(x)\n```") == "x = 1\n\nprint(x)\n"


def test_a_block_that_is_not_closed_is_no_program():
    assert program_of("```python\nx = 1\n") is None
    block = first_block("```python\nx = 1\n")
    assert block is not None
    assert not block.closed


def test_without_code_keeps_what_is_said():
    assert without_code(ONE) == "First.\n\nThen."


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
    ],
)
def test_only_binary_noise_is_rounded(answer, read):
    assert printed(answer) == read


@pytest.mark.parametrize(
    ("code", "does"),
    [
        ("print(42)", False),
        ("x = 42\nprint(x)", False),
        ("print('the answer is', 42)", False),
        ("print(6 * 7)", True),
        ("x = 6\nx += 1\nprint(x)", True),
        ("print(sum(range(7)))", True),
        ("import sympy\nprint(sympy.isqrt(49))", True),
        ("def broken(", True),
    ],
)
def test_a_program_that_only_prints_calculates_nothing(code, does):
    assert calculates(code) is does


def test_the_middle_of_a_long_output_is_cut_out_with_a_marker():
    assert shortened("x" * 400, 400) == "x" * 400
    cut = shortened("a" * 300 + "b" * 300, 400)
    assert cut == "a" * 200 + "\n[… 200 characters cut …]\n" + "b" * 200


def test_an_output_states_its_lines_what_stands_behind_a_sign_and_its_numbers_the_last_first():
    assert answers_in("total = 12\n[1/2, 3] 7/2\n") == ["[1/2, 3] 7/2", "7/2", "3", "1/2", "total = 12", "12"]
    assert answers_in("") == []
    assert len(answers_in("\n".join(f"x = {n}" for n in range(100)))) == 20
