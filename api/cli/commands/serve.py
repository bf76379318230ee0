"""``brink serve``: the HTTP service."""

from typing import Annotated

import typer

from api.cli.options import whole_number
from sim.faults import Fault, InvalidInput


def serve(
    host: Annotated[str, typer.Option(metavar="HOST", help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option(
            parser=whole_number, metavar="PORT", help="The port to listen on, 0 to 65535; 0 takes a free one."
        ),
    ] = 8000,
    with_runner: Annotated[
        bool,
        typer.Option("--runner/--no-runner", help="Start a runner process too, or leave the jobs to brink runner."),
    ] = True,
) -> None:
    """Settings come from the environment (BRINK_...). The service stops at Ctrl-C."""
    if not 0 <= port <= 65_535:
        raise InvalidInput((Fault("port", port, "must be from 0 to 65535"),))
    from api.http.serve import serve_http

    serve_http(host, port, with_runner=with_runner)
