"""Commands whose result folder is in an object store: the address arrives as it was typed."""

import json
from collections.abc import Iterator

import pytest

from cluster.storage.address import open_folder
from tests.support.command_line import brink
from tests.support.object_store import BUCKET, object_store


@pytest.fixture(scope="module", autouse=True)
def served() -> Iterator[str]:
    with object_store() as endpoint:
        yield endpoint


def test_a_run_into_a_bucket_can_be_verified_asked_and_continued(tmp_path):
    folder = f"s3://{BUCKET}/runs/mexico"
    options = ["--seed", "3", "--engine", "inline", "--out", folder]
    brink("run", "us-mexico-2019", "--trials", "1000", *options, cwd=tmp_path, status=0)
    assert "every committed row" in brink("verify", folder, cwd=tmp_path, status=0).stdout
    assert json.loads(brink("summary", folder, "--json", cwd=tmp_path, status=0).stdout)["trials"] == 1000
    brink("run", "us-mexico-2019", "--trials", "1000", *options, cwd=tmp_path, status=0)
    assert list(tmp_path.iterdir()) == []


def test_indices_and_a_backtest_into_a_bucket_write_nothing_beside_it(tmp_path):
    folder = f"s3://{BUCKET}/indices"
    options = ["--base-samples", "64", "--engine", "inline", "--out", folder]
    brink("indices", "us-mexico-2019", *options, cwd=tmp_path, status=0)
    brink("indices", folder, "--measure", "agreement", cwd=tmp_path, status=0)
    options = ["--trials", "500", "--engine", "inline", "--out", f"s3://{BUCKET}/backtest/"]
    brink("backtest", "us-japan-autos-1995", *options, cwd=tmp_path, status=0)
    (folder,) = open_folder(f"s3://{BUCKET}/backtest").subfolders()
    assert folder.startswith("us-japan-autos-1995-")
    assert list(tmp_path.iterdir()) == []
