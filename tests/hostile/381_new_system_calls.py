# id: 381
# name: new_system_calls
# kind: hostile
# threat: calls whose numbers are the same on all machines and newer than many filters
# expect: error|denied|ok
# invariants: no_secret,parent_alive,not_out=got,canary_intact
# wall_s: 2
import ctypes
import os

libc = ctypes.CDLL(None, use_errno=True)
path = b"@CANARY_DIR@/answers.jsonl"
how = (ctypes.c_uint64 * 3)(0, 0, 0)
handle = libc.syscall(437, -100, path, how, 24)  # openat2
if handle >= 0:
    print("got", os.read(handle, 4096))
for number, *arguments in (
    (439, -100, path, 4, 0x200),  # faccessat2: says nothing of the content
    (452, -100, path, 0o777, 0),  # fchmodat2
    (463, -100, path, 0, b"user.ms_hostile", None, 0),  # setxattrat
    (469, -100, path, None, 0),  # file_setattr
    (451, 0, None, None, 0),  # cachestat
    (446, -1, 0),  # landlock_restrict_self
    (459, 0, None, None, 0),  # lsm_get_self_attr
):
    if libc.syscall(number, *arguments) == 0 and number != 439:
        print("got", number)
