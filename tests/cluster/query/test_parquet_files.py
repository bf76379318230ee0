"""How DuckDB reads a folder's files."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cluster.query.parquet_files import _ObjectFiles
from cluster.query.session import open_duckdb
from cluster.storage.address import open_folder
from sim.faults import InvalidInput
from tests.support.object_store import BUCKET, object_store
from tests.support.storage_tests import put

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with object_store() as served:
        yield served


def test_threads_that_share_an_object_read_each_at_its_own_position(endpoint: str, tmp_path: Path):
    """As DuckDB's do, which seek and read in two calls: another thread's seek may come between."""
    folder = open_folder(f"s3://{BUCKET}/{tmp_path.name}")
    put(folder, "shared", bytes(range(100)))
    shared = _ObjectFiles("s3").open(f"{folder.address}/shared")
    shared.seek(10)
    with ThreadPoolExecutor(1) as other:
        assert other.submit(shared.seek, 50).result() == 50
        assert shared.read(4) == bytes([10, 11, 12, 13])
        assert other.submit(shared.read, 4).result() == bytes([50, 51, 52, 53])
    assert shared.read(2) == bytes([14, 15])
    assert shared.seek(-3, 2) == 97
    assert shared.read() == bytes([97, 98, 99])


def test_only_the_query_package_opens_parquet_files_in_sql():
    """Elsewhere a path would again be taken for a pattern, and its parts for columns."""
    found = [
        path.relative_to(ROOT).as_posix()
        for package in ("cluster", "api")
        for path in (ROOT / package).rglob("*.py")
        if re.search(r"(read|scan)_parquet\(", path.read_text(encoding="utf-8"))
    ]
    assert found == ["cluster/query/parquet_files.py"]


def test_a_folder_for_temporary_files_that_is_a_pattern_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "[x]").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "[x]"))
    with pytest.raises(InvalidInput, match="TMPDIR"), open_duckdb(open_folder(tmp_path)):
        pass
