"""What goes wrong: one exception for every refusal and failure, and one for jobs that failed."""

from collections.abc import Mapping, Sequence
from typing import Any

import httpx


class BrinkError(Exception):
    """Why a request was refused or could not be sent.

    `status` is the HTTP status, None if there was no response. `detail` is one sentence. `faults` says which fields are
    wrong: dictionaries of ``field``, ``pointer`` (a JSON pointer) and ``detail``, and ``line`` for a scenario file.
    `repeated` is True if the request had been sent before.
    """

    def __init__(
        self,
        detail: str,
        status: int | None = None,
        faults: Sequence[Mapping[str, Any]] = (),
        *,
        repeated: bool = False,
    ) -> None:
        super().__init__("\n".join([detail, *(f"  {fault['detail']}" for fault in faults)]))
        self.detail, self.status, self.faults, self.repeated = detail, status, tuple(faults), repeated


class JobFailed(BrinkError):
    """A job failed; the message says why."""


def error_of(response: httpx.Response, *, repeated: bool = False, proxy: str | None = None) -> BrinkError:
    """The error that a response reports; `proxy` names the proxy that may have answered instead of the service."""
    status = response.status_code
    try:
        problem = response.json()
        return BrinkError(problem["detail"], status, problem.get("errors", ()), repeated=repeated)
    except (ValueError, KeyError, TypeError, AttributeError):
        by = f" through the proxy of {proxy}" if proxy else ""
        return BrinkError(f"the service answered {status} {response.reason_phrase}{by}", status, repeated=repeated)
