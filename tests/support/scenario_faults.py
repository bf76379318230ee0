"""Faults of scenarios, and values of all kinds to put into their fields."""

import pytest
from hypothesis import strategies as st

from sim.faults import InvalidInput
from sim.scenario.scenario import read_scenario, scenario_from_document

json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=8,
)
"""Any value that JSON can hold, small."""


def faults_of(text_or_document: object) -> list[str]:
    """The faults of a scenario's text (as of a file ``a.yaml``) or document, one line each."""

    def read() -> None:
        if isinstance(text_or_document, str):
            read_scenario(text_or_document, "a.yaml")
        else:
            scenario_from_document(text_or_document)

    with pytest.raises(InvalidInput) as caught:
        read()
    shown = str(caught.value).splitlines()
    assert len(shown) == len(caught.value.faults)
    return shown


def assert_read_or_refused(given_document: dict) -> None:
    """Either a scenario comes out or faults, each of one line; nothing else is raised."""
    try:
        scenario_from_document(given_document)
    except InvalidInput as error:
        found = error.faults
    else:
        return
    assert found
    assert all("\n" not in str(fault) for fault in found)
