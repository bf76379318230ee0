"""A report as a PDF: the same page, set in A4 by WeasyPrint, with the charts as vectors. Nothing is fetched."""

from threading import Lock

from api.report.contents import Answers
from api.report.page import report_page

FONT = "DejaVu Sans"
"""It comes with Pango on Debian, and charts are measured with it, so that their labels fit."""
_SETTING = Lock()
"""Pango's fonts are shared by all threads of a process."""


class NoPango(Exception):
    """The libraries that set text are not installed."""

    def __init__(self) -> None:
        super().__init__(
            "a PDF needs the library Pango, which is not installed: on Debian libpango-1.0-0, libpangoft2-1.0-0 and "
            "libharfbuzz-subset0; .html needs nothing"
        )


def check_pdf() -> None:
    """Raise `NoPango` unless PDFs can be made."""
    try:
        import weasyprint  # noqa: F401
    except OSError:
        raise NoPango from None


def report_pdf(answers: Answers) -> bytes:
    """The report as a PDF. Raises `NoPango`."""
    check_pdf()
    from weasyprint import HTML
    from weasyprint.urls import URLFetcher

    # The page refers to nothing; if a text ever came to be an address, it would still not be fetched.
    fetcher = URLFetcher(allowed_protocols=("data",))
    with _SETTING:
        content: bytes = HTML(string=report_page(answers, font=FONT), url_fetcher=fetcher).write_pdf()
    return content
