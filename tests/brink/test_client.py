"""The Python client against a real service: whole jobs, results, and lines that fail."""

import asyncio
import json
import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import date

import pandas as pd
import pyarrow as pa
import pytest

from brink import AsyncBrink, Brink, BrinkError, Job, JobFailed
from cluster.results.result_folder import verify
from tests.support.examples import document, issue
from tests.support.faulty_line import BUSY, faulty_line
from tests.support.service_process import ServiceProcess

SCENARIO = document(
    {"access": issue({"uniform": [0.3, 0.9]}, 0.02, {"uniform": [0.0, 0.1]})},
    {"threat_probability": {"uniform": [0, 1]}, "deadline_weeks": 3, "full_access": {"uniform": [5, 10]}},
    horizon_weeks=20,
    strategies={"threaten": {}, "talk": {"threat_probability": 0}},
)


@pytest.fixture(scope="module")
def service(tmp_path_factory) -> Iterator[ServiceProcess]:
    served = ServiceProcess(tmp_path_factory.mktemp("client") / "data", BRINK_ENGINE="inline")
    yield served
    served.stop()


@pytest.fixture(scope="module")
def brink(service) -> Iterator[Brink]:
    with Brink(f"http://127.0.0.1:{service.port}") as opened:
        yield opened


@pytest.fixture(scope="module")
def job(brink) -> Job:
    return brink.run(SCENARIO, trials=120_000, seed=11)


@pytest.fixture(scope="module")
def table(service, job) -> pd.DataFrame:
    whole = pd.read_parquet(service.folder / "jobs" / job.id / "trials")
    return whole.astype({"strategy": str}).sort_values(["strategy", "trial"], ignore_index=True)


def test_a_run_is_submitted_waited_for_and_read(service, job):
    assert (job.state, job.ended, job.progress, job.error) == ("succeeded", True, 1.0, None)
    assert "succeeded, 100% of 240,000" in repr(job)
    assert job.summary() == json.loads((service.folder / "jobs" / job.id / "summary.json").read_text())
    given = job.summary(given="agreement_week is null")
    assert "null" in given["given"]


def test_the_cost_of_a_job_can_be_asked_first(brink):
    before = sum(1 for _ in brink.jobs())
    cost = brink.estimate(SCENARIO, trials=1000, strategies=["talk"])
    assert (cost["rows"], cost["strategies"]) == (1000, ["talk"])
    with pytest.raises(BrinkError, match="trials"):
        brink.estimate(SCENARIO, trials=0)
    assert sum(1 for _ in brink.jobs()) == before


def test_a_scenario_may_be_a_name_a_file_or_a_document(brink, tmp_path):
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(SCENARIO))
    for scenario in ("us-japan-autos-1995", path, str(path), SCENARIO):
        submitted = brink.submit(
            scenario, trials=10, strategies=["threaten"] if scenario != "us-japan-autos-1995" else []
        )
        assert submitted.info["trials"] == 10
        submitted.wait()
        assert submitted.state == "succeeded"
    path.write_text(json.dumps({**SCENARIO, "horizon_weeks": 0}))
    with pytest.raises(BrinkError, match=r"mine\.json:1:horizon_weeks: ") as refused:
        brink.submit(path)
    assert refused.value.faults[0]["line"] == 1
    with pytest.raises(BrinkError, match="horizon_weeks") as refused:
        brink.submit({**SCENARIO, "horizon_weeks": 0})
    assert refused.value.status == 422
    assert refused.value.faults[0]["pointer"] == "/scenario/horizon_weeks"


def test_jobs_and_scenarios_are_compared(brink, job, tmp_path):
    changed = {**SCENARIO, "parameters": {**SCENARIO["parameters"], "deadline_weeks": 4}}
    other = brink.run(changed, trials=1000, seed=11, strategies=["threaten"])
    found = job.diff(other, measures=["export_gain"])
    assert found["paired"]
    assert [one["trials"] for one in found["strategies"]] == [{"first": 1000, "second": 1000}]
    assert list(found["strategies"][0]["measures"]) == ["export_gain"]
    assert found == job.diff(other.id, measures=["export_gain"], strategies=["threaten"])
    path = tmp_path / "changed.json"
    path.write_text(json.dumps(changed))
    assert brink.diff(SCENARIO, path) == found["inputs"]
    assert [one["field"] for one in found["inputs"]] == ["parameters.deadline_weeks"]


def test_a_first_scenario_is_made_of_answers(brink):
    found = brink.new("mine", issues=["Cod=3", "Haddock=1"], gain=2.5, threat="none", as_of=date(2025, 1, 6))
    assert found["scenario"]["as_of"] == "2025-01-06"
    assert list(found["scenario"]["issues"]) == ["cod", "haddock"]
    assert brink.validate(found["scenario"]) == []
    with pytest.raises(BrinkError, match="none are threatened"):
        brink.new("mine", threat="none", trade=3)


def test_answers_draw_themselves_for_what_was_asked(brink, job):
    chart = job.summary().chart()
    assert chart.name == "outcomes"
    assert chart.svg.startswith("<svg")
    assert job.summary(given="agreement", strategy="threaten").chart("events").specification != chart.specification
    leads = job.compare(measures=["export_gain"]).chart("leads")
    assert "threat_probability" not in leads.svg
    assert job.drivers(measure="export_gain").chart().name == "tornado"
    with pytest.raises(BrinkError, match="typical has no chart"):
        job.typical().chart()

    async def drawn() -> str:
        async with AsyncBrink(brink.url) as b:
            found = await (await b.job(job.id)).timeline()
            return (await found.chart()).svg

    assert asyncio.run(drawn()).startswith("<svg")


def test_a_report_is_written_by_the_name_of_its_file(job, tmp_path):
    assert job.report(tmp_path / "r.html", given="agreement").read_bytes().startswith(b"<!doctype html>")
    with pytest.raises(BrinkError, match=r"must end in \.html or \.pdf"):
        job.report(tmp_path / "r.docx")
    with pytest.raises(BrinkError, match="given"):
        job.report(tmp_path / "none.html", given="agreemnt")
    with pytest.raises(BrinkError, match="believe"):
        job.report(tmp_path / "none.html", believe=["agreement"])
    with pytest.raises(BrinkError, match="strategies"):
        job.report(tmp_path / "none.html", strategies=["nobody"])
    assert not (tmp_path / "none.html").exists()


def test_a_precision_may_be_requested_instead_of_a_number_of_trials(brink):
    asked = {"agreement": 0.02}
    done = brink.run(SCENARIO, precision=asked, strategies=["threaten"])
    assert done.info["precision"]["most_trials"] == 10_000_000
    assert done.info["precision"]["requested"]["agreement"]["half_widths"]["threaten"] <= 0.02
    assert len(done.trials(["trial"])) == done.info["trials"]
    with pytest.raises(JobFailed, match="precision not reached with 100 trials"):
        brink.run(SCENARIO, precision=asked, trials=100)


def test_trials_come_as_pandas_and_arrow(job, table):
    columns = ["strategy", "trial", "outcome", "export_gain"]
    frame = job.trials(columns)
    assert list(frame) == columns
    pd.testing.assert_frame_equal(frame.astype({"strategy": str}), table[columns], check_dtype=False)
    one = job.trials_table(["agreement_week"], strategy="talk")
    assert one.column_names == ["agreement_week"]
    assert one.schema.field("agreement_week").metadata[b"unit"] == b"week"
    expected = table[table.strategy == "talk"].agreement_week.reset_index(drop=True)
    pd.testing.assert_series_equal(one.to_pandas().agreement_week, expected, check_dtype=False)
    assert job.trials_table(strategy="talk").num_columns == table.shape[1]
    with pytest.raises(BrinkError, match="there is no column gains; there are strategy, trial"):
        job.trials(["gains"])
    with pytest.raises(BrinkError, match="no strategy bluff; there are talk, threaten"):
        job.trials(["trial"], strategy="bluff")


def test_an_aggregate_comes_as_an_answer_with_tables_and_charts_and_as_arrow(job, table):
    found = job.aggregate({"gain": "export_gain"}, ["mean"], ["strategy", "outcome"])
    assert found.document["answer"] == "aggregate"
    frame = found.table()
    means = table.astype({"export_gain": float, "outcome": str}).groupby(["strategy", "outcome"]).export_gain.mean()
    assert frame.set_index(["strategy", "outcome"])["gain.mean"].to_dict() == pytest.approx(means.to_dict())
    arrow = job.aggregate_table(["export_gain"])
    assert arrow.schema.field("export_gain.mean").type == pa.float64()
    assert arrow.schema.field("export_gain.mean").metadata == {b"unit": b"bn USD"}
    binned = job.aggregate(["export_gain"], ["count"], ["strategy", {"value": "export_gain", "bins": 5}])
    assert binned.chart("cumulative").svg.startswith("<svg")
    with pytest.raises(BrinkError, match="did you mean export_gain"):
        job.aggregate(["export_gains"])


def test_answers_are_requested_by_name(job):
    replayed = job.ask("replay", trial=3, strategy="talk")
    assert replayed["result"]["trial"] == 3
    with pytest.raises(BrinkError) as refused:
        job.ask("prophecy")
    assert refused.value.status == 404


def test_a_download_is_a_result_folder(job, tmp_path):
    folder = job.download(tmp_path / "copy")
    assert verify(folder) == []
    part = folder / "trials" / "strategy=talk" / "part-00000.parquet"
    other = folder / "trials" / "strategy=threaten" / "part-00000.parquet"
    kept = other.stat().st_mtime_ns
    part.write_bytes(part.read_bytes()[:-1] + b"?")
    assert verify(folder) != []
    job.download(folder)
    assert verify(folder) == []
    assert other.stat().st_mtime_ns == kept


def test_jobs_are_found_again_listed_cancelled_and_deleted(brink, job):
    assert brink.job(job.id).info == job.info
    long = brink.submit(SCENARIO, trials=50_000_000)
    assert next(iter(brink.jobs())).id == long.id
    ids = [one.id for one in brink.jobs()]
    assert len(ids) == len(set(ids))
    assert job.id in ids
    with pytest.raises(BrinkError, match="once it has ended"):
        long.trials()
    long.cancel()
    long.wait()
    assert long.state == "cancelled"
    long.delete()
    with pytest.raises(BrinkError) as gone:
        brink.job(long.id)
    assert gone.value.status == 404
    with pytest.raises(BrinkError):
        long.delete()


def test_pages_are_fetched_as_needed(brink, job, monkeypatch):
    asked = []
    page = Brink._page

    def counted(self, token):
        asked.append(token)
        found = yield from page(self, token)
        return found | {"jobs": found["jobs"][:1], "next_page_token": "more" if len(asked) < 2 else None}

    first = next(iter(brink.jobs())).id
    monkeypatch.setattr(Brink, "_page", counted)
    jobs = brink.jobs()
    assert next(jobs).id == first
    assert asked == [None]


def test_the_catalogue(brink, tmp_path):
    assert "us-japan-autos-1995" in [one["name"] for one in brink.scenarios()]
    document = brink.scenario("us-japan-autos-1995")
    assert brink.validate(document) == brink.validate("us-japan-autos-1995") == []
    assert brink.validate(document | {"horizon_weeks": 0})[0]["pointer"] == "/horizon_weeks"
    for other in (b"us-japan-autos-1995", 5, None, ["talk"], "a\0b"):
        for call in (brink.validate, brink.submit):
            with pytest.raises(BrinkError, match="a scenario must be a name, the path of a file, or a document"):
                call(other)
    assert "deadline_weeks" in [one["name"] for one in brink.parameters()]
    with pytest.raises(BrinkError, match="neither one of your own scenarios nor a shipped one"):
        brink.scenario("secret?x=#")


def test_a_busy_service_and_cut_lines_are_tried_again(service, job, tmp_path):
    with faulty_line(service.port) as line, Brink(f"http://127.0.0.1:{line.port}") as brink:
        line.faults = [BUSY, 0, BUSY]
        far = brink.submit(SCENARIO, trials=10, seed=77)
        assert line.faults == []
        far.wait()
        # Every connection for the files is cut after a part of them.
        again = brink.job(job.id)
        brink._http.close()
    with faulty_line(service.port) as line, Brink(f"http://127.0.0.1:{line.port}") as brink:
        line.faults = [100_000, BUSY, 300_000, 500_000]
        again = Job(brink, job.info)
        again.download(tmp_path / "copy")
        assert line.faults == []
        assert verify(tmp_path / "copy") == []


def test_a_lost_answer_makes_no_second_job(service, brink):
    before = {one.id for one in brink.jobs()}
    with faulty_line(service.port) as line, Brink(f"http://127.0.0.1:{line.port}") as far:
        # The request arrives, and of its answer a few bytes come back.
        line.faults = [20]
        submitted = far.submit(SCENARIO, trials=10, seed=78)
        assert {one.id for one in brink.jobs()} - before == {submitted.id}
        line.faults = [20]
        far._http.close()
    with faulty_line(service.port) as line, Brink(f"http://127.0.0.1:{line.port}") as far:
        line.faults = [20]
        Job(far, submitted.info).delete()
    assert submitted.id not in [one.id for one in brink.jobs()]


def test_patience_ends(service):
    with faulty_line(service.port) as line:
        line.faults = [BUSY.replace(b"Retry-After: 0", b"Retry-After: 9")] * 9
        with Brink(f"http://127.0.0.1:{line.port}", patience=5.0) as brink, pytest.raises(BrinkError) as refused:
            brink.scenarios()
        assert refused.value.status == 503
        assert len(line.faults) == 8, "to wait for longer than patience lasts is no use"
    with (
        Brink(f"http://127.0.0.1:{line.port}", patience=0.2) as brink,
        pytest.raises(BrinkError, match="does not respond"),
    ):
        brink.scenarios()
    with Brink("ftp://localhost") as brink, pytest.raises(BrinkError, match="cannot be sent"):
        brink.scenarios()


def test_the_key_is_sent_and_never_shown(service, monkeypatch):
    monkeypatch.setenv("BRINK_KEY", "brink_secret")
    with Brink(f"http://127.0.0.1:{service.port}") as brink:
        assert brink._http.headers["Authorization"] == "Bearer brink_secret"
        assert "secret" not in repr(brink)


def test_a_file_that_is_not_the_manifests_is_refused(service, brink, tmp_path):
    broken = brink.run(SCENARIO, trials=1000, seed=5)
    path = service.folder / "jobs" / broken.id / "trials" / "strategy=talk" / "part-00000.parquet"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(BrinkError, match="SHA-256 differs"):
        broken.trials(["trial"])
    with pytest.raises(BrinkError, match="SHA-256 differs"):
        broken.download(tmp_path / "copy")
    assert not any(path.name.startswith(".") for path in (tmp_path / "copy").rglob("*"))


@pytest.mark.slow
def test_events_continue_after_the_service_is_killed_and_restarted(tmp_path):
    service = ServiceProcess(tmp_path / "data", BRINK_ENGINE="inline")
    try:
        with Brink(f"http://127.0.0.1:{service.port}") as brink:
            job = brink.submit(SCENARIO, trials=400_000)
            seen = []

            def again() -> None:
                service.kill()
                service.start()

            killer: threading.Thread | None = None
            for event in job.events():
                seen.append((event["state"], event["progress"]["trials_done"]))
                if killer is None and event["progress"]["trials_done"] > 0:
                    killer = threading.Thread(target=again)
                    killer.start()
            assert killer is not None
            killer.join()
        assert job.state == "succeeded"
        assert seen[-1] == ("succeeded", 800_000)
        assert [done for _, done in seen] == sorted(done for _, done in seen)
    finally:
        service.stop()


def test_the_asynchronous_client_gives_the_same_results(service, job, table):
    async def use() -> None:
        async with AsyncBrink(f"http://127.0.0.1:{service.port}") as brink:
            own = await brink.run(SCENARIO, trials=1000, seed=3)
            assert own.state == "succeeded"
            assert (await own.summary())["trials"] == 1000
            other = await brink.submit(SCENARIO, trials=100_000, seed=4)
            states = [event["state"] async for event in other.events()]
            assert states[-1] == "succeeded"
            ids = [one.id async for one in brink.jobs()]
            assert ids[:2] == [other.id, own.id]
            same = await brink.job(job.id)
            frames = await asyncio.gather(same.trials(["export_gain"]), same.aggregate(["export_gain"], ["mean"]))
            pd.testing.assert_frame_equal(frames[0], table[["export_gain"]], check_dtype=False)
            assert len(frames[1].table()) == 2
            with pytest.raises(BrinkError, match="no_such"):
                await same.aggregate(["no_such"])
            await own.delete()
            with pytest.raises(BrinkError):
                await brink.job(own.id)

    asyncio.run(use())


def test_a_failed_job_says_why(brink, job):
    failed = Job(brink, job.info | {"state": "failed", "error": "shard 3 of talk: no room on the disk"})
    with pytest.raises(JobFailed, match="no room on the disk"):
        failed.wait()


@pytest.mark.parametrize("interrupted", [False, True])
def test_a_terminal_shows_progress_and_an_interrupted_wait_leaves_the_job(service, brink, interrupted):
    script = (
        "import json, sys; from brink import Brink\n"
        "with Brink(sys.argv[1]) as b: b.run(json.loads(sys.argv[2]), trials=int(sys.argv[3]))\n"
    )
    trials = "20000000" if interrupted else "200000"
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", script, brink.url, json.dumps(SCENARIO), trials], stderr=theirs, env=os.environ
    ) as run:
        os.close(theirs)
        shown, sent = b"", False
        try:
            while part := os.read(ours, 4096):
                shown += part
                if interrupted and not sent and b"running" in shown:
                    sent = True
                    run.send_signal(signal.SIGINT)
        except OSError:
            pass
    os.close(ours)
    newest = next(iter(brink.jobs()))
    if interrupted:
        assert f"Job {newest.id} continues to run".encode() in shown
        assert newest.state == "running"
        newest.cancel()
        newest.wait()
    else:
        assert run.returncode == 0, shown
        assert b"trials" in shown
        assert newest.state == "succeeded"


def test_rates_are_those_of_a_class_or_of_a_scenarios_own(brink):
    everything = brink.rates()
    assert {"all", "specific-strong"} <= {one["class"] for one in everything["classes"]}
    shipped = brink.rates("us-japan-autos-1995")
    own = {**SCENARIO, "reference": "specific-strong", "as_of": "1995-04-13"}
    assert brink.rates(own)["classes"] == shipped["classes"]
    assert brink.rates(reference="specific-strong", known_on="1995-04-13")["classes"] == shipped["classes"]
    later = brink.rates("us-japan-autos-1995", known_on="2011-01-01")["classes"][0]["counts"]
    assert later == {"settled": 18, "imposed": 11, "dropped": 2}
    with pytest.raises(BrinkError, match="names no reference class"):
        brink.rates(SCENARIO)
    with pytest.raises(BrinkError, match="reference class; there are all"):
        brink.rates(reference="none")


def test_beliefs_are_sent_with_a_request(brink, job):
    for found in (job.summary(believe="threat = 0.5"), job.summary(believe=["threat = 0.5"])):
        assert found["strategies"]["threaten"]["events"]["threat"]["estimate"] == pytest.approx(0.5)
    frame = job.aggregate(["threat"], ["mean"], believe=["threat = 0.5"]).table()
    assert frame.set_index("strategy").loc["threaten", "threat.mean"] == pytest.approx(0.5, abs=0.01)
    assert job.compare(believe=["threat = 0.5"])["evidence"]["talk"]["effective_trials"] < 120_000
