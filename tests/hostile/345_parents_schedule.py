# id: 345
# name: parents_schedule
# kind: hostile
# threat: makes its parent idle: scheduler, priority, priority of input and output
# expect: error|denied
# invariants: parent_alive
# wall_s: 2
import contextlib
import os

done = []
with contextlib.suppress(OSError):
    os.sched_setscheduler(os.getppid(), os.SCHED_IDLE, os.sched_param(0))
    done.append("scheduler")
with contextlib.suppress(OSError):
    os.setpriority(os.PRIO_PROCESS, os.getppid(), 19)
    done.append("priority")
with contextlib.suppress(OSError):
    os.setpriority(os.PRIO_USER, os.getuid(), 19)
    done.append("user")
raise SystemExit(f"changed {done}")
