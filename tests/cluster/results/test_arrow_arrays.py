"""Arrow's arrays from and to numpy by their buffers: as Arrow's own conversions make them, and without pandas."""

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.results.arrow_arrays import content, is_null, known_numbers, of_numbers, of_texts, of_truths

_KINDS = st.sampled_from([np.int8, np.int16, np.int32, np.int64, np.float32])


@given(_KINDS, st.lists(st.tuples(st.integers(-100, 100), st.booleans()), max_size=40), st.booleans())
def test_numbers_are_those_of_arrow(kind, cells, nullable):
    values = np.array([value for value, _ in cells], kind)
    null = np.array([missing for _, missing in cells], bool) if nullable else None
    found = of_numbers(values, null)
    found.validate(full=True)
    assert found.equals(pa.array(values, mask=null))
    assert found.null_count == (0 if null is None else null.sum())
    for part in (found, found[3:], found[1:7]):
        known = ~is_null(part)
        assert known.tolist() == [one.is_valid for one in part]
        np.testing.assert_array_equal(content(part)[known], [one for one in part.to_pylist() if one is not None])
    numbers, known = known_numbers(pa.chunked_array([found[:5], found[5:]], type=found.type))
    assert numbers.tolist() == [one for one in found.to_pylist() if one is not None]
    assert known.sum() == numbers.size


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=40), st.sampled_from([bool, np.int8]))
def test_truth_values_are_those_of_arrow(cells, kind):
    values, null = np.array([value for value, _ in cells], kind), np.array([missing for _, missing in cells], bool)
    found = of_truths(values, null)
    found.validate(full=True)
    assert found.equals(pa.array(values.astype(bool), mask=null))
    np.testing.assert_array_equal(content(found[2:])[~is_null(found[2:])], values.astype(bool)[2:][~null[2:]])


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), max_size=8))
def test_texts_are_those_of_arrow(texts):
    found = of_texts(texts)
    found.validate(full=True)
    assert found.equals(pa.array(texts, pa.string()))


def test_numbers_that_do_not_lie_together_are_copied():
    assert of_numbers(np.arange(10)[::3]).to_pylist() == [0, 3, 6, 9]


_PLAY = """
import sys
from api.shipped_scenarios import shipped_scenario
from cluster.results.plan import make_plan
from cluster.runs.options import RunOptions
from cluster.runs.run import run
plan = make_plan(shipped_scenario("us-japan-autos-1995"), trials=1000, seed=1, keep=sys.argv[2])
run(plan, sys.argv[1], RunOptions(engine="inline"))
print("pandas" in sys.modules)
"""


@pytest.mark.parametrize("keep", ["all", "summary"])
def test_a_run_does_not_import_pandas(tmp_path, keep):
    """A quarter of a second of each process that plays."""
    played = subprocess.run(
        [sys.executable, "-c", _PLAY, str(tmp_path / "run"), keep], capture_output=True, text=True, check=True
    )
    assert played.stdout.split() == ["False"]
