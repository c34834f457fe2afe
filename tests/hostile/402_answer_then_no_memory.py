# id: 402
# name: answer_then_no_memory
# kind: hostile
# threat: prints an answer and runs out of memory
# expect: memory|error
# wall_s: 2
print(42, flush=True)
kept = [0]
while True:
    kept = kept * 2
