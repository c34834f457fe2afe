"""The step check: which calculations stated in a response are false.

`equations` finds and judges them, `false_steps` keeps the false ones. A step that can't be judged is never reported.
"""

from __future__ import annotations

from mathsynth.verifier.equations import Equation, equation_list, equations, operations

__all__ = ["Equation", "equation_list", "equations", "false_steps", "operations"]


def false_steps(text: str) -> tuple[Equation, ...]:
    """The calculations of a response that do not hold, in reading order."""
    return tuple(equation for equation in equations(text) if equation.verdict == "false")
