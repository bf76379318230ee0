"""The README's picture of how a dispute ends, from a run's summary.

``make docs`` runs it as ``python -m docs.outcomes runs/demo``, with the result folder of ``make demo``.
"""

import json
import sys
from pathlib import Path
from typing import Any

import altair as alt

from sim.scenario.vocabulary import OUTCOME_TERMS

HERE = Path(__file__).parent
_COLOURS = ("#0b6e4f", "#3a9d76", "#7fc8a9", "#c5e4d4", "#b5443c", "#e3a857", "#9aa0a6")
_LABELS = [term.label for term in OUTCOME_TERMS]


def outcomes_chart(summary: dict[str, Any]) -> alt.HConcatChart:
    """How a run's strategies end, and what each brings: stacked bars, and means with the middle 90 % of trials."""
    strategies = list(summary["strategies"])
    shares = [
        {"strategy": strategy, "outcome": term.label, "order": k, "share": found["outcome"][term.name]["estimate"]}
        for strategy, found in summary["strategies"].items()
        for k, term in enumerate(OUTCOME_TERMS)
    ]
    gains = [
        {
            "strategy": strategy,
            "mean": found["measures"]["export_gain"]["mean"]["estimate"],
            "low": found["measures"]["export_gain"]["quantiles"]["0.05"],
            "high": found["measures"]["export_gain"]["quantiles"]["0.95"],
        }
        for strategy, found in summary["strategies"].items()
    ]
    rows = alt.Y("strategy:N", sort=strategies, title=None)
    bars = (
        alt.Chart(alt.Data(values=shares), title="How it ends after 104 weeks", width=430, height=200)
        .mark_bar()
        .encode(
            y=rows,
            x=alt.X("share:Q", stack="zero", axis=alt.Axis(format="%"), title=None, scale=alt.Scale(domain=[0, 1])),
            color=alt.Color("outcome:N", sort=_LABELS, scale=alt.Scale(domain=_LABELS, range=_COLOURS), title=None),
            order="order:Q",
        )
    )
    base = alt.Chart(
        alt.Data(values=gains), title="Extra exports, bn USD: mean, 5 % to 95 % of trials", width=250, height=200
    )
    ranges = base.mark_rule(strokeWidth=3, color="#9ab8c9").encode(
        y=alt.Y("strategy:N", sort=strategies, title=None, axis=alt.Axis(labels=False)),
        x=alt.X("low:Q", title=None),
        x2="high:Q",
    )
    means = base.mark_point(filled=True, size=70, color="#124559").encode(y=rows, x="mean:Q")
    return (bars | (ranges + means)).configure_legend(orient="bottom", columns=4, labelLimit=260)


if __name__ == "__main__":
    summary = json.loads(Path(sys.argv[1], "summary.json").read_text(encoding="utf-8"))
    outcomes_chart(summary).save(HERE / "outcomes-1995.svg")
