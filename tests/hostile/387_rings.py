# id: 387
# name: rings
# kind: hostile
# threat: system calls by a ring that no filter sees
# expect: denied|error
# invariants: no_connect
# wall_s: 2
import ctypes

libc = ctypes.CDLL(None, use_errno=True)
ring = libc.syscall(425, 8, ctypes.create_string_buffer(120))
if ring < 0:
    raise OSError(ctypes.get_errno(), "io_uring_setup")
print("ring", ring)
