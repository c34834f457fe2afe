# id: 403
# name: answer_then_own_kill
# kind: hostile
# threat: prints an answer and kills itself as the kernel would
# expect: memory|denied|crash|timeout
# wall_s: 2
import os
import signal

print(42, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
