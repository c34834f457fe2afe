"""Rows of Arrow tables: Parquet files, and Hugging Face data sets on disk or by name. Text columns stay text."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mathsynth.errors import BadRow, RunError, UsageError
from mathsynth.readers.source import Place, Source

BATCH = 1000
"""Rows in memory at once."""


def read_parquet(path: Path) -> Iterator[tuple[str, object]]:
    """(`file:row`, row), rows from 1; a file that can't be read ends in a BadRow."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise _missing(f"{path}: Parquet") from None
    number = 0
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=BATCH):
                for row in _rows(batch):
                    number += 1
                    where = f"{path}:{number}"
                    yield where, BadRow(where, "", "expected UTF-8 text") if row is None else row
    except (pyarrow.ArrowException, OSError) as error:
        where = f"{path}:{number + 1}"
        yield where, BadRow(where, "", f"not readable as Parquet from here on ({_first_line(error)})")


def _rows(batch: Any) -> Iterator[dict[str, object] | None]:
    try:
        yield from batch.to_pylist()
        return
    except UnicodeDecodeError:
        pass
    for number in range(batch.num_rows):
        try:
            yield batch.slice(number, 1).to_pylist()[0]
        except UnicodeDecodeError:
            yield None


def read_data_set(place: Place, source: Source) -> Iterator[tuple[str, object]]:
    """(`name[split]:row`, row), rows from 1. UsageError for an unknown split, RunError if it can't be had."""
    # Asking for a data set is all that may go over the wire.
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("HF_UPDATE_DOWNLOAD_COUNTS", "0")
    try:
        import datasets
    except ImportError:
        raise _missing(f"{place.name}: Hugging Face data sets") from None
    try:
        if place.path is not None:
            loaded = datasets.load_from_disk(str(place.path))
        else:
            loaded = datasets.load_dataset(place.name, source.config, revision=source.revision)
    # The library passes on whatever its network and file layers raise; all of it means "not to be had".
    except Exception as error:  # noqa: BLE001
        raise RunError(
            f"data set {place.name}: can't be loaded: {type(error).__name__}: {_first_line(error)}"
        ) from None
    data, split = _one_split(loaded, place, source)
    name = str(place.path or place.name)
    for number, row in enumerate(data, 1):
        yield f"{name}[{split}]:{number}" if split else f"{name}:{number}", row


def _one_split(loaded: Any, place: Place, source: Source) -> tuple[Any, str]:
    if not isinstance(loaded, dict):
        if source.split and str(loaded.split or "") != source.split:
            raise UsageError(f"data set {place.name}: it has no splits; leave out `split: {source.split}`")
        return loaded, source.split or ""
    split = source.split or (next(iter(loaded)) if len(loaded) == 1 else "")
    if split not in loaded:
        asked = f"no split {split!r}" if split else "several splits"
        raise UsageError(f"data set {place.name}: {asked}; say `split:` with one of {', '.join(loaded)}")
    return loaded[split], split


def _missing(what: str) -> UsageError:
    return UsageError(f"{what} needs the extra `hf`: pip install 'mathsynth[hf]'")


def _first_line(error: Exception) -> str:
    return (str(error).strip() or "no message").splitlines()[0]
