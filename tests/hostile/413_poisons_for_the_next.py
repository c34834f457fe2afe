# id: 413
# name: poisons_for_the_next
# kind: hostile
# threat: leaves changed libraries, seeds, limits and hooks behind for the next program
# expect: ok|error
# invariants: next_ok
# wall_s: 2
import builtins
import math
import random
import sys

import numpy as np
import sympy

sympy.sqrt = math.sqrt = np.sqrt = lambda *_: 7
sympy.Integer.__str__ = lambda self: "7"
sys.setrecursionlimit(60)
sys.meta_path.insert(0, None)
random.seed(7)
np.random.seed(7)
builtins.sum = lambda *_: 7
sys.set_int_max_str_digits(700)
