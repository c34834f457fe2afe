"""The normaliser changes notation and never a value; blocks are equal only where the numbers are."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mathsynth.similarity import Block, answer_key, is_open, jaccard, shingles, sketch, text_key, tokens, words

SAME = [
    ("Tom has 12 apples.", "tom  has 12 apples"),
    ("It costs $1,000, or 2,500,000 at most", "it costs 1000 or 2500000 at most"),
    ("Two hundred and fifty-one apples", "251 apples"),
    ("five million, 5 thousand and twelve", "5,000,000, 5012"),
    ("seven hundred eighty nine thousand and twelve", "789012"),
    (r"$\dfrac12\left(x\right)\,$", r"\frac{1}{2} (x)"),
    (r"$x^{2} \leq 5 \; y$", r"$x^2 \le 5y$"),
    (r"1{,}234 \text{ cm}", "1234 cm"),
    ("10² + x₁ ≤ π", r"10^2 + x_1 \le \pi"),
    ("２½ cups", "2 1/2 cups"),
    ("Tom’s “pie” − 3", 'Tom\'s "pie" - 3'),
    (r"an angle of $30^{\circ}$", "an angle of 30°"),
    (r"20\% of it", "20 percent of it"),
    ("A train left", "a train left"),
    ("twice as many", "double as many"),
]

DIFFERENT = [
    ("Tom has 12 apples", "Tom has 13 apples"),
    ("10² + 3", "102 + 3"),
    ("2½ cups", "21/2 cups"),
    ("x₁ + 1", "x1 + 1"),
    ("the value of 5!", "the value of 5"),
    ("the value of n!", "the value of n"),
    ("f'(2)", "f(2)"),
    ("solve X = 2", "solve x = 2"),
    (r"x^{\sin(x)}", r"x^{\sin}(x)"),
    ("the number 0110", "the number 110"),
    ("the digits of 3.50", "the digits of 3.5"),
    ("f(1,200)", "f(1200)"),
    ("1, 2, ..., 9", "1, 2, 9"),
    ("boxes of twenty, five of them", "boxes of twenty five of them"),
    ("f(-5)", "f(5)"),
    ("a third of it", "a quarter of it"),
    (r"\{1, 2\}", "{1, 2}"),
    ("a scale of 1:50", "a scale of 1 50"),
    ("sin 3x", "cos 3x"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_notation_is_folded(one: str, other: str) -> None:
    assert tokens(one) == tokens(other)
    assert text_key(one) == text_key(other)


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_values_and_signs_stay(one: str, other: str) -> None:
    assert tokens(one) != tokens(other)


@pytest.mark.parametrize(
    ("spoken", "value"),
    [("zero", 0), ("twenty", 20), ("ninety-nine", 99), ("one hundred", 100), ("three hundred and four", 304),
     ("two thousand and one hundred", 2100), ("one hundred thousand two hundred", 100200),
     ("twelve million", 12 * 10**6)],
)  # fmt: skip
def test_number_words_become_digits(spoken: str, value: int) -> None:
    assert tokens(f"there are {spoken} of them") == ["there", "are", str(value), "of", "them"]


def test_number_words_that_stand_side_by_side_stay_apart() -> None:
    assert tokens("two three") == ["2", "3"]
    assert tokens("ten ten, twenty twelve") == ["10", "10", "20", "12"]
    assert tokens("zero one") == ["0", "1"]


@given(st.text())
def test_any_text_has_tokens_and_a_sketch(text: str) -> None:
    drawn = sketch(text)
    assert len(drawn.words) == 4 * len(tokens(text))
    assert drawn == sketch(text)
    assert jaccard(shingles(drawn.words), shingles(drawn.words)) == 1
    answer_key(text)


@given(st.text(alphabet="abc xyz1230.,-\\{}()$^ "))
def test_normalised_text_is_a_fixed_point_for_its_numbers(text: str) -> None:
    once = tokens(text)
    assert [t for t in once if t[-1].isdigit()] == [t for t in tokens(" ".join(once)) if t[-1].isdigit()]


QUESTION = "Find the sum of the roots of x^2 - 5x + 6 = 0 if {} children share 12 apples, and the rest is even."


def test_strict_block_needs_equal_numbers_signs_order_and_telling_words() -> None:
    base = sketch(QUESTION.format(3)).strict
    assert base == sketch(QUESTION.format("three")).strict
    assert base == sketch(QUESTION.format(3).replace("share", "divide")).strict
    assert base != sketch(QUESTION.format(4)).strict
    assert base != sketch(QUESTION.format(3).replace("- 5x", "+ 5x")).strict
    assert base != sketch(QUESTION.format(12).replace("12 apples", "3 apples")).strict
    assert base != sketch(QUESTION.format(3).replace("even", "odd")).strict
    assert base != sketch(QUESTION.format(3).replace("sum", "product")).strict
    assert base != sketch(QUESTION.format(3).replace("x^2 - 5x", "y^2 - 5y")).strict


def test_loose_block_needs_equal_numbers_and_signs_in_any_order() -> None:
    base = sketch("Ann has 3 pens and 5 cups: 2 + 7").loose
    assert base == sketch("5 cups are in the 7 + 2 boxes that Bob fills with 3 pens").loose
    assert base != sketch("Ann has 3 pens and 5 cups: 2 - 7").loose
    assert base != sketch("Ann has 3 pens and 6 cups: 2 + 7").loose
    assert sketch("a 5-pound bag, 3 miles/hour").loose == sketch("3 miles for a bag of 5 pound").loose


def test_ignoring_numbers_blinds_the_strict_block_to_values_alone() -> None:
    one, other = (sketch(QUESTION.format(n), ignore_numbers=True) for n in (3, 40))
    assert one.strict == other.strict
    assert one.exact != other.exact
    assert shingles(one.words) != shingles(other.words)
    assert shingles(one.words, masked=True) == shingles(other.words, masked=True)


def test_jaccard_of_words_and_runs() -> None:
    one, other = (sketch(text).words for text in ("red cats eat fish", "red cats eat meat"))
    assert jaccard(words(one), words(other)) == 3 / 5
    assert jaccard(shingles(one), shingles(other)) == 1 / 3
    assert jaccard(frozenset[int](), frozenset()) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [("0.5", "1/2"), ("0.5", r"$\frac12$"), ("1,000", "1000.0"), (r"-\frac{1}{2}", "-1/2"), ("−3", "-3"), ("5.", "5"),
     (r"\$5", "5"), (r"\text{even}", "Even"), ("five", "5")],
)  # fmt: skip
def test_answers_in_one_notation(one: str, other: str) -> None:
    assert answer_key(one) == answer_key(other)


@pytest.mark.parametrize(
    ("one", "other"), [("5", "-5"), ("50%", "50"), ("1/2", "2"), ("(1,2)", "12"), ("x", "X"), ("1/0", "0")]
)
def test_answers_that_differ(one: str, other: str) -> None:
    assert answer_key(one) != answer_key(other)


def test_bare_labels_cannot_tell_problems_apart() -> None:
    assert not any(map(is_open, ["C", "(C)", "yes", "False", r"\text{even}", "converges", "x", ""]))
    assert all(map(is_open, ["5", "x+1", r"\pi", "12 cm", r"\frac{a}{b}", "three"]))


def test_large_block_proposes_all_that_reach_the_threshold() -> None:
    rng = random.Random(7)
    sets = [frozenset(rng.sample(range(40), rng.randint(5, 20))) for _ in range(300)]
    rarity = Counter(member for row in sets for member in row)
    block = Block[int](0.5, rarity)
    kept: list[int] = []
    proposed = 0
    for number, row in enumerate(sets):
        candidates = list(block.candidates(row))
        assert candidates == sorted(candidates)
        assert {n for n in kept if jaccard(sets[n], row) >= 0.5} <= set(candidates)
        proposed += len(candidates)
        block.keep(number, row)
        kept.append(number)
    assert proposed < 300 * 299 / 2
