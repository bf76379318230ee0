"""``brink serve``: the web process, and a runner process beside it."""

import ipaddress
import logging
import signal
import subprocess
import sys
import threading

import uvicorn

from api.app import create_app
from cluster.settings import Settings
from sim.faults import Fault, InvalidInput

log = logging.getLogger("brink.serve")
RESTART_SECONDS = 2.0
GRACE_SECONDS = 20.0


def serve_http(host: str, port: int) -> None:
    """Serve until interrupted or terminated. Raises `InvalidInput` for an address that is not allowed."""
    settings = Settings()
    if not settings.allow_remote and not _is_loopback(host):
        message = (
            "must be a loopback address, since the service has no authentication; "
            "BRINK_ALLOW_REMOTE=true allows others behind a gateway that has"
        )
        raise InvalidInput((Fault("host", host, message),))
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s", stream=sys.stderr)
    ending = threading.Event()
    # uvicorn raises the signal that ended it once more; by default that would leave no time to end the runner.
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: ending.set())
    keeper = threading.Thread(target=keep_runner, args=(ending,))
    keeper.start()
    try:
        uvicorn.run(create_app(settings), host=host, port=port, log_level="info", timeout_graceful_shutdown=5)
    finally:
        ending.set()
        keeper.join()


def keep_runner(ending: threading.Event) -> None:
    """Keep one runner process going, and end it once `ending` is set."""
    while not ending.is_set():
        runner = subprocess.Popen([sys.executable, "-m", "cluster.runner", "--end-with-parent"], start_new_session=True)
        while runner.poll() is None and not ending.wait(0.2):
            pass
        if not ending.is_set():
            log.warning("the runner ended with status %s; starting another", runner.returncode)
            ending.wait(RESTART_SECONDS)
            continue
        runner.terminate()
        try:
            runner.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            runner.kill()
            runner.wait()


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
