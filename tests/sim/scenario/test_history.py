"""Histories: what is read, every fault that is found, and that no trial knows of them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.faults import InvalidInput
from sim.model.kernel import simulate
from sim.sampling.chance import Chance
from sim.scenario.history import history_document
from sim.scenario.scenario import read_scenario, scenario_document, scenario_from_document, scenario_hash
from tests.support.examples import HISTORY, changed, litigious
from tests.support.scenario_faults import assert_read_or_refused, faults_of, json_values

TEXT = """\
schema: 1
name: example
horizon_weeks: 20
issues:
  dealers: {weight: 1, gap: 0.5, sender_concession: 0.1, target_concession: 0.1}
strategies: {threaten: {}, talk: {threat_probability: 0}}
history:
  strategy: threaten
  outcome: agreement_under_threat
  threat_week: 3
  filing_week: 3
  agreement_week: 9
  events:
    1995-05-16: A list.
  sources: [A newspaper.]
"""


def with_fields(**fields: object) -> dict:
    return changed(litigious(), history={**HISTORY, **fields})


def test_a_history_is_read_and_survives_its_document():
    found = read_scenario(TEXT, "a.yaml")
    assert found.history is not None
    assert (found.history.strategy, found.history.threat_week, found.history.agreement_week) == ("threaten", 3, 9)
    assert (found.history.ruling, found.history.sanctions_week, found.history.retaliation) == (None, None, False)
    assert found.history.events == {"1995-05-16": "A list."}
    assert scenario_from_document(scenario_document(found)) == found
    full = scenario_from_document(with_fields())
    assert full.history is not None
    assert history_document(full.history) == {**HISTORY, "strategy": "base"}


def test_a_history_changes_no_trial_and_no_hash():
    with_history, without = scenario_from_document(with_fields()), scenario_from_document(litigious())
    assert with_history != without
    assert scenario_hash(with_history) == scenario_hash(without)
    tables = [simulate(one, "base", Chance(3, 0, 500)) for one in (with_history, without)]
    assert all(np.array_equal(tables[0][name], tables[1][name], equal_nan=True) for name in tables[0])


@pytest.mark.parametrize(
    ("old", "new", "line", "field", "says"),
    [
        ("strategy: threaten", "strategy: bluff", 8, "history.strategy", "threaten, talk"),
        ("agreement_under_threat", "agreement", 9, "history.outcome", "must be one of agreement_in_talks"),
        ("threat_week: 3", "threat_week: 0", 10, "history.threat_week", "from 1 to 20"),
        ("agreement_week: 9", "agreement_week: 21", 12, "history.agreement_week", "after the horizon"),
        ("  agreement_week: 9\n", "", 7, "history.agreement_week", "required by the outcome"),
        ("threat_week: 3\n", "threat_week: 10\n", 12, "history.agreement_week", "not be before threat_week"),
        ("filing_week: 3", "sanctions_week: 4", 11, "history.sanctions_week", "does not go with"),
        ("filing_week: 3", "ruling: for_target", 7, "history.ruling_week", "required with ruling"),
        ("filing_week: 3", "ruling: upheld", 11, "history.ruling", "for_target, for_sender"),
        ("filing_week: 3", "retaliation: 1", 11, "history.retaliation", "true or false"),
        ("filing_week: 3", "filling_week: 3", 11, "history.filling_week", "did you mean filing_week"),
        ("1995-05-16", "1995-15-16", 14, "history.events.1995-15-16", "must be a date"),
        ("  sources: [A newspaper.]\n", "", 7, "history.sources", "is required"),
        ("[A newspaper.]", "[1]", 15, "history.sources[0]", "text"),
    ],
)
def test_a_fault_is_found_with_its_line_and_field(old, new, line, field, says):
    assert old in TEXT
    shown = faults_of(TEXT.replace(old, new, 1))
    assert any(one.startswith(f"a.yaml:{line}:{field}:") and says in one for one in shown), shown


@pytest.mark.parametrize(
    ("outcome", "weeks"),
    [
        ("agreement_in_talks", {"agreement_week": 3}),
        ("agreement_under_threat", {"threat_week": 1, "agreement_week": 3}),
        ("agreement_after_retreat", {"threat_week": 1, "agreement_week": 3}),
        ("sanctions_standing", {"threat_week": 1, "sanctions_week": 3}),
        ("retreat", {"threat_week": 1}),
        ("stalemate", {}),
    ],
)
def test_every_outcome_can_be_recorded(outcome, weeks):
    short = {"outcome": outcome, **weeks, "sources": ["A newspaper."]}
    assert scenario_from_document(changed(litigious(), history=short)).history is not None


@pytest.mark.parametrize(
    ("outcome", "weeks"),
    [
        ("agreement_under_sanctions", {"agreement_week": 3, "sanctions_weeks": 3}),
        ("agreement_after_retreat", {"agreement_week": 3}),
        ("sanctions_standing", {}),
        ("retreat", {}),
    ],
)
def test_sanctions_from_the_start_need_no_threat(outcome, weeks):
    short = {"outcome": outcome, "sanctions_week": 0, **weeks, "sources": ["A newspaper."]}
    found = scenario_from_document(changed(litigious(), history=short)).history
    assert found is not None
    assert (found.sanctions_week, found.threat_week) == (0, None)
    assert history_document(found) == {**short, "strategy": "base", "retaliation": False, "events": {}}


def test_no_threat_comes_before_sanctions_from_the_start():
    with pytest.raises(InvalidInput, match=r"history\.sanctions_week: must not be before threat_week, 2"):
        scenario_from_document(with_fields(sanctions_week=0))


def test_a_reference_class_is_read_and_changes_no_hash():
    named = scenario_from_document(changed(litigious(), reference="specific-strong"))
    assert named.reference == "specific-strong"
    assert scenario_from_document(scenario_document(named)) == named
    assert scenario_hash(named) == scenario_hash(scenario_from_document(litigious()))


@pytest.mark.parametrize("value", [7, "", "two words", ["specific-strong"], {}])
def test_a_reference_class_that_is_no_name_is_refused(value):
    with pytest.raises(InvalidInput, match="reference: must be 1 to 64 letters, digits and '-'"):
        scenario_from_document(changed(litigious(), reference=value))


@given(field=st.sampled_from([*HISTORY, "strategy", "other"]), value=json_values)
@settings(max_examples=200)
def test_no_value_of_any_field_breaks_the_reader(field, value):
    assert_read_or_refused(with_fields(**{field: value}))


def test_other_codings_change_fields_of_the_history():
    coding = {"outcome": "sanctions_standing", "agreement_week": None, "sanctions_weeks": 15}
    found = scenario_from_document(with_fields(codings={"as standing": coding}))
    assert found.history is not None
    coded = found.history.codings["as standing"]
    assert (coded.outcome, coded.agreement_week, coded.sanctions_weeks) == ("sanctions_standing", None, 15)
    assert (coded.threat_week, coded.ruling, coded.sources) == (2, "for_target", found.history.sources)
    assert history_document(found.history)["codings"] == {"as standing": coding}
    assert scenario_from_document(scenario_document(found)) == found


@pytest.mark.parametrize(
    ("codings", "field", "says"),
    [
        ({"a": {"outcome": "imposed"}}, "history.codings.a.outcome", "must be one of"),
        ({"a": {"outcome": "retreat"}}, "history.codings.a.agreement_week", "does not go with the outcome retreat"),
        ({"a": {"agreement_week": 900}}, "history.codings.a.agreement_week", "lies after the horizon"),
        ({"a": {"retaliation": None}}, "history.codings.a.retaliation", "must be true or false"),
        ({"a": {"sources": ["x"]}}, "history.codings.a.sources", "is not known"),
        ({"a": {}}, "history.codings.a", "must change a field"),
        ({"a": {"agreement_week": 15}}, "history.codings.a", "must change a field"),
        ({"a": 3}, "history.codings.a", "must be a mapping"),
        ({"": {"agreement_week": 14}}, "history.codings.", "must"),
        ([1], "history.codings", "must be a mapping"),
        ({f"c{k}": {"agreement_week": 14} for k in range(21)}, "history.codings", "at most 20"),
    ],
)
def test_a_wrong_coding_is_refused(codings, field, says):
    faults = faults_of(with_fields(codings=codings))
    assert any(field in fault and says in fault for fault in faults), faults
