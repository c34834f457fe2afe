# id: 340
# name: kills_groups
# kind: hostile
# threat: signals the group of its parent and its own
# expect: denied|error|crash|memory
# invariants: parent_alive
# wall_s: 2
import contextlib
import os
import signal

with contextlib.suppress(OSError):
    os.killpg(os.getpgid(os.getppid()), signal.SIGKILL)
with contextlib.suppress(OSError):
    os.kill(-os.getpgid(os.getppid()), signal.SIGKILL)
os.killpg(0, signal.SIGTERM)
