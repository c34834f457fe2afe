# id: 396
# name: closes_everything
# kind: hostile
# threat: closes every descriptor it has, then ends well: the answer was printed before
# expect: ok|error
# invariants: parent_alive
# wall_s: 2
import os

print(42, flush=True)
os.closerange(0, 64)
os._exit(0)
