"""Conditions and measures as text: what a refusal says."""

import pytest

from api.shipped_scenarios import shipped_scenario
from sim.faults import InvalidInput
from sim.scenario.expressions import parse_condition


def test_an_unknown_name_is_refused_with_columns_and_events_once_each_and_without_the_parameters():
    with pytest.raises(InvalidInput) as refused:
        parse_condition("foo > 1", shipped_scenario("us-japan-autos-1995"))
    message = refused.value.faults[0].message
    listed = message.split("there are: ")[1].split(", and ")[0].split(", ")
    assert {"agreement_week", "export_gain", "settled.parts-purchases", "sanctions_standing"} <= set(listed)
    assert len(listed) == len(set(listed))
    assert not {"target_win", "issues.parts-purchases.gap"} & set(listed)
