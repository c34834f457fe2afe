# id: 383
# name: queues_messages
# kind: hostile
# threat: message queues and semaphores outlive the program
# expect: denied|error
# invariants: no_sysv_shm
# wall_s: 2
import ctypes

IPC_PRIVATE, IPC_CREAT = 0, 0o1000
libc = ctypes.CDLL(None, use_errno=True)
made = [libc.msgget(IPC_PRIVATE, IPC_CREAT | 0o600), libc.semget(IPC_PRIVATE, 1, IPC_CREAT | 0o600)]
if max(made) < 0:
    raise OSError(ctypes.get_errno(), "msgget, semget")
print(made)
