# id: 362
# name: writes_through_a_map
# kind: hostile
# threat: maps a library file for writing
# expect: error|denied
# invariants: library_intact
# wall_s: 2
import mmap
import os

handle = os.open(os.__file__, os.O_RDONLY)
mmap.mmap(handle, 0, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)[0] = 35
print("written")
