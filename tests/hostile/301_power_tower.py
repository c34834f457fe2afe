# id: 301
# name: power_tower
# kind: hostile
# threat: one big-integer operation in C: no bytecode ends, so no signal handler runs
# expect: timeout|memory
# wall_s: 2
print(9 ** (9**9) % 10)
