# id: 326
# name: full_pipes
# kind: hostile
# threat: memory of the kernel that no limit of address space counts: full pipes and socket pairs
# expect: error|denied
# wall_s: 2
import contextlib
import os
import socket

kept = []
while True:
    reads, writes = os.pipe()
    kept.append((reads, writes, socket.socketpair()))
    for handle in (writes, kept[-1][2][0].fileno()):
        os.set_blocking(handle, False)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(handle, bytes(65536))
