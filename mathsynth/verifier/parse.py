"""Tokens to a tree by recursive descent; LaTeX and plain notation in one grammar.

The whole input is consumed or `Unparsed` is raised: a tail is never dropped. Nothing is evaluated here.
"""

from __future__ import annotations

from mathsynth.verifier.scalars import Scalars
from mathsynth.verifier.tokens import Unparsed, tokens
from mathsynth.verifier.tree import Node
from mathsynth.verifier.units import Unit, parse_unit

_RELATIONS = {
    "=": "=", "<": "<", ">": ">", "<=": "<=", ">=": ">=", "!=": "!=", "le": "<=", "ge": ">=", "ne": "!=",
    "in": "in", "approx": "~", "sim": "~", "to": "->", "equiv": "=", "=>": "->", "->": "->", "Rightarrow": "->",
    "subset": "subset", "subseteq": "subset", "perp": "perp", "parallel": "parallel", "notin": "notin",
    "implies": "->", "iff": "->", "mapsto": "mapsto", "cong": "=", "doteq": "~", "propto": "propto",
}  # fmt: skip
_JOINS = {"and", "or", ",and", ",or", "&", "和", "或", "或者", "与", "及"}
MAX_TOKENS = 20_000


def parse(cleaned: str, *, grouping: bool = True) -> Node:
    """The tree of a whole answer. `grouping`: 1,234 at the top is one number; else it is a list."""
    found = tokens(cleaned)
    if not found:
        raise Unparsed("nothing there")
    if len(found) > MAX_TOKENS:
        raise Unparsed("too long")
    reader = Parser(found, grouping)
    tree = reader.answer()
    if reader.i < len(found):
        raise Unparsed(f"{found[reader.i].value!r} makes no sense there")
    return tree


class Parser(Scalars):
    """Lists, relations, sets, intervals and quantities over the scalar grammar."""

    def answer(self) -> Node:
        """The whole: items joined by commas, semicolons, and/or."""
        items, joins = self.items(())
        if len(items) == 1:
            return items[0]
        if ";" in joins and len(set(joins)) > 1:
            return ("list", _grouped(items, joins), ",")
        mode = "or" if "or" in joins else "and" if set(joins) == {"and"} else ","
        return ("list", tuple(items), mode)

    def items(self, ends: tuple[str, ...]) -> tuple[list[Node], list[str]]:
        """Items up to one of `ends`, and the separators between them."""
        found = [self.item()]
        joins: list[str] = []
        while True:
            join = self.join()
            if join is None:
                return found, joins
            if self.peek() is None or self.at(*ends):
                if join in (",", ";"):
                    return found, joins
                raise Unparsed("a list that goes on nowhere")
            found.append(self.item())
            joins.append(join)

    def join(self) -> str | None:
        """Consume a separator, if one stands here: `,` `;` `and` `or`, or a comma and a word."""
        found: str | None = None
        while (token := self.peek()) is not None:
            word = token.value.strip().lower().strip(",").strip() if token.kind in ("text", "word", "cmd", "op") else ""
            if token.kind == "op" and token.value in (",", ";") and (found is None or token.value == ","):
                found = found or token.value
            elif word in _JOINS and token.kind != "let":
                found = ";" if found == ";" else ("or" if word in ("or", "或", "或者") else "and")
            else:
                return found
            self.i += 1
        return found

    def item(self) -> Node:
        """One answer: perhaps a chain of relations, perhaps with a unit after it."""
        first = self.named() or self.side()
        exprs, ops = [first], []
        while (token := self.peek()) is not None and token.kind in ("op", "cmd"):
            op = _RELATIONS.get(token.value)
            if op is None:
                break
            self.i += 1
            ops.append(op)
            exprs.append(self.side())
        if not ops:
            return first
        return ("rel", tuple(exprs), tuple(ops))

    def named(self) -> Node | None:
        """`f(x, y) =` and `\\text{Area} =`: a name that is being defined."""
        at = self.i
        token = self.peek()
        if token is None:
            return None
        if token.kind in ("text", "word") and (after := self.peek(1)) is not None and after.value in ("=", ":"):
            if after.value == "=":
                self.i += 1
                return ("sym", token.value.strip())
            return None
        if token.kind in ("let", "cmd") and self.is_symbol(token):
            name = self.symbol()
            if self.at("("):
                self.i += 1
                args: list[Node] = []
                while (arg := self.peek()) is not None and (self.is_symbol(arg) or arg.kind == "num"):
                    args.append(self.symbol() if self.is_symbol(arg) else self.number())
                    if self.at(")"):
                        self.i += 1
                        if args and self.at("="):
                            return ("call", name[1], tuple(args))
                        break
                    if not self.at(","):
                        break
                    self.i += 1
        self.i = at
        return None

    def side(self) -> Node:
        """One side of a relation: sets and their unions, a ratio, a quantity."""
        left = self.setlike()
        while self.at("cup", "cap", "setminus"):
            op = self.next().value
            right = self.setlike()
            left = ("minus" if op == "setminus" else op, left, right)
        if self.at(":"):
            items = [left]
            while self.at(":"):
                self.i += 1
                items.append(self.sum())
            return ("ratio", tuple(items))
        return left

    def setlike(self) -> Node:
        """A scalar with its unit, or a set: `R`, the empty set, braces."""
        token = self.peek()
        if token is None:
            raise Unparsed("it stops too early")
        if token.kind == "cmd":
            if token.value == "emptyset":
                self.i += 1
                return ("empty",)
            if token.value.startswith("mathbb "):
                return self.space()
        if token.kind == "op" and token.value == "{{":
            node = self.braces("}}")
            return node
        if token.kind == "op" and token.value == "{" and self.i == 0:
            return self.plain_braces()
        if token.kind == "op" and token.value == "\\\\" and (after := self.peek(1)) and after.value == "{":
            raise Unparsed("stray row mark")
        money = self.money()
        node = self.sum()
        return self.quantity(node, money)

    def space(self) -> Node:
        """`\\mathbb{R}`, perhaps with a mark: R^+, Z_{>0}, R^3."""
        name = self.next().value.split(" ", 1)[1]
        while self.at("^", "_"):
            mark = self.next().value
            name += mark + self.raw_argument()
        return ("space", name)

    def braces(self, close: str) -> Node:
        """`{1, 2}`, `{x | x > 1}`, `{}` in escaped braces."""
        self.i += 1
        if self.at(close):
            self.i += 1
            return ("empty",)
        bars, self.bars, depth = self.bars, 0, self.depth
        self.depth += 1
        items, _ = self.items((close,))
        if len(items) == 1 and self.at("|", "mid", ":"):
            self.i += 1
            condition, joins = self.items((close,))
            self.bars, self.depth = bars, depth
            self.expect(close)
            joined = condition[0] if len(condition) == 1 else ("or" if "or" in joins else "and", tuple(condition))
            return ("builder", items[0], joined)
        self.bars, self.depth = bars, depth
        self.expect(close)
        if len(items) == 1 and items[0][0] == "ratio" and len(items[0][1]) == 2:
            raise Unparsed("a set builder or a ratio")
        return ("set", tuple(items))

    def plain_braces(self) -> Node:
        """`{2,3,5}` at the very start and around the whole is a set whose backslashes were lost."""
        at = self.i
        try:
            node = self.braces("}")
            if self.peek() is None and node[0] == "set" and len(node[1]) > 1:
                return node
        except Unparsed:
            pass
        self.i = at
        return self.quantity(self.sum(), None)

    def money(self) -> Unit | None:
        """A currency sign before the number."""
        token = self.peek()
        if token is not None and token.kind == "money":
            self.i += 1
            return parse_unit(token.value)
        return None

    def quantity(self, node: Node, money: Unit | None) -> Node:
        """The number with the percent sign or unit that follows it."""
        if money is not None:
            node = ("qty", node, money)
        token = self.peek()
        if token is None or node[0] not in ("num", "neg", "mul", "div", "add", "pow", "const", "call", "pm", "qty", "deg", "sym", "tuple"):
            return node
        if token.kind == "op" and token.value == "%" or (token.kind == "word" and token.value.lower() in ("percent", "percents")):
            self.i += 1
            if self.at("%"):
                raise Unparsed("two percent signs")
            return ("pct", node)
        if token.kind == "text" and token.value.strip().lower() in ("percent", "percentage", "%"):
            self.i += 1
            return ("pct", node)
        if node[0] in ("sym", "tuple") and token.kind != "text":
            return node
        words = self.unit_words()
        if words is None:
            return node
        start, text = self.i, words[0]
        unit = parse_unit(text)
        if unit is None:
            return node
        self.i = start + words[1]
        if node[0] == "deg":
            return node if not unit.dims or unit.dims[0][0] in ("angle",) else ("qty", node[1], unit)
        if node[0] == "qty":
            return node if unit.dims == node[2].dims or unit.label else ("qty", node[1], unit)
        return ("qty", node, unit)

    def unit_words(self) -> tuple[str, int] | None:
        """The words from here to the end of the item if they can be a unit: (text, how many tokens)."""
        parts: list[str] = []
        count = 0
        while (token := self.peek(count)) is not None:
            value = token.value
            if token.kind == "op" and value in (",", ";", ")", "]", "}", "}}", "=", "<", ">", "<=", ">="):
                break
            if token.kind in ("text", "word", "cmd") and value.strip().lower().strip(",").strip() in _JOINS:
                break
            if token.kind in ("text", "word", "money", "roman", "let"):
                if count == 0 and token.kind == "let" and not (token.spaced and value in "mgshLl"):
                    return None
                parts.append((" " if token.spaced or token.kind == "text" else "") + value)
            elif token.kind == "num" and count or token.kind == "op" and value in "^/*-()%{}." or value in ("cdot", "circ"):
                parts.append({"cdot": "*", "circ": "°", "{": "", "}": ""}.get(value, value))
            else:
                return None
            count += 1
        return ("".join(parts), count) if count else None


def _grouped(items: list[Node], joins: list[str]) -> tuple[Node, ...]:
    """`p=5, q=2; p=7, q=2` as two lists."""
    groups: list[list[Node]] = [[items[0]]]
    for join, item in zip(joins, items[1:], strict=True):
        if join == ";":
            groups.append([item])
        else:
            groups[-1].append(item)
    return tuple(group[0] if len(group) == 1 else ("list", tuple(group), ",") for group in groups)
