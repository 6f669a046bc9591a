# make demo and make test set everything up by themselves: a virtual environment, the build, the run.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OLDEST := .venv-oldest
REMOTE := .venv-remote
WHEELS := build/wheels
SOURCES := $(shell find src native -type f -not -name '*.so' -not -path '*__pycache__*') CMakeLists.txt pyproject.toml README.md

.PHONY: demo test test-oldest test-remote lint format bench bench-quick sanitize clean

demo: $(VENV)/installed
	mkdir -p demo
	$(BIN)/onefold train src/onefold/data/penguins.csv --target species --output demo/penguins.onefold
	$(BIN)/onefold predict demo/penguins.onefold src/onefold/data/penguins.csv --probabilities --quiet | head -6
	@echo "The same training again, from the model file alone, gives the same bits:"
	$(BIN)/onefold verify --quiet demo/penguins.onefold src/onefold/data/penguins.csv

test: $(VENV)/tested
	$(BIN)/python -m pytest -q

# The estimators with the oldest scikit-learn that they take.
test-oldest: $(OLDEST)/tested
	$(OLDEST)/bin/python -m pytest -q tests/estimators

# Tables from PostgreSQL, S3 and the web. PostgreSQL's tests skip where its programs are not installed.
test-remote: $(REMOTE)/tested
	$(REMOTE)/bin/python -m pytest -q tests/cli/test_remote.py

lint: $(VENV)/linted
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/clang-format --dry-run --Werror $$(find native -name '*.hpp' -o -name '*.cpp')

format: $(VENV)/linted
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $$(find native -name '*.hpp' -o -name '*.cpp')

# Every benchmark, in an environment of its own with the peers. Results go to benchmarks/results.
BENCHMARKS := training accumulation prediction scaling kernels anatomy starting tables defaults embeddings estimators out_of_core
bench: benchmarks/.venv/installed
	for name in $(BENCHMARKS); do benchmarks/.venv/bin/python benchmarks/$$name.py || exit 1; done
	ONEFOLD_ISA=avx2 benchmarks/.venv/bin/python benchmarks/training.py
	ONEFOLD_ISA=avx2 benchmarks/.venv/bin/python benchmarks/training.py --peers avx2

bench-quick: benchmarks/.venv/installed
	for name in training prediction anatomy; do benchmarks/.venv/bin/python benchmarks/$$name.py --quick || exit 1; done

# The native core under AddressSanitizer and UBSan, then under ThreadSanitizer.
sanitize: $(VENV)/tested
	$(BIN)/python -m pip install --quiet cmake nanobind
	tests/native/sanitize.sh

$(VENV)/python: pyproject.toml
	test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	touch $@

$(WHEELS)/built: $(VENV)/python $(SOURCES)
	rm -rf $(WHEELS)
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir $(WHEELS) .
	touch $@

$(VENV)/installed: $(WHEELS)/built
	$(BIN)/python -m pip install --quiet --force-reinstall --no-deps $(WHEELS)/*.whl
	$(BIN)/python -m pip install --quiet $(WHEELS)/*.whl
	touch $@

$(VENV)/tested: $(VENV)/installed
	$(BIN)/python -m pip install --quiet "$$(echo $(WHEELS)/*.whl)[test]"
	touch $@

$(OLDEST)/tested: $(WHEELS)/built tests/oldest.txt
	test -d $(OLDEST) || $(PYTHON) -m venv $(OLDEST)
	$(OLDEST)/bin/python -m pip install --quiet --upgrade pip
	$(OLDEST)/bin/python -m pip install --quiet --force-reinstall --no-deps $(WHEELS)/*.whl
	$(OLDEST)/bin/python -m pip install --quiet --constraint tests/oldest.txt "$$(echo $(WHEELS)/*.whl)[test]"
	touch $@

$(REMOTE)/tested: $(WHEELS)/built tests/remote.txt
	test -d $(REMOTE) || $(PYTHON) -m venv $(REMOTE)
	$(REMOTE)/bin/python -m pip install --quiet --upgrade pip
	$(REMOTE)/bin/python -m pip install --quiet --force-reinstall --no-deps $(WHEELS)/*.whl
	$(REMOTE)/bin/python -m pip install --quiet $(WHEELS)/*.whl --requirement tests/remote.txt
	touch $@

$(VENV)/linted: $(VENV)/installed
	$(BIN)/python -m pip install --quiet "$$(echo $(WHEELS)/*.whl)[lint]"
	touch $@

benchmarks/.venv/installed: $(WHEELS)/built benchmarks/requirements.txt
	test -d benchmarks/.venv || $(PYTHON) -m venv benchmarks/.venv
	benchmarks/.venv/bin/python -m pip install --quiet --upgrade pip
	benchmarks/.venv/bin/python -m pip install --quiet -r benchmarks/requirements.txt
	benchmarks/.venv/bin/python -m pip install --quiet --force-reinstall --no-deps $(WHEELS)/*.whl
	benchmarks/.venv/bin/python -m pip install --quiet $(WHEELS)/*.whl
	touch $@

clean:
	rm -rf $(VENV) $(OLDEST) $(REMOTE) benchmarks/.venv build demo
