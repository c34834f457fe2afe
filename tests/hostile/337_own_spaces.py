# id: 337
# name: own_spaces
# kind: hostile
# threat: namespaces of its own: in a new user namespace it would be root
# expect: denied|error
# invariants: not_out=apart,parent_alive
# wall_s: 2
import ctypes

libc = ctypes.CDLL(None, use_errno=True)
for flags in (0x10000000, 0x40000000, 0x00020000, 0x10000000 | 0x40000000 | 0x00020000):
    if libc.unshare(flags) == 0:
        print("apart", flags)
raise SystemExit("refused")
