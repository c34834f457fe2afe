# id: 400
# name: answer_then_abort
# kind: hostile
# threat: prints an answer and aborts: the answer must not count
# expect: crash
# wall_s: 2
import os

print("\\boxed{42}", flush=True)
os.abort()
