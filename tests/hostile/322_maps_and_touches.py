# id: 322
# name: maps_and_touches
# kind: hostile
# threat: maps memory without reserving it, and touches it
# expect: memory|error|crash|timeout
# wall_s: 2
import mmap

kept = []
while True:
    kept.append(mmap.mmap(-1, 1 << 26, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_NORESERVE))
    for page in range(0, 1 << 26, 4096):
        kept[-1][page] = 1
