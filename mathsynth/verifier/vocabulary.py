"""The names that the grammar knows: functions, Greek letters, marks over letters."""

from __future__ import annotations

from mathsynth.verifier.tree import INF, PI, Node

FUNCTIONS = {
    "sin", "cos", "tan", "cot", "sec", "csc", "arcsin", "arccos", "arctan", "arccot", "arcsec", "arccsc", "sinh",
    "cosh", "tanh", "coth", "arsinh", "arcosh", "artanh", "ln", "log", "lg", "exp", "det", "gcd", "lcm", "max", "min",
    "arg", "Re", "Im", "sgn", "sign", "floor", "ceil", "abs", "sqrt", "cbrt", "asin", "acos", "atan", "deg", "tr",
    "binom", "conj", "operatorname",
}  # fmt: skip
RENAMED = {"asin": "arcsin", "acos": "arccos", "atan": "arctan", "sign": "sgn", "gamma": "gamma", "asinh": "arsinh",
            "acosh": "arcosh", "atanh": "artanh", "arcsinh": "arsinh", "arccosh": "arcosh", "arctanh": "artanh"}  # fmt: skip
GREEK = {
    "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu", "nu", "xi",
    "rho", "sigma", "tau", "upsilon", "phi", "chi", "psi", "omega", "Gamma", "Delta", "Theta", "Lambda", "Xi", "Pi",
    "Sigma", "Phi", "Psi", "Omega", "ell", "hbar", "imath", "aleph", "nabla", "partial", "star", "circ",
}  # fmt: skip
PLAIN: dict[str, Node] = {"pi": PI, "inf": INF, "infinity": INF, "oo": INF, "infty": INF, "Infinity": INF}
DECOR = {"vec", "overrightarrow", "hat", "widehat", "bar", "overline", "tilde", "widetilde", "angle", "triangle",
          "mathring", "overset", "measuredangle", "odot", "boxed", "underline", "dot", "ddot"}  # fmt: skip
CALLED = frozenset("fghFGH")
_CLOSERS = {"(": ")]", "[": ")]"}
STARTS = {"(", "[", "{", "|", "{{", "frac", "sqrt", "usqrt", "ucbrt", "binom", "lfloor", "lceil", "infty", "pi",
           "langle", "||", "sum", "prod", "int", "lim", "over"}  # fmt: skip


def known_word(word: str) -> bool:
    """Whether a run of letters is the name of a function, constant or Greek letter."""
    return word in FUNCTIONS or word in PLAIN or word in RENAMED or word in GREEK
