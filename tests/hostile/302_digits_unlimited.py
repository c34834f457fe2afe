# id: 302
# name: digits_unlimited
# kind: hostile
# threat: lifts the digit limit and turns a huge integer to text: minutes inside one C call
# expect: timeout|memory
# wall_s: 2
import sys

sys.set_int_max_str_digits(0)
print(len(str(7**9_000_000)))
