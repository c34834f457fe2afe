# id: 458
# name: control_much_memory
# kind: benign-control
# threat: 200 MB, well within the limit
# expect: ok
# invariants: out=25000000
# wall_s: 20
import numpy as np

numbers = np.ones(25_000_000)
print(int(numbers.sum()))
