# id: 411
# name: takes_the_way_out
# kind: hostile
# threat: finds the function in the frames around it that ends the process, and replaces it
# expect: ok|error|timeout|crash|denied
# invariants: parent_alive,no_survivors,next_ok
# wall_s: 2
import ctypes
import sys

frame = sys._getframe()
while frame:
    for name, value in list(frame.f_locals.items()):
        if callable(value) and getattr(value, "__name__", "") in ("_exit", "finished", "<lambda>"):
            frame.f_locals[name] = lambda *_: None
            ctypes.pythonapi.PyFrame_LocalsToFast(ctypes.py_object(frame), ctypes.c_int(0))
    frame = frame.f_back
print(42)
