"""Values that are sent as JSON: what is converted, and what is refused with its field."""

import datetime
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brink import BrinkError
from brink.plain_values import json_bytes, plain

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda below: st.lists(below) | st.dictionaries(st.text(), below),
    max_leaves=20,
)


@given(JSON)
def test_values_of_json_are_sent_as_they_are(value):
    assert json.loads(json_bytes(value)) == json.loads(json.dumps(value))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.int64(200), 200),
        (np.float32(0.5), 0.5),
        (np.bool_(True), True),
        (np.str_("talk"), "talk"),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        (np.array(7), 7),
        (np.array(["a", "b"], dtype=object), ["a", "b"]),
        (pd.Series([0.25, 0.5]), [0.25, 0.5]),
        (pd.Index(["a", "b"]), ["a", "b"]),
        ((1, 2), [1, 2]),
        (datetime.date(1995, 4, 13), "1995-04-13"),
        (datetime.datetime(1995, 4, 13, 12, 30), "1995-04-13T12:30:00"),
        (pd.Timestamp("1995-04-13"), "1995-04-13"),
        (np.datetime64("1995-04-13"), "1995-04-13"),
        (np.datetime64("1995-04-13T00:00:00.000000000"), "1995-04-13"),
        (Path("runs/mine"), "runs/mine"),
        ({0: 1, 0.05: 2, np.float64(1.0): 3}, {"0": 1, "0.05": 2, "1.0": 3}),
    ],
    ids=repr,
)
def test_plain_values_of_libraries_become_those_of_json(value, expected):
    found = plain(value)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (float("nan"), r"gap: must be a finite number \(found nan\)"),
        (np.float64("inf"), r"gap: must be a finite number \(found inf\)"),
        ([1, {"sd": {1, 2}}], r"gap\[1\]\.sd: must be text, a number, .* \(found a set\)"),
        (b"text", r"gap: must be text.*bytes"),
        (1j, r"gap: must be text.*complex"),
        (np.array([1j]), r"gap: must be text.*numpy.ndarray"),
        (np.timedelta64(3, "D"), r"gap: must be text.*timedelta64"),
        (pd.NA, r"gap: must be text"),
        (pd.NaT, r"gap: is no date"),
        (np.datetime64("NaT"), r"gap: must be text"),
        (pd.DataFrame({"a": [1]}), r"gap: must be text.*DataFrame"),
        ({None: 1}, r"gap: has a key that is neither text nor a number \(found None\)"),
        ({1: "a", "1": "b"}, r"gap\.1: is given more than once"),
    ],
    ids=repr,
)
def test_other_values_are_refused_with_their_field(value, message):
    with pytest.raises(BrinkError, match=message) as refused:
        json_bytes({"issues": {"access": {"gap": value}}})
    assert refused.value.faults[0]["pointer"].startswith("/issues/access/gap")
    assert refused.value.faults[0]["field"].startswith("issues.access.gap")


def test_a_value_that_holds_itself_is_refused():
    loop: list = []
    loop.append(loop)
    with pytest.raises(BrinkError, match="more than 100 levels"):
        json_bytes({"scenario": loop})
