# id: 315
# name: overwrites_interpreter
# kind: hostile
# threat: writes over the type of None
# expect: crash|error|timeout
# wall_s: 2
import ctypes

print(42, flush=True)
ctypes.memset(id(type(None)), 0xFF, 512)
print(repr(None))
ctypes.string_at(8)
