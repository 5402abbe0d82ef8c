# Two commands do everything on a fresh machine with Python >= 3.11: `make demo` and `make test`.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
# uv installs the same lock in a tenth of pip's processor time. Where it cannot be had, or meets settings only pip knows
# (an index or a certificate of your own), pip does it.
, := ,
UV     := $(BIN)/uv
PIP    := pip install --quiet --disable-pip-version-check -c constraints.txt
fill    = $(UV) pip install --quiet --python $(1)/bin/python -c constraints.txt -e '.[$(2)]' 2> /dev/null || $(1)/bin/python -m $(PIP) -e '.[$(2)]'

.DEFAULT_GOAL := help
.PHONY: help demo test thorough recover lab browser lint docs lock bench bench-small chaos fuzz validate conformance spark data clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 12

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo 'capi_lab needs Python >= 3.11: make PYTHON=python3.12 $(MAKECMDGOALS)'; exit 1; }
	@echo 'Installing into $(VENV); the first time this takes some minutes.'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m $(PIP) uv || true
	$(call fill,$(VENV),lab$(,)test)
	@touch $(STAMP)

demo: $(STAMP)  ## install, measure coverage on the shipped sample, say where the result lies
	$(BIN)/capi-lab demo --out out

test: $(STAMP)  ## the test suite
	$(BIN)/python -m pytest -n auto

thorough: $(STAMP)  ## the suite with every case it cuts for time (tests/depth.py)
	CAPI_LAB_THOROUGH=1 $(BIN)/python -m pytest -n auto

recover: $(STAMP)  ## 200 simulated shops: do calibrated intervals hold the parameters that made the data?
	$(BIN)/python -m tests.simulate.recover

lab: $(STAMP)  ## open JupyterLab on the notebooks
	$(BIN)/jupyter lab --notebook-dir notebooks

# Three packages more, and the Chromium that is there.
$(VENV)/.browser: $(STAMP)
	$(call fill,$(VENV),browser)
	@touch $@

browser: $(VENV)/.browser  ## open report, notebooks and JupyterLab in Chromium; screenshots in out/browser
	$(BIN)/python -m pytest -m browser tests/browser

lint: $(STAMP)  ## ruff and strict mypy
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# The vendors' own packages are large and pin what they like: an environment of their own keeps ours plain.
VENDORS := $(VENV)-conformance
$(VENDORS)/.installed: pyproject.toml constraints.txt | $(STAMP)
	$(PYTHON) -m venv $(VENDORS)
	$(call fill,$(VENDORS),test$(,)conformance$(,)sandbox)
	@touch $@

conformance: $(VENDORS)/.installed  ## our bodies and digests against the vendors' own classes
	$(VENDORS)/bin/python -m pytest -m conformance tests/conformance

# So is Spark: half a gigabyte that only few need.
SPARK := $(VENV)-spark
$(SPARK)/.installed: pyproject.toml constraints.txt | $(STAMP)
	$(PYTHON) -m venv $(SPARK)
	$(call fill,$(SPARK),test$(,)spark)
	@touch $@

spark: $(SPARK)/.installed  ## the same results on Spark as on DuckDB, row by row (needs a Java runtime)
	$(SPARK)/bin/python -m pytest -m spark tests/engines

BENCH := $(VENDORS)/bin/python
bench: $(VENDORS)/.installed  ## speed as ratios, each measured in one run, at full size (long; see bench-small)
	$(BENCH) benchmarks/run.py --pixel 1e6 10e6 22.2e6 --runs 1 --memory 3GB --only 'dedup by key'
	$(BENCH) benchmarks/run.py --pixel 10e6 --runs 2
	$(BENCH) benchmarks/spill.py
	$(BENCH) benchmarks/attribute.py --conversions 1e7 --clicks 1e7 --runs 1
	$(BENCH) benchmarks/identity.py
	$(BENCH) benchmarks/wires.py
	$(BENCH) -m benchmarks.load
	$(BENCH) -m benchmarks.send
	$(BENCH) -m benchmarks.million
	$(BENCH) benchmarks/simulate.py --orders 1e6 1e7

bench-small: $(VENDORS)/.installed  ## the same over a million events
	$(BENCH) benchmarks/run.py
	$(BENCH) benchmarks/spill.py --pixel 1e6 --memory 300MB
	$(BENCH) benchmarks/attribute.py
	$(BENCH) benchmarks/identity.py
	$(BENCH) benchmarks/wires.py
	$(BENCH) -m benchmarks.load
	$(BENCH) -m benchmarks.send
	$(BENCH) -m benchmarks.million --rows 1e5
	$(BENCH) benchmarks/simulate.py

chaos: $(STAMP)  ## a sender killed at any moment, 1,001 times, while its platform misbehaves; nothing lost, nothing double
	$(BIN)/python -m tests.chaos

fuzz: $(STAMP)  ## 1,000,000 generated identifiers and 200,000 replies through every rule and wire
	$(BIN)/python -m tests.fuzz

validate: $(STAMP)  ## how often each interval holds the truth, a thousand shops of each kind; writes docs/validation.md
	$(BIN)/python -m tests.validation --write

docs: $(STAMP)  ## write docs/platforms.md, tables.md, names.md from the code, the measured tables of docs/simulator.md, the pictures
	$(BIN)/capi-lab platforms > docs/platforms.md
	$(BIN)/python docs/write_tables.py
	$(BIN)/python docs/write_names.py
	$(BIN)/python docs/write_simulator.py
	$(BIN)/python docs/write_images.py

lock: $(STAMP)  ## renew constraints.txt: names and versions only, valid on 3.11 to 3.13
	$(BIN)/uv pip compile --universal --python-version 3.11 --no-header --no-annotate --upgrade \
	    --all-extras pyproject.toml -o constraints.txt

data: $(STAMP)  ## make the shipped sample again from its sources (data/README.md)
	$(BIN)/python data/make_cdnow.py
	$(BIN)/python -m tests.load.make_samples data/formats

clean:  ## remove the environment and everything generated
	rm -rf $(VENV) $(VENDORS) $(SPARK) out dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
