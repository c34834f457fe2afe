# id: 371
# name: sends_while_opening
# kind: hostile
# threat: data within the opening of a connection (MSG_FASTOPEN), without connect
# expect: denied|error
# invariants: no_connect
# wall_s: 2
import socket

MSG_FASTOPEN = 0x20000000
opening = socket.socket()
opening.sendto(b"exfil", MSG_FASTOPEN, ("127.0.0.1", int("@PORT@")))
print("sent")
