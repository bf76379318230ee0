"""Numbers by their rank, as answers about parameters have them."""

from collections.abc import Mapping

import numpy as np

from sim.statistics.ranked import Ranked, rank


def ranked(columns: Mapping[str, np.ndarray]) -> dict[str, Ranked]:
    """Parameters by their rank."""
    return {name: rank(column) for name, column in columns.items()}


def ranked_together(*parts: np.ndarray) -> list[Ranked]:
    """Several sets of numbers with codes of the same values."""
    whole = rank(np.concatenate(parts))
    return [Ranked(code, whole.values) for code in np.split(whole.code, np.cumsum([part.size for part in parts])[:-1])]
