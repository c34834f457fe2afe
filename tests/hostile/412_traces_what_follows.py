# id: 412
# name: traces_what_follows
# kind: hostile
# threat: a trace function for the code around it that raises at each of its lines
# expect: ok|error|timeout|crash
# invariants: parent_alive,no_survivors,next_ok
# wall_s: 2
import sys


def trace(*_):
    raise KeyboardInterrupt


frame = sys._getframe()
sys.settrace(trace)
while frame:
    frame.f_trace = trace
    frame = frame.f_back
