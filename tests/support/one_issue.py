"""A scenario whose truth is known in closed form.

One issue, on which the target concedes all with chance q a week, q uniform over (a, b). Full access is uniform over
(c, d).
"""

from tests.support.examples import issue, scenario

A, B, C, D, WEEKS = 0.01, 0.2, 2.0, 10.0, 8

EXAMPLE = scenario(
    {"access": issue(gap=0.5, target_concession={"uniform": [A, B]})},
    {"full_access": {"uniform": [C, D]}},
    horizon_weeks=WEEKS,
)


def open_after(week: int) -> float:
    """The probability that there is no agreement by a week."""
    return ((1 - A) ** (week + 1) - (1 - B) ** (week + 1)) / ((week + 1) * (B - A))
