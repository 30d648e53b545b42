# Everything runs in .venv, which these targets create and keep up to date. PYTHON chooses the interpreter.

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
# Processes that the tests start read the project as bytecode, which some images turn off.
export PYTHONDONTWRITEBYTECODE :=
# Test processes: one per core, at most four.
JOBS ?= $(shell n=$$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2); echo $$((n > 4 ? 4 : n)))

.PHONY: help setup run test test-all lint format schema fuzz model torture memory bench bench-full bench-projections \
	bench-failing \
	bench-http bench-admin bench-domain bench-seals bench-growth screenshots architecture lock clean

help:
	@echo "make run       set up everything and serve the demo (PORT=8000; TRAFFIC=0: without generated orders)"
	@echo "make test      set up everything and run all tests"
	@echo "make test-all  run all tests with every supported Python and PostgreSQL on this machine"
	@echo "make lint      check style, types and layers"
	@echo "make bench     measure the store against PostgreSQL itself and Django (five minutes)"
	@echo "make bench-full  the same with other event stores, then projections, HTTP and seals (half an hour)"
	@echo "make bench-projections  measure projections against hand-written loops (a few minutes)"
	@echo "make bench-failing  measure how long good events wait while others fail (two minutes)"
	@echo "make bench-http  measure the HTTP interface against plain views (a few minutes)"
	@echo "make bench-admin  measure every page of the admin on 5 million events (ten minutes)"
	@echo "make bench-domain  measure typed events, aggregates and snapshots, beside the library eventsourcing (five minutes)"
	@echo "make bench-seals  measure how fast events are sealed and verified (a minute)"
	@echo "make bench-growth  measure how costs grow up to 10 million events, SIZES='10000 …' (ten minutes)"
	@echo "make memory    measure the peak memory of a million events, and of events of a megabyte at each door (half an hour)"
	@echo "make fuzz      send thousands of generated requests to every operation of the HTTP interface, and bodies up to the limits"
	@echo "make torture   run crash tests: kill the server, or fill its disk, or kill the workers of reactions, ROUNDS=100 (SEED=…)"
	@echo "make model     compare the store with a model in 10,000 generated steps (five minutes)"
	@echo "make schema    generate docs/openapi.yaml again"
	@echo "make screenshots  take the screenshots in docs/images again"
	@echo "make architecture  generate the parts of docs/architecture.md that follow from the code, and its pictures"
	@echo "make setup     set up .venv, database, admin user and demo data, without serving"
	@echo "make clean     remove .venv and caches; the demo's database in .data stays"

setup: $(VENV)/installed
	@$(RUN) manage.py setup_demo

run: $(VENV)/installed
	@$(RUN) manage.py serve

test: $(VENV)/installed
	@$(RUN) -m pytest -n $(JOBS) --dist worksteal

test-all: $(VENV)/installed
	@PATH="$$PATH:$$(ls -d ~/.pyenv/versions/*/bin 2>/dev/null | tr '\n' ':')" $(RUN) -m nox

lint: $(VENV)/installed
	@$(RUN) -m ruff check .
	@$(RUN) -m ruff format --check .
	@$(RUN) -m mypy
	@PYRIGHT_PYTHON_IGNORE_WARNINGS=1 $(RUN) -m pyright
	@PYTHONPATH=. $(RUN) -c "from importlinter.cli import lint_imports_command as check; check()" --no-logo
	@$(RUN) manage.py makemigrations --check --dry-run
	@$(RUN) manage.py check --fail-level WARNING
	@$(RUN) manage.py event_schemas --check

bench: $(VENV)/installed
	@$(RUN) -m benchmarks.bench_store --json .benchmarks/store.json

# Each benchmark runs, even if an earlier one misses a target.
bench-full: $(VENV)/installed
	@missed=0; $(RUN) -m benchmarks.bench_store --others --json .benchmarks/store.json || missed=1; \
	for each in projections http seals; do $(RUN) -m benchmarks.bench_$$each || missed=1; done; exit $$missed

bench-projections: $(VENV)/installed
	@$(RUN) -m benchmarks.bench_projections

bench-failing: $(VENV)/installed
	@$(RUN) -m benchmarks.bench_failing

bench-http: $(VENV)/installed
	@$(RUN) -m benchmarks.bench_http

bench-admin: $(VENV)/installed
	@$(RUN) -m benchmarks.bench_admin

bench-domain: $(VENV)/installed
	@$(RUN) -m benchmarks.bench_domain --others

bench-seals: $(VENV)/installed
	@$(RUN) -m benchmarks.bench_seals

# The chart is drawn even if a target is missed.
bench-growth: $(VENV)/installed
	@$(RUN) -m pip install --quiet --disable-pip-version-check -r benchmarks/requirements.txt
	@$(RUN) -m benchmarks.bench_growth --json docs/growth.json $${SIZES:+--sizes $$SIZES}; missed=$$?; \
		$(RUN) -m benchmarks.growth_chart docs/growth.json docs/images/growth.png && exit $$missed

memory: $(VENV)/installed
	@missed=0; for each in bench_memory memory_of_doors; do $(RUN) -m benchmarks.$$each || missed=1; done; exit $$missed

screenshots: $(VENV)/installed
	@$(RUN) -m docs.screenshots

# The map of the code; a test compares it with the imports.
architecture: $(VENV)/installed
	@$(RUN) -m docs.draw_architecture

format: $(VENV)/installed
	@$(RUN) -m ruff check --fix .
	@$(RUN) -m ruff format .

# The committed description of the HTTP interface; a test compares it with the code.
schema: $(VENV)/installed
	@$(RUN) manage.py spectacular --validate --fail-on-warn --file docs/openapi.yaml

fuzz: $(VENV)/installed
	@FUZZ_EXAMPLES=$${FUZZ_EXAMPLES:-300} $(RUN) -m pytest -s tests/project/test_schema.py tests/project/test_large_bodies.py \
		tests/events/api/test_problems.py --timeout 3600

torture: $(VENV)/installed
	@$(RUN) -m tests.torture --rounds $${ROUNDS:-100} $${SEED:+--seed $$SEED}
	@FULL_TESTS=1 $(RUN) -m pytest -q --timeout 3600 tests/projections/reactions/test_kills.py

model: $(VENV)/installed
	@MODEL_STEPS=$${MODEL_STEPS:-10000} $(RUN) -m pytest -s tests/model --timeout 7200

# Pins the packages of .venv for every supported Python. Needs uv.
lock:
	uv pip compile --universal --python-version 3.11 --no-header --no-emit-index-url --group demo --group dev \
		pyproject.toml -o requirements.txt --upgrade

clean:
	rm -rf $(VENV) .nox .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis

$(VENV)/installed: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed; this is " + sys.version.split()[0] + ". Choose another: make PYTHON=python3.12")'
	@echo "Setting up $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(RUN) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@
