# id: 325
# name: outer_product
# kind: hostile
# threat: numpy asks for 12 GB of results
# expect: memory|error
# wall_s: 2
import numpy as np

print(np.outer(np.arange(40_000.0), np.arange(40_000.0)).sum())
