"""The page of parameters and columns, made from their catalogues.

``make reference`` runs it as ``python -m docs.parameters``; a test says when the page is not up to date.
"""

from pathlib import Path

from api.shipped_scenarios import shipped_scenario
from sim.scenario.columns import columns
from sim.scenario.parameters import ISSUE_PARAMETERS, PARAMETERS, Parameter
from sim.scenario.scenario import Scenario

HERE = Path(__file__).parent
EXAMPLE = "us-japan-autos-1995"
"""The shipped scenario whose columns are listed."""


def parameters_page(example: Scenario) -> str:
    """The catalogue of parameters and the columns of a result, as Markdown."""
    lines = [
        "# Parameters and columns",
        "",
        "Made by `make reference` from `sim/scenario/parameters.py` and `sim/scenario/columns.py`; "
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


def _parameter_row(known: Parameter) -> str:
    name = f"issues.<issue>.{known.name}" if known.group == "issue" else known.name
    default = "required" if known.default is None else f"{known.default:g}"
    cells = (known.group, f"`{name}`", known.decided_by, known.unit, str(known.domain), default, known.meaning)
    return f"| {' | '.join(cells)} |"


def _values(categories: tuple[str, ...]) -> str:
    return f": {', '.join(f'`{category}`' for category in categories)}" if categories else ""


if __name__ == "__main__":
    (HERE / "parameters.md").write_text(parameters_page(shipped_scenario(EXAMPLE)), encoding="utf-8")
