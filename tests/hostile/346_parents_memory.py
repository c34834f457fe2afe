# id: 346
# name: parents_memory
# kind: hostile
# threat: reads its parent's memory by libc
# expect: denied|error
# invariants: no_secret,parent_alive
# wall_s: 2
import ctypes
import os


class Span(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


libc = ctypes.CDLL(None, use_errno=True)
room = ctypes.create_string_buffer(4096)
here, there = Span(ctypes.addressof(room), 4096), Span(id(os) & ~4095, 4096)
got = libc.process_vm_readv(os.getppid(), ctypes.byref(here), 1, ctypes.byref(there), 1, 0)
if got < 0:
    raise OSError(ctypes.get_errno(), "process_vm_readv")
print(got, room.raw)
