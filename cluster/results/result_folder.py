"""The result folder: committing files to it, reading it, and verifying it.

A shard is committed when its file has its final name, and not before: it is written under another name first, and
renamed atomically. Nothing else records that a shard is done.
"""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from cluster.results.plan import Plan, Shard, plan_from_document
from cluster.storage.address import open_folder
from cluster.storage.base import CHUNK_BYTES, Entry, Folder
from cluster.storage.concurrent import in_order
from sim.faults import InvalidInput
from sim.scenario.scenario import scenario_from_document, scenario_hash
from sim.statistics.bins import FRACTION_BITS
from sim.statistics.tallies import Moments, Tally

TRIALS_FOLDER = "trials"
COUNTS_FOLDER = "counts"
"""The folder of reduced shards, beside that of the trials whose rows are kept."""
SCENARIO = "scenario.json"
RUN = "run.json"
MANIFEST = "manifest.json"
SUMMARY = "summary.json"
_KEY = "brink."
TALLIES_KEY = f"{_KEY}tallies"
"""The key of a shard's tallies in its file's footer."""


@dataclass(frozen=True, slots=True)
class Committed:
    """A committed file, as the manifest lists it; `path` is relative to the result folder.

    `rows` counts rows of trials: none in the file of a reduced shard, which has the trials from first to last all the
    same.
    """

    path: str
    strategy: str
    rows: int
    bytes: int
    sha256: str
    first_trial: int
    last_trial: int

    @property
    def trials(self) -> int:
        """The number of trials in the file, as rows or reduced."""
        return self.last_trial - self.first_trial + 1


@dataclass(frozen=True)
class ShardResult:
    """A report of a committed shard; `seconds` is the time to play and commit it."""

    shard: Shard
    file: Committed
    seconds: float


def shard_path(shard: Shard) -> str:
    """A shard's file, relative to the result folder."""
    folder = COUNTS_FOLDER if shard.reduced else TRIALS_FOLDER
    return f"{folder}/strategy={shard.strategy}/part-{shard.index:05d}.parquet"


@cache
def _version() -> str:
    return version("brink")


def file_metadata(plan: Plan, shard: Shard) -> dict[str, str]:
    """What a shard's file says of itself: enough to decide whether it belongs to a plan, and who wrote it."""
    return {f"{_KEY}version": _version(), **_identity(plan, shard)}


def _identity(plan: Plan, shard: Shard) -> dict[str, str]:
    """What a file must say of itself to belong to a plan."""
    return {
        f"{_KEY}kernel_version": str(plan.kernel_version),
        f"{_KEY}scenario_sha256": plan.scenario_sha256,
        f"{_KEY}seed": str(plan.seed),
        f"{_KEY}design": plan.design.name,
        **({} if plan.design.size is None else {f"{_KEY}trials": str(plan.design.size)}),
        f"{_KEY}strategy": shard.strategy,
        f"{_KEY}first_trial": str(shard.first),
        f"{_KEY}rows": str(shard.count),
        **({f"{_KEY}fraction_bits": str(FRACTION_BITS)} if shard.reduced else {}),
    }


def belongs(said: Mapping[str, str], plan: Plan, shard: Shard) -> bool:
    """Whether a file that says this of itself is that of a plan's shard."""
    return all(said.get(key) == value for key, value in _identity(plan, shard).items())


class HashedFile:
    """A file that is written sequentially and hashed while it is written, for pyarrow."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        self._digest = hashlib.sha256()
        self.bytes = 0

    @property
    def sha256(self) -> str:
        """The SHA-256 of what was written, in hexadecimal."""
        return self._digest.hexdigest()

    @property
    def closed(self) -> bool:
        """Whether the file is closed."""
        return self._file.closed

    def write(self, data: bytes) -> int:
        """Append bytes."""
        self._digest.update(data)
        self.bytes += self._file.write(data)
        return len(data)

    def tell(self) -> int:
        """The bytes written so far."""
        return self.bytes

    def flush(self) -> None:
        """Write buffered bytes to the operating system."""
        self._file.flush()

    def close(self) -> None:
        """Flush and close the file."""
        self._file.close()

    def __enter__(self) -> "HashedFile":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextmanager
def new_file(folder: Folder, name: str) -> Iterator[Path]:
    """A path to write to. It is renamed to `name` in the folder when the block ends without an error."""
    draft = folder.draft(Path(name).suffix)
    try:
        yield draft
        folder.commit(draft, name)
    finally:
        draft.unlink(missing_ok=True)


def write_json(folder: Folder, name: str, document: object) -> None:
    """Write a JSON file of the result folder atomically."""
    with new_file(folder, name) as draft:
        draft.write_text(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def read_json(folder: Folder, name: str) -> object:
    """Read a JSON file of the result folder. Raises `OSError` or `ValueError`."""
    try:
        return json.loads(folder.read(name).decode("utf-8"))
    except RecursionError:
        raise ValueError(f"{name} is nested too deep") from None


def tally_document(tallies: tuple[Tally, ...]) -> str:
    """Tallies as JSON, for a file's footer; least and greatest are null if there are no numbers."""
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


def recorded_metadata(footer: pq.FileMetaData) -> dict[str, str]:
    """The metadata that a file records. Files from before kernel versions were recorded have none: theirs was 1."""
    said = {key.decode(): value.decode() for key, value in (footer.metadata or {}).items()}
    return {f"{_KEY}kernel_version": "1", **said}


def committed_tallies(folder: Folder, plan: Plan, shard: Shard) -> tuple[Tally, ...] | None:
    """The tallies of a shard if its file exists and belongs to the plan, else None. Reads only the footer."""
    try:
        with folder.open(shard_path(shard)) as file:
            footer = pq.read_metadata(file)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, pa.ArrowInvalid):
        return None
    except OSError as error:
        # Arrow's error for an invalid footer has no errno; errors of the operating system have one.
        if error.errno is not None:
            raise
        return None
    found = recorded_metadata(footer)
    if not belongs(found, plan, shard):
        return None
    if footer.num_rows != shard.count and not shard.reduced:
        return None
    try:
        return tallies_from_document(found[TALLIES_KEY])
    except (KeyError, TypeError, ValueError):
        return None


def committed_shards(folder: Folder, plan: Plan, among: Iterable[Shard] | None = None) -> dict[Shard, Committed]:
    """The plan's shards that are committed already, each with its entry for the manifest; reads the complete files.

    Looks `among` the given shards, or all. A file that differs from its entry in an earlier manifest is not counted.
    """
    wanted = list(plan.shards() if among is None else among)
    if not wanted:
        return {}
    listed = listed_files(folder)
    present = {entry.name for entry in folder.entries()}
    shards = [shard for shard in wanted if shard_path(shard) in present]

    def checked(shard: Shard) -> Committed | None:
        if committed_tallies(folder, plan, shard) is None:
            return None
        with folder.open(shard_path(shard)) as file:
            entry = describe(shard, *fingerprint(file))
        return entry if listed.get(entry.path, entry) == entry else None

    entries = in_order(checked, shards)
    return {shard: entry for shard, entry in zip(shards, entries, strict=True) if entry is not None}


def listed_files(folder: Folder) -> dict[str, Committed]:
    """The files of the manifest by path; none if there is no manifest, or what is there is none. Raises `OSError`."""
    try:
        return {file.path: file for file in read_manifest(folder)}
    except (FileNotFoundError, ValueError):
        return {}


def describe(shard: Shard, size: int, sha256: str) -> Committed:
    """A shard's entry for the manifest, with its file's size in bytes and SHA-256."""
    last = shard.first + shard.count - 1
    rows = 0 if shard.reduced else shard.count
    return Committed(shard_path(shard), shard.strategy, rows, size, sha256, shard.first, last)


def fingerprint(file: BinaryIO) -> tuple[int, str]:
    """A file's size and SHA-256."""
    digest = hashlib.sha256()
    while chunk := file.read(CHUNK_BYTES):
        digest.update(chunk)
    return file.tell(), digest.hexdigest()


def write_manifest(folder: Folder, files: list[Committed], *, complete: bool) -> None:
    """Write the manifest of the given files, in order of strategy and trial, and whether they are the whole run."""
    ordered = sorted(files, key=lambda file: (file.strategy, file.first_trial))
    write_json(folder, MANIFEST, {"complete": complete, "files": [asdict(file) for file in ordered]})


def read_manifest(folder: Folder) -> list[Committed]:
    """The files that the manifest lists. Raises `OSError`, or `ValueError` if it is no manifest."""
    return _files(read_json(folder, MANIFEST))


def finished_files(folder: Folder) -> list[Committed]:
    """The files that the manifest lists if it says that they are the whole run, else none.

    Raises as `read_manifest`.
    """
    document = read_json(folder, MANIFEST)
    return _files(document) if isinstance(document, dict) and document.get("complete") is True else []


def _files(manifest: object) -> list[Committed]:
    try:
        return [Committed(**entry) for entry in manifest["files"]]  # type: ignore[index]
    except (TypeError, KeyError) as error:
        raise ValueError(f"is not a manifest ({error})") from None


def recorded_plan(folder: Folder) -> Plan:
    """The plan of the run in a folder. Raises `OSError`, or `ValueError` if it is no run's folder."""
    scenario = scenario_from_document(read_json(folder, SCENARIO), SCENARIO)
    recorded = read_json(folder, RUN)
    if not isinstance(recorded, dict):
        raise ValueError(f"{RUN} is not that of a run")
    return plan_from_document(scenario, recorded)


def verify(address: str | os.PathLike[str]) -> list[str]:
    """What is wrong with a result folder, one line per finding; empty if every committed row is present and unaltered.

    Compares the files of trials with the manifest, and the folder's run and scenario with the footers of the files.
    `cluster.answers.summary_verification` verifies the summary.
    """
    folder = open_folder(address)
    present = {entry.name: entry for entry in folder.entries()}
    if not present:
        return [f"{folder.address}: holds no files"]
    try:
        files = read_manifest(folder)
    except FileNotFoundError:
        return [f"{MANIFEST}: is missing"]
    except (OSError, ValueError) as error:
        return [f"{MANIFEST}: cannot be read: {error}"]
    partial = f"{MANIFEST}: lists only a part of the run, which was stopped before its end"
    findings = [] if _says_complete(folder) else [partial]
    wrong = {file: _verify_file(folder, file, present.get(file.path)) for file in files}
    findings += [finding for found in wrong.values() for finding in found]
    listed = {file.path for file in files}
    folders = (f"{TRIALS_FOLDER}/", f"{COUNTS_FOLDER}/")
    foreign = [name for name in present if name.startswith(folders) and name not in listed]
    findings += [f"{name}: is not in the manifest" for name in foreign]
    findings += _verify_extent(folder, files)
    return findings + _verify_origin(folder, [file for file, found in wrong.items() if not found])


def _says_complete(folder: Folder) -> bool:
    document = read_json(folder, MANIFEST)
    return isinstance(document, dict) and document.get("complete") is not False


def _verify_file(folder: Folder, file: Committed, found: Entry | None) -> list[str]:
    if found is None:
        return [f"{file.path}: is missing"]
    if found.bytes < file.bytes:
        return [f"{file.path}: is truncated: {found.bytes} of {file.bytes} bytes"]
    try:
        with folder.open(file.path) as content:
            if fingerprint(content) != (file.bytes, file.sha256):
                return [f"{file.path}: is altered: its SHA-256 is not the manifest's"]
            content.seek(0)
            rows = pq.read_metadata(content).num_rows
    except OSError as error:
        return [f"{file.path}: cannot be read: {error.strerror or error}"]
    if file.path.startswith(f"{COUNTS_FOLDER}/"):
        return [] if file.rows == 0 else [f"{file.path}: has counts and no rows, where the manifest has {file.rows}"]
    if rows != file.rows or file.trials != file.rows:
        return [f"{file.path}: has {rows} rows, where the manifest has {file.rows}"]
    return []


def _verify_extent(folder: Folder, files: list[Committed]) -> list[str]:
    """Whether each strategy's files contain each of the run's trials once."""
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
            findings.append(f"{TRIALS_FOLDER}/strategy={strategy}: holds {expected} of {trials} trials")
    return findings


def _verify_origin(folder: Folder, files: list[Committed]) -> list[str]:
    """Whether the files were made from the scenario and the run that the folder names."""
    try:
        plan, run = recorded_plan(folder), read_json(folder, RUN)
    except FileNotFoundError:
        return [] if SCENARIO in {entry.name for entry in folder.entries()} else [f"{SCENARIO}: is missing"]
    except InvalidInput as error:
        return [f"{SCENARIO}: is not a scenario: {fault}" for fault in error.faults]
    except (OSError, ValueError, TypeError, KeyError) as error:
        return [f"{SCENARIO} or {RUN}: cannot be read: {error}"]
    numbers = {"trials": plan.trials, "seed": plan.seed, "shard_trials": plan.shard_trials}
    if any(type(number) is not int or number < 0 for number in numbers.values()) or not plan.shard_trials:
        return [f"{RUN}: its {', '.join(numbers)} must be whole numbers"]
    own = {"scenario": plan.scenario.name, "scenario_sha256": scenario_hash(plan.scenario)}
    findings = [
        f"{RUN}: its {name} is {run.get(name)}, where {SCENARIO} has {value}"  # type: ignore[attr-defined]
        for name, value in own.items()
        if run.get(name) != value  # type: ignore[attr-defined]
    ]
    differ: Counter[str] = Counter()
    for file in files:
        first = file.first_trial
        shard = Shard(file.strategy, first // plan.shard_trials, first, file.trials, plan.reduces(first))
        with folder.open(file.path) as content:
            said = recorded_metadata(pq.read_metadata(content))
        for key, value in _identity(plan, shard).items():
            if said.get(key) != value:
                where = {"scenario_sha256": SCENARIO, "seed": RUN, "design": RUN, "trials": RUN, "kernel_version": RUN}
                name = key.removeprefix(_KEY)
                source = where.get(name, MANIFEST)
                differ[f"{source}: has the {name} {value}, where the files have {said.get(key)}"] += 1
        if shard_path(shard) != file.path or file.first_trial % plan.shard_trials:
            differ[f"{RUN}: says {plan.shard_trials} trials in a file, but the files are cut differently"] += 1
        if file.strategy not in plan.strategies:
            differ[f"{RUN}: does not name the strategy {file.strategy}, which has files"] += 1
    return findings + [f"{finding} ({count} of {len(files)})" for finding, count in differ.items()]
