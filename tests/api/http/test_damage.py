"""A job whose files were damaged after it ended: every answer says so, with a status that is not the client's fault."""

import errno
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from api.http.problems import MEDIA_TYPE
from cluster.storage.local import LocalFolder
from tests.support.requests import SMALL_JOB
from tests.support.runs import digests
from tests.support.served import Served, served

BODIES = {
    "aggregate": {"measures": ["export_gain"]},
    "compare": {},
    "stress": {"bound": "export_gain > 0"},
    "timeline": {},
}


def zeros_in_the_pages(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[100 : len(content) // 2] = bytes(len(content) // 2 - 100)
    file.write_bytes(content)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "zeros": zeros_in_the_pages,
    "empty": lambda file: file.write_bytes(b""),
    "cut short": lambda file: file.write_bytes(file.read_bytes()[:1000]),
    "another format": lambda file: file.write_bytes(b"{}" * 5000),
    "gone": lambda file: file.unlink(),
    "a folder": lambda file: (file.unlink(), file.mkdir()),
}


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with served(tmp_path_factory.mktemp("damage")) as service:
        yield service


def played(service: Served, seed: int) -> tuple[str, Path]:
    """A job that is done: its address, and its folder."""
    job = service.ask("POST", "/v1/jobs", json=SMALL_JOB | {"seed": seed}).json()["id"]
    service.work()
    return f"/v1/jobs/{job}", Path(service.settings.results.address) / job


@pytest.mark.parametrize("damage", DAMAGES)
def test_every_answer_about_damaged_trials_says_so(service, damage):
    address, folder = played(service, 1 + list(DAMAGES).index(damage))
    for file in folder.glob("trials/*/*.parquet"):
        DAMAGES[damage](file)
    # A replay plays the trial again, and says within its answer that what is stored cannot be read.
    bodies = BODIES if damage == "zeros" else {**BODIES, "replay": {"trial": 3}}
    for name, body in bodies.items():
        found = service.ask("POST", f"{address}/{name}", json=body)
        assert (found.status_code, found.headers["content-type"]) == (500, MEDIA_TYPE), (name, found.text)
        assert "the job's files are damaged: delete the job and run it again" in found.text, name


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"null", b"[" * 100_000])
def test_a_damaged_summary_is_computed_again(service, content):
    address, folder = played(service, 100)
    whole = service.ask("GET", f"{address}/summary").json()
    (folder / "summary.json").write_bytes(content)
    found = service.ask("GET", f"{address}/summary")
    assert (found.status_code, found.json()) == (200, whole)


@pytest.mark.parametrize("damage", ["empty", "cut short", "gone"])
def test_no_answer_leaves_out_a_damaged_file_without_a_word(service, damage):
    """Whatever is left of the other files, an answer from them alone would be taken for the run's."""
    address, folder = played(service, 200 + list(DAMAGES).index(damage))
    DAMAGES[damage](next(folder.glob("trials/strategy=talk/*.parquet")))
    for name, body in BODIES.items():
        assert service.ask("POST", f"{address}/{name}", json=body).status_code == 500, name


def test_a_store_that_cannot_be_read_is_a_transient_failure(service, monkeypatch):
    address, _ = played(service, 300)

    def fails(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(LocalFolder, "open", fails)
    monkeypatch.setattr(LocalFolder, "read", fails)
    for name, body in BODIES.items():
        found = service.ask("POST", f"{address}/{name}", json=body)
        assert (found.status_code, found.headers["content-type"]) == (503, MEDIA_TYPE), (name, found.text)
        assert int(found.headers["Retry-After"]) > 0
    assert service.ask("GET", f"{address}/summary").status_code == 503


def test_results_that_are_lost_for_good_come_back_when_the_job_is_submitted_again(service):
    """As the page for operators says of a bucket without a backup: the same trials, byte for byte."""
    address, folder = played(service, 50)
    summary, before = service.ask("GET", f"{address}/summary").json(), digests(folder)
    shutil.rmtree(folder)
    lost = service.ask("POST", f"{address}/timeline", json={})
    assert (lost.status_code >= 400, lost.headers["content-type"]) == (True, MEDIA_TYPE), lost.text
    again, anew = played(service, 50)
    assert again != address
    assert digests(anew) == before
    assert service.ask("GET", f"{again}/summary").json() == summary
