"""How DuckDB and Arrow read a folder's files."""

import errno
import re
import resource
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cluster.answers.summary import summarize
from cluster.query.parquet_files import DamagedTrials, _ObjectFiles
from cluster.query.session import open_duckdb
from cluster.query.trials import open_run
from cluster.runs.options import RunOptions
from cluster.runs.run import run
from cluster.storage.address import open_folder
from sim.faults import InvalidInput
from tests.support.object_store import BUCKET, object_store
from tests.support.runs import small_plan
from tests.support.storage_tests import put

ROOT = Path(__file__).parents[3]
COUNT_THREADS = """
import sys
import time
import psutil
from cluster.answers.summary_verification import verify_summary
from cluster.query.trials import open_run, shard_of, stored_row

before = psutil.Process().num_threads()
run = open_run(sys.argv[1])
assert stored_row(run, shard_of(run, "talk", 1700), 1700)["trial"] == 1700
assert verify_summary(run) == []
# The system may count a thread that was joined for a little longer.
ends = time.monotonic() + 60
while psutil.Process().num_threads() > before and time.monotonic() < ends:
    time.sleep(0.01)
assert psutil.Process().num_threads() == before
"""


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with object_store() as served:
        yield served


def test_threads_that_share_an_object_read_each_at_its_own_position(endpoint: str, tmp_path: Path):
    """As DuckDB's do, which seek and read in two calls: another thread's seek may come between."""
    folder = open_folder(f"s3://{BUCKET}/{tmp_path.name}")
    put(folder, "shared", bytes(range(100)))
    shared = _ObjectFiles(folder).open("objects://folder/shared")
    shared.seek(10)
    with ThreadPoolExecutor(1) as other:
        assert other.submit(shared.seek, 50).result() == 50
        assert shared.read(4) == bytes([10, 11, 12, 13])
        assert other.submit(shared.read, 4).result() == bytes([50, 51, 52, 53])
    assert shared.read(2) == bytes([14, 15])
    assert shared.seek(-3, 2) == 97
    assert shared.read() == bytes([97, 98, 99])


def test_a_folder_for_temporary_files_that_is_a_pattern_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "[x]").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "[x]"))
    with pytest.raises(InvalidInput, match="TMPDIR"), open_duckdb(open_folder(tmp_path)):
        pass


def test_arrow_reads_python_files_without_threads_of_its_own(tmp_path: Path):
    """Such a thread that still held the file while the interpreter ended would abort the process."""
    run(small_plan(trials=2000), tmp_path / "run", RunOptions(engine="inline"))
    done = subprocess.run([sys.executable, "-c", COUNT_THREADS, tmp_path / "run"], cwd=ROOT, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()


def test_only_one_module_reads_parquet_files():
    """Elsewhere a path might be taken for a pattern and its parts for columns, or Arrow's threads might read."""
    found = [
        path.relative_to(ROOT).as_posix()
        for package in ("cluster", "api")
        for path in (ROOT / package).rglob("*.py")
        if re.search(
            r"(read|scan)_parquet\(|pq\.(read_table|ParquetFile|ParquetDataset)\b|pyarrow\.dataset",
            path.read_text(encoding="utf-8"),
        )
    ]
    assert found == ["cluster/query/parquet_files.py"]


def test_a_damaged_file_is_reported_as_such(tmp_path: Path):
    """Zeros in the place of pages: no number, but nothing that can be read either."""
    run(small_plan(trials=2000), tmp_path / "run", RunOptions(engine="inline"))
    file = tmp_path / "run" / "trials" / "strategy=talk" / "part-00001.parquet"
    content = bytearray(file.read_bytes())
    content[2000 : len(content) // 2] = bytes(len(content) // 2 - 2000)
    file.write_bytes(content)
    with pytest.raises(DamagedTrials, match="brink verify") as raised:
        summarize(open_run(tmp_path / "run"), "export_gain > 0")
    assert "folder/" not in str(raised.value)


def test_too_few_files_that_may_be_open_are_reported_as_such(tmp_path: Path):
    run(small_plan(trials=2000, shard_trials=20), tmp_path / "run", RunOptions(engine="inline"))
    found = open_run(tmp_path / "run")
    assert found.committed
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)

    def ask_without_files() -> None:
        with open_duckdb(found.folder) as database:
            resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
            try:
                database.execute("SELECT sum(trial) FROM committed(?)", [found.files("talk")]).fetchall()
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, limits)

    with pytest.raises(OSError, match="open") as raised:
        ask_without_files()
    assert raised.value.errno == errno.EMFILE
    assert raised.value.filename == str(tmp_path / "run")
