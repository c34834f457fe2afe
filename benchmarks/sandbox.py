"""Programs a second of the sandbox, and what each of its layers costs.

    python benchmarks/sandbox.py [SECONDS]        a line a setting, SECONDS (3) for each of its numbers; one zygote

`plain` programs are a few lines of arithmetic, those of the sympy mix solve, integrate and simplify; no two of them are
equal. A fresh interpreter runs the same texts as `python -c`, without any layer: what it pays for is its start, and the
import of sympy.
"""

from __future__ import annotations

import itertools
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial

from mathsynth.sandbox.results import Limits
from mathsynth.sandbox.wasm import Wasm
from mathsynth.sandbox.worker import Zygote

LIMITS = Limits()
SYMPY = (
    "print(sum(solve({n} * x**2 - 7 * x + 3, x)))",
    "print(integrate(x**2 * exp(-{n} * x), (x, 0, oo)))",
    "print(simplify((x**2 - {n}**2) / (x - {n})))",
    "print(factor(x**4 - {n}**4))",
    "print(Rational({n}, 7) + Rational(3, 4))",
    "print(Matrix([[{n}, 1], [1, 3]]).det())",
)
LAYERS: dict[str, dict[str, bool]] = {
    "limits only": {"layers": False, "namespaces": False, "landlock": False},
    "+ seccomp": {"namespaces": False, "landlock": False},
    "+ Landlock": {"namespaces": False},
    "+ namespaces": {},
}


def plain() -> Iterator[str]:
    """Arithmetic of a word problem."""
    for n in itertools.count(2):
        yield f"trays = {n}\nrolls = trays * 8\nsold = rolls // 3\nprint(rolls - sold)\n"


def mixed() -> Iterator[str]:
    """Calculations with sympy."""
    for n in itertools.count(2):
        yield f"from sympy import *\nx = symbols('x')\n{SYMPY[n % len(SYMPY)].format(n=n)}\n"


def rate(programs: Iterator[str], run: Callable[[str], bool], seconds: float) -> tuple[float, float]:
    """(programs a second, median milliseconds of one)."""
    for _ in range(len(SYMPY)):
        assert run(next(programs))
    took: list[float] = []
    started = time.perf_counter()
    while time.perf_counter() - started < seconds:
        before = time.perf_counter()
        assert run(next(programs))
        took.append(time.perf_counter() - before)
    return len(took) / sum(took), 1000 * statistics.median(took)


def ends_well(worker: Zygote | Wasm, program: str) -> bool:
    """Whether it does in the sandbox."""
    return worker.run((program,), LIMITS, False).status == "ok"


def fresh(program: str) -> bool:
    """Run it in an interpreter of its own."""
    return subprocess.run([sys.executable, "-c", program], stdout=subprocess.DEVNULL).returncode == 0


def line(name: str, run: Callable[[str], bool], seconds: float, about: str = "") -> float:
    """Print a line of the table; programs of the sympy mix a second."""
    arithmetic, sympy = rate(plain(), run, seconds), rate(mixed(), run, seconds)
    print(f"{name:14}{arithmetic[0]:>10.0f}{arithmetic[1]:>8.2f}{sympy[0]:>10.1f}{sympy[1]:>8.2f}  {about}")
    return sympy[0]


def main() -> None:
    """Print the table."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 3.0
    print(f"{'':14}{'plain /s':>10}{'ms':>8}{'sympy /s':>10}{'ms':>8}")
    found = 0.0
    for name, layers in LAYERS.items():
        with closing(Zygote(**layers)) as zygote:
            about = str({key: zygote.about[key] for key in ("seccomp", "landlock", "namespaces")})
            found = line(name, partial(ends_well, zygote), seconds, about)
    with closing(Wasm()) as wasm:
        line("WebAssembly", partial(ends_well, wasm), seconds)
    print(
        f"sympy mix, all layers against a fresh interpreter: {found / line('fresh python', fresh, seconds):.1f} times"
    )


if __name__ == "__main__":
    main()
