# id: 392
# name: little_too_much
# kind: hostile
# threat: a little more than is allowed, and ends at once: the order to kill it finds it gone
# expect: output_limit
# invariants: parent_alive
# wall_s: 2
print("9" * 70_000)
