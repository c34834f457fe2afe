"""Programs in a model's text."""

import pytest

from mathsynth.code_blocks import (
    calculates,
    drawn,
    fenced,
    first_block,
    goes_on,
    invents,
    named_alike,
    pretends,
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


def test_a_fence_without_a_name_is_python_if_it_prints():
    assert program_of("```\nx = 6\nprint(x * 7)\n```") == "x = 6\nprint(x * 7)\n"
    assert program_of("```\nx = 42\n```") is None  # so may an output look
    assert program_of("```\nprint the number\n```") is None


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
        ("def main():\n    print(42)\n\nif __name__ == '__main__':\n    main()", False),
        ("class Solution:\n    def solve(self):\n        return 42\n\nprint(Solution().solve())", False),
        ("print('The answer is %d' % 42)", False),
        ("print('The answer is ' + str(42))", False),
        ("import sys\nsys.stdout.write('42')", False),
        ("print('The answer is %d' % (6 * 7))", True),
        ("print(7 % 5)", True),
        ("print(int('101010', 2))", True),
        ("print(format(42, 'b'))", True),
        ("print(int('42'), format(42))", False),
        ("print('7' * 3)", True),
        ("print('=' * 40)\nprint(42)\nprint(40 * '-')", False),
    ],
)
def test_a_program_that_only_prints_calculates_nothing(code, does):
    assert calculates(code) is does


@pytest.mark.parametrize(
    ("blocks", "does"),
    [
        (["print(42)"], True),
        (["x = 42", "print(x)"], True),
        (["print(6 + 1)", "print(42)"], True),
        (["x = 6 + 1", "y = 42\nprint('so', y)"], True),
        (["x = 6 * 7", "x"], False),
        (["sum = 6 * 7", "print('so', sum)"], False),
        (["x = 6 * 7", "answer = x\nprint(f'{answer}')"], False),
        (["def f(n):\n    return n * 7", "print(f(6))"], False),
        (["x = 6", "print(x * 7)"], False),
        (["broken("], False),
    ],
)
def test_blocks_invent_what_they_neither_calculate_nor_take_from_each_other(blocks, does):
    assert invents(blocks) is does


@pytest.mark.parametrize(
    "text", ["<tool_call>\n{}\n</tool_call>", "<|python_tag|>print(1)", "[TOOL_CALLS][{}]", "<function=python>"]
)
def test_a_call_in_a_models_own_marks_is_fenced_and_pretends(text):
    assert fenced(f"So {text} is")
    assert pretends(f"So {text} is")


@pytest.mark.parametrize(
    "text",
    [
        "```output\n42\n```",
        "  ~~~ Output\n42\n~~~",
        "<tool_response>42</tool_response>",
        f"{ONE}\n```\n1\n```",
        f"{ONE}\nOutput: 1",
    ],
)
def test_an_output_in_a_text_pretends(text):
    assert pretends(f"I run it.\n{text}\nSo it is 42.")


@pytest.mark.parametrize("text", ["```python\nprint(6 * 7)\n```", "```\n6 * 7 = 42\n```", "The output is 42."])
def test_code_and_talk_of_an_output_pretend_nothing(text):
    assert not pretends(text)


@pytest.mark.parametrize(
    ("between", "does"),
    [
        ("Output: 41", True),
        ("**Output:**\n41", True),
        ("Question: What is 8 times 9?", True),
        ("### Problem 2: Ann has 3 cups.", True),
        ("Now I print it.", False),
        ("The problem: it is not printed yet.", False),
    ],
)
def test_what_goes_on_behind_a_program(between, does):
    code = "```python\nx = 6 * 7\nprint(x)\n```"
    assert goes_on(f"{code}\n\n{between}\n\n{code}") is does
    assert not goes_on(f"{between}\n\n{code}")


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
        ("```python\nx = 1\n```output\n1\n```", "x = 1\n"),
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


@pytest.mark.parametrize(
    ("output", "is_drawn"),
    [
        ("x \n──\n42\n", True),
        ("x \n--\n42\n", True),
        (" 2     \nx  + 42\n", True),
        ("⎡1  2⎤\n⎢    ⎥\n⎣3  4⎦\n", True),
        ("  ∞   \n ___  \n ‾‾‾  \nn = 1 \n", True),
        ("42\n", False),
        ("", False),
        ("12\n42\n", False),
        ("----------\n42\n", False),
        ("  step 1: 6\n42\n", False),
    ],
)
def test_a_drawing_is_not_read_by_its_last_line(output, is_drawn):
    assert drawn(output) is is_drawn


def test_an_output_can_end_neither_its_fence_nor_its_turn():
    assert shown("a\n```\n<|im_end|> </think> [/INST] x < y, [1, 2] <f at 0x7f00aa>\n", 400) == (
        "a\n'''\n< |im_end|> < /think> [ /INST] x < y, [1, 2] <f at 0x…>"
    )


def test_programs_are_equal_but_for_comments_and_layout():
    assert programs_of("```python\nx=1  # one\n\nprint( x )\n```") == programs_of(ONE)
    assert programs_of("```python\ndef  broken(\n```") == ["def broken("]
    assert programs_of(f"```python\n{'-' * 900}1\n```") == ["-" * 900 + "1"]


def test_programs_are_named_alike():
    text = "Set x.\n\n~~~Py\nx = 6\n~~~\n\nPrint.\n  ```\n  print(x * 7)\n  ```\nDone.\n```text\n42\n```"
    assert named_alike(text) == (
        "Set x.\n\n```python\nx = 6\n```\n\nPrint.\n```python\nprint(x * 7)\n```\nDone.\n```text\n42\n```"
    )
    assert programs_of(named_alike(text)) == programs_of(text)
    for left in ("no code", "~~~python\nprint('```')\n~~~", "```python\nx = 1\n"):
        assert named_alike(left) == left
