"""What counts as the same answer: every choice on which graders differ, as one frozen model."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

How = Literal["boxed", "answer phrase", "last line", "guessed", "given"]

TRAINING: frozenset[How] = frozenset({"boxed", "answer phrase", "given"})
GRADING: frozenset[How] = TRAINING | {"last line"}


class Policy(BaseModel):
    """The rules of equality and the limits of one comparison."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    accept: frozenset[How] = TRAINING
    """How an answer must have been found to be called correct; others that match stay undecided."""
    digits: int = Field(default=6, ge=3, le=30)
    """A decimal with this many correct significant digits equals an exact value that has no finite decimal."""
    percent: Literal["loose", "strict"] = "loose"
    """`loose`: 28 % = 28 = 0.28, a dropped or added sign is no mistake; `strict`: 28 % = 0.28 only."""
    units: Literal["optional", "required"] = "optional"
    """`optional`: a missing unit is no mistake; `required`: it leaves the answer undecided."""
    convert_units: bool = False
    """Whether 5 cm = 50 mm and $0.50 = 50 cents are correct; else they are undecided."""
    degrees: Literal["apart", "convert"] = "apart"
    """`convert`: 180° = pi; `apart`: undecided. 90° = 90 in both."""
    ordered_lists: bool = False
    """Whether `1, 2` without parentheses is ordered; tuples, points and matrices always are."""
    names: Literal["optional", "strict"] = "optional"
    """`optional`: x = 5 equals 5; `strict`: the name must be there. Two different names are never equal."""
    bases: Literal["written", "value"] = "written"
    """`written`: 204 in base 5 must be written in base 5; `value`: 54 is correct too."""
    deadline_s: float = Field(default=5.0, gt=0, le=600)
    """Seconds of wall time for one comparison; then the worker process is killed and the verdict is undecided."""
    memory_mb: int = Field(default=1024, ge=128)
    """Address space of one worker process in MiB."""
