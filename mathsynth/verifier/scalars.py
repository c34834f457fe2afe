"""The grammar of expressions: sums, products, powers, functions, brackets, matrices."""

from __future__ import annotations

import re
from fractions import Fraction

from mathsynth.verifier.tokens import Token, Unparsed
from mathsynth.verifier.tree import INF, PI, E, I, Node, num

FUNCTIONS = {
    "sin", "cos", "tan", "cot", "sec", "csc", "arcsin", "arccos", "arctan", "arccot", "arcsec", "arccsc", "sinh",
    "cosh", "tanh", "coth", "arsinh", "arcosh", "artanh", "ln", "log", "lg", "exp", "det", "gcd", "lcm", "max", "min",
    "arg", "Re", "Im", "sgn", "sign", "floor", "ceil", "abs", "sqrt", "cbrt", "asin", "acos", "atan", "deg", "tr",
    "binom", "conj", "operatorname",
}  # fmt: skip
_RENAMED = {"asin": "arcsin", "acos": "arccos", "atan": "arctan", "sign": "sgn", "gamma": "gamma", "asinh": "arsinh",
            "acosh": "arcosh", "atanh": "artanh", "arcsinh": "arsinh", "arccosh": "arcosh", "arctanh": "artanh"}  # fmt: skip
_GREEK = {
    "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu", "nu", "xi",
    "rho", "sigma", "tau", "upsilon", "phi", "chi", "psi", "omega", "Gamma", "Delta", "Theta", "Lambda", "Xi", "Pi",
    "Sigma", "Phi", "Psi", "Omega", "ell", "hbar", "imath", "aleph", "nabla", "partial", "star", "circ",
}  # fmt: skip
_PLAIN = {"pi": PI, "inf": INF, "infinity": INF, "oo": INF, "infty": INF, "Infinity": INF}
_DECOR = {"vec", "overrightarrow", "hat", "widehat", "bar", "overline", "tilde", "widetilde", "angle", "triangle",
          "mathring", "overset", "measuredangle", "odot", "boxed", "underline", "dot", "ddot"}  # fmt: skip
_CALLED = frozenset("fghFGH")
_CLOSERS = {"(": ")]", "[": ")]"}
_STARTS = {"(", "[", "{", "|", "{{", "frac", "sqrt", "usqrt", "ucbrt", "binom", "lfloor", "lceil", "infty", "pi",
           "langle", "||", "sum", "prod", "int", "lim", "over"}  # fmt: skip


class Scalars:
    """A cursor over tokens. `depth`: open brackets; `bars`: open absolute values."""

    def __init__(self, found: list[Token], grouping: bool) -> None:
        self.found, self.i, self.depth, self.bars, self.grouping = found, 0, 0, 0, grouping
        self.grouped = False

    def peek(self, ahead: int = 0) -> Token | None:
        at = self.i + ahead
        return self.found[at] if at < len(self.found) else None

    def next(self) -> Token:
        if self.i >= len(self.found):
            raise Unparsed("it stops too early")
        self.i += 1
        return self.found[self.i - 1]

    def at(self, *values: str) -> bool:
        token = self.peek()
        return token is not None and token.kind in ("op", "cmd") and token.value in values

    def expect(self, value: str) -> None:
        if not self.at(value):
            raise Unparsed(f"{value!r} is missing")
        self.i += 1

    # sums and products

    def sum(self) -> Node:
        """a + b - c ± d"""
        terms: list[Node] = []
        if self.at("pm", "mp"):
            sign = 1 if self.next().value == "pm" else -1
            terms.append(("pm", None, self.product(), sign))
        else:
            terms.append(self.product())
        while self.at("+", "-", "pm", "mp"):
            op = self.next().value
            right = self.product()
            if op == "+":
                terms.append(right)
            elif op == "-":
                terms.append(("neg", right))
            else:
                left = terms[0] if len(terms) == 1 else ("add", tuple(terms))
                terms = [("pm", left, right, 1 if op == "pm" else -1)]
        return terms[0] if len(terms) == 1 else ("add", tuple(terms))

    def product(self) -> Node:
        """a · b / c and factors that just stand side by side."""
        if self.at("-"):
            self.i += 1
            return ("neg", self.product())
        if self.at("+"):
            self.i += 1
            return self.product()
        left = self.mixed()
        while (token := self.peek()) is not None:
            if token.kind in ("op", "cmd"):
                if token.value in ("*", "times", "cdot", " "):
                    self.i += 1
                    left = _times(left, self.signed())
                    continue
                if token.value in ("/", "div"):
                    self.i += 1
                    left = ("div", left, self.signed())
                    continue
                if token.value == "over":
                    break
            if not self.starts_factor(token):
                break
            left = _times(left, self.power())
        return left

    def signed(self) -> Node:
        if self.at("-"):
            self.i += 1
            return ("neg", self.signed())
        if self.at("+"):
            self.i += 1
            return self.signed()
        return self.mixed()

    def starts_factor(self, token: Token) -> bool:
        """Whether a factor without a sign between can start here."""
        kind, value = token.kind, token.value
        if kind == "num":
            before = self.found[self.i - 1]
            if before.kind == "num":
                raise Unparsed("two numbers side by side")
            return True
        if kind == "let" or kind == "rec":
            return not (token.spaced and self.depth == 0 and value in "mgshLl" and self.unit_follows())
        if kind == "roman":
            return not (self.found[self.i - 1].kind in ("num", "rec") and self.depth == 0) and not self.unit_follows()
        if kind == "word":
            return self.word_is_maths(value)
        if kind == "begin":
            return True
        if kind in ("op", "cmd"):
            if value == "|" or value == "||":
                return self.bars == 0
            if value == "[":  # [0,1[ closes a French interval
                after = self.peek(1)
                return after is not None and after.value not in ("cup", "cap", ",", ";", "setminus", ")")
            return value in _STARTS or value in FUNCTIONS or value in _GREEK or value in _DECOR
        return False

    def unit_follows(self) -> bool:
        """Whether the letter here ends the item right after a bare number: `3 m`, but not `3 m + 1`."""
        after = self.peek(1)
        before = self.found[self.i - 1]
        ends = after is None or after.value in (",", ";", "/", "^", "cdot") or after.kind in ("text", "roman")
        return ends and (before.kind in ("num", "rec") or before.value == "}") and self.only_numbers_before()

    def only_numbers_before(self) -> bool:
        for token in reversed(self.found[: self.i]):
            if token.value in (",", ";", "="):
                return True
            if token.kind in ("let", "word", "roman", "text") and token.value not in ("e", "i"):
                return False
        return True

    def word_is_maths(self, word: str) -> bool:
        """Whether a run of letters is a function, a constant or a product of variables, and no English or unit."""
        from mathsynth.verifier.units import _one  # units know their own words

        if word in FUNCTIONS or word in _PLAIN or word in _RENAMED or word in _GREEK:
            return True
        if len(word) == 1:
            return True
        before = self.found[self.i - 1] if self.i else None
        if before is not None and before.kind in ("num", "rec") and self.depth == 0 and _one(word) is not None:
            return False
        if word.lower() in ("and", "or", "if", "for", "is", "in", "to", "of", "percent"):
            return False
        if len(word) >= 3 and (re.search("[eiouEIOU]", word) or len(word) > 5) and not word.isupper():
            return False
        return not (self.i and self.found[self.i - 1].kind == "num" and self.found[self.i].spaced and len(word) >= 3)

    def mixed(self) -> Node:
        """A power, or a mixed number like 3 1/2 and 3\\frac12 with a proper fraction."""
        token = self.peek()
        if token is not None and token.kind == "num" and token.value.isdigit():
            whole, after = int(token.value) if len(token.value) < 400 else -1, self.peek(1)
            if after is not None and whole >= 0:
                if after.kind == "cmd" and after.value == "frac":
                    at = self.i
                    self.i += 2
                    top, bottom = self.argument(), self.argument()
                    if _small(top) and _small(bottom) and 0 < top[1] < bottom[1] and not self.at("^"):
                        return num(whole + top[1] / bottom[1])
                    self.i = at
                elif after.kind == "num" and after.spaced and after.value.isdigit():
                    slash, bottom_token = self.peek(2), self.peek(3)
                    if slash and slash.value == "/" and bottom_token and bottom_token.kind == "num" and bottom_token.value.isdigit():
                        top_value, bottom_value = int(after.value[:400]), int(bottom_token.value[:400])
                        if 0 < top_value < bottom_value:
                            self.i += 4
                            return num(whole + Fraction(top_value, bottom_value))
        return self.power()

    def power(self) -> Node:
        """A factor with its exponents, factorials, degree signs and primes."""
        base = self.primary()
        while (token := self.peek()) is not None and token.kind in ("op", "cmd"):
            if token.value == "^":
                self.i += 1
                if self.degree_sign():
                    base = ("deg", base)
                    continue
                base = ("pow", base, self.exponent())
            elif token.value == "!":
                self.i += 1
                if self.at("!"):
                    raise Unparsed("a double factorial")
                base = ("call", "fact", (base,))
            elif token.value in ("degree",) or token.value == "circ":
                self.i += 1
                base = ("deg", base)
            elif token.value == "'" and base[0] in ("sym",):
                self.i += 1
                base = ("sym", base[1] + "'")
            else:
                break
        return base

    def degree_sign(self) -> bool:
        ahead = [self.peek(k) for k in range(3)]
        values = [t.value if t else "" for t in ahead]
        if values[0] in ("circ", "degree"):
            self.i += 1
            return True
        if values[0] == "{" and values[1] in ("circ", "degree") and values[2] == "}":
            self.i += 3
            return True
        return False

    def exponent(self) -> Node:
        """What stands after ^: a group, a bracket, or one signed number, letter or command; towers lean right."""
        if self.at("-", "+"):
            return ("neg", self.exponent()) if self.next().value == "-" else self.exponent()
        if self.at("{"):
            node = self.group()
        elif self.at("*", "'"):
            raise Unparsed("a mark as an exponent")
        else:
            node = self.primary()
        if self.at("^") and not self.degree_ahead():
            self.i += 1
            return ("pow", node, self.exponent())
        return node

    def degree_ahead(self) -> bool:
        after = self.peek(1)
        return after is not None and (after.value == "circ" or (after.value == "{" and (t := self.peek(2)) is not None and t.value == "circ"))

    # atoms

    def primary(self) -> Node:
        token = self.next()
        kind, value = token.kind, token.value
        if kind == "num":
            self.i -= 1
            return self.number()
        if kind == "rec":
            return num(_recurring(value))
        if kind in ("let", "roman"):
            self.i -= 1
            return self.letter()
        if kind == "word":
            return self.word(token)
        if kind == "begin":
            return self.environment(value)
        if kind in ("op", "cmd"):
            return self.command(token)
        raise Unparsed(f"words: {value.strip()!r}")

    def number(self) -> Node:
        """Digits, with groups of three after commas or spaces at the top, perhaps a base."""
        token = self.next()
        text = token.value
        if text.isdigit() and len(text) <= 3 and (self.grouping or not self.peek() or not self.at(",")):
            text += self.groups(text)
        if self.at("_") and text.isdigit():
            self.i += 1
            base = self.raw_argument()
            if base in _BASE_WORDS:
                base = str(_BASE_WORDS[base])
            if not base.isdigit() or len(base) > 3:
                raise Unparsed("a subscript on a number")
            return ("base", text.lstrip("0") or "0", int(base))
        return _literal(text)

    def groups(self, first: str) -> str:
        """`,234,567` or ` 234 567` after one to three digits: all groups of three, or nothing."""
        sep = self.peek()
        if sep is None:
            return ""
        by_comma = sep.value == "," and not sep.spaced
        if by_comma and (self.depth or first.startswith("0")):
            return ""
        if not by_comma and not (sep.kind == "num" and sep.spaced and not first.startswith("0")):
            return ""
        out, at = "", self.i
        while True:
            step = 0
            if by_comma:
                comma = self.peek()
                if comma is None or comma.value != ",":
                    break
                step = 1
            token = self.peek(step)
            if token is None or token.kind != "num" or token.spaced != (not by_comma):
                break
            if not re.fullmatch(r"\d{3}(?:\.\d*)?", token.value):
                self.i = at
                return ""
            out += token.value
            self.i += step + 1
            if "." in token.value:
                break
        after = self.peek()
        if not by_comma and after is not None and after.value == "/":
            self.i = at
            return ""
        if by_comma and out and after is not None and after.value == "," and (t := self.peek(1)) is not None and t.kind == "num" and not t.spaced:
            self.i = at
            return ""
        self.grouped = self.grouped or bool(out and by_comma)
        return out

    def is_symbol(self, token: Token) -> bool:
        return token.kind == "let" or (token.kind == "cmd" and token.value in _GREEK)

    def letter(self) -> Node:
        token = self.next()
        if self.at("_") or (self.at("'") and token.kind == "let"):
            self.i -= 1
            return self.called(self.symbol(), token)
        if token.value == "e":
            return E
        if token.value == "i":
            return I
        return self.called(("sym", token.value), token)

    def symbol(self) -> Node:
        """A letter with its subscripts and primes as one name."""
        name = self.next().value
        while self.at("_", "'"):
            if self.next().value == "'":
                name += "'"
            else:
                name += "_" + self.raw_argument()
        return ("sym", name)

    def called(self, name: Node, token: Token) -> Node:
        """f(x) is a call, a(x + 1) a product; C(n, k) counts."""
        if not self.at("("):
            if token.value == "C" and "_" in name[1] and self.at("^") and name[1][2:].isdigit():
                after = self.peek(1)
                if after and after.kind == "num" or after and after.value == "{" and (t := self.peek(2)) and t.kind == "num":
                    self.i += 1
                    k = self.exponent()
                    if k[0] == "num" and k[1] <= int(name[1][2:]):
                        return ("call", "binom", (num(int(name[1][2:])), k))
                    raise Unparsed("an unclear C with two indices")
            return name
        head = name[1].rstrip("'").split("_")[0]
        if head in _CALLED:
            return ("call", name[1], self.arguments())
        if head == "C" and name[1] == "C":
            at = self.i
            args = self.arguments()
            if len(args) == 2:
                return ("call", "binom", args)
            self.i = at
        return name

    def arguments(self) -> tuple[Node, ...]:
        self.expect("(")
        bars, self.bars = self.bars, 0
        self.depth += 1
        args = [self.sum()]
        while self.at(",", ";"):
            self.i += 1
            args.append(self.sum())
        self.depth -= 1
        self.bars = bars
        self.expect(")")
        return tuple(args)

    def word(self, token: Token) -> Node:
        """A plain word: function, constant, or letters that are multiplied."""
        word = token.value
        if word in _PLAIN:
            return _PLAIN[word]
        if word in FUNCTIONS or word in _RENAMED:
            return self.function(word)
        if word in _GREEK:
            self.i -= 1
            return self.symbol()
        self.i -= 1
        if not self.word_is_maths(word):
            raise Unparsed(f"words: {word!r}")
        self.i += 1
        if word.isupper() and len(word) > 2:
            return ("sym", word)
        letters = [E if c == "e" else I if c == "i" else ("sym", c) for c in word]
        if self.at("_", "'") or (self.at("(") and word[-1] in _CALLED):
            # the mark belongs to the last letter only
            self.found[self.i - 1] = Token("let", word[-1], False)
            self.i -= 1
            letters[-1] = self.letter()
        elif self.at("^"):
            self.found[self.i - 1] = Token("let", word[-1], False)
            self.i -= 1
            letters[-1] = self.power()
        return ("mul", tuple(letters))

    def command(self, token: Token) -> Node:
        value = token.value
        if value in ("(", "["):
            return self.bracket(value)
        if value == "]":
            return self.bracket("]")
        if value == "{":
            self.i -= 1
            return self.group()
        if value in ("|", "||"):
            self.bars += 1
            inner = self.sum()
            self.bars -= 1
            self.expect(value)
            return ("call", "abs", (inner,))
        if value == "frac":
            top = self.argument()
            return ("div", top, self.argument())
        if value == "binom":
            top = self.argument()
            return ("call", "binom", (top, self.argument()))
        if value in ("sqrt", "usqrt", "ucbrt"):
            return self.root(value)
        if value in ("lfloor", "lceil"):
            inner = self.sum()
            self.expect("rfloor" if value == "lfloor" else "rceil")
            return ("call", "floor" if value == "lfloor" else "ceil", (inner,))
        if value == "langle":
            return self.bracket(value)
        if value == "infty":
            return INF
        if value == "pi":
            return PI
        if value in ("imath",):
            return I
        if value in ("sum", "prod"):
            return self.series(value)
        if value == "int":
            return self.integral()
        if value in FUNCTIONS:
            return self.function(value)
        if value in _DECOR:
            return self.decorated(value)
        if value in _GREEK:
            self.i -= 1
            name = self.symbol()
            if self.at("(") and name[1] in ("phi", "psi", "Phi", "Psi") and self.peek(2) is not None:
                return ("call", name[1], self.arguments())
            return name
        if value == "emptyset":
            return ("empty",)
        if value == "{{":
            self.i -= 1
            return self.braces("}}")
        raise Unparsed(f"{value!r} is not known there")

    def braces(self, close: str) -> Node:
        raise NotImplementedError

    def items(self, ends: tuple[str, ...]) -> tuple[list[Node], list[str]]:
        raise NotImplementedError

    def item(self) -> Node:
        raise NotImplementedError

    def decorated(self, mark: str) -> Node:
        """`\\vec{a}`, `\\angle ABC`: one name; `\\overline{z}` of a letter is the conjugate's name."""
        if mark in ("angle", "triangle", "odot", "measuredangle") and not self.at("{"):
            token = self.next()
            if token.kind not in ("let", "word", "num", "roman"):
                raise Unparsed("a mark on nothing")
            name = token.value
            while self.at("_", "'"):
                name += self.next().value + (self.raw_argument() if self.found[self.i - 1].value == "_" else "")
            return ("sym", f"{mark} {name}")
        return ("sym", f"{mark} {self.raw_argument()}")

    def group(self) -> Node:
        """`{ ... }`, with `\\over` and `\\choose` inside."""
        self.expect("{")
        self.depth += 1
        left = self.sum()
        if self.at("over", "choose"):
            op = self.next().value
            right = self.sum()
            left = ("div", left, right) if op == "over" else ("call", "binom", (left, right))
        self.depth -= 1
        self.expect("}")
        return left

    def argument(self) -> Node:
        """A LaTeX argument: a group, or one digit, letter or command."""
        if self.at("{"):
            return self.group()
        token = self.peek()
        if token is None:
            raise Unparsed("an argument is missing")
        if token.kind == "num" and token.value.isdigit():
            digit, rest = token.value[0], token.value[1:]
            if rest:
                self.found[self.i] = Token("num", rest, False)
            else:
                self.i += 1
            return num(int(digit))
        if token.kind == "word":
            self.found[self.i] = Token("let" if len(token.value) == 2 else "word", token.value[1:], False)
            return E if token.value[0] == "e" else I if token.value[0] == "i" else ("sym", token.value[0])
        if token.kind == "op" and token.value not in ("(", "|"):
            raise Unparsed("an argument is missing")
        return self.primary()

    def raw_argument(self) -> str:
        """A subscript as text: `12`, `n+1`, `\\text{max}`."""
        token = self.next()
        if token.value != "{":
            if token.kind == "op":
                raise Unparsed("an empty subscript")
            if token.kind == "num" and len(token.value) > 1 and self.found[self.i - 3].kind == "let":
                raise Unparsed("an unclear subscript")
            return token.value.strip()
        parts, level = [], 1
        while True:
            token = self.next()
            level += (token.value == "{") - (token.value == "}")
            if level == 0:
                return "".join(parts).strip()
            parts.append(token.value.strip())

    def bracket(self, opener: str) -> Node:
        """( ... ), [ ... ), ]a, b[, <a, b>: a group, a tuple or an interval."""
        self.depth += 1
        bars, self.bars = self.bars, 0
        items, joins = self.items((")", "]", "[", "rangle"))
        self.bars = bars
        self.depth -= 1
        token = self.next()
        closer = token.value
        allowed = {"langle": ("rangle",), "]": ("[", "]")}.get(opener, (")", "]", "["))
        if token.kind not in ("op", "cmd") or closer not in allowed:
            raise Unparsed("a bracket that is never closed")
        if len(items) == 1:
            if opener == "]" or closer == "[" or (opener, closer) in (("(", "]"), ("[", ")")) or joins:
                raise Unparsed("brackets that don't match")
            return items[0] if opener != "langle" else ("tuple", tuple(items), "(", ")")
        if opener == "]":
            opener, closer = "(", ")" if closer == "[" else "]"
        elif closer == "[":
            closer = ")"
        if opener == "langle":
            opener, closer = "<", ">"
        if "or" in joins or "and" in joins:
            raise Unparsed("words inside brackets")
        return ("tuple", tuple(items), opener, closer)

    def root(self, kind: str) -> Node:
        index: Node = num(3 if kind == "ucbrt" else 2)
        if kind == "sqrt" and self.at("["):
            self.i += 1
            index = self.sum()
            self.expect("]")
        token = self.peek()
        if token is not None and token.kind == "num" and len(token.value) > 1:
            if kind == "sqrt":
                raise Unparsed("a root over several digits without braces")
            return ("call", "root", (self.number(), index))
        return ("call", "root", (self.argument(), index))

    def function(self, name: str) -> Node:
        name = _RENAMED.get(name, name)
        base: Node | None = None
        power: Node | None = None
        while self.at("_", "^"):
            if self.next().value == "_":
                base = self.argument()
            elif self.degree_sign():
                raise Unparsed("a degree sign on a function")
            else:
                power = self.exponent()
        args = self.function_arguments(name)
        if name == "sqrt":
            args, name = (args[0], num(2)), "root"
        elif name == "cbrt":
            args, name = (args[0], num(3)), "root"
        elif name in ("exp", "lg", "log"):
            if len(args) != 1:
                raise Unparsed(f"{name} of several")
            if name == "exp":
                return ("pow", E, args[0])
            name, args = "log", (args[0], num(10) if name == "lg" else base)
            if args[1] is None:
                name, args = "logq", (args[0],)
        elif base is not None:
            raise Unparsed(f"a subscript on {name}")
        if name in ("max", "min", "gcd", "lcm", "binom"):
            pass
        elif len(args) != (2 if name in ("log", "root") else 1):
            raise Unparsed(f"{name} of several")
        if power is not None and power in (("neg", num(1)), num(-1)):
            if name not in ("sin", "cos", "tan", "cot", "sec", "csc", "sinh", "cosh", "tanh"):
                raise Unparsed(f"{name}^-1")
            inverse = {"sinh": "arsinh", "cosh": "arcosh", "tanh": "artanh"}.get(name, f"arc{name}")
            return ("call", inverse, args)
        call: Node = ("call", name, args)
        return call if power is None else ("pow", call, power)

    def function_arguments(self, name: str) -> tuple[Node, ...]:
        """A bracket, or the product that follows: sin 2x, ln x^2, cos(x) y is (cos x) y."""
        if self.at("("):
            at = self.i
            try:
                args = self.arguments()
            except Unparsed:
                self.i = at
                return (self.primary(),)
            if self.at("^") and len(args) == 1:
                self.i += 1
                return (("pow", args[0], self.exponent()),) if not self.degree_sign() else (("deg", args[0]),)
            return args
        if self.at("-"):
            self.i += 1
            return (("neg", self.function_arguments(name)[0]),)
        arg = self.power()
        while (token := self.peek()) is not None and self.starts_factor(token):
            if token.value in FUNCTIONS or token.value in ("(", "[", "sum", "int") or token.kind == "begin":
                break
            if token.kind == "let" and token.value == "e" and (t := self.peek(1)) is not None and t.value == "^":
                break
            arg = _times(arg, self.power())
        return (arg,)

    def series(self, kind: str) -> Node:
        """\\sum_{i=1}^{n} body"""
        var, low, high = "", None, None
        while self.at("_", "^"):
            if self.next().value == "_":
                self.expect("{")
                var_node = self.primary()
                if var_node == I:
                    var_node = ("sym", "i")
                if var_node[0] != "sym" or not self.at("="):
                    raise Unparsed("an unclear lower bound")
                var = var_node[1]
                self.i += 1
                self.depth += 1
                low = self.sum()
                self.depth -= 1
                self.expect("}")
            else:
                high = self.exponent() if not self.at("{") else self.group()
        if low is None or high is None:
            raise Unparsed("a sum without bounds")
        body = self.product()
        if var == "i":
            body = _as_index(body)
        return (kind, var, low, high, body)

    def integral(self) -> Node:
        """\\int_a^b body dx; without bounds it is a family and stays unread."""
        low, high = None, None
        while self.at("_", "^"):
            if self.next().value == "_":
                low = self.group() if self.at("{") else self.limit()
            else:
                high = self.group() if self.at("{") else self.limit()
        if low is None or high is None:
            raise Unparsed("an integral without bounds")
        depth, end = 0, -1
        for k in range(self.i, len(self.found)):
            token = self.found[k]
            depth += (token.value in ("{", "(", "[")) - (token.value in ("}", ")", "]"))
            if depth < 0:
                break
            if depth == 0 and token.kind == "word" and re.fullmatch("d[a-z]", token.value):
                end = k
                self.found[k : k + 1] = [Token("let", "d", token.spaced), Token("let", token.value[1], False)]
                break
            if depth == 0 and token.value == "d" and k + 1 < len(self.found) and self.is_symbol(self.found[k + 1]):
                end = k
                break
            if depth == 0 and token.kind == "word" and re.fullmatch("[a-z]+d[a-z]", token.value):
                end = k + 1
                self.found[k : k + 1] = [
                    Token("let" if len(token.value) == 3 else "word", token.value[:-2], token.spaced),
                    Token("let", "d", False), Token("let", token.value[-1], False)]  # fmt: skip
                break
        if end < 0:
            raise Unparsed("an integral without its variable")
        rest, self.found = self.found[end:], self.found[:end]
        try:
            body = self.sum() if self.i < end else num(1)
            if self.i != end:
                raise Unparsed("an integral's body")
        finally:
            self.found = self.found + rest
        self.i = end + 1
        var = self.symbol()
        return ("int", var[1], low, high, body)

    def limit(self) -> Node:
        if self.at("-"):
            self.i += 1
            return ("neg", self.limit())
        return self.argument()

    # environments

    def environment(self, name: str) -> Node:
        if name in ("cases", "dcases", "rcases"):
            return self.cases(name)
        if name not in ("matrix", "pmatrix", "bmatrix", "Bmatrix", "vmatrix", "Vmatrix", "array", "smallmatrix"):
            raise Unparsed(f"the environment {name}")
        rows: list[tuple[Node, ...]] = []
        row: list[Node] = []
        self.depth += 1
        bars, self.bars = self.bars, 0
        while True:
            token = self.peek()
            if token is not None and token.kind == "end":
                break
            row.append(self.item())
            if self.at("&"):
                self.i += 1
                continue
            rows.append(tuple(row))
            row = []
            if self.at("\\\\"):
                self.i += 1
                continue
            break
        self.depth -= 1
        self.bars = bars
        self.close(name)
        if not rows or len({len(r) for r in rows}) != 1:
            raise Unparsed("a matrix with uneven rows")
        if name in ("vmatrix", "Vmatrix"):
            return ("call", "det", (("matrix", tuple(rows)),))
        return ("matrix", tuple(rows))

    def close(self, name: str) -> None:
        token = self.next()
        if token.kind != "end" or token.value != name:
            raise Unparsed(f"\\end{{{name}}} is missing")

    def cases(self, name: str) -> Node:
        rows: list[tuple[Node, Node]] = []
        self.depth += 1
        while True:
            value = self.sum()
            if self.at(","):
                self.i += 1
            self.expect("&")
            start = self.i
            while (token := self.peek()) is not None and token.kind != "end" and token.value != "\\\\":
                self.i += 1
            rows.append((value, self.condition(self.found[start : self.i])))
            if self.at("\\\\"):
                self.i += 1
                if (token := self.peek()) is not None and token.kind == "end":
                    break
                continue
            break
        self.depth -= 1
        self.close(name)
        return ("cases", tuple(rows))

    def condition(self, found: list[Token]) -> Node:
        """A relation if it reads as one, else its words."""
        words = [t for t in found if not (t.kind in ("text", "word") and t.value.strip(" ,").lower() in ("if", "when", "for", "where"))]
        while words and words[0].value == ",":
            words = words[1:]
        while words and words[-1].value in (",", ".", ";"):
            words = words[:-1]
        try:
            inner = type(self)(list(words), self.grouping)
            inner.depth = 1
            node = inner.item()
            if inner.i == len(words) and node[0] == "rel":
                return node
        except Unparsed:
            pass
        return ("text", " ".join(t.value.strip().lower() for t in words))


_BASE_WORDS = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
               "eleven": 11, "twelve": 12, "sixteen": 16}  # fmt: skip


def _times(left: Node, right: Node) -> Node:
    return ("mul", (*left[1], right)) if left[0] == "mul" else ("mul", (left, right))


def _small(node: Node) -> bool:
    return node[0] == "num" and node[1].denominator == 1 and node[2] is None


def _as_index(node: Node) -> Node:
    """In a sum over i the letter i is the index, not the imaginary unit."""
    if node == I:
        return ("sym", "i")
    return tuple(_index_part(part) for part in node)


def _index_part(part: object) -> object:
    if isinstance(part, tuple) and part:
        return _as_index(part) if isinstance(part[0], str) else tuple(_index_part(p) for p in part)
    return part


def _literal(text: str) -> Node:
    """A decimal as an exact fraction with the size of its last place."""
    mantissa, _, exponent = text.lower().partition("e")
    shift = 0
    if exponent:
        if len(exponent) > 5 or abs(int(exponent)) > 4000:
            raise Unparsed("an exponent beyond all bounds")
        shift = int(exponent)
    if len(mantissa) > 4000:
        raise Unparsed("a number with more than 4000 digits")
    whole, point, decimals = mantissa.partition(".")
    value = Fraction(int((whole + decimals) or "0")) * Fraction(10) ** (shift - len(decimals))
    if not point and not exponent:
        return ("num", value, None)
    return ("num", value, Fraction(10) ** (shift - len(decimals)) if decimals or exponent else None)


def _recurring(text: str) -> Fraction:
    """0.1\\overline{6}, 0.\\dot{1}4\\dot{7}, 0.1(6), 0.333..."""
    bare = re.sub(r"\s", "", text)
    if match := re.fullmatch(r"(\d*)\.(\d*)\\dot\{?(\d)\}?(?:(\d*)\\dot\{?(\d)\}?)?", bare):
        whole, fixed, first, middle, last = match.groups()
        cycle = first + (middle or "") + (last or "")
    elif match := re.fullmatch(r"(\d*)\.(\d*)(?:\\(?:overline|bar)\{?|\()(\d+)[})]?", bare):
        whole, fixed, cycle = match.groups()
    else:
        whole, digits = re.fullmatch(r"(\d*)\.(\d+).*", bare).groups()  # type: ignore[union-attr]
        fixed, cycle = _period(digits)
    tail = Fraction(int(cycle), 10 ** len(cycle) - 1) / 10 ** len(fixed)
    return int(whole or "0") + (Fraction(int(fixed), 10 ** len(fixed)) if fixed else 0) + tail


def _period(digits: str) -> tuple[str, str]:
    """What repeats in digits that go on with dots; three times, or twice if it is longer than one digit."""
    for length in range(1, len(digits) // 2 + 1):
        cycle = digits[-length:]
        times = 1
        while digits[: len(digits) - times * length].endswith(cycle):
            times += 1
        if times >= (3 if length == 1 else 2):
            return digits[: len(digits) - times * length], cycle
    raise Unparsed("digits that go on without a pattern")
