"""A real object store for tests: moto's S3 server, a process of its own, spoken to over HTTP."""

import atexit
import os
import socket
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from cluster.storage import s3
from tests.support.waiting import HANG_SECONDS, wait_until

BUCKET = "brink"


@contextmanager
def object_store() -> Iterator[str]:
    """An empty bucket: its end point. The environment's S3 settings point to it meanwhile.

    The server starts with the first bucket and ends with this process.
    """
    endpoint = _server()
    settings = {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_REGION": "us-east-1",
        "AWS_ALLOW_HTTP": "true",
    }
    before = {name: os.environ.get(name) for name in settings}
    _ask(endpoint, "POST", "moto-api/reset")
    _ask(endpoint, "PUT", BUCKET)
    os.environ.update(settings)
    # Clients keep the end point that they were made with.
    s3.client.cache_clear()
    try:
        yield endpoint
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def secured_object_store(certificate: Path, key: Path) -> Iterator[str]:
    """An empty bucket of a server that speaks TLS with this certificate: its end point."""
    endpoint, server = _started("https", "--ssl-cert", str(certificate), "--ssl-key", str(key))
    try:
        _ask(endpoint, "PUT", BUCKET)
        yield endpoint
    finally:
        server.terminate()
        server.wait(HANG_SECONDS)


@cache
def _server() -> str:
    """The end point of a server that ends with this process."""
    endpoint, server = _started("http")

    def stop() -> None:
        server.terminate()
        server.wait(HANG_SECONDS)

    atexit.register(stop)
    return endpoint


def _started(scheme: str, *options: str) -> tuple[str, subprocess.Popen[bytes]]:
    """A new server that answers: its end point and its process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    endpoint = f"{scheme}://127.0.0.1:{port}"
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port), *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def answers() -> bool:
        assert server.poll() is None, "the object store ended instead of starting"
        _ask(endpoint, "GET", "moto-api/data.json")
        return True

    wait_until(answers, ignoring=OSError)
    return endpoint, server


def _ask(endpoint: str, method: str, path: str) -> None:
    request = urllib.request.Request(f"{endpoint}/{path}", method=method)
    urllib.request.urlopen(request, timeout=HANG_SECONDS, context=ssl._create_unverified_context()).close()
