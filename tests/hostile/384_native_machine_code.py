# id: 384
# name: native_machine_code
# kind: hostile
# threat: a socket by machine code of its own, past every library
# expect: denied
# invariants: no_connect
# arch: x86_64
# wall_s: 2
import ctypes
import mmap

# mov eax, 41; mov edi, 2; mov esi, 1; xor edx, edx; syscall; ret
CODE = bytes.fromhex("b829000000bf02000000be0100000031d20f05c3")
memory = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
memory.write(CODE)
call = ctypes.CFUNCTYPE(ctypes.c_long)(ctypes.addressof(ctypes.c_char.from_buffer(memory)))
print("socket", call())
