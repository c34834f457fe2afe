# id: 343
# name: signals_by_owner
# kind: hostile
# threat: makes its parent own a pipe's signals (F_SETOWN_EX), and its group (a negative F_SETOWN)
# expect: error|denied
# invariants: parent_alive
# wall_s: 2
import contextlib
import fcntl
import os
import struct

F_SETSIG, F_SETOWN_EX, F_OWNER_PID = 10, 15, 1
reads, writes = os.pipe()
for change in (
    lambda: fcntl.fcntl(reads, F_SETOWN_EX, struct.pack("ii", F_OWNER_PID, os.getppid())),
    lambda: fcntl.fcntl(reads, fcntl.F_SETOWN, os.getppid()),
    lambda: fcntl.fcntl(reads, fcntl.F_SETOWN, -os.getpgid(os.getppid())),
    lambda: fcntl.fcntl(reads, F_SETSIG, 9),
    lambda: fcntl.fcntl(reads, fcntl.F_SETFL, os.O_ASYNC),
):
    with contextlib.suppress(OSError):
        change()
os.write(writes, b"now")
raise SystemExit("done")
