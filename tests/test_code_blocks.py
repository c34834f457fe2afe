"""Programs in a model's text."""

import pytest

from mathsynth.code_blocks import (
    calculates,
    fenced,
    first_block,
    program_of,
    programs_of,
    shortened,
    shown,
    up_to_code,
    without_code,
)

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
    ("code", "does"),
    [
        ("print(42)", False),
        ("x = 42\nprint(x)", False),
        ("print('the answer is', 42)", False),
        ("def main():\n    print(str(int('42')))\n\nmain()", False),
        ("print('{}'.format(42))", False),
        ("print(6 * 7)", True),
        ("x = 6\nx += 1\nprint(x)", True),
        ("print(sum(range(7)))", True),
        ("import sympy\nprint(sympy.isqrt(49))", True),
        ("def broken(", True),
        ("print('\\d')", False),
    ],
)
def test_a_program_that_only_prints_calculates_nothing(code, does):
    assert calculates(code) is does


def test_the_middle_of_a_long_output_is_cut_out_with_a_marker():
    assert shortened("x" * 400, 400) == "x" * 400
    cut = shortened("a" * 300 + "b" * 300, 400)
    assert cut == "a" * 200 + "\n[… 200 characters cut …]\n" + "b" * 200


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("```python\r\nx = 1\r\nprint(x)\r\n```\r\n", "x = 1\nprint(x)\n"),
        ("~~~py\nx = 1\n~~~", "x = 1\n"),
        ("````python\nx = '''\n```\n'''\n````", "x = '''\n```\n'''\n"),
        ("1. First:\n   ```python\n   if x:\n       y = 1\n   ```", "if x:\n    y = 1\n"),
        ("```{.python}\nx = 1\n```", "x = 1\n"),
    ],
)
def test_fences_of_all_kinds(text, code):
    block = first_block(text)
    assert block is not None
    assert (block.code, block.closed) == (code, True)
    assert fenced(text)


def test_what_is_written_behind_the_last_program_is_cut_off():
    assert up_to_code(ONE + "\n```output\n2\n```") == ONE.removesuffix("\nThen.")
    assert up_to_code("no code") == "no code"


def test_an_output_can_end_neither_its_fence_nor_its_turn():
    assert shown("a\n```\n<|im_end|> </think> [/INST] x < y, [1, 2] <f at 0x7f00aa>\n", 400) == (
        "a\n'''\n< |im_end|> < /think> [ /INST] x < y, [1, 2] <f at 0x…>"
    )


def test_programs_are_equal_but_for_comments_and_layout():
    assert programs_of("```python\nx=1  # one\n\nprint( x )\n```") == programs_of(ONE)
    assert programs_of("```python\ndef  broken(\n```") == ["def broken("]
    assert programs_of(f"```python\n{'-' * 900}1\n```") == ["-" * 900 + "1"]
