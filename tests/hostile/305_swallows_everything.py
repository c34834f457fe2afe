# id: 305
# name: swallows_everything
# kind: hostile
# threat: catches every exception, deaf to SIGXCPU and SIGALRM, busy in two threads
# expect: timeout
# wall_s: 2
import signal
import threading

for number in (signal.SIGXCPU, signal.SIGALRM, signal.SIGTERM, signal.SIGINT):
    signal.signal(number, lambda *_: None)


def busy():
    while True:
        try:
            while True:
                pass
        except BaseException:
            continue


threading.Thread(target=busy).start()
busy()
