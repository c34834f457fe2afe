"""The step check on tests/steps_corpus.jsonl and on the seeds: planted steps found, right solutions flagged, speed.

    python benchmarks/steps.py [-v]        -v lists every miss and every false alarm

A planted step counts as found when a reported equation lies in its place, not when anything at all is reported.
"""

from __future__ import annotations

import json
import sys
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from mathsynth.verifier.steps import false_steps

ROOT = Path(__file__).parents[1]


@dataclass
class Tally:
    """Counts of one style."""

    planted: int = 0
    found: int = 0
    right: int = 0
    flagged: int = 0


def found_at(text: str, false_at: str) -> bool:
    """Whether a reported step ends in the planted piece or covers it."""
    start = text.index(false_at)
    end = start + len(false_at)
    return any(step.start < end and step.end > start for step in false_steps(text))


def measure(verbose: bool = False) -> dict[str, Tally]:
    """The tally of each style of the corpus, with misses and false alarms printed if `verbose`."""
    tallies: dict[str, Tally] = defaultdict(Tally)
    with (ROOT / "tests" / "steps_corpus.jsonl").open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    for row in rows:
        tally, text = tallies[row["style"]], row["text"]
        if row["false_at"] is None:
            steps = false_steps(text)
            tally.right += 1
            tally.flagged += bool(steps)
            if steps and verbose:
                print("FALSE ALARM", row["id"], [step.key for step in steps], repr(text))
        else:
            found = found_at(text, row["false_at"])
            tally.planted += 1
            tally.found += found
            if not found and verbose:
                print("MISSED", row["id"], repr(row["false_at"]), repr(text))
    return tallies


def main() -> None:
    tallies = measure("-v" in sys.argv)
    total = Tally()
    print(f"{'style':<16}{'planted':>9}{'found':>7}{'share':>8}{'right':>8}{'flagged':>9}{'share':>8}")
    for style, tally in sorted(tallies.items()):
        _print(style, tally)
        for name in vars(tally):
            setattr(total, name, getattr(total, name) + getattr(tally, name))
    _print("all", total)
    for path in sorted((ROOT / "data" / "seeds").glob("*.jsonl")):
        with path.open(encoding="utf-8") as lines:
            texts = [json.loads(line).get("solution") or "" for line in lines]
        start = time.perf_counter()
        flagged = sum(bool(false_steps(text)) for text in texts)
        each = (time.perf_counter() - start) / max(1, len(texts)) * 1000
        print(f"{path.name}: {len(texts)} solutions, {flagged} flagged, {each:.2f} ms each")


def _print(style: str, t: Tally) -> None:
    print(
        f"{style:<16}{t.planted:>9}{t.found:>7}{t.found / t.planted:>8.1%}"
        f"{t.right:>8}{t.flagged:>9}{t.flagged / t.right:>8.1%}"
    )


if __name__ == "__main__":
    main()
