"""One stage of a recipe, ready to run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mathsynth.backends.base import ModelConfig
from mathsynth.prompts import Prompt
from mathsynth.stages import StageConfig, load_stage


@dataclass(frozen=True)
class Step:
    """One stage of a recipe, ready to run."""

    number: int
    name: str
    stage: str
    config: StageConfig
    models: dict[str, ModelConfig]
    prompts: dict[str, Prompt]
    material: dict[str, Any]
    key: str

    @property
    def directory(self) -> str:
        """`02-sample-7311f4bf`."""
        return f"{self.number:02d}-{self.name}-{self.key[:8]}"

    @property
    def replies(self) -> str:
        """The journal's folder, without the hash: a changed config finds old replies."""
        return f"{self.number:02d}-{self.name}"

    @property
    def splits(self) -> bool:
        """Whether any part of its rows can be worked on alone."""
        return load_stage(self.stage).SCOPE == "shard" and not self.config.needs_all()
