"""The jobs database compared with a plain model of it, on random histories of runners and users."""

import itertools

import pytest
import sqlalchemy as sa
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from cluster.service import jobs, leases
from tests.support.runs import small_plan

PLAN = small_plan()
OWNERS = ("anna", "bela", "cilla")
RUNNERS = ("one", "two", "three")
LEASE = 600.0
BOUNDED = settings(
    max_examples=20,
    stateful_step_count=25,
    phases=[Phase.generate],
)


class Modelled:
    """A job as the model has it; `number` is its place among all."""

    def __init__(self, number: int, owner: str, priority: int) -> None:
        self.number, self.owner, self.priority = number, owner, priority
        self.state, self.runner, self.silent, self.cancelled, self.done = jobs.QUEUED, None, False, False, 0

    @property
    def free(self) -> bool:
        return self.state == jobs.QUEUED or (self.state == jobs.RUNNING and self.silent)


class JobStore(RuleBasedStateMachine):
    """What users and runners may do, in any order."""

    database: sa.Engine

    def __init__(self) -> None:
        super().__init__()
        with self.database.begin() as connection:
            for table in (jobs.jobs, jobs.owners):
                connection.execute(table.delete())
        self.known: dict[str, Modelled] = {}
        self.keys: dict[tuple[str, str], str] = {}
        self.count = itertools.count()
        self.served: dict[str, int] = {}

    @initialize(asked=st.lists(st.tuples(st.sampled_from(OWNERS), st.integers(-2, 2)), min_size=3, max_size=9))
    def begin_with_a_queue(self, asked):
        for owner, priority in asked:
            self.submit(owner, priority, None)

    # One rule whose acts are drawn by weight: Hypothesis leaves whole rules out of most histories.
    @rule(
        act=st.sampled_from(
            ["claim"] * 6
            + ["submit"] * 3
            + ["dies", "renew", "finish", "give_back", "cancel"] * 2
            + ["loses", "delete"]
        ),
        index=st.integers(0, 99),
        owner=st.sampled_from(OWNERS),
        runner=st.sampled_from(RUNNERS),
        stranger=st.sampled_from([False, False, False, True]),
        number=st.integers(-2, 2),
        key=st.sampled_from([None, "k", "l"]),
        state=st.sampled_from(jobs.ENDED),
    )
    def act(self, act, index, owner, runner, stranger, number, key, state):
        if act == "submit":
            self.submit(owner, number, key)
        elif act == "claim":
            self.claim(runner)
        elif self.known:
            # Most acts are about a job in work, if there is one, and by the runner that holds it.
            working = [job for job, model in self.known.items() if model.state == jobs.RUNNING]
            choice = list(self.known) if stranger or not working else working
            job = choice[index % len(choice)]
            model = self.known[job]
            by = runner if stranger or model.runner is None else model.runner
            held = model.state == jobs.RUNNING and model.runner == by
            getattr(self, act)(job, model, by, held, number + 2 if act == "renew" else state)

    def submit(self, owner, priority, key):
        job = jobs.submit(self.database, PLAN, owner=owner, priority=priority, key=key)
        earlier = self.keys.get((owner, key)) if key else None
        if earlier is not None:
            assert job.id == earlier
            return
        assert job.id not in self.known
        self.known[job.id] = Modelled(next(self.count), owner, priority)
        if key:
            self.keys[owner, key] = job.id

    def claim(self, runner):
        job = leases.claim(self.database, runner, LEASE)
        assert (job.id if job else None) == self.next_in_turn()
        if job:
            model = self.known[job.id]
            model.state, model.runner, model.silent = jobs.RUNNING, runner, False
            self.served[model.owner] = next(self.count)

    def next_in_turn(self) -> str | None:
        free = [job for job, model in self.known.items() if model.free]
        if not free:
            return None

        def working(owner: str) -> int:
            return sum(m.owner == owner and m.state == jobs.RUNNING and not m.silent for m in self.known.values())

        def waits_since(owner: str) -> int:
            oldest = min(self.known[job].number for job in free if self.known[job].owner == owner)
            return max(self.served.get(owner, -1), oldest)

        owner = min({self.known[job].owner for job in free}, key=lambda name: (working(name), waits_since(name)))
        mine = [job for job in free if self.known[job].owner == owner]
        return min(mine, key=lambda job: (-self.known[job].priority, self.known[job].number))

    def renew(self, job, model, runner, held, more):
        renewed = leases.renew(self.database, job, runner, LEASE, model.done + more)
        assert (renewed is not None) == held
        if renewed:
            assert renewed.cancel_requested == model.cancelled
            model.done, model.silent = model.done + more, False

    def dies(self, job, model, runner, held, _):
        """The runner's last sign is long past: its lease has run out."""
        assert (leases.renew(self.database, job, runner, -1.0, model.done) is not None) == held
        model.silent = model.silent or held

    def finish(self, job, model, runner, held, state):
        error = "the reason" if state == jobs.FAILED else None
        assert leases.finish(self.database, job, runner, state, model.done, error) == held
        if held:
            model.state = state

    def give_back(self, job, model, runner, held, _):
        assert leases.give_back(self.database, job, runner, model.done) == held
        if held:
            model.state = jobs.CANCELLED if model.cancelled else jobs.QUEUED
            self.served[model.owner] = next(self.count)

    def loses(self, job, model, runner, held, _):
        """A transient failure of the job, with no patience left."""
        assert leases.postpone(self.database, job, runner, "no room", 0.0, model.done) == held
        if held:
            model.state = jobs.CANCELLED if model.cancelled else jobs.FAILED

    def cancel(self, job, model, *_):
        jobs.request_cancel(self.database, job)
        if model.state in (jobs.QUEUED, jobs.RUNNING):
            model.cancelled = True
        if model.state == jobs.QUEUED:
            model.state = jobs.CANCELLED

    def delete(self, job, *_):
        assert jobs.delete(self.database, job)
        assert not jobs.delete(self.database, job)
        del self.known[job]
        self.keys = {key: kept for key, kept in self.keys.items() if kept != job}

    @invariant()
    def the_database_says_the_same(self):
        found = {job.id: job for job in jobs.newest(self.database, 1000)}
        assert set(found) == set(self.known)
        for job, model in self.known.items():
            seen = found[job]
            assert (seen.state, seen.trials_done, seen.cancel_requested) == (model.state, model.done, model.cancelled)
            assert seen.owner == model.owner
            assert (seen.lease_owner is not None) == (model.state == jobs.RUNNING)
            assert (seen.finished_at is not None) == seen.ended
            assert (seen.error is not None) == (seen.state == jobs.FAILED)


def test_random_histories_agree_with_the_model(database_url):
    database = jobs.open_database(database_url)
    run_state_machine_as_test(type("Fair", (JobStore,), {"database": database}), settings=BOUNDED)
    database.dispose()


def test_the_model_would_notice_an_unfair_turn(tmp_path, monkeypatch):
    fair = leases._in_turn
    monkeypatch.setattr(leases, "_in_turn", lambda *given: fair(*given).order_by(None).order_by(jobs.jobs.c.created_at))
    database = jobs.open_database(f"sqlite:///{tmp_path / 'jobs.sqlite'}")
    with pytest.raises(AssertionError):
        run_state_machine_as_test(type("Unfair", (JobStore,), {"database": database}), settings=BOUNDED)
    database.dispose()
