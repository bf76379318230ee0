"""The result folder: what is committed, how it gets there, and whether it is still what it was.

A shard is committed when its file stands under its final name, and not before: it is written elsewhere in the
folder, flushed to disk and renamed. Nothing else records that a shard is done.
"""

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from cluster.plan import Plan, Shard
from sim.estimates import Moments, Tally
from sim.scenario import scenario_hash

TRIALS = "trials"
SCENARIO = "scenario.json"
RUN = "run.json"
MANIFEST = "manifest.json"
SUMMARY = "summary.json"
_WORK = ".work"
_KEY = "brink."


@dataclass(frozen=True)
class Committed:
    """A committed file, as the manifest lists it; `path` is relative to the result folder."""

    path: str
    strategy: str
    rows: int
    bytes: int
    sha256: str
    first_trial: int
    last_trial: int


@dataclass(frozen=True)
class ShardResult:
    """What is reported of a committed shard."""

    shard: Shard
    file: Committed


def shard_path(shard: Shard) -> str:
    """A shard's file, relative to the result folder."""
    return f"{TRIALS}/strategy={shard.strategy}/part-{shard.index:05d}.parquet"


def file_metadata(plan: Plan, shard: Shard) -> dict[str, str]:
    """What a shard's file says of itself: enough to tell whether it belongs to a plan."""
    return {
        f"{_KEY}scenario_sha256": scenario_hash(plan.scenario),
        f"{_KEY}seed": str(plan.seed),
        f"{_KEY}design": plan.design,
        **({f"{_KEY}trials": str(plan.trials)} if plan.design == "latin_hypercube" else {}),
        f"{_KEY}strategy": shard.strategy,
        f"{_KEY}first_trial": str(shard.first),
        f"{_KEY}rows": str(shard.count),
    }


@contextmanager
def new_file(folder: Path, name: str) -> Iterator[Path]:
    """A path to write to, which takes its final name, `name` in the folder, once the block ends without an error."""
    work = folder / _WORK
    work.mkdir(parents=True, exist_ok=True)
    draft = work / f"{uuid.uuid4().hex}{Path(name).suffix}"
    try:
        yield draft
        with draft.open("rb") as written:
            os.fsync(written.fileno())
        final = folder / name
        final.parent.mkdir(parents=True, exist_ok=True)
        draft.replace(final)
        _flush_folder(final.parent)
    finally:
        draft.unlink(missing_ok=True)


def write_json(folder: Path, name: str, document: object) -> None:
    """Write a JSON file of the result folder, whole or not at all."""
    with new_file(folder, name) as draft:
        draft.write_text(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def read_json(folder: Path, name: str) -> object:
    """Read a JSON file of the result folder. Raises `OSError` or `ValueError`."""
    return json.loads((folder / name).read_text(encoding="utf-8"))


def clear_drafts(folder: Path) -> None:
    """Remove what unfinished writers left behind."""
    shutil.rmtree(folder / _WORK, ignore_errors=True)


def tally_document(tallies: tuple[Tally, ...]) -> str:
    """Tallies as JSON, for a file's footer; the ends of no numbers are null."""
    documents = [asdict(tally) for tally in tallies]
    for moments in (moments for document in documents for moments in document["measures"].values()):
        if not moments["count"]:
            moments["least"] = moments["greatest"] = None
    return json.dumps(documents, separators=(",", ":"), allow_nan=False)


def tallies_from_document(text: str) -> tuple[Tally, ...]:
    """Tallies as `tally_document` wrote them."""
    tallies = []
    for document in json.loads(text):
        for moments in document["measures"].values():
            if not moments["count"]:
                moments |= {"least": float("inf"), "greatest": float("-inf")}
        document["measures"] = {name: Moments(**moments) for name, moments in document["measures"].items()}
        tallies.append(Tally(**document))
    return tuple(tallies)


def committed_tallies(folder: Path, plan: Plan, shard: Shard) -> tuple[Tally, ...] | None:
    """The tallies of a shard if its file is there and belongs to the plan, else None. Reads the footer alone."""
    path = folder / shard_path(shard)
    try:
        footer = pq.read_metadata(path)
    except (OSError, pa.ArrowInvalid):
        return None
    found = {key.decode(): value.decode() for key, value in (footer.metadata or {}).items()}
    expected = file_metadata(plan, shard)
    if footer.num_rows != shard.count or any(found.get(key) != value for key, value in expected.items()):
        return None
    return tallies_from_document(found[f"{_KEY}tallies"])


def describe(folder: Path, shard: Shard) -> Committed:
    """A committed shard's entry for the manifest; reads the whole file."""
    name = shard_path(shard)
    size, digest = fingerprint(folder / name)
    return Committed(name, shard.strategy, shard.count, size, digest, shard.first, shard.first + shard.count - 1)


def fingerprint(path: Path) -> tuple[int, str]:
    """A file's size and SHA-256."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return path.stat().st_size, digest


def write_manifest(folder: Path, files: list[Committed]) -> None:
    """Write the manifest of the given files, in order of strategy and trial."""
    ordered = sorted(files, key=lambda file: (file.strategy, file.first_trial))
    write_json(folder, MANIFEST, {"files": [asdict(file) for file in ordered]})


def read_manifest(folder: Path) -> list[Committed]:
    """The files that the manifest lists. Raises `OSError`, or `ValueError` if it is no manifest."""
    document = read_json(folder, MANIFEST)
    try:
        return [Committed(**entry) for entry in document["files"]]  # type: ignore[index]
    except (TypeError, KeyError) as error:
        raise ValueError(f"is not a manifest ({error})") from None


def verify(folder: Path) -> list[str]:
    """Whatever is wrong with a result folder, a line a finding; empty if every committed row is there, unaltered."""
    if not folder.is_dir():
        return [f"{folder}: is not a folder"]
    try:
        files = read_manifest(folder)
    except FileNotFoundError:
        return [f"{MANIFEST}: is missing"]
    except (OSError, ValueError) as error:
        return [f"{MANIFEST}: cannot be read: {error}"]
    findings = [finding for file in files for finding in _verify_file(folder, file)]
    listed = {file.path for file in files}
    present = {str(path.relative_to(folder)) for path in sorted((folder / TRIALS).rglob("*")) if not path.is_dir()}
    findings += [f"{path}: is foreign: the manifest does not list it" for path in sorted(present - listed)]
    return findings + _verify_extent(folder, files)


def _verify_file(folder: Path, file: Committed) -> list[str]:
    path = folder / file.path
    if not path.resolve().is_relative_to(folder.resolve()):
        return [f"{file.path}: lies outside the folder"]
    if not path.is_file():
        return [f"{file.path}: is missing"]
    try:
        size, digest = fingerprint(path)
    except OSError as error:
        return [f"{file.path}: cannot be read: {error.strerror or error}"]
    if size < file.bytes:
        return [f"{file.path}: is truncated: {size} of {file.bytes} bytes"]
    if size != file.bytes or digest != file.sha256:
        return [f"{file.path}: is altered: its SHA-256 is not the manifest's"]
    rows = pq.read_metadata(path).num_rows
    if rows != file.rows or file.last_trial - file.first_trial + 1 != file.rows:
        return [f"{file.path}: has {rows} rows, where the manifest has {file.rows}"]
    return []


def _verify_extent(folder: Path, files: list[Committed]) -> list[str]:
    """Whether each strategy's files hold each of the run's trials once."""
    try:
        run = read_json(folder, RUN)
        trials, strategies = int(run["trials"]), list(run["strategies"])  # type: ignore[index]
    except FileNotFoundError:
        return [f"{RUN}: is missing"]
    except (OSError, ValueError, TypeError, KeyError) as error:
        return [f"{RUN}: cannot be read: {error}"]
    findings = []
    for strategy in strategies:
        expected = 0
        for file in sorted((f for f in files if f.strategy == strategy), key=lambda f: f.first_trial):
            if file.first_trial != expected:
                kind = "lack" if file.first_trial > expected else "repeat"
                findings.append(f"{file.path}: trials before {file.first_trial} {kind}: expected {expected}")
            expected = max(expected, file.last_trial + 1)
        if expected != trials:
            findings.append(f"{TRIALS}/strategy={strategy}: holds {expected} of {trials} trials")
    return findings


def _flush_folder(folder: Path) -> None:
    """Make a rename in a folder last: on POSIX the folder itself must be flushed."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
