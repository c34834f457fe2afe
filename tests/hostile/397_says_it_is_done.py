# id: 397
# name: says_it_is_done
# kind: hostile
# threat: tells through whatever descriptor it finds that its blocks are done, then fails
# expect: error|denied
# invariants: parent_alive
# wall_s: 2
import contextlib
import os

for handle in range(3, 64):
    with contextlib.suppress(OSError):
        os.set_blocking(handle, False)
        os.write(handle, b"." * 10_000)
    with contextlib.suppress(OSError):
        os.read(handle, 1 << 16)
print(42)
raise ValueError("the end")
