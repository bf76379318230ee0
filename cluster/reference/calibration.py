"""Base rates from a table of episodes: counts, rates, durations, and the scores of the rates themselves."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np

from cluster.reference.episodes import COMMITMENTS, OPEN, Episode, EpisodeTable
from cluster.reference.rates import DEMAND
from sim.statistics import base_rates
from sim.statistics.base_rates import ENDINGS, Counted, Episodes, Forecasts
from sim.statistics.estimates import Estimate, proportion

TARGET = "target"
"""The partition by target."""
ALL_THREATS = None
"""The partition of the class of all threats."""
AGREED_BY_WEEKS = (12, 26, 52, 104)
ERAS = (
    ("before September 1985", date(1, 1, 1), date(1985, 8, 31)),
    ("September 1985 to April 1995", date(1985, 9, 1), date(1995, 4, 30)),
    ("after April 1995", date(1995, 5, 1), date(9999, 12, 31)),
)
"""September 1985: the United States began to open trade cases of its own; 1995: the WTO and its dispute settlement."""
TWO_YEARS = timedelta(weeks=104)
SANCTIONS_AFTER = (52, 104)
"""Weeks after an imposition at which it is counted what had become of the sanctions."""
FEWEST_OF_TARGET = 10
_METHOD = {
    "rates": "shares of the ended episodes, with Wilson's 95 % interval",
    "pooled": (
        "the class's counts with a Dirichlet prior at the overall rates, whose weight (in episodes) is estimated from "
        "the classes of the same partition together: eras from eras, targets from targets; posterior mean and 95 % "
        "interval"
    ),
    "durations": (
        "quartiles by Kaplan and Meier; an episode without the event is censored at its end. For threat to "
        "settlement and threat to imposition, the other endings censor an episode. observed_median is the median of "
        "the episodes that had the event alone: it is shorter, since it leaves out those that had not yet had it. "
        "Sanctions that ended on an unknown day are left out of imposition to end"
    ),
    "agreed_by": (
        "probability of a settlement by that week from the first threat, other endings being possible too (Aalen and "
        "Johansen), with Wilson's 95 % interval of as many episodes as give its variance; an imposition counts as "
        "another ending, whatever was agreed later"
    ),
    "settled_by_week_by_year": (
        "the same as known at the end of each year, as a count out of a total by week: a threat that had not ended by "
        "then is censored there. Counts and totals need not be whole, since they stand for a share and its variance"
    ),
    "agreed_within_two_years": (
        "the ended threats of which it is known whether the sides agreed within 104 weeks of the threat, after an "
        "imposition too, with Wilson's 95 % interval"
    ),
    "sanctions_by_year": (
        "by weeks after an imposition and by year: how many sanctions had ended in an agreement, had been withdrawn "
        "without one, and were in force, of those of which that was known at the end of the year. An imposition that "
        "the table leaves open counts as in force; one that ended on an unknown day is left out"
    ),
    "sanction_days_by_year": "days from imposition to end, see durations, as known at the end of each year",
    "scores": (
        "Brier score (0 to 2) and log score of forecasts from the rates of specificity and commitment, pooled, and "
        "from the overall rates; the difference is class less overall, so below 0 the classes help; its 95 % interval "
        "is clustered by target and year of the threat. Of episodes whose specificity and commitment are known, each "
        f"from at least {base_rates.FEWEST} others. scores_by_partition: the same with the classes of one property, of "
        "the episodes of which it is known. Of a date of which a part is missing the first day that it allows counts "
        "for a threat, and the last one for an end, so that no forecast uses what was later"
    ),
    "reliability": "forecasts of the leave-one-target-out test in bands, with the share that happened (Wilson's 95 %)",
}


def calibrate(table: EpisodeTable) -> dict[str, Any]:
    """Counts, rates, durations and scores of a table's episodes, as plain values.

    Raises nothing: a number that needs more episodes is null.
    """
    ended = [one for one in table.episodes if one.outcome != OPEN]
    overall = _counts(ended)
    classes = _classes(table.episodes)
    weights = _prior_weights(classes)
    open_episodes = len(table.episodes) - len(ended)
    return {
        "table": {
            "kind": table.kind,
            "rows": table.rows,
            "episodes": len(table.episodes),
            "ended": len(ended),
            "left_out": {**table.left_out, "still open": open_episodes},
        },
        "method": _METHOD,
        "prior_weight": weights[ALL_THREATS],
        "classes": [
            {
                "class": one.name,
                "partition": one.partition,
                **_class(one.members, overall, weights[one.partition], table.watched_until),
            }
            for one in classes
        ],
        "counts_by_year": counts_by_year(ended),
        "agreed_within_two_years_by_year": agreed_by_year(ended),
        "settled_by_week_by_year": settled_by_week_by_year(table.episodes, table.watched_until),
        "sanctions_by_year": sanctions_by_year(ended),
        "sanction_days_by_year": sanction_days_by_year(ended, table.watched_until),
        "scores": _scores(ended, DEMAND),
        "scores_by_partition": {partition: _scores(ended, partition) for partition in _CELLS},
        "reliability": _reliability(ended),
    }


@dataclass(frozen=True)
class _EpisodeClass:
    """A class of episodes; `partition` is the property by which it divides them, None for all of them."""

    name: str
    partition: str | None
    members: list[Episode]


def _classes(episodes: Sequence[Episode]) -> list[_EpisodeClass]:
    """The classes with any episode: all, by specificity and commitment, each of the two alone, era and target.

    A target has a class of its own if at least `FEWEST_OF_TARGET` of its episodes have ended.
    """
    tests: list[tuple[str, str | None, Callable[[Episode], bool]]] = [("all", ALL_THREATS, lambda one: True)]
    for specific, word in ((True, "specific demand"), (False, "unspecific demand")):
        tests.append((word, "specificity", lambda one, specific=specific: one.specific is specific))  # type: ignore[misc]
    for level in COMMITMENTS:
        tests.append((f"{level} commitment", "commitment", lambda one, level=level: one.commitment == level))  # type: ignore[misc]
    for specific, word in ((True, "specific"), (False, "unspecific")):
        for level in COMMITMENTS:
            tests.append(
                (
                    f"{word} demand, {level} commitment",
                    DEMAND,
                    lambda one, specific=specific, level=level: one.specific is specific and one.commitment == level,  # type: ignore[misc]
                )
            )
    for name, first, last in ERAS:
        tests.append(
            (name, "era", lambda one, first=first, last=last: one.began is not None and first <= one.began <= last)  # type: ignore[misc]
        )
    ended = Counter(one.target for one in episodes if one.outcome != OPEN)
    for target in sorted(name for name, count in ended.items() if count >= FEWEST_OF_TARGET):
        tests.append((f"target {target}", TARGET, lambda one, target=target: one.target == target))  # type: ignore[misc]
    found = [_EpisodeClass(name, partition, [one for one in episodes if test(one)]) for name, partition, test in tests]
    return [one for one in found if one.members]


def _prior_weights(classes: Sequence[_EpisodeClass]) -> dict[str | None, float]:
    """The weight of the overall rates in the pooled rates of each partition's classes, in episodes.

    That of the demand for all threats together, whose own rates it does not change.
    """
    counts: dict[str | None, list[list[int]]] = {one.partition or DEMAND: [] for one in classes}
    for one in classes:
        if one.partition is not None:
            counts[one.partition].append(_counts([each for each in one.members if each.outcome != OPEN]))
    found = {partition: base_rates.partition_weight(own) for partition, own in counts.items()}
    return {**found, ALL_THREATS: found[DEMAND]}


def class_rows(document: dict[str, Any]) -> list[dict[str, object]]:
    """The classes of a `calibrate` document as flat rows, a number or null in each cell, for a table.

    Shares have the columns ``_low`` and ``_high`` for their 95 % intervals; durations are quartiles in days.
    """
    rows = []
    for one in document["classes"]:
        row: dict[str, object] = {name: one[name] for name in ("class", "episodes", "open")}
        shares = {**one["rates"], **{f"{name}_pooled": found for name, found in one["pooled"].items()}}
        shares["agreed_within_two_years"] = one["agreed_within_two_years"]["share"]
        row |= one["counts"]
        for name, found in shares.items():
            row |= {f"{name}_share": found["estimate"], f"{name}_low": found["low"], f"{name}_high": found["high"]}
        for name, found in one["durations_days"].items():
            row |= {f"{name}_days_{level}": quartile["estimate"] for level, quartile in found["quartiles"].items()}
        for week, share in one["agreed_by"].items():
            row |= {f"settled_by_week_{week}": share["estimate"]}
            row |= {f"settled_by_week_{week}_{end}": share[end] for end in ("low", "high")}
        rows.append(row)
    return rows


def _class(
    members: Sequence[Episode], overall: Sequence[int], weight: float, watched_until: date | None
) -> dict[str, object]:
    ended = [one for one in members if one.outcome != OPEN]
    counts = _counts(ended)
    return {
        "episodes": len(members),
        "open": len(members) - len(ended),
        "counts": dict(zip(ENDINGS, counts, strict=True)),
        "rates": base_rates.rates(counts),
        "pooled": base_rates.pooled_estimates(counts, overall, weight),
        "prior_weight": weight,
        "durations_days": _durations(members, watched_until),
        "agreed_by": _agreed_by(members, watched_until),
        "agreed_within_two_years": _agreed_share(ended, watched_until),
    }


def counts_by_year(ended: Sequence[Episode]) -> dict[str, dict[str, list[int]]]:
    """How many episodes of each class had ended by the end of each year, in the order of `ENDINGS`, by class and year.

    An episode whose year of ending is not known is counted in the last year alone.
    """
    years = [one.year_ended for one in ended if one.year_ended is not None]
    if not years:
        return {}
    found: dict[str, dict[str, list[int]]] = {}
    for own in _classes(ended):
        found[own.name] = {
            str(year): _counts([one for one in own.members if (one.year_ended or max(years)) <= year])
            for year in range(min(years), max(years) + 1)
        }
    return found


def agreed_by_year(ended: Sequence[Episode]) -> dict[str, dict[str, list[int]]]:
    """How many episodes of each class had agreed within `TWO_YEARS`, and of how many that was known, by class and year.

    As known at the end of each year, of episodes that had ended by then.
    """
    years = [one.year_ended for one in ended if one.year_ended is not None]
    found: dict[str, dict[str, list[int]]] = {}
    for own in _classes(ended) if years else ():
        found[own.name] = {}
        for year in range(min(years), max(years) + 1):
            known = [one for one in own.members if (one.year_ended or max(years)) <= year]
            found[own.name][str(year)] = list(_agreed(known, date(year, 12, 31)))
    return found


def sanctions_by_year(ended: Sequence[Episode]) -> dict[str, dict[str, list[int]]]:
    """What had become of sanctions by weeks after their imposition (`SANCTIONS_AFTER`) and by year.

    Counts of those that had ended in an agreement, had been withdrawn without one, and were in force, of all classes,
    as far as known at the end of the year.
    """
    imposed = [one for one in ended if one.imposed_on is not None]
    years = [one.imposed_on.year for one in imposed if one.imposed_on is not None]
    years += [one.ended_on.year for one in imposed if one.ended_on is not None]
    found: dict[str, dict[str, list[int]]] = {}
    for weeks in SANCTIONS_AFTER if years else ():
        found[str(weeks)] = {}
        for year in range(min(years), max(years) + 1):
            states = [_sanctions_after(one, timedelta(weeks=weeks), date(year, 12, 31)) for one in imposed]
            found[str(weeks)][str(year)] = [states.count(state) for state in ("agreed", "withdrawn", "in force")]
    return found


def _sanctions_after(one: Episode, time: timedelta, day: date) -> str | None:
    """What had become of sanctions some time after their imposition; None if a day does not know it."""
    imposed_on, ended_on = one.imposed_on, one.ended_on
    if imposed_on is None or (ended_on is None and one.agreed is not None):
        return None
    if ended_on is not None and ended_on <= min(day, imposed_on + time):
        return "agreed" if one.agreed else "withdrawn"
    return "in force" if day > imposed_on + time else None


def _agreed_share(ended: Sequence[Episode], until: date | None) -> dict[str, int | Estimate]:
    agreed, known = _agreed(ended, until or date.max)
    return {"agreed": agreed, "known": known, "share": proportion(agreed, known)}


def _agreed(ended: Sequence[Episode], day: date) -> tuple[int, int]:
    """How many ended episodes had agreed within `TWO_YEARS`, and of how many that is known on a day."""
    answers = [_agreed_in_time(one, day) for one in ended]
    return sum(one is True for one in answers), sum(one is not None for one in answers)


def _agreed_in_time(one: Episode, day: date) -> bool | None:
    """Whether an ended episode had an agreement within `TWO_YEARS` of the threat; None if a day does not know it."""
    if one.agreed is False:
        return False
    if one.began is None:
        return None
    if one.agreed_on is not None and one.agreed_on <= day:
        return one.agreed_on - one.began <= TWO_YEARS
    if one.agreed and one.agreed_on is None:
        return None
    return False if day - one.began > TWO_YEARS else None


def _counts(ended: Sequence[Episode]) -> list[int]:
    return [sum(one.outcome == name for one in ended) for name in ENDINGS]


def _endings(ended: Sequence[Episode]) -> np.ndarray:
    return np.array([ENDINGS.index(one.outcome) for one in ended], np.int64)


def _end(one: Episode) -> date | None:
    """The day on which a threat came to its end: that of the imposition, or of the settlement or the end."""
    return one.imposed_on if one.outcome == "imposed" else one.ended_on


def _watched(one: Episode, until: date | None) -> float | None:
    """Days from the threat to its end, or to the end of observation; None if that is not known."""
    last = until if one.outcome == OPEN else _end(one)
    if one.began is None or last is None or last < one.began:
        return None
    return float((last - one.began).days)


def _durations(members: Sequence[Episode], until: date | None) -> dict[str, dict[str, object]]:
    watched = [(one.outcome, _watched(one, until)) for one in members]
    days = np.array([found for _, found in watched if found is not None])
    outcome = np.array([name for name, found in watched if found is not None])
    return {
        "threat_to_settlement": _duration(days, outcome == "settled"),
        "threat_to_imposition": _duration(days, outcome == "imposed"),
        "imposition_to_end": _sanction_days(members, until, date.max),
    }


def _sanction_days(members: Sequence[Episode], until: date | None, day: date) -> dict[str, object]:
    """How long sanctions lasted, as known on a day: days from the imposition to the end, or to the end of observation.

    Those that ended on an unknown day are left out: they had not lasted until the end of observation.
    """
    lengths, over = [], []
    for one in members:
        if one.imposed_on is None or one.imposed_on > day or (one.ended_on is None and one.agreed is not None):
            continue
        ended = one.ended_on is not None and one.ended_on <= day
        last = one.ended_on if ended else day if one.ended_on else min(day, until or one.imposed_on)
        if last is not None and last >= one.imposed_on:
            lengths.append(float((last - one.imposed_on).days))
            over.append(ended)
    return _duration(np.array(lengths), np.array(over, bool))


def sanction_days_by_year(ended: Sequence[Episode], until: date | None) -> dict[str, dict[str, object]]:
    """How long sanctions of all classes had lasted, as known at the end of each year in which some had been imposed."""
    imposed = [one for one in ended if one.imposed_on is not None]
    years = [day.year for one in imposed for day in (one.imposed_on, one.ended_on) if day is not None]
    return {
        str(year): _sanction_days(imposed, until, date(year, 12, 31))
        for year in (range(min(years), max(years) + 1) if years else ())
    }


def _duration(days: np.ndarray, observed: np.ndarray) -> dict[str, object]:
    found = base_rates.durations(days, observed)
    return {
        "episodes": found.episodes,
        "events": found.events,
        "quartiles": found.quartiles,
        "observed_median": found.observed_median,
    }


def _agreed_by(members: Sequence[Episode], until: date | None) -> dict[str, Estimate]:
    return {str(week): counted.share() for week, counted in _settled_by_week(members, until, None).items()}


def _settled_by_week(members: Sequence[Episode], until: date | None, day: date | None) -> dict[int, Counted]:
    """In how many threats a settlement had come by each of `AGREED_BY_WEEKS`, as known on a day, if one is given."""
    cause, days = [], []
    for one in members:
        length = _watched(one, until)
        if length is None or one.began is None:
            continue
        known = length if day is None else min(length, float((day - one.began).days))
        if known >= 0.0:
            days.append(known)
            cause.append(0 if one.outcome == OPEN or known < length else 1 + ENDINGS.index(one.outcome))
    by_day = [7.0 * week for week in AGREED_BY_WEEKS]
    found = base_rates.incidence_by_day(np.array(days), np.array(cause, np.int64), by_day, 1)
    return dict(zip(AGREED_BY_WEEKS, found, strict=True))


def settled_by_week_by_year(
    episodes: Sequence[Episode], until: date | None
) -> dict[str, dict[str, dict[str, list[float]]]]:
    """Of each class by year and by week: in how many threats a settlement had come by then, and of how many.

    As known at the end of each year, see `sim.statistics.base_rates.incidence_by_day`.
    """
    years = [one.year_ended for one in episodes if one.year_ended is not None]
    found: dict[str, dict[str, dict[str, list[float]]]] = {}
    for own in _classes(episodes) if years else ():
        found[own.name] = {}
        for year in range(min(years), max(years) + 1):
            counted = _settled_by_week(own.members, until, date(year, 12, 31))
            found[own.name][str(year)] = {str(week): [one.count, one.of] for week, one in counted.items()}
    return found


_CELLS: dict[str, Callable[[Episode], object]] = {
    DEMAND: lambda one: None if one.specific is None or one.commitment is None else (one.specific, one.commitment),
    "specificity": lambda one: one.specific,
    "commitment": lambda one: one.commitment,
    TARGET: lambda one: one.target,
}
"""The class of an episode in each partition whose rates are scored; None where it is not known."""


def _arrays(ended: Sequence[Episode], partition: str) -> Episodes:
    """The episodes whose class is known in a partition, as arrays.

    Of a date of which a part is missing the first day that it allows counts for a threat, and the last one for an end,
    so that no forecast uses what was later.
    """
    cells = [_CELLS[partition](one) for one in ended]
    known = [one for one, cell in zip(ended, cells, strict=True) if cell is not None]
    names = {cell: place for place, cell in enumerate(dict.fromkeys(cell for cell in cells if cell is not None))}

    def ordinal(day: date | None) -> float:
        return float("nan") if day is None else float(day.toordinal())

    return Episodes(
        cell=np.array([names[cell] for cell in cells if cell is not None], np.int64),
        ending=_endings(known),
        target=np.unique([one.target for one in known], return_inverse=True)[1] if known else np.empty(0, np.int64),
        began=np.array([ordinal(one.began or one.began_from) for one in known]),
        ended=np.array([ordinal(_end(one) or one.over_by) for one in known]),
    )


_TESTS = {
    "leave_one_out": base_rates.all_but_itself,
    "leave_one_target_out": base_rates.all_but_same_target,
    "rolling_origin": base_rates.ended_before,
}


def _scores(ended: Sequence[Episode], partition: str) -> dict[str, dict[str, object] | None]:
    """The scores of a partition's classes in each test. Where a target is left out there is no class of it."""
    episodes = _arrays(ended, partition)
    return {
        name: _score(episodes, test(episodes))
        if episodes.cell.size and (partition, name) != (TARGET, "leave_one_target_out")
        else None
        for name, test in _TESTS.items()
    }


def _score(episodes: Episodes, known: np.ndarray) -> dict[str, object] | None:
    found: Forecasts = base_rates.forecasts(episodes, known)
    if not found.scored.size:
        return None
    ending, target = episodes.ending[found.scored], episodes.target[found.scored]
    year = np.array([date.fromordinal(int(day)).year if day == day else 0 for day in episodes.began[found.scored]])
    document: dict[str, object] = {"episodes": int(found.scored.size)}
    for name, score in (("brier", base_rates.brier_scores), ("log", base_rates.log_scores)):
        by_class, overall = score(found.by_class, ending), score(found.overall, ending)
        difference: Estimate = base_rates.clustered_mean(by_class - overall, target, year)
        document[name] = {
            "by_class": float(by_class.mean()),
            "overall": float(overall.mean()),
            "difference": difference,
        }
    return document


def _reliability(ended: Sequence[Episode]) -> dict[str, list[dict[str, object]]]:
    episodes = _arrays(ended, DEMAND)
    if not episodes.cell.size:
        return {}
    found = base_rates.forecasts(episodes, base_rates.all_but_same_target(episodes))
    ending = episodes.ending[found.scored]
    return {
        name: [
            {"low": b.low, "high": b.high, "episodes": b.count, "forecast": b.forecast, "happened": b.happened}
            for b in base_rates.reliability(found.by_class[:, k], ending == k)
        ]
        for k, name in enumerate(ENDINGS)
    }
