"""``brink serve``: the web process, and a runner process unless others run the jobs."""

import signal
import socket
import sys
import threading

import uvicorn

from api.http.app import create_app
from api.http.guards import is_loopback
from cluster.service.jobs import open_database
from cluster.service.logs import log_to_stderr, logger
from cluster.service.settings import Settings, read_settings
from cluster.service.supervisor import END_SIGNALS, supervise_runner
from sim.faults import Fault, InvalidInput

log = logger("brink.serve")
WILDCARDS = ("0.0.0.0", "::", "")
"""Addresses that stand for all of the machine's."""


def serve_http(host: str, port: int, *, with_runner: bool = True) -> None:
    """Serve until interrupted or terminated, with a runner or leaving the jobs to others.

    Raises `InvalidInput` for an address that is not allowed.
    """
    settings = read_settings()
    check_address(host, settings)
    if not is_loopback(host) and host not in WILDCARDS:
        settings = settings.model_copy(update={"allowed_hosts": (*settings.allowed_hosts, host)})
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    # Faults of the database are reported before anything starts.
    open_database(settings.jobs_database).dispose()
    _check_free(host, port)
    log_to_stderr()
    log.info("results have a place", results=settings.results.address)
    config = uvicorn.Config(
        create_app(settings),
        host=host,
        port=port,
        log_level="info",
        log_config=None,
        timeout_graceful_shutdown=5,
        server_header=False,
        forwarded_allow_ips=list(settings.trusted_proxies),
    )
    server, ending = uvicorn.Server(config), threading.Event()

    def end(*_: object) -> None:
        server.should_exit = True
        ending.set()

    # uvicorn has handlers of its own while it runs, but not for SIGHUP. It raises the signal that ended it once more;
    # by default that would leave no time to end the runner.
    for name in END_SIGNALS:
        signal.signal(name, end)
    supervisor_thread = threading.Thread(target=supervise_runner, args=(ending,))
    if with_runner:
        supervisor_thread.start()
    try:
        server.run()
    except SystemExit:
        # uvicorn could not start and has logged the cause; it would exit with a status of its own.
        sys.exit(1)
    finally:
        ending.set()
        if with_runner:
            supervisor_thread.join()


def _check_free(host: str, port: int) -> None:
    """Raise `OSError` that names the address if it is taken: uvicorn would exit with a status of its own.

    Raises `InvalidInput` for a host that has no address.
    """
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM)[0]
    except (socket.gaierror, UnicodeError):
        raise InvalidInput((Fault("host", host, "must be an address or a name of this machine"),)) from None
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(place)
        except OSError as error:
            message = f"cannot be listened on: {error.strerror} (choose another --port)"
            raise OSError(error.errno, message, f"{host}:{port}") from None


def check_address(host: str, settings: Settings) -> None:
    """Raise `InvalidInput` if the service would be reachable from other machines without keys."""
    if settings.auth == "none" and not is_loopback(host):
        message = (
            "must be a loopback address while the service has no keys; with BRINK_AUTH=keys it may be any address "
            "(brink keys create makes the keys)"
        )
        raise InvalidInput((Fault("host", host, message),))
