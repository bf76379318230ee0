"""An answer asked again in the same words is computed once, as long as the committed trials are the same."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from api.http import answer_cache
from api.http.answer_cache import AnswerCache
from cluster.answers.registry import ask
from cluster.query.memory_cache import MemoryCache
from cluster.query.parquet_files import DamagedTrials
from cluster.query.trials import StoredRun, open_run
from cluster.results.result_folder import MANIFEST, SUMMARY, shard_path
from cluster.runs.options import RunOptions
from cluster.runs.run import run
from cluster.service import jobs
from tests.support.runs import small_plan
from tests.support.served import served


@pytest.fixture
def computed(monkeypatch) -> list[str]:
    """The names of the answers that were computed."""
    names: list[str] = []
    ask = answer_cache.ask

    def counted(run, name, fields, **options):
        names.append(name)
        return ask(run, name, fields, **options)

    monkeypatch.setattr(answer_cache, "ask", counted)
    return names


def test_the_same_request_is_answered_from_memory_in_every_format(tmp_path, computed):
    with served(tmp_path) as service:
        job = jobs.submit(service.database, small_plan(trials=2000))
        service.work()
        path = f"/v1/jobs/{job.id}/compare"
        first = service.ask("POST", path, json={})
        assert first.status_code == 200
        assert service.ask("POST", path, json={}).content == first.content
        assert service.ask("POST", path).content == first.content
        assert computed == ["compare"]
        other = service.ask("POST", path, json={"given": "agreement_week > 2"})
        assert other.content != first.content
        assert computed == ["compare"] * 2


def test_a_committed_shard_makes_a_new_cache_entry(tmp_path, computed):
    plan = small_plan(trials=3000)
    with served(tmp_path) as service:
        job = jobs.submit(service.database, plan)
        service.work()
        folder = service.settings.results.within(job.id)
        path = f"/v1/jobs/{job.id}/compare"
        last = folder.root / shard_path(list(plan.shards())[-1])
        hidden = last.with_suffix(".hidden")
        last.rename(hidden)
        # A run that has not ended: neither its manifest nor its summary is there.
        for name in (MANIFEST, SUMMARY):
            (folder.root / name).unlink()
        part = service.ask("POST", path, json={}).json()
        assert not part["run"]["complete"]
        hidden.rename(last)
        whole = service.ask("POST", path, json={}).json()
        assert part["trials"]["played"] < whole["trials"]["played"]
        assert whole["run"]["complete"]
        assert computed == ["compare"] * 2


def test_refusals_are_not_cached(tmp_path, computed):
    with served(tmp_path) as service:
        job = jobs.submit(service.database, small_plan(trials=300))
        path = f"/v1/jobs/{job.id}/compare"
        assert service.ask("POST", path, json={}).status_code == 409
        service.work()
        assert service.ask("POST", path, json={}).status_code == 200


def test_the_cache_is_bounded_and_evicts_the_least_recently_used_answer():
    cache = AnswerCache(max_bytes=10)
    cache.put(b"a", b"first", 4)
    cache.put(b"b", b"second", 4)
    assert cache.find(b"a") == b"first"
    cache.put(b"c", b"third", 4)
    assert (cache.find(b"a"), cache.find(b"b"), cache.find(b"c")) == (b"first", None, b"third")
    cache.put(b"large", b"fourth", 11)
    assert cache.find(b"large") is None
    cache.put(b"a", b"other", 1)
    cache.put(b"d", b"fifth", 5)
    assert (cache.find(b"a"), cache.find(b"c"), cache.find(b"d")) == (b"other", b"third", b"fifth")


def test_one_of_several_requests_at_once_computes_the_answer_and_a_failure_passes_on_the_turn():
    cache = AnswerCache(100)
    computed = []
    together = threading.Barrier(4)

    def ask(number: int) -> bytes | None:
        together.wait(60)
        with cache.computing(b"key"):
            if cache.find(b"key") is None:
                computed.append(number)
                if len(computed) == 1:
                    raise ValueError
                cache.put(b"key", b"answer", 6)
        return cache.find(b"key")

    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(ask, number) for number in range(4)]
        failed = [one for one in asked if one.exception(60)]
    assert len(computed) == 2
    assert len(failed) == 1
    assert [one.result() for one in asked if one not in failed] == [b"answer"] * 3


def test_columns_in_memory_are_used_only_for_the_file_that_they_are_from(tmp_path):
    plan = small_plan(trials=3000)
    with served(tmp_path) as service:
        job = jobs.submit(service.database, plan)
        service.work()
        folder = service.settings.results.within(job.id)
        cold = service.ask("POST", f"/v1/jobs/{job.id}/compare", json={"given": "agreement_week > 2"}).json()
        stored = StoredRun(plan, folder, MemoryCache(1 << 24))
        conditions = ["agreement_week > 2", "agreement_week > 4", "not agreement"]
        without = [ask(StoredRun(plan, folder), "compare", {"given": given}) for given in conditions]
        assert [ask(stored, "compare", {"given": given}) for given in conditions] == without
        assert without[0] == cold
        file = folder.root / shard_path(next(iter(plan.shards())))
        file.write_bytes(file.read_bytes()[:-100])
        later = StoredRun(plan, folder, stored.cache)
        with pytest.raises(DamagedTrials):
            ask(later, "compare", {})
        file.unlink()
        with pytest.raises(DamagedTrials):
            ask(StoredRun(plan, folder, stored.cache), "compare", {})


@pytest.mark.parametrize("design", ["random", "sobol"])
def test_answers_from_memory_are_those_from_the_files(tmp_path, design):
    run(small_plan(trials=2048, shard_trials=None, design=design), tmp_path / "run", RunOptions(engine="inline"))
    stored = open_run(tmp_path / "run")
    cache: MemoryCache = MemoryCache(1 << 26)
    for given in (None, "agreement_week > 2", "not agreement"):
        for name in ("timeline", "summary", "compare"):
            read = ask(stored, name, {"given": given})
            # The first time it is read and kept, the second time it comes from memory.
            for _ in range(2):
                assert ask(StoredRun(stored.plan, stored.folder, cache), name, {"given": given}) == read, (name, given)
