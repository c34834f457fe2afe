# id: 360
# name: replaces_files
# kind: hostile
# threat: renames, links, cuts and removes what it can name
# expect: ok|error|denied
# invariants: canary_intact,no_new_files
# wall_s: 2
import contextlib
import os

D = "@CANARY_DIR@"
for change in (
    lambda: os.replace(f"{D}/id_rsa", f"{D}/ms_hostile_moved"),
    lambda: os.link(f"{D}/id_rsa", f"{D}/ms_hostile_link"),
    lambda: os.symlink(f"{D}/id_rsa", f"{D}/ms_hostile_symlink"),
    lambda: os.truncate(f"{D}/id_rsa", 0),
    lambda: os.mkfifo(f"{D}/ms_hostile_pipe"),
    lambda: os.mknod(f"{D}/ms_hostile_node"),
    lambda: os.mkdir(f"{D}/ms_hostile_folder"),
    lambda: os.unlink(f"{D}/answers.jsonl"),
    lambda: os.rename(D, f"{D}_ms_hostile"),
    lambda: os.rmdir(D),
):
    with contextlib.suppress(OSError):
        change()
