# id: 308
# name: itimer_storm
# kind: hostile
# threat: a timer signal every microsecond
# expect: timeout
# wall_s: 2
import signal

signal.signal(signal.SIGALRM, lambda *_: None)
signal.setitimer(signal.ITIMER_REAL, 1e-6, 1e-6)
while True:
    sum(range(1000))
