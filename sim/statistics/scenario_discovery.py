"""Scenario discovery: boxes of parameters in which an outcome is likely, as the leaves of a classification tree.

A tree of few splits (CART; Breiman et al. 1984) is grown on some trials, and each leaf is a box: a range for each of
a few parameters. What a box is worth must be measured on other trials (Bryant & Lempert 2010).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf

import numpy as np

DEPTH = 4
"""Splits on the way to a leaf, at most: what a person can keep in mind."""
LEAST_SHARE = 0.02
LEAST_TRIALS = 100
_SEED = 20_250_101


@dataclass(frozen=True)
class Box:
    """A range (low, high] for each restricted parameter; infinite where it is open."""

    ranges: Mapping[str, tuple[float, float]]

    def holds(self, columns: Mapping[str, np.ndarray], without: str | None = None) -> np.ndarray:
        """Which trials lie in the box, one of its restrictions left away if `without` names it."""
        found = np.ones(len(next(iter(columns.values()))), bool)
        for name, (low, high) in self.ranges.items():
            if name != without:
                found &= (columns[name] > low) & (columns[name] <= high)
        return found


def find_boxes(columns: Mapping[str, np.ndarray], happened: np.ndarray) -> list[Box]:
    """The boxes in which an outcome is likelier than over all, the likeliest first; disjoint.

    Grown on the given trials: each split parts the trials where that separates the outcome best (Gini), at most
    `DEPTH` deep, as long as each side keeps `LEAST_SHARE` of the trials and at least `LEAST_TRIALS`.
    """
    # scikit-learn takes a second or two to load, which no other command needs to wait for.
    from sklearn.tree import DecisionTreeClassifier

    names = list(columns)
    table = np.column_stack([columns[name] for name in names])
    least = max(LEAST_TRIALS, int(LEAST_SHARE * happened.size))
    if happened.size < 2 * least:
        return []
    grown = DecisionTreeClassifier(max_depth=DEPTH, min_samples_leaf=least, random_state=_SEED)
    tree = grown.fit(table, happened).tree_
    base = float(happened.mean())
    found: list[tuple[float, Box]] = []

    def descend(node: int, ranges: dict[str, tuple[float, float]]) -> None:
        left, right = int(tree.children_left[node]), int(tree.children_right[node])
        if left < 0:
            inside = tree.value[node][0]
            density = float(inside[-1] / inside.sum())
            if ranges and density > base:
                found.append((density, Box(ranges)))
            return
        name, cut = names[tree.feature[node]], float(tree.threshold[node])
        low, high = ranges.get(name, (-inf, inf))
        descend(left, {**ranges, name: (low, min(high, cut))})
        descend(right, {**ranges, name: (max(low, cut), high)})

    descend(0, {})
    return [box for _, box in sorted(found, key=lambda one: -one[0])]
