"""Values that are allowed but are probably mistakes, and what strategies assume."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.shipped_scenarios import shipped_names, shipped_scenario
from sim.model.kernel import simulate
from sim.sampling.chance import Chance
from sim.scenario.columns import NULL
from sim.scenario.inert_values import SWITCHES
from sim.scenario.parameters import BOTH, COURT, ISSUE_PARAMETERS, NATURE, PARAMETERS, SENDER, TARGET
from sim.scenario.scenario import Scenario, read_scenario, scenario_document, scenario_from_document
from sim.scenario.warnings import ALL_BUT_CERTAIN, LONG_BEFORE, assumption_notes, assumptions, scenario_warnings
from tests.support.examples import changed, document, every_mechanism, issue, scenario

THREAT = {"threat_probability": 0.1, "sanctioned_trade": 5, "tariff_rate": 1}


def fields_of(found: Scenario) -> list[str]:
    return [warning.field for warning in found.warnings]


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"parameters": {"tariff_rate": 25}}, "parameters.tariff_rate"),
        ({"parameters": {"tariff_rate": {"uniform": [10, 50]}}}, "parameters.tariff_rate"),
        ({"parameters": {"tariff_rate": {"lognormal": {"p05": 1, "p95": 30}}}}, "parameters.tariff_rate"),
        (
            {"parameters": {"retaliation_tariff": {"discrete": {"values": [0.1, 10], "weights": [9, 1]}}}},
            "parameters.retaliation_tariff",
        ),
        ({"strategies": {"high": {"tariff_rate": 100}}}, "strategies.high.tariff_rate"),
        ({"parameters": {"threat_earliest_week": 2000}}, "parameters.threat_earliest_week"),
        ({"strategies": {"late": {"threat_earliest_week": 2000}}}, "strategies.late.threat_earliest_week"),
        ({"discount_rate": 5}, "discount_rate"),
        ({"strategies": {"win": {"target_win": 0}}}, "strategies.win.target_win"),
        ({"strategies": {"calm": {"defiance_probability": 0}}}, "strategies.calm.defiance_probability"),
        ({"strategies": {"near": {"import_elasticity": 3}}}, "strategies.near.import_elasticity"),
        ({"issues": {"a": issue(0.5, 0.4, 0.4)}}, "issues"),
        ({"issues": {"a": issue(0.5, {"uniform": [0.5, 0.9]}, 0.1)}}, "issues"),
        ({"strategies": {"base": {}, "yield": {"issues.access.sender_concession": 0.5}}}, "issues"),
        ({"issues": {"a": issue(0.5, {"uniform": [0, 0.9]}, {"uniform": [0, 0.9]})}}, "issues"),
        ({"issues": {"a": issue(weight=1), "b": issue(weight=3)}}, "issues"),
        ({"parameters": {"threat_probability": 0.1, "tariff_rate": 1}}, "parameters.sanctioned_trade"),
        ({"parameters": {"threat_probability": 0.1, "sanctioned_trade": 1}}, "parameters.tariff_rate"),
        ({"parameters": {"sanctions_at_start": 1, "sanctioned_trade": 1}}, "parameters.tariff_rate"),
        (
            {"parameters": THREAT, "strategies": {"threaten": {}, "spare": {"sanctioned_trade": 0}}},
            "strategies.spare.sanctioned_trade",
        ),
        ({"parameters": THREAT | {"threat_earliest_week": 50}}, "parameters.deadline_weeks"),
        ({"parameters": {"tranche_weeks": 5}}, "parameters.tranche_weeks"),
        ({"parameters": {"extension_weeks": {"uniform": [1, 8]}}}, "parameters.extension_weeks"),
        ({"parameters": {"defiance_multiplier": 0.3}}, "parameters.defiance_multiplier"),
        ({"parameters": {"deadline_multiplier": 3}}, "parameters.deadline_multiplier"),
        ({"parameters": {"breach_retention": 0.5}}, "parameters.breach_retention"),
        ({"parameters": {"voluntary_value": 0.5}}, "parameters.voluntary_value"),
        ({"parameters": {"reversal_probability": 0.2}}, "parameters.reversal_probability"),
        ({"parameters": {"panel_weeks": 30}}, "parameters.panel_weeks"),
        ({"parameters": {"retaliation_share": 0.5}}, "parameters.retaliation_share"),
        ({"parameters": {"full_access": {"uniform": [6000, 40_000]}}}, "parameters.full_access"),
        ({"strategies": {"wide": {"sanctioned_trade": 8000}}}, "strategies.wide.sanctioned_trade"),
        ({"strategies": {"one": {}, "two": {"tariff_rate": 0}}}, "strategies.two"),
        ({"deficit": 39.4e9}, "deficit"),
        ({"parameters": {"quota_aversion": 0.3}}, "parameters.quota_aversion"),
        ({"parameters": {"reframe_probability": 0.1}}, "parameters.reframe_probability"),
        ({"parameters": {"follow_through": 0.5}}, "parameters.follow_through"),
        ({"parameters": THREAT | {"follow_through": 0, "sanction_fatigue": 0.1}}, "parameters.sanction_fatigue"),
        ({"parameters": THREAT | {"target_stake": 7}}, "parameters.target_stake"),
    ],
)
def test_probable_mistakes_are_warnings_and_not_faults(fields, where):
    assert fields_of(scenario_from_document(document(**fields))) == [where]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"parameters": {"tariff_rate": 3.0, "retaliation_tariff": {"uniform": [0, 2.5]}}, "discount_rate": 0.12},
        {"strategies": {"list": {"tariff_rate": 1, "follow_through": 1, "issues.access.sender_concession": 0.1}}},
        {"strategies": {"believed": {"credibility": 1}}},
        {"issues": {"a": issue(0.5, 0.05, 0.05)}},
        {"parameters": THREAT},
        {"parameters": THREAT | {"follow_through": 0.5, "tranches": {"uniform": [1, 3]}, "tranche_weeks": 5}},
        {
            "parameters": THREAT
            | {"follow_through": 0.5, "file_on_sanctions": 0.1, "panel_weeks": 30, "target_win": 0.7}
        },
    ],
)
def test_plausible_values_give_no_warning(fields):
    assert fields_of(scenario_from_document(document(**fields))) == []


def test_warnings_have_the_line_and_the_file():
    text = "schema: 1\nname: a\nissues:\n  x: {weight: 2, gap: 1, sender_concession: 0, target_concession: 0}\n"
    found = read_scenario(text + "parameters:\n  tariff_rate: 25\n", "a.yaml")
    assert [(warning.line, warning.source) for warning in found.warnings] == [(3, "a.yaml"), (6, "a.yaml")]
    assert str(found.warnings[1]).startswith("a.yaml:6:parameters.tariff_rate: reaches 25, which is 2,500 %")


def test_warnings_are_no_part_of_a_scenario_and_come_back_with_its_document():
    found = scenario(parameters={"tariff_rate": 25})
    again = scenario_from_document(scenario_document(found))
    assert again == found
    assert again.warnings == found.warnings == scenario_warnings(found)


def test_shipped_scenarios_have_no_warnings():
    assert {name: fields_of(shipped_scenario(name)) for name in shipped_names()} == {
        name: [] for name in shipped_names()
    }


@settings(max_examples=25)
@given(st.floats(0.05, 0.9), st.floats(0.05, 0.9), st.floats(0.2, 0.66), st.integers(1, 3))
def test_an_agreement_with_a_warning_that_it_is_certain_is_nearly_certain(sender, target, step, issues):
    """In 2000 trials a chance of 0.999 fails 8 times or more with probability 0.001."""
    names = {f"i{k}": issue(0.5, sender, target, weight=1) for k in range(issues)}
    found = scenario(names, {"sender_step": step, "target_step": {"uniform": [step, 1.5 * step]}})
    if not any("all but certain" in warning.message for warning in found.warnings):
        return
    table = simulate(found, "base", Chance(5, 0, 2000))
    weeks = int(LONG_BEFORE * found.horizon_weeks)
    late = (table["agreement_week"] == NULL) | (table["agreement_week"] > weeks)
    assert late.sum() <= 2000 * (1 - ALL_BUT_CERTAIN) + 6


def test_every_parameter_has_one_who_decides_it():
    deciders = {known.name: known.decided_by for known in (*ISSUE_PARAMETERS, *PARAMETERS)}
    assert set(deciders.values()) == {SENDER, TARGET, BOTH, COURT, NATURE}
    assert deciders["target_win"] == COURT
    assert deciders["follow_through"] == deciders["tariff_rate"] == SENDER
    assert deciders["retaliation_share"] == TARGET


def test_assumptions_are_what_is_not_the_senders_alone():
    strategies = {"own": {"tariff_rate": 1}, "mixed": {"tariff_rate": 1, "credibility": 1, "target_win": 0}}
    found = scenario_from_document(every_mechanism() | {"strategies": strategies})
    assert assumptions(found) == {"mixed": {"credibility": BOTH, "target_win": COURT}}
    assert assumptions(found, ["own"]) == {}
    (note,) = assumption_notes(found)
    assert note.startswith("mixed sets credibility (decided by both sides), target_win (decided by the court)")


@pytest.mark.parametrize(("switches", "off", "names"), SWITCHES, ids=[row[0][0] for row in SWITCHES])
def test_what_has_a_warning_that_it_has_no_effect_has_none(switches, off, names):
    whole = every_mechanism()
    at_rest = changed(whole, dict.fromkeys(switches, off), strategies={"base": {}}, correlations=[])
    plain = simulate(scenario_from_document(at_rest), "base", Chance(5, 0, 500))
    for name in names:
        played = scenario_from_document(changed(at_rest, {name: OTHER.get(name, 0.3)}))
        assert f"parameters.{name}" in fields_of(played)
        table = simulate(played, "base", Chance(5, 0, 500))
        # The column of the parameter itself is there as long as it is uncertain.
        assert all(np.array_equal(table[k], plain[k], equal_nan=True) for k in table.keys() & plain.keys() - {name})


OTHER = {
    "tranches": 3,
    "deadline_weeks": 9,
    "tranche_weeks": 3,
    "extension_weeks": 11,
    "appeal_weeks": 5,
    "consultation_weeks": 3,
    "panel_weeks": 20,
    "compliance_weeks": 20,
}
