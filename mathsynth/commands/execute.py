"""`mathsynth exec`: one program in the sandbox."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mathsynth.errors import UsageError
from mathsynth.sandbox.pool import Sandbox
from mathsynth.sandbox.results import Config
from mathsynth.settings import validate


def execute(file: str, say: Callable[[str], None], **settings: Any) -> dict[str, Any]:
    """What became of the program in a file, `-` for stdin. UsageError if it can't be read or run here."""
    config = validate(Config, {"workers": 1, **settings}, ("sandbox",))
    try:
        data = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        source = data.decode()
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{file}: not UTF-8 text (byte {error.start})") from None
    with Sandbox(config, say) as sandbox:
        result = asdict(sandbox.run_now((source,)))
    del result["blocks"]
    return result
