"""The image, set up as the chart sets it up: each pod a process of the image in namespaces of its own.

``BRINK_IMAGE`` names a folder with the image's files, such as ``buildah mount`` gives. Needs Linux and root.
"""

import re
import shlex
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from api.shipped_scenarios import shipped_scenario
from brink import Brink
from cluster.results.plan import make_plan
from cluster.runs.options import RunOptions
from cluster.runs.run import run
from tests.support.answers import assert_same
from tests.support.deployment import DATABASE, IMAGE, NEEDS_IMAGE, S3, SERVICE, Deployment, get, store
from tests.support.pods import USER, pods
from tests.support.postgres import postgres
from tests.support.waiting import wait_until

pytestmark = NEEDS_IMAGE

SITE_PACKAGES = "/opt/brink/lib/python3.11/site-packages"
CHART = Path("configs/cluster/chart")
NAMES = ("database", "store", "head", "node", "other-node", "web", "other-web", "runner", "driver", "web6")
OBJECT_STORE = {"RAY_OBJECT_STORE_BYTES": "80000000"}
RAY = {
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": "a" * 43,
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_grpc_client_keepalive_time_ms": "30000",
    "RAY_grpc_client_keepalive_timeout_ms": "20000",
    "BRINK_RAY_ADDRESS": "head:6379",
}


@pytest.fixture(scope="module")
def deployment() -> Iterator[Deployment]:
    """A database, a store, Ray's head and two nodes, two web processes and a runner, all of them ready."""
    with ExitStack() as stack:
        found = stack.enter_context(pods(NAMES, ipv6_only=["web6"]))
        made = Deployment(found, Path(IMAGE))
        stack.enter_context(postgres(found["database"].within, "*"))
        stack.enter_context(store(found["store"]))
        status, output = made.output_of("web", "brink", "migrate", environment=DATABASE)
        assert status == 0, output
        head = ["ray", "start", "--head", "--num-cpus=0", "--dashboard-host=0.0.0.0", "--object-store-memory=80000000"]
        stack.enter_context(made.running("head", *head, "--block", environment=RAY, restarted=True))
        node = ["ray", "start", "--address=head:6379", "--num-cpus=1", "--object-store-memory=80000000", "--block"]
        for name in ("node", "other-node"):
            stack.enter_context(made.running(name, *node, environment={**RAY, **S3}, restarted=True))
        script = (CHART / "files" / "run-beside-ray.sh").read_text()
        beside = {**SERVICE, **RAY, **OBJECT_STORE, "BRINK_ENGINE": "ray", "BRINK_WORKERS": "2"}
        stack.enter_context(made.running("runner", "/bin/bash", "-c", script, environment=beside))
        serve = ["brink", "serve", "--no-runner", "--host", "0.0.0.0", "--port", "8000"]
        for name in ("web", "other-web"):
            hosts = {"BRINK_ALLOWED_HOSTS": found[name].address}
            stack.enter_context(made.running(name, *serve, environment={**SERVICE, **hosts}))
        for name in ("web", "other-web"):
            wait_until(lambda name=name: get(found[name], "/readyz").status_code == 200, ignoring=httpx.HTTPError)
        yield made


@pytest.fixture(scope="module")
def key(deployment) -> str:
    command = ["brink", "keys", "create", "--owner", "ann", "--scope", "submit", "--scope", "read"]
    status, output = deployment.output_of("web", *command, environment=SERVICE)
    assert status == 0, output
    return re.search(r"\bbk_\S+|\b\S{40,}", output)[0]


def test_a_job_loses_nothing_when_a_node_is_cut_off_and_a_later_one_finds_it_joined_again(deployment, key, tmp_path):
    """Submitted to one web process and read from the other. Ray plays the tasks of the node that it lost elsewhere."""
    web, other = (Brink(f"http://{deployment.pods[name].address}:8000", key) for name in ("web", "other-web"))
    plan = make_plan(shipped_scenario("us-japan-autos-1995"), trials=300_000, seed=77)
    expected = run(plan, tmp_path / "run", RunOptions(engine="inline"))
    job = other.job(web.submit("us-japan-autos-1995", trials=plan.trials, seed=plan.seed).id)

    def begun() -> bool:
        job.refresh()
        assert job.state in ("queued", "running"), job.document
        return job.progress > 0

    wait_until(begun)
    node = deployment.pods["node"]
    node.cut_off()
    job.wait(progress=False)
    assert job.state == "succeeded"
    assert_same(job.summary().document["strategies"], expected["strategies"])
    node.join()
    # The head, two nodes for tasks, and the runner's.
    wait_until(lambda: _nodes(deployment) == 4)
    job = web.submit("us-japan-autos-1995", trials=100_000, seed=78)
    job.wait(progress=False)
    assert job.state == "succeeded"


def _nodes(deployment: Deployment) -> int:
    """The number of Ray's nodes that are alive."""
    output = deployment.output_of("driver", "ray", "status", "--address", "head:6379", environment=RAY)[1]
    return len(re.findall(r"^ *\d+ node_", output.partition("Pending:")[0], re.MULTILINE))


def test_the_pods_are_as_small_and_as_closed_as_a_cluster_makes_them(deployment):
    """What the other tests rely on: a user without a name, a read-only root and home, and little shared memory."""
    script = """
        id -u; id -un > /dev/null 2>&1 || echo nobody knows it
        for folder in / /home/brink /opt/brink /data; do
            touch $folder/x 2>/dev/null && echo "$folder can be written"
        done
        df --output=size -k /dev/shm | tail -1
    """
    output = deployment.output_of("driver", "bash", "-c", script, environment={})[1]
    assert [line.strip() for line in output.splitlines()] == [str(USER), "nobody knows it", str(64 * 1024)]


def test_nothing_is_written_to_a_home_that_is_read_only(deployment):
    """Of a program that keeps a cache in its home: the run, its report and its charts."""
    script = """
        set -e; cd /tmp
        brink run us-japan-autos-1995 --trials 2000 --engine inline --out run > /dev/null
        brink report run --out report.html > /dev/null; brink report run --out report.pdf > /dev/null
        brink summary run --chart outcomes.png > /dev/null
        ls report.html report.pdf outcomes.png
    """
    status, output = deployment.output_of("driver", "bash", "-c", script, environment={"HOME": "/home/brink"})
    assert status == 0, output
    assert set(output.split()[-3:]) == {"report.html", "report.pdf", "outcomes.png"}, output


def test_the_probes_of_the_chart_succeed_for_every_part(deployment):
    """Without a token, which the kubelet does not have, though Ray asks for one."""
    text = "".join(path.read_text() for path in (CHART / "templates").glob("*.yaml"))
    probes = set(re.findall(r"httpGet: {path: (\S+), port: (\S+)}", text))
    assert probes == {("/healthz", "http"), ("/readyz", "http"), ("/api/healthz", "52365")}
    for name in ("head", "node", "runner"):
        pod = deployment.pods[name]
        found = wait_until(lambda pod=pod: get(pod, "/api/healthz", 52365), ignoring=httpx.HTTPError)
        assert found.status_code == 200, (name, found.text)
    for path in ("/healthz", "/readyz"):
        assert get(deployment.pods["web"], path).status_code == 200
    assert get(deployment.pods["head"], "/api/jobs/", 8265).status_code == 401, "Ray's dashboard wants the token"


def test_a_service_is_reached_where_there_are_only_ipv6_addresses(deployment):
    pod = deployment.pods["web6"]
    serve = ["brink", "serve", "--no-runner", "--host", "::", "--port", "8000"]
    with deployment.running("web6", *serve, environment={**SERVICE, "BRINK_ALLOWED_HOSTS": f"[{pod.address}]"}):
        found = wait_until(lambda: get(pod, "/readyz"), ignoring=httpx.TransportError)
    assert found.status_code == 200, found.text


@pytest.mark.parametrize(
    ("file", "found", "other", "message"),
    [
        (
            "sim/model/version.py",
            "KERNEL_VERSION = ",
            "KERNEL_VERSION = 1000 + ",
            "install the same Brink on driver and nodes",
        ),
        ("ray/_version.py", 'version = "', 'version = "1', "Version mismatch: The cluster was started with"),
    ],
)
def test_another_version_on_the_drivers_side_is_refused(deployment, tmp_path, file, found, other, message):
    path = f"{SITE_PACKAGES}/{file}"
    text = Path(f"{deployment.image}{path}").read_text()
    assert found in text
    (tmp_path / "other.py").write_text(text.replace(found, other))
    status, output = _played_by_a_driver(deployment, tmp_path, replaced={path: tmp_path / "other.py"})
    assert status in (1, 2), output
    assert message in output, output


def test_another_python_on_the_drivers_side_is_refused(deployment, tmp_path):
    site = (
        "import collections, sys; "
        "Version = collections.namedtuple('Version', 'major minor micro releaselevel serial'); "
        "sys.version_info = Version(3, 11, 99, 'final', 0)"
    )
    before = f"mkdir /tmp/site; echo {shlex.quote(site)} > /tmp/site/sitecustomize.py"
    status, output = _played_by_a_driver(deployment, tmp_path, before, PYTHONPATH="/tmp/site")
    assert status in (1, 2), output
    assert "Version mismatch: The cluster was started with" in output, output
    assert "Python: 3.11.99" in output, output


def _played_by_a_driver(
    deployment: Deployment,
    tmp_path: Path,
    before: str = "",
    *,
    replaced: dict[str, Path] | None = None,
    **environment: str,
) -> tuple[int, str]:
    """The status and the output of a run by a driver that joins Ray with a node of its own."""
    played = [
        "brink",
        "run",
        "us-japan-autos-1995",
        "--trials",
        "2000",
        "--engine",
        "ray",
        "--ray-address",
        "head:6379",
    ]
    script = f"""
        {before}
        ray start --address=head:6379 --num-cpus=0 --object-store-memory=80000000 > /tmp/join 2>&1 || cat /tmp/join
        {shlex.join([*played, "--out", f"s3://brink/{tmp_path.name}"])}
    """
    return deployment.output_of(
        "driver", "bash", "-c", script, environment={**RAY, **S3, **environment}, replaced=replaced or {}
    )
