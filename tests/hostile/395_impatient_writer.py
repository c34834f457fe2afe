# id: 395
# name: impatient_writer
# kind: hostile
# threat: does not wait when its output is not read
# expect: error|output_limit|ok
# wall_s: 2
import os

os.set_blocking(1, False)
for _ in range(100_000):
    print("x" * 1000)
