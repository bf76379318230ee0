"""A real object store for tests: moto's S3 server, a process of its own, spoken to over HTTP."""

import os
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from cluster.storage import s3
from tests.support.waiting import HANG_SECONDS, wait_until

BUCKET = "brink"


@contextmanager
def object_store() -> Iterator[str]:
    """A served bucket: its end point. The environment's S3 settings point to it meanwhile."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    endpoint = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    settings = {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_REGION": "us-east-1",
        "AWS_ALLOW_HTTP": "true",
    }
    before = {name: os.environ.get(name) for name in settings}
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            _make_bucket(endpoint, server)
            os.environ.update(settings)
            # Clients keep the end point that they were made with.
            s3.client.cache_clear()
            yield endpoint
        finally:
            server.terminate()
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value


def _make_bucket(endpoint: str, server: subprocess.Popen) -> None:
    """Make the bucket once the server answers."""

    def put() -> bool:
        assert server.poll() is None, "the object store ended instead of starting"
        request = urllib.request.Request(f"{endpoint}/{BUCKET}", method="PUT")
        urllib.request.urlopen(request, timeout=HANG_SECONDS).close()
        return True

    wait_until(put, ignoring=OSError)
