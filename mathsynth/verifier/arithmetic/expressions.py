"""Expressions of the step check: parsed from tokens, evaluated exactly with Fractions, irrational ones to 50 digits.

Nothing here raises for what it can't read: `parse` and `evaluate` return None. No sympy: a response takes milliseconds.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, localcontext
from fractions import Fraction

from mathsynth.verifier.arithmetic.prose import Number, Token

DIGITS = 50
MAX_BITS = 20_000
PI = Decimal("3.14159265358979323846264338327950288419716939937510582097494459")

Value = Fraction | Decimal
Node = tuple[object, ...]


@dataclass(slots=True)
class Expression:
    """One parsed side: its tree, its literals and letters, its operators in reading order, and the readings it allows.

    `readings` names the points where the notation can be read in two ways (`parse` takes one as `reading`).
    """

    tree: Node
    numbers: list[Number]
    letters: set[str]
    operators: str
    text: str
    readings: set[str] = field(default_factory=set)

    @property
    def plain(self) -> Number | None:
        """The literal, when the side is nothing but one number, with a sign or a percent mark at most."""
        return (
            self.numbers[0]
            if len(self.numbers) == 1 and not self.letters and not set(self.operators) - {"%", "~"}
            else None
        )

    @property
    def scientific(self) -> tuple[Number | None, int | Fraction]:
        """(mantissa, power of ten) of a side such as `1.2 × 10^24`; (None, 1) of any other."""
        tree = self.tree
        if tree[0] == "*" and isinstance(tree[1], tuple) and isinstance(tree[2], tuple) and tree[2][0] == "^":
            mantissa, power = tree[1][1], evaluate(tree[2])
            base = tree[2][1]
            ten = isinstance(base, tuple) and isinstance(base[1], Number) and base[1].value == 10
            if (
                tree[1][0] == "n"
                and isinstance(mantissa, Number)
                and ten
                and isinstance(power, Fraction)
                and mantissa.places
            ):
                return mantissa, power
        return None, 1


class _Unreadable(Exception):
    pass


class _Parser:
    def __init__(self, tokens: list[Token], reading: str) -> None:
        self.tokens, self.reading, self.at, self.depth = tokens, reading, 0, 0
        self.numbers: list[Number] = []
        self.letters: set[str] = set()
        self.readings: set[str] = set()
        self.operators: list[str] = []

    def peek(self, kind: str, text: str = "") -> bool:
        if self.at >= len(self.tokens):
            return False
        token = self.tokens[self.at]
        return token.kind == kind and (not text or token.text in text)

    def may(self, reading: str) -> bool:
        self.readings.add(reading)
        return self.reading == reading

    def sum(self) -> Node:
        self.depth += 1
        if self.depth > 30:
            raise _Unreadable
        node = self.product()
        while self.peek("op", "+-"):
            sign = self.tokens[self.at].text
            self.at += 1
            self.operators.append(sign)
            term = self.product()
            if term[0] == "pct" and node[0] != "pct" and self.may("percent of the former"):
                term = ("*", node, term)
            node = (sign, node, term)
        self.depth -= 1
        return node

    def product(self) -> Node:
        node = self.signed()
        while True:
            if self.peek("op", "*/of"):
                sign = self.tokens[self.at].text
                self.at += 1
                self.operators.append("*" if sign == "of" else sign)
                right = self.signed()
                if sign == "/" and self.implied() and self.may("a/(bc)"):
                    while self.implied():
                        right = ("*", right, self.power())
                node = ("/" if sign == "/" else "*", node, right)
            elif self.implied():
                self.operators.append("*")
                node = ("*", node, self.power())
            else:
                return node

    def implied(self) -> bool:
        if not 0 < self.at < len(self.tokens):
            return False
        before, after = self.tokens[self.at - 1], self.tokens[self.at]
        if before.kind in ("num", "pct", "fact", "sup", ")", "var") and after.kind in (
            "(",
            "var",
            "root",
            "frac",
            "binom",
        ):
            if after.kind == "(" and after.space and before.kind in ("num", "pct"):
                self.readings.add("gap")
            return True
        return before.kind == ")" and after.kind == "num" and not after.space and before.text == "}"

    def signed(self) -> Node:
        if self.peek("op", "+-"):
            sign = self.tokens[self.at].text
            self.at += 1
            self.depth += 1
            if self.depth > 30:
                raise _Unreadable
            if sign == "-":
                self.operators.append("~")
            literal = self.peek("num")
            node = self.power()
            self.depth -= 1
            if sign == "+":
                return node
            if node[0] == "^" and literal and self.may("(-a)^n"):
                return ("^", ("neg", node[1]), node[2])
            return ("neg", node)
        return self.power()

    def power(self) -> Node:
        node = self.primary()
        while True:
            if self.peek("sup"):
                node = ("^", node, ("n", Number(Fraction(int(self.tokens[self.at].text)))))
                self.operators.append("^")
            elif self.peek("pct"):
                self.operators.append("%")
                node = node if self.may("bare percent") else ("pct", node)
            elif self.peek("fact"):
                if self.may("exclamation"):
                    pass
                else:
                    self.operators.append("!")
                    node = ("fact", node)
            elif self.peek("op", "^"):
                self.at += 1
                self.operators.append("^")
                return ("^", node, self.signed())
            else:
                return node
            self.at += 1

    def primary(self) -> Node:
        if self.at >= len(self.tokens):
            raise _Unreadable
        token = self.tokens[self.at]
        self.at += 1
        if token.kind == "num" and token.number is not None:
            self.numbers.append(token.number)
            if self.peek("frac") and token.number.value.denominator == 1 and not self.may("product"):
                return ("+", ("n", token.number), self.primary())
            return ("n", token.number)
        if token.kind == "var":
            self.letters.add(token.text)
            return ("v", token.text)
        if token.kind == "(":
            node = self.sum()
            if not self.peek(")"):
                raise _Unreadable
            self.at += 1
            return node
        if token.kind == "frac":
            top = self.argument()
            self.operators.append("/")
            return ("/", top, self.argument())
        if token.kind == "binom":
            self.operators.append("C")
            return ("binom", self.argument(), self.argument())
        if token.kind == "root":
            self.operators.append("√")
            return ("root", self.argument(), int(token.text))
        raise _Unreadable

    def argument(self) -> Node:
        if not (self.peek("(") or self.peek("num") or self.peek("var")):
            raise _Unreadable
        return self.primary()


def parse(tokens: list[Token], reading: str = "") -> Expression | None:
    """The expression that the tokens spell, all of them; None where they don't spell one."""
    if not tokens or len(tokens) > 240:
        return None
    parser = _Parser(tokens, reading)
    try:
        tree = parser.sum()
    except _Unreadable:
        return None
    if parser.at != len(tokens):
        return None
    return Expression(tree, parser.numbers, parser.letters, "".join(parser.operators), render(tokens), parser.readings)


def render(tokens: list[Token]) -> str:
    """The tokens as one text with no spaces, units or currency: `\\frac{1}{2}` is `(1)/(2)`, shown as `1/2`."""
    out: list[str] = []
    closings: list[tuple[int, str]] = []
    depth = 0
    for token in tokens:
        shown = {"root": "sqrt", "frac": "", "pct": "%", "fact": "!", "binom": "C"}.get(token.kind, token.text)
        if token.kind == "(":
            depth, shown = depth + 1, "("
        elif token.kind == ")":
            depth, shown = depth - 1, ")"
        elif token.kind == "sup":
            shown = "^" + token.text
        elif token.text == "of":
            shown = "*"
        out.append(shown)
        if token.kind in ("frac", "binom"):
            closings.append((depth, "/" if token.kind == "frac" else ","))
        elif closings and depth == closings[-1][0] and token.kind in (")", "num", "var"):
            out.append(closings.pop()[1])
    return re.sub(r"(?<![\w)])\((\d+(?:\.\d+)?)\)(?![\w(^!])|(?<=\^)\((\d+)\)", lambda m: m[1] or m[2], "".join(out))


# ---------------------------------------------------------------------------------------------- values


def evaluate(
    tree: Node,
    letters: Mapping[str, Value] | None = None,
    *,
    scaled: bool = False,
    shift: tuple[Number, Fraction] | None = None,
) -> Value | None:
    """The value of a tree: exact where it is rational, else to 50 digits; None where it has none that we can compute.

    `letters` gives variables values (π is known), `scaled` converts units to their smallest, `shift` moves one literal.
    """
    with localcontext() as context:
        context.prec = DIGITS + 10
        try:
            return _value(tree, letters or {}, scaled, shift)
        except (_Unreadable, ArithmeticError):
            return None


def _value(tree: Node, letters: Mapping[str, Value], scaled: bool, shift: tuple[Number, Fraction] | None) -> Value:
    kind = tree[0]
    if kind == "n":
        number = tree[1]
        assert isinstance(number, Number)
        value = number.value + (shift[1] if shift and shift[0] is number else 0)
        return value * number.scale if scaled else value
    if kind == "v":
        name = str(tree[1])
        if name in letters:
            return letters[name]
        if name == "π":
            return PI
        raise _Unreadable
    parts = [_value(part, letters, scaled, shift) for part in tree[1:] if isinstance(part, tuple)]
    first = parts[0]
    if kind == "neg":
        return -first
    if kind == "pct":
        return first / 100
    if kind == "fact":
        if not isinstance(first, Fraction) or first.denominator != 1 or not 0 <= first <= 1000:
            raise _Unreadable
        return Fraction(math.factorial(int(first)))
    if kind == "root":
        degree = tree[2]
        assert isinstance(degree, int)
        return _power(first, Fraction(1, degree))
    second = parts[1]
    if kind == "binom":
        if not (_whole(first) and _whole(second) and 0 <= second <= first <= 1000):
            raise _Unreadable
        return Fraction(math.comb(int(first), int(second)))
    if kind == "^":
        return _power(first, second)
    if isinstance(first, Fraction) and isinstance(second, Fraction):
        if kind == "+":
            return first + second
        if kind == "-":
            return first - second
        return first * second if kind == "*" else first / second
    a, b = real(first), real(second)
    if kind == "+":
        return a + b
    if kind == "-":
        return a - b
    return a * b if kind == "*" else a / b


def _whole(value: Value) -> bool:
    return isinstance(value, Fraction) and value.denominator == 1


def real(value: Value) -> Decimal:
    """The value as a Decimal in the current precision."""
    return value if isinstance(value, Decimal) else Decimal(value.numerator) / Decimal(value.denominator)


def _power(base: Value, exponent: Value) -> Value:
    if isinstance(base, Fraction) and isinstance(exponent, Fraction):
        bits = max(base.numerator.bit_length(), base.denominator.bit_length())
        if abs(exponent) * bits > MAX_BITS:
            raise _Unreadable
        if exponent.denominator == 1:
            return base**exponent.numerator
        if base < 0:
            raise _Unreadable
        exact = _exact_root(base, exponent.denominator)
        if exact is not None:
            return exact**exponent.numerator
    a, b = real(base), real(exponent)
    if abs(b) > 1000 or (a < 0 and b != b.to_integral_value()):
        raise _Unreadable
    power = a.sqrt() if b == Decimal("0.5") else a**b
    if power.adjusted() > MAX_BITS:
        raise _Unreadable
    return power


def _exact_root(value: Fraction, degree: int) -> Fraction | None:
    if degree > 12 or value.numerator.bit_length() > 2000 or value.denominator.bit_length() > 2000:
        return None
    roots = []
    for part in (value.numerator, value.denominator):
        root = math.isqrt(part) if degree == 2 else round(part ** (1 / degree)) if part < 2**900 else 0
        if root**degree != part:
            return None
        roots.append(root)
    return Fraction(*roots)
