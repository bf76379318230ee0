"""Expressions over arrays and the same ones in SQL give the same values, for any expression."""

import io
import re

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.query.pruning import bounds_of, may_hold
from cluster.query.session import open_duckdb, to_sql
from cluster.results.trial_table import table_schema, to_table
from sim.faults import InvalidInput
from sim.model.kernel import simulate
from sim.sampling.chance import Chance
from sim.scenario.columns import columns
from sim.scenario.distributions import has_atoms
from sim.scenario.evaluation import evaluate
from sim.scenario.expressions import TEXT, parse_condition, parse_expression
from sim.scenario.scenario import scenario_from_document
from sim.scenario.vocabulary import TERMS
from tests.support.examples import every_mechanism

SCENARIO = scenario_from_document(every_mechanism())
ARRAYS = simulate(SCENARIO, next(iter(SCENARIO.strategies)), Chance(5, 0, 400))
TABLE = to_table(SCENARIO, table_schema(SCENARIO, {}), ARRAYS)
KNOWN = {column.name: column for column in columns(SCENARIO)}

_numbers = st.one_of(
    st.sampled_from([name for name, column in KNOWN.items() if column.kind in ("int64", "int16", "float32")]),
    st.sampled_from(["0", "1", "0.3", "12", "0.5", "1e-3"]),
)
_truths = st.sampled_from(["defiant", "agreement", "retaliation", "ruling_for_target", "stalemate", "true", "false"])
_compared = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])


def _arithmetic(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.builds("({} {} {})".format, inner, st.sampled_from("+-*/"), inner), st.builds("(-{})".format, inner)
    )


_sums = st.recursive(_numbers, _arithmetic, max_leaves=5)
_conditions = st.recursive(
    st.one_of(
        _truths,
        st.builds("({} {} {})".format, _sums, _compared, _sums),
        st.builds("({} is null)".format, st.one_of(_sums, _truths, st.just("ruling"))),
        st.builds("({} in ({}, {}))".format, _sums, _sums, _sums),
        st.builds("({} between {} and {})".format, _sums, _sums, _sums),
        st.builds("({} {} {})".format, _truths, st.sampled_from(["==", "!="]), _truths),
        st.sampled_from(
            [
                "(ruling == 'for_target')",
                "(ruling != 'for_target')",
                "(ruling == ruling)",
                "(ruling not in ('for_sender'))",
                "(litigation in ('none', 'panel'))",
                "(outcome != litigation)",
            ]
        ),
    ),
    lambda inner: st.one_of(
        st.builds("({} and {})".format, inner, inner),
        st.builds("({} or {})".format, inner, inner),
        st.builds("(not {})".format, inner),
    ),
    max_leaves=5,
)


def _check(texts: list[str]) -> None:
    found = {text: parse_expression(text, SCENARIO, "given") for text in texts}
    wanted = [f"({to_sql(one)})::DOUBLE AS v{k}" for k, one in enumerate(found.values())]
    with open_duckdb() as database:
        database.register("played", TABLE)
        theirs = database.execute(f"SELECT {', '.join(wanted)} FROM played").fetchnumpy()
    for k, (text, one) in enumerate(found.items()):
        assert one.kind != TEXT
        ours = evaluate(one, ARRAYS, KNOWN).astype(np.float64)
        np.testing.assert_allclose(
            ours, np.ma.filled(theirs[f"v{k}"], np.nan), rtol=1e-12, atol=0.0, equal_nan=True, err_msg=text
        )


@settings(max_examples=30)
@given(st.lists(st.one_of(_conditions, st.builds("{} + 2 * {}".format, _sums, _conditions)), min_size=1, max_size=10))
def test_arrays_and_sql_give_the_same_values(texts):
    _check(texts)


def test_every_term_has_the_same_value_in_both():
    _check([term.expression for term in TERMS.values()])


ROWS = 20
"""Trials in a row group."""


@pytest.fixture(scope="module")
def row_groups():
    buffer = io.BytesIO()
    pq.write_table(TABLE, buffer, row_group_size=ROWS)
    with pq.ParquetFile(buffer) as file:
        yield file


def groups_left(file, text: str) -> list[int]:
    """The row groups in which a condition may hold, by their statistics."""
    condition = parse_condition(text, SCENARIO)
    names = sorted(condition.columns())
    return [group for group in range(file.num_row_groups) if may_hold(condition, bounds_of(file, [group], names))]


@settings(max_examples=100)
@given(_conditions)
def test_a_condition_holds_in_no_row_group_that_statistics_rule_out(row_groups, text):
    try:
        holds = evaluate(parse_condition(text, SCENARIO), ARRAYS, KNOWN)
    except InvalidInput:
        # Equality with a continuous parameter.
        return
    assert set(np.flatnonzero(holds) // ROWS) <= set(groups_left(row_groups, text))


@pytest.mark.parametrize(
    "text",
    [
        "trial < 50",
        "trial == 133 or trial in (7, 399)",
        "not (trial >= 40) and 2 * trial + 1 > 3",
        "extensions > 2",
        "breach_week is not null",
        "sender_cost - target_cost > 5",
        "trial / 2 < 10 and sender_cost < 1e9",
        "agreement_week < 0",
    ],
)
def test_row_groups_that_are_left_are_those_whose_extremes_satisfy_a_condition(row_groups, text):
    condition = parse_condition(text, SCENARIO)
    holds = evaluate(condition, ARRAYS, KNOWN)
    found = groups_left(row_groups, text)
    if len(condition.columns()) == 1:
        assert found == sorted(set((np.flatnonzero(holds) // ROWS).tolist()))
    assert len(found) < row_groups.num_row_groups


@settings(max_examples=40)
@given(st.sampled_from([name for name in SCENARIO.uncertain if not has_atoms(SCENARIO.base[name])]), st.floats(0, 1))
def test_equality_with_a_continuous_parameter_is_refused_with_a_range_that_works(name, level):
    """The range has a tenth of the trials: of 400 between 10 and 75, five standard errors either way."""
    value = float(SCENARIO.base[name].quantile(np.array([min(max(level, 1e-9), 1 - 1e-9)]))[0])
    for text in (f"{name} = {value!r}", f"agreement and not ({value!r} != {name})", f"{name} in (0, {value!r})"):
        with pytest.raises(InvalidInput, match="ask for a range") as refused:
            parse_condition(text, SCENARIO)
        instead = re.search(r"such as (.*), which about 10 %", str(refused.value))
        assert instead is not None
        holds = evaluate(parse_condition(instead[1], SCENARIO), ARRAYS, KNOWN)
        assert 10 <= holds.sum() <= 75


def test_equality_with_a_parameter_that_has_likely_values_is_a_condition():
    for name in SCENARIO.uncertain:
        if has_atoms(SCENARIO.base[name]):
            parse_condition(f"{name} == 0.5", SCENARIO)
