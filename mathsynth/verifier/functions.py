"""Roots, named functions, sums, products and integrals."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mathsynth.verifier import letters, numerals
from mathsynth.verifier.tokens import Token, Unparsed
from mathsynth.verifier.tree import E, I, Node, num, times
from mathsynth.verifier.vocabulary import FUNCTIONS, RENAMED

if TYPE_CHECKING:
    from mathsynth.verifier.grammar import Grammar


_ELEMENTARY = {
    "exp",
    "ln",
    "log",
    "lg",
    *(arc + f for f in ("sin", "cos", "tan", "cot", "sec", "csc") for arc in ("", "arc")),
}


def root(p: Grammar, kind: str) -> Node:
    """A square root, cube root or root with an index."""
    index: Node = num(3 if kind == "ucbrt" else 2)
    if kind == "sqrt" and p.at("["):
        p.i += 1
        index = p.sum()
        p.expect("]")
    token = p.peek()
    if token is not None and token.kind == "num" and len(token.value) > 1:
        if kind == "sqrt":
            raise Unparsed("a root over several digits without braces")
        return ("call", "root", (numerals.number(p), index))
    return ("call", "root", (p.argument(), index))


def function(p: Grammar, name: str) -> Node:
    """A named function with its base, power and argument: log_2 x, sin^2 x, sin^{-1} x."""
    name, spelled = RENAMED.get(name, name), p.found[p.i - 1].kind == "word"
    base: Node | None = None
    power: Node | None = None
    while p.at("_", "^"):
        if p.next().value == "_":
            base = p.argument()
        elif p.degree_sign():
            raise Unparsed("a degree sign on a function")
        else:
            power = p.exponent()
    bracketed = p.at("(")
    args = function_arguments(p, name)
    if bracketed and not spelled and name in _ELEMENTARY and p.at("^") and not p.degree_ahead():
        raise Unparsed(f"a power of {name} or of what it is taken of")  # in sin(x)^2 it is of sin, as in programs
    if name == "sqrt":
        args, name = (args[0], num(2)), "root"
    elif name == "cbrt":
        args, name = (args[0], num(3)), "root"
    elif name in ("exp", "lg", "log"):
        if len(args) != 1:
            raise Unparsed(f"{name} of several")
        if name == "exp":
            value: Node = ("pow", E, args[0])
            return value if power is None else ("pow", value, power)
        given = num(10) if name == "lg" else base
        name, args = ("logq", args) if given is None else ("log", (args[0], given))
    elif base is not None:
        raise Unparsed(f"a subscript on {name}")
    if name not in ("max", "min", "gcd", "lcm") and len(args) != (2 if name in ("log", "root", "binom") else 1):
        raise Unparsed(f"{name} of several")
    if power is not None and power in (("neg", num(1)), num(-1)):
        if name not in ("sin", "cos", "tan", "cot", "sec", "csc", "sinh", "cosh", "tanh"):
            raise Unparsed(f"{name}^-1")
        inverse = {"sinh": "arsinh", "cosh": "arcosh", "tanh": "artanh"}.get(name, f"arc{name}")
        return ("call", inverse, args)
    if name == "cis":
        turned: Node = ("add", (("call", "cos", args), ("mul", (I, ("call", "sin", args)))))
        return turned if power is None else ("pow", turned, power)
    call: Node = ("call", name, args)
    return call if power is None else ("pow", call, power)


def function_arguments(p: Grammar, name: str) -> tuple[Node, ...]:
    """A bracket, or the product that follows: sin 2x, ln x^2, cos(x) y is (cos x) y."""
    if p.at("("):
        at = p.i
        try:
            args = letters.arguments(p)
        except Unparsed:
            p.i = at
            return (p.primary(),)
        if p.at("^") and p.degree_ahead():
            p.i += 1
            p.degree_sign()
            return (("deg", args[0]), *args[1:])
        return args
    if p.at("-"):
        p.i += 1
        return (("neg", function_arguments(p, name)[0]),)
    arg = p.power()
    while (token := p.peek()) is not None and p.starts_factor(token):
        if token.value in FUNCTIONS or token.value in ("(", "[", "sum", "int") or token.kind == "begin":
            break
        if token.kind == "let" and token.value == "e" and (t := p.peek(1)) is not None and t.value == "^":
            break
        arg = times(arg, p.power())
    return (arg,)


def series(p: Grammar, kind: str) -> Node:
    """\\sum_{i=1}^{n} body"""
    var, low, high = "", None, None
    while p.at("_", "^"):
        if p.next().value == "_":
            p.expect("{")
            var_node = p.primary()
            if var_node == I:
                var_node = ("sym", "i")
            if var_node[0] != "sym" or not p.at("="):
                raise Unparsed("an unclear lower bound")
            var = var_node[1]
            p.i += 1
            p.depth += 1
            low = p.sum()
            p.depth -= 1
            p.expect("}")
        else:
            high = p.exponent() if not p.at("{") else p.group()
    if low is None or high is None:
        raise Unparsed("a sum without bounds")
    body = p.product()
    if var == "i":
        body = _as_index(body)
    return (kind, var, low, high, body)


def integral(p: Grammar) -> Node:
    """\\int_a^b body dx; without bounds it is a family and stays unread."""
    low, high = None, None
    while p.at("_", "^"):
        if p.next().value == "_":
            low = p.group() if p.at("{") else limit(p)
        else:
            high = p.group() if p.at("{") else limit(p)
    if low is None or high is None:
        raise Unparsed("an integral without bounds")
    depth, end = 0, -1
    for k in range(p.i, len(p.found)):
        token = p.found[k]
        depth += (token.value in ("{", "(", "[")) - (token.value in ("}", ")", "]"))
        if depth < 0:
            break
        if depth == 0 and token.kind == "word" and re.fullmatch("d[a-z]", token.value):
            end = k
            p.found[k : k + 1] = [Token("let", "d", token.spaced), Token("let", token.value[1], False)]
            break
        if depth == 0 and token.value == "d" and k + 1 < len(p.found) and letters.is_symbol(p, p.found[k + 1]):
            end = k
            break
        if depth == 0 and token.kind == "word" and re.fullmatch("[a-z]+d[a-z]", token.value):
            end = k + 1
            p.found[k : k + 1] = [
                Token("let" if len(token.value) == 3 else "word", token.value[:-2], token.spaced),
                Token("let", "d", False), Token("let", token.value[-1], False)]  # fmt: skip
            break
    if end < 0:
        raise Unparsed("an integral without its variable")
    rest, p.found = p.found[end:], p.found[:end]
    try:
        body = p.sum() if p.i < end else num(1)
        if p.i != len(p.found):
            raise Unparsed("an integral's body")
    finally:
        end = len(p.found)
        p.found = p.found + rest
    p.i = end + 1
    var = letters.symbol(p)
    return ("int", var[1], low, high, body)


def limit_of(p: Grammar) -> Node:
    """\\lim_{x \\to a} body, from both sides."""
    p.expect("_")
    p.expect("{")
    var = letters.symbol(p)
    p.expect("to")
    point = p.sum()
    p.expect("}")
    return ("lim", var[1], point, None, p.product())


def limit(p: Grammar) -> Node:
    """A bound of an integral without braces."""
    if p.at("-"):
        p.i += 1
        return ("neg", limit(p))
    return p.argument()


# environments


def _as_index(node: Node) -> Node:
    """In a sum over i the letter i is the index, not the imaginary unit."""
    if node == I:
        return ("sym", "i")
    return tuple(_index_part(part) for part in node)


def _index_part(part: object) -> object:
    if isinstance(part, tuple) and part:
        return _as_index(part) if isinstance(part[0], str) else tuple(_index_part(p) for p in part)
    return part
