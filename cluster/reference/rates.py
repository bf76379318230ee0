"""The shipped counts of past threats, and the rates of a class as they were known on a day."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from importlib import resources
from typing import Any, TypeVar

import yaml

from sim.faults import Fault, InvalidInput
from sim.scenario.scenario import Scenario
from sim.statistics import base_rates
from sim.statistics.base_rates import ENDINGS
from sim.statistics.estimates import UNKNOWN, Estimate, proportion
from sim.statistics.scoring_rules import half_added

_Known = TypeVar("_Known")
ALL = "all"
DEMAND = "demand"
"""The partition by how specific the demand was and how strongly the sender was committed."""
LISTS = "lists-with-deadline"
SETTLED_BY_WEEKS = (12, 26, 52, 104)
"""The weeks from a threat by which it is counted whether it was settled."""
FATES = ("agreed", "withdrawn", "in_force")
"""What becomes of sanctions: an agreement, a withdrawal without one, or neither yet."""
QUARTILES = (0.25, 0.5, 0.75)


@dataclass(frozen=True)
class ReferenceClass:
    """A class of past threats: how many had ended in each of `ENDINGS` by the end of each year (cumulative).

    `settled_by_week` has, by year and week, in how many threats a settlement had come by that week from the threat, and
    of how many, as `sim.statistics.base_rates.incidence_by_day` counts them. `agreed_within_two_years` has, by year, in
    how many the sides agreed within 104 weeks of the threat, after an imposition too, and of how many that was known.
    """

    name: str
    title: str
    partition: str | None
    """The property by which the class divides the threats; None for all of them."""
    open: int
    counts: Mapping[int, tuple[int, int, int]]
    settled_by_week: Mapping[int, Mapping[int, tuple[float, float]]]
    agreed_within_two_years: Mapping[int, tuple[int, int]]

    def agreed_before(self, day: date | None) -> tuple[int, int]:
        """In how many threats the sides agreed within 104 weeks, and of how many that is known, as known on a day."""
        return _known(self.agreed_within_two_years, day) or (0, 0)

    def settled_before(self, week: int, day: date | None) -> tuple[float, float]:
        """In how many threats a settlement had come by a week from the threat, and of how many, as known on a day."""
        found = _known(self.settled_by_week, day)
        return (0.0, 0.0) if found is None else found[week]

    def before(self, day: date | None) -> tuple[int, int, int]:
        """The counts known on a day: of the threats that had ended in the years before it; all without a day."""
        return _known(self.counts, day) or (0, 0, 0)


def _known(by_year: Mapping[int, _Known], day: date | None) -> _Known | None:
    """What was known on a day: the entry of the last year that had ended before it; the last of all without a day."""
    years = [year for year in by_year if day is None or year < day.year]
    return by_year[max(years)] if years else None


@dataclass(frozen=True)
class CountedShare:
    """A count out of a total as it stood on a day, with what is counted and its source."""

    title: str
    counted_on: date
    count: int
    of: int
    source: str

    def estimate(self) -> Estimate:
        """The share with Wilson's 95 % interval."""
        return proportion(self.count, self.of)


@dataclass(frozen=True)
class Share:
    """A share of disputes before the WTO, counted on one day or several, the earliest first.

    The record has no dates of reports and of their implementation, so that nothing is known between those days.
    """

    name: str
    counts: tuple[CountedShare, ...]

    def before(self, day: date | None) -> CountedShare | None:
        """The last count before a day, the last of all without one; None if there was none yet."""
        known = [one for one in self.counts if day is None or one.counted_on < day]
        return known[-1] if known else None


@dataclass(frozen=True)
class EndedThreat:
    """The day on which a threat ended, how, and the day of its announcement, known of those that were settled.

    `could_complain` says whether the target could complain to the WTO, and `complained_on` when it did, if it did.
    """

    day: date
    ending: str
    announced: date | None
    could_complain: bool
    complained_on: date | None


@dataclass(frozen=True)
class Record:
    """A group of threats that is no class of its own: its counts, in the order of `ENDINGS`, and how each ended.

    `ended` is None where only the counts are known.
    """

    name: str
    title: str
    counts: tuple[int, int, int]
    ended: tuple[EndedThreat, ...] | None
    source: str

    def before(self, day: date | None) -> tuple[int, int, int] | None:
        """The counts of the threats that had ended before a day, of all without one; None if that is not known."""
        if day is None:
            return self.counts
        return None if self.ended is None else _ended_counts(self.ended, day)

    def settled_within(self, weeks: int, day: date | None) -> tuple[int, int]:
        """Of the threats that were settled before a day: how many within some weeks of the announcement, and of all."""
        settled = [one for one in self.ended or () if one.announced and (day is None or one.day < day)]
        return sum(one.day - one.announced <= timedelta(weeks=weeks) for one in settled if one.announced), len(settled)

    def complained(self, day: date | None) -> tuple[int, int]:
        """How many targets complained to the WTO before a day, and of how many that could.

        Of the threats that had ended before the day.
        """
        could = [one for one in self.ended or () if one.could_complain and (day is None or one.day < day)]
        did = [one for one in could if one.complained_on and (day is None or one.complained_on < day)]
        return len(did), len(could)


def _ended_counts(ended: tuple[EndedThreat, ...], before: date) -> tuple[int, int, int]:
    known = [one.ending for one in ended if one.day < before]
    settled, imposed, dropped = (known.count(name) for name in ENDINGS)
    return settled, imposed, dropped


@dataclass(frozen=True)
class SanctionDays:
    """How long sanctions had lasted, in days: quartiles by Kaplan and Meier, each with its 95 % interval.

    A quartile, or an end of an interval, that had not been reached is None. `observed_median` is that of the sanctions
    which had ended alone.
    """

    episodes: int
    ended: int
    quartiles: Mapping[str, tuple[float | None, float | None, float | None]]
    observed_median: float | None


@dataclass(frozen=True)
class Sanctions:
    """What had become of sanctions some weeks after their imposition, as known at the end of each year.

    `after_weeks` has, by weeks and year, how many had ended in an agreement, had been withdrawn, and were in force.
    `days` has, by year, the quartiles of their length in days with 95 % intervals, and how many had ended.
    """

    title: str
    source: str
    after_weeks: Mapping[int, Mapping[int, tuple[int, int, int]]]
    days: Mapping[int, SanctionDays]


@dataclass(frozen=True)
class BaseRates:
    """The shipped counts."""

    source: str
    classes: Mapping[str, ReferenceClass]
    records: Mapping[str, Record]
    sanctions: Sanctions
    wto: Mapping[str, Share]


@cache
def shipped_rates() -> BaseRates:
    """The counts of ``configs/base_rates.yaml``."""
    # The loader in C takes a tenth of the time.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    document = yaml.load((resources.files("configs") / "base_rates.yaml").read_text(encoding="utf-8"), loader)
    return BaseRates(
        source=document["source"],
        classes={
            name: ReferenceClass(
                name,
                one["title"],
                one.get("partition"),
                one["open"],
                {int(year): tuple(counts) for year, counts in one["counts"].items()},
                {
                    int(year): {int(week): (float(count), float(of)) for week, (count, of) in by_week.items()}
                    for year, by_week in one["settled_by_week"].items()
                },
                {int(year): tuple(counts) for year, counts in one["agreed_within_two_years"].items()},
            )
            for name, one in document["classes"].items()
        },
        records={name: _record(name, one) for name, one in document["records"].items()},
        sanctions=_sanctions(document["sanctions"], document["source"]),
        wto={
            name: Share(
                name,
                tuple(
                    CountedShare(one["title"], one["counted_on"], one["count"], one["of"], one["source"])
                    for one in sorted(counts, key=lambda one: one["counted_on"])
                ),
            )
            for name, counts in document["wto"].items()
        },
    )


def _sanctions(document: Mapping[str, Any], source: str) -> Sanctions:
    return Sanctions(
        document["title"],
        source,
        {
            int(weeks): {int(year): tuple(counts) for year, counts in by_year.items()}
            for weeks, by_year in document["after_weeks"].items()
        },
        {
            int(year): SanctionDays(
                one["sanctions"],
                one["ended"],
                {str(level): tuple(one[level]) for level in QUARTILES},
                one["observed_median"],
            )
            for year, one in document["days"].items()
        },
    )


def _record(name: str, document: Mapping[str, Any]) -> Record:
    source = " ".join(document["source"].split())
    if "counts" in document:
        settled, imposed, dropped = document["counts"]
        return Record(name, document["title"], (settled, imposed, dropped), None, source)
    ended = tuple(
        EndedThreat(one["day"], one["ending"], one.get("announced"), "complained_on" in one, one.get("complained_on"))
        for one in document["ended"]
    )
    return Record(name, document["title"], _ended_counts(ended, date.max), ended, source)


def class_names() -> tuple[str, ...]:
    """The names of the reference classes."""
    return tuple(shipped_rates().classes)


def reference_class(name: str) -> ReferenceClass:
    """The class of that name. Raises `InvalidInput` with the names there are."""
    found = shipped_rates().classes.get(name)
    if found is None:
        known = ", ".join(class_names())
        raise InvalidInput((Fault("reference", name, f"is not a reference class; there are {known}"),))
    return found


def scenario_class(scenario: Scenario) -> str:
    """The reference class that a scenario names. Raises `InvalidInput` if it names none, or one that there is not."""
    if scenario.reference is None:
        known = ", ".join(class_names())
        message = f"is missing: {scenario.name} names no reference class; there are {known}"
        raise InvalidInput((Fault("reference", None, message),))
    return reference_class(scenario.reference).name


def prior_weight(partition: str | None, day: date | None) -> float:
    """The weight of the overall rates in the rates of a partition's classes, in episodes, from the counts of a day.

    That of the demand for all threats together, whose own rates it does not change.
    """
    found = [one for one in shipped_rates().classes.values() if one.partition == (partition or DEMAND)]
    return base_rates.partition_weight([one.before(day) for one in found])


def class_rates(name: str, day: date | None = None) -> dict[str, Any]:
    """A class's counts and rates as known on a day (today without one), as plain values.

    ``rates`` are the class's own shares with Wilson's intervals, ``pooled`` the posterior rates (see
    `sim.statistics.base_rates.pooled_estimates`), ``agreed_within_two_years`` the pooled share of threats of which an
    agreement came within 104 weeks, whatever was between. Raises `InvalidInput` for an unknown class.
    """
    found = reference_class(name)
    counts, overall = found.before(day), shipped_rates().classes[ALL].before(day)
    weight = prior_weight(found.partition, day)
    return {
        "class": name,
        "title": found.title,
        "partition": found.partition,
        "known_on": None if day is None else day.isoformat(),
        "counts": dict(zip(ENDINGS, counts, strict=True)),
        "episodes": sum(counts),
        "open": found.open,
        "rates": base_rates.rates(counts),
        "pooled": base_rates.pooled_estimates(counts, overall, weight),
        "prior_weight": weight,
        "agreed_within_two_years": base_rates.pooled_share(
            *found.agreed_before(day), shipped_rates().classes[ALL].agreed_before(day), weight
        ),
        "agreed_by_week": {str(week): settled_by_week(name, week, day) for week in SETTLED_BY_WEEKS},
    }


def settled_by_week(name: str, week: int, day: date | None) -> Estimate:
    """The share of a class's threats that were settled by a week from the threat, as known on a day.

    The cumulative incidence of settlement, other endings competing with it, of the class's dated threats, pooled with
    that of all dated threats as the class's rates are. `week` is one of `SETTLED_BY_WEEKS`.
    """
    found, day_of_all = reference_class(name), shipped_rates().classes[ALL]
    own, overall = found.settled_before(week, day), day_of_all.settled_before(week, day)
    return base_rates.pooled_share(*own, overall, prior_weight(found.partition, day)) if overall[1] else UNKNOWN


def settled_within(weeks: int, settled: Estimate, day: date | None) -> Estimate:
    """The share of threats that are settled within some weeks of their announcement, as known on a day.

    The share that is `settled`, times the share of the settled lists of goods with a deadline that were settled so
    soon. Sanctions that are threatened in the model have a deadline, as those lists had; the classes count weeks from
    the first threat, which often came months before a list.
    """
    return base_rates.share_of_share(settled, *shipped_rates().records[LISTS].settled_within(weeks, day))


def sanctions_after(weeks: int, day: date | None) -> tuple[int, int, int]:
    """What had become of American sanctions so many weeks after their imposition, as known on a day.

    How many had ended in an agreement, had been withdrawn without one, and were in force; of those of which that was
    known at the end of the year before. `weeks` is 52 or 104.
    """
    return _known(shipped_rates().sanctions.after_weeks[weeks], day) or (0, 0, 0)


def sanctions_record(day: date | None) -> dict[str, Any]:
    """What became of American sanctions and how long they lasted, as known on a day, as plain values.

    ``days`` is null where none had been imposed by then.
    """
    shipped = shipped_rates().sanctions
    days = _known(shipped.days, day)
    return {
        "title": shipped.title,
        "source": shipped.source,
        "after_weeks": [
            {
                "weeks": weeks,
                "known": sum(counts),
                "counts": dict(zip(FATES, counts, strict=True)),
                "rates": {name: proportion(count, sum(counts)) for name, count in zip(FATES, counts, strict=True)},
            }
            for weeks in shipped.after_weeks
            for counts in (sanctions_after(weeks, day),)
        ],
        "days": None
        if days is None
        else {
            "sanctions": days.episodes,
            "ended": days.ended,
            "observed_median": days.observed_median,
            "quartiles": {
                level: {"estimate": estimate, "standard_error": None, "low": low, "high": high}
                for level, (estimate, low, high) in days.quartiles.items()
            },
        },
    }


def known_rates(reference: str | None, day: date | None) -> dict[str, dict[str, float]]:
    """Two forecasts of how a threat ends that need no model, as known on a day: probabilities by `ENDINGS`.

    ``class_rates`` are the pooled rates of the reference class, the overall rates if none is named; ``record`` are the
    shares among lists of goods with a deadline, half a threat added to each ending. Raises `InvalidInput` for an
    unknown class.
    """
    found = reference_class(reference or ALL)
    overall = shipped_rates().classes[ALL].before(day)
    pooled = base_rates.pooled_rates(found.before(day), overall, prior_weight(found.partition, day))
    lists = shipped_rates().records[LISTS].before(day)
    assert lists is not None
    return {
        "class_rates": dict(zip(ENDINGS, pooled.tolist(), strict=True)),
        "record": dict(zip(ENDINGS, half_added(lists), strict=True)),
    }


def scenario_rates(scenario: Scenario, day: date | None = None) -> dict[str, Any]:
    """The rates of a scenario's reference class as known on a day, its `as_of` without one, as plain values.

    In the form of `rates_document`, with that class alone. Raises `InvalidInput` if the scenario names no class, or
    one that there is not.
    """
    reference = scenario_class(scenario)
    if day is None and scenario.as_of is not None:
        day = date.fromisoformat(scenario.as_of)
    found = class_rates(reference, day)
    return {
        "source": shipped_rates().source,
        "scenario": scenario.name,
        "known_on": found["known_on"],
        "classes": [found],
        "records": [],
        "sanctions": sanctions_record(day),
        "wto": [],
    }


def rates_document(day: date | None = None, reference: str | None = None) -> dict[str, Any]:
    """Every class's rates as known on a day, the other records and the WTO's shares, as plain values.

    A record whose threats have no dates is left out where a day is given, and a share of the WTO's that had not been
    counted by then. With a `reference`, that class alone. Raises `InvalidInput` if there is no such class.
    """
    shipped = shipped_rates()
    if reference is not None:
        return {
            "source": shipped.source,
            "known_on": None if day is None else day.isoformat(),
            "classes": [class_rates(reference, day)],
            "records": [],
            "sanctions": sanctions_record(day),
            "wto": [],
        }
    return {
        "source": shipped.source,
        "known_on": None if day is None else day.isoformat(),
        "classes": [class_rates(name, day) for name in shipped.classes],
        "records": [
            {
                "record": one.name,
                "title": one.title,
                "counts": dict(zip(ENDINGS, counts, strict=True)),
                "rates": base_rates.rates(counts),
                "source": one.source,
            }
            for one in shipped.records.values()
            if (counts := one.before(day)) is not None
        ],
        "sanctions": sanctions_record(day),
        "wto": [
            {
                "share": name,
                "title": found.title,
                "counted_on": found.counted_on.isoformat(),
                "count": found.count,
                "of": found.of,
                "estimate": found.estimate(),
                "source": found.source,
            }
            for name, one in shipped.wto.items()
            if (found := one.before(day)) is not None
        ],
    }
