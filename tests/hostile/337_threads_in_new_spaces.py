# id: 337
# name: threads_in_new_spaces
# kind: hostile
# threat: a thread with its own network and files (flags that a filter may overlook)
# expect: denied|error|ok
# invariants: not_out=apart,parent_alive
# wall_s: 2
import ctypes
import platform

CLONE = 0x00000100 | 0x00000800 | 0x00010000  # VM, SIGHAND, THREAD
NEWNET, NEWNS = 0x40000000, 0x00020000
libc = ctypes.CDLL(None, use_errno=True)
number = {"x86_64": 56, "aarch64": 220}[platform.machine()]
for extra in (NEWNET, NEWNS):
    if libc.unshare(extra) == 0:
        print("apart", extra)
