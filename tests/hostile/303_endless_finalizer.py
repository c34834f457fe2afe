# id: 303
# name: endless_finalizer
# kind: hostile
# threat: an object whose __del__ never ends is alive when the program does
# expect: ok|timeout
# wall_s: 2
class Clings:
    def __del__(self):
        while True:
            pass


clings = Clings()
print(42)
