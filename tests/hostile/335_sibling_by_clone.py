# id: 335
# name: sibling_by_clone
# kind: hostile
# threat: a child that counts as its parent's (CLONE_PARENT): nobody waits for it
# expect: denied|crash
# invariants: no_survivors,parent_alive
# wall_s: 2
import ctypes
import platform
import time

CLONE_PARENT, SIGCHLD = 0x8000, 17
number = {"x86_64": 56, "aarch64": 220}[platform.machine()]
pid = ctypes.CDLL(None).syscall(number, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0)
if pid == 0:
    time.sleep(30)
print("cloned", pid)
