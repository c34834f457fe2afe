# id: 386
# name: own_namespaces
# kind: hostile
# threat: a user namespace, where it would be root
# expect: denied|error
# wall_s: 2
import ctypes

libc = ctypes.CDLL(None, use_errno=True)
if libc.unshare(0x10000000) != 0:
    raise OSError(ctypes.get_errno(), "unshare")
print("root")
