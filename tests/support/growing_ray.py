"""A Ray cluster whose autoscaler adds and removes nodes on this machine, each a real raylet."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
from ray.autoscaler._private.fake_multi_node.node_provider import FAKE_HEAD_NODE_ID
from ray.cluster_utils import AutoscalingCluster

from tests.support.processes import command_of, environment_of, name_of
from tests.support.waiting import wait_until

_BASE = {
    "cluster_name": "fake_multinode",
    "max_workers": 8,
    "upscaling_speed": 100.0,
    "provider": {
        "type": "fake_multinode",
        "head_node_id": FAKE_HEAD_NODE_ID,
        "launch_multiple": True,
        "use_node_id_as_ip": True,
        "disable_node_updaters": True,
        "disable_launch_config_check": True,
    },
    "available_node_types": {},
    "head_node_type": "ray.head.default",
    "auth": {},
    "file_mounts": {},
    "cluster_synced_files": [],
    "file_mounts_sync_continuously": False,
    "setup_commands": [],
    "initialization_commands": [],
    "head_setup_commands": [],
    "worker_setup_commands": [],
    "head_start_ray_commands": [],
    "worker_start_ray_commands": [],
    "rsync_exclude": [],
    "rsync_filter": [],
}
"""What Ray's own configuration of fake nodes has; Ray's package does not contain that file."""


class _Configuration(AutoscalingCluster):
    def _generate_config(self, head_resources, worker_node_types, autoscaler_v2=False, **more):
        head = {"resources": head_resources, "node_config": {}, "max_workers": 0}
        types = {**worker_node_types, "ray.head.default": head}
        return json.loads(json.dumps(_BASE)) | {"available_node_types": types} | more


@dataclass(frozen=True)
class GrowingRay:
    """The cluster's address, and the folder that the command lines of all of its processes name."""

    address: str
    folder: Path

    def nodes(self) -> list[psutil.Process]:
        """The raylets of its workers: all but that of the head."""
        raylets = [one for one in _processes(self.folder) if name_of(one) == "raylet"]
        node_ids = {one: environment_of(one).get("RAY_OVERRIDE_NODE_ID_FOR_TESTING") for one in raylets}
        return [one for one, node_id in node_ids.items() if node_id not in (None, FAKE_HEAD_NODE_ID)]


@contextmanager
def growing_ray(nodes: int, idle_minutes: float = 0.05, address: str | None = None) -> Iterator[GrowingRay]:
    """A head without cores, and up to so many nodes of one core each. All of it is killed at the end of the block."""
    worker = {"resources": {"CPU": 1, "object_store_memory": 10**8}, "node_config": {}}
    types = {"worker": worker | {"min_workers": 0, "max_workers": nodes}}
    configuration = _Configuration({"CPU": 0}, types, idle_timeout_minutes=idle_minutes)._config
    address = address or f"127.0.0.1:{_free_port()}"
    configuration["provider"]["gcs_address"] = address
    with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp") as folder:
        file = Path(folder) / "autoscaler.json"
        file.write_text(json.dumps(configuration))
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--num-cpus=0"]
        command += [f"--port={address.rpartition(':')[2]}"]
        command += [f"--autoscaling-config={file}", f"--temp-dir={folder}", "--include-dashboard=false"]
        command += ["--node-ip-address=127.0.0.1", "--object-store-memory=100000000", "--disable-usage-stats"]
        settings = {
            "AUTOSCALER_UPDATE_INTERVAL_S": "1",
            # A node that was killed is replaced after this time without a sign of it.
            "AUTOSCALER_HEARTBEAT_TIMEOUT_S": "3",
            "RAY_FAKE_CLUSTER": "1",
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
            # Whether this process sends a token depends on the tests before.
            "RAY_AUTH_MODE": "disabled",
        }
        try:
            subprocess.run(command, env={**os.environ, **settings}, check=True, capture_output=True, timeout=300)
            yield GrowingRay(address, Path(folder))
        finally:
            _end(Path(folder))


def _processes(folder: Path) -> list[psutil.Process]:
    others = (process for process in psutil.process_iter() if process.pid != os.getpid())
    return [one for one in others if any(str(folder) in argument for argument in command_of(one))]


def _end(folder: Path) -> None:
    """End every process of the cluster. More may be started meanwhile by its autoscaler."""

    def ended() -> bool:
        left = _processes(folder)
        for process in left:
            with suppress(psutil.Error):
                process.send_signal(signal.SIGKILL)
        return not left

    wait_until(ended)


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]
