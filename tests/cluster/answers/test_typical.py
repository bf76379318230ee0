"""Trials worth reading, against pandas on the same rows."""

import json
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cluster.answers.typical import ABSENCE, EXTREMES
from cluster.query.trials import StoredRun, open_run
from cluster.runs.options import RunOptions
from cluster.runs.run import run
from sim.faults import InvalidInput
from sim.scenario.vocabulary import MEASURES
from tests.support.answers import document_of, result_of
from tests.support.command_line import brink
from tests.support.runs import small_plan

typical = partial(result_of, "typical")


@pytest.fixture(scope="module")
def stored(tmp_path_factory) -> tuple[StoredRun, pd.DataFrame]:
    folder: Path = tmp_path_factory.mktemp("typical") / "run"
    run(small_plan(trials=4000), folder, RunOptions(engine="inline"))
    table = pd.read_parquet(folder / "trials").sort_values("trial")
    return open_run(folder), table[table.strategy == "threaten"].set_index("trial")


def distances(rows: pd.DataFrame) -> pd.Series:
    """How far each row lies from the rows' medians, as the answer's method describes."""
    total = pd.Series(0.0, rows.index)
    for name in MEASURES:
        value = rows[name].astype("float64")
        if 2 * value.count() < len(value):
            total += np.where(value.isna(), 0.0, ABSENCE**2)
            continue
        median, deviation = value.quantile(0.5, interpolation="lower"), value.std(ddof=0)
        square = ((value - median) / deviation) ** 2 if deviation else 0.0 * value
        total += square.fillna(ABSENCE**2)
    return np.sqrt(total)


def test_typical_trials_are_of_their_outcome_and_nearest_to_its_medians(stored):
    found, table = stored
    whole = document_of("typical", found, strategy="threaten")
    answer = whole["result"]
    assert [one["outcome"] for one in answer["typical"]] == [
        outcome for outcome in table.outcome.cat.categories if (table.outcome == outcome).any()
    ]
    assert sum(one["count"] for one in answer["typical"]) == whole["trials"]["used"] == 4000
    for one in answer["typical"]:
        rows = table[table.outcome == one["outcome"]]
        assert one["trial"] in rows.index
        assert (one["count"], one["share"]) == (len(rows), len(rows) / 4000)
        expected = distances(rows)
        assert one["distance"] == pytest.approx(expected.min(), rel=1e-4, abs=1e-9)
        assert expected[one["trial"]] == pytest.approx(expected.min(), rel=1e-4, abs=1e-9)
        assert one["numbers"]["agreement_week"] == (
            rows.agreement_week[one["trial"]] if "agreement" in one["outcome"] else None
        )


def test_extreme_trials_are_extreme(stored):
    found, table = stored
    answer = typical(found, measure="export_gain - sender_cost")
    table = table.assign(own=table.export_gain.astype(float) - table.sender_cost.astype(float))
    wanted = [(one.column, one.greatest) for one in EXTREMES] + [("own", True), ("own", False)]
    assert len(answer["extreme"]) == len(wanted)
    for (column, greatest), one in zip(wanted, answer["extreme"], strict=True):
        values = table[column].dropna().astype(float)
        extreme = values.max() if greatest else values.min()
        assert one["trial"] == values.index[values == extreme][0]
        assert one["value"] == pytest.approx(extreme, rel=1e-12)
        assert one["outcome"] == table.outcome[one["trial"]]


def test_a_condition_restricts_the_trials(stored):
    found, table = stored
    whole = document_of("typical", found, given="threat_week <= 3 and agreement_week > 6")
    answer = whole["result"]
    kept = table[(table.threat_week <= 3) & (table.agreement_week > 6)]
    assert whole["trials"] == {"played": 4000, "used": len(kept)}
    assert all(one["trial"] in kept.index for one in (*answer["typical"], *answer["extreme"]))
    best = next(one for one in answer["extreme"] if one["why"] == "best export gain")
    assert best["trial"] == kept.export_gain.idxmax()


def test_what_all_trials_share_has_no_extremes_and_no_number_is_infinite(stored):
    found, table = stored
    answer = typical(found, strategy="talk", measure="export_gain / sanctions_weeks")
    assert not [one for one in answer["extreme"] if "sanctions" in one["why"] or "costliest" in one["why"]]
    answer = typical(found, measure="export_gain / sanctions_weeks")
    rates = (table.export_gain / table.sanctions_weeks.astype(float))[table.sanctions_weeks > 0]
    largest = next(one for one in answer["extreme"] if one["why"].startswith("largest"))
    assert largest["trial"] == rates.idxmax()


def test_bad_input_is_refused(stored):
    found, _ = stored
    with pytest.raises(InvalidInput, match="strategy: is not a strategy of this run; there are threaten, talk"):
        typical(found, strategy="bluff")
    with pytest.raises(InvalidInput, match=r"measure: .*not a column"):
        typical(found, measure="no_such")
    with pytest.raises(InvalidInput, match="given: leaves none of the trials of threaten"):
        typical(found, given="agreement_week > 900")


def test_the_command_prints_how_to_read_each_trial(stored):
    found, _ = stored
    answer = typical(found)
    shown = brink("typical", found.folder.address)
    assert shown.returncode == 0, shown.stderr
    text = " ".join(shown.stdout.split())
    for one in (*answer["typical"], *answer["extreme"]):
        assert f" {one['trial']} " in text
        assert one["why"] in text
    assert f"brink replay {found.folder.address} --trial TRIAL" in shown.stdout
    assert json.loads(brink("typical", found.folder.address, "--json").stdout)["result"] == answer
    refused = brink("typical", found.folder.address, "--given", "agreement_week >")
    assert (refused.returncode, refused.stdout) == (2, "")
