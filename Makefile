SHELL := /bin/bash
PYTHON ?= python3.11
BIN := .venv/bin

.PHONY: install demo test check bench docs clean

install: .venv/installed

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: install  ## the 1995 scenario, on the embedded defaults
	$(BIN)/brink run us-japan-autos-1995 --trials 200000 --seed 1995 --out runs/demo

test: install
	$(BIN)/python -m pytest -n auto --dist loadfile

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: install  ## ratios of speed, each taken in one run
	$(BIN)/python -m benchmarks

docs: demo  ## the pages and pictures that are made from the code and from a real run
	$(BIN)/python -m docs.generate runs/demo

clean:
	rm -rf .venv runs build *.egg-info
