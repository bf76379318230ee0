"""What a report says: the answers it is made from, and the figures and sentences made of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from api.sentences import best_of
from cluster.answers.entry import measure_of_choice
from cluster.answers.registry import ask
from cluster.query.trials import StoredRun, chosen_strategies
from cluster.results.result_folder import RUN, read_json
from sim.faults import Fault, InvalidInput
from sim.scenario.scenario import scenario_hash

STORIES = 2
Step = Callable[[str, int, int], None]
"""Called with what is being computed, how many steps are done, and of how many."""


@dataclass(frozen=True)
class Answers:
    """The documents of a run's answers that a report is made from; None for one that the run cannot give.

    `stories` holds replays of typical trials. `best` is the strategy with the highest mean of `measure`, the only one
    where there is no choice.
    """

    run: StoredRun
    measure: str
    given: str | None
    evidence: Mapping[str, Any] | None
    best: str
    summary: dict[str, Any]
    timeline: dict[str, Any]
    compare: dict[str, Any] | None
    worth: dict[str, Any] | None
    drivers: dict[str, Any]
    stories: tuple[dict[str, Any], ...]
    recorded: Mapping[str, Any]
    scenario_sha256: str


def gather(
    run: StoredRun,
    *,
    measure: str | None = None,
    given: str | None = None,
    believe: Sequence[str] = (),
    strategies: Sequence[str] = (),
    on_step: Step,
) -> Answers:
    """Compute all answers that a report needs, about the named `strategies`, all if none is named.

    Raises `InvalidInput` for expressions and beliefs that cannot be read, and for unknown strategies. Without a
    `measure` it is the scenario's measure of choice. A run of a saltelli design, whose trials share points, cannot be
    reported on.
    """
    if not run.plan.design.is_sample:
        message = "is a design for Sobol indices, whose trials are not a sample: report on a run of another design"
        raise InvalidInput((Fault("run", run.plan.design.name, message),))
    measure = measure_of_choice(measure, run.plan.scenario)
    chosen = chosen_strategies(run, strategies)
    several = len(chosen) > 1
    steps = ["summary", "timeline", *(["compare", "worth"] if several else []), "drivers", "typical"]
    shared: dict[str, object] = {"believe": list(believe)} | ({} if given is None else {"given": given})
    found: dict[str, dict[str, Any]] = {}
    best = chosen[0]
    for k, name in enumerate(steps):
        on_step(name, k, len(steps))
        request: dict[str, object] = dict(shared)
        if name in ("summary", "timeline", "compare", "worth"):
            request["strategies"] = chosen
        if name == "compare":
            request["measures"] = [measure]
        if name == "worth":
            request["measure"] = measure
        if name == "drivers":
            request |= {"measure": measure, "strategy": best}
        if name == "typical":
            request["strategy"] = best
        found[name] = ask(run, name, request)
        # If no trial knows the measure under every strategy, the value of learning is refused with a message.
        if name == "compare" and found[name]["result"]["choices"][0]["regret"]:
            best = best_of(found[name]["result"])
    on_step("stories", len(steps), len(steps))
    typical = sorted(found["typical"]["result"]["typical"], key=lambda one: -one["count"])[:STORIES]
    stories = tuple(ask(run, "replay", {"trial": one["trial"], "strategy": best}) for one in typical)
    recorded = read_json(run.folder, RUN)
    return Answers(
        run=run,
        measure=measure,
        given=found["timeline"]["given"],
        evidence=found["timeline"].get("evidence"),
        best=best,
        summary=found["summary"],
        timeline=found["timeline"],
        compare=found.get("compare"),
        worth=found.get("worth"),
        drivers=found["drivers"],
        stories=stories,
        recorded=recorded if isinstance(recorded, dict) else {},
        scenario_sha256=scenario_hash(run.plan.scenario),
    )
