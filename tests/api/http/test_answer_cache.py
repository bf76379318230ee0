"""An answer asked again in the same words is computed once, as long as the committed trials are the same."""

import pytest

from api.http import answer_cache
from api.http.answer_cache import AnswerCache
from cluster.results.result_folder import MANIFEST, SUMMARY, shard_path
from cluster.service import jobs
from tests.support.runs import small_plan
from tests.support.served import served


@pytest.fixture
def computed(monkeypatch) -> list[str]:
    """The names of the answers that were computed."""
    names: list[str] = []
    ask = answer_cache.ask

    def counted(run, name, fields):
        names.append(name)
        return ask(run, name, fields)

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
    cache.keep(b"a", b"1234")
    cache.keep(b"b", b"1234")
    assert cache.find(b"a") == b"1234"
    cache.keep(b"c", b"1234")
    assert (cache.find(b"a"), cache.find(b"b"), cache.find(b"c")) == (b"1234", None, b"1234")
    cache.keep(b"large", b"12345678901")
    assert cache.find(b"large") is None
    cache.keep(b"a", b"1")
    cache.keep(b"d", b"12345")
    assert (cache.find(b"a"), cache.find(b"c"), cache.find(b"d")) == (b"1", b"1234", b"12345")
