# id: 365
# name: nameless_file
# kind: hostile
# threat: a file without a name, filled, then linked to one
# expect: error|denied
# invariants: no_new_files
# wall_s: 2
import os

handle = os.open("/tmp", os.O_TMPFILE | os.O_RDWR)
os.write(handle, bytes(1 << 20))
os.link(f"/proc/self/fd/{handle}", "@CANARY_DIR@/ms_hostile_linked")
print("linked")
