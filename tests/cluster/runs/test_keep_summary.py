"""A run that keeps counts: the summary and the timeline of all its trials, and the rows of the first ones."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from cluster.answers.registry import ask, find_answer
from cluster.answers.summary_verification import verify_summary
from cluster.query.counted_trials import read_counts
from cluster.query.memory_cache import MemoryCache
from cluster.query.trials import StoredRun, open_run
from cluster.results.plan import make_plan
from cluster.results.result_folder import read_manifest, recorded_plan, verify
from cluster.runs import shard as shard_module
from cluster.runs.options import RunOptions
from cluster.runs.run import Stopped, run
from cluster.runs.shard import run_shards
from cluster.storage.address import open_folder
from sim.faults import InvalidInput
from sim.statistics.trial_counts import WHOLE as WHOLE_NUMBERS
from tests.support.command_line import brink
from tests.support.runs import digests, small_plan

INLINE = RunOptions(engine="inline")
WHOLE = small_plan(trials=8000, shard_trials=1000)
PLAN = replace(WHOLE, kept_trials=1500)
"""Its first two shards keep their rows."""
KEPT = small_plan(trials=2000, shard_trials=1000)
"""A run of the trials whose rows are kept."""


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    """The same run with all rows and with counts, and the run of the kept rows."""
    root = tmp_path_factory.mktemp("keep")
    for name, plan in (("whole", WHOLE), ("counts", PLAN), ("kept", KEPT)):
        run(plan, root / name, INLINE)
    return {path.name: path for path in root.iterdir()}


def test_rows_of_the_first_shards_and_counts_of_the_others_are_kept(folders):
    found = {path.rpartition("/")[0] for path in digests(folders["counts"])}
    assert found == {f"{kind}/strategy={name}" for kind in ("trials", "counts") for name in PLAN.strategies}
    entries = read_manifest(open_folder(folders["counts"]))
    assert sum(entry.rows for entry in entries) == 2 * 2000
    assert sum(entry.trials for entry in entries) == 16_000
    whole = digests(folders["whole"])
    assert {path: digest for path, digest in digests(folders["counts"]).items() if path in whole} == digests(
        folders["kept"]
    )
    assert PLAN.row_trials == 2000


@pytest.mark.parametrize("design", ["random", "sobol"])
def test_the_summary_is_that_of_all_trials_and_its_quantiles_are_within_their_bound(folders, tmp_path, design):
    """Everything but the quantiles of real numbers is exactly the same; a quantile is compared with the exact one."""
    if design == "random":
        whole, counts = (open_run(folders[name]) for name in ("whole", "counts"))
    else:
        other = small_plan(trials=4000, shard_trials=1000, design=design)
        run(other, tmp_path / "whole", INLINE)
        run(replace(other, kept_trials=1500), tmp_path / "counts", INLINE)
        whole, counts = (open_run(tmp_path / name) for name in ("whole", "counts"))
    expected, found = (ask(one, "summary") for one in (whole, counts))
    assert found["complete"]
    assert "within 0.1 %, from counts of all trials" in found["method"]
    compared = 0
    for strategy, own in expected["strategies"].items():
        other = found["strategies"][strategy]
        assert {key: own[key] for key in ("trials", "trials_played", "outcome", "events")} == {
            key: other[key] for key in ("trials", "trials_played", "outcome", "events")
        }
        for name, measure in own["measures"].items():
            reduced = other["measures"][name]
            assert reduced["mean"] == measure["mean"]
            if name in WHOLE_NUMBERS:
                assert reduced == measure
                continue
            for level, value in measure["quantiles"].items():
                interval = measure["quantile_intervals"][level]
                wider = reduced["quantile_intervals"][level]
                assert reduced["quantiles"][level] == pytest.approx(value, rel=2.0**-10, abs=1e-30)
                compared += value != 0.0
                if design == "random":
                    # The same ranks: the bins' edges enclose the interval by less than a bin.
                    assert wider["low"] <= interval["low"]
                    assert interval["high"] <= wider["high"]
                for key in ("low", "high"):
                    assert wider[key] == pytest.approx(interval[key], rel=0.02 if design == "sobol" else 2.0**-9)
    assert compared > 30, "the comparison is of numbers that are not 0"


def test_the_timeline_is_exactly_that_of_all_trials(folders):
    whole, counts = (ask(open_run(folders[name]), "timeline") for name in ("whole", "counts"))
    assert counts == whole


@pytest.mark.parametrize(
    "names",
    [
        ("summary", "timeline", "convergence"),
        pytest.param(("compare", "worth", "drivers", "discover", "stress", "typical"), marks=pytest.mark.slow),
    ],
    ids=["some", "others"],
)
def test_every_other_answer_is_that_of_a_run_of_the_kept_rows_and_says_so(folders, names):
    counts, kept = (open_run(folders[name]) for name in ("counts", "kept"))
    note = "from the rows of the first 2,000 of 8,000 trials of each strategy: the run keeps no others"
    answered = 0
    for answer in (find_answer(name) for name in names):
        for request in answer.examples:
            if answer.name in ("summary", "timeline") and "given" not in request:
                continue
            expected = ask(kept, answer.name, request)
            found = ask(counts, answer.name, request)
            answered += 1
            if answer.bare:
                assert note in found["method"]
                assert found["strategies"] == expected["strategies"]
            else:
                assert found["method"]["rows"] == note
                assert found["run"] == expected["run"] | {"trials": 8000}
                assert found["result"] == expected["result"]
    assert answered >= len(names)


def test_the_terminal_says_which_rows_an_answer_is_from(folders):
    note = "From the rows of the first 2,000 of 8,000 trials of each strategy: the run keeps no others."
    for command, said in (("convergence", True), ("aggregate", True), ("timeline", False)):
        arguments = ("--measure", "agreement") if command == "aggregate" else ()
        printed = brink(command, folders["counts"], *arguments, status=0).stdout
        assert (note in " ".join(printed.split())) == said, command


def test_grouped_statistics_count_the_kept_rows(folders):
    counts, kept = (
        ask(open_run(folders[name]), "aggregate", {"measures": ["agreement"]}) for name in ("counts", "kept")
    )
    assert counts["trials"] == {"played": 16_000, "used": kept["trials"]["used"]}


def test_a_trial_is_replayed_and_compared_with_its_row_if_that_is_kept(folders):
    found = open_run(folders["counts"])
    kept = ask(found, "replay", {"trial": 1999})["result"]
    assert (kept["check"]["equal"], kept["check"]["reason"]) == (True, None)
    assert kept["check"]["strategies"] == list(PLAN.strategies)
    other = ask(found, "replay", {"trial": 2000})
    check = other["result"]["check"]
    assert (check["equal"], check["strategies"], check["differences"]) == (None, [], [])
    assert check["reason"] == other["method"]["check"]
    assert "keeps no row of this trial" in check["reason"]
    assert other["result"]["end"] == ask(open_run(folders["whole"]), "replay", {"trial": 2000})["result"]["end"]


def test_the_command_says_that_a_replayed_trial_was_compared_with_nothing(folders):
    printed = brink("replay", folders["counts"], "--trial", "2000", status=0).stdout
    assert "keeps no row of this trial with which it could be compared" in " ".join(printed.split())
    assert "equals the stored row" not in printed


def test_a_stopped_run_continues_and_its_summary_grows_from_what_was_read_before(folders, tmp_path):
    """The files are the same ones, and so are the answers of a process that saw the run half done."""
    target = tmp_path / "run"
    done = 0

    def count(progress: object) -> None:
        nonlocal done
        done = progress.shards_done  # type: ignore[attr-defined]

    with pytest.raises(Stopped):
        run(PLAN, target, replace(INLINE, on_progress=count, should_stop=lambda: done >= 11))
    memory: MemoryCache = MemoryCache(1 << 24)
    half = ask(StoredRun(PLAN, open_folder(target), memory), "summary")
    assert not half["complete"]
    assert 0 < sum(one["trials"] for one in half["strategies"].values()) < 16_000
    run(PLAN, target, INLINE)
    assert digests(target) == digests(folders["counts"])
    whole = ask(open_run(folders["counts"]), "summary")
    assert ask(StoredRun(PLAN, open_folder(target), memory), "summary") == whole


def test_the_counts_of_a_shard_do_not_depend_on_how_many_trials_are_counted_at_a_time(folders, tmp_path, monkeypatch):
    monkeypatch.setattr(shard_module, "ROW_GROUP", 90)
    shard = PLAN.shard_with("talk", 3000)
    list(run_shards(PLAN, [shard], open_folder(tmp_path)))
    once, in_parts = (read_counts(open_folder(folder), shard) for folder in (folders["counts"], tmp_path))
    for name, counts in once.items():
        for field in ("replicate", "key", "count"):
            assert np.array_equal(getattr(counts, field), getattr(in_parts[name], field)), name
    assert sum(counts.count.sum() for counts in once.values()) > 10_000


def test_runs_of_both_kinds_are_not_mixed_in_a_folder_but_share_rows(folders, tmp_path):
    with pytest.raises(InvalidInput, match="holds another run: it keeps summary, not all"):
        run(WHOLE, folders["counts"], INLINE)
    with pytest.raises(InvalidInput, match="holds another run: it keeps all, not summary"):
        run(PLAN, folders["whole"], INLINE)
    played = []

    def note(progress: object) -> None:
        if progress.latest is not None:  # type: ignore[attr-defined]
            played.append(progress.latest.shard)  # type: ignore[attr-defined]

    options = replace(INLINE, donors=(open_folder(folders["whole"]),), on_progress=note)
    run(PLAN, tmp_path / "reduced", options)
    assert all(shard.reduced for shard in played)
    assert digests(tmp_path / "reduced") == digests(folders["counts"])
    played.clear()
    larger = replace(PLAN, trials=9000)
    run(larger, tmp_path / "larger", replace(options, donors=(open_folder(folders["counts"]),)))
    assert [shard.index for shard in played] == [8, 8]
    assert recorded_plan(open_folder(tmp_path / "larger")) == larger


def test_verify_finds_altered_counts(folders, tmp_path):
    assert verify(folders["counts"]) == []
    assert verify_summary(open_run(folders["counts"])) == []
    target = tmp_path / "run"
    shutil.copytree(folders["counts"], target)
    name = "counts/strategy=talk/part-00007.parquet"
    path = target / name
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert any(name in finding and "altered" in finding for finding in verify(target))
    path.unlink()
    assert any(finding == f"{name}: is missing" for finding in verify(target))


def with_column(path: Path, name: str, values: np.ndarray) -> None:
    """Write a file again with another column and the same footer, so that its tallies are those of the old one."""
    table, footer = pq.read_table(path, partitioning=None), pq.read_metadata(path).metadata
    altered = table.set_column(table.schema.get_field_index(name), table.schema.field(name), [values])
    kept = {key: value for key, value in footer.items() if key != b"ARROW:schema"}
    pq.write_table(altered.replace_schema_metadata(kept), path)


def test_verify_finds_counts_that_do_not_agree_with_their_tallies(folders, tmp_path):
    """Also where somebody has written the manifest anew."""
    target = tmp_path / "run"
    shutil.copytree(folders["counts"], target)
    name = "counts/strategy=talk/part-00007.parquet"
    table = pq.read_table(target / name, partitioning=None)
    column = table["count"].to_numpy().copy()
    column[np.flatnonzero(np.asarray(table["name"].cast("string")) == "export_gain")[0]] += 1
    with_column(target / name, "count", column)
    assert verify_summary(open_run(target)) == [f"{name}: its counts of export_gain do not agree with its tallies"]


def test_verify_finds_rows_that_do_not_agree_with_their_tallies(folders, tmp_path):
    target = tmp_path / "run"
    shutil.copytree(folders["counts"], target)
    name = "trials/strategy=threaten/part-00001.parquet"
    costs = pq.read_table(target / name, partitioning=None)["target_cost"].to_numpy() * np.float32(1.5)
    assert costs.any()
    with_column(target / name, "target_cost", costs)
    assert verify_summary(open_run(target)) == [f"{name}: its counts of target_cost do not agree with its tallies"]


def test_counts_of_something_unknown_are_reported(folders, tmp_path):
    target = tmp_path / "run"
    shutil.copytree(folders["counts"], target)
    path = target / "counts/strategy=talk/part-00007.parquet"
    table, footer = pq.read_table(path), pq.read_metadata(path).metadata
    names = pc.replace_substring(table["name"].cast("string"), "export_gain", "import_loss").dictionary_encode()
    altered = table.set_column(0, pa.field("name", names.type), names)
    pq.write_table(altered.replace_schema_metadata({k: v for k, v in footer.items() if k != b"ARROW:schema"}), path)
    (finding,) = verify_summary(open_run(target))
    assert "has counts of import_loss, which is not counted" in finding


def test_a_condition_needs_no_tallies(folders, monkeypatch):
    """They are in the footers of all files, which takes long for very many of them."""
    expected = ask(open_run(folders["whole"]), "summary", {"given": "agreement_week > 2"})
    monkeypatch.setattr(StoredRun, "tallies", None)
    assert ask(open_run(folders["whole"]), "summary", {"given": "agreement_week > 2"}) == expected


def test_a_run_of_which_all_rows_are_kept_has_the_answers_of_any_run(folders, tmp_path):
    """They are exact, and no note says that rows are missing."""
    few = replace(KEPT, kept_trials=100_000)
    run(few, tmp_path / "run", INLINE)
    expected, found = open_run(folders["kept"]), open_run(tmp_path / "run")
    for name, request in (("summary", {}), ("summary", {"given": "agreement_week > 2"}), ("timeline", {})):
        assert ask(found, name, request) == ask(expected, name, request)
    assert verify_summary(found) == []


def test_only_designs_that_can_grow_keep_counts():
    plan = make_plan(WHOLE.scenario, trials=10**9, seed=1, keep="summary")
    assert plan.row_trials == plan.shard_trials >= 100_000
    with pytest.raises(InvalidInput, match=r"keep.*needs the design random or sobol.*not latin_hypercube"):
        make_plan(WHOLE.scenario, trials=1000, seed=1, design="latin_hypercube", keep="summary")


def test_the_plan_is_recorded(folders):
    assert recorded_plan(open_folder(folders["counts"])) == PLAN
    recorded = json.loads((folders["counts"] / "run.json").read_text())
    assert (recorded["keep"], recorded["kept_trials"]) == ("summary", 1500)
    assert not {"keep", "kept_trials"} & json.loads((folders["whole"] / "run.json").read_text()).keys()
