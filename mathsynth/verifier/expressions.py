"""Two scalars: equal, different, or undecided. Exact forms first, then machine numbers to refute, then 50 digits."""

from __future__ import annotations

from fractions import Fraction

from mathsynth.verifier.exact import Algebra
from mathsynth.verifier.libraries import Hard, Library, Pole, digits, floats
from mathsynth.verifier.numeric import evaluate
from mathsynth.verifier.policy import Policy
from mathsynth.verifier.polynomials import ONE, Poly, TooBig, Undefined, Value, decisive, rational
from mathsynth.verifier.sampling import points, sample, whole_variables
from mathsynth.verifier.tree import Node, symbols, walk
from mathsynth.verifier.words import Finding

_WORK = {False: 15_000, True: 200_000}
INDEX_NAMES = frozenset("nkmijlprstNKM")


class NeedSlow(Exception):
    """The fast path cannot decide: ask a worker process."""


def scalars(a: Node, b: Node, policy: Policy, slow: bool) -> Finding:
    """Compare two expressions. In the fast path `NeedSlow` is raised where only many digits can tell."""
    if a == b:
        return Finding(True, "identical", "the same expression")
    infinite = infinity(a), infinity(b)
    if infinite[0] or infinite[1]:
        if infinite[0] and infinite[1]:
            same = infinite[0] == infinite[1]
            return Finding(same, "infinity", "the same infinity" if same else "the other infinity")
        other = b if infinite[0] else a
        if any(part == ("const", "inf") for part in walk(other)):
            return Finding(None, "infinity", "arithmetic with infinity")
        return Finding(False, "infinity", "infinity and a finite expression")
    unclear = None
    if any(part[0] == "call" and part[1] == "logq" for tree in (a, b) for part in walk(tree)):
        unclear = "a logarithm whose base is not written"
        if _has_logq(a) and _has_logq(b):
            a, b, unclear = _natural(a), _natural(b), None
        else:
            a, b = _natural(a), _natural(b)
    found = _exact(a, b, slow)
    if found is None or found.equal is False:
        rounding = _rounded(a, b, policy, slow) or _rounded(b, a, policy, slow)
        found = rounding or found
    if found is None:
        found = _sampled(a, b, slow)
    if unclear and found.equal is not None:
        return Finding(None, "guard", unclear)
    return found


def infinity(node: Node) -> int:
    """1, -1 for plus and minus infinity as a whole, else 0."""
    if node == ("const", "inf"):
        return 1
    if node[0] == "neg":
        return -infinity(node[1])
    return 0


def _has_logq(node: Node) -> bool:
    return any(part[0] == "call" and part[1] == "logq" for part in walk(node))


def _natural(node: Node) -> Node:
    if node[0] == "call" and node[1] == "logq":
        return ("call", "ln", tuple(_natural(n) for n in node[2]))
    return tuple(_natural_part(part) for part in node)


def _natural_part(part: object) -> object:
    if isinstance(part, tuple) and part:
        return _natural(part) if isinstance(part[0], str) else tuple(_natural_part(p) for p in part)
    return part


def _exact(a: Node, b: Node, slow: bool) -> Finding | None:
    algebra = Algebra(_WORK[slow])
    try:
        left, right = algebra.value(a), algebra.value(b)
        difference = algebra.difference(left, right)
    except (TooBig, OverflowError, ValueError, RecursionError):
        return None
    except Undefined as error:
        return Finding(None, "undefined", str(error))
    if not difference:
        plain = rational(left) is not None
        return Finding(
            True, "exact rational" if plain else "exact form", "the same value" if plain else "the same canonical form"
        )
    if decisive(left[0], left[1], right[0], right[1]):
        return Finding(False, "exact form", "another value" if not (symbols(a) | symbols(b)) else "another expression")
    return None


def decimal_literal(node: Node) -> tuple[Fraction, Fraction, int] | None:
    """(value, one unit of the last place, significant digits) of a plain decimal."""
    sign = 1
    while node[0] == "neg":
        node, sign = node[1], -sign
    if node[0] == "mul" and len(node[1]) == 2 and node[1][0][0] == "num" and node[1][0][2] is not None:
        scale = _power_of_ten(node[1][1])
        if scale is None:
            return None
        node = ("num", node[1][0][1] * scale, node[1][0][2] * scale)
    if node[0] != "num" or node[2] is None or not node[1]:
        return None
    digits_written = len(str(abs(node[1]) // node[2]))
    return node[1] * sign, node[2], digits_written


def _power_of_ten(node: Node) -> Fraction | None:
    if node[0] == "pow" and node[1] == ("num", Fraction(10), None):
        sign, exponent = 1, node[2]
        while exponent[0] == "neg":
            exponent, sign = exponent[1], -sign
        if exponent[0] == "num" and exponent[1].denominator == 1 and abs(exponent[1]) < 1000:
            return Fraction(10) ** (int(exponent[1]) * sign)
    return None


def _rounded(decimal: Node, other: Node, policy: Policy, slow: bool) -> Finding | None:
    """A decimal against an exact value that has no finite decimal: equal if enough digits are right."""
    literal = decimal_literal(decimal)
    if literal is None or symbols(other) or any(part[0] == "num" and part[2] is not None for part in walk(other)):
        return None
    value, unit, written = literal
    try:
        exact = rational(Algebra(_WORK[slow]).value(other))
    except (TooBig, Undefined, OverflowError, ValueError):
        exact = None
    if exact is not None:
        bottom = exact.denominator
        for p in (2, 5):
            while bottom % p == 0:
                bottom //= p
        if bottom == 1:
            return None
        near = exact
    else:
        try:
            lib = digits(60) if slow else floats()
            got = evaluate(other, {}, lib)
        except (Hard, Pole, OverflowError, ValueError, ZeroDivisionError):
            if slow:
                return None
            raise NeedSlow("rounding") from None
        if abs(got.imag) > abs(got) * 1e-12:
            return None
        if slow:
            man, exp = got.real.man_exp
            near = Fraction(int(man)) * Fraction(2) ** int(exp)
        else:
            if written > 11:
                if abs(got.real - float(value)) > 1e-9 * abs(got.real):
                    return Finding(False, "rounding", "the digits differ")
                raise NeedSlow("rounding")
            near = Fraction(got.real)
    error, noise = abs(near - value), Fraction(20 if written >= 14 else 0) * unit
    cut_off = abs(near) >= abs(value) and error < unit * Fraction(1000001, 1000000)
    if error > unit * Fraction(500001, 1000000) + noise and not cut_off:
        return Finding(False, "rounding", "another number")
    if written >= policy.digits:
        return Finding(True, "rounding", f"the first {written} digits of the exact value")
    if written <= 2:
        return Finding(False, "rounding", f"only {written} digits of an exact value")
    return Finding(None, "rounding", f"a rounded value with {written} digits; {policy.digits} are needed")


def _sampled(a: Node, b: Node, slow: bool) -> Finding:
    names = symbols(a) | symbols(b)
    try:
        rough = sample(a, b, floats(), wanted=4, tolerance=1e-6)
    except (OverflowError, ValueError, ZeroDivisionError, RecursionError):
        rough = None
    if rough is not None and rough.differ:
        return Finding(False, "numbers", "another value" if not names else "another value at a point")
    if not slow:
        raise NeedSlow("digits")
    loose = any(p[0] in ("int", "lim") or (p[0] == "sum" and p[3] == ("const", "inf")) for t in (a, b) for p in walk(t))
    places, tolerance = (25, 1e-12) if loose else (60, 1e-40)
    wanted = 8 if names else 1
    fine = sample(a, b, digits(places), wanted=wanted, tolerance=tolerance)
    if not fine.differ and not names and fine.agree and not loose:
        again = sample(a, b, digits(220), wanted=1, tolerance=1e-190)
        if again.differ or not again.agree:
            zero = _vanishing(a, b)
            if not zero:
                return Finding(None if not again.differ else False, "numbers", "equal to 40 digits, not to 190")
    if fine.differ:
        if not names and _vanishing(a, b):
            return Finding(True, "numbers", "both vanish to 200 digits")
        return Finding(False, "numbers", "another value" if not names else "another value at a point")
    if fine.agree >= wanted:
        if fine.hard:
            return Finding(None, "guard", fine.hard)
        if fine.apart:
            return Finding(None, "domain", "equal where both are real, but one exists where the other does not")
        return Finding(
            True, "numbers", f"the same value at {fine.agree} points" if names else "the same value to 190 digits"
        )
    if names and names <= {n for n in names if n.split("_")[0] in INDEX_NAMES}:
        whole = sample(a, b, digits(places), wanted=8, tolerance=tolerance, whole_all=True)
        if whole.differ:
            return Finding(False, "numbers", "another value at a whole number")
        if whole.agree >= 8:
            return Finding(True, "numbers", "the same value at the whole numbers")
    return Finding(None, "guard" if fine.hard else "numbers", fine.hard or "too few points where both exist")


def _vanishing(a: Node, b: Node) -> bool:
    """Whether both shrink with the working precision: zero up to rounding."""
    for node in (a, b):
        try:
            coarse, fine = evaluate(node, {}, digits(60)), evaluate(node, {}, digits(200))
        except (Hard, Pole, OverflowError, ValueError, ZeroDivisionError):
            return False
        if abs(fine) > 1e-150 or (fine != 0 and abs(coarse - fine) < abs(fine) * 1e-20):
            return False
    return True


def proportional(a: Node, b: Node, policy: Policy, slow: bool, *, positive: bool) -> Finding:
    """Whether a = c b with a constant c that is not zero (and positive, if asked)."""
    names = symbols(a) | symbols(b)
    if symbols(a) != symbols(b) and not (symbols(a) and symbols(b)):
        return Finding(False, "equation", "other variables")
    algebra = Algebra(_WORK[slow])
    try:
        left, right = algebra.value(a), algebra.value(b)
        ratio = _multiple(left[0], right[0]) if left[1] == ONE and right[1] == ONE else None
        if ratio is not None:
            good = ratio > 0 or not positive
            return Finding(good, "equation", "one is a multiple of the other" if good else "the sign is turned")
        if not positive and (cleared := _cleared(left, right)) is not None:
            return cleared
    except (TooBig, Undefined, OverflowError, ValueError, RecursionError):
        pass
    try:
        rough = _ratio(a, b, names, floats(), 1e-6)
    except (OverflowError, ValueError, ZeroDivisionError, RecursionError):
        rough = None
    if rough is not None and rough[0] is False:
        return Finding(False, "equation", "no multiple of the other")
    if not slow:
        raise NeedSlow("equation")
    fine = _ratio(a, b, names, digits(60), 1e-40)
    if fine is None:
        return Finding(None, "equation", "too few points to compare")
    if fine[0] and positive and fine[1] < 0:
        return Finding(False, "equation", "the sign is turned")
    return Finding(fine[0], "equation", "one is a multiple of the other" if fine[0] else "no multiple of the other")


def _multiple(a: Poly, b: Poly) -> Fraction | None:
    """c with a = c b, for polynomials that are not zero."""
    if not a or set(a) != set(b):
        return None
    first = min(a)
    ratio = a[first] / b[first]
    return ratio if all(a[mono] == ratio * b[mono] for mono in a) else None


def _cleared(a: Value, b: Value) -> Finding | None:
    """Equations that are multiples after multiplying by their denominators: y = 1/x and xy = 1.

    Equal only if no solution is won: where a variable that stood below is zero, the cleared equation must be false.
    """
    tops = []
    below: set[str] = set()
    for top, bottom in (a, b):
        if bottom != ONE:
            below.add("a sum")
        lowest: dict[str, Fraction] = {}
        for mono in top:
            for atom, power in mono:
                if power < 0:
                    lowest[atom] = min(lowest.get(atom, Fraction(0)), power)
        below |= set(lowest)
        algebra = Algebra()
        factor: Poly = {tuple(sorted((atom, -power) for atom, power in lowest.items())): Fraction(1)}
        tops.append(algebra.mul(top, factor))
    if not below or _multiple(tops[0], tops[1]) is None:
        return None
    for atom in below:
        rest = [mono for mono in tops[0] if not any(name == atom for name, _ in mono)]
        if rest != [()]:
            return Finding(None, "equation", "multiples of each other, but one is not defined everywhere")
    return Finding(True, "equation", "multiples of each other after clearing denominators")


def _ratio(a: Node, b: Node, names: set[str], lib: Library, tolerance: float) -> tuple[bool, float] | None:
    """(whether a/b is constant and not zero, its sign) at points; None if too few exist."""
    first = None
    seen = 0
    whole = (whole_variables(a) | whole_variables(b)) & names
    for at in points(sorted(names), whole, 40, []):
        try:
            top, bottom = evaluate(a, at, lib), evaluate(b, at, lib)
        except (Hard, Pole, OverflowError, ValueError, ZeroDivisionError):
            continue
        if top == 0 and bottom == 0:
            continue
        if top == 0 or bottom == 0:
            return False, 0.0
        value = top / bottom
        if abs(value.imag) > 1e-12 * abs(value):
            continue
        if first is None:
            first = value
        elif abs(value - first) > tolerance * abs(first):
            return False, 0.0
        seen += 1
        if seen >= 8:
            break
    return None if first is None or seen < 6 else (True, 1.0 if first.real > 0 else -1.0)


__all__ = ["INDEX_NAMES", "NeedSlow", "decimal_literal", "infinity", "proportional", "scalars"]
