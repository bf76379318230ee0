"""A stored run as a workbook: the summary's tables, the course over time, the ranges, and the first trials."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from api.sentences import distribution_line, evidence_sentences
from api.workbook import MOST_ROWS, Sheet, write_workbook
from cluster.answers.registry import ask
from cluster.answers.shared import condition_of
from cluster.query.session import check_time, to_sql
from cluster.query.trials import StoredRun, chosen_strategies, trials_table
from cluster.results.trial_table import PARTITION_COLUMN, table_columns
from sim.faults import Fault, InvalidInput
from sim.scenario.parameters import parameter
from sim.scenario.scenario import scenario_hash
from sim.scenario.vocabulary import EVENT_TERMS, OUTCOME_TERMS, TERMS

FIRST_TRIALS = 1000
_ESTIMATE = ("estimate", "standard_error", "low", "high")
_AT_ONCE = 10_000


def write_run(
    run: StoredRun,
    path: Path,
    *,
    given: str | None = None,
    believe: Sequence[str] = (),
    strategies: Sequence[str] = (),
    trials: int = FIRST_TRIALS,
) -> None:
    """Write a run's tables to a workbook, with the first `trials` trials of each strategy (that satisfy `given`).

    The tables are about the named `strategies`, all if none is named, and weighted by what is believed; the trials
    themselves are as they were played. The first trials are a sample of all, except in a run of the saltelli design.
    Raises `InvalidInput` if they do not fit in a sheet, and for conditions, beliefs and strategies as answers do.
    """
    chosen = chosen_strategies(run, strategies)
    most = MOST_ROWS // len(chosen)
    if not 0 <= trials <= most:
        message = f"must be from 0 to {most:,}: a sheet of Excel has {MOST_ROWS:,} rows for all strategies"
        raise InvalidInput((Fault("trials", trials, message),))
    asked: dict[str, object] = {"strategies": chosen, "believe": list(believe)}
    if given is not None:
        asked["given"] = given
    summary = ask(run, "summary", asked)
    sheets: list[Sheet] = [
        Sheet("About", ("", ""), _about(run, summary, trials)),
        Sheet("Probabilities", ("strategy", "kind", "name", "meaning", *_ESTIMATE), _probabilities(summary)),
        Sheet("Measures", _measure_titles(summary), _measures(summary)),
        Sheet("Ranges", ("parameter", "meaning", "range", "unit", "source"), _ranges(run)),
    ]
    if run.plan.design.is_sample:
        timeline = ask(run, "timeline", asked)
        titles = ("strategy", "week", "state", "probability", "low", "high", "band low", "band high")
        sheets.insert(3, Sheet("Over time", titles, _weeks(timeline)))
    names = [PARTITION_COLUMN, *(column.name for column in table_columns(run.plan.scenario))]
    if trials:
        sheets.append(Sheet("Trials", names, _trials(run, chosen, names, given, trials)))
    write_workbook(path, sheets)


def _about(run: StoredRun, summary: dict[str, Any], trials: int) -> list[tuple[str, Any]]:
    plan, scenario = run.plan, run.plan.scenario
    evidence = {name: one["evidence"] for name, one in summary["strategies"].items() if "evidence" in one}
    shown = "none" if not trials else f"the first {min(trials, plan.row_trials):,} of each strategy"
    if trials and evidence:
        shown += ", as they were played: they are not weighted"
    return [
        ("scenario", scenario.name),
        ("title", scenario.title),
        ("sender", scenario.sender),
        ("target", scenario.target),
        ("as of", scenario.as_of),
        ("weeks", scenario.horizon_weeks),
        ("trials of each strategy", plan.trials),
        ("complete", summary["complete"]),
        ("condition", summary.get("given")),
        *(("belief", sentence) for sentence in evidence_sentences(evidence)),
        ("seed", str(plan.seed)),
        ("design", plan.design.name),
        ("scenario (SHA-256)", scenario_hash(scenario)),
        ("how errors are computed", summary["method"]),
        ("trials in this workbook", shown),
    ]


def _probabilities(summary: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    for strategy, one in summary["strategies"].items():
        for kind, terms in (("outcome", OUTCOME_TERMS), ("events", EVENT_TERMS)):
            for term in terms:
                found = one[kind][term.name]
                yield (strategy, kind.removesuffix("s"), term.name, term.label, *(found[key] for key in _ESTIMATE))


def _measure_titles(summary: dict[str, Any]) -> tuple[str, ...]:
    levels = next((list(one["quantiles"]) for one in _first(summary).values()), [])
    return (
        "strategy",
        "name",
        "meaning",
        "unit",
        "trials",
        *(f"mean: {key}" for key in _ESTIMATE),
        *map(_level, levels),
    )


def _level(level: str) -> str:
    return f"{100 * float(level):g} % quantile"


def _first(summary: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = next(iter(summary["strategies"].values()))["measures"]
    return found


def _measures(summary: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    for strategy, one in summary["strategies"].items():
        for name, found in one["measures"].items():
            term = TERMS[name]
            means = (found["mean"][key] for key in _ESTIMATE)
            yield (strategy, name, term.label, term.unit, found["count"], *means, *found["quantiles"].values())


def _weeks(timeline: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    found = timeline["result"]
    keys = ("estimate", "low", "high", "band_low", "band_high")
    for strategy, one in found["strategies"].items():
        for state, course in one["states"].items():
            for k, week in enumerate(found["weeks"]):
                yield (strategy, week, state, *(course[key][k] for key in keys))


def _ranges(run: StoredRun) -> Iterator[tuple[Any, ...]]:
    scenario = run.plan.scenario
    for name, base in scenario.base.items():
        distribution = scenario.interventions.get(name, base)
        about = parameter(name)
        source = "set under every strategy" if name in scenario.interventions else scenario.sources.get(name)
        yield (name, about.meaning, distribution_line(distribution.document()), about.unit, source)


def _trials(
    run: StoredRun, strategies: Sequence[str], names: list[str], given: str | None, trials: int
) -> Iterator[tuple[Any, ...]]:
    """The first trials of each strategy, a row each."""
    condition = condition_of(run, given)
    where = "" if condition is None else f" AND ({to_sql(condition)})"
    columns = ", ".join(f'"{name.replace(chr(34), 2 * chr(34))}"' for name in names)
    query = f"SELECT {columns} FROM trials WHERE strategy = ?{where} ORDER BY trial LIMIT {trials}"
    with trials_table(run, strategies) as database:
        for strategy in strategies:
            rows = database.execute(query, [strategy])
            while part := rows.fetchmany(_AT_ONCE):
                check_time()
                yield from part
