"""The answer that most samples agree on: clustered by equivalence, never by spelling.

Equality comes in as a function (`True`, `False`, or `None` where it can't be decided), so nothing here parses or waits.
Samples without an answer are counted and never labelled; where no sample has one there is no winner.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

Same = Callable[[str, str], bool | None]


@dataclass(frozen=True, slots=True)
class Cluster:
    """Answers that are one: `answer` is the simplest of the `forms`, `votes` how many samples gave any of them."""

    answer: str
    votes: int
    forms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Vote:
    """The outcome of a vote. `answer`, `share` and `margin` are None when no sample has an answer.

    `share` is the winner's part of the samples that have an answer, `margin` how far it is ahead of the second by the
    same measure (0: a tie, decided by the simpler form), both in [0, 1]. `clusters` come largest first.
    """

    answer: str | None
    share: float | None
    margin: float | None
    voters: int
    no_answer: int
    clusters: tuple[Cluster, ...]


def vote(answers: Sequence[str | None], same: Same) -> Vote:
    """Count the answers by equivalence; the order of the samples does not matter.

    Spellings are taken by votes, then by simplicity. One joins the largest cluster in which some form equals it and
    none is known to differ (so `5`, equal to both `5 cm` and `5 m`, can't bind those two together).
    """
    counts = Counter(answer.strip() for answer in answers if answer and answer.strip())
    voters = sum(counts.values())
    clusters: list[list[str]] = []
    for form in sorted(counts, key=lambda text: (-counts[text], _simplicity(text))):
        fitting = [cluster for cluster in clusters if _joins(form, cluster, same)]
        if fitting:
            max(fitting, key=lambda cluster: sum(counts[member] for member in cluster)).append(form)
        else:
            clusters.append([form])
    done = [
        Cluster(min(forms, key=_simplicity), sum(counts[form] for form in forms), tuple(sorted(forms, key=_simplicity)))
        for forms in clusters
    ]
    done.sort(key=lambda cluster: (-cluster.votes, _simplicity(cluster.answer)))
    missing = len(answers) - voters
    if not done:
        return Vote(None, None, None, 0, missing, ())
    second = done[1].votes if len(done) > 1 else 0
    return Vote(done[0].answer, done[0].votes / voters, (done[0].votes - second) / voters, voters, missing, tuple(done))


def samples_missing(
    answers: Sequence[str | None], samples: int, *, min_share: float, min_votes: int, rows: int, same: Same
) -> int:
    """The fewest further samples, of `samples` in all, after which a vote may be over; 0: it is over now.

    It is over when none of the samples to come, whatever they say, can change its outcome: it is lost, or it is won
    and `rows` samples have the answer. Won: one spelling alone has more than half of all votes there can be, so its
    cluster is the largest however the others join, and it meets `min_share` and `min_votes`. Lost: no answer can meet
    them any more, not even together with all that are not known to differ from it.
    """
    left = samples - len(answers)
    counts = Counter(answer.strip() for answer in answers if answer and answer.strip())
    most = max(counts.values(), default=0)
    voters = counts.total() + left
    enough = max(min_votes, math.ceil(min_share * voters - 1e-9))
    to_win = max(voters // 2 + 1, enough, rows) - most
    if left <= 0 or to_win <= 0:
        return 0
    # A reply without an answer is no voter, which helps the share of the others; an answer of its own does not.
    to_lose = most + left - enough + 1
    if answers and to_lose <= 0 and max((_at_most(form, counts, same) for form in counts), default=0) + left < enough:
        return 0
    return min(left, to_win, max(1, to_lose))


def _at_most(form: str, counts: Mapping[str, int], same: Same) -> int:
    """More votes than any cluster with this form can have, whichever of two forms comes first."""
    return sum(
        votes
        for other, votes in counts.items()
        if other == form or same(form, other) is not False or same(other, form) is not False
    )


def _joins(form: str, cluster: list[str], same: Same) -> bool:
    verdicts = [same(member, form) for member in cluster]
    return any(verdict is True for verdict in verdicts) and not any(verdict is False for verdict in verdicts)


_FORMS = (
    re.compile(r"[+-]?\d+"),
    re.compile(r"[+-]?\d+/\d+"),
    re.compile(r"[+-]?\\frac\{\d+\}\{\d+\}"),
    re.compile(r"[+-]?\d*\.\d+"),
)


def _simplicity(text: str) -> tuple[int, bool, Fraction, int, str]:
    """Smaller is simpler: an integer, a fraction, a decimal, then the rest by its largest number and its length.

    A fraction in lowest terms has smaller numbers than its multiples, as has 2√3 beside √12; an exact form comes
    before a long decimal that rounds it.
    """
    plain = text.strip("$ ")
    rank = next((i for i, form in enumerate(_FORMS) if form.fullmatch(plain)), len(_FORMS))
    numbers = [Fraction(number) for number in re.findall(r"\d{1,40}(?:\.\d{1,40})?", plain)]
    return rank, plain != text, max(numbers, default=Fraction(0)), len(plain), text
