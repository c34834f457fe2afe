# id: 341
# name: libc_sigqueue
# kind: hostile
# threat: queues a signal for its parent by libc
# expect: denied|error
# invariants: parent_alive
# wall_s: 2
import ctypes
import os

libc = ctypes.CDLL(None, use_errno=True)
if libc.sigqueue(os.getppid(), 9, None) != 0:
    raise OSError(ctypes.get_errno(), "sigqueue")
print("queued")
