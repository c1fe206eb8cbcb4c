# make demo   sets up what it needs and clusters the bundled photographs
# make test   sets up what it needs and checks everything
# make docs   builds the documentation in build/site
# make scores prints the scores that the README and the cards quote (an hour; needs the data sets)
# make bench  measures the speed and memory of embed (ten minutes; needs the data sets; QUICK=1: seconds)
# make clean  removes what these made
#
# Both need Python 3.10 or newer and make; PYTHON=python3.12 chooses another one.

PYTHON ?= python3
DEMO_ENV := build/env-demo
TEST_ENV := build/env-test
DEMO_OUT := build/demo

ifeq ($(OS),Windows_NT)
BIN := Scripts
else
BIN := bin
endif

# Everything that decides what is installed.
SETUP := pyproject.toml constraints.txt
# Python compiles what it imports; compiling all that is installed takes half a minute more.
PIP := -m pip --disable-pip-version-check --quiet install --no-compile

.PHONY: demo test lint types docs unit scores bench bench-scale clean

demo: $(DEMO_ENV)/done
	$(DEMO_ENV)/$(BIN)/imgcluster run examples/photos --workspace $(DEMO_OUT)

# mypy uses one processor, pytest all; both at once take less time.
test:
	$(MAKE) -j2 lint types docs unit

lint: $(TEST_ENV)/done
	$(TEST_ENV)/$(BIN)/ruff check .
	$(TEST_ENV)/$(BIN)/ruff format --check .

types: $(TEST_ENV)/done
	$(TEST_ENV)/$(BIN)/mypy

docs: $(TEST_ENV)/done
	$(TEST_ENV)/$(BIN)/mkdocs build --strict --quiet

# Without Chromium the tests of the page fail instead of being skipped.
unit: export IMGCLUSTER_REQUIRE_BROWSER := 1
unit: $(TEST_ENV)/done
	$(TEST_ENV)/$(BIN)/python -m pytest -n 3 --dist worksteal

$(DEMO_ENV)/done: $(SETUP)
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "imgcluster needs Python 3.10 or newer; say which: make PYTHON=python3.12")'
	$(PYTHON) -m venv --clear $(DEMO_ENV)
	$(DEMO_ENV)/$(BIN)/python $(PIP) -e . -c constraints.txt
	$(DEMO_ENV)/$(BIN)/python -c 'open("$@", "w").close()'

$(TEST_ENV)/done: $(SETUP)
	$(PYTHON) -m venv --clear $(TEST_ENV)
	$(TEST_ENV)/$(BIN)/python $(PIP) -e '.[dev,train,heif,raw,jxl]' -c constraints.txt
	$(TEST_ENV)/$(BIN)/python -c 'open("$@", "w").close()'

# QUICK=1 takes seconds and writes nothing. FASTDUP=PYTHON of an environment with fastdup compares with it, too.
bench: $(TEST_ENV)/done
	PYTHONPATH=training $(TEST_ENV)/$(BIN)/python -m benchmarks.performance $(if $(QUICK),--quick) $(if $(FASTDUP),--fastdup $(FASTDUP))

# An hour; 5,000,000 vectors need 3 GB on the disk.
bench-scale: $(TEST_ENV)/done
	$(TEST_ENV)/$(BIN)/python -m benchmarks.scale
	$(TEST_ENV)/$(BIN)/python -m benchmarks.scale 100000x1280 1000000x384 5000000x128

scores: $(TEST_ENV)/done
	$(TEST_ENV)/$(BIN)/python -m benchmarks.scores

clean:
	$(PYTHON) -c 'import shutil; [shutil.rmtree(d, ignore_errors=True) for d in ("build", "dist", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".hypothesis")]'
