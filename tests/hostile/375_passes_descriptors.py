# id: 375
# name: passes_descriptors
# kind: hostile
# threat: passes descriptors over a pair of sockets
# expect: denied|error
# wall_s: 2
import os
import socket

one, other = socket.socketpair()
socket.send_fds(one, [b"x"], [os.dup(1)])
print(socket.recv_fds(other, 10, 10))
