"""Equal and unequal pairs by construction: a rewrite is never wrong, a changed value is never correct."""

import json
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mathsynth.verifier import GRADING, Checker, Policy, check

FAST = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)
SHAPES = [
    json.loads(line)["answer"] for line in (Path(__file__).parent / "verifier_cases.jsonl").read_text().splitlines()
]
small = st.integers(-30, 30)
natural = st.integers(1, 30)


@pytest.fixture(scope="module")
def checker():
    with Checker(Policy(accept=GRADING)) as ready:
        yield ready


def same(checker, *texts):
    """All texts are called equal to the first, both ways."""
    for text in texts[1:]:
        for a, b in ((texts[0], text), (text, texts[0])):
            verdict = checker.check_now(a, answer=b)
            assert verdict.outcome == "correct", (a, b, verdict)


def other(checker, a, b):
    """Never called equal, either way."""
    for x, y in ((a, b), (b, a)):
        verdict = checker.check_now(x, answer=y)
        assert verdict.outcome != "correct", (x, y, verdict)


def written(value: Fraction) -> list[str]:
    """A fraction in the ways that people write it."""
    a, b = value.numerator, value.denominator
    sign = "-" if a < 0 else ""
    forms = [
        rf"\frac{{{a}}}{{{b}}}",
        f"{a}/{b}",
        rf"\dfrac{{{3 * a}}}{{{3 * b}}}",
        rf"{sign}\frac{{{abs(a)}}}{{{b}}}",
        rf"x = \frac{{{a}}}{{{b}}}",
    ]
    if b == 1:
        forms += [f"{a}", f"{a}.0", f"{a:,}", f"{a:,}".replace(",", "{,}"), rf"{a}\text{{ units}}", f"${a}$"]
    elif abs(a) > b:
        forms += [rf"{sign}{abs(a) // b}\frac{{{abs(a) % b}}}{{{b}}}", f"{sign}{abs(a) // b} {abs(a) % b}/{b}"]
    if 10**6 % b == 0:
        forms += [f"{float(value):.6f}", rf"{float(value) * 1000:.6f}\times 10^{{-3}}"]
    return forms


@FAST
@given(st.fractions(-5000, 5000, max_denominator=64))
@example(Fraction(0))
@example(Fraction(-7, 2))
def test_one_number_in_all_its_forms(checker, value):
    same(checker, *written(value))


@FAST
@given(
    st.fractions(-5000, 5000, max_denominator=64),
    st.fractions(-3, 3, max_denominator=1000),
    st.integers(0, 9),
    st.integers(0, 9),
)
def test_another_number_is_never_correct(checker, value, change, i, j):
    if change:
        one, two = written(value), written(value + change)
        other(checker, one[i % len(one)], two[j % len(two)])


@FAST
@given(small, small, natural, st.sampled_from("xyzabt"))
def test_products_and_their_expansions(checker, p, q, k, x):
    factored = f"{k}({x}{-p:+d})({x}{-q:+d})"
    expanded = f"{k}{x}^2{-k * (p + q):+d}{x}{k * p * q:+d}"
    turned = f"{k * p * q}{-k * (p + q):+d}*{x}{k:+d}{x}^{{2}}"
    same(checker, factored, expanded, turned, rf"\frac{{{2 * k}({x}{-p:+d})({x}{-q:+d})}}{{2}}")
    other(checker, factored, f"{k}{x}^2{-k * (p + q) + 1:+d}{x}{k * p * q:+d}")
    other(checker, expanded, f"{k}{x}^2{-k * (p + q):+d}{x}{k * p * q - 1:+d}")
    other(checker, expanded, expanded.replace(x, "u"))


@FAST
@given(natural, natural, st.sampled_from([2, 3, 5, 6, 7, 10, 11, 13]))
def test_roots_and_their_rationalised_forms(checker, a, b, n):
    same(
        checker,
        rf"\frac{{{a}}}{{{b}\sqrt{{{n}}}}}",
        rf"\frac{{{a}\sqrt{{{n}}}}}{{{b * n}}}",
        rf"\sqrt{{\frac{{{a * a}}}{{{b * b * n}}}}}",
    )
    same(checker, rf"{a}\sqrt{{{n}}}", rf"\sqrt{{{a * a * n}}}", f"{a}*sqrt({n})", rf"{a}√{n}")
    if n < 12 or a > 1:
        same(
            checker, rf"\frac{{1}}{{\sqrt{{{n}}}+{a}}}", rf"\frac{{\sqrt{{{n}}}-{a}}}{{{n - a * a}}}"
        ) if n != a * a else None
    other(checker, rf"{a}\sqrt{{{n}}}", rf"\sqrt{{{a * n}}}" if a > 1 else rf"{a + 1}\sqrt{{{n}}}")
    other(checker, rf"{a}+\sqrt{{{n}}}", rf"{a}-\sqrt{{{n}}}")


@FAST
@given(
    st.lists(st.fractions(-50, 50, max_denominator=6), min_size=2, max_size=5, unique=True),
    st.randoms(use_true_random=False),
)
def test_lists_and_sets_in_any_order(checker, values, rng):
    texts = [str(v) for v in values]
    mixed = texts[:]
    rng.shuffle(mixed)
    same(checker, ", ".join(texts), ", ".join(mixed), r"\{" + ",".join(mixed) + r"\}", " and ".join(mixed))
    same(checker, r"\text{ or }".join(f"x={t}" for t in texts), ", ".join(mixed))
    other(checker, ", ".join(texts), ", ".join(mixed[1:]))
    other(checker, ", ".join(texts), ", ".join([*mixed[1:], str(max(values) + 1)]))
    same(checker, "(" + ", ".join(texts) + ")", r"\left(" + ",".join(texts) + r"\right)")
    if mixed != texts:
        other(checker, "(" + ", ".join(texts) + ")", "(" + ", ".join(mixed) + ")")


@FAST
@given(small, natural, st.sampled_from("[("), st.sampled_from("])"), st.sampled_from("xt"))
def test_intervals_and_inequalities(checker, low, length, left, right, x):
    high = low + length
    interval = f"{left}{low},{high}{right}"
    chain = f"{low}{'<=' if left == '[' else '<'}{x}{'<=' if right == ']' else '<'}{high}"
    same(checker, interval, chain, rf"{x}\in{interval}", rf"\{{{x} \mid {chain}\}}")
    other(checker, interval, f"{'(' if left == '[' else '['}{low},{high}{right}")
    other(checker, interval, f"{left}{low},{high + 1}{right}")
    ray = rf"(-\infty,{low}{right}"
    same(checker, ray, f"{x} {'<=' if right == ']' else '<'} {low}", f"{low} {'>=' if right == ']' else '>'} {x}")
    other(checker, ray, f"{x} {'<' if right == ']' else '<='} {low}")


@FAST
@given(small, natural, st.sampled_from([2, 3, 5, 7]))
def test_plus_minus(checker, a, b, n):
    same(
        checker, rf"{a}\pm {b}\sqrt{{{n}}}", rf"{a}+{b}\sqrt{{{n}}}, {a}-{b}\sqrt{{{n}}}", rf"x={a}\mp {b}\sqrt{{{n}}}"
    )
    other(checker, rf"{a}\pm {b}\sqrt{{{n}}}", rf"{a}+{b}\sqrt{{{n}}}")
    other(checker, rf"{a}\pm {b}\sqrt{{{n}}}", rf"{a}\pm {b + 1}\sqrt{{{n}}}")


@FAST
@given(small.filter(bool), small.filter(bool), small, small.filter(bool))
def test_equations_up_to_a_factor(checker, a, b, c, k):
    line = f"{a}x{b:+d}y{c:+d}=0"
    same(
        checker,
        line,
        f"{a * k}x{b * k:+d}y{c * k:+d}=0",
        f"{a}x={-b}y{-c:+d}",
        rf"y=\frac{{{-a}}}{{{b}}}x+\frac{{{-c}}}{{{b}}}",
    )
    other(checker, line, f"{a}x{b:+d}y{c + 1:+d}=0")
    other(checker, line, f"{a}x{-b:+d}y{c:+d}=0")


@settings(FAST, max_examples=15)
@given(st.integers(2, 9), st.integers(2, 9))
def test_identities_of_functions(checker, k, m):
    same(checker, rf"\sin {k}x\cos {m}y+\cos {k}x\sin {m}y", rf"\sin({k}x+{m}y)")
    same(checker, rf"\ln {k}+\ln {m}", rf"\ln {k * m}")
    same(checker, rf"e^{{{k}x}}e^{{{m}x}}", rf"e^{{{k + m}x}}", rf"(e^x)^{{{k + m}}}")
    same(checker, rf"\binom{{{k + m}}}{{{k}}}", rf"\binom{{{k + m}}}{{{m}}}", rf"\frac{{{k + m}!}}{{{k}!{m}!}}")
    same(checker, rf"\log_{{{k}}} {k**m}", f"{m}")
    other(checker, rf"\sin {k}x", rf"{k}\sin x")
    other(checker, rf"\ln({k}+x)", rf"\ln {k}+\ln x")
    other(checker, rf"|x-{k}|", rf"x-{k}")


@FAST
@given(
    st.sampled_from(SHAPES),
    st.sampled_from(
        ["The answer is $%s$.", "So $\\boxed{%s}$.", "**Final Answer**\n\\[\\boxed{%s}\\]", "Answer: $%s$"]
    ),
)
def test_an_answer_is_found_in_every_ending(checker, answer, ending):
    if "$" not in answer and "or" not in answer and "**" not in answer:
        verdict = checker.check_now(answer, response="We compute.\n\n" + ending % answer)
        assert verdict.outcome == "correct", (answer, verdict)


@settings(FAST, max_examples=150)
@given(st.sampled_from(SHAPES), st.sampled_from(SHAPES), st.integers(0, 40), st.integers(0, 40))
def test_cut_and_glued_texts_raise_nothing_and_equal_themselves(a, b, i, j):
    text = a[: i % (len(a) + 1)] + b[j % (len(b) + 1) :]
    if text.strip(" .,;$*"):
        assert check(text, answer=text).outcome == "correct", text
        one, two = check(a, answer=text), check(text, answer=a)
        assert "error" not in (one.rule, two.rule), (a, text, one)
        assert "wrong" not in (one.outcome, two.outcome) or "correct" not in (one.outcome, two.outcome), (a, text)


@settings(FAST, max_examples=150)
@given(st.text(alphabet=r"0123456789abcexyz+-*/^_{}()[]|\$%.,;:=<> !'√π°²", min_size=1, max_size=25))
def test_noise_raises_nothing(text):
    assert check("1", answer=text).rule != "error"
    assert check(text, answer="x").rule != "error"
    if text.strip(" .,;$*{}()"):
        assert check(text, answer=text).outcome != "wrong"


@settings(FAST, max_examples=100)
@given(st.text(max_size=80))
def test_any_response_can_be_read(text):
    check("1", response=text)
