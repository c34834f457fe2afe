"""What a program may use, and what is said of it afterwards."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mathsynth.sandbox.runner import NOT_BEGUN, OUT_OF_MEMORY

VERSION = 3
"""Raised when the same program may get another result; part of what names a stored result."""

Status = Literal["ok", "error", "timeout", "memory", "output_limit", "denied", "crash", "infra_error"]
TIERS = ("rlimits", "command", "wasm", "seccomp-noopen", "kernel", "namespaces+kernel")
"""From the weakest on."""

SOURCE_BYTES, OUTPUT_BYTES = 64 << 10, 64 << 10
STDOUT_KEPT, STDERR_KEPT, ANSWER_CHARS = 16 << 10, 4 << 10, 4096
ESCAPED = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}
"""For `str.translate`: a text in which nothing does anything to a terminal."""


class Limits(BaseModel):
    """What one program may use. All of it is part of what names its result."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cpu_s: float = Field(default=5.0, ge=1, le=3600)
    """Seconds of processor time."""
    wall_s: float = Field(default=15.0, gt=0, le=7200)
    """Seconds by the clock, for programs that sleep."""
    memory_mb: int = Field(default=512, ge=16)
    """MiB beyond what the interpreter and its libraries take."""


class Config(Limits):
    """A recipe's `sandbox:`."""

    require: Literal["seccomp-noopen", "kernel", "namespaces+kernel"] = Field(default="seccomp-noopen", exclude=True)
    """The weakest tier that may be used (tuning)."""
    command: str | None = Field(default=None, min_length=1, exclude=True)
    """A wrapper of your own that isolates, such as `docker run --rm -i --network none IMAGE`; one start a program. Its
    Python must be 3.11 or newer (tuning)."""
    wasm: bool = Field(default=False, exclude=True)
    """Run programs in WebAssembly (the extra `wasm`), for machines that have nothing of the above (tuning)."""
    unsafe: bool = Field(default=False, exclude=True)
    """Run programs of a model with nothing but limits, where this machine offers no more (tuning)."""
    workers: int | None = Field(default=None, ge=1, exclude=True)
    """Programs at once; by default the cores that this process may use (tuning)."""

    @model_validator(mode="after")
    def _one_way(self) -> Config:
        """At most one way that is not the machine's own."""
        chosen = [name for name in ("command", "wasm", "unsafe") if getattr(self, name)]
        if len(chosen) > 1:
            raise ValueError(f"{' and '.join(chosen)} exclude each other")
        return self

    @property
    def limits(self) -> Limits:
        """The limits alone."""
        return Limits(cpu_s=self.cpu_s, wall_s=self.wall_s, memory_mb=self.memory_mb)


@dataclass(frozen=True)
class Result:
    """What became of a program. Only `ok` counts; the finer labels of the others are hints."""

    status: Status
    answer: str = ""
    """The last line of stdout that is not empty, if the program ended well."""
    stdout: str = ""
    """The end of it."""
    stderr: str = ""
    """The end of it."""
    blocks: tuple[str, ...] = ()
    """What each block printed, the last one's up to where the program ended."""
    cpu_s: float = 0.0
    wall_s: float = 0.0
    memory_mb: float = 0.0
    """The most that was resident, the interpreter's share included."""
    tier: str = ""
    reason: str = ""
    """Why it is not `ok`, in words."""


def reason_of(result: Result, limits: Limits) -> str:
    """Why a program did not end well, as far as this process knows."""
    match result.status:
        case "ok":
            return ""
        case "timeout" if result.wall_s >= limits.wall_s:
            return f"more than {limits.wall_s:g} s by the clock"
        case "timeout":
            return f"more than {limits.cpu_s:g} s of processor time"
        case "memory":
            return f"more than {limits.memory_mb} MiB of memory"
        case "output_limit":
            return f"more than {OUTPUT_BYTES:,} bytes of output"
        case "denied":
            return "it asked for what the sandbox forbids (a process, a socket, a file to write …)"
        case "crash":
            return "the interpreter crashed"
    said = [line for line in result.stderr.splitlines() if line.strip()]
    no_fault = "not the program's fault" if result.status == "infra_error" else "an exit code that is not 0"
    return said[-1].strip()[:200] if said else no_fault


def status_of(wait_status: int, stopped: Status | None, cpu_s: float, limits: Limits) -> Status:
    """The status, from what this process did and what the kernel says. A program can only lower itself."""
    if stopped is not None:
        return stopped
    if os.WIFSIGNALED(wait_status):
        killer = os.WTERMSIG(wait_status)
        if killer == signal.SIGSYS:
            return "denied"
        if killer == signal.SIGXCPU or (killer == signal.SIGKILL and cpu_s >= limits.cpu_s):
            return "timeout"
        if killer in (signal.SIGTERM, signal.SIGHUP):  # a scheduler ends whatever runs in a job
            return "infra_error"
        return "memory" if killer == signal.SIGKILL else "crash"
    ends: dict[int, Status] = {0: "ok", OUT_OF_MEMORY: "memory", NOT_BEGUN: "infra_error"}
    return ends.get(os.WEXITSTATUS(wait_status), "error")


def report(
    status: Status, outputs: Sequence[bytes], said: bytes, *, cpu_s: float = 0.0, wall_s: float, memory_mb: float = 0.0
) -> Result:
    """The result of a run that printed `outputs`, one a block, and complained `said`."""
    blocks = tuple(_text(output) for output in outputs)
    printed = "".join(blocks)
    lines = [line.strip() for line in printed.split("\n") if line.strip()] if status == "ok" else []
    return Result(
        status,
        answer=lines[-1][:ANSWER_CHARS] if lines else "",
        stdout=printed[-STDOUT_KEPT:],
        stderr=_text(said)[-STDERR_KEPT:],
        blocks=blocks,
        cpu_s=round(cpu_s, 4),
        wall_s=round(wall_s, 4),
        memory_mb=round(memory_mb, 1),
    )


def _text(data: bytes) -> str:
    """What was printed, as text that does nothing to a terminal."""
    return data.decode("utf-8", "replace").replace("\r\n", "\n").translate(ESCAPED)


def default_workers(limits: Limits) -> int:
    """Cores that this process may use, as far as half of the memory lasts; a container's limits count."""
    cores: float = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    cores = min(cores, int(os.environ.get("SLURM_CPUS_PER_TASK") or cores))
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft != resource.RLIM_INFINITY:
        memory = min(memory, soft)
    match _cgroup("cpu.max"), _cgroup("memory.max"):
        case [quota, period], [most]:
            cores = min(cores, int(quota) / int(period)) if quota != "max" else cores
            memory = min(memory, int(most)) if most != "max" else memory
    return max(1, min(int(cores), int(memory / 2 / (limits.memory_mb << 20))))


def _cgroup(name: str) -> list[str]:
    """The words of a limit that a container (cgroup v2) sets this process."""
    try:
        return Path("/sys/fs/cgroup", name).read_text().split()
    except OSError:
        return []
