# id: 393
# name: much_at_the_end
# kind: hostile
# threat: forks of the same: the excess is still in the pipe when the program has ended
# expect: output_limit
# invariants: parent_alive
# wall_s: 2
import os

os.write(1, b"9" * 60_000)
os.write(1, b"9" * 60_000)
os._exit(0)
