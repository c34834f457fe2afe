"""The personas and the taxonomy that ship in data/: enough of them, no two alike, in the shape that stages read."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

DATA = Path(__file__).parents[1] / "data"
WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
KEBAB = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
PREPOSITIONS = {"in", "near", "at", "off", "around", "outside", "on", "from", "out", "of", "above"}
FUNCTION_WORDS = {
    "a",
    "an",
    "the",
    "this",
    "one",
    "he",
    "she",
    "his",
    "her",
    "is",
    "are",
    "who",
    "whose",
    "and",
    "there",
    "works",
    "working",
    "lives",
    "has",
    "as",
}
AGE_WORD = re.compile(
    r"aged|old|years|\d+|\d+-year-old|(?:(?:mid|late|early)-)?"
    r"(?:eight|nine|ten|eleven|twelve|\w+teen|(?:twent|thirt|fort|fift|sixt|sevent|eight|ninet)(?:y|ies)(?:-\w+)?)"
)


def words(text: str) -> list[str]:
    return WORD.findall(text.lower())


def opening_formula(persona: str) -> tuple[str, ...]:
    """The first six steps of the sentence with runs of content words and ages masked: what stays is its grammar."""
    steps: list[str] = []
    for word in words(persona):
        if word in PREPOSITIONS:
            step = "PREP"
        elif AGE_WORD.fullmatch(word):
            step = "AGE"
        else:
            step = word if word in FUNCTION_WORDS else "WORD"
        if not steps or steps[-1] != step:
            steps.append(step)
    return tuple(steps[:6])


@pytest.fixture(scope="module")
def personas() -> list[dict[str, Any]]:
    lines = (DATA / "personas" / "personas.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def taxonomy() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((DATA / "taxonomy.yaml").read_text(encoding="utf-8"))
    return loaded


def test_every_persona_has_its_fields(personas: list[dict[str, Any]]) -> None:
    assert len(personas) >= 320
    for number, row in enumerate(personas, 1):
        assert list(row) == ["id", "persona", "trade", "place", "age", "isco"], row
        assert row["id"] == f"p{number:04d}"
        assert 10 <= len(row["persona"].split()) <= 25, row
        assert row["persona"].endswith(".")
        assert row["place"].split(",")[0] in row["persona"], row
        assert type(row["age"]) is int
        assert row["isco"] is None or row["isco"] in range(10)


def test_personas_cover_trades_places_ages_and_isco_groups(personas: list[dict[str, Any]]) -> None:
    assert len({row["trade"] for row in personas}) >= 150
    assert len({row["place"] for row in personas}) >= 60
    assert (min(row["age"] for row in personas), max(row["age"] for row in personas)) == (8, 92)
    assert {row["age"] // 10 for row in personas} >= set(range(1, 9))
    groups = Counter(row["isco"] for row in personas)
    assert min(groups[digit] for digit in range(10)) >= 10
    # Nobody without a job (pupils, students, people at home) has an ISCO group; everyone under 18 is one of these.
    assert all(row["isco"] is None for row in personas if row["age"] < 18)


def test_no_two_personas_are_alike(personas: list[dict[str, Any]]) -> None:
    bags = [set(words(row["persona"])) for row in personas]
    for later, bag in enumerate(bags):
        for earlier in range(later):
            shared = len(bag & bags[earlier])
            assert shared < 0.6 * (len(bag) + len(bags[earlier]) - shared), personas[later]


def test_no_opening_formula_dominates(personas: list[dict[str, Any]]) -> None:
    tenth = len(personas) / 10
    for key in (opening_formula, lambda text: words(text)[0], lambda text: tuple(words(text)[:2])):
        formula, count = Counter(key(row["persona"]) for row in personas).most_common(1)[0]
        assert count <= tenth, formula


def test_the_opening_formula_sees_through_trade_and_place() -> None:
    first = opening_formula("Baker in Aachen, 34, who scales dough.")
    assert first == opening_formula("Stained glass maker near Chartres, twenty-eight, who fits circles.")
    assert first != opening_formula("Fifty and in charge of a Leeds supermarket, he marks down bread.")


def test_taxonomy_states_licence_and_source(taxonomy: dict[str, Any]) -> None:
    assert list(taxonomy) == ["license", "source", "fields"]
    assert (taxonomy["license"], taxonomy["source"]) == ("CC-BY-4.0", "mathsynth")


def test_taxonomy_is_large_enough_and_names_are_unique(taxonomy: dict[str, Any]) -> None:
    fields = taxonomy["fields"]
    topics = [topic for field in fields for topic in field["topics"]]
    points = [point for topic in topics for point in topic["points"]]
    assert len(fields) >= 10
    assert len(topics) >= 60
    assert len(points) >= 350
    for values in ([f["name"] for f in fields], [t["name"] for t in topics], points):
        assert [value for value, count in Counter(values).items() if count > 1] == []


def test_taxonomy_shape(taxonomy: dict[str, Any]) -> None:
    for field in taxonomy["fields"]:
        assert list(field) == ["name", "title", "topics"], field["name"]
        assert KEBAB.fullmatch(field["name"]) and field["title"]
        for topic in field["topics"]:
            assert list(topic) == ["name", "title", "levels", "points"], topic
            assert KEBAB.fullmatch(topic["name"]) and topic["title"]
            low, high = topic["levels"]
            assert 1 <= low <= high <= 5, topic["name"]
            assert len(topic["points"]) >= 4, topic["name"]
            assert all(type(point) is str and point == point.strip() for point in topic["points"]), topic["name"]
    levels = {level for f in taxonomy["fields"] for t in f["topics"] for level in t["levels"]}
    assert levels == {1, 2, 3, 4, 5}
