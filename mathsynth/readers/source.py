"""What a recipe says of one input (`Source`), and the files or data sets that it stands for.

Nothing is opened here: `places` only finds out what is there, so that a recipe can be checked without reading it.
"""

from __future__ import annotations

import glob
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from mathsynth import resources
from mathsynth.errors import UsageError
from mathsynth.shards import distinct, refuse_two_of_one_step

Format = Literal["jsonl", "json", "parquet", "datasets"]

_FORMATS: dict[str, Format] = {".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json", ".parquet": "parquet"}
_COMPRESSED = (".gz", ".zst")


class Fields(BaseModel):
    """Which column holds what. A dotted path reaches inside: `meta.final`, `messages.0.content`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    question: str | None = None
    """The question's text."""
    answer: str | None = None
    """The reference answer; text is kept as it is, a number as it was written."""
    solution: str | None = None
    """A worked reference solution; the layouts gsm8k and math read the answer out of it."""
    level: str | None = None
    """How hard it is: text or a whole number."""
    topics: str | None = None
    """One topic or a list of them."""
    id: str | None = None
    """The user's own name of the row, in place of a hash of its content."""
    license: str | None = None
    """The row's licence."""
    source: str | None = None
    """The row's origin."""

    @model_serializer(mode="wrap")
    def _as_given(self, dump: SerializerFunctionWrapHandler) -> dict[str, str | None]:
        # A null that is said and a key that is left out are different configs.
        return {name: column for name, column in dump(self).items() if name in self.model_fields_set}


class Source(BaseModel):
    """One input: where it is, how its rows are laid out, and whose it is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str = Field(min_length=1)
    """A file, a glob, a folder, or (with `format: datasets`) the name of a Hugging Face data set.
    Relative to the recipe's folder; `data:` starts at the data that comes with mathsynth."""
    layout: Literal["problems", "gsm8k", "math"] = "problems"
    """`problems`: the columns of our own records. `gsm8k`: question and answer, the final answer after `####`.
    `math`: problem and solution, the answer in the last box; level and type."""
    fields: Fields | None = None
    """Columns by other names than the layout's: `{question: problem}`. What is not named here is read from the layout's
    own column where there is one, with `problems` all but `id`; null says that it is read from none."""
    format: Literal["auto", "jsonl", "json", "parquet", "datasets"] = "auto"
    """`auto` goes by the file name, with .gz and .zst: .jsonl .ndjson .json .parquet, or a saved `datasets` folder."""
    split: str | None = None
    """The split of a data set."""
    config: str | None = None
    """The configuration of a data set on the Hub."""
    revision: str | None = None
    """The commit or tag of a data set on the Hub."""
    license: str = ""
    """The licence of rows that name none. Left out, it stays unknown."""
    source: str = ""
    """The origin of rows that name none; by default the name of the file or data set."""
    limit: int | None = Field(default=None, ge=1)
    """At most this many problems."""

    @model_validator(mode="after")
    def _check(self) -> Source:
        for needed in ("question",) if self.layout == "problems" else ("question", "solution"):
            if self.given.get(needed, needed) is None:
                raise ValueError(f"fields: say which column is the {needed}")
        return self

    @property
    def given(self) -> dict[str, str | None]:
        """What `fields` says, null included."""
        return {} if self.fields is None else self.fields.model_dump()


@dataclass(frozen=True)
class Place:
    """One thing to read: a file, a folder saved by `datasets`, or the name of a data set (`path` is None)."""

    format: Format
    name: str
    path: Path | None


def places(source: Source, base: Path) -> list[Place]:
    """What a source stands for, in reading order.

    UsageError if nothing is there, its format can't be told, or two files are one step's with different settings.
    """
    path = resources.resolve(source.path, base)
    if source.format == "datasets":
        return [_data_set(source.path, path)]
    if path.is_dir():
        if _saved_by_datasets(path):
            return [Place("datasets", path.name, path)]
        files = [file for file in sorted(path.rglob("*")) if _suffix(file) in _FORMATS and not _hidden(file, path)]
        if not files:
            raise UsageError(f"{path}: no .jsonl, .ndjson, .json or .parquet file in this folder")
    elif path.exists():
        files = [path]
    elif glob.has_magic(str(path)):
        files = [
            Path(found) for found in distinct(sorted(glob.glob(str(path), recursive=True))) if os.path.isfile(found)
        ]
        if not files:
            raise UsageError(f"{path}: no file matches")
    else:
        hint = "" if source.path.startswith("data:") else "; a data set on the Hub needs `format: datasets`"
        raise UsageError(f"{path}: no such file or folder{hint}")
    refuse_two_of_one_step(file.parent for file in files)
    if source.split or source.config or source.revision:
        raise UsageError(f"{path}: split, config and revision are for data sets; name the files of the split instead")
    return [Place(_format(file, source), file.name, file) for file in files]


def _data_set(given: str, path: Path) -> Place:
    if path.is_dir():
        if not _saved_by_datasets(path):
            raise UsageError(f"{path}: not saved by `datasets`; leave out `format: datasets` to read its files")
        return Place("datasets", path.name, path)
    if path.exists() or given.startswith(("data:", ".", "/", "~")):
        raise UsageError(f"{path}: no folder saved by `datasets` is there")
    return Place("datasets", given, None)


def _saved_by_datasets(path: Path) -> bool:
    return (path / "state.json").is_file() or (path / "dataset_dict.json").is_file()


def _hidden(file: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in file.relative_to(folder).parts)


def _suffix(file: Path) -> str:
    return Path(file.stem).suffix if file.suffix in _COMPRESSED else file.suffix


def _format(file: Path, source: Source) -> Format:
    if source.format != "auto":
        return source.format
    known = _FORMATS.get(_suffix(file))
    if known is None:
        raise UsageError(f"{file}: the name doesn't tell the format; say `format: jsonl`, `json` or `parquet`")
    return known
