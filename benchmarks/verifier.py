"""Comparisons a second on one core: the fast path, the worker and both, next to math-verify on the same inputs.

Natural inputs are made from the seeds in data/: each solution with several ways to end it, and with wrong answers of
the kinds that models give. Adversarial inputs are the cases of ../shared, if they are there. Every response is
extracted and compared, in this order of inputs, once, without a cache; math-verify runs as its README says, with its
own time limits. Run: python benchmarks/verifier.py [--adversarial N]
"""

import argparse
import json
import random
import re
import sys
import time
from pathlib import Path

from mathsynth.verifier import GRADING, Checker, Policy, check

ROOT = Path(__file__).resolve().parents[1]
CASES = ROOT.parent / "shared" / "cases" / "verify.jsonl"
ENDINGS = (
    "The answer is $\\boxed{%s}$.",
    "Therefore, the final answer is\n\n$$\\boxed{%s}$$\n",
    "So we get \\(\\boxed{%s}\\).",
    "**Final Answer**\n\n\\[\n\\boxed{%s}\n\\]",
    "The answer is $%s$.",
    "**Answer:** $%s$",
)


def rewritten(answer: str, rng: random.Random) -> str:
    """The same answer as a model might write it."""
    if re.fullmatch(r"-?\d{4,}", answer):
        return rng.choice([answer, f"{int(answer):,}", f"{int(answer):,}".replace(",", "{,}")])
    if match := re.fullmatch(r"(-?)(\d+)/(\d+)", answer):
        return rf"{match[1]}\frac{{{match[2]}}}{{{match[3]}}}"
    if re.fullmatch(r"-?\d+", answer):
        return rng.choice([answer, answer, rf"{answer}.0", rf"x = {answer}", rf"{answer}\text{{ units}}"])
    return rng.choice([answer, answer.replace(r"\frac", r"\dfrac"), answer.replace(",", ", ")])


def mistaken(answer: str, rng: random.Random) -> str | None:
    """A wrong answer near the right one: another digit, another sign; None where there is nothing to change."""
    spots = [m.start() for m in re.finditer(r"\d", answer)]
    if not spots:
        return None
    at = rng.choice(spots)
    digit = str((int(answer[at]) + rng.randint(1, 8)) % 10)
    return answer[:at] + digit + answer[at + 1 :]


def natural() -> list[tuple[str, str, bool]]:
    """(reference, response, whether it is right), two right and two wrong ones for every seed."""
    rng = random.Random(7)
    out = []
    for path in sorted((ROOT / "data" / "seeds").glob("*.jsonl")):
        for line in path.read_text().splitlines():
            row = json.loads(line)
            body = re.sub(r"[^.\n]*\\boxed.*", "", row["solution"], flags=re.S)
            for k in range(4):
                right = k % 2 == 0
                answer = rewritten(row["answer"], rng) if right else mistaken(row["answer"], rng)
                if answer is not None and (right or answer != row["answer"]):
                    ending = rng.choice(ENDINGS) % answer.replace("$", r"\$")
                    out.append((row["answer"], f"{body}\n{ending}", right))
    return out


def adversarial(limit: int) -> list[tuple[str, str, bool]]:
    """(reference, response or answer in a box, whether it is right) from the cases, hostile ones included."""
    if not CASES.exists():
        return []
    rows = [json.loads(line) for line in CASES.read_text().splitlines()]
    step = max(1, len(rows) // limit) if limit else 1
    return [
        (row["reference"], row.get("response") or rf"\boxed{{{row['answer']}}}", row["expected"] == "equal")
        for row in rows[::step]
    ]


def ours(inputs: list[tuple[str, str, bool]]) -> dict[str, float]:
    """Seconds of the fast path over all inputs, of the worker over what is left, and the counts."""
    policy = Policy(accept=GRADING)
    hard, undecided, mistakes, false_correct = [], 0, 0, 0
    before = "sympy" in sys.modules
    start = time.perf_counter()
    verdicts = [check(reference, response=response, policy=policy) for reference, response, _ in inputs]
    fast = time.perf_counter() - start
    loaded = "sympy" in sys.modules and not before
    with Checker(policy) as checker:
        checker.check_now(r"\sin 2x", answer=r"2\sin x\cos x")  # start the worker
        start = time.perf_counter()
        for i, verdict in enumerate(verdicts):
            if verdict.rule == "slow":
                verdicts[i] = checker.check_now(inputs[i][0], response=inputs[i][1])
                hard.append(i)
        slow = time.perf_counter() - start
    for verdict, (_, _, right) in zip(verdicts, inputs, strict=True):
        undecided += verdict.outcome == "undecided"
        mistakes += (verdict.outcome == "correct") != right
        false_correct += verdict.outcome == "correct" and not right
    return {
        "fast s": fast,
        "slow s": slow,
        "hard": len(hard),
        "mistakes": mistakes,
        "undecided": undecided,
        "false correct": false_correct,
        "sympy": loaded,
    }


def math_verify(inputs: list[tuple[str, str, bool]]) -> dict[str, float]:
    """Seconds of math-verify over the same inputs, boxed answers first as its README advises."""
    import logging

    from math_verify import ExprExtractionConfig, LatexExtractionConfig, parse, verify

    logging.disable(logging.CRITICAL)
    config = [LatexExtractionConfig(boxed_match_priority=0), ExprExtractionConfig()]
    parse(r"\boxed{1}", extraction_config=config)
    mistakes = false_correct = 0
    start = time.perf_counter()
    for reference, response, right in inputs:
        try:
            said = verify(
                parse(rf"\boxed{{{reference}}}", extraction_config=config), parse(response, extraction_config=config)
            )
        except Exception:  # noqa: BLE001 a crash of theirs counts as "not equal"
            said = False
        mistakes += said != right
        false_correct += said and not right
    return {"s": time.perf_counter() - start, "mistakes": mistakes, "false correct": false_correct}


def table(name: str, inputs: list[tuple[str, str, bool]], against: bool) -> None:
    """Print one block of results."""
    n = len(inputs)
    mine = ours(inputs)
    both = mine["fast s"] + mine["slow s"]
    settled = n - mine["hard"]
    print(
        f"\n{name}: {n} inputs, fast path settles {100 * settled / n:.1f} %"
        f"{', sympy loaded!' if mine['sympy'] else ', sympy not loaded'}"
    )
    print(f"  {'':14}{'seconds':>9}{'per second':>12}{'not right':>11}{'false correct':>15}")
    print(f"  {'fast path':14}{mine['fast s']:9.3f}{n / mine['fast s']:12.0f}")
    if mine["hard"]:
        print(f"  {'worker':14}{mine['slow s']:9.3f}{mine['hard'] / mine['slow s']:12.0f}")
    print(f"  {'both':14}{both:9.3f}{n / both:12.0f}{mine['mistakes']:11.0f}{mine['false correct']:15.0f}")
    if against:
        theirs = math_verify(inputs)
        row = f"{theirs['s']:9.3f}{n / theirs['s']:12.0f}{theirs['mistakes']:11.0f}{theirs['false correct']:15.0f}"
        print(f"  {'math-verify':14}{row}")
        print(f"  ratio of total time: {theirs['s'] / both:.1f}")


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--adversarial", type=int, default=0, metavar="N", help="only about N of the cases (0: all)")
    parser.add_argument("--alone", action="store_true", help="without math-verify")
    args = parser.parse_args()
    table("natural", natural(), not args.alone)
    if cases := adversarial(args.adversarial):
        table("adversarial", cases, not args.alone)


if __name__ == "__main__":
    main()
