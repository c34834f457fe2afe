# id: 334
# name: runs_a_memory_file
# kind: hostile
# threat: writes a program into memory and executes that
# expect: denied|error
# invariants: no_new_files
# wall_s: 2
import os

handle = os.memfd_create("ms_hostile")
os.write(handle, b"#!/bin/sh\necho x > @CANARY_DIR@/memory\n")
os.execve(handle, ["x"], {})
