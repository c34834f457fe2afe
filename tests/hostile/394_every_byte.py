# id: 394
# name: every_byte
# kind: hostile
# threat: bytes that are no text, and control sequences of terminals
# expect: ok
# wall_s: 2
import os

os.write(1, bytes(range(256)) + b"\x1b]0;owned\x07\x1b[2J\x9b31m\xe2\x80\xae42\n")
