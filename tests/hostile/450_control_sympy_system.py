# id: 450
# name: control_sympy_system
# kind: benign-control
# threat: equations, an integral and a matrix
# expect: ok
# invariants: out={x: 2, y: 1} 2 -2
# wall_s: 20
from sympy import Matrix, exp, integrate, oo, solve, symbols

x, y = symbols("x y")
print(solve([x + y - 3, x - y - 1], [x, y]), integrate(x**2 * exp(-x), (x, 0, oo)), Matrix([[1, 2], [3, 4]]).det())
