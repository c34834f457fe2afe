# id: 311
# name: nested_expression
# kind: hostile
# threat: overflows the compiler with a deep tree that parses without brackets
# expect: error|memory|crash|timeout
# wall_s: 2
print(eval("-" * 300_000 + "1"))
