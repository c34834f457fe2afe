# id: 306
# name: waits_on_own_pipe
# kind: hostile
# threat: reads from a pipe whose other end it holds: no processor time, no end of file
# expect: timeout
# wall_s: 2
import os

reads, writes = os.pipe()
os.read(reads, 1)
