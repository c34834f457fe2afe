"""Programs that a model wrote, run where they can do no harm; knows nothing of stages.

    with Sandbox(Limits(cpu_s=2)) as box:            pool.py: workers, each with a zygote; refuses, or says its tier
        result = box.run_now(("print(6 * 7)",))      result.status == "ok", result.answer == "42"
        result = await box.run(("x = 6", "x * 7"), notebook=True)

A zygote is a warm interpreter, started with a built environment, that forks one child a program (zygote.py). The child
confines itself (confine.py: limits, Landlock, seccomp) and only then reads its program, straight from this process,
which reads its output: neither passes through the zygote, whose memory the next program can read. What a program is
said to have done comes from the kernel and from this process alone; only `ok` counts. Design, measurements and the
reasons: sandbox.md. The claim: accidents, and hostile code short of a kernel exploit.

| tier               | needs                                      | used                                            |
|--------------------|--------------------------------------------|-------------------------------------------------|
| namespaces+kernel  | unprivileged namespaces, and the next line | where it is there                               |
| kernel             | seccomp and Landlock                       | else                                            |
| seccomp-noopen     | seccomp only: no file can be opened        | else; imports that are not preloaded fail       |
| command            | the user's own wrapper (docker, runsc, …)  | when the recipe says so; one process a program  |
| wasm               | the extra `wasm`                           | when the recipe says so; no threads; slower     |
| rlimits            | nothing                                    | never, unless the recipe says `unsafe: true`    |
"""
