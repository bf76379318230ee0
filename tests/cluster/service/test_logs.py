"""Logs: one JSON object a line, or lines for people on a terminal; without secrets in either."""

import json
import os
import pty
import subprocess
import sys

import pytest

from tests.support.waiting import HANG_SECONDS

KEY = "brink_0123456789abcdef_S3cretS3cret"
PROGRAM = f"""
import logging
from structlog.contextvars import bound_contextvars
from cluster.service.logs import log_to_stderr, logger

log = logger("brink.test")
log.info("before the log is set up")
log_to_stderr()
with bound_contextvars(job_id="j1"):
    log.info("shard committed", shard=3)
log.debug("too detailed")
logging.getLogger("library").warning("of a %s", "library")
access = logging.getLogger("uvicorn.access")
access.info('%s - "%s %s HTTP/%s" %d', "127.0.0.1:5", "GET", "/v1/jobs?key={KEY}", "1.1", 200)

def fails(password):
    raise ValueError("the cause")

try:
    fails("local-" + "s3cret")
except ValueError:
    log.exception("failed")
"""
COMMAND = [sys.executable, "-c", PROGRAM]


@pytest.fixture(scope="module")
def lines() -> list[dict]:
    found = subprocess.run(COMMAND, capture_output=True, text=True, timeout=HANG_SECONDS, check=True)
    assert found.stdout == ""
    return [json.loads(line) for line in found.stderr.splitlines()]


def test_a_line_has_its_time_level_logger_event_fields_and_context(lines):
    shard, library = lines[0], lines[1]
    assert shard.pop("timestamp").endswith("Z")
    assert shard == {
        "level": "info",
        "logger": "brink.test",
        "event": "shard committed",
        "shard": 3,
        "job_id": "j1",
    }
    assert (library["level"], library["logger"], library["event"]) == ("warning", "library", "of a library")
    assert "job_id" not in library


def test_requests_have_fields_of_their_own_and_keys_are_shortened(lines):
    request = lines[2]
    assert request["event"] == "GET /v1/jobs?key=brink_0123456789abcdef_..."
    assert (request["client"], request["status"]) == ("127.0.0.1:5", 200)


def test_a_traceback_names_the_cause_and_no_values_of_variables(lines):
    assert len(lines) == 4
    assert lines[3]["event"] == "failed"
    assert lines[3]["exception"].endswith("ValueError: the cause")
    assert "local-s3cret" not in json.dumps(lines[3])


def test_a_terminal_gets_lines_for_people():
    reader, writer = pty.openpty()
    process = subprocess.Popen(COMMAND, stderr=writer, stdout=subprocess.DEVNULL)
    os.close(writer)
    text = b""
    try:
        while part := os.read(reader, 65_536):
            text += part
    except OSError:
        # The terminal has no writer any more.
        pass
    finally:
        os.close(reader)
    assert process.wait(HANG_SECONDS) == 0
    shown = text.decode()
    assert "shard committed" in shown
    assert "ValueError: the cause" in shown
    assert '"event"' not in shown
    assert "S3cretS3cret" not in shown
