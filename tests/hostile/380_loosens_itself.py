# id: 380
# name: loosens_itself
# kind: hostile
# threat: undoes by prctl what holds it
# expect: ok|error|denied
# invariants: not_out=loose
# wall_s: 2
import ctypes

libc = ctypes.CDLL(None, use_errno=True)
ATTEMPTS = {
    "dumpable": (4, 1),
    "no new privileges": (38, 0),
    "pdeathsig": (1, 0),
    "subreaper": (36, 1),
    "tracer": (0x59616D61, -1),
    "seccomp": (22, 1),
    "capability": (47, 2, 21, 0, 0),
    "securebits": (28, 0),
    "memory map": (35, 1, 0x10000, 0, 0),
}
for name, (option, *rest) in ATTEMPTS.items():
    if libc.prctl(option, *rest) == 0:
        print("loose", name)
