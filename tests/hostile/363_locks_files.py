# id: 363
# name: locks_files
# kind: hostile
# threat: locks library files, on which other processes may wait
# expect: error|denied
# wall_s: 2
import fcntl
import os

handle = os.open(os.__file__, os.O_RDONLY)
fcntl.flock(handle, fcntl.LOCK_EX)
fcntl.lockf(handle, fcntl.LOCK_SH)
print("locked")
