# id: 456
# name: control_caught_errors
# kind: benign-control
# threat: errors that are caught, a warning, and words on stderr
# expect: ok
# invariants: out=42
# wall_s: 2
import sys
import warnings

warnings.warn("a warning", stacklevel=1)
for bad in ("1/0", "int('x')", "[][1]", "open('/nowhere')", "'' + 1"):
    try:
        eval(bad)
    except (ArithmeticError, ValueError, LookupError, OSError, TypeError) as error:
        print(type(error), file=sys.stderr)
print(42)
