# id: 314
# name: double_free
# kind: hostile
# threat: frees a block twice: libc aborts
# expect: crash
# wall_s: 2
import ctypes

libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
block = libc.malloc(4096)
for _ in range(10):
    libc.free(block)
print("still here")
libc.abort()
