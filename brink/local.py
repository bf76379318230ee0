"""A local service: ``brink serve`` on a free port of this machine, ended with the process that started it."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import httpx

from brink.errors import BrinkError

LOG = "service.log"
"""The service's log, in its data folder."""
START_SECONDS = 300.0
"""A service that is not ready after this has failed to start."""
STOP_SECONDS = 60.0
_ATTEMPTS = 3
_SERVE = "import sys; from api.cli.main import main; sys.argv[0] = 'brink'; sys.exit(main())"


@dataclass(frozen=True)
class LocalService:
    """A running service: its address, its data folder, and the process that watches over it."""

    url: str
    folder: Path
    process: subprocess.Popen[bytes]


def start_service(folder: str | os.PathLike[str] | None, settings: Mapping[str, object]) -> LocalService:
    """Start a service and wait until it is ready.

    Its data are in `folder`, or in a temporary folder that is removed with it. `settings` are the service's, such as
    ``engine="inline"``; variables of the environment that begin with ``BRINK_`` do not apply to it. Raises `BrinkError`
    with the end of the service's log if it does not start, and where only the client is installed.
    """
    if not _is_installed():
        raise BrinkError(
            "a local service needs the whole of Brink, the distribution brink; here only the client is installed"
        )
    temporary = folder is None
    data = Path(tempfile.mkdtemp(prefix="brink-") if folder is None else folder).absolute()
    try:
        data.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BrinkError(f"the folder {data} cannot be made: {error.strerror or error}") from None
    # Another process may take the port before the service does.
    for attempt in range(_ATTEMPTS):
        port = _free_port()
        started = _launch(data, port, settings, temporary)
        try:
            failure = _until_ready(started)
        except BaseException:
            stop_service(started)
            raise
        if failure is None:
            return started
        stop_service(started)
        if "address already in use" not in failure or attempt == _ATTEMPTS - 1:
            break
        data.mkdir(parents=True, exist_ok=True)
    raise BrinkError(f"the local service did not start: {failure}")


def _is_installed() -> bool:
    """Whether the distribution with the service is installed, not the client alone."""
    try:
        version("brink")
    except PackageNotFoundError:
        return False
    return True


def stop_service(service: LocalService) -> None:
    """End a service, and wait until it has ended."""
    if service.process.stdin is not None:
        with suppress(OSError):
            service.process.stdin.close()
    try:
        service.process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        service.process.kill()
        service.process.wait()


def _launch(folder: Path, port: int, settings: Mapping[str, object], temporary: bool) -> LocalService:
    watch = str(Path(__file__).with_name("watch.py"))
    command = [sys.executable, "-I", watch, str(folder) if temporary else "", *serve_command(), "--port", str(port)]
    with (folder / LOG).open("wb") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            env=_environment(folder, settings),
            # No module of the caller's working directory is found from here.
            cwd=folder,
            # Ctrl-C in the caller's terminal does not reach it.
            start_new_session=True,
        )
    return LocalService(f"http://127.0.0.1:{port}", folder, process)


def serve_command() -> list[str]:
    """The command that serves: ``brink`` beside this Python, or else its module."""
    script = Path(sys.executable).parent / "brink"
    return [str(script), "serve"] if script.is_file() else [sys.executable, "-P", "-c", _SERVE, "serve"]


def _environment(folder: Path, settings: Mapping[str, object]) -> dict[str, str]:
    """The environment of a service, without the caller's settings and without its working directory as a source."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BRINK_")}
    here = Path.cwd()
    # An empty part of PYTHONPATH is the working directory; the others keep their meaning in another one.
    paths = [here / part for part in kept.pop("PYTHONPATH", "").split(os.pathsep)]
    sources = os.pathsep.join(str(path) for path in paths if path != here)
    chosen = {f"BRINK_{name.upper()}": str(value) for name, value in settings.items()}
    found = {"PYTHONPATH": sources} if sources else {}
    return kept | found | {"PYTHONSAFEPATH": "1", "BRINK_DATA_DIR": str(folder)} | chosen


def _until_ready(service: LocalService) -> str | None:
    """Wait until a service is ready. Returns the reason if it cannot become ready, else None."""
    deadline = time.monotonic() + START_SECONDS
    with httpx.Client(transport=httpx.HTTPTransport(), timeout=5.0) as http:
        while service.process.poll() is None:
            with suppress(httpx.TransportError):
                if http.get(f"{service.url}/readyz").is_success:
                    return None
            if time.monotonic() > deadline:
                return f"it is not ready after {START_SECONDS:g} seconds\n{_end_of_log(service)}".rstrip()
            time.sleep(0.05)
    return _end_of_log(service) or f"its exit status is {service.process.returncode}"


def _end_of_log(service: LocalService, lines: int = 5) -> str:
    try:
        text = (service.folder / LOG).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
