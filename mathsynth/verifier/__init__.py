"""Is this answer equal to that reference? Three outcomes, each with its rule and reason; text is never run.

    check("1/2", response="... \\\\boxed{0.5}")     Verdict(outcome="correct", rule="exact rational", ...)
    with Checker(Policy(), workers=2) as checker:   everything, including what needs many digits
        checker.check_now(reference, response=text)

`correct` is said only on a proof, on 60 matching digits at 8 points, or on equal texts. What could not be read or
computed is `undecided`, never `wrong` and never `correct`. The policy, in one place (fields of `Policy`):

| what                 | equal                                           | not equal; u: undecided                   |
|----------------------|-------------------------------------------------|-------------------------------------------|
| numbers              | exact: 0.5 = 1/2, 1,234 = 1234, 1.2e5 = 120000  | 120000 and 119999; 1,234,56 is a list     |
| rounding `digits`    | 0.333333 for 1/3: at least 6 right digits       | 3 to 5 digits u; 2 digits; 0.43 for 17/40 |
| percent `percent`    | 28 % = 28 = 0.28                                | 25 for 1/4; 0.5 % and 0.5 u               |
| units, money `units` | a missing one: 5 cm = 5, $5 = 5                 | 3 km and 3 m                              |
| ... `convert_units`  | 5 cm = 50 mm where the policy says so           | else u                                    |
| degrees `degrees`    | 90° = 90; inside sin a degree counts            | 180° and pi u; 2pi/3 and 120              |
| lists, sets, ±       | in any order (`ordered_lists`); ±2 = {2, -2}    | a part of them; a repeated number u       |
| tuples, matrices     | in order; (1, 2) = 1, 2                         | row and column; (1, 2) and {1, 2} u       |
| intervals            | = inequality, set builder, union                | other brackets                            |
| names `names`        | x = 5 is 5, both ways; a + b = 10 for 10        | a + 3z = 0 and 0; x = 5 and y = 5 u       |
| equations            | one a multiple of the other                     | statements about numbers: by value        |
| letters              | B = (B) = B) 12 as choices; variables keep case | A and B; b and B u                        |
| words                | case, article, full stop are nothing            | opposites; other words u                  |
| base n `bases`       | as written: 204_5                               | 204_6; 54 for 204_5 u                     |
| times, dates         | 3:45 pm = 15:45; 4 July = July 4                | am and pm; a missing am u                 |
| ratios               | up to a factor; 7:32 is 7/32                    | 1:3:2 for 1:2:3                           |
| functions            | equal at 8 points of both signs, where real     | |x| and x; ln x and ln |x| u              |
| other notations      | 2**3 = 2^3 = 2³; 4*I = 4i; log<sub>2</sub>8 = 3 | 3,14 and 3.14, Abs(x) and |x|, IV, x2 u   |
| read from `accept`   | boxed, answer phrase, or given by the caller    | last line, guessed: u even if equal       |
| no answer            |                                                 | a whole response: wrong; a cut one: u     |

The one rule that depends on the order: an equation of variables answers a reference that is its value (a + b = 10
for 10), not the other way round.
Of several boxes the last counts; boxes side by side are one answer. `deadline_s` and `memory_mb` bound one
comparison; over them it is undecided, rule `timeout` or `memory`.
"""

from __future__ import annotations

from mathsynth.records import Verdict
from mathsynth.verifier.expressions import NeedSlow
from mathsynth.verifier.extract import Extracted, extract, how_asked
from mathsynth.verifier.judge import judge
from mathsynth.verifier.policy import GRADING, TRAINING, Policy
from mathsynth.verifier.verdict import CUT, question, verdict
from mathsynth.verifier.words import Finding
from mathsynth.verifier.worker import Checker

VERSION = 3
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


__all__ = ["CUT", "GRADING", "TRAINING", "Checker", "Extracted", "Policy", "check", "equal", "extract", "how_asked"]
