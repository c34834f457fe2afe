"""The mock server tells the truth as often as it says, and the same request hears the same."""

from __future__ import annotations

from typing import Any

import fault_server as mock
from mock_replies import arithmetic

QUESTION = "Mia has 12 pens. She buys 30 more. How many pens does Mia have now?"


def reply(text: str, seed: int = 0, right: float = 1.0, system: str = "", **known: str) -> str:
    messages = [{"role": "system", "content": system}] if system else []
    body: dict[str, Any] = {"messages": [*messages, {"role": "user", "content": text}]}
    return arithmetic(body, seed, right, {QUESTION: "42"})


def test_it_solves_in_the_stated_share() -> None:
    assert "\\boxed{7}" in reply("What is 3 + 4?") and "\\boxed{5}" in reply(
        "9 ducks swim and 4 fly away, some are left."
    )
    assert "\\boxed{3/4}" in reply("What is 6 / 8?")
    right = sum("\\boxed{7}" in reply("What is 3 + 4?", seed, right=0.6) for seed in range(1000))
    assert 550 < right < 650
    assert reply("What is 3 + 4?", 5, 0.6) == reply("What is 3 + 4?", 5, 0.6) != reply("What is 3 + 4?", 6, 0.6)


def test_it_knows_its_seeds_also_when_told_in_other_words_or_backward() -> None:
    keep = reply(QUESTION, system="Keep every number and what is asked. Reply with `Problem:` and the new text.")
    assert keep.startswith("Problem: ") and QUESTION in keep
    assert "\\boxed{42}" in reply(keep)
    change = reply(f"Person: a baker\nModel problem: {QUESTION}", system="Change the numbers. Reply with `Problem:`.")
    assert "pens" in change and "12" not in change and "baker" not in change
    masked = QUESTION.replace("30", "x") + " If we know the answer to the above question is 42, what is the value of "
    assert "\\boxed{30}" in reply(masked + "the unknown number x?")


def test_n_choices_are_those_of_the_next_seeds() -> None:
    with mock.fault_server(right=0.5) as served:
        handler = mock._Handler(served, lambda: None)
        body = {"model": mock.MODEL, "messages": [{"role": "user", "content": "What is 3 + 4?"}]}

        def texts(**more: int) -> list[str]:
            choices = handler.completion(body | more)["choices"]
            return [choice["message"]["content"] for choice in choices]

        assert texts(n=3, seed=7) == [*texts(seed=7), *texts(seed=8), *texts(seed=9)]
