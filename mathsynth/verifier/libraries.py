"""Where numbers come from: machine numbers to refute, mpmath with many digits to confirm.

mpmath is imported only by `digits()`, in the worker.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any, NamedTuple


class Hard(Exception):
    """Not computable within the bounds; says which."""


class Pole(Exception):
    """No finite value at this point."""


class Library(NamedTuple):
    """Where numbers come from. `noise`: a result this small against its terms has lost its digits.

    `rough`: machine numbers, which only refute. `left`: how many steps may still be made, as a list of one.
    """

    number: Callable[[Fraction], Any]
    functions: dict[str, Callable[..., Any]]
    constants: dict[str, Any]
    power: Callable[[Any, Any], Any]
    noise: float
    quad: Callable[..., Any] | None
    nsum: Callable[..., Any] | None
    limit: Callable[..., Any] | None
    rough: bool
    left: list[int]


_FLOAT_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "sin": cmath.sin,
    "cos": cmath.cos,
    "tan": cmath.tan,
    "cot": lambda z: 1 / cmath.tan(z),
    "sec": lambda z: 1 / cmath.cos(z),
    "csc": lambda z: 1 / cmath.sin(z),
    "arcsin": cmath.asin,
    "arccos": cmath.acos,
    "arctan": cmath.atan,
    "sinh": cmath.sinh,
    "cosh": cmath.cosh,
    "tanh": cmath.tanh,
    "coth": lambda z: 1 / cmath.tanh(z),
    "arsinh": cmath.asinh,
    "arcosh": cmath.acosh,
    "artanh": cmath.atanh,
    "ln": cmath.log,
    "log": lambda z, b: cmath.log(z) / cmath.log(b),
    "abs": lambda z: complex(abs(z)),
    "Re": lambda z: complex(z.real),
    "Im": lambda z: complex(z.imag),
    "conj": lambda z: z.conjugate(),
    "arg": lambda z: complex(cmath.phase(z)),
    "sgn": lambda z: complex((z.real > 0) - (z.real < 0)),
}


def _float_power(base: complex, exponent: complex) -> complex:
    if base == 0:
        if exponent.real > 0:
            return 0j
        raise Pole("0 to a power")
    if abs(exponent * cmath.log(base)) > 600:
        raise Hard("power")
    return base**exponent


def floats(steps: int = 20_000) -> Library:
    """Machine numbers, for at most so many steps."""
    constants = {"pi": complex(math.pi), "e": complex(math.e), "i": 1j}
    return Library(complex, _FLOAT_FUNCTIONS, constants, _float_power, 1e-7, None, None, None, True, [steps])


def digits(places: int = 50, steps: int = 20_000_000) -> Library:
    """mpmath at so many decimal places."""
    import mpmath

    mp = mpmath.mp.clone() if hasattr(mpmath.mp, "clone") else mpmath.mp
    mp.dps = places

    def power(base: Any, exponent: Any) -> Any:
        if base == 0:
            if mp.re(exponent) > 0:
                return mp.mpf(0)
            raise Pole("0 to a power")
        if abs(exponent) * (1 + abs(mp.ln(abs(base))) if abs(base) != 1 else 1) > 1e12:
            raise Hard("power")
        return mp.power(base, exponent)

    functions = {
        name: getattr(mp, own)
        for name, own in (
            ("sin", "sin"),
            ("cos", "cos"),
            ("tan", "tan"),
            ("cot", "cot"),
            ("sec", "sec"),
            ("csc", "csc"),
            ("arcsin", "asin"),
            ("arccos", "acos"),
            ("arctan", "atan"),
            ("arccot", "acot"),
            ("sinh", "sinh"),
            ("cosh", "cosh"),
            ("tanh", "tanh"),
            ("coth", "coth"),
            ("arsinh", "asinh"),
            ("arcosh", "acosh"),
            ("artanh", "atanh"),
            ("ln", "ln"),
            ("Re", "re"),
            ("Im", "im"),
            ("conj", "conj"),
            ("arg", "arg"),
        )
    }
    functions |= {
        "log": lambda z, b: mp.ln(z) / mp.ln(b),
        "abs": lambda z: mp.mpf(abs(z)),
        "sgn": lambda z: mp.sign(mp.re(z)),
        "fact": lambda z: _guarded(abs(z) < 1e12, mp.factorial, z),
        "binom": lambda n, k: _guarded(abs(n) < 1e12, mp.binomial, n, k),
        "gamma": mp.gamma,
    }
    constants = {"pi": mp.pi + 0, "e": mp.e + 0, "i": mp.mpc(0, 1)}

    def to_number(q: Fraction) -> Any:
        return mp.mpf(q.numerator) / q.denominator

    def add_up(term: Callable[[Any], Any], ends: list[Any]) -> Any:
        """An infinite sum, if two precisions agree on it; the extrapolation has no error bound of its own."""
        fine = mp.nsum(term, ends)
        with mp.workdps(places - 8):
            coarse = mp.nsum(term, ends)
        if abs(fine - coarse) > 1e-12 * (1 + abs(fine)):
            raise Hard("infinite series")
        return fine

    def approach(term: Callable[[Any], Any], point: Any) -> Any:
        """A limit from both sides, if they and two precisions agree."""
        found = [mp.limit(term, point)]
        if not mp.isinf(point):
            found.append(mp.limit(term, point, direction=-1))
        with mp.workdps(places - 8):
            found.append(mp.limit(term, point))
        if any(not mp.isfinite(v) or abs(v - found[0]) > 1e-10 * (1 + abs(v)) for v in found):
            raise Hard("limit")
        return found[0]

    return Library(
        to_number, functions, constants, power, 10.0 ** (-places // 2), mp.quad, add_up, approach, False, [steps]
    )


def _guarded(ok: bool, function: Callable[..., Any], *args: Any) -> Any:
    if not ok:
        raise Hard("factorial")
    return function(*args)
