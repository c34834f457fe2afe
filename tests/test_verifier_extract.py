"""Which part of a response is its answer, and how it was found."""

import time

import pytest

from mathsynth.verifier import extract

CASES = [
    (r"Thus $\boxed{12}$.", "12", "boxed"),
    (r"\fbox{12}", "12", "boxed"),
    (r"\boxed 7", "7", "boxed"),
    (r"First \boxed{3}. No, that was wrong: \boxed{4}.", "4", "boxed"),
    (r"\boxed{\frac{1}{\sqrt{2}}}", r"\frac{1}{\sqrt{2}}", "boxed"),
    (r"\boxed{\{1,2\}}", r"\{1,2\}", "boxed"),
    (r"\boxed{\{\}}", r"\{\}", "boxed"),
    (r"roots $\boxed{2}$ and $\boxed{3}$", "2, 3", "boxed"),
    (r"\boxed{6} \text{ or } \boxed{8}", "6, 8", "boxed"),
    (r"\boxed{5}, and again \boxed{5}", "5", "boxed"),
    (r"The width is \boxed{4}. Later we will see that the area is \boxed{20}.", "20", "boxed"),
    (r"\boxed{9} and then I stop. \boxed{}", "9", "boxed"),
    (r"<think>\boxed{1}</think>Now \boxed{2}", "2", "boxed"),
    (r"<think>hmm</think><answer>16</answer>", "16", "answer phrase"),
    ("12 + 5 = 17\n#### 17", "17", "answer phrase"),
    ("#### 1,250", "1,250", "answer phrase"),
    ("The answer is 42.", "42", "answer phrase"),
    ("The answer is $x = 5$.", "x = 5", "answer phrase"),
    ("The answers are $2$ and $3$.", "2, 3", "answer phrase"),
    ("The answer is 2.5, since half of 5 is 2.5.", "2.5", "answer phrase"),
    ("Answer: 1,234 apples", "1,234 apples", "answer phrase"),
    ("**Answer:** 12 cm", "12 cm", "answer phrase"),
    ("**Final Answer**: $\\frac{2}{3}$", r"\frac{2}{3}", "answer phrase"),
    ("Final Answer: The final answer is $17$. I hope it is correct.", "17", "answer phrase"),
    ("The correct option is (C).", "(C)", "answer phrase"),
    ("The answer is not 4, the answer is 5.", "5", "answer phrase"),
    ("答案是 12。", "12", "answer phrase"),
    ("最终答案：$\\frac12$", r"\frac12", "answer phrase"),
    ("故选 B。", "B", "answer phrase"),
    ("Adding up, the total is 72 clips.", "72 clips", "last line"),
    ("5 + 6 = 11\n\nSo he has **11** apples.", "11", "last line"),
    ("Hence $x = 3$.", "x = 3", "last line"),
    ("42", "42", "last line"),
    (r"\frac{3}{4}", r"\frac{3}{4}", "last line"),
    ("She walked for 3 hours that day.", "3", "guessed"),
    ("So he has 12 apples left.", "12", "last line"),
    ("Therefore it is not equal to 5.", "5", "guessed"),
    ("Hence the area is not **5**.", "5", "guessed"),
    ("So he doesn't have 5 apples.", "5", "guessed"),
    ("Thus it takes at least $5$.", "5", "guessed"),
    ("So the area is less than 5.", "5", "guessed"),
    ("Thus the least number that is not a divisor of 12 is 5.", "5", "last line"),
    ("The roots are x = 2 and x = 3.", "x = 2 and x = 3", "last line"),
    ("### Final Answer\n42", "42", "answer phrase"),
    ("**Final Answer:**\n\n42", "42", "answer phrase"),
    ("The answer is therefore 42.", "42", "answer phrase"),
    ("答：他有5个苹果。", "5", "answer phrase"),
    (r"\boxed{\text{formula}} is nice." + "\n**Answer: D**", "D", "answer phrase"),
    ("Final Answer: **2**/3", "**2**/3", "answer phrase"),
    ("Final Answer: **2** and **3**.", "**2** and **3**", "answer phrase"),
    ("Final Answer: **5** (five)", "5", "answer phrase"),
    ("The answer is **B** - 12.", "B", "answer phrase"),
    ("The answer is **5** - because 2+3=5.", "5", "answer phrase"),
    ("Final Answer: $2$ + $3i$", "$2$ + $3i$", "answer phrase"),
    ("The answer is **2**<sup>3</sup>", "**2**<sup>3</sup>", "answer phrase"),
    ("The answer is _**5**_", "5", "answer phrase"),
    ("The answer is **5**!", "5", "answer phrase"),
    ("Final answer: 1&frac12;", "1&frac12;", "answer phrase"),
    ("Final answer: ```5```", "5", "answer phrase"),
    ("So the total is 10 - **6**.", "10 - **6**", "last line"),
    ("So the total is -$6$.", "-$6$", "last line"),
    ("So it is 10^**6**.", "10^**6**", "last line"),
    ("Final Answer: $x$ = $2$", "$x$ = $2$", "answer phrase"),
    ("Final Answer: $2 \\times 10$^3", "$2 \\times 10$^3", "answer phrase"),
    ("Answer: **x**2 + 1**", "**x**2 + 1**", "answer phrase"),
    ("The answer is **2**3**", "**2**3**", "answer phrase"),
    ("Final Answer:\n- 5", "5", "answer phrase"),
    ("Final Answer:\n* 2\n* 3", "2, 3", "answer phrase"),
    ("Final Answer:\n1. 5", "5", "answer phrase"),
    ("Final Answer:\n-5", "-5", "answer phrase"),
    ("The final answer is:\n```\nx**2\n```", "x**2", "answer phrase"),
    ("The answer is ~~4~~ 5", "5", "answer phrase"),
    (r"\boxed{5} ~~\boxed{4}~~", "5", "boxed"),
    (r"<del>\boxed{4}</del> \boxed{5}", "5", "boxed"),
    (r"Answer: $x=1 ~~\text{or}~~ x=2$", r"x=1 ~~\text{or}~~ x=2", "answer phrase"),
    ("答案：5万元", "5万", "answer phrase"),
    ("一共有5千人", "5千", "last line"),
    ("Hence in total 10⁶ ways", "10⁶", "last line"),
    ("Hence in total 5! ways", "5!", "last line"),
    ("Hence in total 5 million ways", "5 million", "last line"),
    ("Thus the total is ½.", "½", "last line"),
    ("So the roots are $2$ and $3$.", "2, 3", "last line"),
    (r"\boxed{8}<|im_end|><|im_start|>user the answer is 9", "8", "boxed"),
]


@pytest.mark.parametrize(("response", "answer", "how"), CASES)
def test_the_answer_and_how_it_was_found(response, answer, how):
    found = extract(response)
    assert found is not None
    assert (found.answer, found.how) == (answer, how)


@pytest.mark.parametrize(
    "response",
    [
        "",
        "   ",
        r"\boxed{}",
        r"\boxed{?}",
        r"\boxed{\text{your answer}}",
        r"\boxed{...}",
        r"\boxed{never closed",
        r"\boxed",
        "The answer is",
        "Answer:",
        "I need the figure to solve this.",
        "<think>the answer is 5",
        "<think>5</think>",
        "```python\nprint(5)\n```",
        "Question 8 asks for the area. To solve question 8 we",
        r"so $\frac{1}{2} \cdot",
        "The answer is unknown.",
    ],
)
def test_no_answer(response):
    assert extract(response) is None


@pytest.mark.parametrize(
    "response",
    [
        r"\boxed{" * 50_000,
        "$" * 100_001,
        r"\(" * 100_000,
        "the answer is " * 20_000,
        "<answer>" * 30_000,
        "** " * 100_000,
        " " * 500_000 + "x",
        "\n" * 300_000,
        "#### " + " " * 200_000 + "5",
        "<think>" * 50_000,
        "```" * 60_000,
        "=" * 200_000,
        "a, " * 80_000,
        "1,1" * 60_000,
        "{" * 200_000,
        r"\boxed{x} and " * 20_000,
        "answer" * 40_000,
        "是" * 200_000,
        "is " * 60_000 + "5.",
        "(" * 100_000 + "5",
        "\\" * 200_000,
        r"\text{" * 40_000,
    ],
    ids=range(22),
)
def test_extraction_is_fast_on_hostile_text(response):
    start = time.thread_time()
    extract(response)
    assert time.thread_time() - start < 2
