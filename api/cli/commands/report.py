"""``brink report``: a stored run as one self-contained page, or as a PDF."""

from pathlib import Path
from typing import Annotated

import typer

from api.cli.options import Believe, Given, RayOfAnswer, RunFolder, Strategies, measure_option
from api.cli.output import answer_progress
from api.files import new_file
from sim.faults import Fault, InvalidInput, printable


def report(
    run: RunFolder,
    out: Annotated[Path, typer.Option(metavar="FILE", help="The file to write, .html or .pdf.")],
    measure: Annotated[str | None, measure_option("What the strategies are compared by; more is better")] = None,
    strategy: Strategies = None,
    given: Given = None,
    believe: Believe = None,
    ray_address: RayOfAnswer = None,
) -> None:
    """It begins with the answer: which strategy is best by the measure, how sure that is, and what it depends on.

    It has charts, sources and method, and loads nothing from elsewhere.
    """
    _check_file(out)
    from api.cli.answering import opened
    from api.report.contents import gather
    from api.report.page import report_page
    from api.report.pdf import check_pdf, report_pdf

    as_pdf = out.suffix.lower() == ".pdf"
    if as_pdf:
        check_pdf()
    with answer_progress("parts") as on_progress:
        answers = gather(
            opened(run, ray_address),
            measure=measure,
            given=given,
            believe=believe or (),
            strategies=strategy or (),
            on_step=lambda _, done, total: on_progress(done, total),
        )
    content = report_pdf(answers) if as_pdf else report_page(answers).encode()
    with new_file(out) as draft:
        draft.write_bytes(content)
    print(f"{printable(str(out))}: the report, {out.stat().st_size / 1024:,.0f} KB")


def _check_file(out: Path) -> None:
    if out.suffix.lower() not in (".html", ".htm", ".pdf"):
        raise InvalidInput((Fault("out", str(out), "must end in .html or .pdf"),))
    if out.is_dir() or not out.absolute().parent.is_dir():
        raise InvalidInput((Fault("out", str(out), "must be a file in a folder that exists"),))
