# id: 452
# name: control_queue_of_threads
# kind: benign-control
# threat: threads that hand work to each other
# expect: ok
# invariants: out=4950
# wall_s: 2
import queue
import threading

todo, done = queue.Queue(), queue.Queue()


def work():
    while (number := todo.get()) is not None:
        done.put(number)


threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads:
    thread.start()
for number in [*range(100), *[None] * 8]:
    todo.put(number)
for thread in threads:
    thread.join()
print(sum(done.get() for _ in range(100)))
