# id: 364
# name: writes_everywhere
# kind: hostile
# threat: tries each place where a user can write
# expect: ok|error|denied
# invariants: no_new_files,not_out=made
# wall_s: 2
import contextlib
import os
import sys

for folder in (
    "/tmp",
    "/var/tmp",
    "/dev/shm",
    "/run",
    "/run/lock",
    "/",
    ".",
    "~",
    "@CANARY_DIR@",
    os.path.dirname(os.__file__),
    sys.prefix,
):
    path = os.path.join(os.path.expanduser(folder), "ms_hostile_written")
    for flags in (os.O_CREAT | os.O_WRONLY, os.O_CREAT | os.O_EXCL, os.O_CREAT | os.O_RDWR | os.O_TRUNC, os.O_CREAT):
        with contextlib.suppress(OSError):
            os.open(path, flags, 0o600)
            print("made", path)
