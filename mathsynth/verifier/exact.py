"""Exact arithmetic on trees without sympy: quotients of polynomials over atoms, with rational coefficients.

An atom is a variable, pi, e, i, a prime under a root, or an opaque piece such as sin(x+1), named by its own canonical
form. Two values with the same form are equal: that is a proof. Two different forms are a proof of inequality only
where the atoms are independent (`decisive`). Everything is bounded: `TooBig` means "not here".
"""

from __future__ import annotations

import math
from fractions import Fraction

from mathsynth.verifier.tree import Node, substitute

Mono = tuple[tuple[str, Fraction], ...]
Poly = dict[Mono, Fraction]
Value = tuple[Poly, Poly]

ONE: Poly = {(): Fraction(1)}
_MAX_TERMS, _MAX_BITS, _MAX_WORK = 600, 60_000, 60_000


class TooBig(Exception):
    """This value is not worked out exactly: too many terms, too many digits, or no exact form."""


class Undefined(Exception):
    """A division by zero, 0^0, infinity: the value does not exist."""


class Algebra:
    """Turns trees into canonical quotients; keeps what its root atoms stand for and how much work was done."""

    def __init__(self) -> None:
        self.roots: dict[str, Poly] = {}
        self.work = 0

    def value(self, node: Node) -> Value:
        """The canonical form of a scalar tree."""
        kind = node[0]
        if kind == "num":
            return _number(node[1])
        if kind == "sym":
            return _atom("s:" + node[1]), ONE
        if kind == "const":
            if node[1] == "inf":
                raise Undefined("infinity")
            return _atom(node[1]), ONE
        if kind == "add":
            return self.sum([self.value(part) for part in node[1]])
        if kind == "neg":
            top, bottom = self.value(node[1])
            return {m: -c for m, c in top.items()}, bottom
        if kind == "mul":
            out: Value = (ONE, ONE)
            for part in node[1]:
                out = self.times(out, self.value(part))
            return out
        if kind == "div":
            return self.times(self.value(node[1]), self.inverse(self.value(node[2])))
        if kind == "pow":
            return self.power(self.value(node[1]), self.value(node[2]))
        if kind == "deg":
            return self.times(self.value(node[1]), ({(("pi", Fraction(1)),): Fraction(1, 180)}, ONE))
        if kind == "call":
            return self.call(node[1], node[2])
        if kind in ("sum", "prod"):
            return self.series(node)
        raise TooBig(kind)

    # arithmetic

    def spend(self, amount: int) -> None:
        self.work += amount
        if self.work > _MAX_WORK:
            raise TooBig("work")

    def add(self, a: Poly, b: Poly) -> Poly:
        out = dict(a)
        for mono, c in b.items():
            total = out.get(mono, 0) + c
            if total:
                out[mono] = total
            else:
                del out[mono]
        self.spend(len(b))
        return _checked(out)

    def sum(self, parts: list[Value]) -> Value:
        simple: Poly = {}
        for top, bottom in parts:
            if bottom == ONE:
                simple = self.add(simple, top)
        total: Value = (simple, ONE)
        for top, bottom in parts:
            if bottom != ONE:
                if bottom == total[1]:
                    total = (self.add(total[0], top), bottom)
                else:
                    total = (self.add(self.mul(total[0], bottom), self.mul(top, total[1])), self.mul(total[1], bottom))
        return total if total[0] else ({}, ONE)

    def mul(self, a: Poly, b: Poly) -> Poly:
        self.spend(len(a) * len(b))
        out: Poly = {}
        grown: list[tuple[Poly, str, int]] = []
        for m1, c1 in a.items():
            for m2, c2 in b.items():
                mono, factor, carry = _merge(m1, m2)
                c = c1 * c2 * factor
                if carry is not None and carry[0] in self.roots:
                    grown.append(({mono: c}, *carry))
                    continue
                total = out.get(mono, 0) + c
                if total:
                    out[mono] = total
                else:
                    out.pop(mono, None)
        for part, atom, times in grown:
            for _ in range(times):
                part = self.mul(part, self.roots[atom])
            out = self.add(out, part)
        return _checked(out)

    def times(self, a: Value, b: Value) -> Value:
        top = self.mul(a[0], b[0])
        if not top:
            return {}, ONE
        return top, b[1] if a[1] == ONE else a[1] if b[1] == ONE else self.mul(a[1], b[1])

    def inverse(self, a: Value) -> Value:
        top, bottom = a
        if not top:
            raise Undefined("division by zero")
        if len(top) == 1:
            ((mono, c),) = top.items()
            flipped, factor = _normal({atom: -power for atom, power in mono})
            return self.mul(bottom, {flipped: factor / c}), ONE
        return bottom, top

    def power(self, base: Value, exponent: Value) -> Value:
        if exponent[1] != ONE:
            return self.opaque("^", base, exponent)
        top = exponent[0]
        if not top:
            if not base[0]:
                raise Undefined("0^0")
            return ONE, ONE
        if set(top) == {()}:
            return self.fixed_power(base, top[()])
        return self.symbolic_power(base, top)

    def fixed_power(self, base: Value, k: Fraction) -> Value:
        if not base[0]:
            if k < 0:
                raise Undefined("division by zero")
            return {}, ONE
        if k.denominator == 1:
            n = abs(int(k))
            self.guard_power(base[0], n)
            source = self.inverse(base) if k < 0 else base
            if len(source[0]) == 1 and source[1] == ONE:
                ((mono, c),) = source[0].items()
                if not any(atom in self.roots for atom, _ in mono):
                    _bits_ok(c, n)
                    flipped, factor = _normal({atom: power * n for atom, power in mono})
                    return {flipped: c**n * factor}, ONE
            out: Value = (ONE, ONE)
            while n:
                if n & 1:
                    out = self.times(out, source)
                n >>= 1
                if n:
                    source = (self.mul(source[0], source[0]), source[1] if source[1] == ONE else self.mul(source[1], source[1]))
            return out
        return self.fractional_power(base, k)

    def guard_power(self, top: Poly, n: int) -> None:
        if len(top) > 1 and n > 60 or n > 200_000:
            raise TooBig("power")

    def fractional_power(self, base: Value, k: Fraction) -> Value:
        """A rational exponent p/q: positive rationals under the root go to primes, the rest becomes a root atom."""
        if base[1] != ONE:
            bottom = self.fractional_power((base[1], ONE), -k)
            if set(base[0]) != {()} or base[0][()] <= 0:
                raise TooBig("root of a quotient")
            return self.times(self.fractional_power((base[0], ONE), k), bottom)
        top = base[0]
        if set(top) == {()}:
            return self.root_of_number(top[()], k)
        content = _content(top)
        primitive = {m: c / content for m, c in top.items()}
        front = self.root_of_number(content, k)
        if len(primitive) == 1:
            ((mono, c),) = primitive.items()
            if c == 1 and len(mono) == 1 and (mono[0][1] == 1 or _positive(mono[0][0])):
                normal, factor = _normal({mono[0][0]: mono[0][1] * k})
                return self.times(front, ({normal: factor}, ONE))
            if c == 1 and all(_positive(atom) for atom, _ in mono):
                normal, factor = _normal({atom: power * k for atom, power in mono})
                return self.times(front, ({normal: factor}, ONE))
        name = "r:" + key(primitive)
        self.roots[name] = primitive
        whole = math.floor(k)
        out = self.times(front, ({((name, k - whole),): Fraction(1)}, ONE))
        return self.times(out, self.fixed_power((primitive, ONE), Fraction(whole))) if whole else out

    def root_of_number(self, c: Fraction, k: Fraction) -> Value:
        if c < 0:
            if k.denominator % 2:
                sign = -1 if k.numerator % 2 else 1
                top, bottom = self.root_of_number(-c, k)
                return {m: x * sign for m, x in top.items()}, bottom
            if k.denominator != 2:
                raise TooBig("even root of a negative number")
            front, factor = _normal({"i": k * 2})
            return self.times(({front: factor}, ONE), self.root_of_number(-c, k))
        powers: dict[str, Fraction] = {}
        for n, sign in ((c.numerator, 1), (c.denominator, -1)):
            for p, times in factors(n).items():
                powers[f"p:{p}"] = powers.get(f"p:{p}", Fraction(0)) + times * sign * k
        mono, factor = _normal(powers)
        return {mono: factor}, ONE

    def symbolic_power(self, base: Value, exponent: Poly) -> Value:
        """b^(3n + 1) = b^1 (b^n)^3 for a number, e, or a single variable b."""
        top, bottom = base
        if bottom != ONE or len(top) != 1:
            return self.opaque("^", base, (exponent, ONE))
        ((mono, c),) = top.items()
        parts: list[tuple[str, Fraction]] = []
        if not mono:
            if c < 0:
                parts.append(("-1", Fraction(1)))
            for n, sign in ((abs(c.numerator), 1), (c.denominator, -1)):
                parts.extend((f"p:{p}", Fraction(times * sign)) for p, times in factors(n).items())
        elif c == 1 and len(mono) == 1 and mono[0][1] == 1 and mono[0][0] != "i":
            parts.append((mono[0][0], Fraction(1)))
        else:
            return self.opaque("^", base, (exponent, ONE))
        out: Value = (ONE, ONE)
        for atom, times in parts:
            for term, coefficient in exponent.items():
                amount = coefficient * times
                if not term:
                    root = _number(-1) if atom == "-1" else _number(int(atom[2:])) if atom.startswith("p:") else (_atom(atom), ONE)
                    out = self.times(out, self.fixed_power(root, amount))
                elif atom == "e" and dict(term) == {"i": 1, "pi": 1} and (2 * amount).denominator == 1:
                    turned, factor = _normal({"i": 2 * amount})
                    out = self.times(out, ({turned: factor}, ONE))
                else:
                    out = self.times(out, ({((f"^:{atom}:{key({term: Fraction(1)})}", amount),): Fraction(1)}, ONE))
        return out

    def opaque(self, name: str, *args: Value) -> Value:
        return _atom(f"f:{name}({';'.join(value_key(arg) for arg in args)})"), ONE

    # functions

    def call(self, name: str, nodes: tuple[Node, ...]) -> Value:
        if name == "det":
            return self.determinant(nodes[0])
        args = [self.value(node) for node in nodes]
        first = args[0]
        numbers = [rational(arg) for arg in args]
        if name == "root":
            index = numbers[1]
            if index is None or index.denominator != 1 or index < 2 or index > 1000:
                raise TooBig("root index")
            return self.fractional_power(first, 1 / index) if first[0] else ({}, ONE)
        if name in ("fact", "binom"):
            return self.counting(name, args, numbers)
        if name == "log":
            base = numbers[1]
            if base is not None and (base <= 0 or base == 1):
                raise Undefined("log base")
            return self.times(self.ln(first), self.inverse(self.ln(args[1])))
        if name == "ln":
            return self.ln(first)
        if name == "abs":
            return self.absolute(first, numbers[0])
        if name in ("sin", "cos", "tan", "cot", "sec", "csc"):
            return self.trig(name, first)
        if all(n is not None for n in numbers):
            known = _of_numbers(name, [n for n in numbers if n is not None])
            if known is not None:
                return _number(known)
        if name in ("Re", "Im", "conj") and first[1] == ONE and _constant_real_parts(first[0]):
            plain = {m: c for m, c in first[0].items() if ("i", 1) not in m}
            turned = {tuple(f for f in m if f[0] != "i"): c for m, c in first[0].items() if ("i", 1) in m}
            if name == "conj":
                return {m: -c if ("i", 1) in m else c for m, c in first[0].items()}, ONE
            return plain if name == "Re" else turned, ONE
        return self.opaque(name, *args)

    def ln(self, arg: Value) -> Value:
        top, bottom = arg
        if not top:
            raise Undefined("ln 0")
        if bottom == ONE and len(top) == 1:
            ((mono, c),) = top.items()
            if c > 0 and all(atom == "e" or atom.startswith("p:") for atom, _ in mono):
                out: Poly = {}
                for n, sign in ((c.numerator, 1), (c.denominator, -1)):
                    for p, times in factors(n).items():
                        out = self.add(out, {((f"ln:{p}", Fraction(1)),): Fraction(times * sign)})
                for atom, power in mono:
                    term: Poly = {(): power} if atom == "e" else {((f"ln:{atom[2:]}", Fraction(1)),): power}
                    out = self.add(out, term)
                return out, ONE
        return self.opaque("ln", arg)

    def absolute(self, arg: Value, number: Fraction | None) -> Value:
        if number is not None:
            return _number(abs(number))
        top, bottom = arg
        if bottom == ONE and set(top) <= {(), (("i", Fraction(1)),)}:
            real, imaginary = top.get((), Fraction(0)), top.get((("i", Fraction(1)),), Fraction(0))
            return self.root_of_number(real**2 + imaginary**2, Fraction(1, 2))
        lead = top[min(top)]
        if lead < 0:
            top = {m: -c for m, c in top.items()}
        return self.opaque("abs", (top, bottom))

    def trig(self, name: str, arg: Value) -> Value:
        if name in ("tan", "cot", "sec", "csc"):
            sin, cos = self.trig("sin", arg), self.trig("cos", arg)
            if name in ("tan", "cot"):
                upper, lower = (sin, cos) if name == "tan" else (cos, sin)
                return self.times(upper, self.inverse(lower))
            return self.inverse(cos if name == "sec" else sin)
        top, bottom = arg
        if not top:
            return _number(0 if name == "sin" else 1)
        if bottom == ONE and set(top) == {(("pi", Fraction(1)),)}:
            turn = top[(("pi", Fraction(1)),)]
            exact = _sine(turn if name == "sin" else turn + Fraction(1, 2))
            if exact is not None:
                return exact
        if top[min(top)] < 0:
            top = {m: -c for m, c in top.items()}
            value, one = self.opaque(name, (top, bottom))
            return ({m: -c for m, c in value.items()} if name == "sin" else value), one
        return self.opaque(name, arg)

    def counting(self, name: str, args: list[Value], numbers: list[Fraction | None]) -> Value:
        first = numbers[0]
        if name == "fact":
            if first is not None:
                if first.denominator != 1 or first < 0:
                    raise TooBig("factorial of no natural number")
                if first > 3000:
                    raise TooBig("factorial")
                return _number(math.factorial(int(first)))
            top, bottom = args[0]
            shift = top.get((), Fraction(0))
            if bottom != ONE or shift.denominator != 1 or not -8 <= shift <= 8:
                return self.opaque("fact", args[0])
            rest = {m: c for m, c in top.items() if m}
            out = self.opaque("fact", (rest, ONE))
            for j in range(1, int(shift) + 1):
                out = self.times(out, (self.add(rest, {(): Fraction(j)}), ONE))
            for j in range(int(shift) + 1, 1):
                out = self.times(out, self.inverse((self.add(rest, {(): Fraction(j)} if j else {}), ONE)))
            return out
        second = numbers[1]
        if first is not None and second is not None:
            if first.denominator != 1 or second.denominator != 1 or first < 0 or second < 0:
                raise TooBig("binomial")
            if first > 5000:
                raise TooBig("binomial")
            return _number(math.comb(int(first), int(second)))
        minus = ({m: -c for m, c in args[1][0].items()}, args[1][1])
        difference = self.sum([args[0], minus])
        parts = [self.counting("fact", [v], [rational(v)]) for v in (args[0], args[1], difference)]
        return self.times(parts[0], self.inverse(self.times(parts[1], parts[2])))

    def series(self, node: Node) -> Value:
        kind, var, low, high, body = node
        if high == ("const", "inf"):
            raise TooBig("infinite series")
        start, end = rational(self.value(low)), rational(self.value(high))
        if start is None or end is None or start.denominator != 1 or end.denominator != 1 or end - start > 1500:
            raise TooBig("series")
        total: Value = ({}, ONE) if kind == "sum" else (ONE, ONE)
        for n in range(int(start), int(end) + 1):
            term = self.value(substitute(body, var, ("num", Fraction(n), None)))
            total = self.sum([total, term]) if kind == "sum" else self.times(total, term)
        return total

    def determinant(self, node: Node) -> Value:
        if node[0] != "matrix" or len(node[1]) != len(node[1][0]) or len(node[1]) > 6:
            raise TooBig("determinant")
        rows = [[self.value(entry) for entry in row] for row in node[1]]
        return self.expand(rows)

    def expand(self, rows: list[list[Value]]) -> Value:
        if len(rows) == 1:
            return rows[0][0]
        terms = []
        for j, head in enumerate(rows[0]):
            if head[0]:
                minor = self.expand([row[:j] + row[j + 1 :] for row in rows[1:]])
                top, bottom = self.times(head, minor)
                terms.append(({m: -c for m, c in top.items()} if j % 2 else top, bottom))
        return self.sum(terms) if terms else ({}, ONE)

    # comparison

    def difference(self, a: Value, b: Value) -> Poly:
        """A polynomial that is zero exactly when a = b (where both exist)."""
        left, right = a[0], b[0]
        if a[1] != b[1]:
            left, right = self.mul(left, b[1]), self.mul(right, a[1])
        return self.add(left, {m: -c for m, c in right.items()})


def decisive(*polys: Poly) -> bool:
    """Whether different forms mean different values: variables, roots of primes, i, and pi or e, but nothing opaque."""
    atoms = {atom for poly in polys for mono in poly for atom, _ in mono}
    return all(a.startswith(("s:", "p:")) or a in ("i", "pi", "e") for a in atoms) and not {"pi", "e"} <= atoms


def rational(value: Value) -> Fraction | None:
    """The number, if the value is a rational one."""
    top, bottom = value
    if bottom != ONE:
        return None
    if not top:
        return Fraction(0)
    return top[()] if set(top) == {()} else None


def key(poly: Poly) -> str:
    """A text that names the polynomial."""
    return "+".join(f"{c}*{'.'.join(f'{a}^{p}' for a, p in m)}" for m, c in sorted(poly.items()))


def value_key(value: Value) -> str:
    """A text that names the quotient; not unique for quotients with a common factor."""
    top, bottom = value
    return key(top) if bottom == ONE else f"[{key(top)}]/[{key(bottom)}]"


def factors(n: int) -> dict[int, int]:
    """Prime factors up to 10^4; a larger rest counts as one factor and must be no perfect power."""
    out: dict[int, int] = {}
    p = 2
    while p * p <= n and p < 10_000:
        while n % p == 0:
            out[p] = out.get(p, 0) + 1
            n //= p
        p += 1 if p == 2 else 2
    if n > 1:
        if n >= 10**8:
            raise TooBig("factoring")
        out[n] = out.get(n, 0) + 1
    return out


def _number(value: int | Fraction) -> Value:
    return ({(): Fraction(value)} if value else {}), ONE


def _atom(name: str) -> Poly:
    return {((name, Fraction(1)),): Fraction(1)}


def _positive(atom: str) -> bool:
    return atom in ("pi", "e") or atom.startswith("p:")


def _merge(a: Mono, b: Mono) -> tuple[Mono, Fraction, tuple[str, int] | None]:
    """The product of two monomials, the number it throws off, and a root atom that reached a whole power."""
    if not a or not b:
        return a or b, Fraction(1), None
    powers = dict(a)
    for atom, power in b:
        powers[atom] = powers.get(atom, Fraction(0)) + power
    carry = None
    for atom, power in powers.items():
        if atom.startswith("r:") and power >= 1:
            carry = (atom, int(power))
            powers[atom] = power - int(power)
            break
    mono, factor = _normal(powers)
    return mono, factor, carry


def _normal(powers: dict[str, Fraction]) -> tuple[Mono, Fraction]:
    """Sorted, without zero powers; whole powers of primes and of i become a number."""
    factor = Fraction(1)
    out: list[tuple[str, Fraction]] = []
    for atom, power in powers.items():
        power = Fraction(power)
        if atom == "i":
            turns = power % 4
            if turns.denominator != 1:
                raise TooBig("root of i")
            factor *= -1 if turns in (2, 3) else 1
            power = Fraction(int(turns) % 2)
        elif atom.startswith("p:"):
            whole = math.floor(power)
            if whole:
                _bits_ok(Fraction(int(atom[2:])), abs(whole))
                factor *= Fraction(int(atom[2:])) ** whole
            power -= whole
        if power:
            out.append((atom, power))
    return tuple(sorted(out)), factor


def _bits_ok(c: Fraction, n: int) -> None:
    if max(c.numerator.bit_length(), c.denominator.bit_length()) * n > 4 * _MAX_BITS and abs(c) != 1:
        raise TooBig("digits")


def _checked(poly: Poly) -> Poly:
    if len(poly) > _MAX_TERMS:
        raise TooBig("terms")
    for c in poly.values():
        if c.numerator.bit_length() > 4 * _MAX_BITS or c.denominator.bit_length() > 4 * _MAX_BITS:
            raise TooBig("digits")
    return poly


def _content(poly: Poly) -> Fraction:
    """The positive rational that divides all coefficients; the leading sign stays in."""
    top = math.gcd(*(c.numerator for c in poly.values()))
    return Fraction(top, math.lcm(*(c.denominator for c in poly.values())))


def _constant_real_parts(poly: Poly) -> bool:
    return all(atom in ("i", "pi", "e") or atom.startswith("p:") for mono in poly for atom, _ in mono)


def _of_numbers(name: str, args: list[Fraction]) -> Fraction | None:
    first = args[0]
    if name == "floor":
        return Fraction(math.floor(first))
    if name == "ceil":
        return Fraction(math.ceil(first))
    if name == "sgn":
        return Fraction((first > 0) - (first < 0))
    if name == "max":
        return max(args)
    if name == "min":
        return min(args)
    if name in ("gcd", "lcm") and all(a.denominator == 1 for a in args):
        return Fraction(getattr(math, name)(*(int(a) for a in args)))
    if name in ("Re", "conj"):
        return first
    return Fraction(0) if name == "Im" else None


def _sine(turn: Fraction) -> Value | None:
    """sin(turn * pi) for multiples of pi/6 and pi/4."""
    turn %= 2
    sign = 1
    if turn >= 1:
        turn, sign = turn - 1, -1
    if turn > Fraction(1, 2):
        turn = 1 - turn
    half = Fraction(sign, 2)
    table: dict[Fraction, Poly] = {
        Fraction(0): {}, Fraction(1, 6): {(): half}, Fraction(1, 2): {(): Fraction(sign)},
        Fraction(1, 4): {(("p:2", Fraction(1, 2)),): half}, Fraction(1, 3): {(("p:3", Fraction(1, 2)),): half},
    }  # fmt: skip
    found = table.get(turn)
    return None if found is None else (found, ONE)
