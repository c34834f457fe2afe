"""Rows on disk: JSONL shards that are whole or absent, and the names of a run directory's files.

A file is written under a temporary name, synced and renamed; `manifest.json` comes last, so a stage directory that
has one is done. Lines are split at `\\n` alone and parsed by orjson or pydantic, never by a reader that infers types.
The reply journals, which are appended to while a stage runs, are in `journal.py`.
"""

from __future__ import annotations

import gzip
import os
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple, TypeVar, cast

import orjson
import xxhash
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mathsynth.errors import BadRow, RunError, UsageError
from mathsynth.records import SCHEMA, Dropped, Failed, Problem, Solution, explain

MANIFEST = "manifest.json"
STEPS = "steps.json"
KEY = "key.json"
DROPPED = "dropped.jsonl"
FAILED = "failed.jsonl"
PROBLEMS = "problems.jsonl"
REPLIES = "replies"
SERVERS = "servers"
REJECTED = "rejected.jsonl"
PREFIXES = "prefixes.jsonl"
COINCIDENCE = "coincidence.json"

Row = TypeVar("Row", bound=BaseModel)


class Counts(BaseModel):
    """The ledger of one stage, in rows. Every row read is kept, dropped, failed or the parent of one that is."""

    model_config = ConfigDict(frozen=True)

    read: int = 0
    kept: int = 0
    dropped: dict[str, int] = Field(default_factory=dict)
    failed: dict[str, int] = Field(default_factory=dict)


class ModelUse(BaseModel):
    """What one model was asked in one stage. `seconds` is wall time with at least one request under way."""

    model: str
    requests: int = 0
    """Answered over the wire in this stage, kills and resumes included."""
    reused: int = 0
    """Found in the journal, asked for by another config or an earlier run."""
    errors: int = 0
    """Tries that met an error, retried ones included; a kill loses those of its process."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    timed: int = 0
    """Completion tokens that came in `seconds`: a kill loses the time of its process, but not the replies."""
    seconds: float = 0.0


class FileSeal(BaseModel):
    """A file as it was written, so that an edited one is noticed."""

    file: str
    rows: int
    bytes: int
    xxh3: str


class Manifest(BaseModel):
    """`manifest.json`: written last, the word that a stage directory is whole."""

    model_config = ConfigDict(serialize_by_alias=True, validate_by_name=True)

    schema_: int = Field(default=SCHEMA, alias="schema")
    stage: str
    """The kind of stage (its file name)."""
    step: str
    """Its name in the recipe."""
    key: str
    counts: Counts
    shards: list[FileSeal]
    files: list[FileSeal]
    """Everything else that the stage wrote: dropped, failed, problems, exports."""
    models: dict[str, ModelUse] = Field(default_factory=dict)
    seconds: float = 0.0
    started: str = ""
    finished: str = ""
    host: str = ""
    versions: dict[str, str] = Field(default_factory=dict)


def read_manifest(directory: Path) -> Manifest | None:
    """The manifest of a stage directory, or None while it is unfinished. RunError if it is from another schema."""
    path = directory / MANIFEST
    if not path.exists():
        return None
    try:
        manifest = Manifest.model_validate_json(path.read_bytes())
    except ValidationError as error:
        field, expected = explain(error)
        raise RunError(f"{path}: {field}: {expected}") from None
    if manifest.schema_ != SCHEMA:
        raise RunError(f"{path}: schema {manifest.schema_}, this mathsynth reads schema {SCHEMA}")
    return manifest


def is_step(name: str) -> str:
    """`02-sample` of a step's directory `02-sample-7311f4bf`, empty if it is named otherwise."""
    found = re.fullmatch(r"(\d+-.+)-[0-9a-f]{8}", name)
    return found[1] if found else ""


class Listed(NamedTuple):
    """A step of a run, in its directory."""

    step: str
    stage: str
    directory: str


def read_steps(run: Path) -> list[Listed]:
    """The steps of a run in order, none before it has its list. RunError if that is damaged or of another schema."""
    path = run / STEPS
    if not path.exists():
        return []
    try:
        told = orjson.loads(path.read_bytes())
        steps = [Listed(step["step"], step["stage"], step["directory"]) for step in told["steps"]]
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        fault = f"{path}: not a list of steps ({error!r}); delete it, and `mathsynth generate` writes it anew"
        raise RunError(fault) from None
    if (schema := told.get("schema")) != SCHEMA:
        raise RunError(f"{path}: schema {schema}, this mathsynth reads schema {SCHEMA}; another version made this run")
    return steps


def distinct(paths: Iterable[str]) -> list[str]:
    """The paths, of several that lead to one place (a run's `export` is a link) the first."""
    found: dict[str, str] = {}
    for path in paths:
        found.setdefault(os.path.realpath(path), path)
    return list(found.values())


def refuse_two_of_one_step(directories: Iterable[Path]) -> None:
    """UsageError if a glob caught what a step of a run made of earlier settings as well."""
    seen: dict[tuple[Path, str], Path] = {}
    for directory in directories:
        step = is_step(directory.name)
        before = seen.setdefault((directory.parent, step), directory)
        if step and before != directory:
            now = [entry.directory for entry in read_steps(directory.parent) if is_step(entry.directory) == step]
            said = f"now the run has {directory.parent / now[0]}" if now else "give one of them"
            raise UsageError(f"{before} and {directory} are one step with different settings; {said}")


def steps_below(directory: Path) -> str:
    """What to say of a directory that is no run: the steps in it, where a Makefile keeps them so."""
    below = sorted(path.parent for name in (MANIFEST, KEY) for path in directory.glob(f"*/{name}"))
    named = ", ".join(map(str, dict.fromkeys(below)))
    return f"; its steps are runs of their own: {named}" if named else ""


def shard_name(number: int) -> str:
    """The file name of a shard."""
    return f"{number:05d}.jsonl"


def open_lines(path: Path) -> Iterator[bytes]:
    """The lines of a plain, .gz or .zst file without their line ends. BadRow if it is cut or damaged."""
    number = 0
    # Beforehand, for a reader may be closed while Python shuts down, and nothing can be imported then.
    damage = _damage() if path.suffix in (".gz", ".zst") else ()
    with _open_binary(path) as file:
        try:
            for number, line in enumerate(file, 1):
                yield line.rstrip(b"\r\n")
        except damage as error:
            raise BadRow(f"{path}:{number + 1}", "", f"the compressed file is cut or damaged here ({error})") from None


def _damage() -> tuple[type[Exception], ...]:
    """What the decompressors raise on cut or damaged bytes."""
    from backports import zstd

    kinds: list[type[Exception]] = [EOFError, gzip.BadGzipFile, zlib.error, zstd.ZstdError]
    try:
        from isal import isal_zlib

        kinds.append(isal_zlib.IsalError)  # type: ignore[arg-type]
    except ImportError:
        pass
    return tuple(kinds)


def _open_binary(path: Path) -> IO[bytes]:
    if path.suffix == ".gz":
        try:
            from isal import igzip

            return cast("IO[bytes]", igzip.open(path, "rb"))  # type: ignore[no-untyped-call]
        except ImportError:
            return gzip.open(path, "rb")  # type: ignore[return-value]
    if path.suffix == ".zst":
        # Not `zstandard`: its reader returns a cut file without an error.
        from backports import zstd

        return zstd.open(path, "rb")  # type: ignore[return-value]
    return open(path, "rb")


def parse_row(line: bytes, row_type: type[Row], where: str) -> Row:
    """One record from one line; BadRow names `where`, the field and what was expected."""
    try:
        return row_type.model_validate_json(line)
    except ValidationError as error:
        field, expected = explain(error)
        raise BadRow(where, field, expected, line[:200].decode("utf-8", "replace")) from None


def read_record(line: bytes, where: str) -> Problem | Solution:
    """A Problem or a Solution, told apart by the field that only solutions have."""
    if b'"response":' in line:
        return parse_row(line, Solution, where)
    return parse_row(line, Problem, where)


def read_rows(directory: Path, names: Iterable[str]) -> Iterator[Problem | Solution]:
    """The records of these shards of a stage directory, in order."""
    for name in names:
        path = directory / name
        for number, line in enumerate(open_lines(path), 1):
            yield read_record(line, f"{path}:{number}")


def read_dropped(directory: Path) -> Iterator[Dropped]:
    """The rows that a stage put aside."""
    yield from _side(directory / DROPPED, Dropped)


def read_failed(directory: Path) -> Iterator[Failed]:
    """The rows that a stage could not work on."""
    yield from _side(directory / FAILED, Failed)


def _side(path: Path, row_type: type[Row]) -> Iterator[Row]:
    if path.exists():
        for number, line in enumerate(open_lines(path), 1):
            yield parse_row(line, row_type, f"{path}:{number}")


def to_line(row: BaseModel) -> bytes:
    """A record as one JSON line with its line end."""
    return row.model_dump_json().encode("utf-8", "surrogatepass") + b"\n"


def to_json_line(row: Mapping[str, Any]) -> bytes:
    """A plain mapping as one JSON line with its line end."""
    return orjson.dumps(row) + b"\n"


@contextmanager
def atomic(path: Path) -> Iterator[IO[bytes]]:
    """A binary file that appears under its name whole and synced, or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with open(temporary, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        sync_directory(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_json(path: Path, value: Any) -> None:
    """A pydantic model or plain value as indented JSON, atomically."""
    plain = value.model_dump(mode="json") if isinstance(value, BaseModel) else value
    with atomic(path) as file:
        file.write(orjson.dumps(plain, option=orjson.OPT_INDENT_2) + b"\n")


def sync_directory(path: Path) -> None:
    """Make renames in a directory survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def seal(path: Path) -> FileSeal:
    """Rows (line ends), bytes and xxh3-64 of a file as it is now."""
    digest, rows, size = xxhash.xxh3_64(), 0, 0
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
            rows += block.count(b"\n")
            size += len(block)
    return FileSeal(file=path.name, rows=rows, bytes=size, xxh3=digest.hexdigest())


def check_seals(directory: Path, manifest: Manifest) -> None:
    """RunError naming the first file of a finished stage that is not as it was written."""
    for sealed in [*manifest.shards, *manifest.files]:
        path = directory / sealed.file
        if not path.exists():
            raise RunError(f"{path}: missing, though its stage was finished; restore it or delete {directory}")
        now = seal(path)
        if now.xxh3 != sealed.xxh3:
            raise RunError(
                f"{path}: edited after it was written ({sealed.rows} rows, {sealed.bytes} bytes then; "
                f"{now.rows} rows, {now.bytes} bytes now); restore it or delete {directory}"
            )
