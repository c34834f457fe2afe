# id: 391
# name: noise_then_answer
# kind: hostile
# threat: megabytes on stderr, then an answer: all of them must be read for the program to end
# expect: ok
# invariants: out=42
# wall_s: 10
import sys

for _ in range(1000):
    sys.stderr.write("noise " * 1000)
print(42)
