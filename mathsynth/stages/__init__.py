"""One file a stage. This file is the contract that each of them keeps.

A stage is a module with
* a docstring, whose first line is its help;
* `VERSION`, raised when its rows change for the same config;
* `class Config(StageConfig)`, a sentence under each field;
* `SCOPE`: `"shard"` if any part of the rows can be worked on alone, `"all"` if every row is needed at once;
* `run(records, config, ctx)`, a generator of kept rows, `Dropped` and `Failed`, in the order of the input.

It is found by its file name (`seed_expand.py` is the stage `seed-expand`) and imported when used.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import cast

from pydantic import BaseModel, ConfigDict

from mathsynth.errors import UsageError


class StageConfig(BaseModel):
    """The config of one stage: frozen, unknown keys refused. `Field(exclude=True)` keeps a tuning knob out of the hash."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def stage_names() -> list[str]:
    """The stages that exist, by file name."""
    return sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(__path__))
