"""``make docs``: the pages and pictures that are made from the code and from a real run.

Run as ``python -m docs.generate runs/demo``, with the result folder of ``make demo``.
"""

import json
import sys
from pathlib import Path
from typing import Any

import altair as alt

from sim.scenario.columns import columns
from sim.scenario.parameters import ISSUE_PARAMETERS, PARAMETERS, Parameter
from sim.scenario.scenario import Scenario, scenario_from_document
from sim.scenario.vocabulary import OUTCOME_TERMS

HERE = Path(__file__).parent
_COLOURS = ("#0b6e4f", "#3a9d76", "#7fc8a9", "#c5e4d4", "#b5443c", "#e3a857", "#9aa0a6")
_LABELS = [term.label for term in OUTCOME_TERMS]


def parameters_page(example: Scenario) -> str:
    """The catalogue of parameters and the columns of a result, as Markdown."""
    lines = [
        "# Parameters and columns",
        "",
        "Made by `make docs` from `sim/scenario/parameters.py` and `sim/scenario/columns.py`; "
        "`brink parameters` prints the first part.",
        "",
        "## Parameters",
        "",
        "Each is a number or a distribution. A strategy may set any; what is not the sender's own decision is then an "
        "assumption, and `brink validate` warns of what the sender has no part in. A duration is drawn as a real "
        "number and rounded to whole weeks, at least 1.",
        "",
        "| group | parameter | decided by | unit | domain | default | meaning |",
        "|---|---|---|---|---|---|---|",
        *(_parameter_row(known) for known in (*ISSUE_PARAMETERS, *PARAMETERS)),
        "",
        "## Columns of a trial",
        "",
        f"For a scenario with the issues {', '.join(f'`{issue.name}`' for issue in example.issues)}; then a column "
        "for each uncertain parameter, named as in the scenario, with the value drawn.",
        "",
        "| column | type | unit | meaning |",
        "|---|---|---|---|",
        *(
            f"| `{column.name}` | {column.kind} | {column.unit} | {column.meaning}{_values(column.categories)} |"
            for column in columns(example)
            if column.name not in example.uncertain
        ),
    ]
    return "\n".join(lines) + "\n"


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


def _parameter_row(known: Parameter) -> str:
    name = f"issues.<issue>.{known.name}" if known.group == "issue" else known.name
    default = "required" if known.default is None else f"{known.default:g}"
    cells = (known.group, f"`{name}`", known.decided_by, known.unit, str(known.domain), default, known.meaning)
    return f"| {' | '.join(cells)} |"


def _values(categories: tuple[str, ...]) -> str:
    return f": {', '.join(f'`{category}`' for category in categories)}" if categories else ""


def main() -> None:
    """Write the generated pages beside this file."""
    folder = Path(sys.argv[1])
    example = scenario_from_document(json.loads((folder / "scenario.json").read_text(encoding="utf-8")))
    (HERE / "parameters.md").write_text(parameters_page(example), encoding="utf-8")
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    outcomes_chart(summary).save(HERE / "outcomes-1995.svg")


if __name__ == "__main__":
    main()
