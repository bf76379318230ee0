"""``brink serve`` where it cannot listen."""

import os
import socket
from pathlib import Path

from tests.support.command_line import brink_process


def test_a_port_that_is_taken_is_reported_with_status_1(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        found = brink_process("serve", "--port", port, cwd=tmp_path)
    assert found.returncode == 1
    assert found.stderr == f"127.0.0.1:{port}: cannot be listened on: Address already in use (choose another --port)\n"


def test_a_host_without_an_address_is_refused(tmp_path: Path):
    found = brink_process("serve", "--host", "256.1.1.1", cwd=tmp_path, env=os.environ | {"BRINK_AUTH": "keys"})
    assert (found.returncode, found.stderr) == (
        2,
        "--host: must be an address or a name of this machine (found '256.1.1.1')\n",
    )
