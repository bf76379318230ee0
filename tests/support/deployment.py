"""A deployment of the image for tests: its settings, its pods by name, and an S3 server in one of them.

``BRINK_IMAGE`` names a folder with the image's files, such as ``buildah mount`` gives.
"""

import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.support.pods import Pod, container
from tests.support.waiting import wait_until

IMAGE = os.environ.get("BRINK_IMAGE")
NEEDS_IMAGE = [
    pytest.mark.slow,
    pytest.mark.skipif(
        IMAGE is None,
        reason="set BRINK_IMAGE to a folder with the files of an image that was built: the tests build none themselves",
    ),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root may make network namespaces"),
]
S3 = {
    "AWS_REGION": "us-east-1",
    "AWS_ENDPOINT_URL": "http://store:5000",
    "AWS_ALLOW_HTTP": "true",
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
}
DATABASE = {"BRINK_DATABASE_URL": "postgresql+psycopg://postgres@database:5432/postgres"}
SERVICE = {
    **DATABASE,
    **S3,
    "BRINK_AUTH": "keys",
    "BRINK_STORE_URL": "s3://brink/results",
    "BRINK_DATA_DIR": "/tmp/brink-data",
}


@dataclass
class Deployment:
    """Pods by name, and what starts a process of the image in one of them."""

    pods: dict[str, Pod]
    image: Path

    @contextmanager
    def running(self, name: str, *command: str, environment: dict[str, str], **options) -> Iterator[subprocess.Popen]:
        with container(self.pods[name], self.image, command, environment, self.pods, **options) as process:
            yield process

    def output_of(self, name: str, *command: str, environment: dict[str, str], **options) -> tuple[int, str]:
        """The status and the output of a command that ends."""
        with self.running(name, *command, environment=environment, **options) as process:
            status = wait_until(lambda: None if process.poll() is None else (process.returncode,))[0]
            return status, process.stdout.read()


@contextmanager
def store(pod: Pod) -> Iterator[None]:
    command = [*pod.within, sys.executable, "-m", "moto.server", "-H", "::", "-p", "5000"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    bucket = urllib.request.Request(f"http://{pod.address}:5000/brink", method="PUT")
    try:
        wait_until(lambda: urllib.request.urlopen(bucket).status == 200, ignoring=OSError)
        yield
    finally:
        server.terminate()
        server.wait()


def get(pod: Pod, path: str, port: int = 8000) -> httpx.Response:
    host = f"[{pod.address}]" if ":" in pod.address else pod.address
    return httpx.get(f"http://{host}:{port}{path}", timeout=60)
