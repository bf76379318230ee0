"""``python -m benchmarks``: ratios of speed and of error, each taken in one run on this machine."""

import os

from api.shipped_scenarios import shipped_scenario
from benchmarks import answers, designs, kernel, pages, parquet, service, start, whole_run
from sim.scenario.scenario import scenario_from_document
from tests.support.examples import every_mechanism

os.environ.setdefault("OMP_NUM_THREADS", "1")


def main() -> None:
    """Print the benchmarks' tables."""
    print("\n".join(start.report()), flush=True)
    print("\n".join(service.report()), flush=True)
    print("\n".join(pages.report()), flush=True)
    scenarios = {
        "every mechanism": scenario_from_document(every_mechanism()),
        "us-japan-autos-1995": shipped_scenario("us-japan-autos-1995"),
    }
    print(f"{'Trials a second, one core':28} {'kernel':>11} {'plain':>11}   ratio (range of {kernel.ROUNDS} rounds)")
    for name, scenario in scenarios.items():
        print(kernel.report(name, scenario), flush=True)
    print(f"\n{'All strategies, one core':28} {'kernel':>11} {'compiled':>11}   ratio")
    for name, scenario in scenarios.items():
        print(kernel.report_compiled(name, scenario), flush=True)
    print("\nA whole run of six strategies against six bare kernels, us-japan-autos-1995")
    for line in whole_run.report(scenarios["us-japan-autos-1995"]):
        print(line, flush=True)
    print("\nParquet, us-japan-autos-1995")
    for line in parquet.report(scenarios["us-japan-autos-1995"]):
        print(line)
    print("\nAnswers, us-japan-autos-1995")
    for line in answers.report(scenarios["us-japan-autos-1995"]):
        print(line, flush=True)
    for line in answers.report_conditions("us-japan-autos-1995"):
        print(line, flush=True)
    print("\nTrials of a random design that one of another is worth, at equal error, us-japan-autos-1995")
    for line in designs.report(scenarios["us-japan-autos-1995"]):
        print(line)


main()
