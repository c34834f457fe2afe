# id: 323
# name: decimal_precision
# kind: hostile
# threat: asks for all digits that decimal can hold
# expect: memory|error
# wall_s: 2
from decimal import MAX_EMAX, MAX_PREC, Decimal, getcontext

getcontext().prec, getcontext().Emax = MAX_PREC, MAX_EMAX
print(Decimal(1) / 3)
