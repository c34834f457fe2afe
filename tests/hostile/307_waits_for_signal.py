# id: 307
# name: waits_for_signal
# kind: hostile
# threat: sleeps in sigwait with everything blocked
# expect: timeout
# wall_s: 2
import signal

signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
signal.sigwait([signal.SIGUSR1])
