"""Model servers of our own: the commands that a recipe's `serve` says, started, waited for, started again, stopped.

The first request to a model starts its servers, all at once, and they live as long as the run. A thread keeps each one
up; whoever sends requests asks `Servers.waiting` first. Requests and the choice between servers are the business of
`calls.py` and `backends/openai.py`. None outlives this process, however it ends.
"""

from __future__ import annotations

import contextlib
import http.client
import itertools
import os
import random
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from mathsynth.errors import BackendError, Stopped, UsageError
from mathsynth.guard import Guard

HOST = "127.0.0.1"
PORTS = range(20_000, 32_000)
"""Below those that Linux gives to clients: to connect to one of these while its server is down may take the port."""
POLL_S, ANSWER_S, LOOK_S = 0.2, 5.0, 10.0
BACKOFF_FIRST_S, BACKOFF_MAX_S = 1.0, 60.0
GRACE_S = 15.0
"""Seconds from SIGTERM to SIGKILL."""
LOG_TAIL, LOG_LINES, LOG_LINE = 64_000, 3, 240
"""Bytes of a log that are looked at, lines of it that a message repeats, and characters of each."""
FAULT = re.compile(r"(\w*(?:Error|Exception|error): .*)")


class Serve(BaseModel):
    """How to start the servers of a model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    command: str
    """The server's command line, without a shell; `{model}` and `{port}` are filled in."""
    replicas: Annotated[int, Field(ge=1)] | Literal["auto"] = 1
    """How many servers; `auto`: as many as there are GPUs for."""
    gpus_each: int | None = Field(default=None, ge=0)
    """GPUs of each server, by its own CUDA_VISIBLE_DEVICES. By default one server sees all GPUs and several have one
    each, where there are any; 0: all see all."""
    ready_path: str = Field(default="/health", pattern=r"^/")
    """Answers 200 once the model is loaded."""
    start_timeout_s: float = Field(default=1800, gt=0)
    """Seconds until a server that is not ready counts as failed."""
    hung_timeout_s: float = Field(default=300, gt=0)
    """Seconds without an answer at `ready_path` after which a server is killed and started again."""
    restarts: int = Field(default=5, ge=0)
    """How often a server is started again without any answer of the model between; then the run stops with exit 3."""
    env: dict[str, str | int | float] = Field(default_factory=dict)
    """Further environment variables."""

    @field_validator("command")
    @classmethod
    def _can_be_filled_in(cls, value: str) -> str:
        if not any("{port}" in word for word in shlex.split(value)):
            raise ValueError("must say where its port goes: {port}")
        return value


class Fleet:
    """All servers of one run: a `with` block that leaves none behind, however it is left."""

    def __init__(
        self, logs: Path, say: Callable[[str], None] = lambda line: None, redact: Callable[[str], str] = str
    ) -> None:
        """What a server writes goes to `logs`/<model>-<number>.log; `redact` takes secrets out of what we quote."""
        self.logs, self.say, self.redact = logs, say, redact
        self.closing = threading.Event()
        self._of: dict[str, Servers] = {}
        self._started: list[Server] = []
        self._ports = iter(_free_ports())
        self._gpus: list[str] | None = None
        self._gpus_taken = 0
        self._guard: Guard | None = None

    def servers(self, name: str, model: str, serve: Serve) -> Servers:
        """Those of a model, by its name in the recipe; started when they are first asked for."""
        if name not in self._of:
            self._of[name] = Servers(name, model, serve, self)
        return self._of[name]

    def launch(self, name: str, model: str, serve: Serve) -> list[Server]:
        """Begin to start the servers of a model. UsageError if there is no such command or not GPUs enough."""
        words = shlex.split(serve.command)
        # Beside our Python stands what was installed with it, even where that environment was not activated.
        path = os.pathsep.join([os.environ.get("PATH", os.defpath), os.path.dirname(sys.executable)])
        environment = os.environ | {"PATH": path} | {key: str(value) for key, value in serve.env.items()}
        if shutil.which(words[0], path=environment["PATH"]) is None:
            raise UsageError(f"serve of {name}: there is no command {words[0]!r}")
        gpus = self._take_gpus(name, serve)
        self._guard = self._guard or Guard()
        self.logs.mkdir(parents=True, exist_ok=True)
        servers = [
            Server(
                label=f"{name}-{number}",
                serve=serve,
                command=[word.replace("{model}", model).replace("{port}", str(port)) for word in words],
                environment=environment | ({"CUDA_VISIBLE_DEVICES": ",".join(visible)} if visible else {}),
                port=port,
                log=self.logs / re.sub(r"[^\w.-]", "_", f"{name}-{number}.log"),
                guard=self._guard,
                closing=self.closing,
                redact=self.redact,
            )
            for number, (visible, port) in enumerate(zip(gpus, self._ports, strict=False))
        ]
        self._started += servers
        for server in servers:
            server.keep()
        self.say(f"starting {_count(len(servers))} of {name}; what they write is in {self.logs}")
        return servers

    def _take_gpus(self, name: str, serve: Serve) -> list[list[str]]:
        """The GPUs of each server of a model; those of an earlier model are taken."""
        if not serve.gpus_each and serve.replicas == 1:
            return [[]]
        if self._gpus is None:
            self._gpus = visible_gpus()
        each = serve.gpus_each if serve.gpus_each is not None else min(1, len(self._gpus))
        free = self._gpus[self._gpus_taken :]
        count = max(1, len(free) // max(1, each)) if serve.replicas == "auto" else serve.replicas
        if count * each > len(free):
            others = f" ({self._gpus_taken} are other models')" if self._gpus_taken else ""
            raise UsageError(
                f"serve of {name}: {count} x {each} GPUs wanted, but there are {len(free)} to be had here{others}; "
                "see replicas and gpus_each"
            )
        self._gpus_taken += count * each
        return [free[number * each : (number + 1) * each] for number in range(count)]

    def close(self) -> None:
        """Stop them all: SIGTERM, and SIGKILL for those that don't mind it or have not begun to serve."""
        self.closing.set()
        for server in self._started:
            server.send(signal.SIGTERM if server.up else signal.SIGKILL)
        until = time.monotonic() + GRACE_S
        for server in self._started:
            server.thread.join(max(0.0, until - time.monotonic()))
            server.send(signal.SIGKILL)
        for server in self._started:
            server.thread.join(GRACE_S)
        if self._guard is not None:
            self._guard.close()

    def __enter__(self) -> Fleet:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Servers:
    """The servers of one model: none before the first call of `waiting`."""

    def __init__(self, name: str, model: str, serve: Serve, fleet: Fleet) -> None:
        self.all: list[Server] = []
        self._name, self._model, self._serve, self._fleet = name, model, serve, fleet

    @property
    def urls(self) -> tuple[str, ...]:
        """Their addresses, as `base_url` has them. They stay when a server is started again."""
        return tuple(f"http://{HOST}:{server.port}/v1" for server in self.all)

    def waiting(self) -> str:
        """Why nothing can be asked now, empty if it can: at first all must be there, later one.

        UsageError or BackendError if one doesn't start, Stopped if one ended too often.
        """
        if not self.all:
            self.all = self._fleet.launch(self._name, self._model, self._serve)
        for server in self.all:
            while server.news:
                self._fleet.say(server.news.pop(0))
            if server.failure is not None:
                raise server.failure
        down = [server for server in self.all if not server.up]
        begun = all(server.was_up for server in self.all)
        if not down or (begun and len(down) < len(self.all)):
            return ""
        seconds = time.monotonic() - min(server.since for server in down)
        return f"{'restarting' if begun else 'starting'} {_count(len(down))} of {self._name} ({seconds:.0f} s)"

    def answered(self) -> None:
        """The model answered a request."""
        for server in self.all:
            server.restarts = 0


@dataclass
class Server:
    """One server and those started in its place, kept up by a thread, which alone writes the fields below `redact`."""

    label: str
    serve: Serve
    command: list[str]
    environment: dict[str, str]
    port: int
    log: Path
    guard: Guard
    closing: threading.Event
    redact: Callable[[str], str]
    up: bool = False
    was_up: bool = False
    since: float = field(default_factory=time.monotonic)
    """When it was last down."""
    restarts: int = 0
    """Since the model's last answer, at which others set it to 0."""
    failure: Exception | None = None
    """Why it is not started again."""
    news: list[str] = field(default_factory=list)
    """Lines for the user."""

    def __post_init__(self) -> None:
        self.thread = threading.Thread(target=self._keep, name=f"server {self.label}", daemon=True)
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._written = 0

    def keep(self) -> None:
        """Start it, and again whenever it ends, until the fleet closes."""
        self.thread.start()

    def send(self, number: signal.Signals) -> None:
        """A signal to it and all that it started, if it runs."""
        with self._lock:
            if self._process is not None and self._process.returncode is None:
                _signal_group(self._process.pid, number)

    def _keep(self) -> None:
        in_vain = 0
        try:
            while (process := self._launch()) is not None:
                self.up = self._becomes_ready(process)
                self.was_up = self.was_up or self.up
                in_vain = 0 if self.up else in_vain + 1
                code = self._serves(process)
                self.up, self.since = False, time.monotonic()
                _signal_group(process.pid, signal.SIGKILL)  # what it left behind may hold the GPU
                if self.closing.is_set():
                    return
                end = self.redact(self._end(code))
                if not self.was_up:
                    raise BackendError(f"server {self.label} ended before it was ready, {end}", fatal=True)
                if self.restarts >= self.serve.restarts:
                    raise Stopped(f"server {self.label} ended, after {self.restarts} restarts without an answer, {end}")
                self.restarts += 1
                self.news.append(f"server {self.label} ended and is started again, {end}")
                self.closing.wait(min(BACKOFF_MAX_S, BACKOFF_FIRST_S * 2 ** min(in_vain, 10)))
        except Exception as error:  # noqa: BLE001
            # A boundary: it is raised where requests wait for this server.
            self.failure = error

    def _launch(self) -> subprocess.Popen[bytes] | None:
        with self._lock, self.log.open("ab") as log:
            if self.closing.is_set():
                return None
            gpus = self.environment.get("CUDA_VISIBLE_DEVICES", "as they are")
            now = datetime.now(UTC).isoformat(timespec="seconds")
            log.write(f"=== {now} server {self.label}, port {self.port}, CUDA_VISIBLE_DEVICES {gpus}\n".encode())
            log.flush()
            self._written = log.tell()
            self._process = subprocess.Popen(
                self.command,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Ctrl-C in the terminal is for us; and what it starts can be found by its session.
                start_new_session=True,
            )
            self.guard.watch(self._process.pid)
            return self._process

    def _becomes_ready(self, process: subprocess.Popen[bytes]) -> bool:
        """Wait for its first answer; whether it came. One that takes too long is killed."""
        until = time.monotonic() + self.serve.start_timeout_s
        while process.poll() is None:
            if self._answers():
                return True
            if time.monotonic() > until:
                self.news.append(f"server {self.label} is killed: not ready within {self.serve.start_timeout_s:g} s")
                _signal_group(process.pid, signal.SIGKILL)
                return False
            self.closing.wait(POLL_S)
        return False

    def _serves(self, process: subprocess.Popen[bytes]) -> int:
        """Wait for its end: the exit code. One that is up and answers no more is killed."""
        heard = time.monotonic()
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                return process.wait(min(LOOK_S, self.serve.hung_timeout_s / 4))
            if self._answers():
                heard = time.monotonic()
            elif time.monotonic() - heard > self.serve.hung_timeout_s and process.poll() is None:
                self.news.append(f"server {self.label} is killed: no answer for {self.serve.hung_timeout_s:g} s")
                _signal_group(process.pid, signal.SIGKILL)

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection(HOST, self.port, timeout=ANSWER_S)
        try:
            connection.request("GET", self.serve.ready_path)
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _end(self, code: int) -> str:
        """How it ended, with what it wrote of it."""
        with self.log.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(self._written, size - LOG_TAIL))
            written = file.read().decode(errors="replace")
        lines = [" ".join(line.split()) for line in written.splitlines() if line.strip()]
        faults = [found[1] for line in lines if (found := FAULT.search(line))]
        # Of the errors that a failed start leaves the first is the cause, and all others are of those who waited.
        told = list(dict.fromkeys([faults[0], faults[-1]])) if faults and code > 0 else lines[-LOG_LINES:]
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        quoted = " | ".join(line[:LOG_LINE] for line in told) or "nothing"
        return f"{how}; {self.log.parent.name}/{self.log.name} says: {quoted}"


def visible_gpus() -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is not None:
        # As CUDA reads it: what follows an entry that is none is not seen.
        return list(itertools.takewhile(lambda name: name not in ("", "-1"), map(str.strip, given.split(","))))
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=60)
        return [str(number) for number in range(sum(line.startswith("GPU ") for line in listed.stdout.splitlines()))]
    return []


def _free_ports() -> Iterator[int]:
    """Ports on which nobody listens, none twice. By chance, so that runs on one machine rarely meet."""
    for port in random.sample(PORTS, len(PORTS)):
        with socket.socket() as probe:
            try:
                probe.bind(("", port))
            except OSError:
                continue
        yield port
    raise BackendError(f"no port from {PORTS[0]} to {PORTS[-1]} is free", fatal=True)


def _signal_group(leader: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, number)


def _count(servers: int) -> str:
    return "a server" if servers == 1 else f"{servers} servers"
