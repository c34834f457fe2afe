# id: 393
# name: too_much_at_the_end
# kind: hostile
# threat: prints too much and ends at once, so that the order to kill it comes late, and the excess is read after it
# expect: output_limit
# invariants: parent_alive
# wall_s: 2
import os

os.write(1, b"9" * 60_000)
os.write(1, b"9" * 60_000)
os._exit(0)
