# id: 366
# name: opens_for_more
# kind: hostile
# threat: opens a device or a pipe for reading, which already does something
# expect: error|denied|ok
# invariants: not_out=opened
# wall_s: 2
import contextlib
import os

for path in ("/dev/tty", "/dev/ptmx", "/dev/kmsg", "/dev/mem", "/dev/fuse", "/dev/kvm"):
    with contextlib.suppress(OSError):
        os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
        print("opened", path)
