"""A store that fails: the job waits, says why, and continues; no reader ever sees a half-written result."""

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest

from cluster.answers.summary import summarize
from cluster.query.trials import StoredRun
from cluster.results.result_folder import read_manifest, verify
from cluster.runs.options import RunOptions
from cluster.runs.run import run
from cluster.service import jobs
from cluster.storage import s3
from cluster.storage.address import open_folder
from tests.support.object_store import BUCKET, object_store
from tests.support.runs import digests, small_plan
from tests.support.small_disk import SmallDisk
from tests.support.waiting import HANG_SECONDS
from tests.support.working import Working

PLAN = small_plan(trials=4000, strategies=("talk",))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    run(PLAN, folder, RunOptions(engine="inline"))
    return digests(folder)


@pytest.fixture
def disk(tmp_path) -> Iterator[SmallDisk]:
    (tmp_path / "data").mkdir()
    made = SmallDisk(tmp_path / "data" / "jobs", 300)
    yield made
    made.close()


def test_a_full_disk_is_waited_out(tmp_path, disk, postgres_url, undisturbed):
    working = Working(tmp_path / "data", database_url=postgres_url)
    waiting_job = working.job(PLAN)
    assert waiting_job.state == jobs.QUEUED
    assert "No space left" in waiting_job.waiting or "too large" in waiting_job.waiting
    folder = working.folder(waiting_job)
    assert digests(folder).items() < undisturbed.items()
    assert not list(folder.rglob(".work/*"))
    disk.remount("size=64m")
    done = working.work(waiting_job)
    assert (done.state, done.waiting, done.error) == (jobs.SUCCEEDED, None, None)
    assert digests(folder) == undisturbed
    assert verify(folder) == []


def test_a_disk_that_takes_nothing_is_waited_out(tmp_path, disk, postgres_url, undisturbed):
    working = Working(tmp_path / "data", database_url=postgres_url)
    disk.remount("size=64m")
    disk.remount("ro")
    waiting_job = working.job(PLAN)
    assert waiting_job.state == jobs.QUEUED
    assert "cannot be used" in waiting_job.waiting
    disk.remount("rw")
    assert working.work(waiting_job).state == jobs.SUCCEEDED
    assert digests(working.folder(waiting_job)) == undisturbed


def test_a_job_fails_with_the_cause_after_the_patience(tmp_path, disk, postgres_url):
    working = Working(tmp_path / "data", database_url=postgres_url, patience_seconds=0)
    failed = working.job(PLAN)
    assert failed.state == jobs.FAILED
    assert "strategy" in failed.error
    assert "shard" in failed.error
    assert "No space left" in failed.error or "too large" in failed.error
    kept = StoredRun(PLAN, open_folder(working.folder(failed)))
    assert failed.trials_done == sum(shard.count for shard in kept.committed)
    # Where no disk can be mounted, the bound is on each file, and none has room.
    assert (failed.trials_done > 0) == disk.mounted
    assert not kept.committed or not summarize(kept)["complete"]


class Faulty(ThreadingHTTPServer):
    """A way to an object store that fails as requested: `unavailable`, `half` a body, or not at all."""

    daemon_threads = True

    def __init__(self, endpoint: str) -> None:
        super().__init__(("127.0.0.1", 0), _Pass)
        self.store = urlsplit(endpoint).netloc
        self.fault, self.spared = "", 0

    def fails(self) -> str:
        """The fault of the next request; so many are spared first."""
        self.spared -= 1
        return self.fault if self.spared < 0 else ""


class _Pass(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Faulty

    def handle_any(self) -> None:
        fault = self.server.fails()
        length = int(self.headers.get("Content-Length", 0))
        if fault == "half" and self.command == "PUT":
            self.rfile.read(length // 2)
            self.close_connection = True
            return
        body = self.rfile.read(length)
        if fault == "unavailable":
            self._answer(503, [("Content-Length", "0")], b"")
            return
        store = http.client.HTTPConnection(self.server.store, timeout=HANG_SECONDS)
        store.request(self.command, self.path, body, dict(self.headers))
        answer = store.getresponse()
        content = answer.read()
        kept = [(k, v) for k, v in answer.getheaders() if k.lower() not in ("connection", "transfer-encoding", "date")]
        if self.command != "HEAD":
            kept = [(k, v) for k, v in kept if k.lower() != "content-length"] + [("Content-Length", str(len(content)))]
        store.close()
        half = fault == "half" and len(content) > 1
        self._answer(answer.status, kept, content[: len(content) // 2] if half else content)
        self.close_connection = self.close_connection or half

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any  # noqa: N815

    def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def faulty(endpoint: str) -> Iterator[Faulty]:
    with Faulty(endpoint) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with object_store() as served:
        yield served


@pytest.fixture
def way(endpoint, monkeypatch) -> Iterator[Faulty]:
    with faulty(endpoint) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setitem(s3.RETRIES, "retry_timeout", timedelta(seconds=1))
        monkeypatch.setitem(s3.RETRIES, "max_retries", 2)
        s3.client.cache_clear()
        yield server
        s3.client.cache_clear()


@pytest.mark.parametrize("fault", ["unavailable", "half"])
@pytest.mark.parametrize("spared", [0, 12])
def test_a_failing_object_store_is_waited_out(tmp_path, way, undisturbed, fault, spared):
    working = Working(tmp_path / "data", store_url=f"s3://{BUCKET}/{fault}-{spared}")
    way.fault, way.spared = fault, spared
    waiting_job = working.job(PLAN)
    assert waiting_job.state == jobs.QUEUED
    assert "object store" in waiting_job.waiting
    way.fault = ""
    folder = working.results.within(waiting_job.id)
    held = StoredRun(PLAN, folder)
    assert (len(held.committed) > 0) == (spared > 0)
    assert len(held.committed) == len([entry for entry in folder.entries() if entry.name.startswith("trials/")])
    done = working.work(waiting_job)
    assert (done.state, done.waiting) == (jobs.SUCCEEDED, None)
    assert {file.path: file.sha256 for file in read_manifest(folder)} == undisturbed
    assert verify(folder.address) == []


def test_occasional_faults_of_the_object_store_are_retried_silently(tmp_path, way, undisturbed, monkeypatch):
    # Requests go side by side, so that a fault in four may meet the repetitions of one of them, too.
    monkeypatch.setitem(s3.RETRIES, "retry_timeout", timedelta(seconds=HANG_SECONDS))
    monkeypatch.setitem(s3.RETRIES, "max_retries", 10)
    working = Working(tmp_path / "data", store_url=f"s3://{BUCKET}/now-and-then")
    count = iter(range(10_000))
    way.fails = lambda: "unavailable" if next(count) % 4 == 3 else ""  # type: ignore[method-assign]
    done = working.job(PLAN)
    assert (done.state, done.waiting) == (jobs.SUCCEEDED, None)
    listed = read_manifest(open_folder(f"s3://{BUCKET}/now-and-then/{done.id}"))
    assert {file.path: file.sha256 for file in listed} == undisturbed
