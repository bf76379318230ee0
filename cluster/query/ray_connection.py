"""Joining a Ray at an address, or starting one on this machine."""

import logging
import os
import re
import signal
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from sim.faults import Fault, InvalidInput, first_line

REACH_SECONDS = 5.0
_NAMES = ("auto", "local")
"""What stands for an address: the Ray that runs on this machine, and a new one."""
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_LOOPBACK_SETTING = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
"""Unless this is 0 when Ray is imported, Ray replaces a loopback address with another address of the machine."""
_TOKEN_MODE = "RAY_AUTH_MODE"
"""What says whether Ray requires tokens."""
_VERSIONS = re.compile(r"Ray: (\S+)\s+Python: (\S+)")
"""The versions in Ray's error for a cluster of other versions: the cluster's, then this process's."""


def keep_loopback(address: str | None) -> None:
    """Let a Ray that runs on this machine's loopback keep its address. Call it before Ray is imported."""
    if address is None or host_and_port(address)[0] in _LOOPBACK:
        os.environ.setdefault(_LOOPBACK_SETTING, "0")


_joining = threading.Lock()
_joined = ExitStack()
"""What ends the connection that `joined` made."""
_joined_by = 0
"""Threads of this process that use it."""


@contextmanager
def joined(address: str) -> Iterator[None]:
    """Join the Ray at an address within the block. Threads share a connection, and the last one ends it.

    A connection that this process has already is used, and left as it is. Raises `InvalidInput`.
    """
    global _joined_by
    check_reachable(address)
    keep_loopback(address)
    import ray

    with _joining:
        if _joined_by or not ray.is_initialized():
            if not _joined_by:
                _joined.enter_context(connection(address))
            _joined_by += 1
            ours = True
        else:
            ours = False
    try:
        yield
    finally:
        with _joining:
            if ours:
                _joined_by -= 1
                if not _joined_by:
                    _joined.close()


@contextmanager
def _own_signal_handlers() -> Iterator[None]:
    """Restore this process's handler of SIGTERM: Ray replaces it with one that exits without cleaning up."""
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread() and handler is not None:
            signal.signal(signal.SIGTERM, handler)


@contextmanager
def connection(address: str | None, workers: int | None = None) -> Iterator[None]:
    """Join the Ray at an address, or start one on this machine with so many workers, and leave or end it after the
    block. Its tasks end with it.

    Raises `InvalidInput` for an address at which there is no Ray of these versions, and `ConnectionError` where none
    can be started.
    """
    import ray

    token_mode = os.environ.get(_TOKEN_MODE)
    try:
        # Workers get an empty working directory. Otherwise Ray puts this process's working directory first on the
        # workers' module path, where a user's module may have the name of one of Brink's.
        with _own_signal_handlers(), tempfile.TemporaryDirectory(prefix="brink-ray-") as nowhere:
            _connect(address, workers, nowhere)
        yield
    finally:
        ray.shutdown()
        if token_mode is None and os.environ.pop(_TOKEN_MODE, None) is not None:
            # Ray turned it on for this connection, and keeps it: a cluster without tokens could not be joined later.
            internals: Any = ray._raylet
            internals.Config.initialize("")
            internals.AuthenticationTokenLoader.instance().reset_cache()


def _connect(address: str | None, workers: int | None, nowhere: str) -> None:
    import ray

    environment: dict[str, Any] = {
        "env_vars": {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        "working_dir": nowhere,
    }
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR, "configure_logging": False}
    # Ray reports that its local ports require a token. That is intended, and the user need not see it.
    logging.getLogger("ray._private.authentication").setLevel(logging.ERROR)
    try:
        if address is None:
            ray.init(
                address="local",
                num_cpus=workers,
                include_dashboard=False,
                _node_ip_address="127.0.0.1",
                runtime_env=environment,
                **quiet,
            )
        else:
            ray.init(address=address, runtime_env=environment, **quiet)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        if address is None:
            raise ConnectionError(f"Ray could not be started: {first_line(error)}") from error
        raise _no_ray(address, error) from error


def check_reachable(address: str, seconds: float = REACH_SECONDS) -> None:
    """Raise `InvalidInput` if nothing listens at an address that names a host and a port; Ray would try for minutes."""
    try:
        host, port = host_and_port(address)
        if host:
            socket.create_connection((host, port), timeout=seconds).close()
    except (OSError, ValueError, OverflowError) as error:
        raise _no_ray(address, error) from error


def host_and_port(address: str) -> tuple[str, int]:
    """The host (an IPv6 address without its brackets) and port of ``host:port``; an empty host for a name such as
    ``auto``. Raises `ValueError` for anything else.
    """
    scheme, _, place = address.rpartition("://")
    if scheme not in ("", "ray"):
        raise ValueError(f"it is written host:port, without {scheme}://")
    if ":" not in place:
        if scheme or place not in _NAMES:
            raise ValueError("the port is missing: it is written host:port, such as 10.0.0.2:6379")
        return "", 0
    host, _, port = place.rpartition(":")
    if host.startswith("[") != host.endswith("]") or (":" in host and not host.startswith("[")):
        raise ValueError("an IPv6 address is written in brackets, [::1]:6379")
    if not (port.isascii() and port.isdecimal() and int(port) < 65536):
        raise ValueError("the port must be a whole number up to 65535")
    return host.strip("[]"), int(port)


def _no_ray(address: str, error: Exception) -> InvalidInput:
    versions = _VERSIONS.findall(str(error))
    if len(versions) == 2:
        (ray, python), (own_ray, own_python) = versions
        message = (
            f"runs Ray {ray} on Python {python}, and this process has Ray {own_ray} on Python {own_python}: "
            "install the same versions on driver and nodes"
        )
        return InvalidInput((Fault("ray_address", address, message),))
    cause = getattr(error, "strerror", None) or first_line(error)
    fault = Fault("ray_address", address, f"must be auto or the address of a running Ray: {cause}")
    return InvalidInput((fault,))
