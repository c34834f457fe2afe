# id: 372
# name: asks_by_protocol
# kind: hostile
# threat: mail, file transfer and remote calls of the standard library
# expect: denied|error
# invariants: no_connect
# wall_s: 2
import contextlib
import ftplib
import smtplib
import xmlrpc.client

with contextlib.suppress(OSError):
    smtplib.SMTP("127.0.0.1", int("@PORT@"), timeout=0.2)
with contextlib.suppress(OSError):
    ftplib.FTP().connect("127.0.0.1", int("@PORT@"), timeout=0.2)
print(xmlrpc.client.ServerProxy("http://127.0.0.1:@PORT@").exfil())
