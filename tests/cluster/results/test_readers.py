"""Four readers read the table of a run as it is: pandas, Polars, DuckDB and Arrow."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.results.plan import make_plan
from cluster.runs.options import RunOptions
from cluster.runs.run import run
from sim.faults import InvalidInput
from sim.scenario.scenario import scenario_from_document
from tests.support.examples import changed, litigious
from tests.support.readers import read_by_every_reader

REFUSED = (
    *("301", "01", "1", "0", "-1", "00", "20200101", "1e5", "1E5", "1e-5", "1e400", "0x1F", "0X1F", "0b101"),
    *("nan", "NaN", "inf", "-inf", "Infinity", "true", "False", "null", "epoch", "Epoch"),
    *("1995-04-13", "1995-4-13", "1-2-3", "1-1-1", "95-4-3", "-1995-04-13"),
)
ACCEPTED = ("threaten", "1a", "a-1", "12-30", "1995-04", "10-30-00a", "e5", "t", "e", "1-", "x301", "today", "5-min")


def document(*names: str) -> dict:
    return changed(litigious(), strategies={name: {} for name in names})


def test_four_readers_read_the_same_table(tmp_path: Path):
    scenario = scenario_from_document(document(*ACCEPTED[:3]))
    run(make_plan(scenario, trials=300, seed=1, shard_trials=200), tmp_path / "run", RunOptions(engine="inline"))
    tables = {
        reader: table.astype({"strategy": str, "outcome": str}).sort_values(["strategy", "trial"], ignore_index=True)
        for reader, table in read_by_every_reader(tmp_path / "run" / "trials").items()
    }
    for table in tables.values():
        assert set(table) == set(tables["pandas"])
        for name in table:
            nulls = table[name].isna()
            assert nulls.equals(tables["pandas"][name].isna())
            assert table[name][~nulls].tolist() == tables["pandas"][name][~nulls].tolist()
    assert len(tables["pandas"]) == 900


@pytest.mark.parametrize("name", REFUSED)
def test_a_name_of_a_strategy_that_a_reader_takes_for_another_value_is_refused(name: str):
    with pytest.raises(InvalidInput, match=r"strategies\..*is read as a number, a date or a truth value"):
        scenario_from_document(document(name, "threaten"))


def accepted(name: str) -> str:
    """The name if it is accepted, else the one that the refusal proposes."""
    try:
        scenario_from_document(document(name))
    except InvalidInput:
        return f"s-{name}"
    return name


NAMES = st.one_of(
    st.text("0123456789abcdefgxinftrulsobANFT-", min_size=1, max_size=8),
    st.dates().map(str),
    st.integers().map(lambda number: str(number)[:20]),
    st.floats().map(lambda number: repr(number).replace(".", "").replace("+", "")),
).map(accepted)


@pytest.mark.slow
@settings(max_examples=200)
@given(name=NAMES)
def test_every_reader_reads_the_name_of_an_accepted_strategy(name: str, tmp_path_factory: pytest.TempPathFactory):
    assert list(scenario_from_document(document(name)).strategies) == [name]
    trials = tmp_path_factory.mktemp("names") / "trials"
    folder = trials / f"strategy={name}"
    folder.mkdir(parents=True)
    pq.write_table(pa.table({"trial": [0]}), folder / "part-00000.parquet")
    for reader, table in read_by_every_reader(trials).items():
        assert table["strategy"].tolist() == [name], reader


@pytest.mark.parametrize("name", ACCEPTED)
def test_ordinary_names_are_accepted(name: str):
    assert list(scenario_from_document(document(name)).strategies) == [name]
