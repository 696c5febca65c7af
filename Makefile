# Two commands on a fresh machine: `make demo` and `make test`. Both do all their set-up themselves.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.ready
DURATION ?=
SEED   ?= 1
LEVEL  ?= quiet

OLD_ENOUGH = import sys; sys.version_info >= (3, 11) or sys.exit("stockd needs Python 3.11 or newer; try: make PYTHON=python3.11")
CHECK = $(PYTHON) -c '$(OLD_ENOUGH)' || exit 1; \
  $(PYTHON) -c 'import ensurepip' || { echo "Python lacks venv; try: apt-get install python3-venv"; exit 1; }

.PHONY: demo test check bench storm clean system

demo: $(VENV)/.run
	$(BIN)/stockd demo --seed $(SEED) --level $(LEVEL) $(if $(DURATION),--duration $(DURATION))

test: $(STAMP) system
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -m "not storm"
	$(BIN)/pytest -m storm -k ci

# The fast part, before each commit.
check: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest tests/unit tests/properties tests/test_house.py

bench: $(STAMP)
	$(BIN)/stockd bench latency --rate 50
	$(BIN)/stockd bench latency --rate 200
	$(BIN)/stockd bench latency --rate 100 --fsync-ms 5
	$(BIN)/stockd bench pipeline

# A second real broker for the tests. Without root its tests skip and say so.
system:
	@command -v mosquitto >/dev/null || [ -x /usr/sbin/mosquitto ] || { \
	  [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
	  { apt-get update -qq && apt-get install -qq -y mosquitto openssl >/dev/null; } || \
	  echo "mosquitto is not installed: its tests will be skipped"; }

# Minutes under fire: every storm test, at full length.
storm: $(STAMP) system
	STORM_SEED=$(SEED) $(BIN)/pytest -m storm -s

# What runs, without the tools of a developer.
$(VENV)/.run: pyproject.toml
	@$(CHECK)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -e .
	touch $@

$(STAMP): pyproject.toml
	@$(CHECK)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@ $(VENV)/.run

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
