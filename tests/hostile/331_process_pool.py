# id: 331
# name: process_pool
# kind: hostile
# threat: a pool of processes
# expect: denied|error
# invariants: no_survivors,parent_alive
# wall_s: 2
from concurrent.futures import ProcessPoolExecutor

with ProcessPoolExecutor(2) as pool:
    print(sum(pool.map(abs, range(10))))
