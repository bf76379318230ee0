"""The command line ``brink``: called in this process, or started as a process of its own."""

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from unittest import mock

from api.cli.main import main
from tests.support.waiting import HANG_SECONDS

BRINK = str(Path(sys.executable).parent / "brink")


def brink(
    *arguments: object, cwd: Path | None = None, environment: Mapping[str, str] | None = None, status: int | None = None
) -> subprocess.CompletedProcess[str]:
    """Call ``brink`` with these arguments in this process, and return what it printed and its exit status.

    This skips the start of a process (about two seconds). What a process of its own does differently (signals,
    terminals, closed pipes, long-lived services) is tested with `brink_process`. With `status`, any other exit status
    is a failure. `environment` is added to this process's for the time of the call.
    """
    command = ["brink", *map(str, arguments)]
    output, errors = io.StringIO(), io.StringIO()
    code: object = 0
    with (
        contextlib.chdir(cwd or Path.cwd()),
        mock.patch.dict(os.environ, environment or {}),
        mock.patch.object(sys, "argv", command),
        contextlib.redirect_stdout(output),
        contextlib.redirect_stderr(errors),
    ):
        try:
            code = main()
        except SystemExit as end:
            code = end.code
    done = subprocess.CompletedProcess(command, int(code or 0), output.getvalue(), errors.getvalue())  # type: ignore[call-overload]
    assert status is None or done.returncode == status, done.stderr
    return done


def brink_process(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    """Start ``brink`` as a process of its own, wait for its end, and return what it printed and its exit status."""
    command = [BRINK, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=HANG_SECONDS, check=False, **options)  # type: ignore[call-overload]


def assert_refused(found: subprocess.CompletedProcess[str], *says: str) -> None:
    """Exit status 2, nothing on standard output, no traceback, and these texts on standard error."""
    assert found.returncode == 2, found.stderr
    assert found.stdout == ""
    assert "Traceback" not in found.stderr
    for one in says:
        assert one in found.stderr
