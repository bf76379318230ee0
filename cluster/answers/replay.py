"""One trial of a stored run, replayed and narrated week by week; the result is compared with the stored row."""

from importlib.metadata import version
from math import isfinite
from typing import Annotated, Any

import pyarrow as pa
from pydantic import Field

from cluster.answers.entry import Answer, Computed, OnProgress, Result, StrategyRequest
from cluster.query.session import check_time
from cluster.query.trials import StoredRun, chosen_strategy, shard_of, stored_row
from cluster.results.plan import Plan, Shard
from cluster.results.result_folder import RUN, read_json
from sim.faults import Fault, InvalidInput
from sim.model.kernel import simulate
from sim.model.narrative import ending, passages, sessions_held, week_date
from sim.model.trace import Story, play_story
from sim.model.version import KERNEL_VERSION
from sim.sampling.chance import Chance
from sim.scenario import validation
from sim.scenario.columns import trial_row
from sim.scenario.parameters import parameter

NO_ROW = (
    "the run keeps no row of this trial with which it could be compared: its chance is addressed by seed, purpose and "
    "number, so that it is the trial that was counted"
)
METHOD = (
    "the trial is played alone with the run's model: its chance is addressed by seed, purpose and number, so that "
    "it is the same trial; every column of its row is compared with the stored row, under every strategy"
)
Value = bool | int | float | str | None
"""A column's value in a row."""


class ReplayRequest(StrategyRequest):
    """Which trial to replay."""

    trial: Annotated[int, Field(strict=True, ge=0, description="The trial's number, from 0.")]


class Draw(Result):
    """A parameter's value in the trial."""

    parameter: str
    value: float
    unit: str
    meaning: str
    share_below: Annotated[float, Field(description="The share of its range that lies below the value.")]
    played_a_part: Annotated[
        bool, Field(description="Whether the trial used it: another value could have changed what happened.")
    ]


class Passage(Result):
    """A week, or several consecutive weeks in which nothing happened."""

    first_week: int
    last_week: int
    date: str | None
    sessions: Annotated[dict[str, int], Field(description="Sessions held, by kind.")]
    sentences: list[str]
    events: list[dict[str, Any]]
    sender_cost: float
    target_cost: float


class Positions(Result):
    """The positions of both sides on an issue, week by week."""

    title: str
    sender: list[float]
    target: list[float]
    settled: float | None


class RowDifference(Result):
    """A column that differs between the stored row and the replayed row."""

    strategy: str
    column: str | None
    stored: Value
    played: Value


class VersionPair(Result):
    """The version of a library, or of the kernel, when the run was made, and the installed version."""

    run: str
    here: str


class Check(Result):
    """Whether the replayed rows equal the stored rows."""

    equal: Annotated[bool | None, Field(description="Null if no stored row was compared.")]
    reason: Annotated[str | None, Field(description="Why no stored row was compared.")]
    strategies: Annotated[list[str], Field(description="Strategies whose stored row was compared.")]
    columns: int
    differences: list[RowDifference]
    other_versions: dict[str, VersionPair]


class Replay(Result):
    """A trial narrated week by week."""

    title: str
    sender: str
    target: str
    as_of: str | None
    horizon_weeks: int
    strategy: str
    trial: int
    draws: list[Draw]
    story: list[Passage]
    positions: Annotated[dict[str, Positions], Field(description="By issue.")]
    end: Annotated[dict[str, Value], Field(description="The trial's row.")]
    strategies: Annotated[
        dict[str, dict[str, Value]], Field(description="The rows of the same trial under each strategy.")
    ]
    check: Check


def replay(run: StoredRun, request: ReplayRequest, on_progress: OnProgress) -> Computed:
    """The narrative of one trial of a run under a strategy, and how the same trial ends under the others.

    ``check`` says whether the replayed rows equal the stored rows, column by column. Raises `InvalidInput` for a trial
    that the run does not have, or has not committed yet. If no row of the trial is kept, nothing is compared:
    ``check.equal`` is null, and ``check.reason`` says why.
    """
    plan, trial = run.plan, request.trial
    strategy = chosen_strategy(run, request.strategy)
    report = validation.Report()
    validation.whole(report, ("trial",), trial, 0, plan.trials - 1)
    report.raise_faults()
    shards = {name: shard_of(run, name, trial) for name in plan.strategies}
    if shards[strategy] is None:
        raise InvalidInput(
            (Fault("trial", trial, f"is not committed under {strategy}, or its file is not this run's"),)
        )
    story = play_story(plan.scenario, strategy, Chance(plan.seed, trial, 1), plan.design)
    rows = {name: dict(story.row) if name == strategy else _played(plan, name, trial) for name in plan.strategies}
    with_rows = {name: None if shard is None or shard.reduced else shard for name, shard in shards.items()}
    check = _check(run, trial, rows, with_rows)
    result = {
        **_head(plan, story),
        "story": _passages(story),
        "positions": {
            issue.name: {
                "title": issue.title,
                "sender": [week.positions[k][0] for week in story.weeks],
                "target": [week.positions[k][1] for week in story.weeks],
                "settled": story.row[f"settled.{issue.name}"],
            }
            for k, issue in enumerate(plan.scenario.issues)
        },
        "end": rows[strategy],
        "strategies": {
            name: {
                "ending": ending(plan.scenario, row),
                **{column: value for column, value in row.items() if column not in plan.scenario.uncertain},
            }
            for name, row in rows.items()
        },
        "check": check,
    }
    method = {"check": METHOD if check["strategies"] else NO_ROW}
    used = len(check["strategies"])
    return Computed(Replay.model_validate(result), plan.strategies, used, method, of_all_trials=True)


def _played(plan: Plan, strategy: str, trial: int) -> dict[str, object]:
    check_time()
    table = simulate(plan.scenario, strategy, Chance(plan.seed, trial, 1), plan.design)
    return trial_row(plan.scenario, table)


def _head(plan: Plan, story: Story) -> dict[str, object]:
    scenario = plan.scenario
    return {
        "title": scenario.title,
        "sender": scenario.sender,
        "target": scenario.target,
        "as_of": scenario.as_of,
        "horizon_weeks": scenario.horizon_weeks,
        "strategy": story.strategy,
        "trial": story.trial,
        "draws": [
            {
                "parameter": draw.name,
                "value": draw.value,
                "unit": parameter(draw.name).unit,
                "meaning": parameter(draw.name).meaning,
                "share_below": draw.share_below,
                "played_a_part": draw.played_a_part,
            }
            for draw in story.draws
        ],
    }


def _passages(story: Story) -> list[dict[str, object]]:
    found = []
    for passage in passages(story):
        first, last = passage.weeks[0], passage.weeks[-1]
        day = week_date(story.scenario, first.week)
        found.append(
            {
                "first_week": first.week,
                "last_week": last.week,
                "date": day and day.isoformat(),
                "sessions": sessions_held(passage.weeks),
                "sentences": list(passage.sentences),
                "events": [
                    {"week": event.week, "kind": event.kind, **event.details}
                    for week in passage.weeks
                    for event in week.events
                ],
                "sender_cost": last.row["sender_cost"],
                "target_cost": last.row["target_cost"],
            }
        )
    return found


def _check(
    run: StoredRun, trial: int, rows: dict[str, dict[str, object]], shards: dict[str, Shard | None]
) -> dict[str, Any]:
    differences = []
    for strategy, shard in shards.items():
        if shard is not None:
            differences += [
                {"strategy": strategy, **found} for found in _differences(run, shard, trial, rows[strategy])
            ]
    compared = [strategy for strategy, shard in shards.items() if shard is not None]
    return {
        "equal": not differences if compared else None,
        "reason": None if compared else NO_ROW,
        "strategies": compared,
        "columns": len(next(iter(rows.values()))),
        "differences": differences,
        "other_versions": _other_versions(run) if differences else {},
    }


def _differences(run: StoredRun, shard: Shard, trial: int, played: dict[str, object]) -> list[dict[str, object]]:
    """The differences between the stored row and the replayed row of a trial."""
    try:
        stored = stored_row(run, shard, trial)
    except (OSError, pa.ArrowException) as error:
        return [{"column": None, "stored": f"its file cannot be read: {error}", "played": None}]
    if stored is None:
        return [{"column": "trial", "stored": None, "played": trial}]
    names = dict.fromkeys([*played, *stored])
    return [
        {"column": name, "stored": _finite(stored.get(name)), "played": _finite(played.get(name))}
        for name in names
        if name not in stored or name not in played or stored[name] != played[name]
    ]


def _finite(value: object) -> object:
    """A value as JSON can hold it."""
    return str(value) if isinstance(value, float) and not isfinite(value) else value


def _other_versions(run: StoredRun) -> dict[str, dict[str, str]]:
    """The kernel, and the libraries, whose version in the run differs from the installed version."""
    recorded = read_json(run.folder, RUN)
    versions = recorded.get("versions", {}) if isinstance(recorded, dict) else {}
    made = run.plan.kernel_version
    kernel = {"kernel": {"run": str(made), "here": str(KERNEL_VERSION)}} if made != KERNEL_VERSION else {}
    return kernel | {
        name: {"run": made, "here": version(name)}
        for name, made in versions.items()
        if name != "python" and version(name) != made
    }


ANSWER = Answer(
    name="replay",
    sentence="One trial, played again and narrated week by week.",
    request=ReplayRequest,
    result=Replay,
    compute=replay,
    examples=({"trial": 12},),
    cannot_weigh="has no meaning for one trial: ask about all trials, for instance with summary",
)
