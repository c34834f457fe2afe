# id: 415
# name: subclass_walk
# kind: hostile
# threat: reaches the shell from an empty tuple
# expect: denied|error
# invariants: no_new_files
# wall_s: 2
for kind in ().__class__.__base__.__subclasses__():
    if kind.__name__ == "_wrap_close":
        print(kind.__init__.__globals__["system"]("touch @CANARY_DIR@/ms_hostile_walked"))
raise SystemExit("not found")
