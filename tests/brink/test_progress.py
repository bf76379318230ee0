"""Progress in a log and in a terminal, by a clock of the test's own."""

import pytest

from brink.progress import LINE_SECONDS, LogLines, TerminalBar, job_bar


class Clock:
    """Seconds that the test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_log_gets_a_line_at_intervals_and_one_at_the_end(capsys):
    clock = Clock()
    log = LogLines(clock)
    for second in range(100):
        clock.now = float(second)
        log.show(f"{second} trials", second / 100)
    log.close()
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["30 trials (30%)", "60 trials (60%)", "90 trials (90%)", "99 trials (99%)"]


def test_a_short_wait_writes_no_line_to_a_log(capsys):
    clock = Clock()
    log = LogLines(clock)
    log.show("half", 0.5)
    clock.now = LINE_SECONDS / 2
    log.show("all", 1.0)
    log.close()
    assert capsys.readouterr().err == ""


def test_a_terminal_gets_a_bar_with_the_time_left_that_is_removed(capsys):
    clock = Clock()
    bar = TerminalBar(clock)
    clock.now = 30.0
    bar.show("example", 0.25)
    bar.close()
    shown = capsys.readouterr().err
    assert " 25% 1:30 left" in shown
    assert shown.endswith("\r\x1b[K")


@pytest.mark.parametrize("wanted", [True, False])
def test_progress_is_not_shown_if_it_is_switched_off(wanted, capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    info = {"scenario": "example", "state": "running", "progress": {"trials_done": 5, "trials_total": 10}}
    with job_bar(lambda: info, wanted) as update:
        update()
    assert ("example: running, 5 of 10 trials" in capsys.readouterr().err) is wanted
