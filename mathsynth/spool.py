"""Rows that wait on disk while a stage looks at all of them: memory holds 8 bytes of each. Nothing stays."""

from __future__ import annotations

import os
import tempfile
from array import array
from pathlib import Path
from typing import Self

from mathsynth.errors import RunError


class Spool:
    """Byte strings by number, in a file without a name: it is gone when closed and when the process is killed."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._file = tempfile.TemporaryFile(dir=directory, buffering=1 << 20)  # noqa: SIM115 - closed in __exit__
        self._directory, self._ends, self._flushed = directory, array("Q", [0]), True

    def __len__(self) -> int:
        return len(self._ends) - 1

    def append(self, data: bytes) -> None:
        """Add one. RunError if the disk is full."""
        try:
            self._file.write(data)
        except OSError as error:
            raise self._refused(error) from None
        self._ends.append(self._ends[-1] + len(data))
        self._flushed = False

    def read(self, number: int) -> bytes:
        """The one that was added as number `number`."""
        if not self._flushed:
            try:
                self._file.flush()
            except OSError as error:
                raise self._refused(error) from None
            self._flushed = True
        start = self._ends[number]
        return os.pread(self._file.fileno(), self._ends[number + 1] - start, start)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._file.close()
        except OSError as error:
            raise self._refused(error) from None

    def _refused(self, error: OSError) -> RunError:
        return RunError(
            f"{self._directory}: {error.strerror}; its rows need room there once more while the stage works"
        )
