# id: 304
# name: endless_atexit
# kind: hostile
# threat: an exit hook that never ends
# expect: ok|timeout
# wall_s: 2
import atexit


@atexit.register
def stay():
    while True:
        pass


print(42)
