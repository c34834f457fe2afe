# id: 324
# name: inflates
# kind: hostile
# threat: a small compressed text that becomes gigabytes
# expect: memory|error|timeout
# wall_s: 10
import zlib

squeeze = zlib.compressobj(9)
small = b"".join(squeeze.compress(bytes(1 << 20)) for _ in range(800)) + squeeze.flush()
print(len(zlib.decompress(small)))
