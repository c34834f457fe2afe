# id: 414
# name: raises_the_label
# kind: hostile
# threat: dies of the signals that the labels are made from
# expect: timeout|crash|denied|memory
# wall_s: 2
import os
import signal

print(42, flush=True)
os.kill(os.getpid(), signal.SIGXCPU)
os.kill(os.getpid(), signal.SIGSYS)
