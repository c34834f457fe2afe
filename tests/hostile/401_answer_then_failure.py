# id: 401
# name: answer_then_failure
# kind: hostile
# threat: prints an answer and leaves with a message, as if by a mistake
# expect: error
# wall_s: 2
print(42)
raise SystemExit("wrong after all")
