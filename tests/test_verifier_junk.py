import json
from pathlib import Path

import pytest

from mathsynth.verifier.junk import RULES, junk

ROOT = Path(__file__).parents[1]

THOUGHTS = """<think>
Okay, let me think about this problem. The train leaves at 9 and travels at 60 km/h. So after 2 hours it has gone
2 * 60 = 120 km. The second train starts at 11 and goes 90 km/h. The gap is 120 km and it closes at 90 - 60 = 30 km/h.
So it needs 120 / 30 = 4 hours. Wait, let me double-check that. After 4 hours the second train has gone 4 * 90 = 360 km.
The first has gone 6 * 60 = 360 km. Yes, they agree.

Let me also consider whether the question asks for the time of day. It says "at what time", so 11 + 4 = 15, i.e. 3 p.m.
Hmm, but I should put the final answer as a time. The answer should be 3 p.m.
</think>

**Step 1:** After 2 hours the first train is $2 \\times 60 = 120$ km ahead.

**Step 2:** The gap closes at $90 - 60 = 30$ km/h, so it takes $120 / 30 = 4$ hours.

**Answer:** The second train catches up at $11 + 4 = 15$ o'clock.

\\boxed{15:00}"""

NATURAL = [
    THOUGHTS,
    "We have 3 + 4 = 7.\n\\boxed{7}",
    "Subtracting 38 from 95 gives 57. The answer is 57.",
    "Every prime above 2 is odd, and the sum of two odd numbers is even, so one of them must be 2. \\boxed{2}",
    "**Problem:** find the area.\n\n**Solution:** The area is $5 \\cdot 4 = 20$.\n\n\\boxed{20}",
    "Then $x = \\boxed{2}$ or $x = \\boxed{3}$, since $(x-2)(x-3) = 0$.",
    "The parts give (a) $2 + 3 = \\boxed{5}$ and (b) $2 \\cdot 3 = \\boxed{6}$. Check: 5 + 6 = 11.",
    "No: 2 does not satisfy the condition.\n" * 4 + "But $7 - 3 = 4$ does. \\boxed{4}",
    "2 \\cdot 2 \\cdot 2 \\cdot 2 \\cdot 2 \\cdot 2 \\cdot 2 \\cdot 2 \\cdot 2 \\cdot 2 = 1024, so \\boxed{1024}",
    "\\begin{pmatrix} 0 & 0 & 0 & 0 & 0 & 0 \\\\ 0 & 0 & 0 & 0 & 0 & 0 \\end{pmatrix} has rank 0 = 4 - 4",
    "Let α and β be the roots. Then α + β = 5 and αβ = 6, so α² + β² = 25 - 12 = 13.",
    "The expected value is 3 · 1/2 + 5 · 1/2 = 4. The given answer choices contain 4, so the answer is \\boxed{B}.",
    "First I get 5, but wait, I forgot the 2: 5 + 2 = 7, so the answer is \\boxed{7}. Indeed 7 - 2 = 5.",
    "The answer is \\boxed{\\frac{1}{2}}, that is, the answer is 0.5 because 1 - 0.5 = 0.5.",
]

NATURAL += [
    "(1) 3x + 2y = 16\n(2) 5x - 2y = 0\nAdding: 8x = 16, x = 2. Then 3(2) + 2y = 16, 2y = 10, y = 5.",
    "First, $x = \\boxed{2}$. Let me check the second equation: $y = 5 - 2 = \\boxed{3}$.",
    "The expected answer format is a fraction: 3/4. The known solution of 2x = 8 is x = 4. \\boxed{\\frac{3}{4}}",
    "### Problem Analysis\nWe have 3 + 4.\n### Solution\n3 + 4 = 7\n### Final Answer\n\\boxed{7}",
    "# Solution\nQuestion: what is 3 + 4?\nAnswer: 3 + 4 = 7.\nSo the final answer is \\boxed{7}.",
    "The problem says that the answer should be an integer. 3 + 4 = 7. The user asks for the sum. \\boxed{7}",
    "We check each option. (A) 2 + 3 = 5. (B) 2 * 3 = 6. The correct answer is (B). \\boxed{B}",
    "The answer is $\\boxed{\\frac{3}{4}}$, so m + n = 3 + 4 = \\boxed{7}.",
]

JUNK = [
    ("no_reasoning", "The answer is \\boxed{5}."),
    ("no_reasoning", "5"),
    ("no_reasoning", "<think>\n\n</think>\n#### 5"),
    ("no_reasoning", "So the final answer is $\\boxed{5}$ apples in total."),
    ("no_reasoning", "答案是5"),
    ("other_language", "一共有3+2=5个苹果，所以答案是5。\\boxed{5}"),
    (
        "other_language",
        "Nous avons 3 + 2 = 5 pommes, donc la réponse est 5 et c'est le nombre de pommes. \\boxed{5}",
    ),
    (
        "other_language",
        "Zuerst addieren wir die Zahlen und dann teilen wir das Ergebnis durch zwei, also ist die Antwort 5.",
    ),
    ("other_language", "We add the two numbers, 因此结果 is 3 + 2 = 5."),
    ("other_language", "Сначала сложим числа: 3 + 2 = 5."),
    ("repetition", "We get 3 + 2 = 5. " + "So the answer is 5. " * 9),
    (
        "repetition",
        "3 + 2 = 5\n" + "Let me check the sum once more to be completely sure about it.\n3 + 2 = 5, as before\n" * 6,
    ),
    ("repetition", "So 3 + 2 = 5" + "!" * 60),
    ("repetition", "因为三加二等于五，所以" * 8 + "3+2=5"),
    ("repetition", "3 + 2 = 5\n" + "".join(f"Round {n}.\n\\boxed{{5}}\n" for n in range(12))),
    ("prompt_leak", "3 + 2 = 5<|im_start|>user\nNext"),
    ("prompt_leak", "The reference answer is 5, so we need 3 + 2 = 5."),
    ("prompt_leak", "We are told the expected answer is 5. 3 + 2 = 5."),
    ("prompt_leak", "3 + 2 = 5, which matches the given answer. \\boxed{5}"),
    ("prompt_leak", "Please reason step by step, and put your final answer within \\boxed{}. 3 + 2 = 5."),
    ("prompt_leak", "You are a helpful math assistant. 3 + 2 = 5."),
    ("prompt_leak", "3 + 2 = 5\nHuman: now another one"),
    ("several_problems", "3 + 2 = 5. The answer is \\boxed{5}.\n\nProblem 2: A boy has 4 apples."),
    ("several_problems", "3 + 2 = 5\n#### 5\n\nQuestion: Tom has 7 hats.\n7 - 2 = 5\n#### 5"),
    ("several_problems", "Problem 1: 3 + 2 = 5.\nProblem 2: 7 - 2 = 5.\nThe answer is 5."),
    ("several_problems", "3 + 2 = 5\n#### 5\nand then 5 - 1 = 4\n#### 4"),
    ("answer_changed_after_box", "3 + 2 = 6, so \\boxed{6}. Wait, that is wrong: 3 + 2 = 5, so \\boxed{5}."),
    ("answer_changed_after_box", "3 + 2 = 5, so \\boxed{5}. Therefore the answer is 7."),
]

ASK = {
    "question": "Tom has 3 apples and buys 2 more. How many apples does he have?",
    "reference": "5",
    "language": "en",
}


@pytest.mark.parametrize("text", NATURAL)
def test_natural_solutions_pass(text):
    assert junk(text, RULES, question="A question.", reference=None, language="en") == ()


@pytest.mark.parametrize(("rule", "text"), JUNK)
def test_junk_is_named(rule, text):
    found = dict(junk(text, RULES, **ASK))
    assert rule in found
    assert found[rule]
    assert junk(text, [name for name in RULES if name != rule and name not in found], **ASK) == ()


def test_rules_are_the_functions_of_the_module():
    assert sorted(RULES) == [
        "answer_changed_after_box",
        "no_reasoning",
        "other_language",
        "prompt_leak",
        "repetition",
        "several_problems",
    ]
    with pytest.raises(KeyError):
        junk("text", ["no_such_rule"], **ASK)


def test_what_the_question_says_is_no_leak():
    text = "The answer key has 20 answers and Ann got 3 wrong, so 20 - 3 = 17 are right."
    question = "An answer key lists 20 answers. Ann got 3 wrong. How many did she get right?"
    assert junk(text, ["prompt_leak"], question=question, reference="17", language="en") == ()
    assert junk(text, ["prompt_leak"], question="How many?", reference="17", language="en")


def test_other_languages_may_be_asked_for():
    text = "一共有3+2=5个苹果，所以答案是5。\\boxed{5}"
    assert junk(text, RULES, question="小明有几个苹果？", reference="5", language="zh") == ()
    french = "Nous avons 3 + 2 = 5 pommes, donc la réponse est 5 et c'est le nombre de pommes dans le panier."
    assert junk(french, RULES, question="Combien ?", reference="5", language="fr") == ()
    assert junk(
        "First we add the numbers: 3 + 2 = 5. " * 3, ["other_language"], question="几个？", reference="5", language="zh"
    )


def test_the_seeds_pass():
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "data" / "seeds").glob("*.jsonl")]
    for line in "".join(texts).splitlines():
        row = json.loads(line)
        if row.get("solution"):
            assert not junk(row["solution"], RULES, question=row["question"], reference=row["answer"], language="en"), (
                row
            )


@pytest.mark.parametrize(
    "text", ["a " * 50_000, "word " * 20_000, "\\boxed{" * 9_000, "wait " * 9_000, "((((" * 9_000, "é" * 90_000]
)
def test_hostile_texts_are_judged_in_time(text):
    junk(text, RULES, **ASK)
