"""An S3-compatible object store as storage, and runs in it."""

import hashlib
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import obstore
import pytest
from obstore.store import S3Store

from cluster.answers.summary import summarize
from cluster.query.trials import StoredRun, open_run
from cluster.results.result_folder import verify
from cluster.runs.options import RunOptions
from cluster.runs.run import Stopped, run
from cluster.storage.address import open_folder
from cluster.storage.base import Folder
from cluster.storage.health import why_not_writable
from cluster.storage.s3 import ObjectFolder, os_errors
from sim.faults import InvalidInput
from tests.support.answers import assert_same, document_of
from tests.support.object_store import BUCKET, object_store, secured_object_store
from tests.support.runs import digests, small_plan
from tests.support.storage_tests import StorageTests, put

PLAN = small_plan()


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with object_store() as served:
        yield served


@pytest.fixture
def folder(endpoint: str, tmp_path: Path) -> Folder:
    return open_folder(f"s3://{BUCKET}/{tmp_path.name}")


class TestS3(StorageTests):
    pass


def test_an_address_names_a_bucket_and_a_prefix():
    assert open_folder("s3://bucket/a/b/") == ObjectFolder("bucket", "a/b")
    for address in ("s3://", "s3://bucket", "s3:///x"):
        with pytest.raises(InvalidInput, match="s3://bucket/prefix"):
            open_folder(address)
    with pytest.raises(InvalidInput, match="no credentials"):
        open_folder("s3://key:secret@bucket/x")


@pytest.mark.parametrize("prefix", ["a//b", "/a", "./a", "a/../b", "a\nb", "a\x1b[31m", "a\x00b"])
def test_a_prefix_that_the_client_cannot_have_is_refused(prefix: str):
    with pytest.raises(InvalidInput, match=r"s3://bucket/prefix|printable characters whose parts are not empty"):
        open_folder(f"s3://bucket/{prefix}/run")


ODD_PREFIXES = ["a?x=1", "a#b", "100%", "[a]*", "{a,b}", "'q'", "a b", "\u00fc", "u\u0308", "~"]


@pytest.mark.parametrize(
    "prefix", ["export_gain=9", "%41", *(pytest.param(one, marks=pytest.mark.slow) for one in ODD_PREFIXES)]
)
def test_a_prefix_of_any_name_gives_the_answers_of_a_plain_one(endpoint: str, tmp_path: Path, prefix: str):
    plan = small_plan(trials=2000)
    address = f"s3://{BUCKET}/{tmp_path.name}/{prefix}/run"
    assert run(plan, address, RunOptions(engine="inline")) == run(plan, tmp_path / "run", RunOptions(engine="inline"))
    assert verify(address) == []
    asked = {"measures": ["export_gain", "follow_through"], "by": ["outcome"]}
    found, expected = (document_of("aggregate", open_run(place), **asked) for place in (address, tmp_path / "run"))
    assert_same(found, expected)


@pytest.mark.slow
def test_a_run_in_an_object_store_is_the_run_of_a_local_folder(endpoint: str, tmp_path: Path):
    address = f"s3://{BUCKET}/{tmp_path.name}/run"
    with pytest.raises(Stopped):
        run(PLAN, address, RunOptions(engine="inline", should_stop=iter([False] * 3 + [True] * 9).__next__))
    summary = run(PLAN, address, RunOptions(engine="ray", workers=1))
    assert run(PLAN, tmp_path / "run", RunOptions(engine="inline")) == summary
    stored = open_folder(address)
    there = {
        entry.name: hashlib.sha256(stored.read(entry.name)).hexdigest()
        for entry in stored.entries()
        if entry.name.endswith(".parquet")
    }
    assert there == digests(tmp_path / "run")
    assert verify(address) == []
    there_given, here_given = (
        {
            name: (found["outcome"], found["measures"]["export_gain"]["quantiles"])
            for name, found in summarize(open_run(one), "agreement_week <= 20")["strategies"].items()
        }
        for one in (address, tmp_path / "run")
    )
    assert there_given == here_given
    content = bytearray(stored.read(next(iter(there))))
    content[len(content) // 2] ^= 1
    put(stored, next(iter(there)), bytes(content))
    assert any("is altered" in finding for finding in verify(address))


def test_an_object_store_that_does_not_answer_is_reported(monkeypatch: pytest.MonkeyPatch):
    """Nothing listens at port 1."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    monkeypatch.setattr("cluster.storage.s3.RETRIES", {"max_retries": 0})
    silent = open_folder("s3://silent/run")
    assert "object store" in str(why_not_writable(silent))
    with pytest.raises(OSError, match="object store"):
        silent.read("run.json")


def test_an_object_store_that_fails_during_a_query_is_an_os_error(endpoint: str, tmp_path: Path):
    run(PLAN, f"s3://{BUCKET}/{tmp_path.name}", RunOptions(engine="inline"))
    stored = open_run(f"s3://{BUCKET}/{tmp_path.name}")
    assert stored.committed
    stored.folder.remove_all()
    with pytest.raises(OSError, match="object store"):
        summarize(stored)


def test_drafts_of_processes_that_have_ended_are_removed(
    endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    folder = open_folder(f"s3://{BUCKET}/{tmp_path.name}")
    command = f"from cluster.storage.address import open_folder; open_folder({folder.address!r}).draft('.parquet')"
    subprocess.run([sys.executable, "-c", command], env=os.environ | {"TMPDIR": str(tmp_path)}, check=True)
    ours = folder.draft(".parquet")
    assert len(list(tmp_path.iterdir())) == 2
    folder.remove_drafts()
    assert list(tmp_path.iterdir()) == [ours]


def test_an_object_that_is_cut_short_is_not_taken_for_a_damaged_one(
    endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Its trials would count as not committed, and an answer would leave them out without a word."""
    address = f"s3://{BUCKET}/{tmp_path.name}"
    run(PLAN, address, RunOptions(engine="inline"))
    stored = open_run(address)
    whole = obstore.get_range
    monkeypatch.setattr(obstore, "get_range", lambda *where, **part: bytes(whole(*where, **part))[:-1])
    with pytest.raises(OSError, match="cut short"):
        summarize(StoredRun(stored.plan, stored.folder))


def asked_in_a_new_process(**environment: str) -> subprocess.CompletedProcess[str]:
    """Whether a process with this environment alone reaches the bucket."""
    code = (
        "from cluster.storage import s3; s3.RETRIES['max_retries'] = 0\n"
        f"s3.ObjectFolder({BUCKET!r}, 'prefix').check_reachable()"
    )
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "SSL_"))}
    return subprocess.run([sys.executable, "-c", code], env=kept | environment, capture_output=True, text=True)


@pytest.fixture(scope="module")
def secured(tmp_path_factory) -> Iterator[dict[str, str]]:
    """The environment in which a bucket behind TLS is reached, whose certificate no known authority has signed."""
    folder = tmp_path_factory.mktemp("certificate")
    certificate, key = folder / "store.pem", folder / "store.key"
    extensions = ["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"]
    subject = ["-subj", "/CN=store", *extensions]
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *subject, "-out", certificate, "-keyout", key]
    subprocess.run(made, check=True, capture_output=True)
    with secured_object_store(certificate, key) as endpoint:
        yield {"AWS_ENDPOINT_URL": endpoint, "AWS_REGION": "us-east-1", "SSL_CERT_FILE": str(certificate)}


@pytest.mark.slow
def test_a_certificate_authority_of_ones_own_is_trusted_where_the_environment_names_it(secured):
    """As `trustedCertificates` of the chart does."""
    keys = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
    done = asked_in_a_new_process(**secured, **keys)
    assert done.returncode == 0, done.stderr
    unknown = asked_in_a_new_process(**{name: value for name, value in secured.items() if "CERT" not in name}, **keys)
    assert unknown.returncode == 1
    assert "(UnknownIssuer)" in unknown.stderr


@pytest.mark.parametrize(
    ("place", "cause"),
    [("http://127.0.0.1:9", "(Connection refused)"), ("http://no-such-host.invalid", "(failed to lookup address")],
)
def test_the_cause_of_a_connection_that_fails_is_named(place, cause, monkeypatch):
    settings = {"AWS_ENDPOINT_URL": place, "AWS_ALLOW_HTTP": "true", "AWS_REGION": "us-east-1"}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    store = S3Store(BUCKET, retry_config={"max_retries": 0, "retry_timeout": timedelta(seconds=1)})
    with pytest.raises(OSError, match=re.escape(cause)), os_errors():
        obstore.list(store).collect()
