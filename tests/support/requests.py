"""What tests send to the HTTP service, and what its errors are."""

from sim.scenario.scenario import scenario_document
from tests.support.runs import small_plan

SMALL_JOB = {"scenario": scenario_document(small_plan().scenario), "trials": 300, "seed": 3}
"""The body of a request that submits a small job of two strategies."""
UNKNOWN_JOB = "0" * 32
"""An id that no job has."""
PROBLEM = "application/problem+json"
