"""Two trees as answers: lists, points, names, single values. Each rule is symmetric unless it says so."""

from __future__ import annotations

from mathsynth.verifier import quantities, relations
from mathsynth.verifier.expressions import NeedSlow, scalars
from mathsynth.verifier.matching import all_of, matched, plain_numbers
from mathsynth.verifier.numeric import OTHERWISE
from mathsynth.verifier.policy import Policy
from mathsynth.verifier.shapes import Shape, expand, has_matrix, indexed, matrix_of, shape
from mathsynth.verifier.tree import Node, is_scalar, substitute
from mathsynth.verifier.words import Finding

_UNSURE = Finding(None, "kinds", "answers of different kinds")


class Comparison:
    """One comparison: the policy, and whether slow means (many digits) may be used."""

    def __init__(self, policy: Policy, slow: bool) -> None:
        self.policy, self.slow, self.inside = policy, slow, 0

    def answers(self, a: Node, b: Node) -> Finding:
        """Compare two whole answers."""
        if a == b:
            return Finding(True, "identical", "the same answer")
        a, b = (_family(relations.before_approximation(x)) for x in (a, b))
        found = relations.as_sets(self, a, b)
        if found is not None:
            return found
        if a[0] == "rel" and b[0] == "rel" and (len(expand(a)) > 1 or len(expand(b)) > 1):
            return self.statements(a, b)
        if a[0] == "rel" and b[0] == "rel":
            found = relations.relations(self, a, b)
            if found is not None:
                return found
        return self.shapes(a, b)

    def scalar(self, a: Node, b: Node) -> Finding:
        """Compare two expressions."""
        return scalars(a, b, self.policy, self.slow)

    def shapes(self, a: Node, b: Node) -> Finding:
        """Compare two answers by their shape: named or bare, one value, ordered or not."""
        left, right = shape(a), shape(b)
        if (left.names is None) != (right.names is None) and "list" in (a[0], b[0]):
            bare = a if left.names is None else b
            if any(item[0] == "rel" for item in _parts(bare)):
                return self.statements(a, b)
        if left.names and right.names:
            if left.names != right.names and not (
                left.kind == right.kind == "row" and set(left.names) == set(right.names)
            ):
                return self.other_names(left, right)
            if left.kind == right.kind == "row":
                order = [right.names.index(name) for name in left.names]
                return self.row(left.items, tuple(right.items[i] for i in order), "named values")
        elif (left.names or right.names) and self.policy.names == "strict":
            return Finding(None, "names", "the name is missing")
        elif left.kind == "row" or right.kind == "row":
            return self.row_and_bare(left, right)
        if left.names is None and right.names is None and (a[0] == "rel") != (b[0] == "rel"):
            return relations.equation_and_value(self, a, b)
        if (left.names is None) != (right.names is None):
            named, bare = (left, b) if left.names else (right, a)
            if bare[0] == "rel":
                value = relations.equation_and_value(self, a, b)
                if value.equal is not None:
                    return value
            if (
                named.names
                and len(named.names) == 1
                and len(named.items) == 1
                and _lone_letter(named.names[0])
                and _lone_letter_node(named.items[0])
            ):
                return Finding(None, "names", "one letter for another: a choice or a name")
        if left.kind == right.kind == "one":
            return self.single(left.items[0], right.items[0])
        return self.bags(left, right, a, b)

    def statements(self, a: Node, b: Node) -> Finding:
        """Lists of equations, some of which name nothing: one by one, as they stand."""
        first, second = _parts(a), _parts(b)
        if len(first) != len(second):
            return Finding(False, "equations", f"{len(second)} equations, not {len(first)}")
        return matched([[self.element(x, y) for y in second] for x in first], "equations")

    def other_names(self, left: Shape, right: Shape) -> Finding:
        """Values under different names: the same values stay undecided."""
        if len(left.items) != len(right.items):
            return Finding(False, "names", "other names and another number of values")
        values = matched([[self.single(x, y).equal for y in right.items] for x in left.items], "names")
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
        loose = matched([[self.single(x, y).equal for y in items] for x in row.items], "named values")
        if loose.equal is False:
            return ordered
        if loose.equal and row.names and indexed(row.names) and other.kind == "bag":
            return Finding(True, "named values", "the same roots")
        return Finding(None, "named values", "the values in another order, without their names")

    def row(self, a: tuple[Node, ...], b: tuple[Node, ...], rule: str) -> Finding:
        """Compare in order, part by part."""
        if len(a) != len(b):
            return Finding(False, rule, f"{len(b)} values, not {len(a)}")
        self.inside += 1
        parts = [self.answers(x, y) for x, y in zip(a, b, strict=True)]
        self.inside -= 1
        return all_of(parts, rule)

    def bags(self, left: Shape, right: Shape, a: Node, b: Node) -> Finding:
        """Lists and sets in any order; a bare list against a point in its order."""
        for this, other in ((left, right), (right, left)):
            if (
                this.kind == "one"
                and this.items[0][0] == "tuple"
                and other.kind == "bag"
                and not any(x[0] == "tuple" for x in other.items)
            ):
                return self.point_and_list(this.items[0], other, b if this is left else a)
        ordered = self.policy.ordered_lists and left.kind == right.kind == "bag" and a[0] == b[0] == "list"
        if ordered and len(left.items) == len(right.items):
            return self.row(left.items, right.items, "list")
        numbers = plain_numbers(left.items, right.items)
        if numbers is not None:
            return numbers
        if len(left.items) * len(right.items) > 2500:
            return (
                self.row(left.items, right.items, "list")
                if len(left.items) == len(right.items)
                else Finding(False, "list", "another number of values")
            )
        first, second = self.distinct(left.items), self.distinct(right.items)
        if len(first) != len(second):
            return Finding(False, "list", f"{len(second)} values, not {len(first)}")
        found = matched([[self.element(x, y) for y in second] for x in first], "list")
        if found.equal and len(left.items) != len(right.items) and not all(x[0] == "tuple" for x in first):
            return Finding(None, "list", "a value is repeated")
        return found

    def element(self, a: Node, b: Node) -> bool | None:
        """Whether two members of a list are equal."""
        self.inside += 1
        found = self.answers(a, b).equal
        self.inside -= 1
        return found

    def distinct(self, items: tuple[Node, ...]) -> list[Node]:
        """The items without those that the fast path knows to be repeated."""
        kept: list[Node] = []
        for item in items:
            if not any(item == other or self.quick_same(item, other) for other in kept):
                kept.append(item)
        return kept

    def quick_same(self, a: Node, b: Node) -> bool:
        """Whether the fast path calls two items equal."""
        try:
            return Comparison(self.policy, False).answers(a, b).equal is True
        except NeedSlow:
            return False

    def point_and_list(self, point: Node, other: Shape, whole: Node) -> Finding:
        """`(1, 2)` against `1, 2`: in order; against a set undecided."""
        if whole[0] == "set":
            return Finding(None if len(other.items) == len(point[1]) else False, "kinds", "a point and a set")
        if point[2] not in "([<" or (point[2] == "(") != (point[3] == ")") or (point[2] == "[" and len(point[1]) == 2):
            return Finding(None, "kinds", "an interval and a list")
        return (
            self.row(point[1], other.items, "point")
            if len(point[1]) == len(other.items)
            else Finding(False, "point", "another number of values")
        )

    def single(self, a: Node, b: Node) -> Finding:
        """Two single answers of any kind."""
        if a == b:
            return Finding(True, "identical", "the same answer")
        kinds = {a[0], b[0]}
        if a[0] == b[0] and a[0] in ("set", "list"):
            return matched([[self.single(x, y).equal for y in b[1]] for x in a[1]], "set")
        if a[0] in ("set", "list") or b[0] in ("set", "list"):
            return Finding(False, "set", "a set and no set")
        if "pct" in kinds:
            return quantities.percent(self, a, b)
        if "qty" in kinds or ("deg" in kinds and not (a[0] == b[0] == "deg")):
            return quantities.quantity(self, a, b)
        if a[0] == b[0] == "deg":
            return self.scalar(a[1], b[1])
        if "base" in kinds:
            return quantities.based(self, a, b)
        if "congruent" in kinds:
            return quantities.congruence(self, a, b)
        if "ratio" in kinds:
            return quantities.ratio(self, a, b)
        if "tuple" in kinds:
            return self.tuples(a, b)
        if has_matrix(a) or has_matrix(b):
            return self.matrices(a, b)
        if "empty" in kinds or "space" in kinds:
            if a[0] != b[0] or a[0] == "space":
                return Finding(
                    False if a[0] != b[0] and _known(a, b) else None if a[0] != b[0] else a[1] == b[1],
                    "set",
                    "a set and something else",
                )
            return Finding(True, "empty set", "both are empty")
        if a[0] == b[0] == "cases":
            return self.cases(a, b)
        if is_scalar(a) and is_scalar(b):
            return self.scalar(a, b)
        if a[0] == b[0] == "rel":
            return relations.relations(self, a, b) or self.shapes(a, b)
        if a[0] == b[0] and a[0] in ("cup", "cap", "minus"):
            return self.unions(a, b)
        if "builder" in kinds:
            return self.builders(a, b)
        return _UNSURE

    def unions(self, a: Node, b: Node) -> Finding:
        """Unions and intersections that are no sets of reals with fixed ends: operand by operand."""
        parts_a, parts_b = _operands(a), _operands(b)
        if a[0] == "minus":
            return self.row(a[1:3], b[1:3], "set")
        found = matched([[self.answers(x, y).equal for y in parts_b] for x in parts_a], "set")
        return found if found.equal else Finding(None, "set", "sets that could not be compared")

    def builders(self, a: Node, b: Node) -> Finding:
        """Two set builders with conditions that are not solved: by their conditions."""
        if a[0] != "builder" or b[0] != "builder" or a[1][0] != "sym" or b[1][0] != "sym":
            return Finding(None, "set", "a set builder and something else")
        condition = substitute(b[2], b[1][1], a[1]) if b[1] != a[1] else b[2]
        found = self.answers(_as_list(a[2]), _as_list(condition))
        return found if found.equal else Finding(None, "set", "conditions that could not be compared")

    def tuples(self, a: Node, b: Node) -> Finding:
        """Points in order; intervals with their brackets."""
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
        """Entry by entry, after the products and sums of matrices are worked out."""
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

        return matched([[same(x, y) for y in b[1]] for x in a[1]], "cases")


def _family(node: Node) -> Node:
    """`k pi, k in Z`: the letter that runs through the whole numbers is one and the same in both answers."""
    if node[0] != "list" or len(node[1]) < 2 or node[1][-1][0] != "rel" or node[1][-1][2] != ("in",):
        return node
    runner, numbers = node[1][-1][1]
    if runner[0] != "sym" or numbers[0] != "space" or numbers[1][:1] not in "ZN":
        return node
    renamed = tuple(substitute(item, runner[1], ("sym", "#")) for item in node[1])
    return (node[0], renamed, node[2])


def _parts(node: Node) -> list[Node]:
    """The items of a list, or the one answer, with every +- written out."""
    return [value for item in (node[1] if node[0] == "list" else (node,)) for value in expand(item)]


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
