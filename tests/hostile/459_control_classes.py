# id: 459
# name: control_classes
# kind: benign-control
# threat: dataclasses, enums, generators, matching, type hints that look at themselves
# expect: ok
# invariants: out=North 3 [1, 2]
# wall_s: 2
import enum
import typing
from dataclasses import dataclass


class Way(enum.Enum):
    North = 1


@dataclass(frozen=True)
class Point:
    x: int
    y: int = 2


match Point(1):
    case Point(x=x, y=y):
        assert list(typing.get_type_hints(Point)) == ["x", "y"]
        print(Way(1).name, x + y, list(i for i in (x, y)))
