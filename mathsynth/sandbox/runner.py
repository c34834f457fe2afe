"""Runs the blocks of one program in a process that is already confined. It stands alone: no import of mathsynth.

It is also sent as text into the user's own container and into WebAssembly, so it uses the standard library only. A
program shares its memory with this code and can change all of it: nothing here is trusted, only what the kernel says of
the process and what its parent counts.
"""

from __future__ import annotations

import ast
import importlib.util
import os
import random
import sys
import threading
import traceback
import types
from collections.abc import Callable, Iterator
from importlib.machinery import ModuleSpec
from typing import Any, ClassVar

FAILED, OUT_OF_MEMORY, NOT_BEGUN = 1, 101, 102
"""Exit codes; the last is that of a process in which no program could be begun."""
MAX_INT_DIGITS = 20_000
MARK = b"\x1e"
"""What `in_container` and `in_wasm` print after each block."""


def run(blocks: Iterator[bytes], notebook: bool, finished: Callable[[], object]) -> None:
    """Run block after block in one namespace, calling `finished` after each; never returns.

    With `notebook`, the value of a last expression is shown, as in one.
    """
    leave, code = os._exit, FAILED
    try:
        code = _run(blocks, notebook, finished)
    except BaseException:  # noqa: BLE001  whatever a program raises or patches, its process ends below
        code = FAILED
    finally:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        except BaseException:  # noqa: BLE001
            code = code or FAILED
        finally:
            while True:
                leave(code)


def _run(blocks: Iterator[bytes], notebook: bool, finished: Callable[[], object]) -> int:
    module = types.ModuleType("__main__")
    sys.modules["__main__"], sys.argv = module, ["program.py"]
    sys.set_int_max_str_digits(MAX_INT_DIGITS)
    random.seed(0)
    if "numpy.random" in sys.modules:
        sys.modules["numpy.random"].seed(0)
    sys.meta_path.insert(0, _WithoutChance())
    try:
        for source in blocks:
            _block(source.decode(), module, notebook)
            sys.stdout.flush()
            finished()
        shutdown = threading._shutdown  # type: ignore[attr-defined]
        shutdown()
    except SystemExit as end:
        return 0 if end.code in (None, 0) else FAILED
    except MemoryError:
        return OUT_OF_MEMORY
    except BaseException as error:  # noqa: BLE001  a program may raise anything
        traceback.print_exception(error, limit=-8)
        return FAILED
    return 0


class _WithoutChance:
    """Imports modules that draw a random number as they are loaded, each with a fixed one."""

    waiting: ClassVar[dict[str, Callable[[Any], object]]] = {
        "numpy.random": lambda random: random.seed(0),
        "sympy.core.symbol": lambda symbol: setattr(symbol.Dummy, "_base_dummy_index", 0),  # orders some results
    }

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        if (settle := self.waiting.pop(name, None)) is None:
            return None
        spec = importlib.util.find_spec(name)
        if spec is not None and (loader := spec.loader) is not None:
            load = loader.exec_module

            def load_and_settle(module: types.ModuleType) -> None:
                del loader.exec_module  # what comes next may have the same loader
                load(module)
                settle(module)

            loader.exec_module = load_and_settle  # type: ignore[method-assign]
        return spec


def _block(source: str, module: types.ModuleType, notebook: bool) -> None:
    tree = ast.parse(source, "program.py")
    last = tree.body[-1] if tree.body else None
    if notebook and isinstance(last, ast.Expr):
        value = ast.Expression(last.value)
        exec(compile(ast.Module(tree.body[:-1], []), "program.py", "exec"), module.__dict__)
        shown = eval(compile(value, "program.py", "eval"), module.__dict__)
        if shown is not None:
            sys.stdout.write(f"{shown!r}\n")
    else:
        exec(compile(tree, "program.py", "exec"), module.__dict__)


def framed(read: Callable[[int], bytes]) -> Iterator[bytes]:
    """The blocks of a pipe: four bytes of length before each, until it is closed."""
    while head := _exactly(read, 4):
        yield _exactly(read, int.from_bytes(head, "little"))


def _exactly(read: Callable[[int], bytes], count: int) -> bytes:
    got = b""
    while len(got) < count and (more := read(count - len(got))):
        got += more
    return got


def in_container() -> None:
    """Run what comes by stdin under the limits of the command line: seconds, MiB, whether a notebook. Never returns."""
    import resource

    seconds, memory = int(float(sys.argv[1])), int(sys.argv[2]) << 20
    with open("/proc/self/statm") as sizes:
        memory += int(sizes.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    source = os.dup(0)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    blocks = framed(lambda count: os.read(source, count))
    run(blocks, sys.argv[3] == "notebook", lambda: os.write(1, MARK))


def in_wasm() -> None:
    """Run what comes by stdin; who started this set the limits. The command line says whether a notebook."""
    blocks = list(framed(sys.stdin.buffer.read))  # so that a program finds its stdin empty
    run(iter(blocks), sys.argv[1] == "notebook", lambda: os.write(1, MARK))
