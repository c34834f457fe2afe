# id: 336
# name: forks_in_thread
# kind: hostile
# threat: forks from a thread while the program's own end is near
# expect: denied
# invariants: no_survivors
# wall_s: 2
import os
import threading
import time


def leave_behind():
    if os.fork() == 0:
        os.setsid()
        time.sleep(30)


thread = threading.Thread(target=leave_behind)
thread.start()
thread.join()
print(42)
