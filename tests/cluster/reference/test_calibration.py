"""Base rates of a table, and the shipped counts."""

import json
from datetime import date
from itertools import pairwise

import pytest

from cluster.reference.calibration import calibrate
from cluster.reference.episodes import COMMITMENTS, Episode, EpisodeTable
from cluster.reference.rates import ALL, class_rates, rates_document, shipped_rates
from sim.faults import InvalidInput
from sim.statistics.base_rates import ENDINGS


def episode(k: int, outcome: str, *, days: int = 100, specific: bool | None = True, commitment: str | None = "strong"):
    began = date(1980 + k % 20, 1 + k % 12, 1)
    end = None if outcome == "open" else date.fromordinal(began.toordinal() + days)
    imposed = end if outcome == "imposed" else None
    return Episode(str(k), f"t{k % 7}", began, outcome, imposed, end, end and end.year, specific, commitment)


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
    assert [sum(counts) for counts in zip(*(one for name, one in last.items() if name != "all"), strict=True)] == [
        40,
        15,
        20,
    ]
    json.dumps(found, allow_nan=False)


def test_agreement_by_a_week_follows_the_dates():
    found = calibrate(table([episode(k, "settled", days=7 * 20) for k in range(30)]))
    assert list(found["classes"][0]["agreed_by"].values()) == pytest.approx([0.0, 1.0, 1.0, 1.0])
    durations = found["classes"][0]["durations_days"]
    assert durations["threat_to_settlement"]["quartiles"]["0.5"]["estimate"] == 140.0


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
        class_rates("specific")
