# id: 350
# name: tries_all_descriptors
# kind: hostile
# threat: reads and describes every descriptor it may have inherited
# expect: ok|error|denied
# invariants: no_secret,parent_alive
# wall_s: 2
import contextlib
import os

for handle in range(5, 2048):
    with contextlib.suppress(OSError):
        print(handle, os.fstat(handle))
        os.set_blocking(handle, False)
        print(os.read(handle, 1 << 16))
