# id: 385
# name: other_machine_mode
# kind: hostile
# threat: goes to 32-bit mode by a far return and ends well there, which only another table of numbers allows
# expect: denied|crash
# invariants: no_survivors,parent_alive
# arch: x86_64
# wall_s: 2
import ctypes

MAP_PRIVATE, MAP_ANONYMOUS, MAP_32BIT, READ_WRITE_EXECUTE = 0x02, 0x20, 0x40, 7
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
base = libc.mmap(None, 4096, READ_WRITE_EXECUTE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0)
# push 0x23; push base + 64; retfq, and there: mov eax, 1; xor ebx, ebx; int 0x80; ud2
enter = bytes.fromhex("6a23") + b"\x68" + (base + 64).to_bytes(4, "little") + bytes.fromhex("48cb")
ctypes.memmove(base, enter, len(enter))
ctypes.memmove(base + 64, bytes.fromhex("b80100000031dbcd800f0b"), 11)
ctypes.CFUNCTYPE(ctypes.c_long)(base)()
print("came back")
