"""A forecast compared with how comparable threats of the past ended, and what would move it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Annotated, Any

import numpy as np
from pydantic import ConfigDict, Field

from cluster.answers.beliefs import WEIGHTED, code_of, read_beliefs, weigh_strategy
from cluster.answers.drivers import DriversRequest, drivers_within
from cluster.answers.drivers_trials import FEWEST_KNOWN
from cluster.answers.entry import (
    LONGEST_NAME,
    Answer,
    Computed,
    Evidence,
    GivenRequest,
    OnProgress,
    Result,
    StrategyRequest,
    quiet,
)
from cluster.answers.entry import Estimate as EstimateResult
from cluster.answers.outside_view import FEWEST_THREATS, THREAT, PastCases, past_cases, too_few_threats
from cluster.answers.shared import condition_of
from cluster.query.shard_map import reduce_shards
from cluster.query.trials import CODE, Reading, SameTrials, StoredRun, chosen_strategy, read_blocks, same_trials
from cluster.reference.rates import LISTS, SETTLED_BY_WEEKS, shipped_rates
from sim.faults import Fault, InvalidInput
from sim.sampling.designs import SAMPLES
from sim.scenario.distributions import Fixed
from sim.scenario.expressions import Expression, parse_condition
from sim.scenario.scenario import Scenario
from sim.statistics.estimates import UNKNOWN, Estimate, proportion, proportion_of_replicates
from sim.statistics.weighted_estimates import weighted_share

MOVERS = 3

_METHOD = {
    "forecast": (
        "shares of the trials in which sanctions are threatened, since the class is one of threats; 95 % intervals by "
        "Wilson, of a Sobol design by Student's t over its replicates. A condition restricts the trials, and not the "
        "threats of the class"
    ),
    "settled": "an agreement before sanctions were imposed and before the sender backed down",
    "imposed": "sanctions were imposed, whatever followed",
    "dropped": "neither: the sender backed down, or the threat came to nothing by the horizon",
    "agreed_by_week": (
        "settled within this number of weeks from the announcement, beside the cumulative incidence of settlement in "
        "the class's dated threats, other endings competing with it (Aalen and Johansen), pooled with all threats and "
        "with its 95 % interval. The class counts weeks from the first threat, which often came months before a list "
        "with a deadline: a forecast may lie outside because its week 0 is later"
    ),
    "list_settled_by_week": (
        "the same forecast beside the class's share of settlements times that of settled lists of goods with a "
        "deadline that were settled so soon, which count weeks from the list as the model does"
    ),
    "agreed_within_two_years": (
        "an agreement under threat or while sanctions stand; what follows when the sender has given up is not known of "
        "the class"
    ),
    "class": (
        "the class's pooled rates as known on the scenario's first day, with their 95 % intervals; shares of "
        "complaints at the WTO are those of the last count before that day, and none if there was none yet"
    ),
    "outside": "the forecast's 95 % interval, which knows the simulation's error, lies wholly outside the class's",
    "movers": "the parameters in whose lowest and highest decile the outcome's share differs most",
}


class CheckRequest(StrategyRequest, GivenRequest):
    """The strategy, the condition, the class and the beliefs."""

    reference: Annotated[
        str | None,
        Field(max_length=LONGEST_NAME, description="The class of past threats; the scenario's own if none is named."),
    ] = None


class Mover(Result):
    """A parameter that moves a share of trials: the share in its lowest and in its highest decile."""

    parameter: str
    unit: str
    lowest_decile: float | None
    highest_decile: float | None


class ComparedShare(Result):
    """A share of trials beside that of the class."""

    model_config = ConfigDict(populate_by_name=True)

    name: str
    label: str
    forecast: EstimateResult
    class_: Annotated[
        EstimateResult, Field(alias="class", description="The share among past cases; null where none were counted.")
    ]
    source: str
    outside: Annotated[
        bool, Field(description="Whether the forecast, with its own interval, lies outside that of past cases.")
    ]
    movers: Annotated[list[Mover], Field(description="What would move a forecast outside, most first.")]
    reason: Annotated[str | None, Field(description="Why what would move it is not known, if so.")]


class ClassComparison(Result):
    """A forecast beside the past threats of its class."""

    reference: str
    known_on: str | None
    compared: list[ComparedShare]
    without_threat: Annotated[
        list[str],
        Field(
            description="The scenario's strategies that never threaten. They are compared with nothing: no class "
            "counts how often talks without a threat succeed."
        ),
    ]


@dataclass(frozen=True)
class _Compared:
    """A share of trials, as a condition, and what the class says of it; `given` restricts the trials."""

    name: str
    label: str
    condition: str
    given: str
    outside: Estimate
    source: str


@dataclass(frozen=True)
class ShareBesidePast:
    """A share of the trials in which `given` holds beside that of past cases; `trials` is how many there are."""

    name: str
    label: str
    condition: str
    given: str
    past: Estimate
    source: str
    forecast: Estimate
    outside: bool
    trials: int


def check(run: StoredRun, request: CheckRequest, on_progress: OnProgress) -> Computed:
    """Compare a run's forecast with its reference class.

    Progress is in forecasts outside their intervals. Raises `InvalidInput` for a scenario without a class and a
    request that names none, an unknown class or strategy, and where too few trials see a threat.
    """
    scenario = run.plan.scenario
    chosen = chosen_strategy(run, request.strategy)
    past = past_cases(scenario, chosen, request.reference)
    shares, evidence = compared_shares(run, chosen, past, request)
    outside = [row for row in shares if row.outside]
    compared = []
    for row in shares:
        movers: list[dict[str, Any]] = []
        reason = None
        if row.outside:
            on_progress(outside.index(row), len(outside))
            if row.trials < FEWEST_KNOWN:
                reason = f"{row.trials:,} trials have it ({row.given}); at least {FEWEST_KNOWN:,} are needed"
            else:
                movers = _movers(run, chosen, row, request)
        compared.append(
            {
                "name": row.name,
                "label": row.label,
                "forecast": row.forecast,
                "class": row.past,
                "source": row.source,
                "outside": row.outside,
                "movers": movers,
                "reason": reason,
            }
        )
    result = {
        "reference": past.reference,
        "known_on": past.known_on,
        "compared": compared,
        "without_threat": strategies_without_threat(scenario),
    }
    method = _METHOD if evidence is None else {**_METHOD, "weights": WEIGHTED}
    return Computed(ClassComparison.model_validate(result), (chosen,), shares[0].trials, method, evidence)


def strategies_without_threat(scenario: Scenario) -> list[str]:
    """The strategies under which sanctions are never announced and are not in force from the start."""
    never = Fixed(0.0)
    return [
        name
        for name in scenario.strategies
        if all(scenario.parameters(name)[one] == never for one in ("threat_probability", "sanctions_at_start"))
    ]


def compared_shares(
    run: StoredRun, strategy: str, past: PastCases, request: CheckRequest
) -> tuple[list[ShareBesidePast], Mapping[str, Evidence] | None]:
    """The shares of a strategy's trials beside those of past cases, and what the beliefs did.

    The first are those of the past cases' endings. Raises `InvalidInput` where too few trials see a threat.
    """
    rows = _rows(past, run.plan.scenario.horizon_weeks, run.plan.scenario.sender)
    condition = condition_of(run, request.given)
    shares, trials, evidence = _shares(run, strategy, past.given, rows, condition, request.believe)
    beside = [
        ShareBesidePast(
            row.name,
            row.label,
            row.condition,
            row.given,
            row.outside,
            row.source,
            shares[row.name],
            _lies_outside(shares[row.name], row.outside),
            trials[row.given],
        )
        for row in rows
    ]
    return beside, evidence


def _rows(past: PastCases, horizon: int, sender: str) -> list[_Compared]:
    day = None if past.known_on is None else date.fromisoformat(past.known_on)
    rows = [
        _Compared(one.name, one.label, one.condition, one.given, one.share, one.source)
        for one in (*past.endings, *past.dated, *past.durations)
    ]
    if past.given == THREAT and horizon >= max(SETTLED_BY_WEEKS):
        rows.append(
            _Compared(
                "agreed_in_any_way",
                "agreed within two years, whatever was between",
                f"agreement_week - threat_week <= {max(SETTLED_BY_WEEKS)}",
                THREAT,
                UNKNOWN,
                "not counted: an episode of the data ends when the sender gives up",
            )
        )
    panel = "complainant_wins_against_united_states" if sender == "United States" else "complainant_wins"
    report, report_source = _at_the_wto("report", day)
    win, win_source = _at_the_wto(panel, day)
    complained, complaint_source = _complaints(day)
    rows += [
        _Compared(
            "complaint", "the target complains to the WTO", "complaint", past.given, complained, complaint_source
        ),
        _Compared("ruling", "a complaint ends in a ruling", "ruling is not null", "complaint", report, report_source),
        _Compared(
            "ruling_for_target",
            "a ruling is for the target",
            "ruling_for_target",
            "ruling is not null",
            win,
            win_source,
        ),
    ]
    return rows


def _complaints(day: date | None) -> tuple[Estimate, str]:
    """The share of targets that complained to the WTO about a list of goods with a deadline, and its source."""
    count, of = shipped_rates().records[LISTS].complained(day)
    if not of:
        return UNKNOWN, "not compared: no list with a deadline had been over that a member of the WTO met"
    source = f"lists of goods with a deadline against members of the WTO: {count} of {of} complained"
    return proportion(count, of), source


def _at_the_wto(name: str, day: date | None) -> tuple[Estimate, str]:
    """A share of disputes before the WTO as known on a day, and its source."""
    share = shipped_rates().wto[name]
    found = share.before(day)
    if found is None:
        first = share.counts[0].counted_on.isoformat()
        return (
            UNKNOWN,
            f"not compared: the WTO's record was first counted on {first}, after the scenario's first day",
        )
    return found.estimate(), f"{found.title}, as counted on {found.counted_on}: {found.count} of {found.of}; " + (
        "a ruling after the horizon counts as none" if name == "report" else found.source
    )


def _shares(
    run: StoredRun,
    strategy: str,
    cases: str,
    rows: list[_Compared],
    given: Expression | None,
    believe: tuple[str, ...],
) -> tuple[dict[str, Estimate], dict[str, int], Mapping[str, Evidence] | None]:
    """The share of each row, the trials of each condition on which shares are, and what the beliefs did.

    `cases` is the condition of the trials that are compared with past cases: those with a threat, say.
    """
    scenario, design = run.plan.scenario, run.plan.design
    replicates, per_point = design.replicates(scenario), design.trials_per_point(scenario)
    conditions = {row.name: f"({row.condition}) and ({row.given})" for row in rows}
    conditions |= {row.given: row.given for row in rows}
    stated = read_beliefs(run, believe)
    weighted = weigh_strategy(run, strategy, stated, given) if stated else None
    asked = {name: parse_condition(text, scenario) for name, text in conditions.items()}
    reading = Reading((strategy,), asked, given=given, code=code_of(stated))
    shape = (1 + len(asked), replicates, 2 ** len(stated))
    nothing = np.zeros(shape, np.int64)
    counted = reduce_shards(run, same_trials(run, reading.read), partial(_count, reading, shape), np.add, nothing)
    counts = dict(zip(asked, counted[1:], strict=True))
    trials = {row.given: int(counts[row.given].sum()) for row in rows}
    if trials[cases] < FEWEST_THREATS:
        field, value = ("strategy", strategy) if given is None else ("given", str(given))
        raise InvalidInput((Fault(field, value, too_few_threats(trials[cases])),))

    def share(row: _Compared) -> Estimate:
        hits, of = counts[row.name], counts[row.given]
        if weighted is not None:
            own, among, all_trials = (one[:, weighted.patterns] for one in (hits, of, counted[0]))
            return weighted_share(weighted.weighting, own, among, all_trials, per_point)
        if replicates > 1:
            return proportion_of_replicates(hits[:, 0].tolist(), of[:, 0].tolist(), per_point)
        return proportion(int(hits.sum()), int(of.sum()))

    evidence = None if weighted is None else {strategy: weighted.evidence()}
    return {row.name: share(row) for row in rows}, trials, evidence


def _count(reading: Reading, shape: tuple[int, int, int], run: StoredRun, shards: SameTrials) -> np.ndarray:
    """The trials of a shard, and those of each condition, by replicate and code of the beliefs."""
    counted = np.zeros(shape, np.int64)
    for blocks in read_blocks(run, shards, reading):
        block = blocks[reading.strategies[0]]
        group = block["trial"] % shape[1] * shape[2] + block.get(CODE, 0)
        counted[0] += np.bincount(group, minlength=shape[1] * shape[2]).reshape(shape[1:])
        for k, name in enumerate(reading.values, start=1):
            own = group[block[name] > 0.0]
            counted[k] += np.bincount(own, minlength=shape[1] * shape[2]).reshape(shape[1:])
    return counted


def _lies_outside(forecast: Estimate, interval: Estimate) -> bool:
    """Whether a forecast, with its own interval, lies outside another; not where one of them is not known."""
    ends = (forecast["low"], forecast["high"], interval["low"], interval["high"])
    if None in ends:
        return False
    low, high, least, greatest = map(float, ends)  # type: ignore[arg-type]
    return high < least or low > greatest


def _movers(run: StoredRun, strategy: str, row: ShareBesidePast, request: CheckRequest) -> list[dict[str, Any]]:
    """The parameters in whose outermost deciles a share differs most."""
    asked = DriversRequest(
        measure=row.condition, given=request.given, strategy=strategy, believe=request.believe, pawn=False
    )
    parameters = drivers_within(run, asked, quiet, row.given).result.model_dump()["parameters"]
    known = [one for one in parameters if one["swing"] and one["swing"]["estimate"] is not None]
    known.sort(key=lambda one: -abs(one["swing"]["estimate"]))
    return [
        {
            "parameter": one["name"],
            "unit": one["unit"],
            "lowest_decile": one["lowest_decile"]["mean"]["estimate"],
            "highest_decile": one["highest_decile"]["mean"]["estimate"],
        }
        for one in known[:MOVERS]
    ]


ANSWER = Answer(
    name="check",
    sentence="The forecast compared with how comparable threats of the past ended, and what would move it.",
    request=CheckRequest,
    result=ClassComparison,
    compute=check,
    examples=({},),
    designs=SAMPLES,
    steps="outcomes explained",
    fewest_trials=FEWEST_THREATS,
    fewest_given=FEWEST_THREATS,
)
