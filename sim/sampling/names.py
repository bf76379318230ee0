"""The names of the sampling designs, as in options, requests and files."""

from typing import Literal

SampleName = Literal["random", "latin_hypercube", "sobol"]
"""Designs whose trials are a sample of the parameters' distributions."""
DesignName = Literal[SampleName, "saltelli"]
