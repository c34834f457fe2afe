# id: 344
# name: parents_limits
# kind: hostile
# threat: takes its parent's limits away
# expect: denied|error
# invariants: parent_alive
# wall_s: 2
import os
import resource

resource.prlimit(os.getppid(), resource.RLIMIT_NOFILE, (0, 0))
print("taken")
