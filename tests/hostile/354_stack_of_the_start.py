# id: 354
# name: stack_of_the_start
# kind: hostile
# threat: the environment and arguments as they lie on the stack from when the interpreter was started
# expect: ok|error|crash
# invariants: no_secret
# wall_s: 2
import ctypes

libc = ctypes.CDLL(None)
environ = ctypes.POINTER(ctypes.c_char_p).in_dll(libc, "environ")
found, at = [], 0
while environ and environ[at]:
    found.append(environ[at])
    at += 1
print(found)
start = ctypes.cast(ctypes.c_char_p.in_dll(libc, "program_invocation_name"), ctypes.c_void_p).value
print(ctypes.string_at(start, 512))
