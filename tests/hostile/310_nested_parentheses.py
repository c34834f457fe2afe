# id: 310
# name: nested_parentheses
# kind: hostile
# threat: overflows the parser
# expect: error|memory|crash
# wall_s: 2
depth = 200_000
print(eval("(" * depth + "1" + ")" * depth))
