# id: 332
# name: libc_popen
# kind: hostile
# threat: a shell by libc, past everything that Python checks
# expect: denied|error|crash
# invariants: no_survivors,no_new_files
# wall_s: 2
import ctypes

libc = ctypes.CDLL(None)
libc.popen.restype = ctypes.c_void_p
print(libc.popen(b"echo x > @CANARY_DIR@/popen", b"r"))
