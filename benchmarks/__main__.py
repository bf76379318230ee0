"""``python -m benchmarks [SECTION ...]``: ratios of speed and of error, each taken in one run on this machine."""

import argparse
import os
from collections.abc import Callable, Iterator

from api.shipped_scenarios import shipped_scenario
from benchmarks import answers, cold, designs, earlier, kernel, pages, parquet, service, start, what_if, whole_run
from sim.scenario.scenario import Scenario, scenario_from_document
from tests.support.examples import every_mechanism

os.environ.setdefault("OMP_NUM_THREADS", "1")
SHIPPED = "us-japan-autos-1995"


def _scenarios() -> dict[str, Scenario]:
    return {"every mechanism": scenario_from_document(every_mechanism()), SHIPPED: shipped_scenario(SHIPPED)}


def _kernel() -> Iterator[str]:
    yield f"{'Trials a second, one core':28} {'kernel':>11} {'plain':>11}   ratio (range of {kernel.ROUNDS} rounds)"
    for name, scenario in _scenarios().items():
        yield kernel.report(name, scenario)


def _compiled() -> Iterator[str]:
    yield f"{'All strategies, one core':28} {'kernel':>11} {'compiled':>11}   ratio"
    for name, scenario in _scenarios().items():
        yield kernel.report_compiled(name, scenario)


def _whole_run() -> Iterator[str]:
    yield f"A whole run of six strategies against six bare kernels, {SHIPPED}"
    yield from whole_run.report(shipped_scenario(SHIPPED))


def _parquet() -> Iterator[str]:
    yield f"Parquet, {SHIPPED}"
    yield from parquet.report(shipped_scenario(SHIPPED))


def _answers() -> Iterator[str]:
    yield f"Answers, {SHIPPED}"
    yield from answers.report(shipped_scenario(SHIPPED))
    yield from answers.report_conditions(SHIPPED)


def _what_if() -> Iterator[str]:
    yield from what_if.report(SHIPPED, answers.MILLION // 6)


def _designs() -> Iterator[str]:
    yield f"Trials of a random design that one of another is worth, at equal error, {SHIPPED}"
    yield from designs.report(shipped_scenario(SHIPPED))


SECTIONS: dict[str, Callable[[], Iterator[str] | list[str]]] = {
    "start": start.report,
    "cold": cold.report,
    "service": service.report,
    "pages": pages.report,
    "kernel": _kernel,
    "compiled": _compiled,
    "whole_run": _whole_run,
    "earlier": earlier.report,
    "parquet": _parquet,
    "answers": _answers,
    "what_if": _what_if,
    "designs": _designs,
}


def main() -> None:
    """Print the tables of the named sections, or of all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"one of {', '.join(SECTIONS)}; all by default")
    named = parser.parse_args().sections
    unknown = [name for name in named if name not in SECTIONS]
    if unknown:
        parser.error(f"SECTION {', '.join(unknown)}: must be one of {', '.join(SECTIONS)}")
    for name in named or SECTIONS:
        for line in SECTIONS[name]():
            print(line, flush=True)
        print()


main()
