# id: 410
# name: empties_builtins
# kind: hostile
# threat: takes away what the code around it needs
# expect: ok|error|crash|timeout
# invariants: parent_alive,next_ok
# wall_s: 2
import builtins
import os
import sys
import threading

print(42, flush=True)
threading._shutdown = lambda: 1 / 0
del os._exit, sys.exit
sys.modules.clear()
for name in ("print", "len", "compile", "exec", "BaseException", "SystemExit"):
    delattr(builtins, name)
