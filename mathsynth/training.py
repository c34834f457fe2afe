"""The files that trainers read: four row formats, three kinds of file, and the side files of LLaMA-Factory and axolotl.

It renders and writes; which rows go out and into which split is decided by the stage `export`.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from itertools import groupby, islice
from pathlib import Path
from typing import Any, Literal

import jsonlines
import orjson
import xxhash
import yaml

from mathsynth.errors import UsageError
from mathsynth.records import Solution, Turn
from mathsynth.shards import atomic, sync_directory, write_json

Format = Literal["messages", "alpaca", "sharegpt", "prompt_completion"]
Files = Literal["jsonl", "parquet", "datasets"]
Row = dict[str, Any]

BATCH = 1000
"""Rows in memory at once while a table is written."""
PROMPT_END = "\n\n"
"""Closes the prompt of prompt_completion rows: trainers join the two texts with nothing between them."""


CHATS: dict[str, tuple[str, str, str, dict[str, str]]] = {
    "messages": ("messages", "role", "content", {}),
    "sharegpt": (
        "conversations",
        "from",
        "value",
        {"user": "human", "assistant": "gpt", "tool": "observation"},
    ),
}
"""Formats that keep turns apart: the column, the keys of a turn, and what roles are called there."""


def render(row_format: Format, question: str, response: str, system: str | None, turns: Sequence[Turn] = ()) -> Row:
    """One training row without its metadata; with `turns`, which only CHATS have, they stand for the response."""
    if row_format in CHATS:
        column, who, what, called = CHATS[row_format]
        said = [] if system is None else [("system", system)]
        said += [("user", question), *([(t.role, t.content) for t in turns] or [("assistant", response)])]
        # Trainers want the roles to take turns: a dialogue that its student opens begins with the problem, too.
        chat = [(role, "\n\n".join(text for _, text in same)) for role, same in groupby(said, key=lambda turn: turn[0])]
        return {column: [{who: called.get(role, role), what: text} for role, text in chat]}
    if row_format == "alpaca":
        row = {"instruction": question, "input": "", "output": response}
        return row if system is None else row | {"system": system}
    opening = "" if system is None else system + PROMPT_END
    return {"prompt": opening + question + PROMPT_END, "completion": response}


def metadata(solution: Solution) -> Row:
    """Where a row comes from. No value is ever null, so that every row has the same types."""
    return {
        "id": solution.id,
        "problem_id": solution.problem_id,
        "source": solution.source,
        "license": solution.license,
        "method": solution.method,
        "persona": str(solution.meta.get("persona", "")),
        "format": solution.format,
        "model": solution.model,
        "temperature": float(solution.sampling.get("temperature", 0)),
        "top_p": float(solution.sampling.get("top_p", 1)),
        "answer": solution.answer or "",
        "rule": solution.verdict.rule,
        "seed": solution.seed,
        "finish_reason": solution.finish_reason,
        "completion_tokens": solution.usage.completion_tokens,
    }


def write_split(directory: Path, split: str, rows: Iterable[Row], files: Files) -> str:
    """Write one split; returns what `data_files` names it by. UsageError if the extra `hf` is missing."""
    if files == "jsonl":
        name = f"{split}.jsonl"
        with atomic(directory / name) as file, jsonlines.Writer(file, dumps=orjson.dumps) as writer:
            writer.write_all(rows)
        return name
    if files == "parquet":
        name = f"{split}.parquet"
        with atomic(directory / name) as file:
            _write_parquet(file, rows)
        return name
    _save_data_set(directory / "dataset" / split, rows)
    return f"dataset/{split}/*.arrow"


def finish_data_set(directory: Path, splits: Iterable[str]) -> None:
    """Make the splits under `dataset/` one DatasetDict for `load_from_disk`."""
    write_json(directory / "dataset" / "dataset_dict.json", {"splits": list(splits)})


def _write_parquet(file: Any, rows: Iterable[Row]) -> None:
    pyarrow = _pyarrow()
    from pyarrow import parquet

    schema, batches = _batches(rows)
    with parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        for batch in batches:
            writer.write_table(pyarrow.Table.from_pylist(batch, schema=schema))


def _save_data_set(folder: Path, rows: Iterable[Row]) -> None:
    pyarrow = _pyarrow()
    import datasets  # the extra brings both

    schema, batches = _batches(rows)
    digest = xxhash.xxh3_64()
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    bars = datasets.is_progress_bar_enabled()
    datasets.disable_progress_bars()
    try:
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".") as scratch:
            path = os.path.join(scratch, "rows.arrow")
            with open(path, "wb") as file, pyarrow.ipc.new_stream(file, schema) as writer:
                for batch in batches:
                    digest.update(orjson.dumps(batch))
                    writer.write_table(pyarrow.Table.from_pylist(batch, schema=schema))
            mapped = datasets.Dataset.from_file(path)
            # Its own fingerprint comes from times and paths: then the same rows would give other bytes.
            datasets.Dataset(mapped.data, fingerprint=digest.hexdigest()).save_to_disk(str(folder))
    finally:
        if bars:
            datasets.enable_progress_bars()
    sync_directory(folder)


def _batches(rows: Iterable[Row]) -> tuple[Any, Iterator[list[Row]]]:
    """The Arrow schema, read off the first row, and the rows in batches. Text columns are text, whatever they say."""
    pyarrow = _pyarrow()
    source = iter(rows)
    first = list(islice(source, BATCH))

    def kind(value: object) -> Any:
        if isinstance(value, dict):
            return pyarrow.struct([(key, kind(inner)) for key, inner in value.items()])
        if isinstance(value, list):
            return pyarrow.list_(kind({key: inner for turn in value for key, inner in turn.items()}))
        kinds = {int: pyarrow.int64(), float: pyarrow.float64()}
        return kinds.get(type(value), pyarrow.string())

    def batches() -> Iterator[list[Row]]:
        batch = first
        while batch:
            yield batch
            batch = list(islice(source, BATCH))

    columns = [(key, kind(value)) for key, value in first[0].items()] if first else []
    return pyarrow.schema(columns), batches()


def _pyarrow() -> Any:
    try:
        import pyarrow
    except ImportError:
        raise UsageError("Parquet and `datasets` files need the extra `hf`: pip install 'mathsynth[hf]'") from None
    return pyarrow


def llama_factory(name: str, row_format: Format, system: bool, paths: Mapping[str, str]) -> Row:
    """The content of LLaMA-Factory's `dataset_info.json`: one entry a split."""
    chat_tags = {
        "role_tag": "role",
        "content_tag": "content",
        "user_tag": "user",
        "assistant_tag": "assistant",
        "observation_tag": "tool",
        "system_tag": "system",
    }
    entries: dict[Format, Row] = {
        "alpaca": {"columns": {"prompt": "instruction", "query": "input", "response": "output"}},
        "prompt_completion": {"columns": {"prompt": "prompt", "response": "completion"}},
        "sharegpt": {"formatting": "sharegpt", "columns": {"messages": "conversations"}},
        "messages": {"formatting": "sharegpt", "columns": {"messages": "messages"}, "tags": chat_tags},
    }
    entry = entries[row_format]
    if row_format == "alpaca" and system:
        entry["columns"]["system"] = "system"
    return {
        name if split == "train" else f"{name}_{split}": {"file_name": path, **entry} for split, path in paths.items()
    }


def axolotl(row_format: Format, system: bool, files: Files, paths: Mapping[str, str]) -> str:
    """The part of an axolotl config that names the files and says how to read them."""
    reading: Row = {"type": "alpaca"}
    if row_format in CHATS:
        column, role, content, called = CHATS[row_format]
        reading = {
            "type": "chat_template",
            "field_messages": column,
            "message_property_mappings": {"role": role, "content": content},
            # Loss on what the model is to say, on no question and no output of a tool.
            "roles_to_train": ["assistant"],
        }
        if called:
            reading["roles"] = {role: [name] for role, name in called.items()}
    elif row_format == "prompt_completion":
        fields = {"field_instruction": "prompt", "field_output": "completion"}
        reading = {"type": {**fields, "format": "{instruction}", "no_input_format": "{instruction}"}}
    elif system:
        fields = {"field_instruction": "instruction", "field_input": "input", "field_output": "output"}
        asked = f"{{instruction}}{PROMPT_END}"
        formats = {"system_format": f"{{system}}{PROMPT_END}", "format": asked, "no_input_format": asked}
        reading = {"type": {"field_system": "system", **fields, **formats}}
    kind = {"jsonl": {"ds_type": "json"}, "parquet": {"ds_type": "parquet"}, "datasets": {}}[files]
    config = {
        "datasets" if split == "train" else "test_datasets": [
            {"path": path.removesuffix("/*.arrow"), **kind, "split": "train", **deepcopy(reading)}
        ]
        for split, path in paths.items()
    }
    head = "# For an axolotl config; the paths are relative to where axolotl is started.\n"
    return head + yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
