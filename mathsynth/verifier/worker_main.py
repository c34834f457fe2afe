"""The process that compares what the fast path could not: one request a line in, one finding a line out.

Started by worker.py with this module's path and limits in its arguments. It never runs text, holds a memory limit,
and an alarm with the default action ends it if a comparison outlives its deadline by a second and nobody is left
to kill it. The end of its input ends it.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import sys

from mathsynth.verifier.judge import judge
from mathsynth.verifier.libraries import digits
from mathsynth.verifier.policy import Policy


def main() -> None:
    """Answer requests until the input ends."""
    policy = Policy.model_validate_json(sys.argv[1])
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    sys.setrecursionlimit(60_000)
    digits(60)  # import mpmath before the first request
    _limit(resource.RLIMIT_AS, policy.memory_mb << 20)
    _limit(resource.RLIMIT_CORE, 0)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for line in sys.stdin:
        reference, answer = json.loads(line)
        signal.setitimer(signal.ITIMER_REAL, policy.deadline_s + 1)
        reply: list[object]
        try:
            reply = list(judge(reference, answer, policy, slow=True))
        except MemoryError:
            reply = [None, "memory", f"more than {policy.memory_mb} MiB were needed"]
        except RecursionError:
            reply = [None, "guard", "nested too deeply"]
        except Exception as error:  # noqa: BLE001 the boundary: one bad comparison must not end the worker or the run
            reply = [None, "error", f"{type(error).__name__}: {error}"[:200]]
        signal.setitimer(signal.ITIMER_REAL, 0)
        sys.stdout.write(json.dumps(reply) + "\n")
        sys.stdout.flush()
        if reply[1] == "memory":
            os._exit(0)


def _limit(which: int, size: int) -> None:
    hard = resource.getrlimit(which)[1]
    with contextlib.suppress(ValueError):  # macOS has maps larger than any limit, and refuses this one
        resource.setrlimit(which, (size if hard == resource.RLIM_INFINITY else min(size, hard), hard))
