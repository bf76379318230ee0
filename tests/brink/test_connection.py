"""When a request is sent again."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest

from brink.connection import pause_before


def busy(**headers: str) -> httpx.Response:
    return httpx.Response(503, headers={name.replace("_", "-"): value for name, value in headers.items()})


def test_the_service_says_how_long_to_wait_in_seconds():
    assert pause_before(0, busy(Retry_After="7")) == 7.0
    assert pause_before(9, busy(Retry_After="0")) == 0.0


def test_the_service_says_until_when_to_wait():
    later = datetime.now(UTC) + timedelta(hours=1)
    assert 0.0 < pause_before(0, busy(Retry_After=format_datetime(later, usegmt=True))) <= 3600.0
    past = datetime.now(UTC) - timedelta(hours=1)
    assert pause_before(0, busy(Retry_After=format_datetime(past, usegmt=True))) == 0.0


@pytest.mark.parametrize("response", [None, busy(), busy(Retry_After="soon"), busy(Retry_After="-3")])
def test_else_pauses_grow_up_to_a_limit_and_differ(response):
    for attempt, longest in enumerate((0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0)):
        pauses = {pause_before(attempt, response) for _ in range(20)}
        assert len(pauses) > 1
        assert all(longest / 2 <= pause <= longest for pause in pauses)
