"""Values of trees at points. Evidence, never a proof.

A root of odd order of a negative number is the real one. Powers, factorials and sums beyond bounds raise `Hard`.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

from mathsynth.verifier.libraries import Hard, Library, Pole
from mathsynth.verifier.tree import Node, indexed_by


def evaluate(node: Node, at: dict[str, Fraction], lib: Library) -> Any:
    """The complex value at a point; raises `Pole` or `Hard`."""
    lib.left[0] -= 1
    if lib.left[0] < 0:
        raise Hard("too many steps")
    kind = node[0]
    if kind == "num":
        return lib.number(node[1])
    if kind == "sym":
        if node[1] not in at:
            raise Hard(f"no value for {node[1]}")
        return lib.number(at[node[1]])
    if kind == "const":
        if node[1] == "inf":
            raise Pole("infinity")
        return lib.constants[node[1]]
    if kind == "add":
        parts = [evaluate(part, at, lib) for part in node[1]]
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        size = max(abs(part) for part in parts)
        if size and abs(total) < size * lib.noise and lib.rough:
            raise Hard("cancellation")
        if not lib.rough and any(part != 0 and abs(part) < size * lib.noise for part in parts):
            raise Hard("terms of very different size")
        return total
    if kind == "neg":
        return -evaluate(node[1], at, lib)
    if kind == "mul":
        product = evaluate(node[1][0], at, lib)
        for part in node[1][1:]:
            product = product * evaluate(part, at, lib)
        return product
    if kind == "div":
        bottom = evaluate(node[2], at, lib)
        if bottom == 0:
            raise Pole("division by zero")
        return evaluate(node[1], at, lib) / bottom
    if kind == "pow":
        return _power(evaluate(node[1], at, lib), node[2], at, lib)
    if kind == "deg":
        return evaluate(node[1], at, lib) * lib.constants["pi"] / 180
    if kind == "call":
        return _call(node, at, lib)
    if kind in ("sum", "prod"):
        return _series(node, at, lib)
    if kind == "int":
        return _integral(node, at, lib)
    if kind == "lim":
        return _limit(node, at, lib)
    if kind == "cases":
        return _case(node, at, lib)
    raise Hard(kind)


def _case(node: Node, at: dict[str, Fraction], lib: Library) -> Any:
    """The value of the row whose condition holds; rows that hold together must agree."""
    rows = [(v, c) for v, c in node[1] if not (c[0] == "text" and c[1] in OTHERWISE)]
    found = [evaluate(value, at, lib) for value, condition in rows if holds(condition, at, lib)]
    if not found:
        found = [evaluate(value, at, lib) for value, condition in node[1] if condition[0] == "text"]
    if not found:
        raise Pole("no case")
    if any(abs(value - found[0]) > 1e-9 * (1 + abs(value)) for value in found):
        raise Hard("cases that contradict each other")
    return found[0]


def _power(base: Any, exponent: Node, at: dict[str, Fraction], lib: Library) -> Any:
    fixed = constant(exponent)
    if fixed is not None and fixed.denominator % 2 and fixed.denominator > 1 and abs(base.imag) == 0 and base.real < 0:
        root = lib.power(-base.real, lib.number(fixed))
        return -root if fixed.numerator % 2 else root
    if fixed is not None and fixed.denominator == 1:
        return lib.power(base, lib.number(fixed)) if abs(fixed) > 1e6 or base == 0 else _whole(base, int(fixed), lib)
    return lib.power(base, evaluate(exponent, at, lib))


def _whole(base: Any, n: int, lib: Library) -> Any:
    size = abs(base)
    if lib.rough and size and abs(n * math.log(size)) > 600:
        raise Hard("power")
    return base**n


def constant(node: Node) -> Fraction | None:
    """The rational number that a simple tree is."""
    kind = node[0]
    if kind == "num":
        value: Fraction = node[1]
        return value
    if kind == "neg":
        inner = constant(node[1])
        return None if inner is None else -inner
    if kind == "div":
        top, bottom = constant(node[1]), constant(node[2])
        return None if top is None or not bottom else top / bottom
    return None


def _call(node: Node, at: dict[str, Fraction], lib: Library) -> Any:
    name, nodes = node[1], node[2]
    if name == "root":
        index = constant(nodes[1])
        if not index:
            raise Hard("root index")
        return _power(evaluate(nodes[0], at, lib), ("num", 1 / index, None), at, lib)
    if name == "logq":
        raise Hard("a logarithm whose base is not written")
    if name == "det":
        return _determinant([[evaluate(x, at, lib) for x in row] for row in nodes[0][1]])
    if name in ("fact", "binom") and lib.rough:
        args = [constant(n) if constant(n) is not None else _exactly(evaluate(n, at, lib)) for n in nodes]
        if any(a is None or a.denominator != 1 or not 0 <= a < 150 for a in args):
            raise Hard(name)
        whole = [int(a) for a in args if a is not None]
        return complex(math.factorial(whole[0]) if name == "fact" else math.comb(*whole))
    values = [evaluate(n, at, lib) for n in nodes]
    if name in ("floor", "ceil", "max", "min", "gcd", "lcm"):
        return _of_reals(name, values, lib)
    function = lib.functions.get(name)
    if function is None:
        raise Hard(f"the function {name}")
    if abs(values[0]) > (1e7 if lib.rough else 1e30) and name in _TURNING:
        raise Hard(f"{name} of a huge number")  # as many digits of pi as the number has
    try:
        result = function(*values)
    except (ValueError, ZeroDivisionError, OverflowError):
        raise Pole(name) from None
    if lib.rough and abs(result) < 1e-9 and name not in ("Re", "Im", "sgn", "arg", "abs"):
        raise Hard("cancellation")
    return result


_TURNING = frozenset(("sin", "cos", "tan", "cot", "sec", "csc"))


def _exactly(value: Any) -> Fraction | None:
    near = round(value.real)
    return Fraction(near) if abs(value - near) < 1e-9 else None


def _of_reals(name: str, values: list[Any], lib: Library) -> Any:
    if any(abs(v.imag) > 1e-12 * (1 + abs(v)) for v in values):
        raise Pole("not real")
    reals = [v.real for v in values]
    if name in ("max", "min"):
        return lib.number(Fraction(0)) + (max(reals) if name == "max" else min(reals))
    near = round(float(reals[0]))
    if name in ("gcd", "lcm"):
        whole = [round(float(r)) for r in reals]
        if any(abs(r - w) > 1e-9 for r, w in zip(reals, whole, strict=True)):
            raise Pole(name)
        return lib.number(Fraction(getattr(math, name)(*whole)))
    if abs(reals[0] - near) < 1e-7:
        if abs(reals[0] - near) > 1e-30 and lib.rough:
            raise Hard("a jump of a step function")
        return lib.number(Fraction(near))
    return lib.number(Fraction(math.floor(reals[0]) if name == "floor" else math.ceil(reals[0])))


def _determinant(rows: list[list[Any]]) -> Any:
    if len(rows) != len(rows[0]) or len(rows) > 8:
        raise Hard("determinant")
    if len(rows) == 1:
        return rows[0][0]
    return sum(
        (-1) ** j * head * _determinant([r[:j] + r[j + 1 :] for r in rows[1:]]) for j, head in enumerate(rows[0])
    )


def _series(node: Node, at: dict[str, Fraction], lib: Library) -> Any:
    kind, var, low, high, body = node
    if indexed_by(body, var):
        raise Hard("terms of a sequence")
    start = _exactly(evaluate(low, at, lib))
    if start is None:
        raise Hard("series")
    if high == ("const", "inf"):
        if lib.nsum is None or kind != "sum":
            raise Hard("infinite series")
        add_up = lib.nsum
        return add_up(lambda n: evaluate(body, {**at, var: Fraction(int(n))}, lib), [int(start), math.inf])
    end = _exactly(evaluate(high, at, lib))
    if end is None or end - start > 3000:
        raise Hard("series")
    total = lib.number(Fraction(0 if kind == "sum" else 1))
    for n in range(int(start), int(end) + 1):
        term = evaluate(body, {**at, var: Fraction(n)}, lib)
        total = total + term if kind == "sum" else total * term
    return total


def _integral(node: Node, at: dict[str, Fraction], lib: Library) -> Any:
    quad = lib.quad
    if quad is None:
        raise Hard("integral")
    _, var, low, high, body = node
    lib = lib._replace(noise=0.0)  # near infinity the terms differ in size, and the error is estimated anyway
    ends = [_end(low, at, lib), _end(high, at, lib)]

    def inside(x: Any) -> Any:
        return evaluate(body, {**at, var: _fraction(x)}, lib)

    value, error = quad(inside, ends, error=True)
    if abs(error) > 1e-14 * (1 + abs(value)):
        raise Hard("integral")
    return value


def _fraction(x: Any) -> Fraction:
    """An mpmath number as it is."""
    man, exp = x.man_exp
    return Fraction(int(man)) * Fraction(2) ** int(exp) if abs(exp) < 5000 else Fraction(0)


def _limit(node: Node, at: dict[str, Fraction], lib: Library) -> Any:
    if lib.limit is None:
        raise Hard("limit")
    approach = lib.limit
    _, var, point, _, body = node
    lib = lib._replace(noise=0.0)
    return approach(lambda x: evaluate(body, {**at, var: _fraction(x + 0)}, lib), _end(point, at, lib))


def _end(node: Node, at: dict[str, Fraction], lib: Library) -> Any:
    if node == ("const", "inf"):
        return math.inf
    if node == ("neg", ("const", "inf")):
        return -math.inf
    return evaluate(node, at, lib).real


OTHERWISE = ("otherwise", "else", "其他", "otherwise .")


def holds(condition: Node, at: dict[str, Fraction], lib: Library) -> bool:
    """Whether a relation is true at a point."""
    if condition[0] == "text" and condition[1] in OTHERWISE:
        return True
    if condition[0] != "rel":
        raise Hard("a condition in words")
    values = [evaluate(expr, at, lib) for expr in condition[1]]
    if any(abs(v.imag) > 0 for v in values):
        raise Pole("not real")
    checks = {
        "<": lambda a, b: a < b,
        ">": lambda a, b: a > b,
        "<=": lambda a, b: a <= b,
        ">=": lambda a, b: a >= b,
        "=": lambda a, b: a == b,
        "!=": lambda a, b: a != b,
    }
    if any(op not in checks for op in condition[2]):
        raise Hard("a condition")
    return all(checks[op](a.real, b.real) for a, op, b in zip(values, condition[2], values[1:], strict=False))
