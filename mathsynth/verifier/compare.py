"""Two trees as answers: quantities, lists, points, sets, relations. Each rule is symmetric unless it says so."""

from __future__ import annotations

from fractions import Fraction

from mathsynth.verifier.expressions import NeedSlow, infinity, proportional, scalars
from mathsynth.verifier.numeric import OTHERWISE
from mathsynth.verifier.policy import Policy
from mathsynth.verifier.sets import Reals, reals, same_set
from mathsynth.verifier.shapes import Shape, bag, expand, has_matrix, indexed, matrix_of, name_text, shape
from mathsynth.verifier.tree import Node, is_scalar, num, substitute, symbols, walk
from mathsynth.verifier.units import Unit, known_unit
from mathsynth.verifier.words import Finding

_UNSURE = Finding(None, "kinds", "answers of different kinds")
_ORDER = {"<": 1, "<=": 1, ">": -1, ">=": -1}


class Comparison:
    """One comparison: the policy, and whether slow means (many digits) may be used."""

    def __init__(self, policy: Policy, slow: bool) -> None:
        self.policy, self.slow = policy, slow

    def answers(self, a: Node, b: Node) -> Finding:
        """Compare two whole answers."""
        if a == b:
            return Finding(True, "identical", "the same answer")
        a, b = _before_approximation(a), _before_approximation(b)
        found = self.as_sets(a, b)
        if found is not None:
            return found
        if a[0] == "rel" and b[0] == "rel":
            found = self.relations(a, b)
            if found is not None:
                return found
        return self.shapes(a, b)

    def scalar(self, a: Node, b: Node) -> Finding:
        return scalars(a, b, self.policy, self.slow)

    # sets of reals and relations

    def as_sets(self, a: Node, b: Node) -> Finding | None:
        """Intervals, inequalities and set builders as sets; None if one side is no such thing."""
        if not (_set_like(a) or _set_like(b)):
            return None
        a, b = _unnamed_set(a), _unnamed_set(b)
        left, right = reals(a, loose=_set_like(b)), reals(b, loose=_set_like(a))
        if left is None or right is None:
            return None
        if left.name and right.name and left.name != right.name:
            return Finding(False, "set", f"about {right.name}, not {left.name}")
        if not _is_list(a, b):
            return self.same_sets(left, right)
        return None

    def same_sets(self, left: Reals, right: Reals) -> Finding:
        same = same_set(left, right, lambda x, y: self.scalar(x, y).equal)
        reason = {True: "the same set of numbers", False: "another set of numbers", None: "an end of the set is unclear"}
        return Finding(same, "set", reason[same])

    def relations(self, a: Node, b: Node) -> Finding | None:
        """Two equations or two inequalities; None if they should be compared by what they define."""
        equations = [set(x[2]) == {"="} for x in (a, b)]
        if any(op not in ("=", "<", ">", "<=", ">=", "!=") for x in (a, b) for op in x[2]):
            if a[2] == b[2] and len(a[1]) == len(b[1]):
                return self.all_of([self.answers(x, y) for x, y in zip(a[1], b[1], strict=True)], "relation")
            return Finding(None, "relation", "relations that are not compared")
        if all(equations):
            return self.equations(a, b)
        if any(equations):
            return Finding(False, "relation", "an equation and an inequality")
        return self.inequalities(a, b)

    def equations(self, a: Node, b: Node) -> Finding | None:
        if any(not is_scalar(e) or len(expand(e)) > 1 or has_matrix(e) for e in (*a[1], *b[1])):
            return None
        name_a, name_b = name_text(a[1][0]), name_text(b[1][0])
        if name_a and name_b:
            if name_a == name_b:
                return None
            renamed = self.renamed(a, b)
            if renamed is not None:
                return renamed
        if len(a[1]) > 2 or len(b[1]) > 2:
            return None if name_a or name_b else self.row(a[1], b[1], "chain") if len(a[1]) == len(b[1]) else Finding(None, "chain", "chains of different length")
        names = symbols(a) | symbols(b)
        if not names:
            return self.statements(a, b)
        left, right = (("add", (x[1][0], ("neg", x[1][1]))) for x in (a, b))
        found = proportional(left, right, self.policy, self.slow, positive=False)
        if found.equal is False and name_a and name_b and not symbols(a[1][1]) and not symbols(b[1][1]):
            value = self.scalar(a[1][1], b[1][1])
            if value.equal:
                return Finding(None, "names", f"{name_b} is not {name_a}")
        return found

    def statements(self, a: Node, b: Node) -> Finding:
        """Two equations about numbers only: by their values, if both are true."""
        for sides in (a[1], b[1]):
            if self.scalar(sides[0], sides[-1]).equal is not True:
                return Finding(None, "chain", "a statement about numbers that is not true")
        return self.scalar(a[1][-1], b[1][-1])

    def renamed(self, a: Node, b: Node) -> Finding | None:
        """f(x) = x + 1 and f(t) = t + 1: the same function under another variable."""
        left, right = a[1][0], b[1][0]
        if left[0] != "call" or right[0] != "call" or left[1] != right[1] or len(left[2]) != len(right[2]):
            return None
        value = b[1][-1]
        for new, old in zip(left[2], right[2], strict=True):
            if old[0] != "sym" or new[0] != "sym" or (new != old and new[1] in symbols(value)):
                return None
            value = substitute(value, old[1], new)
        return self.answers(a[1][-1], value)

    def inequalities(self, a: Node, b: Node) -> Finding | None:
        """Chains link by link, each as `0 < difference`, up to a positive factor."""
        names_a, names_b = symbols(a), symbols(b)
        if names_a != names_b:
            return Finding(False, "inequality", "about other variables")
        links_a, links_b = _links(a), _links(b)
        if len(links_a) != len(links_b):
            return Finding(None, "inequality", "chains of different length")
        if not all(is_scalar(x) for x, _ in links_a + links_b):
            return None

        def same(x: tuple[Node, str], y: tuple[Node, str]) -> bool | None:
            if x[1] != y[1]:
                return False
            return proportional(x[0], y[0], self.policy, self.slow, positive=x[1] != "!=").equal

        return self.matched([[same(x, y) for y in links_b] for x in links_a], "inequality")

    # shapes

    def shapes(self, a: Node, b: Node) -> Finding:
        left, right = shape(a), shape(b)
        if left.names and right.names:
            if left.names != right.names and not (left.kind == right.kind == "row" and set(left.names) == set(right.names)):
                return self.other_names(left, right)
            if left.kind == right.kind == "row":
                order = [right.names.index(name) for name in left.names]
                return self.row(left.items, tuple(right.items[i] for i in order), "named values")
        elif (left.names or right.names) and self.policy.names == "strict":
            return Finding(None, "names", "the name is missing")
        elif left.kind == "row" or right.kind == "row":
            return self.row_and_bare(left, right)
        if left.names is None and right.names is None and (a[0] == "rel") != (b[0] == "rel"):
            return self.equation_and_value(a, b)
        if (left.names is None) != (right.names is None):
            named, bare = (left, b) if left.names else (right, a)
            if bare[0] == "rel":
                value = self.equation_and_value(a, b)
                if value.equal is not None:
                    return value
            if named.names and len(named.names) == 1 and len(named.items) == 1 and _lone_letter(named.names[0]) and _lone_letter_node(named.items[0]):
                return Finding(None, "names", "one letter for another: a choice or a name")
        if left.kind == right.kind == "one":
            return self.single(left.items[0], right.items[0])
        return self.bags(left, right, a, b)

    def other_names(self, left: Shape, right: Shape) -> Finding:
        if len(left.items) != len(right.items):
            return Finding(False, "names", "other names and another number of values")
        values = self.matched([[self.single(x, y).equal for y in right.items] for x in left.items], "names")
        if values.equal is False:
            return Finding(False, "names", "other names and other values")
        return Finding(None, "names", "other names")

    def row_and_bare(self, left: Shape, right: Shape) -> Finding:
        """x = 1, y = 2 against `1, 2` or `(1, 2)`: in the order of the names; x_1, x_2 in any order."""
        row, other = (left, right) if left.kind == "row" else (right, left)
        items = other.items
        if len(items) == 1 and items[0][0] == "tuple":
            items = items[0][1]
        if len(items) != len(row.items):
            return Finding(False, "named values", f"{len(items)} values, not {len(row.items)}")
        ordered = self.row(row.items, items, "named values")
        if ordered.equal is not False:
            return ordered
        loose = self.matched([[self.single(x, y).equal for y in items] for x in row.items], "named values")
        if loose.equal is False:
            return ordered
        if loose.equal and row.names and indexed(row.names) and other.kind == "bag":
            return Finding(True, "named values", "the same roots")
        return Finding(None, "named values", "the values in another order, without their names")

    def equation_and_value(self, a: Node, b: Node) -> Finding:
        """An equation that names nothing against a value: `1 + 1 = 2`, `a + b = 10`, an identity."""
        relation, value = (a, b) if a[0] == "rel" else (b, a)
        if set(relation[2]) != {"="}:
            return Finding(False, "relation", "a relation and a value")
        if value[0] == "rel" or not all(is_scalar(e) for e in relation[1]):
            return _UNSURE
        sides = relation[1]
        last = self.single(sides[-1], value)
        names = [symbols(side) for side in sides]
        if not any(names) or names[0] == names[-1]:
            true = self.all_of([self.scalar(x, y) for x, y in zip(sides, sides[1:], strict=False)], "chain")
            if true.equal:
                return last
            if not any(names) or last.equal is False:
                return Finding(False if last.equal is False else None, "chain", "a statement that is false" if true.equal is False else "a statement that is unclear")
        if last.equal is False:
            if any(self.single(side, value).equal for side in sides[:-1]):
                return Finding(None, "equation", "an equation and one of its sides")
            return Finding(False, "equation", "an equation with another value")
        if len(sides) > 2 and last.equal:
            return last
        if last.equal and a is value and _named_quantity(sides[0]) and sides[-1] != num(0):
            return Finding(True, "named quantity", "the quantity that was asked for, written out")
        return Finding(None if sides[-1] != num(0) else False, "equation", "an equation and a value")

    # collections

    def row(self, a: tuple[Node, ...], b: tuple[Node, ...], rule: str) -> Finding:
        if len(a) != len(b):
            return Finding(False, rule, f"{len(b)} values, not {len(a)}")
        return self.all_of([self.answers(x, y) for x, y in zip(a, b, strict=True)], rule)

    def all_of(self, parts: list[Finding], rule: str) -> Finding:
        for part in parts:
            if part.equal is False:
                return Finding(False, rule, part.reason)
        for part in parts:
            if part.equal is None:
                return Finding(None, rule, part.reason)
        return Finding(True, rule, "all parts are equal")

    def bags(self, left: Shape, right: Shape, a: Node, b: Node) -> Finding:
        """Lists and sets in any order; a bare list against a point in its order."""
        for this, other in ((left, right), (right, left)):
            if this.kind == "one" and this.items[0][0] == "tuple" and other.kind == "bag" and not any(x[0] == "tuple" for x in other.items):
                return self.point_and_list(this.items[0], other, b if this is left else a)
        ordered = self.policy.ordered_lists and left.kind == right.kind == "bag" and a[0] == b[0] == "list"
        if ordered and len(left.items) == len(right.items):
            return self.row(left.items, right.items, "list")
        numbers = self.plain_numbers(left.items, right.items)
        if numbers is not None:
            return numbers
        if len(left.items) * len(right.items) > 2500:
            return self.row(left.items, right.items, "list") if len(left.items) == len(right.items) else Finding(False, "list", "another number of values")
        first, second = self.distinct(left.items), self.distinct(right.items)
        if len(first) != len(second):
            return Finding(False, "list", f"{len(second)} values, not {len(first)}")
        found = self.matched([[self.element(x, y) for y in second] for x in first], "list")
        if found.equal and len(left.items) != len(right.items) and not all(x[0] == "tuple" for x in first):
            return Finding(None, "list", "a value is repeated")
        return found

    def element(self, a: Node, b: Node) -> bool | None:
        return self.answers(a, b).equal

    def distinct(self, items: tuple[Node, ...]) -> list[Node]:
        kept: list[Node] = []
        for item in items:
            if not any(item == other or self.quick_same(item, other) for other in kept):
                kept.append(item)
        return kept

    def quick_same(self, a: Node, b: Node) -> bool:
        try:
            return Comparison(self.policy, False).answers(a, b).equal is True
        except NeedSlow:
            return False

    def plain_numbers(self, a: tuple[Node, ...], b: tuple[Node, ...]) -> Finding | None:
        """Lists of exact numbers, sorted instead of matched."""
        values: list[list[Fraction]] = []
        for items in (a, b):
            row = [_plain_number(item) for item in items]
            if any(value is None for value in row):
                return None
            values.append(sorted(v for v in row if v is not None))
        if values[0] == values[1]:
            return Finding(True, "list", "the same numbers")
        if set(values[0]) == set(values[1]):
            return Finding(None, "list", "a value is repeated")
        return Finding(False, "list", "other numbers")

    def matched(self, table: list[list[bool | None]], rule: str) -> Finding:
        """A perfect matching of rows to columns: over True cells it is equal, over True and None undecided."""
        if len(table) != len(table[0] if table else []):
            return Finding(False, rule, "another number of values")
        if _matching(table, lambda cell: cell is True):
            return Finding(True, rule, "the same values, one by one")
        if _matching(table, lambda cell: cell is not False):
            return Finding(None, rule, "a value could not be compared")
        return Finding(False, rule, "a value has no partner")

    def point_and_list(self, point: Node, other: Shape, whole: Node) -> Finding:
        if whole[0] == "set":
            return Finding(None if len(other.items) == len(point[1]) else False, "kinds", "a point and a set")
        if point[2] not in "([<" or (point[2] == "(") != (point[3] == ")") or point[2] == "[" and len(point[1]) == 2:
            return Finding(None, "kinds", "an interval and a list")
        return self.row(point[1], other.items, "point") if len(point[1]) == len(other.items) else Finding(False, "point", "another number of values")

    # single values

    def single(self, a: Node, b: Node) -> Finding:
        """Two single answers of any kind."""
        if a == b:
            return Finding(True, "identical", "the same answer")
        kinds = {a[0], b[0]}
        if a[0] == b[0] and a[0] in ("set", "list"):
            return self.matched([[self.single(x, y).equal for y in b[1]] for x in a[1]], "set")
        if a[0] in ("set", "list") or b[0] in ("set", "list"):
            return Finding(False, "set", "a set and no set")
        if "pct" in kinds:
            return self.percent(a, b)
        if "qty" in kinds or ("deg" in kinds and not (a[0] == b[0] == "deg")):
            return self.quantity(a, b)
        if a[0] == b[0] == "deg":
            return self.scalar(a[1], b[1])
        if "base" in kinds:
            return self.based(a, b)
        if "ratio" in kinds:
            return self.ratio(a, b)
        if "tuple" in kinds:
            return self.tuples(a, b)
        if has_matrix(a) or has_matrix(b):
            return self.matrices(a, b)
        if "empty" in kinds or "space" in kinds:
            if a[0] != b[0] or a[0] == "space":
                return Finding(False if a[0] != b[0] and _known(a, b) else None if a[0] != b[0] else a[1] == b[1], "set", "a set and something else")
            return Finding(True, "empty set", "both are empty")
        if a[0] == b[0] == "cases":
            return self.cases(a, b)
        if is_scalar(a) and is_scalar(b):
            return self.scalar(a, b)
        if a[0] == b[0] == "rel":
            return self.relations(a, b) or self.shapes(a, b)
        if a[0] == b[0] and a[0] in ("cup", "cap", "minus"):
            return self.unions(a, b)
        if "builder" in kinds:
            return self.builders(a, b)
        return _UNSURE

    def unions(self, a: Node, b: Node) -> Finding:
        parts_a, parts_b = _operands(a), _operands(b)
        if a[0] == "minus":
            return self.row(a[1:3], b[1:3], "set")
        found = self.matched([[self.answers(x, y).equal for y in parts_b] for x in parts_a], "set")
        return found if found.equal else Finding(None, "set", "sets that could not be compared")

    def builders(self, a: Node, b: Node) -> Finding:
        if a[0] != "builder" or b[0] != "builder" or a[1][0] != "sym" or b[1][0] != "sym":
            return Finding(None, "set", "a set builder and something else")
        condition = substitute(b[2], b[1][1], a[1]) if b[1] != a[1] else b[2]
        found = self.answers(_as_list(a[2]), _as_list(condition))
        return found if found.equal else Finding(None, "set", "conditions that could not be compared")

    def percent(self, a: Node, b: Node) -> Finding:
        """28 % = 28 = 0.28; a dropped sign below one percent point is unclear."""
        if a[0] == b[0] == "pct":
            return self.single(a[1], b[1])
        sign, plain = (a, b) if a[0] == "pct" else (b, a)
        if not is_scalar(plain):
            return self.quantity(sign[1], plain) if plain[0] == "qty" and not plain[2].dims else _UNSURE
        exact = self.scalar(("div", sign[1], num(100)), plain)
        if exact.equal or self.policy.percent == "strict":
            return exact._replace(rule="percent")
        dropped = self.scalar(sign[1], plain)
        if dropped.equal:
            small = _plain_number(sign[1])
            if small is not None and abs(small) < 1:
                return Finding(None, "percent", "a percent sign more or less on a number below one")
            return Finding(True, "percent", "the same number, the percent sign dropped")
        return Finding(False if exact.equal is False and dropped.equal is False else None, "percent", "another percentage")

    def quantity(self, a: Node, b: Node) -> Finding:
        """Numbers with units: a missing unit is no mistake, a contradicting one is."""
        (x, unit_x), (y, unit_y) = _amount(a), _amount(b)
        if unit_x is None or unit_y is None:
            found = self.single(x, y)
            if found.equal and self.policy.units == "required":
                return Finding(None, "units", "a unit is missing")
            lone = unit_x or unit_y
            if found.equal is False and lone is not None and lone.dims == (("angle", 1),):
                return self.angle(a, b, found)
            if found.equal is False and lone is not None and lone.label == "" and lone.dims == () and lone.size != 1:
                return Finding(None, "units", "a unit is missing")
            return found
        if unit_x == unit_y:
            return self.single(x, y)
        if unit_x.label or unit_y.label:
            found = self.single(x, y)
            return Finding(None, "units", "the same number of something else") if found.equal else found
        if unit_x.dims != unit_y.dims:
            if {unit_x, unit_y} == {known_unit("pound"), known_unit("£")}:
                return self.single(x, y)
            if {unit_x.dims, unit_y.dims} <= {(("angle", 1),), (("celsius", 1),), (("fahrenheit", 1),)} and (("angle", 1),) in (unit_x.dims, unit_y.dims):
                return self.single(x, y)
            return Finding(False, "units", "contradicting units")
        found = self.scalar(("mul", (num(unit_x.size), x)), ("mul", (num(unit_y.size), y))) if is_scalar(x) and is_scalar(y) else _UNSURE
        if found.equal and not self.policy.convert_units:
            return Finding(None, "units", "equal after converting the unit, which the policy does not allow")
        return found._replace(rule="units")

    def angle(self, a: Node, b: Node, plain: Finding) -> Finding:
        """180 degrees against pi."""
        x, y = (("deg", _amount(n)[0]) if _amount(n)[1] else n for n in (a, b))
        if not (is_scalar(x) and is_scalar(y)) or not any(part == ("const", "pi") for n in (a, b) for part in walk(n)):
            return plain
        found = self.scalar(x, y)
        if found.equal and self.policy.degrees == "apart":
            return Finding(None, "degrees", "the same angle in radians")
        return found if found.equal else plain

    def based(self, a: Node, b: Node) -> Finding:
        """Digits in a base: 204_5 is written, not computed."""
        if a[0] == b[0] == "base":
            if a[2] == b[2]:
                return Finding(a[1] == b[1], "base", "the same digits" if a[1] == b[1] else "other digits")
            value_a, value_b = _in_base(a), _in_base(b)
            if value_a is not None and value_a == value_b:
                return Finding(True if self.policy.bases == "value" else None, "base", "the same value in another base")
            return Finding(False, "base", "another base and another value")
        based, plain = (a, b) if a[0] == "base" else (b, a)
        value, number = _in_base(based), _plain_number(plain)
        if value is None or number is None:
            return _UNSURE
        if number == value:
            return Finding(True if self.policy.bases == "value" else None, "base", "the value in base ten")
        if number == Fraction(int(based[1])):
            return Finding(None, "base", "the digits without their base")
        return Finding(False, "base", "another number")

    def ratio(self, a: Node, b: Node) -> Finding:
        """a : b : c up to a common factor; a : b is also the fraction a/b."""
        rows = [n[1] if n[0] == "ratio" else (n, num(1)) for n in (a, b)]
        if a[0] != b[0] and len(rows[0]) != len(rows[1]) or not all(is_scalar(x) for row in rows for x in row):
            return _UNSURE if a[0] != b[0] else Finding(None, "ratio", "a ratio of other things")
        if len(rows[0]) != len(rows[1]):
            return Finding(False, "ratio", "another number of terms")
        if a[0] == b[0] and _clock_like(a) and _clock_like(b):
            same = self.row(rows[0], rows[1], "ratio")
            return same if same.equal else Finding(None, "ratio", "two times of day or two ratios")
        parts = [
            self.scalar(("mul", (rows[0][0], rows[1][i])), ("mul", (rows[1][0], rows[0][i])))
            for i in range(1, len(rows[0]))
        ]
        return self.all_of(parts, "ratio")

    def tuples(self, a: Node, b: Node) -> Finding:
        if a[0] != "tuple" or b[0] != "tuple":
            if a[0] == b[0] or not (is_scalar(a) or is_scalar(b)):
                return _UNSURE
            point = a if a[0] == "tuple" else b
            return Finding(None if len(point[1]) == 1 else False, "point", "a point and a number")
        found = self.row(a[1], b[1], "point")
        if found.equal is False or len(a[1]) != len(b[1]):
            return found
        brackets = (a[2], a[3]), (b[2], b[3])
        if brackets[0] != brackets[1] and len(a[1]) == 2 and not any("<" in pair for pair in brackets):
            return Finding(False, "interval", "other brackets")
        return found

    def matrices(self, a: Node, b: Node) -> Finding:
        left, right = matrix_of(a), matrix_of(b)
        if left is None or right is None:
            one = left if left is not None else right
            if one is not None and (is_scalar(a) or is_scalar(b)) and not (has_matrix(a) and has_matrix(b)):
                return Finding(None if len(one[1]) == len(one[1][0]) == 1 else False, "matrix", "a matrix and a number")
            return Finding(None, "matrix", "a matrix and something else")
        if (len(left[1]), len(left[1][0])) != (len(right[1]), len(right[1][0])):
            return Finding(False, "matrix", "another size")
        return self.row(sum(left[1], ()), sum(right[1], ()), "matrix")

    def cases(self, a: Node, b: Node) -> Finding:
        """Row by row where conditions are words, as functions where they are relations."""
        worded = any(condition[0] == "text" and condition[1] not in OTHERWISE for n in (a, b) for _, condition in n[1])
        if not worded:
            return self.scalar(a, b)
        if len(a[1]) != len(b[1]):
            return Finding(None, "cases", "another number of rows")

        def same(x: tuple[Node, Node], y: tuple[Node, Node]) -> bool | None:
            if x[1] != y[1] and (x[1][0] == "text" or y[1][0] == "text" or self.answers(x[1], y[1]).equal is not True):
                return False
            return self.scalar(x[0], y[0]).equal

        return self.matched([[same(x, y) for y in b[1]] for x in a[1]], "cases")


def _before_approximation(node: Node) -> Node:
    """`x = 1/3 ~ 0.333`: the exact part; `x ~ 0.333` names a value."""
    if node[0] != "rel" or "~" not in node[2]:
        return node
    at = node[2].index("~")
    if at == 0:
        return ("rel", node[1], ("=",)) if len(node[1]) == 2 and name_text(node[1][0]) else node[1][0]
    return ("rel", node[1][: at + 1], node[2][:at])


def _set_like(node: Node) -> bool:
    """Whether this can only be a set of reals: unions, builders, mixed brackets, infinite ends, inequalities."""
    kind = node[0]
    if kind in ("cup", "cap", "minus", "builder"):
        return True
    if kind == "space":
        return bool(node[1].startswith("R"))
    if kind == "tuple":
        return len(node[1]) == 2 and ((node[2], node[3]) in (("(", "]"), ("[", ")")) or any(infinity(x) for x in node[1]))
    if kind == "rel":
        if set(node[2]) == {"="} and len(node[1]) == 2:
            return _set_like(node[1][1]) and node[1][1][0] != "rel"
        return "=" not in node[2]
    if kind == "list":
        return all(item[0] == "rel" and "=" not in item[2] for item in node[1])
    return False


def _unnamed_set(node: Node) -> Node:
    """`D = (0, 1)`: the set without its name."""
    if node[0] == "rel" and node[2] == ("=",) and node[1][0][0] in ("sym", "call") and node[1][1][0] not in ("rel",) and not is_scalar(node[1][1]):
        return node[1][1]
    return node


def _is_list(a: Node, b: Node) -> bool:
    return any(n[0] == "list" and not all(item[0] == "rel" for item in n[1]) for n in (a, b)) and not all(_set_like(n) or n[0] == "list" for n in (a, b))


def _links(node: Node) -> list[tuple[Node, str]]:
    """Each comparison of a chain as (difference, op) with op one of < <= !=, the difference being positive."""
    out: list[tuple[Node, str]] = []
    for left, op, right in zip(node[1], node[2], node[1][1:], strict=False):
        if op in (">", ">="):
            left, right, op = right, left, "<" if op == ">" else "<="
        out.append((("add", (right, ("neg", left))), op))
    return out


def _matching(table: list[list[bool | None]], good: object) -> bool:
    """Whether rows and columns can be paired over good cells (augmenting paths)."""
    partner: dict[int, int] = {}

    def place(row: int, seen: set[int]) -> bool:
        for column, cell in enumerate(table[row]):
            if column not in seen and good(cell):  # type: ignore[operator]
                seen.add(column)
                if column not in partner or place(partner[column], seen):
                    partner[column] = row
                    return True
        return False

    return all(place(row, set()) for row in range(len(table)))


def _amount(node: Node) -> tuple[Node, Unit | None]:
    if node[0] == "qty":
        return node[1], node[2]
    if node[0] == "deg":
        return node[1], Unit(Fraction(1), (("angle", 1),))
    return node, None


def _in_base(node: Node) -> int | None:
    try:
        return int(node[1], node[2]) if 2 <= node[2] <= 36 else None
    except ValueError:
        return None


def _plain_number(node: Node) -> Fraction | None:
    sign = 1
    while node[0] == "neg":
        node, sign = node[1], -sign
    if node[0] == "num" and node[2] is None:
        value: Fraction = node[1]
        return value * sign
    if node[0] == "div" and node[1][0] == node[2][0] == "num" and node[1][2] is node[2][2] is None and node[2][1]:
        quotient: Fraction = node[1][1] / node[2][1]
        return quotient * sign
    if node[0] == "num" and node[2] is not None:
        return Fraction(node[1] * sign)
    return None


def _clock_like(node: Node) -> bool:
    terms = [_plain_number(part) for part in node[1]]
    return len(terms) == 2 and all(t is not None and t.denominator == 1 for t in terms) and 0 <= (terms[0] or 0) < 24 and 10 <= (terms[1] or 0) < 60


def _named_quantity(node: Node) -> bool:
    """a + b, mn, a - b: variables only, each with factor one."""
    if node[0] in ("add", "mul"):
        return all(part[0] == "sym" or (part[0] == "neg" and part[1][0] == "sym") for part in node[1])
    return node[0] == "call" and node[1] in ("abs",)


def _lone_letter(name: str) -> bool:
    return len(name) == 1 and name.isupper()


def _lone_letter_node(node: Node) -> bool:
    return node[0] == "sym" and _lone_letter(node[1])


def _known(a: Node, b: Node) -> bool:
    other = b if a[0] in ("empty", "space") else a
    return is_scalar(other) or other[0] in ("tuple", "set", "qty", "pct", "empty", "space")


def _operands(node: Node) -> list[Node]:
    kind = node[0]
    out: list[Node] = []
    for part in node[1:3]:
        out.extend(_operands(part) if part[0] == kind else [part])
    return out


def _as_list(node: Node) -> Node:
    return ("list", node[1], node[0]) if node[0] in ("and", "or") else node


__all__ = ["Comparison", "bag"]
