# id: 455
# name: control_standard_library
# kind: benign-control
# threat: what such programs import most
# expect: ok
# invariants: out=2024-02-29 1.5 {"a": [1]} 6 abba 5040 3.14
# wall_s: 2
import bisect
import calendar
import collections
import csv
import datetime
import heapq
import io
import itertools
import json
import math
import re
import statistics
import string
import textwrap

assert list(csv.reader(io.StringIO("1,2"))) == [["1", "2"]] and textwrap.dedent(" a") == "a" and string.digits
assert heapq.nsmallest(1, [2, 1]) == [1] and bisect.bisect([1, 2], 1) == 1 and collections.Counter("aab")["a"] == 2
print(
    datetime.date(2024, 1, 1) + datetime.timedelta(calendar.isleap(2024) * 59),
    statistics.mean([1, 2]),
    json.dumps({"a": [1]}),
    len(list(itertools.permutations("abc"))),
    re.sub("x", "b", "axxa"),
    math.factorial(7),
    f"{math.pi:.2f}",
)
