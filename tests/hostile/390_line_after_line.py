# id: 390
# name: line_after_line
# kind: hostile
# threat: short lines without end, each flushed
# expect: output_limit|timeout
# wall_s: 5
number = 0
while True:
    print(number, flush=True)
    number += 1
