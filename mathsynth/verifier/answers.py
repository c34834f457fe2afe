"""The outer grammar: lists, relations, sets, ratios and quantities over expressions."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from mathsynth.verifier import letters, numerals
from mathsynth.verifier.tokens import Token, Unparsed
from mathsynth.verifier.tree import Node, is_scalar, num
from mathsynth.verifier.units import Unit, parse_unit

if TYPE_CHECKING:
    from mathsynth.verifier.grammar import Grammar

_RELATIONS = {
    "=": "=", "<": "<", ">": ">", "<=": "<=", ">=": ">=", "!=": "!=", "le": "<=", "ge": ">=", "ne": "!=",
    "in": "in", "approx": "~", "sim": "~", "to": "->", "equiv": "=", "=>": "->", "->": "->", "Rightarrow": "->",
    "subset": "subset", "subseteq": "subset", "perp": "perp", "parallel": "parallel", "notin": "notin",
    "implies": "->", "iff": "->", "mapsto": "mapsto", "cong": "=", "doteq": "~", "propto": "propto",
}  # fmt: skip
_JOINS = {"and", "or", ",and", ",or", "&", "和", "或", "或者", "与", "及"}


def answer(p: Grammar) -> Node:
    """The whole: items joined by commas, semicolons, and/or."""
    items, joins = read_items(p, ())
    if len(items) == 1:
        return items[0]
    if ";" in joins and len(set(joins)) > 1:
        return ("list", _grouped(items, joins), ",")
    mode = "or" if "or" in joins else "and" if set(joins) == {"and"} else ","
    return ("list", tuple(items), mode)


def read_items(p: Grammar, ends: tuple[str, ...]) -> tuple[list[Node], list[str]]:
    """Items up to one of `ends`, and the separators between them."""
    found = [read_item(p)]
    joins: list[str] = []
    while True:
        join = read_join(p)
        if join is None:
            return found, joins
        if p.peek() is None or p.at(*ends):
            if join in (",", ";"):
                return found, joins
            raise Unparsed("a list that goes on nowhere")
        found.append(read_item(p))
        joins.append(join)


def read_join(p: Grammar) -> str | None:
    """Consume a separator, if one stands here: `,` `;` `and` `or`, or a comma and a word."""
    found: str | None = None
    while (token := p.peek()) is not None:
        word = token.value.strip().lower().strip(",").strip() if token.kind in ("text", "word", "cmd", "op") else ""
        if token.kind == "op" and token.value in (",", ";") and (found is None or token.value == ","):
            found = found or token.value
        elif word in _JOINS and token.kind != "let":
            found = ";" if found == ";" else ("or" if word in ("or", "或", "或者") else "and")
        else:
            return found
        p.i += 1
    return found


def read_item(p: Grammar) -> Node:
    """One answer: perhaps a chain of relations, perhaps with a unit after it."""
    first = named(p) or side(p)
    exprs, ops = [first], []
    while (token := p.peek()) is not None and token.kind in ("op", "cmd"):
        op = _RELATIONS.get(token.value)
        if op is None:
            break
        p.i += 1
        ops.append(op)
        exprs.append(side(p))
    if ops and p.at("pmod", "mod", "bmod"):
        p.i += 1
        return ("congruent", tuple(exprs), p.argument())
    if ops and p.at("(") and (t := p.peek(1)) is not None and t.value in ("mod", "bmod"):
        p.i += 2
        modulus = p.sum()
        p.expect(")")
        return ("congruent", tuple(exprs), modulus)
    if not ops:
        return first
    return ("rel", tuple(exprs), tuple(ops))


def named(p: Grammar) -> Node | None:
    """`f(x, y) =` and `\\text{Area} =`: a name that is being defined."""
    at = p.i
    token = p.peek()
    if token is None:
        return None
    worded = token.kind == "text" or (token.kind == "word" and not letters.word_is_maths(p, token.value))
    if worded and (after := p.peek(1)) is not None and after.value in ("=", ":"):
        if after.value == "=":
            p.i += 1
            return ("sym", token.value.strip())
        return None
    if token.kind in ("let", "cmd") and letters.is_symbol(p, token):
        name = letters.symbol(p)
        if p.at("^") and [t.value for k in range(1, 6) if (t := p.peek(k))] in (["{", "-", "1", "}", "("],):
            p.i += 5  # f^{-1}(x) is a function's name
            name = ("sym", name[1] + "^-1")
        if p.at("("):
            p.i += 1
            args: list[Node] = []
            while (arg := p.peek()) is not None and (
                letters.is_symbol(p, arg) or arg.kind == "num" or arg.value in ("vec", "overrightarrow")
            ):
                args.append(
                    letters.symbol(p)
                    if letters.is_symbol(p, arg)
                    else numerals.number(p)
                    if arg.kind == "num"
                    else p.primary()
                )
                if p.at(")"):
                    p.i += 1
                    if args and p.at("="):
                        return ("call", name[1], tuple(args))
                    break
                if not p.at(","):
                    break
                p.i += 1
    p.i = at
    return None


def side(p: Grammar) -> Node:
    """One side of a relation: sets and their unions, a ratio, a quantity."""
    left = setlike(p)
    while p.at("cup", "cap", "setminus") or (p.at("-") and left[0] in ("space", "set", "cup", "cap", "minus")):
        op = p.next().value
        right = setlike(p)
        left = ("minus" if op in ("setminus", "-") else op, left, right)
    if (p.at(":") and not p.in_braces) or _says_to(p):
        items = [left]
        while p.at(":") or _says_to(p):
            p.i += 1
            items.append(p.sum())
        return ("ratio", tuple(items))
    return left


def setlike(p: Grammar) -> Node:
    """A scalar with its unit, or a set: `R`, the empty set, braces."""
    token = p.peek()
    if token is None:
        raise Unparsed("it stops too early")
    if token.kind == "cmd":
        if token.value == "emptyset":
            p.i += 1
            return ("empty",)
        if token.value.startswith("mathbb "):
            return space(p)
    if token.kind == "op" and token.value == "{{":
        node = braces(p, "}}")
        return node
    if token.kind == "op" and token.value == "{" and p.i == 0:
        return plain_braces(p)
    if token.kind == "op" and token.value == "\\\\" and (after := p.peek(1)) and after.value == "{":
        raise Unparsed("stray row mark")
    money = read_money(p)
    node = p.sum()
    return quantity(p, node, money)


def space(p: Grammar) -> Node:
    """`\\mathbb{R}`, perhaps with a mark: R^+, Z_{>0}, R^3."""
    name = p.next().value.split(" ", 1)[1]
    while p.at("^", "_"):
        mark = p.next().value
        name += mark + letters.raw_argument(p)
    return ("space", name)


def braces(p: Grammar, close: str) -> Node:
    """`{1, 2}`, `{x | x > 1}`, `{}` in escaped braces."""
    p.i += 1
    if p.at(close):
        p.i += 1
        return ("empty",)
    bars, p.bars, depth = p.bars, 1, p.depth  # in braces a bar or a colon starts the condition
    outside, p.in_braces = p.in_braces, True
    p.depth += 1
    items, _ = read_items(p, (close,))
    p.in_braces = outside
    if len(items) == 1 and p.at("|", "mid", ":"):
        p.i += 1
        condition, joins = read_items(p, (close,))
        p.bars, p.depth = bars, depth
        p.expect(close)
        joined = condition[0] if len(condition) == 1 else ("or" if "or" in joins else "and", tuple(condition))
        return ("builder", items[0], joined)
    p.bars, p.depth = bars, depth
    p.expect(close)
    return ("set", tuple(items))


def plain_braces(p: Grammar) -> Node:
    """`{2,3,5}` at the very start and around the whole is a set whose backslashes were lost."""
    at = p.i
    try:
        node = braces(p, "}")
        if p.peek() is None and node[0] == "set" and len(node[1]) > 1:
            return node
    except Unparsed:
        pass
    p.i = at
    return quantity(p, p.sum(), None)


def read_money(p: Grammar) -> Unit | None:
    """A currency sign before the number."""
    token = p.peek()
    if token is not None and token.kind == "money":
        p.i += 1
        return parse_unit(token.value)
    return None


def quantity(p: Grammar, node: Node, money: Unit | None) -> Node:
    """The number with the percent sign or unit that follows it."""
    node = scaled(p, node)
    if money is not None:
        node = ("qty", node, money)
    token = p.peek()
    if token is None or node[0] not in (
        "num",
        "neg",
        "mul",
        "div",
        "add",
        "pow",
        "const",
        "call",
        "pm",
        "qty",
        "deg",
        "sym",
        "tuple",
    ):
        return node
    if (token.kind == "op" and token.value == "%") or (
        token.kind == "word" and token.value.lower() in ("percent", "percents", "percentage")
    ):
        if node[0] in ("add", "pm") and p.found[p.i - 1].value != ")":
            raise Unparsed("a percent sign on the last part of a sum")
        p.i += 1
        if p.at("%"):
            raise Unparsed("two percent signs")
        return ("pct", node)
    if token.kind == "text" and token.value.strip().lower() in ("percent", "percentage", "%"):
        p.i += 1
        return ("pct", node)
    if node[0] in ("sym", "tuple") and token.kind != "text":
        return node
    words = unit_words(p)
    if words is None:
        return node
    start, text = p.i, words[0]
    unit = parse_unit(text)
    if unit is None or (unit.label and token.kind == "word" and not token.spaced):
        return node  # 2sinx is no number of things
    p.i = start + words[1]
    if node[0] == "deg":
        return node if not unit.dims or unit.dims[0][0] in ("angle",) else ("qty", node[1], unit)
    if node[0] == "qty":
        return node if unit.dims == node[2].dims or unit.label else ("qty", node[1], unit)
    return compound(p, ("qty", node, unit))


_SCALES = {"dozen": 12, "hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9, "trillion": 10**12}


def scaled(p: Grammar, node: Node) -> Node:
    """`1.5 million` as a product."""
    token = p.peek()
    if token is None or token.kind not in ("text", "word") or not is_scalar(node):
        return node
    words = token.value.split()
    if not words or words[0].lower() not in _SCALES:
        return node
    if len(words) > 1:
        p.found[p.i : p.i + 1] = [Token("text", words[0], True), Token("text", " ".join(words[1:]), True)]
    p.i += 1
    return ("mul", (node, num(_SCALES[words[0].lower()])))


def compound(p: Grammar, node: Node) -> Node:
    """`2 hours 15 minutes`, `5 feet and 6 inches`: one quantity, in the base unit."""
    at = p.i
    read_join(p)
    token = p.peek()
    if not node[2].dims or token is None or token.kind != "num":
        p.i = at
        return node
    value = numerals.number(p)
    words = unit_words(p)
    unit = parse_unit(words[0]) if words else None
    if words is None or unit is None or unit.dims != node[2].dims or not unit.size < node[2].size:
        p.i = at
        return node
    p.i += words[1]
    total = ("add", (("mul", (num(node[2].size), node[1])), ("mul", (num(unit.size), value))))
    return ("qty", total, Unit(Fraction(1), unit.dims))


def unit_words(p: Grammar) -> tuple[str, int] | None:
    """The words from here to the end of the item if they can be a unit: (text, how many tokens)."""
    parts: list[str] = []
    count = level = 0
    while (token := p.peek(count)) is not None:
        value = token.value
        if token.kind == "cmd" and value == "frac" and (quotient := _frac_of_words(p, count)) is not None:
            parts.append(quotient)
            count += 7
            continue
        if (value == "}" and level) or value == "{":
            level += 1 if value == "{" else -1
        elif token.kind == "op" and value in (",", ";", ")", "]", "}", "}}", "=", "<", ">", "<=", ">="):
            break
        if token.kind in ("text", "word", "cmd") and value.strip().lower().strip(",").strip() in _JOINS:
            break
        if token.kind in ("text", "word", "money", "roman", "let"):
            if count == 0 and token.kind == "let" and not (token.spaced and value in "mgshLl"):
                return None
            if count and token.kind == "let" and p.found[p.i + count - 1].value >= "\u4e00":
                return None
            parts.append((" " if token.spaced or token.kind == "text" else "") + value)
        elif token.kind == "num" and count and p.found[p.i + count - 1].kind == "money":
            return None
        elif token.kind == "num" and count and (token.spaced or p.found[p.i + count - 1].kind == "text"):
            break
        elif (
            (token.kind == "num" and count)
            or (token.kind == "op" and value in "^/*-()%{}.")
            or value in ("cdot", "circ")
        ):
            parts.append({"cdot": "*", "circ": "°", "{": "", "}": ""}.get(value, value))
        else:
            return None
        count += 1
    return ("".join(parts), count) if count else None


def _frac_of_words(p: Grammar, at: int) -> str | None:
    """`\\frac{\\text{km}}{\\text{h}}` as km/h."""
    found = [p.peek(at + k) for k in range(1, 7)]
    shape = [t.value if t and t.kind == "op" else t.kind if t else "" for t in found]
    if [s if s in "{}" else s in ("text", "word", "roman", "let") for s in shape] != ["{", True, "}", "{", True, "}"]:
        return None
    return f" {found[1].value}/{found[4].value}" if found[1] and found[4] else None


def _says_to(p: Grammar) -> bool:
    """`2 to 3`: a ratio in words."""
    token = p.peek()
    before = p.found[p.i - 1] if p.i else None
    return (
        token is not None
        and token.kind in ("text", "word")
        and token.value.strip() == "to"
        and before is not None
        and before.kind == "num"
    )


def _grouped(items: list[Node], joins: list[str]) -> tuple[Node, ...]:
    """`p=5, q=2; p=7, q=2` as two lists."""
    groups: list[list[Node]] = [[items[0]]]
    for join, item in zip(joins, items[1:], strict=True):
        if join == ";":
            groups.append([item])
        else:
            groups[-1].append(item)
    return tuple(group[0] if len(group) == 1 else ("list", tuple(group), ",") for group in groups)
