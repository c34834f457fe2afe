# id: 373
# name: pair_with_address
# kind: hostile
# threat: a socket of a datagram pair sends to another address than its partner's
# expect: error|denied
# invariants: no_connect
# wall_s: 2
import contextlib
import socket

for kind in (socket.SOCK_DGRAM, socket.SOCK_SEQPACKET, socket.SOCK_STREAM):
    with contextlib.suppress(OSError):
        one, _ = socket.socketpair(socket.AF_UNIX, kind)
        one.sendto(b"exfil", "\0ms_hostile_datagrams_@PORT@")
        one.sendto(b"exfil", "@CANARY_DIR@/datagrams.sock")
one, _ = socket.socketpair()
one.connect("\0ms_hostile_@PORT@")
print("connected")
