# id: 342
# name: signals_by_ioctl
# kind: hostile
# threat: makes its parent own a socket's signals by ioctl (FIOSETOWN, SIOCSPGRP)
# expect: error|denied
# invariants: parent_alive
# wall_s: 2
import contextlib
import fcntl
import os
import socket
import struct

F_SETSIG, SIGKILL = 10, 9
one, other = socket.socketpair()
reached = 0
for request in (0x8901, 0x8902):
    with contextlib.suppress(OSError):
        fcntl.ioctl(one, request, struct.pack("i", os.getppid()))
        reached += 1
with contextlib.suppress(OSError):
    fcntl.fcntl(one, F_SETSIG, SIGKILL)
fcntl.fcntl(one, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)
other.send(b"now")
raise SystemExit(f"own {reached} signals" if reached else "refused")
