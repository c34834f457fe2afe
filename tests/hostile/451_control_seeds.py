# id: 451
# name: control_seeds
# kind: benign-control
# threat: random numbers of both kinds, a hash and a set of objects: the same in each run
# expect: ok
# invariants: same_each_time
# wall_s: 20
import random

import numpy as np

print(
    random.random(), random.sample(range(100), 5), np.random.rand(), hash("a"), list({"north", "east", "south", "west"})
)
