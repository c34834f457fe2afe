"""The reply journals: every finished model reply of a stage, found again by the hash of its request.

`replies/<step>/00000.jsonl …`, append-only. A reply is one `os.write` of one line, so `kill -9` loses only requests
in flight; `fdatasync` every 100 replies or second bounds what a power cut can take. Opening repairs: a torn last line
is cut off and its request asked again. When the stage is done the files are packed to `.jsonl.zst`; opening unpacks.
One writer a file; the folder's name has no config hash, so a changed config finds old replies. Method and
measurements: data_io.md section 5.
"""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import orjson

from mathsynth.errors import BadRow, RunError
from mathsynth.shards import REPLIES, atomic, open_lines, shard_name, sync_directory

log = logging.getLogger(__name__)

ROLL_BYTES = 256 * 2**20
SYNC_ROWS, SYNC_SECONDS = 100, 1.0


class Usage(msgspec.Struct):
    """Of a stored reply."""

    prompt_tokens: int = 0
    completion_tokens: int = 0


class _Reply(msgspec.Struct):
    usage: Usage | None = None


class _Stored(msgspec.Struct):
    reply: _Reply
    model: str = ""


_stored = msgspec.json.Decoder(_Stored).decode


class Journal:
    """The replies of one step. Not for use by two processes at once: the open file is locked."""

    def __init__(self, directory: Path) -> None:
        """Open for reading and appending. RunError if another process holds it or the disk refuses."""
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        # request hash -> (file number, offset of its line)
        self._index: dict[str, tuple[int, int]] = {}
        self._readers: dict[int, int] = {}
        self._unclaimed: set[str] = set()
        for packed in sorted(directory.glob("*.jsonl.zst")):
            _unpack(packed)
        plain = sorted(directory.glob("*.jsonl"))
        for path in plain:
            self._load(path)
        self._number = len(plain) - 1 if plain else 0
        self._open()

    def __len__(self) -> int:
        return len(self._index)

    def __contains__(self, key: str) -> bool:
        return key in self._index

    @property
    def end(self) -> tuple[int, int]:
        """Where the next reply will stand: file number and offset."""
        return self._number, self._size

    def since(self, end: tuple[int, int]) -> None:
        """The replies from this `end` on were asked for by interrupted attempts at what is done now: see `claim`."""
        self._unclaimed = {key for key, place in self._index.items() if place >= end}

    def claim(self, key: str) -> bool:
        """Whether an interrupted attempt asked for this reply; true once, so that it can be counted as asked for."""
        if key not in self._unclaimed:
            return False
        self._unclaimed.remove(key)
        return True

    def get(self, key: str) -> dict[str, Any] | None:
        """The stored reply of a request hash, or None."""
        if (place := self._index.get(key)) is None:
            return None
        reply: dict[str, Any] = orjson.loads(self._read_line(*place))["reply"]
        return reply

    def put(self, key: str, reply: dict[str, Any], model: str = "") -> None:
        """Append a finished reply of `model`; it survives a kill of this process from here on."""
        line = orjson.dumps({"key": key, "model": model, "reply": reply}) + b"\n"
        try:
            written = os.write(self._file, line)
            if written != len(line):
                raise OSError(28, "No space left on device")
        except OSError as error:
            os.ftruncate(self._file, self._size)
            raise RunError(
                f"{self._path}: {error.strerror}; free some space and run the same command again to go on"
            ) from None
        self._index[key] = (self._number, self._size)
        self._size += len(line)
        self._unsynced += 1
        if self._unsynced >= SYNC_ROWS or time.monotonic() - self._synced > SYNC_SECONDS:
            self.sync()
        if self._size > ROLL_BYTES:
            self._roll()

    def sync(self) -> None:
        """Bring what was appended to the disk. A failed sync is never retried: the run stops."""
        try:
            os.fdatasync(self._file)
        except OSError as error:
            raise RunError(f"{self._path}: could not be synced ({error.strerror}); the run stops here") from None
        self._unsynced, self._synced = 0, time.monotonic()

    def close(self, compress: bool = False) -> None:
        """Sync and release; with `compress`, pack the plain files."""
        self.sync()
        os.close(self._file)
        for handle in self._readers.values():
            os.close(handle)
        self._readers.clear()
        for path in sorted(self.directory.glob("*.jsonl")) if compress else ():
            _pack(path)

    def _open(self) -> None:
        self._path = self.directory / shard_name(self._number)
        self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._file)
            raise RunError(f"{self._path}: another process is writing this run") from None
        sync_directory(self.directory)
        self._size = os.fstat(self._file).st_size
        self._unsynced, self._synced = 0, time.monotonic()

    def _roll(self) -> None:
        self.sync()
        os.close(self._file)
        self._number += 1
        self._open()

    def _load(self, path: Path) -> None:
        """Index a plain file and cut off a torn last line. RunError if a line before the last is not a reply."""
        number, offset = int(path.name.split(".")[0]), 0
        with open(path, "rb+") as file:
            for row, line in enumerate(file, 1):
                try:
                    if not line.endswith(b"\n"):
                        raise ValueError("no line end")
                    self._index[orjson.loads(line)["key"]] = (number, offset)
                except (ValueError, KeyError, TypeError):
                    if file.read(1):
                        raise RunError(
                            f"{path}:{row}: not a reply that mathsynth wrote; restore the file or delete the line"
                        ) from None
                    log.warning("%s:%d: torn last line cut off; its request will be asked again", path, row)
                    file.truncate(offset)
                    os.fsync(file.fileno())
                    return
                offset += len(line)

    def _read_line(self, number: int, offset: int) -> bytes:
        if number not in self._readers:
            self._readers[number] = os.open(self.directory / shard_name(number), os.O_RDONLY | os.O_CLOEXEC)
        handle, line, size = self._readers[number], b"", 4096
        while b"\n" not in line:
            line = os.pread(handle, size, offset)
            if len(line) < size and b"\n" not in line:
                raise RunError(f"{self.directory / shard_name(number)}: cut while in use")
            size *= 8
        return line[: line.index(b"\n")]


def stored_usage(folder: Path) -> Iterator[tuple[str, Usage]]:
    """(model, tokens) of every reply in the journals below a folder, none of which needs to be open."""
    for path in sorted(folder.rglob("*.jsonl*")):
        if path.name.startswith(".") or (path.suffix == ".zst" and path.with_suffix("").exists()):
            continue
        for line in open_lines(path):
            with suppress(msgspec.DecodeError, UnicodeDecodeError):  # a line that a kill tore holds nothing yet
                stored = _stored(line)
                if stored.reply.usage is not None:  # what a program gave has none
                    yield stored.model, stored.reply.usage


class Tokens(NamedTuple):
    """What replies took: all that was sent to models, and all that they said."""

    replies: int = 0
    prompt: int = 0
    completion: int = 0

    @property
    def all(self) -> int:
        """Both together."""
        return self.prompt + self.completion


def spent(directory: Path) -> dict[str, Tokens]:
    """The tokens of all replies by journal, `02-sample`, of a run; by "" in the directory of a single stage.

    Every reply that was paid for is in a journal once: surplus ones, those of earlier settings and of killed attempts.
    """
    try:
        return _spent(directory / REPLIES)
    except FileNotFoundError:  # a live run packed one while it was looked for
        return _spent(directory / REPLIES)


def _spent(replies: Path) -> dict[str, Tokens]:
    steps = sorted(path for path in replies.glob("*") if path.is_dir())
    found = {}
    for folder in steps or [replies]:
        number = prompt = completion = 0
        for _, usage in stored_usage(folder):
            number, prompt = number + 1, prompt + usage.prompt_tokens
            completion += usage.completion_tokens
        if number:
            found[folder.name if steps else ""] = Tokens(number, prompt, completion)
    return found


def knows(folder: Path, model: str) -> bool:
    """Whether one of the journals in a folder begins with a reply of this model."""
    for path in folder.glob("*/[0-9]*.jsonl*"):
        with suppress(ValueError, KeyError, TypeError, OSError, BadRow):
            if orjson.loads(next(open_lines(path), b""))["model"] == model:
                return True
    return False


def _pack(path: Path) -> None:
    from backports import zstd

    if not path.stat().st_size:
        # Packed, nothing becomes a file of no bytes, which reads as one that was cut.
        path.unlink()
        return
    with open(path, "rb") as plain, atomic(path.with_name(path.name + ".zst")) as out:
        with zstd.open(out, "wb", level=3) as packed:
            shutil.copyfileobj(plain, packed, 1 << 20)
    path.unlink()


def _unpack(path: Path) -> None:
    """Back to a plain file, unless a kill fell between packing and removing it."""
    plain = path.with_suffix("")
    if not plain.exists():
        with atomic(plain) as out:
            for line in open_lines(path):
                out.write(line + b"\n")
    path.unlink()
