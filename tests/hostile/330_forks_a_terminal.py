# id: 330
# name: forks_a_terminal
# kind: hostile
# threat: forks with a new terminal
# expect: denied|error
# invariants: no_survivors,parent_alive
# wall_s: 2
import pty
import time

pid, handle = pty.fork()
if pid == 0:
    time.sleep(30)
print("forked", pid)
