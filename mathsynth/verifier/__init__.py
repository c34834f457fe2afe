"""Is this answer equal to that reference? Three outcomes, each with its rule and reason; text is never run.

    check("1/2", response="... \\\\boxed{0.5}")     Verdict(outcome="correct", rule="exact rational", ...)
    with Checker(Policy(), workers=2) as checker:   everything, including what needs many digits
        checker.check_now(reference, response=text)

`correct` is said only on a proof, on 60 matching digits at 8 points, or on equal texts. What could not be read or
computed is `undecided`, never `wrong` and never `correct`. The policy, in one place (fields of `Policy`):

| what                       | equal                                             | not equal, or undecided (u)                    | field |
|----------------------------|---------------------------------------------------|------------------------------------------------|-------|
| numbers                    | exact: 0.5 = 1/2, 1,234 = 1234, 1.2e5 = 120000    | 1,234,56 is a list; 120000 and 119999          |       |
| rounding                   | 0.333333 for 1/3, 3.14159 for pi: >= 6 right digits | <= 2 digits wrong, 3 to 5 u; 0.43 for 17/40 wrong | `digits` |
| percent                    | 28 % = 28 = 0.28                                  | 25 for 1/4 wrong; 0.5 % and 0.5 u              | `percent` |
| units, money               | missing: 5 cm = 5, $5 = 5                         | 3 km and 3 m wrong; 5 cm and 50 mm u           | `units`, `convert_units` |
| degrees                    | 90° = 90; inside sin, cos, tan a degree counts    | 180° and pi u; 2pi/3 and 120 wrong             | `degrees` |
| lists, sets, ± pairs       | in any order; ±2 = {2, -2} = 2, -2                | a part is wrong; a repeated number u           | `ordered_lists` |
| tuples, points, matrices   | in order; (1, 2) = 1, 2                           | a row for a column wrong; (1, 2) and {1, 2} u  |       |
| intervals                  | = inequality, set builder, union                  | other brackets wrong                           |       |
| names                      | x = 5 is 5, both ways; a + b = 10 for 10          | x = 5 and y = 5 u; a + 3z = 0 and 0 wrong      | `names` |
| equations                  | one a multiple of the other                       | two true statements about numbers by value     |       |
| letters                    | a, B and (b) are choices; B) 12 is B              | A and B wrong; variables keep their case       |       |
| words                      | case, article and full stop are nothing; yes = true | opposites wrong, other words u               |       |
| base n, time, date         | as written: 204_5, 3:30 pm, 2024-03-01            | 204_6 wrong; 54 for 204_5 u                    | `bases` |
| ratio                      | up to a factor; 7:32 is 7/32                      | 1:3:2 for 1:2:3 wrong                          |       |
| functions                  | equal at 8 points of both signs, where real       | |x| and x wrong; ln x and ln |x| u             |       |
| answer read from           | boxed, answer phrase (`given` by the caller)      | last line, guessed: u, even if equal           | `accept` |
| no answer                  |                                                   | whole response: wrong; cut response: u         |       |

Of several boxes the last counts; boxes side by side are one answer. `deadline_s` and `memory_mb` bound one
comparison; over them it is undecided, rule `timeout` or `memory`.
"""

from __future__ import annotations

from mathsynth.records import Verdict
from mathsynth.verifier.expressions import NeedSlow
from mathsynth.verifier.extract import Extracted, extract
from mathsynth.verifier.judge import judge
from mathsynth.verifier.policy import GRADING, TRAINING, Policy
from mathsynth.verifier.verdict import question, verdict
from mathsynth.verifier.words import Finding
from mathsynth.verifier.worker import Checker

VERSION = 1
"""Raised when verdicts change for the same texts and policy; part of the hash of every stage that grades."""

_DEFAULT = Policy()


def equal(a: str, b: str, policy: Policy = _DEFAULT) -> Verdict:
    """Compare two bare answers here and now; what needs a worker process is undecided, rule `slow`."""
    return check(a, answer=b, policy=policy)


def check(
    reference: str,
    *,
    response: str | None = None,
    answer: str | None = None,
    policy: Policy = _DEFAULT,
    finish_reason: str | None = None,
) -> Verdict:
    """The verdict of the fast path, in this process; what needs a worker (`Checker`) is undecided, rule `slow`."""
    asked = question(reference, response=response, answer=answer, finish_reason=finish_reason)
    if isinstance(asked, Verdict):
        return asked
    try:
        found = judge(asked.reference, asked.answer, policy, slow=False)
    except (NeedSlow, RecursionError):
        found = Finding(None, "slow", "not decided by the fast path")
    return verdict(asked, found, policy)


__all__ = ["GRADING", "TRAINING", "Checker", "Extracted", "Policy", "check", "equal", "extract"]
