"""The grammar of expressions by recursive descent: sums, products, powers, and what a factor can start with."""

from __future__ import annotations

from fractions import Fraction

from mathsynth.verifier import answers, brackets, functions, letters, numerals
from mathsynth.verifier.tokens import Token, Unparsed
from mathsynth.verifier.tree import INF, PI, E, I, Node, num, times
from mathsynth.verifier.units import known_unit
from mathsynth.verifier.vocabulary import DECOR, FUNCTIONS, GREEK, STARTS, known_word


class Grammar:
    """A cursor over tokens. `depth`: open brackets; `bars`: open absolute values; `grouping`: 1,234 is one number."""

    def __init__(self, found: list[Token], grouping: bool) -> None:
        self.found, self.i, self.depth, self.bars, self.grouping = found, 0, 0, 0, grouping
        self.grouped = False
        self.in_braces = False

    def peek(self, ahead: int = 0) -> Token | None:
        """The token so many places ahead, not consumed."""
        at = self.i + ahead
        return self.found[at] if at < len(self.found) else None

    def next(self) -> Token:
        """Consume one token."""
        if self.i >= len(self.found):
            raise Unparsed("it stops too early")
        self.i += 1
        return self.found[self.i - 1]

    def at(self, *values: str) -> bool:
        """Whether one of these signs stands here."""
        token = self.peek()
        return token is not None and token.kind in ("op", "cmd") and token.value in values

    def split(self, size: int) -> None:
        """Cut the token here in two, so that its first characters can be read alone (and again, after a retreat)."""
        kind, value, spaced = self.found[self.i]
        if size < len(value):
            parts = (value[:size], spaced), (value[size:], False)
            cut = [Token("let" if kind == "word" and len(text) == 1 else kind, text, space) for text, space in parts]
            self.found[self.i : self.i + 1] = cut

    def expect(self, value: str) -> None:
        """Consume this sign or fail."""
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
                if token.value in ("*", "times", "cdot"):
                    self.i += 1
                    left = times(left, self.signed())
                    continue
                if token.value in ("/", "div"):
                    self.i += 1
                    left = ("div", left, self.signed())
                    continue
                if token.value == "over":
                    break
            if not self.starts_factor(token):
                break
            left = times(left, self.power())
        return left

    def signed(self) -> Node:
        """A factor that may carry a sign, after * and /."""
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
            if before.kind == "num" and not (token.spaced and self.i > 1 and self.found[self.i - 2].value == "^"):
                raise Unparsed("two numbers side by side")
            if not token.spaced and before.kind in ("let", "word", "roman") and not self.letter_above():
                raise Unparsed("a digit right after a letter")  # a lost ^, an index, or a sign: x2, C1, 2x3
            if token.spaced and self.i == 3 and self.found[0].value == "(" and before.value == ")":
                raise Unparsed("a number after a bracket")  # (1) 5 is the first item
            return True
        if kind == "let" or kind == "rec":
            return not (token.spaced and self.depth == 0 and value in "mgshLl" and letters.unit_follows(self))
        if kind == "roman":
            return value in "ei" or known_unit(value) is None or not letters.unit_follows(self)
        if kind == "word":
            return letters.word_is_maths(self, value)
        if kind == "begin":
            return True
        if kind in ("op", "cmd"):
            if value == "|" or value == "||":
                return self.bars == 0
            if value == "{" and self.found[self.i - 1].kind == "num" and (t := self.peek(1)) and t.kind == "num":
                raise Unparsed("digits in braces after a number")
            if value == "[":  # [0,1[ closes a French interval
                after = self.peek(1)
                return after is not None and after.value not in ("cup", "cap", ",", ";", "setminus", ")")
            if value == "frac" and (t := self.peek(2)) is not None and t.kind == "text":
                return False  # a quotient of units
            return value in STARTS or value in FUNCTIONS or value in GREEK or value in DECOR
        return False

    def letter_above(self) -> bool:
        """Whether the number here has an exponent with a letter: n2^{n-1} is n times a power."""
        ahead = [token for k in range(1, 5) if (token := self.peek(k)) is not None]
        if len(ahead) < 2 or ahead[0].value != "^":
            return False
        return any(token.kind == "let" for token in (ahead[1:] if ahead[1].value == "{" else ahead[1:2]))

    def mixed(self) -> Node:
        """A power, or a mixed number like 3 1/2 and 3\\frac12 with a proper fraction."""
        token = self.peek()
        if token is not None and token.kind == "num" and token.value.isdigit():
            whole, after = int(token.value) if len(token.value) < 400 else -1, self.peek(1)
            if after is not None and whole >= 0:
                if after.kind == "cmd" and after.value == "frac" and ((t := self.peek(3)) is None or t.kind != "text"):
                    at = self.i
                    self.i += 2
                    top, bottom = self.argument(), self.argument()
                    if _small(top) and _small(bottom) and 0 < top[1] < bottom[1] and not self.at("^"):
                        return num(whole + top[1] / bottom[1])
                    self.i = at
                elif after.kind == "num" and after.spaced and after.value.isdigit():
                    slash, bottom_token = self.peek(2), self.peek(3)
                    if (
                        slash
                        and slash.value == "/"
                        and bottom_token
                        and bottom_token.kind == "num"
                        and bottom_token.value.isdigit()
                    ):
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
        """Consume a degree sign that stands as an exponent."""
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
        elif (token := self.peek()) is not None and token.kind == "word" and not known_word(token.value):
            node = self.argument()  # e^xy is e^x y
        else:
            node = self.primary()
        if self.at("^") and not self.degree_ahead():
            self.i += 1
            return ("pow", node, self.exponent())
        return node

    def degree_ahead(self) -> bool:
        """Whether the ^ here is the one of a degree sign."""
        after = self.peek(1)
        return after is not None and (
            after.value == "circ" or (after.value == "{" and (t := self.peek(2)) is not None and t.value == "circ")
        )

    # atoms

    def primary(self) -> Node:
        """One operand: a number, a letter, a word, a bracket, a command."""
        token = self.next()
        kind, value = token.kind, token.value
        if kind == "num":
            self.i -= 1
            return numerals.number(self)
        if kind == "rec":
            return num(numerals.recurring(value))
        if kind in ("let", "roman"):
            self.i -= 1
            return letters.letter(self)
        if kind == "word":
            return letters.word(self, token)
        if kind == "begin":
            return brackets.environment(self, value)
        if kind in ("op", "cmd"):
            return self.command(token)
        raise Unparsed(f"words: {value.strip()!r}")

    def command(self, token: Token) -> Node:
        """The operand that starts with this sign or command."""
        value = token.value
        if value in ("(", "["):
            return brackets.bracket(self, value)
        if value == "]":
            return brackets.bracket(self, "]")
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
            top, bottom = self.argument(), self.argument()
            if bottom[0] == "mul" and bottom[1][0] == ("sym", "d") and len(bottom[1]) == 2:
                if top == ("sym", "d"):
                    raise Unparsed("a derivative")
                if top[0] == "mul" and top[1][0] == ("sym", "d") and len(top[1]) == 2 and top[1][1][0] == "sym":
                    return ("sym", f"d{top[1][1][1]}/d{bottom[1][1][1]}")
            return ("div", top, bottom)
        if value == "binom":
            top = self.argument()
            return ("call", "binom", (top, self.argument()))
        if value in ("sqrt", "usqrt", "ucbrt"):
            return functions.root(self, value)
        if value in ("lfloor", "lceil"):
            inner = self.sum()
            self.expect("rfloor" if value == "lfloor" else "rceil")
            return ("call", "floor" if value == "lfloor" else "ceil", (inner,))
        if value == "langle":
            return brackets.bracket(self, value)
        if value == "infty":
            return INF
        if value == "pi":
            return PI
        if value in ("imath",):
            return I
        if value in ("sum", "prod"):
            return functions.series(self, value)
        if value == "lim":
            return functions.limit_of(self)
        if value == "int":
            return functions.integral(self)
        if value in FUNCTIONS:
            return self.function(value)
        if value in DECOR:
            return letters.decorated(self, value)
        if value in GREEK:
            self.i -= 1
            name = letters.symbol(self)
            if self.at("(") and name[1] in ("phi", "psi", "Phi", "Psi") and self.peek(2) is not None:
                return ("call", name[1], letters.arguments(self))
            return name
        if value == "emptyset":
            return ("empty",)
        if value == "{{":
            self.i -= 1
            return answers.braces(self, "}}")
        raise Unparsed(f"{value!r} is not known there")

    def function(self, name: str) -> Node:
        """A named function with its arguments."""
        return functions.function(self, name)

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
            self.split(1)
            return num(int(self.next().value))
        if token.kind == "word" and not known_word(token.value):
            self.split(1)
            letter = self.next().value
            return E if letter == "e" else I if letter == "i" else ("sym", letter)
        if token.kind == "op" and token.value not in ("(", "|"):
            raise Unparsed("an argument is missing")
        return self.primary()


def _small(node: Node) -> bool:
    return node[0] == "num" and node[1].denominator == 1 and node[2] is None
