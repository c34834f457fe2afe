# id: 460
# name: control_dummies
# kind: benign-control
# threat: symbols that sympy numbers from a random start: the order of results hangs on them
# expect: ok
# invariants: same_each_time
# wall_s: 20
from sympy import Dummy, symbols

x = symbols("x")
print(list({Dummy(name) for name in "abcdefgh"}), (x + Dummy("t")).free_symbols)
