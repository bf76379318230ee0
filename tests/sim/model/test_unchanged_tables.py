"""Without the mechanisms of the deeper model every row is what it was before they came.

``unchanged/`` holds three scenarios (two of them as they were shipped then), and of each table of 4,000 trials a digest
of every column of whole numbers and categories, and the sum of every other column. Sums have a tolerance, because the
last bits of a floating point function differ between processors.
"""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from sim.model.kernel import simulate
from sim.sampling.chance import Chance
from sim.sampling.designs import find_design
from sim.scenario.columns import NULL
from sim.scenario.scenario import scenario_from_document
from tests.support.examples import changed

FILES = sorted((Path(__file__).parent / "unchanged").glob("*.json"))
CHANCE = Chance(5, 1000, 4000)
NEW_COLUMNS = ("lapse_week", "breach_week", "partial_deal")
NEUTRAL = {
    "sender_readiness": 1,
    "target_readiness": 1.0,
    "lapse_probability": 0,
    "patience": 0,
    "restraint": 0,
    "partial_deal_probability": 0,
    "sanctions_at_start": 0,
    "tranches": 1,
    "residual_sanctions": 0,
    "void_probability": 0,
    "breach_probability": 0,
}
INERT = {"tranche_weeks": 3, "breach_retention": 0.4}
"""Parameters of mechanisms that are off."""


def assert_unchanged(scenario: dict, tables: dict) -> None:
    for key, columns in tables.items():
        strategy, design = key.split(", ")
        table = simulate(scenario_from_document(scenario), strategy, CHANCE, find_design(design, 5000))
        assert set(table) - set(columns) == set(NEW_COLUMNS)
        for name, known in columns.items():
            values = table[name]
            if isinstance(known, str):
                assert hashlib.sha256(values.astype("<i8").tobytes()).hexdigest()[:16] == known, (key, name)
            else:
                assert np.isnan(values).sum() == known["nulls"], (key, name)
                assert np.nansum(values.astype(float)) == pytest.approx(known["sum"], rel=1e-9, abs=1e-6), (key, name)
        for name in ("lapse_week", "breach_week"):
            assert np.all(table[name] == NULL)
        assert np.array_equal(table["partial_deal"], np.where(table["agreement_week"] == NULL, NULL, 0))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_tables_are_what_they_were(path):
    held = json.loads(path.read_text(encoding="utf-8"))
    assert_unchanged(held["scenario"], held["tables"])


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_mechanisms_that_are_off_change_nothing(path):
    held = json.loads(path.read_text(encoding="utf-8"))
    assert_unchanged(changed(held["scenario"], NEUTRAL | INERT), held["tables"])


def test_each_case_has_a_stored_digest():
    assert len(FILES) == 3
