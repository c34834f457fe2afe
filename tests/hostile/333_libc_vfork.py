# id: 333
# name: libc_vfork
# kind: hostile
# threat: vfork
# expect: denied|crash|error
# invariants: no_survivors,parent_alive
# wall_s: 2
import ctypes

libc = ctypes.CDLL(None)
child = libc.vfork()
if child == 0:
    libc._exit(0)
print("forked", child)
