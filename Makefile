# On a machine with Python 3.11+ and make: `make demo`, `make test`. Both set up .venv first and can be run again.
PYTHON ?= python3
VENV ?= .venv
CONSTRAINTS ?= constraints.txt
DATA_DIR ?= ../shared/data
BIN := $(VENV)/bin
THREADS := $(shell $(PYTHON) -c 'import os; print(os.cpu_count())')
PYTEST := $(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder
LAUNCH := $(BIN)/accelerate launch --num_processes 1 --num_machines 1 --mixed_precision no --dynamo_backend no \
	--num_cpu_threads_per_process $(THREADS)

.PHONY: setup demo test test-oldest test-newest test-kernels test-slow reproduce report lint format clean

setup: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml setup.py $(CONSTRAINTS)
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0] + "; set PYTHON=...") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c $(CONSTRAINTS) -e ".[dev]"
	touch $@

demo: setup
	$(LAUNCH) scripts/distill.py --dataset synthetic --teacher itransformer --teacher_epochs 6 \
		--context_length 336 --prediction_length 96 --step_limit 300 --output_dir runs/demo --overwrite

test: setup
	$(PYTEST)

# the suite with the oldest versions that pyproject.toml allows, and with the newest, each in an environment of its own
test-oldest:
	$(MAKE) test VENV=.venv-oldest CONSTRAINTS=constraints-oldest.txt

test-newest:
	rm -f .venv-newest/.installed
	PIP_UPGRADE=1 PIP_UPGRADE_STRATEGY=eager $(MAKE) test VENV=.venv-newest CONSTRAINTS=/dev/null

# the suite under other kernels than the processor's own, and with one thread and two: rounding may differ, tests may not
KERNELS := ATEN_CPU_CAPABILITY=default ATEN_CPU_CAPABILITY=avx2 ATEN_CPU_CAPABILITY=avx512 \
	ONEDNN_MAX_CPU_ISA=AVX2 MKL_CBWR=COMPATIBLE OMP_NUM_THREADS=1 OMP_NUM_THREADS=2
TESTS ?= tests

test-kernels: setup
	for kernels in $(KERNELS); do \
		echo "$$kernels"; env OMP_WAIT_POLICY=PASSIVE $$kernels $(PYTEST) -q $(TESTS) || exit 1; \
	done

test-slow: setup
	$(BIN)/python -m pytest -m slow

# runs what is missing of the research matrix (hours; it goes on where it was interrupted), then its report
reproduce: setup
	$(BIN)/python benchmarks/reproduce.py --matrix benchmarks/matrices/best.yaml --data_dir $(DATA_DIR) --lanes $(THREADS)
	$(MAKE) report

report: setup
	$(BIN)/python benchmarks/reproduce.py --matrix benchmarks/matrices/best.yaml --report

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache
	$(BIN)/mypy

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) .venv-oldest .venv-newest runs build *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
