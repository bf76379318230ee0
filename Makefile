SHELL := /bin/bash
PYTHON ?= python3.11
BIN := .venv/bin

.PHONY: install postgres pango chromium demo test test-slow test-web test-image manifests coverage check bench scale chaos reference docs clean

install: .venv/installed

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

postgres:  ## for the tests of the jobs database
	@ls /usr/lib/postgresql/*/bin/postgres > /dev/null 2>&1 || { \
	  export DEBIAN_FRONTEND=noninteractive; \
	  apt-get update -qq && apt-get install -y -qq --no-install-recommends postgresql > /dev/null; }

pango:  ## for reports as PDF
	@ldconfig -p | grep -q libpangoft2 && ldconfig -p | grep -q libharfbuzz-subset || { \
	  export DEBIAN_FRONTEND=noninteractive; \
	  apt-get update -qq && apt-get install -y -qq --no-install-recommends \
	    fonts-dejavu-core libharfbuzz-subset0 libpango-1.0-0 libpangoft2-1.0-0 > /dev/null; }

chromium:  ## for the tests of the pages
	@command -v chromium > /dev/null || { \
	  export DEBIAN_FRONTEND=noninteractive; \
	  apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium > /dev/null; }

demo: install  ## the 1995 scenario, on the embedded defaults
	$(BIN)/brink run us-japan-autos-1995 --trials 200000 --seed 1995 --out runs/demo

# How many workers: tests/conftest.py. A worker that has no tests left takes some of another's.
PYTEST := $(BIN)/python -m pytest -n auto --dist worksteal

test: install postgres pango  ## all tests but the slow ones and those in a browser
	$(PYTEST) -m "not slow and not browser"

test-slow: install postgres pango  ## the tests that take long by their nature: statistics over many seeds, hostile input, killed processes, Ray
	$(PYTEST) -m slow

test-web: install chromium  ## the pages in a real browser
	$(BIN)/python -m pytest -m browser tests/api/web

manifests: install  ## tests of configs/cluster; installs Helm's library and Kubernetes's schemas, 350 MB
	$(BIN)/pip install --quiet --quiet --constraint constraints.txt --editable '.[manifests]'
	$(BIN)/python -m pytest tests/configs/test_cluster.py

test-image: install postgres  ## the image as the chart sets it up, in namespaces; needs root, and BRINK_IMAGE, a folder of its files
	$(BIN)/python -m pytest tests/configs/test_image.py tests/configs/test_image_operating.py

coverage: install postgres pango  ## the tests of make test, and how much of the code they run
	$(PYTEST) -m "not slow and not browser" --cov --cov-report=
	@echo "coverage: $$($(BIN)/coverage report --format=total) % of the lines"

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: install  ## ratios of speed, each taken in one run
	$(BIN)/python -m benchmarks
	$(BIN)/python -m benchmarks.efficiency
	$(BIN)/python -m benchmarks.estimates

scale: install  ## every answer on a hundred million rows, with the memory it takes, and on Ray workers: an hour, 10 GB of disk
	$(BIN)/python -m benchmarks.scale
	$(BIN)/python -m benchmarks.distributed

chaos: install postgres  ## faults injected into a running service, and what they cost: 20 minutes, as root for a small disk
	$(BIN)/python -m tests.chaos

reference: install  ## the pages and the client's methods that are made from the code alone
	$(BIN)/python -m docs.parameters
	$(BIN)/python -m docs.answers

docs: reference demo chromium  ## these, and the pages and pictures that are made from real runs
	$(BIN)/python -m docs.outcomes runs/demo
	$(BIN)/python -m docs.pages
	$(BIN)/python -m docs.scaling

clean:
	rm -rf .venv runs build *.egg-info
