# id: 327
# name: memory_file
# kind: hostile
# threat: a file in memory, past the limit of address space
# expect: error|denied
# wall_s: 2
import os

handle = os.memfd_create("ms_hostile")
for _ in range(4096):
    os.write(handle, bytes(1 << 20))
print("written")
