"""The Python client of a Brink service: `Brink` for scripts and notebooks, `AsyncBrink` the same with ``await``."""

from brink.client import AsyncBrink, Brink
from brink.errors import BrinkError, JobFailed
from brink.jobs import AsyncJob, Job

__all__ = ["AsyncBrink", "AsyncJob", "Brink", "BrinkError", "Job", "JobFailed"]
