"""``brink calibrate``: base rates from a table of past threats."""

import csv
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.chart_files import check_chart_file, write_chart
from api.cli.charting import chart_option
from api.cli.options import AsJson, whole_number
from api.cli.output import console, heading, print_json
from api.figures import days_and_interval, share_and_interval
from api.files import new_file
from sim.faults import Fault, InvalidInput

if TYPE_CHECKING:
    from rich.console import Console

    from api.cli.tables import Column


def calibrate(
    table: Annotated[
        Path,
        typer.Argument(
            metavar="TABLE",
            help="The TIES data (.xls, .xlsx or .csv), or a CSV of your own with target, began and outcome.",
        ),
    ],
    sender: Annotated[
        int,
        typer.Option(parser=whole_number, metavar="N", help="Of TIES: the sender's Correlates of War number."),
    ] = 2,
    issue: Annotated[
        int, typer.Option(parser=whole_number, metavar="N", help="Of TIES: the issue's number; 13 is trade practices.")
    ] = 13,
    since: Annotated[
        int,
        typer.Option(parser=whole_number, metavar="YEAR", help="Of TIES: threats that began in this year or later."),
    ] = 1975,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write the result: everything as .json, or a row for each class as .csv.",
            show_default="print only",
        ),
    ] = None,
    chart: Annotated[Path | None, chart_option("reliability")] = None,
    as_json: AsJson = False,
) -> None:
    """Rows that cannot be used are left out and counted: sanctions imposed on the day of the threat, open cases. The
    chart shows the reliability of the class rates: how often what they forecast happened, with 95 % intervals.
    """
    if out is not None:
        _check_file(out)
    if chart is not None:
        check_chart_file(chart)
    from cluster.reference.calibration import calibrate as count
    from cluster.reference.episodes import read_episodes

    found = count(read_episodes(table, sender=sender, issue=issue, since=since))
    if out is not None:
        _write(out, found)
    if chart is not None:
        _draw(chart, found)
    if as_json:
        print_json(found)
    else:
        _print(console(), found)


def _write(path: Path, found: dict[str, Any]) -> None:
    from cluster.reference.calibration import class_rows

    if path.suffix.lower() == ".json":
        text = json.dumps(found, indent=2, allow_nan=False) + "\n"
    else:
        table = io.StringIO()
        rows = class_rows(found)
        writer = csv.DictWriter(table, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        text = table.getvalue()
    with new_file(path) as draft:
        draft.write_text(text, encoding="utf-8")


def _draw(path: Path, found: dict[str, Any]) -> None:
    from api.evidence_charts import class_reliability_chart

    if not any(found["reliability"].values()):
        message = "has nothing to show: too few threats with a known demand and commitment were forecast"
        raise InvalidInput((Fault("chart", str(path), message),))
    write_chart(class_reliability_chart(found), path, title="Reliability of the class rates")


def _check_file(path: Path) -> None:
    if path.suffix.lower() not in (".json", ".csv"):
        raise InvalidInput((Fault("out", str(path), "must end in .json or .csv"),))
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise InvalidInput((Fault("out", str(path), "must be a file in a folder that exists"),))


def _print(out: "Console", found: dict[str, Any]) -> None:
    from api.cli.tables import print_table

    table = found["table"]
    out.print(
        heading(f"{table['ended']:,} ended threats", f" of {table['episodes']:,} chosen from {table['rows']:,} rows")
    )
    for reason, count in table["left_out"].items():
        out.print(f"Left out: {count} {reason}.", style="dim")
    print_table(out, rates_columns(found["classes"], "class"))
    weights = {one["partition"]: one["prior_weight"] for one in found["classes"] if one["partition"] is not None}
    out.print(f"In brackets: counts, and the 95 % interval. {pooled_note(weights)}", style="dim")
    _print_durations(out, found["classes"][0])
    _print_scores(out, found["scores"])
    _print_partitions(out, found["scores_by_partition"])
    _print_reliability(out, found["reliability"])


def rates_columns(classes: list[dict[str, Any]], name: str) -> list["Column"]:
    """A table of classes with the share of each ending, its count and interval, and the pooled share if any."""
    from api.cli.tables import Column
    from sim.statistics.base_rates import ENDINGS

    columns = [Column("", [one[name] for one in classes])]
    for ending in ENDINGS:
        columns.append(Column(ending, [_share(one["rates"][ending], one["counts"][ending]) for one in classes]))
        if any("pooled" in one for one in classes):
            pooled = [_percent(one["pooled"][ending]) if one.get("pooled") else "" for one in classes]
            columns.append(Column(f"{ending}, pooled", pooled))
    return columns


def pooled_note(weights: dict[str, float]) -> str:
    """What the pooled shares are: `weights` are those of all threats, in threats, by the property of the classes."""
    listed = ", ".join(f"{weight:.3g} by {name}" for name, weight in weights.items())
    return f"Pooled: shrunk towards the shares of all threats, which have the weight of so many threats: {listed}."


def _share(found: dict[str, Any], count: int) -> str:
    if found["estimate"] is None:
        return "-"
    return f"{100 * found['estimate']:.0f} % ({count}; {100 * found['low']:.0f} to {100 * found['high']:.0f})"


def _percent(found: dict[str, Any]) -> str:
    return f"{100 * found['estimate']:.0f} %"


def _print_durations(out: "Console", found: dict[str, Any]) -> None:
    from api.cli.tables import Column, print_table

    rows = found["durations_days"]
    columns = [
        Column("", [name.replace("_", " ") for name in rows]),
        Column("episodes", [f"{one['episodes']}" for one in rows.values()]),
        Column("events", [f"{one['events']}" for one in rows.values()]),
        Column("their median", [_number(one["observed_median"]) for one in rows.values()]),
    ]
    for k, label in enumerate(("a quarter by", "half by", "three quarters by")):
        columns.append(Column(label, [days_and_interval(list(one["quartiles"].values())[k]) for one in rows.values()]))
    print_table(out, columns, title="Days, all classes")
    out.print(
        "Their median is that of the events alone, and shorter: an episode without the event is censored at its end, "
        "and the quartiles allow for it (Kaplan and Meier). Day 0 is the first threat, or the imposition.",
        style="dim",
    )
    by_week = ", ".join(f"week {week} {share_and_interval(share)}" for week, share in found["agreed_by"].items())
    out.print(f"Settled by {by_week}; other endings compete with it (Aalen and Johansen).")


def _number(found: float | None) -> str:
    return "-" if found is None else f"{found:.0f}"


def _print_scores(out: "Console", scores: dict[str, Any]) -> None:
    for name, label in (
        ("leave_one_out", "each threat from all others"),
        ("leave_one_target_out", "each threat from other targets"),
        ("rolling_origin", "each threat from earlier ones"),
    ):
        one = scores.get(name)
        if one is None:
            out.print(f"Scores, {label}: too few threats.")
            continue
        brier, gain = one["brier"], one["brier"]["difference"]
        interval = "" if gain["low"] is None else f" ({gain['low']:+.3f} to {gain['high']:+.3f})"
        out.print(
            f"Brier score, {label} ({one['episodes']} threats): {brier['by_class']:.3f} by class, "
            f"{brier['overall']:.3f} from the overall rates; difference {gain['estimate']:+.3f}{interval}, below 0 the "
            "classes help."
        )


def _print_partitions(out: "Console", scores: dict[str, Any]) -> None:
    from api.cli.tables import Column, print_table
    from sim.statistics.base_rates import FEWEST

    rows = {name: one["rolling_origin"] for name, one in scores.items() if one["rolling_origin"] is not None}
    if not rows:
        return
    columns = [
        Column("classes by", list(rows)),
        Column("threats", [f"{one['episodes']}" for one in rows.values()]),
        Column("by class", [f"{one['brier']['by_class']:.3f}" for one in rows.values()]),
        Column("overall rates", [f"{one['brier']['overall']:.3f}" for one in rows.values()]),
        Column("difference", [_gain(one["brier"]["difference"]) for one in rows.values()]),
    ]
    print_table(out, columns, title="Brier score of each threat from earlier ones")
    counts = [one["episodes"] for one in rows.values()]
    few = f"{min(counts)}" if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"
    out.print(
        f"These rest on {few} threats: those with a known class and at least {FEWEST} earlier ones. In brackets: 95 % "
        "intervals, which allow for the dependence of threats against one target and of one year. Where one holds 0, "
        "it is not known whether the classes help.",
        style="dim",
    )


def _gain(found: dict[str, Any]) -> str:
    if found["low"] is None:
        return f"{found['estimate']:+.3f}"
    return f"{found['estimate']:+.3f} ({found['low']:+.3f} to {found['high']:+.3f})"


def _print_reliability(out: "Console", reliability: dict[str, Any]) -> None:
    from api.cli.tables import Column, print_table

    rows = [(ending, band) for ending, bands in reliability.items() for band in bands]
    if not rows:
        return
    columns = [
        Column("", [f"{ending}, {100 * band['low']:.0f} to {100 * band['high']:.0f} %" for ending, band in rows]),
        Column("forecasts", [f"{band['episodes']}" for _, band in rows]),
        Column("mean forecast", [f"{100 * band['forecast']:.0f} %" for _, band in rows]),
        Column("happened", [share_and_interval(band["happened"]) for _, band in rows]),
    ]
    print_table(out, columns, title="Forecast and happened")
