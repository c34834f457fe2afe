"""The data set card: what is in an export, where it comes from, under which licences, and how to make it again.

It only says what was counted; a licence that no source stated is called unknown.
"""

from __future__ import annotations

import re
from array import array
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

import yaml

from mathsynth.records import Solution

if TYPE_CHECKING:
    from mathsynth.live import RunInfo

UNKNOWN = "unknown"
RATES = ("0 to 20 %", "20 to 40 %", "40 to 60 %", "60 to 80 %", "80 to 100 %")

# Names that the Hub's card format knows; any other stated licence is `other` there and in full in the table.
_HUB_LICENSE = re.compile(
    r"mit|apache-2\.0|cc0-1\.0|cc-by(-nc)?(-nd|-sa)?-4\.0|cc-by(-sa)?-3\.0|bsd-[23]-clause|[al]?gpl-3\.0|mpl-2\.0"
    r"|odc-by|odbl|pddl|cdla-(permissive-[12]|sharing-1)\.0|unlicense|unknown"
)


KINDS = {
    "cot": "text, step by step",
    "program": "a program that prints the answer",
    "tool": "text, Python and its real output in turns; train on the assistant's turns only",
    "dialogue": "a tutor and a student, with calculations; train on the assistant's turns only",
}


@dataclass
class Tally:
    """What the card counts, one exported row at a time."""

    rows: int = 0
    sources: Counter[tuple[str, str]] = field(default_factory=Counter)
    methods: Counter[str] = field(default_factory=Counter)
    formats: Counter[str] = field(default_factory=Counter)
    models: Counter[str] = field(default_factory=Counter)
    rules: Counter[str] = field(default_factory=Counter)
    references: Counter[str] = field(default_factory=Counter)
    pass_rates: dict[str, float] = field(default_factory=dict)
    characters: array[int] = field(default_factory=lambda: array("L"))
    tokens: array[int] = field(default_factory=lambda: array("L"))

    def add(self, solution: Solution, response: str) -> None:
        """Count one row, whose exported text is `response`."""
        self.rows += 1
        self.sources[solution.source or UNKNOWN, solution.license or UNKNOWN] += 1
        self.methods[solution.method] += 1
        self.formats[solution.format] += 1
        self.models[solution.model] += 1
        self.rules[solution.verdict.rule] += 1
        self.references[solution.answer_source or UNKNOWN] += 1
        if solution.difficulty is not None:
            self.pass_rates[solution.problem_id] = solution.difficulty.pass_rate
        self.characters.append(len(response))
        self.tokens.append(solution.usage.completion_tokens)


@dataclass(frozen=True)
class Split:
    """One split as it was written; `path` is a file or a pattern inside the export."""

    name: str
    path: str
    rows: int
    problems: int
    groups: int


def write_card(tally: Tally, about: RunInfo, splits: list[Split], *, row_format: str, reasoning: str) -> str:
    """The README.md of an export: YAML front matter, then the tables."""
    import jinja2

    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    environment.filters["cell"] = lambda value: str(value).replace("|", "\\|").replace("\n", " ")
    template = environment.from_string(Path(__file__).with_name("card.md.j2").read_text("utf-8"))
    fence = "`" * max(3, _longest_run(about.recipe, "`") + 1)
    return template.render(
        front=yaml.safe_dump(_front_matter(tally, about, splits), sort_keys=False, allow_unicode=True),
        about=about,
        tally=tally,
        splits=splits,
        kinds=KINDS,
        row_format=row_format,
        reasoning=reasoning,
        lengths=_lengths(tally),
        rates=_rates(tally),
        mean_rate=fmean(tally.pass_rates.values()) if tally.pass_rates else None,
        unknown=UNKNOWN,
        fence=fence,
    )


def _front_matter(tally: Tally, about: RunInfo, splits: list[Split]) -> dict[str, object]:
    stated = sorted({_hub_license(license) for _, license in tally.sources}) or [UNKNOWN]
    files = [{"split": split.name, "path": split.path} for split in splits]
    return {
        "pretty_name": about.name or "mathsynth export",
        "license": stated,
        "size_categories": [_size_category(tally.rows)],
        "task_categories": ["text-generation"],
        "tags": ["mathematics", "synthetic", "mathsynth"],
        "configs": [{"config_name": "default", "data_files": files}],
    }


def _hub_license(license: str) -> str:
    name = license.lower()
    return name if _HUB_LICENSE.fullmatch(name) else "other"


def _size_category(rows: int) -> str:
    bounds = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
    return next((name for bound, name in bounds if rows < bound), "1M<n<10M" if rows < 10_000_000 else "10M<n<100M")


def _lengths(tally: Tally) -> list[tuple[str, int, int, int]]:
    """(what, median, 95th percentile, longest) of the responses."""
    if not tally.rows:
        return []
    measured = (("characters", tally.characters), ("tokens as sampled", tally.tokens))
    table = []
    for name, values in measured:
        ordered = sorted(values)
        table.append((name, ordered[len(ordered) // 2], ordered[int(0.95 * (len(ordered) - 1))], ordered[-1]))
    return table


def _rates(tally: Tally) -> list[tuple[str, int]]:
    counted = Counter(min(int(rate * 5), 4) for rate in tally.pass_rates.values())
    return [(name, counted[number]) for number, name in enumerate(RATES)]


def _longest_run(text: str, character: str) -> int:
    longest = here = 0
    for each in text:
        here = here + 1 if each == character else 0
        longest = max(longest, here)
    return longest
