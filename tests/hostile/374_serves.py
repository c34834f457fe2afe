# id: 374
# name: serves
# kind: hostile
# threat: listens on a port of the machine
# expect: denied|error
# invariants: no_connect
# wall_s: 2
import socket

server = socket.create_server(("127.0.0.1", 0))
print("listening", server.getsockname())
