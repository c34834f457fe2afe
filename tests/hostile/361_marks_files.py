# id: 361
# name: marks_files
# kind: hostile
# threat: changes mode, owner, times and attributes by name and through a descriptor, of canary and library
# expect: ok|error|denied
# invariants: canary_intact,library_intact
# wall_s: 2
import contextlib
import os

for path in ("@CANARY_FILE@", "@CANARY_DIR@", os.__file__):
    handle = -1
    with contextlib.suppress(OSError):
        handle = os.open(path, os.O_RDONLY)
    for change in (
        lambda: os.chmod(path, 0o777),
        lambda: os.chown(path, os.getuid(), os.getgid()),
        lambda: os.utime(path, (0, 0)),
        lambda: os.setxattr(path, "user.ms_hostile", b"x"),
        lambda: os.fchmod(handle, 0o777),
        lambda: os.fchown(handle, os.getuid(), os.getgid()),
        lambda: os.utime(handle, (0, 0)),
        lambda: os.setxattr(handle, "user.ms_hostile", b"x"),
        lambda: os.ftruncate(handle, 0),
        lambda: os.posix_fallocate(handle, 0, 1 << 20),
    ):
        with contextlib.suppress(OSError):
            change()
