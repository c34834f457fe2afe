# id: 321
# name: memory_in_thread
# kind: hostile
# threat: only a thread runs out of memory; the program ends as if all were well
# expect: ok|memory|error
# wall_s: 2
import threading

kept = []
thread = threading.Thread(target=lambda: [kept.append(bytearray(1 << 24)) for _ in range(10_000)])
thread.start()
thread.join()
kept.clear()
print(42)
