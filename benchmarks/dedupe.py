"""Precision, recall and rows per CPU-second of the stage `dedupe` on synthetic problems whose truth is known.

    python benchmarks/dedupe.py [ROWS] [SEED]

Duplicates by construction: exact copies, respelling (case, spaces, punctuation), number words, one or two synonyms,
other people, one sentence retold, all retold. Not duplicates: one number changed, two numbers swapped, another question
on the same story, a sign or a telling word changed. Template-heavy on purpose: that is the hard case. Precision is
1 - distinct problems lost / rows removed, recall 1 - duplicates left / true duplicates. One process; real data differ.
"""

from __future__ import annotations

import random
import resource
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from mathsynth.context import Context
from mathsynth.records import Dropped, Problem, Solution, Verdict
from mathsynth.stages import dedupe


class Story(NamedTuple):
    """A template: three sentences, the first two with a retold form, two questions on it, and their answers."""

    facts: tuple[str, str]
    retold: tuple[str, str]
    asked: tuple[str, str]
    asked_again: tuple[str, str]
    answers: tuple[Callable[[int, int, int], int], Callable[[int, int, int], int]]


STORIES = [
    Story(
        ("{n} picks {a} {i} in the {p} on Monday and {b} {i} on Tuesday.", "Then {n} gives {c} of them to a friend."),
        (
            "On Monday {n} collects {a} {i} in the {p}, and {b} more the day after.",
            "A friend gets {c} of these from {n}.",
        ),
        ("How many {i} does {n} have left?", "How many {i} did {n} pick in both days before giving any away?"),
        ("How many of the {i} remain with {n}?", "What number of {i} had {n} before the gift?"),
        (lambda a, b, c: a + b - c, lambda a, b, c: a + b),
    ),
    Story(
        ("A shop in the {p} sells {i} in boxes of {a}, and {n} buys {b} boxes.", "Another {c} {i} are added for free."),
        (
            "{n} purchases {b} boxes at a shop in the {p}, each with {a} {i}.",
            "The seller puts {c} {i} on top without charge.",
        ),
        ("How many {i} does {n} carry home?", "How many {i} did {n} pay for?"),
        ("What is the total number of {i} that {n} takes home?", "For how many of the {i} was there a price?"),
        (lambda a, b, c: a * b + c, lambda a, b, c: a * b),
    ),
    Story(
        (
            "{n} saves {a} dollars every week for {b} weeks to buy {i}.",
            "The {i} in the {p} cost {c} dollars less than that.",
        ),
        (
            "To afford {i}, {n} puts aside {a} dollars a week during {b} weeks.",
            "In the {p} they are {c} dollars cheaper.",
        ),
        ("What do the {i} cost in dollars?", "How many dollars did {n} save altogether?"),
        ("What is the price of the {i} in dollars?", "What sum in dollars has {n} put aside?"),
        (lambda a, b, c: a * b - c, lambda a, b, c: a * b),
    ),
    Story(
        ("In the {p} there are {a} rows with {b} {i} each.", "Because of the rain {n} takes {c} {i} away."),
        ("{n} has put {i} into {a} rows of {b} in the {p}.", "When it rains, {c} of the {i} are removed."),
        ("How many {i} are still in the rows?", "How many {i} were in the rows before the rain?"),
        ("What number of {i} stay where they were?", "How many {i} had been put there at first?"),
        (lambda a, b, c: a * b - c, lambda a, b, c: a * b),
    ),
    Story(
        ("Let $f(x) = {a}x^2 + {b}x - {c}$ for every real number $x$.", "A student named {n} works on it in the {p}."),
        ("A function $f$ satisfies $f(x) = {a}x^2 + {b}x - {c}$ for all real $x$.", "In the {p}, {n} looks at it."),
        ("What is the value of $f(2)$ that {n} finds?", "What is the value of $f(3)$ that {n} finds?"),
        ("Which number should {n} get for $f(2)$?", "Which number should {n} get for $f(3)$?"),
        (lambda a, b, c: 4 * a + 2 * b - c, lambda a, b, c: 9 * a + 3 * b - c),
    ),
    Story(
        (
            r"An arithmetic sequence on the wall of the {p} has $a_1 = {a}$ and $d = {b}$.",
            "{n} reads its first {c} terms.",
        ),
        (
            r"{n} sees in the {p} the terms of a sequence with $d = {b}$ and $a_1 = {a}$.",
            "There are {c} terms to be read.",
        ),
        ("What is the last term that {n} reads?", "What is the sum of the terms that {n} reads?"),
        ("Which term comes at the end?", "What do they add up to?"),
        (lambda a, b, c: a + b * (c - 1), lambda a, b, c: c * a + b * c * (c - 1) // 2),
    ),
]
NAMES = "Tom Sara Ali Mei Olga Juan Priya Lars Amara Noor Kofi Elena".split()  # noqa: SIM905
ITEMS = "apples,marbles,stamps,red pencils,sea shells,paper cranes,tulips,buttons,toy cars,postcards".split(",")  # noqa: SIM905
PLACES = "garden,old market,school yard,library,harbour,village hall,park,station".split(",")  # noqa: SIM905
SYNONYMS = {
    "picks": "gathers", "gives": "hands", "buys": "gets", "added": "thrown in", "saves": "keeps", "takes": "carries",
    "friend": "neighbour", "every": "each", "Another": "A further", "works": "is busy", "reads": "looks at",
    "shop": "store", "Because of": "Due to", "Let": "Consider", "wall": "board", "still": "yet", "named": "called",
}  # fmt: skip
DIGITS = "zero one two three four five six seven eight nine ten eleven twelve".split()  # noqa: SIM905

KINDS = {"copy": 5, "respelled": 4, "in words": 2, "synonyms": 4, "renamed": 3, "part retold": 3, "all retold": 2}
OTHERS = {"number changed": 10, "numbers swapped": 2, "other question": 3, "sign or word changed": 2}
BASE = 60


class Drawn(NamedTuple):
    """One problem: the story, which question of it, its numbers, and the words that don't matter."""

    story: int
    asked: int
    numbers: tuple[int, int, int]
    words: tuple[str, str, str]


class Row(NamedTuple):
    """A text with its truth: equal `truth`, equal problem."""

    text: str
    answer: int
    truth: tuple[object, ...]
    kind: str


def draw(rng: random.Random) -> Drawn:
    """A new problem."""
    numbers = (rng.randint(2, 90), rng.randint(2, 60), rng.randint(3, 40))
    return Drawn(rng.randrange(len(STORIES)), rng.randrange(2), numbers, rename(rng))


def rename(rng: random.Random) -> tuple[str, str, str]:
    """Other people, things and places."""
    return rng.choice(NAMES), rng.choice(ITEMS), rng.choice(PLACES)


def tell(drawn: Drawn, kind: str, retold: int = 0) -> Row:
    """The text of a problem; `retold`: 0 as it is, 1 in its first sentence, 2 in all."""
    story, (a, b, c), (n, i, p) = STORIES[drawn.story], drawn.numbers, drawn.words
    first, second = (story.retold[0] if retold else story.facts[0]), (story.retold if retold > 1 else story.facts)[1]
    last = (story.asked_again if retold > 1 else story.asked)[drawn.asked]
    text = f"{first} {second} {last}"
    for name, value in {"{a}": a, "{b}": b, "{c}": c, "{n}": n, "{i}": i, "{p}": p}.items():
        text = text.replace(name, str(value))
    return Row(text, story.answers[drawn.asked](a, b, c), (drawn.story, drawn.asked, drawn.numbers), kind)


def vary(drawn: Drawn, kind: str, rng: random.Random) -> Row:
    """A duplicate or a near miss of a problem."""
    row, (a, b, c) = tell(drawn, kind), drawn.numbers
    if kind == "respelled":
        text = row.text.replace("$", "") if rng.random() < 0.5 else row.text.replace(". ", " .  ").replace(",", "")
        return row._replace(text=text.replace("How many", "how many"))
    if kind == "in words":
        small = [n for n in drawn.numbers if n < len(DIGITS)] if "$" not in row.text else []
        return row._replace(
            text=" ".join(DIGITS[int(w)] if w.isdigit() and int(w) in small else w for w in row.text.split())
        )
    if kind == "synonyms":
        found = [word for word in SYNONYMS if word in row.text]
        for word in rng.sample(found, min(len(found), rng.randint(1, 2))):
            row = row._replace(text=row.text.replace(word, SYNONYMS[word], 1))
        return row
    if kind == "renamed":
        return tell(drawn._replace(words=rename(rng)), kind)
    if kind in ("part retold", "all retold"):
        return tell(drawn, kind, retold=1 + (kind == "all retold"))
    if kind == "number changed":
        change = rng.choice([-1, 1, 7])
        changed = rng.choice([(a + change, b, c), (a, b + change, c), (a, b, c + change)])
        return tell(drawn._replace(numbers=changed), kind)
    if kind == "numbers swapped":
        return tell(drawn._replace(numbers=(c, b, a)), kind)
    if kind == "other question":
        return tell(drawn._replace(asked=1 - drawn.asked), kind)
    if kind == "sign or word changed":
        text = row.text.replace("x - ", "x + ").replace(" less", " more").replace(" left", " right")
        if text != row.text:
            return row._replace(text=text, truth=(*row.truth, text), answer=row.answer + 2 * c)
    return row


def corpus(rows: int, seed: int) -> list[Row]:
    """Shuffled rows: new problems, duplicates of them, near misses of them."""
    rng = random.Random(seed)
    kinds = {"base": BASE} | KINDS | OTHERS
    bases: list[Drawn] = [draw(rng)]
    made: list[Row] = [tell(bases[0], "base")]
    for kind in rng.choices(list(kinds), list(kinds.values()), k=rows - 1):
        if kind == "base":
            bases.append(draw(rng))
            made.append(tell(bases[-1], kind))
        else:
            made.append(vary(rng.choice(bases), kind, rng))
    rng.shuffle(made)
    return made


def problems(made: list[Row], answers: bool) -> Iterator[Problem]:
    """The rows as problems; without answers as before sampling."""
    for number, row in enumerate(made):
        yield Problem(id=f"{number:08d}", question=row.text, answer=str(row.answer) if answers else None)


def solutions(made: list[Row], seed: int) -> Iterator[Solution]:
    """Eight solutions for each of these problems: three lists of equations, four wordings."""
    rng, right = random.Random(seed), Verdict(outcome="correct", reason="equal", rule="exact")
    for number, row in enumerate(made):
        for sample in range(8):
            part, wording = rng.randint(1, 3), rng.choice(["We get", "So the result is", "Adding both gives", "First,"])
            text = (
                f"{row.text} {wording} {part} + {row.answer - part} = {row.answer}. "
                + "This was asked. " * rng.randint(0, 3)
            )
            yield Solution(
                problem_id=f"p{number}", question=row.text, answer=str(row.answer), response=text, verdict=right,
                model="m", seed=sample, finish_reason="stop",
            )  # fmt: skip


def measure(name: str, records: Iterator[Problem | Solution], made: list[Row], config: dedupe.Config) -> None:
    """Print one line, and for near duplicates which kinds were merged."""
    held = list(records)
    with tempfile.TemporaryDirectory() as place:
        ctx = Context(stage="dedupe", directory=Path(place) / "stage", replies=Path(place) / "replies")
        started = time.process_time()
        out = list(dedupe.run(iter(held), config, ctx))
        seconds = time.process_time() - started
        ctx.close()
    speed = f"{len(out) / seconds:8,.0f} rows/CPU-s"
    dropped = [row for row in out if isinstance(row, Dropped)]
    if isinstance(held[0], Solution):
        reasons = dict(Counter(row.reason for row in dropped))
        print(f"{name:34} removed {len(dropped):6,} of {len(out):,}: {reasons}  {speed}")
        return
    gone = {int(row.row["id"]): int(row.row["meta"]["dup_of"]) for row in dropped}
    kept = Counter(row.truth for number, row in enumerate(made) if number not in gone)
    truths = {row.truth for row in made}
    lost, left, duplicates = len(truths - set(kept)), sum(kept.values()) - len(kept), len(made) - len(truths)
    print(
        f"{name:34} removed {len(gone):6,}  distinct lost {lost:4}  precision {1 - lost / max(len(gone), 1):.4f}  "
        f"recall {1 - left / duplicates:.3f}  {speed}"
    )
    wrong: dict[str, int] = defaultdict(int)
    for number, other in gone.items():
        wrong[made[number].kind] += made[number].truth != made[other].truth
    bases = {row.truth: gone.get(number, number) for number, row in enumerate(made) if row.kind == "base"}
    found = Counter(row.kind for number, row in enumerate(made) if gone.get(number, number) == bases.get(row.truth))
    total = Counter(row.kind for row in made)
    print("    found by kind: " + ", ".join(f"{kind} {found[kind] / total[kind]:.0%}" for kind in KINDS))
    print(
        "    merged with another problem: " + ", ".join(f"{kind} {wrong[kind]}" for kind in ["base", *KINDS, *OTHERS])
    )


def main() -> None:
    """Run all modes."""
    rows, seed = (int(value) for value in (sys.argv[1:] + ["20000", "1"][len(sys.argv) - 1 :])[:2])
    made = corpus(rows, seed)
    print(f"{rows:,} problems, {len({row.truth for row in made}):,} distinct, seed {seed}")
    measure("exact", problems(made, True), made, dedupe.Config(problems="exact"))
    measure("near, answers unknown (pre-gen)", problems(made, False), made, dedupe.Config())
    measure("near, answers known (post-gen)", problems(made, True), made, dedupe.Config())
    measure("solutions, 8 a problem", solutions(made[: rows // 8], seed), made, dedupe.Config(problems="off"))
    print(
        f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB, the corpus itself included"
    )


if __name__ == "__main__":
    main()
