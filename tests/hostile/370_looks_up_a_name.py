# id: 370
# name: looks_up_a_name
# kind: hostile
# threat: asks for an address: a name server would hear of it
# expect: denied|error
# invariants: no_connect
# wall_s: 2
import socket

print(socket.getaddrinfo("localhost", int("@PORT@")))
socket.create_connection(("localhost", int("@PORT@")), 1)
