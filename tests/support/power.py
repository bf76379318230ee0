"""Frequencies against exact probabilities, with the power of the comparison stated."""

from collections.abc import Hashable, Iterable, Mapping

import numpy as np
from scipy import stats

SIGNIFICANCE = 1e-6
STANDARD_ERRORS = 5.0
POWER = 0.99
SMALLEST_CELL = 20

Cells = dict[Hashable, float]
"""Probabilities of what may come out, by what comes out."""


def tabulate(*columns: np.ndarray) -> Cells:
    """How often each combination of values occurs: counts by tuples of ints, or by ints if there is one column."""
    rows, counts = np.unique(
        np.stack([column.astype(np.int64) for column in columns], axis=1), axis=0, return_counts=True
    )
    keys = rows[:, 0].tolist() if len(columns) == 1 else map(tuple, rows.tolist())
    return dict(zip(keys, counts.tolist(), strict=True))


def assert_distributed(observed: Mapping[Hashable, float], expected: Cells, wrong: Iterable[Cells] = ()) -> None:
    """Counts are those of the expected probabilities; and this would have caught each of the wrong ones.

    Nothing impossible occurs, every cell lies within five standard errors, and the chi-square of all cells is
    no rarer than one in a million. Against a wrong distribution the chi-square's power is at least 99 %.
    """
    trials = sum(observed.values())
    assert abs(sum(expected.values()) - 1) < 1e-9
    impossible = {key: count for key, count in observed.items() if expected.get(key, 0.0) <= 0.0}
    assert not impossible, f"came out, but cannot: {impossible}"
    cells = sorted(expected, key=lambda key: -expected[key])
    cells = [key for key in cells if expected[key] * trials >= SMALLEST_CELL]
    right, counts = _pooled(expected, cells), _pooled(observed, cells)
    off = (counts - trials * right) / np.sqrt(trials * right * (1 - right) + 1e-9)
    worst = int(np.argmax(np.abs(off)))
    assert abs(off[worst]) <= STANDARD_ERRORS, f"{cells[worst]}: {off[worst]:.1f} standard errors off"
    if len(cells) > 1:
        rarity = stats.chi2.sf(np.sum((counts - trials * right) ** 2 / (trials * right)), len(right) - 1)
        assert rarity > SIGNIFICANCE, f"chi-square: p = {rarity:.1e}"
    for number, other in enumerate(wrong):
        reached = power(right, _pooled(other, cells), trials)
        assert reached >= POWER, (
            f"{trials} trials would catch wrong distribution {number} with power {reached:.3f} only"
        )


def power(right: np.ndarray, wrong: np.ndarray, trials: float) -> float:
    """The chance that a chi-square test at `SIGNIFICANCE` refuses the right probabilities if others hold."""
    noncentrality = min(trials * np.sum((wrong - right) ** 2 / right), 1e4)
    freedom = max(len(right) - 1, 1)
    return float(stats.ncx2.sf(stats.chi2.isf(SIGNIFICANCE, freedom), freedom, noncentrality))


def _pooled(cells: Mapping[Hashable, float], kept: list[Hashable]) -> np.ndarray:
    """The kept cells, all others counted with the last of them."""
    own = np.array([cells.get(key, 0.0) for key in kept], np.float64)
    own[-1] += sum(cells.values()) - own.sum()
    return own
