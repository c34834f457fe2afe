# id: 351
# name: scans_memory
# kind: hostile
# threat: looks for other programs' text in all memory that it inherited, the freed part too
# expect: ok|error|denied|timeout
# invariants: no_secret
# wall_s: 20
# note: the mark is put together, so that this text is not what is found; writing to a pipe tells what can be read
import ctypes
import os

CHUNK, REACH = 1 << 16, 1 << 27
libc = ctypes.CDLL(None)
libc.write.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t]
reads, writes = os.pipe()
os.set_blocking(reads, False)
mark = b"SECR" + b"ET_"
places = [id(object()), id([0] * 100_000), id(b"x" * 3000), id(os), id(ctypes), id("a" * 100)]
places += [ctypes.cast(libc.free, ctypes.c_void_p).value, ctypes.addressof(ctypes.c_int())]
seen, read = set(), 0
for place in places:
    for start in range((place & -CHUNK) - REACH, (place & -CHUNK) + REACH, CHUNK):
        if start in seen or libc.write(writes, start, CHUNK) <= 0:
            continue
        seen.add(start)
        text = os.read(reads, CHUNK)
        read += len(text)
        at = text.find(mark)
        while at >= 0:
            print(text[at : at + 60])
            at = text.find(mark, at + 1)
print(read >> 20, "MiB read")
