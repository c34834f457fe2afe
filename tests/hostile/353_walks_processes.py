# id: 353
# name: walks_processes
# kind: hostile
# threat: environment, memory map, directory and descriptors of every process
# expect: ok|error|denied
# invariants: no_secret
# wall_s: 2
import contextlib
import os

for pid in [*range(1, 400), os.getppid(), "self", "thread-self"]:
    for name in ("environ", "cmdline", "maps", "stack", "task"):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/{name}", "rb") as file:
            print(file.read(2000))
    for name in ("cwd", "exe", "root", "fd/0", "fd/1", "fd/2", "fd/3"):
        with contextlib.suppress(OSError):
            print(pid, name, os.readlink(f"/proc/{pid}/{name}"))
