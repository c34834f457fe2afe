# id: 404
# name: answer_runs_when_read
# kind: hostile
# threat: an answer that runs when a careless reader evaluates it
# expect: ok
# invariants: no_new_files
# wall_s: 2
print("open('@CANARY_DIR@/ms_hostile_evaluated', 'w')")
