# id: 382
# name: keeps_keys
# kind: hostile
# threat: a key in the kernel that outlives the program
# expect: denied|error
# wall_s: 2
import ctypes
import platform

number = {"x86_64": 248, "aarch64": 217}[platform.machine()]
libc = ctypes.CDLL(None, use_errno=True)
if libc.syscall(number, b"user", b"ms_hostile", b"kept", 4, -4) < 0:
    raise OSError(ctypes.get_errno(), "add_key")
print("kept")
