"""The rule that chooses between more answers, rephrased and new questions; the steps that follow it; what plan says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from command_line import ms, step, write_project
from mathsynth.errors import UsageError
from mathsynth.recipe import Recipe, read_recipe
from mathsynth.stages.sample import Config as SampleConfig
from mathsynth.strategy import Strategy, choose

STEPS: dict[str, Any] = {
    "seed-expand": {"methods": {"rephrase": {"prompt": "say"}, "backward": {}}},
    "retell": {"stage": "persona-rewrite", "kind": "keep", "prompt": "retell"},
    "move": {"stage": "persona-rewrite", "kind": "change", "prompt": "retell"},
    "sample": {"prompt": "ask", "k": 2, "vote": {"min_votes": 2}},
    "export": {},
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_project(tmp_path / "sums", seeds=4, steps=STEPS)


def followed(path: Path, **strategy: Any) -> Recipe:
    return read_recipe(path, [f"strategy={yaml.safe_dump({'follow': True, **strategy}, default_flow_style=True)}"])


def said(*args: object) -> str:
    """What a command prints, however its lines are broken."""
    done = ms(*args)
    assert done.code == 0, done.err
    return " ".join(done.out.split())


@pytest.mark.parametrize(
    ("queries", "way", "words"),
    [
        (100, "answer augmentation", "budget ratio 1 = 100 queries / 100 seeds: below 100, so answer"),
        (4000, "answer augmentation", "budget ratio 40 = 4,000 queries / 100 seeds: below 100, so answer augmentation"),
        (9999, "answer augmentation", "budget ratio 99.99 = 9,999 queries / 100 seeds: below 100"),
        (10000, "rephrasing", "budget ratio 100 = 10,000 queries / 100 seeds: 100 to 250, so rephrasing"),
        (24999, "rephrasing", "(rule: rephrase_below)"),
        (25000, "new questions", "budget ratio 250 = 25,000 queries / 100 seeds: 250 or more, so new questions"),
    ],
)
def test_the_rule_goes_by_calls_a_seed(queries: int, way: str, words: str) -> None:
    choice = choose(Strategy(queries=queries), None, 100)
    assert choice.way == way
    assert words in str(choice)


def test_the_bounds_are_the_recipes_and_tokens_count_too() -> None:
    assert choose(Strategy(queries=400, answer_below=2, rephrase_below=3), None, 100).way == "new questions"
    choice = choose(Strategy(tokens_per_query=500), 1_000_000, 10)
    assert (choice.queries, choice.ratio, choice.way) == (2000, 200, "rephrasing")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "needs either queries, or tokens_per_query"),
        ({"queries": 1, "tokens_per_query": 1}, "needs either queries, or tokens_per_query"),
        ({"queries": 1, "answer_below": 300}, "answer_below is above rephrase_below"),
        ({"queries": 1, "rephrase_below": 1}, "greater than 1"),  # a call a seed never buys new questions
    ],
)
def test_a_strategy_that_decides_nothing_is_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Strategy(**settings)
    with pytest.raises(UsageError, match=r"budget\.tokens, which is not set"):
        choose(Strategy(tokens_per_query=1), None, 5)


def test_more_answers_make_no_questions_and_spend_the_budget(path: Path) -> None:
    recipe = followed(path, queries=24)
    assert [step.name for step in recipe.steps] == ["input", "sample", "export"]
    sample: Any = recipe.steps[1].config
    assert (sample.k, sample.max_trials, sample.vote.samples, sample.vote.min_votes) == (6, 6, 6, 2)
    assert sample.calls_per_row() == (6, 6)
    assert recipe.notes[1] == (
        "strategy.follow: without seed-expand, without retell, without move, "
        "sample.k=6, sample.max_trials=6, sample.vote.samples=6"
    )


def test_a_sample_of_several_turns_spends_several_calls() -> None:
    config = SampleConfig(format="tool", tool={"max_blocks": 2}).spending(7)
    # A vote needs at least its min_votes.
    assert (config.k, config.max_trials, config.vote.samples, config.calls_per_row()) == (2, 2, 3, (4, 9))


@pytest.mark.parametrize(
    ("queries", "steps", "methods"),
    [(800, ["seed-expand", "retell"], ["rephrase"]), (4000, ["seed-expand", "move"], ["backward"])],
)
def test_other_ways_keep_what_makes_their_kind(path: Path, queries: int, steps: list[str], methods: list[str]) -> None:
    recipe = followed(path, queries=queries)
    assert [step.name for step in recipe.steps] == ["input", *steps, "sample", "export"]
    assert list(recipe.steps[1].config.methods) == methods  # type: ignore[attr-defined]
    assert recipe.steps[3].config.k == 2  # type: ignore[attr-defined]


def test_a_way_that_no_step_can_go_is_refused(path: Path) -> None:
    recipe = yaml.safe_load(path.read_text())
    del recipe["steps"]["seed-expand"], recipe["steps"]["move"]
    path.write_text(yaml.safe_dump(recipe, sort_keys=False))
    with pytest.raises(UsageError, match=r"strategy: budget ratio 1,000 = .*, but no step makes new questions"):
        followed(path, queries=4000)


def test_without_follow_nothing_changes(path: Path) -> None:
    keys = [step.key for step in read_recipe(path).steps]
    assert [step.key for step in followed(path, queries=24, follow=False).steps] == keys


def test_the_resolved_recipe_is_what_runs_and_resolves_to_itself(path: Path) -> None:
    assert ms("generate", path, "-o", path.parent / "run", "--set", "strategy={queries: 24, follow: true}").code == 0
    written = path.with_name("again.yaml")
    written.write_text((path.parent / "run" / "recipe.yaml").read_text())
    assert list(yaml.safe_load(written.read_text())["steps"]) == ["sample", "export"]
    again = read_recipe(written)
    assert step(path.parent / "run", "sample").name == again.steps[1].directory
    assert again.notes[1] == "strategy.follow: the steps are so already"


def test_plan_says_the_ratio_the_rule_and_the_calls(path: Path) -> None:
    done = said("plan", path, "--set", "strategy={queries: 24}")
    assert "budget ratio 6 = 24 queries / 4 seeds: below 100, so answer augmentation (rule: answer_below)" in done
    assert "of these; strategy.follow is false" in done
    assert " usd " not in done
    done = said("plan", path, "--set", "strategy={queries: 24, follow: true}")
    assert done.count("budget ratio 6") == 1
    assert "the steps ask 24 of these strategy.follow: without seed-expand" in done


def test_plan_counts_dollars_by_price_and_hours_by_limits(path: Path) -> None:
    sets = ["models.teacher.price={prompt: 1, completion: 2}", "models.teacher.max_tokens=1000000"]
    sets += ["models.teacher.requests_per_minute=1", "strategy={queries: 240, follow: true}"]
    done = said("plan", path, *[part for text in sets for part in ("--set", text)])
    assert "0.00 to 480.00" in done  # 240 replies of a million tokens, 2 dollars each
    done = said("plan", path, "--set", "models.teacher.requests_per_minute=1")
    assert "at least 0.2 h, by requests_per_minute" in done  # four seeds, rephrased once and solved twice
    priced = "models.other={backend: scripted, replies: x, price: {prompt: 1, completion: 2}}"
    assert "not known" in said("plan", path, "--set", priced)
