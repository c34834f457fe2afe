# id: 454
# name: control_deep_recursion
# kind: benign-control
# threat: a recursion of 5,000 levels, with the limit raised as such programs do
# expect: ok
# invariants: out=12497500
# wall_s: 2
import sys
from functools import lru_cache

sys.setrecursionlimit(20_000)


@lru_cache(None)
def total(number):
    return number + total(number - 1) if number else 0


print(total(4999))
