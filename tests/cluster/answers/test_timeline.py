"""The dispute over time: states read from columns against the same trials played to shorter horizons."""

import itertools
from functools import partial

import duckdb
import numpy as np
import pytest

from api.chart_files import write_chart
from api.charts import timeline_chart
from api.cli.commands.timeline import sparkline
from cluster.query.trials import open_run
from cluster.runs.options import RunOptions
from cluster.runs.run import run
from sim.faults import InvalidInput
from sim.model.kernel import simulate
from sim.sampling.chance import Chance
from sim.scenario.columns import NULL
from sim.scenario.scenario import scenario_from_document
from sim.scenario.vocabulary import OUTCOMES
from sim.statistics.estimates import proportion, proportion_of_replicates
from sim.statistics.timeline import (
    CONDITIONS,
    COUNTS,
    DURATIONS,
    EXCLUSIVE_STATES,
    STATES,
    WEEKS,
    count_states,
    state_spans,
)
from tests.support.answers import document_of, result_of, served_run
from tests.support.examples import changed, deeper, litigious, reluctant
from tests.support.runs import small_plan

timeline = partial(result_of, "timeline")
TRIALS = 8_000
DEEPER_LITIGIOUS = partial(deeper, litigious)


def as_states_need(table: dict[str, np.ndarray], durations: dict[str, float]) -> dict[str, np.ndarray]:
    """A table of trials as `state_spans` takes it."""
    outcome, count = table["outcome"], len(table["outcome"])
    true = {name: outcome == OUTCOMES.index(name) for name in CONDITIONS[:-2]}
    return {
        **{name: np.where(table[name] == NULL, np.nan, table[name]).astype(float) for name in WEEKS},
        **{name: table[name].astype(float) for name in COUNTS},
        **{name: held.astype(float) for name, held in true.items()},
        "ruling_for_target": (table["ruling"] == 0).astype(float),
        "partial_deal": (table["partial_deal"] == 1).astype(float),
        **{name: table[name] if name in table else np.full(count, durations[name]) for name in DURATIONS},
    }


def states_of(table: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The state in which trials that were played to a horizon stand at its end."""
    outcome = table["outcome"]
    threatened, imposed = table["threat_week"] != NULL, table["sanctions_week"] != NULL
    stalemate, retreat = outcome == OUTCOMES.index("stalemate"), outcome == OUTCOMES.index("retreat")
    return {
        **{name: outcome == OUTCOMES.index(name) for name in EXCLUSIVE_STATES[:4]},
        "agreement": table["agreement_week"] != NULL,
        "threat": threatened,
        "sanctions": imposed,
        "complaint": table["filing_week"] != NULL,
        "ruling_for_target": table["ruling"] == 0,
        "ruling_for_sender": table["ruling"] == 1,
        "partial_deal": table["partial_deal"] == 1,
        "breached": table["breach_week"] != NULL,
        "quiet": stalemate & ~threatened,
        "threat_standing": stalemate & threatened,
        "sanctions_standing": outcome == OUTCOMES.index("sanctions_standing"),
        "backed_down": retreat & ~imposed,
        "withdrawn": retreat & imposed,
    }


@pytest.mark.parametrize(
    "example",
    [
        litigious,
        pytest.param(reluctant, marks=pytest.mark.slow),
        pytest.param(DEEPER_LITIGIOUS, marks=pytest.mark.slow),
        partial(deeper, reluctant),
    ],
)
def test_states_are_those_of_the_same_trials_played_to_each_week(example):
    """Chance is addressed, so a trial's weeks up to one are the same whatever the horizon: every trial, every week."""
    given = changed(example(), horizon_weeks=30)
    scenario = scenario_from_document(given)
    whole = simulate(scenario, "base", Chance(4, 0, TRIALS))
    durations = {name: given["parameters"][name] for name in DURATIONS if name not in whole}
    spans = state_spans(as_states_need(whole, durations), 30)
    assert list(spans) == [state.name for state in STATES]
    before = {"sanctions_weeks": np.zeros(TRIALS, int), "retaliation_weeks": np.zeros(TRIALS, int)}
    seen = set()
    for week in range(1, 31):
        cut = scenario_from_document(changed(given, horizon_weeks=week))
        table = simulate(cut, "base", Chance(4, 0, TRIALS))
        expected = states_of(table)
        for name, column in (("sanctions_in_force", "sanctions_weeks"), ("retaliation_in_force", "retaliation_weeks")):
            expected[name] = table[column] - before[column] == 1
            before[column] = table[column].astype(int)
        # A lapse is recorded if it lasts to the end: in earlier weeks that are, it is one in which talks are lapsed.
        lapsed = table["lapse_week"] != NULL
        expected["lapsed"] = lapsed & (whole["lapse_week"] == table["lapse_week"])
        for name, (start, stop) in spans.items():
            found = (start <= week) & (week < stop)
            np.testing.assert_array_equal(found, expected[name], err_msg=f"{name} in week {week}")
            seen |= {name} if found.any() else set()
    rare = {"ruling_for_target", "ruling_for_sender", "partial_deal", "breached", "lapsed"}
    assert seen >= set(spans) - (set() if example is DEEPER_LITIGIOUS else rare)


def test_each_trial_is_in_one_state_of_the_partition_and_the_weeks_add_up():
    table = simulate(scenario_from_document(litigious()), "base", Chance(9, 0, TRIALS))
    counted = count_states(state_spans(as_states_need(table, {}), 18), np.arange(TRIALS) % 16, 16, 18)
    np.testing.assert_array_equal(sum(counted[name] for name in EXCLUSIVE_STATES), TRIALS // 16)
    assert counted["sanctions_in_force"].sum() == table["sanctions_weeks"].sum()
    assert counted["retaliation_in_force"].sum() == table["retaliation_weeks"].sum()


@pytest.fixture(scope="module", params=["random", "sobol"])
def stored(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("timeline") / "run"
    run(small_plan(trials=6400, design=request.param), folder, RunOptions(engine="inline"))
    return open_run(folder)


def test_the_answer_is_that_of_the_rows(stored):
    """Against SQL on the stored rows; intervals as the summary has them."""
    found = timeline(stored, given="threat_week <= 5 or threat_week is null")
    replicates = 16 if stored.plan.design.name == "sobol" else 1
    assert found["weeks"] == list(range(1, 19))
    for strategy, week in itertools.product(("threaten", "talk"), (1, 7, 18)):
        for state, condition in (
            ("agreement", f"agreement_week <= {week}"),
            ("sanctions_in_force", f"sanctions_week < {week} AND {week} <= sanctions_week + sanctions_weeks"),
            ("ruling_for_sender", f"ruling_week <= {week} AND ruling = 'for_sender'"),
        ):
            rows = duckdb.sql(
                f"SELECT trial % {replicates} AS r, count(*) FILTER ({condition}), count(*) "
                f"FROM read_parquet('{stored.folder.address}/trials/strategy={strategy}/*.parquet') "
                "WHERE threat_week <= 5 OR threat_week IS NULL GROUP BY r ORDER BY r"
            ).fetchall()
            _, hits, trials = zip(*rows, strict=True)
            expected = proportion(hits[0], trials[0]) if replicates == 1 else proportion_of_replicates(hits, trials)
            course = found["strategies"][strategy]["states"][state]
            assert {key: course[key][week - 1] for key in ("estimate", "low", "high")} == pytest.approx(
                {key: expected[key] for key in ("estimate", "low", "high")}
            )
            assert course["band_low"][week - 1] <= course["low"][week - 1]
            assert course["band_high"][week - 1] >= course["high"][week - 1]
        assert found["strategies"][strategy]["trials"] == sum(trials)
    assert set(found["strategies"]["talk"]["states"]["threat_standing"]["estimate"]) == {0.0}
    assert found["states"]["agreement"] == {"when": "by then", "meaning": "an agreement was reached"}


def test_strategies_can_be_chosen_and_bad_ones_are_refused(stored):
    assert list(timeline(stored, strategies=["talk"])["strategies"]) == ["talk"]
    for options, says in (
        ({"strategies": ["surrender"]}, "threaten, talk .found 'surrender'"),
        ({"given": "threat_weeks < 5"}, "threat_week"),
        ({"given": "trial < 50"}, "leaves 50 trials of threaten, too few"),
    ):
        with pytest.raises(InvalidInput, match=says):
            timeline(stored, **options)


def test_the_service_gives_the_same_answer(stored, tmp_path):
    client, job = served_run(stored, tmp_path)
    with client:
        request = {"strategies": ["talk"], "given": "agreement"}
        assert client.post(f"{job}/timeline", json=request).json() == document_of("timeline", stored, **request)
        refused = client.post(f"{job}/timeline", json={"strategies": ["surrender"]})
        assert refused.status_code == 422
        assert "threaten, talk" in refused.text


def test_charts_are_pictures_of_every_strategy(stored, tmp_path):
    chart = timeline_chart(document_of("timeline", stored))
    write_chart(chart, tmp_path / "over-time.svg", title="t")
    drawn = (tmp_path / "over-time.svg").read_text()
    for text in ("<svg", "threaten", "talk", "threat standing"):
        assert text in drawn
    write_chart(chart, tmp_path / "over-time.PNG", title="t")
    assert (tmp_path / "over-time.PNG").read_bytes().startswith(b"\x89PNG")
    for name, says in (("over-time.jpeg", "end in .svg, .png or .html"), ("none/over-time.svg", "folder that exists")):
        with pytest.raises(InvalidInput, match=says):
            write_chart(chart, tmp_path / name, title="t")


def test_a_sparkline_follows_its_shares():
    assert sparkline([0.0, 0.01, 0.5, 1.0]) == " ▁▅█"
    assert len(sparkline([0.5] * 104)) == 40


def test_some_states_alone_have_the_numbers_of_all(stored):
    whole, some = timeline(stored), timeline(stored, states=["withdrawn", "agreement"])
    names = ["agreement", "withdrawn"]
    assert list(some["states"]) == names
    for strategy, one in some["strategies"].items():
        assert one["states"] == {name: whole["strategies"][strategy]["states"][name] for name in names}
    with pytest.raises(InvalidInput, match="states: is not a state; there are agreement, "):
        timeline(stored, states=["agreements"])
    lapsed = timeline_chart(document_of("timeline", stored, states=["lapsed"])).to_dict()
    assert {row["state"] for row in lapsed["data"]["values"]} == {"talks lapsed"}
