"""Which trials of a stored run to read: a typical one of each outcome, and the extreme ones."""

from dataclasses import dataclass
from typing import Annotated

import duckdb
from pydantic import Field

from cluster.answers.aggregate_weights import weight_sql
from cluster.answers.beliefs import code_of, read_beliefs, weigh_strategy
from cluster.answers.entry import Answer, Computed, GivenRequest, Measure, OnProgress, Result, StrategyRequest
from cluster.answers.shared import EXACT_NUMBERS, condition_of
from cluster.query.session import to_sql
from cluster.query.trials import StoredRun, chosen_strategy, trials_table
from sim.faults import Fault, InvalidInput
from sim.scenario.expressions import NUMBER, Expression, parse_measure
from sim.scenario.vocabulary import MEASURE_TERMS, OUTCOMES

ABSENCE = 2.0
"""The distance, in standard deviations, of a null date from a median that is not null, and the reverse."""


@dataclass(frozen=True)
class Extreme:
    """A kind of extreme trial: the one with the greatest or the least value of a column."""

    why: str
    column: str
    greatest: bool = True


EXTREMES = (
    Extreme("earliest agreement", "agreement_week", greatest=False),
    Extreme("latest agreement", "agreement_week"),
    Extreme("longest sanctions", "sanctions_weeks"),
    Extreme("costliest for the sender", "sender_cost"),
    Extreme("costliest for the target", "target_cost"),
    Extreme("best export gain", "export_gain"),
)


_WEIGHTS = (
    "trials are weighted so that the beliefs hold (see evidence): shares, medians and standard deviations within an "
    "outcome are weighted; count is the number of trials. Which trial is extreme does not depend on weights"
)


class TypicalRequest(StrategyRequest, GivenRequest):
    """The trials to choose from, and a measure to choose by."""

    measure: Annotated[Measure | None, Field(description="A further measure to choose by.")] = None


class ReplayedTrial(Result):
    """The request that replays a trial."""

    trial: int
    strategy: str


class PickedTrial(Result):
    """A trial with its outcome and numbers, and the request that replays it."""

    why: str
    trial: int
    outcome: str
    numbers: dict[str, int | float | None]
    replay: ReplayedTrial


class TypicalTrial(PickedTrial):
    """The trial nearest to its outcome's medians."""

    count: Annotated[int, Field(description="Trials with this outcome.")]
    share: float
    medians: dict[str, float | None]
    distance: float


class ExtremeTrial(PickedTrial):
    """The trials with the greatest or the least value of a column."""

    value: float


class TypicalTrials(Result):
    """A typical trial of each outcome, and the extreme ones."""

    measure: str | None
    typical: list[TypicalTrial]
    extreme: list[ExtremeTrial]


def typical(run: StoredRun, request: TypicalRequest, on_progress: OnProgress) -> Computed:
    """A typical trial of each outcome, and the extreme trials, under a strategy.

    The measure, if any, is one more feature, and its extremes are listed too. Raises `InvalidInput` for an expression
    that cannot be read, or a condition that leaves no trials.
    """
    scenario, measure = run.plan.scenario, request.measure
    chosen = chosen_strategy(run, request.strategy)
    condition = condition_of(run, request.given)
    own = {} if measure is None else {measure: parse_measure(measure, scenario)}
    features = {term.name: parse_measure(term.expression, scenario) for term in MEASURE_TERMS} | own
    where = "true" if condition is None else to_sql(condition)
    extremes = list(EXTREMES)
    for name in own:
        extremes += [Extreme(f"largest {name}", name), Extreme(f"smallest {name}", name, greatest=False)]
    stated = read_beliefs(run, request.believe)
    weighted = weigh_strategy(run, chosen, stated, condition) if stated else None
    with trials_table(run, (chosen,), code=code_of(stated)) as database:
        ask = _Asker(database, where, features, None if weighted is None else weight_sql({chosen: weighted}))
        counts, sizes = ask.outcomes()
        total = sum(counts.values())
        if not total:
            raise InvalidInput((Fault("given", str(condition), f"leaves none of the trials of {chosen}"),))
        if weighted is not None and total > EXACT_NUMBERS:
            message = f"weighs at most {EXACT_NUMBERS:,} trials here: ask with a condition that leaves fewer"
            raise InvalidInput((Fault("believe", str(stated[0]), message),))
        spreads = ask.spreads(exact=total <= EXACT_NUMBERS)
        nearest = ask.nearest(spreads)
        found = ask.extremes(extremes)
        rows = ask.rows({trial for trial, _ in (*nearest.values(), *filter(None, found))})
    typicals = [
        {
            "why": f"typical of {outcome.replace('_', ' ')}",
            "count": counts[outcome],
            "share": sizes[outcome] / sum(sizes.values()),
            "medians": {name: spread.median for name, spread in spreads[outcome].items()},
            "distance": nearest[outcome][1],
            **rows[nearest[outcome][0]],
        }
        for outcome in OUTCOMES
        if outcome in counts
    ]
    extreme = [
        {"why": one.why, "value": value, **rows[trial]}
        for one, (trial, value) in ((one, pick) for one, pick in zip(extremes, found, strict=True) if pick)
    ]
    for one in (*typicals, *extreme):
        one["replay"] = {"trial": one["trial"], "strategy": chosen}
    result = {"measure": measure, "typical": typicals, "extreme": extreme}
    method = {"typical": _method(total)}
    evidence = None
    if weighted is not None:
        method["weights"], evidence = _WEIGHTS, {chosen: weighted.evidence()}
    return Computed(TypicalTrials.model_validate(result), (chosen,), total, method, evidence)


@dataclass(frozen=True)
class _Spread:
    """A feature's median and standard deviation within an outcome; None where most of its values are null."""

    median: float | None
    deviation: float


@dataclass(frozen=True)
class _Asker:
    """Queries over the trials for which a condition (SQL) holds."""

    database: duckdb.DuckDBPyConnection
    where: str
    features: dict[str, Expression]
    weight: str | None
    """SQL for the weight of a trial; None where all count the same."""

    def outcomes(self) -> tuple[dict[str, int], dict[str, float]]:
        """The number of trials with each outcome that occurs, and the sum of their weights."""
        size = "count(*)" if self.weight is None else f"sum({self.weight})"
        query = f"SELECT outcome, count(*), {size} FROM trials WHERE {self.where} GROUP BY outcome"
        found = self.database.execute(query).fetchall()
        return {outcome: count for outcome, count, _ in found}, {outcome: size for outcome, _, size in found}

    def spreads(self, *, exact: bool) -> dict[str, dict[str, _Spread]]:
        """The spread of each feature within each outcome, one feature at a time to bound memory."""
        quantile = "quantile_disc" if exact else "approx_quantile"
        found: dict[str, dict[str, _Spread]] = {}
        for name, feature in self.features.items():
            value = _value(feature)
            query = (
                f"SELECT outcome, 2 * count({value}) < count(*), {quantile}({value}, 0.5), stddev_pop({value}) "
                f"FROM trials WHERE {self.where} GROUP BY outcome"
            )
            rows = self.database.execute(query if self.weight is None else self._weighted_spread(value)).fetchall()
            for outcome, absent, median, deviation in rows:
                # The order of additions varies with several threads; the choice of trials must not depend on a sum's
                # last bits.
                rounded = float(f"{deviation or 0.0:.6g}")
                found.setdefault(outcome, {})[name] = _Spread(None if absent else median, rounded)
        return found

    def _weighted_spread(self, value: str) -> str:
        """A query for what `spreads` asks of a feature, by weights."""
        known = "CASE WHEN v IS NOT NULL THEN w END"
        return (
            f"SELECT outcome, 2 * coalesce(sum({known}), 0) < sum(w), min(v) FILTER (c >= 0.5 * t * {1.0 - 1e-12!r}), "
            f"sqrt(sum(w * (v - centre) * (v - centre)) / sum({known})) FROM ("
            f"SELECT outcome, v, w, sum({known}) OVER (PARTITION BY outcome ORDER BY v NULLS LAST ROWS UNBOUNDED "
            f"PRECEDING) AS c, sum({known}) OVER (PARTITION BY outcome) AS t, "
            f"sum(w * v) OVER (PARTITION BY outcome) / sum({known}) OVER (PARTITION BY outcome) AS centre "
            f"FROM (SELECT outcome, {value} AS v, {self.weight} AS w FROM trials WHERE {self.where})) GROUP BY outcome"
        )

    def nearest(self, spreads: dict[str, dict[str, _Spread]]) -> dict[str, tuple[int, float]]:
        """For each outcome the trial nearest to its medians (the first if several are) and its distance."""
        squares = {
            outcome: " + ".join(self._square(name, spread) for name, spread in found.items())
            for outcome, found in spreads.items()
        }
        whens = " ".join(f"WHEN '{outcome}' THEN {square}" for outcome, square in squares.items())
        picks = self.database.execute(
            f"SELECT outcome, min({{'value': sqrt(CASE outcome {whens} END), 'trial': trial}}) "
            f"FROM trials WHERE {self.where} GROUP BY outcome"
        ).fetchall()
        return {outcome: (pick["trial"], pick["value"]) for outcome, pick in picks}

    def _square(self, name: str, spread: _Spread) -> str:
        value = _value(self.features[name])
        absence = ABSENCE**2
        if spread.median is None:
            return f"CASE WHEN {value} IS NULL THEN 0.0 ELSE {absence} END"
        away = f"({value} - {spread.median!r})"
        square = f"{away} * {away} / {spread.deviation**2!r}" if spread.deviation else "0.0"
        return f"CASE WHEN {value} IS NULL THEN {absence} ELSE {square} END"

    def extremes(self, wanted: list[Extreme]) -> list[tuple[int, float] | None]:
        """The (first) trial with each extreme value, and the value; None if all values are equal."""
        asked = []
        for extreme in wanted:
            value = _value(self.features[extreme.column])
            signed = f"-({value})" if extreme.greatest else value
            asked += [
                f"min({value}) = max({value})",
                f"min({{'value': {signed}, 'trial': trial}}) FILTER ({value} IS NOT NULL)",
            ]
        (found,) = self.database.execute(f"SELECT {', '.join(asked)} FROM trials WHERE {self.where}").fetchall()
        return [
            None if pick is None or same else (pick["trial"], -pick["value"] if extreme.greatest else pick["value"])
            for extreme, same, pick in zip(wanted, found[::2], found[1::2], strict=True)
        ]

    def rows(self, trials: set[int]) -> dict[int, dict[str, object]]:
        """The outcome and the features of some trials."""
        values = ", ".join(
            to_sql(one) if one.operation == "column" and one.kind == NUMBER else _value(one)
            for one in self.features.values()
        )
        rows = self.database.execute(
            f"SELECT trial, outcome, {values} FROM trials WHERE trial IN ({', '.join(map(str, sorted(trials)))})"
        ).fetchall()
        return {
            trial: {"trial": trial, "outcome": outcome, "numbers": dict(zip(self.features, numbers, strict=True))}
            for trial, outcome, *numbers in rows
        }


def _value(feature: Expression) -> str:
    """A feature in SQL; null where it is not a number, such as a division by 0."""
    value = f"({to_sql(feature)})::DOUBLE"
    return value if feature.operation == "column" else f"CASE WHEN isfinite({value}) THEN {value} END"


def _method(total: int) -> str:
    medians = "exact" if total <= EXACT_NUMBERS else f"from a t-digest sketch, for more than {EXACT_NUMBERS} trials"
    return (
        f"over all of {total} trials: typical is the trial nearest to the outcome's medians ({medians}), each "
        f"feature in units of its standard deviation within the outcome; a null date counts as {ABSENCE:g} of them "
        "if the median is not null, and the reverse; of equally near trials the first is chosen"
    )


ANSWER = Answer(
    name="typical",
    sentence="A typical trial of each outcome and the extreme ones, to be replayed.",
    request=TypicalRequest,
    result=TypicalTrials,
    compute=typical,
    examples=({"measure": "export_gain - sender_cost"}, {}),
)
