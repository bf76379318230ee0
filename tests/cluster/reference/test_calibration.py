"""Base rates of a table, and the shipped counts."""

import json
from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise

import pytest

from cluster.reference.calibration import calibrate
from cluster.reference.episodes import COMMITMENTS, Episode, EpisodeTable
from cluster.reference.rates import ALL, class_rates, rates_document, shipped_rates
from sim.faults import InvalidInput
from sim.statistics import base_rates
from sim.statistics.base_rates import ENDINGS


def episode(k: int, outcome: str, *, days: int = 100, specific: bool | None = True, commitment: str | None = "strong"):
    began = date(1980 + k % 20, 1 + k % 12, 1)
    end = None if outcome == "open" else date.fromordinal(began.toordinal() + days)
    imposed = end if outcome == "imposed" else None
    agreed = None if outcome == "imposed" else outcome == "settled"
    return Episode(
        id=str(k),
        target=f"t{k % 7}",
        began=began,
        outcome=outcome,
        imposed_on=imposed,
        ended_on=end,
        year_ended=end and end.year,
        agreed=agreed,
        agreed_on=end if agreed else None,
        specific=specific,
        commitment=commitment,
    )


def table(episodes) -> EpisodeTable:
    return EpisodeTable("own", len(episodes), tuple(episodes), {}, date(2005, 12, 31))


def test_every_count_adds_up():
    outcomes = ["settled"] * 40 + ["imposed"] * 15 + ["dropped"] * 20 + ["open"] * 5
    found = calibrate(
        table(
            [
                episode(k, outcome, specific=k % 2 == 0, commitment=COMMITMENTS[k % 3])
                for k, outcome in enumerate(outcomes)
            ]
        )
    )
    by_class = {one["class"]: one for one in found["classes"]}
    assert by_class["all"]["counts"] == {"settled": 40, "imposed": 15, "dropped": 20}
    assert by_class["all"]["open"] == 5
    for name in ENDINGS:
        parts = [by_class[f"{word} demand"]["counts"][name] for word in ("specific", "unspecific")]
        assert sum(parts) == by_class["all"]["counts"][name]
        parts = [by_class[f"{level} commitment"]["counts"][name] for level in COMMITMENTS]
        assert sum(parts) == by_class["all"]["counts"][name]
    last = {name: list(years.values())[-1] for name, years in found["counts_by_year"].items()}
    assert last["all"] == [40, 15, 20]
    assert [sum(counts) for counts in zip(*(one for name, one in last.items() if "demand, " in name), strict=True)] == [
        40,
        15,
        20,
    ]
    json.dumps(found, allow_nan=False)


def test_classes_are_pooled_with_the_weight_of_their_own_partition():
    """The weights of eras and of targets follow the counts of either, as those of the shipped rates do."""
    outcomes = ["settled"] * 60 + ["dropped"] * 60
    found = calibrate(table([replace(episode(k, one), target=f"t{k % 5}") for k, one in enumerate(outcomes)]))
    for partition in ("era", "target"):
        own = [one for one in found["classes"] if one["partition"] == partition]
        weight = base_rates.partition_weight([list(one["counts"].values()) for one in own])
        assert {one["prior_weight"] for one in own} == {weight}
        for one in own:
            expected = base_rates.pooled_estimates(list(one["counts"].values()), (60, 0, 60), weight)
            assert one["pooled"] == expected


def test_agreement_by_a_week_follows_the_dates():
    found = calibrate(table([episode(k, "settled", days=7 * 20) for k in range(30)]))
    assert [one["estimate"] for one in found["classes"][0]["agreed_by"].values()] == [0.0, 1.0, 1.0, 1.0]
    durations = found["classes"][0]["durations_days"]
    assert durations["threat_to_settlement"]["quartiles"]["0.5"]["estimate"] == 140.0


def test_agreements_within_two_years_are_counted_where_they_are_known():
    began = date(1990, 1, 1)

    def imposed(number: int, agreed: bool | None, agreed_on: date | None) -> Episode:
        one = episode(number, "imposed")
        return replace(
            one, began=began, imposed_on=date(1990, 6, 1), year_ended=1990, agreed=agreed, agreed_on=agreed_on
        )

    last = began + timedelta(weeks=104)
    episodes = [
        episode(0, "settled"),
        episode(1, "settled", days=729),
        replace(episode(2, "settled"), began=None),
        episode(3, "dropped"),
        imposed(4, True, last),
        imposed(5, True, last + timedelta(days=1)),
        imposed(6, True, None),
        imposed(7, False, None),
        imposed(8, None, None),
    ]
    found = calibrate(table(episodes))
    agreed = found["classes"][0]["agreed_within_two_years"]
    # Yes: 0 and 4. No: 1, 3, 5, 7, and 8, since two years have passed. Not known: 2 and 6.
    assert (agreed["agreed"], agreed["known"]) == (2, 7)
    by_year = found["agreed_within_two_years_by_year"]["all"]
    # At the end of 1990 it was not known of 4, 5 and 8; 1, 2 and 3 ended in 1981, 1982 and 1983.
    assert by_year["1990"] == [1, 4]


def test_what_became_of_sanctions_is_counted_when_it_is_known():
    imposed_on = date(1990, 6, 1)
    year = imposed_on + timedelta(weeks=52)

    def imposed(number: int, agreed: bool | None, ended_on: date | None) -> Episode:
        one = episode(number, "imposed")
        return replace(one, imposed_on=imposed_on, year_ended=1990, agreed=agreed, ended_on=ended_on, agreed_on=None)

    episodes = [
        episode(0, "settled"),
        imposed(1, True, date(1990, 8, 1)),
        imposed(2, False, year),
        imposed(3, True, year + timedelta(days=1)),
        imposed(4, None, None),
        imposed(5, False, None),
        replace(imposed(6, True, year), imposed_on=None),
    ]
    found = calibrate(table(episodes))["sanctions_by_year"]
    # Ended in an agreement, withdrawn, in force: not known of 5 and 6, and of 2 to 4 only after a year.
    assert found["52"] == {"1990": [1, 0, 0], "1991": [1, 1, 2]}
    assert found["104"] == {"1990": [1, 0, 0], "1991": [2, 1, 0]}


def test_settlements_by_week_are_those_known_at_the_end_of_the_year():
    """Five threats of June 1990: two settled after 10 and 40 weeks, one imposed after 20, one dropped, one open."""
    began = date(1990, 6, 1)

    def threat(number: int, outcome: str, weeks: int | None) -> Episode:
        end = None if weeks is None else began + timedelta(weeks=weeks)
        imposed_on = end if outcome == "imposed" else None
        one = episode(number, outcome)
        return replace(one, began=began, imposed_on=imposed_on, ended_on=end, year_ended=end and end.year)

    ends = (("settled", 10), ("settled", 40), ("imposed", 20), ("dropped", 45), ("open", None))
    found = calibrate(table([threat(k, outcome, weeks) for k, (outcome, weeks) in enumerate(ends)]))
    by_year = found["settled_by_week_by_year"]["all"]
    # At the end of 1990, week 30, of the four others one had been imposed, and three had not ended.
    assert by_year["1990"]["12"] == pytest.approx([1, 5])
    assert by_year["1990"]["52"] == pytest.approx([1, 5]), "nothing is known of the weeks after the 30th"
    assert by_year["1991"]["52"] == pytest.approx([2, 5])
    assert found["classes"][0]["agreed_by"]["52"]["estimate"] == pytest.approx(0.4)


def test_sanctions_that_ended_on_an_unknown_day_have_no_length():
    imposed_on = date(1990, 6, 1)

    def imposed(number: int, agreed: bool | None, days: int | None) -> Episode:
        ended_on = None if days is None else imposed_on + timedelta(days=days)
        return replace(episode(number, "imposed"), imposed_on=imposed_on, agreed=agreed, ended_on=ended_on)

    found = calibrate(
        table([imposed(1, True, 100), imposed(2, False, 300), imposed(3, None, None), imposed(4, True, None)])
    )
    lasted = found["classes"][0]["durations_days"]["imposition_to_end"]
    assert (lasted["episodes"], lasted["events"], lasted["observed_median"]) == (3, 2, 200.0)
    assert [lasted["quartiles"][level]["estimate"] for level in ("0.25", "0.5", "0.75")] == [100.0, 300.0, None]
    assert found["sanction_days_by_year"]["1990"]["events"] == 1


def test_shipped_shares_by_week_grow_with_the_weeks_and_lie_below_the_settlements():
    for one in shipped_rates().classes.values():
        for year, by_week in one.settled_by_week.items():
            shares = [count / of for count, of in by_week.values() if of]
            assert shares == sorted(shares), (one.name, year)
        assert list(by_week) == [12, 26, 52, 104]
        assert one.settled_before(104, None)[0] <= one.counts[max(one.counts)][0] + 0.05, one.name


@pytest.mark.parametrize("count", [1, 2, 19])
def test_few_episodes_give_counts_and_no_scores(count):
    found = calibrate(table([episode(k, "settled") for k in range(count)]))
    assert found["classes"][0]["counts"]["settled"] == count
    assert found["scores"] == {"leave_one_out": None, "leave_one_target_out": None, "rolling_origin": None}
    json.dumps(found, allow_nan=False)


def test_shipped_counts_only_grow_and_cells_stay_within_all():
    shipped = shipped_rates()
    overall = shipped.classes[ALL]
    for one in shipped.classes.values():
        counts = [one.counts[year] for year in sorted(one.counts)]
        for before, after in pairwise(counts):
            assert all(a <= b for a, b in zip(before, after, strict=True))
        for year, own in one.counts.items():
            assert all(a <= b for a, b in zip(own, overall.before(date(year + 1, 1, 1)), strict=True))


def test_rates_of_a_day_use_nothing_later():
    before = class_rates("specific-strong", date(1995, 4, 17))
    assert before["counts"] == {"settled": 10, "imposed": 6, "dropped": 1}
    assert class_rates("specific-strong")["counts"] == {"settled": 18, "imposed": 11, "dropped": 2}
    assert class_rates("all", date(1970, 1, 1))["episodes"] == 0
    json.dumps(rates_document(date(1970, 1, 1)), allow_nan=False)


def test_an_unknown_class_is_refused_with_the_known_ones():
    with pytest.raises(InvalidInput, match="specific-strong"):
        class_rates("vague")
