# id: 309
# name: finally_never_ends
# kind: hostile
# threat: leaves by sys.exit(0), but through a finally block without end
# expect: timeout
# wall_s: 2
import sys

try:
    print(42)
    sys.exit(0)
finally:
    while True:
        pass
