# Two commands: `make demo` and `make test`. They need Python 3.11 or newer and make; git is used where it is there.
# Everything is installed into .venv, from locks with hashes; pip's own configuration says where packages come from.

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?=
UV ?= uv
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
COMPILE := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-strip-extras \
	--custom-compile-command "make lock" --extra example

# Kernels, workers and the command line are processes of their own: without bytecode each compiles the package again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test coverage slow lint lock bench clean
.DELETE_ON_ERROR:

help:
	@echo "make demo      install, build the workspace demo/ from real flights, publish its two reports"
	@echo "make test      lint, types, import contract, generated files, tests"
	@echo "make coverage  the same, and how much of the package the tests run; half as long again"
	@echo "make slow      the tests that take minutes: the wheel in a clean environment, and others"
	@echo "make lint      only what reads the code"
	@echo "make bench     the benchmarks, an hour and a half in all, into docs/benchmarks.md; ONLY=\"NAME …\" for some"
	@echo "make lock      resolve both locks again and write environment.yml (needs uv)"
	@echo "make clean     remove .venv, demo/, build/, dist/ and caches"

demo: $(VENV)/.toolkit
	@$(BIN)/python scripts/demo.py

test: lint
	@echo "==> tests"
	@$(BIN)/python -m pytest --numprocesses=auto --dist loadfile

coverage: lint
	@echo "==> tests, with coverage"
	@$(BIN)/python -m pytest --numprocesses=auto --dist loadfile --cov --cov-report=term

slow: $(VENV)/.tests
	@echo "==> slow tests"
	@$(BIN)/python -m pytest --numprocesses=auto --dist loadfile -m slow

lint: $(VENV)/.tests
	@echo "==> ruff"
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@echo "==> types"
	@$(BIN)/mypy
	@echo "==> import contract"
	@$(BIN)/lint-imports
	@echo "==> generated files"
	@$(BIN)/python scripts/environment.py --check

bench: $(VENV)/.tests
	@$(BIN)/python scripts/benchmarks.py $(ONLY)

lock:
	$(COMPILE) --group build pyproject.toml --output-file requirements.lock
	$(COMPILE) --group dev --constraint requirements.lock pyproject.toml --output-file requirements-dev.lock
	python3 scripts/environment.py

clean:
	rm -rf $(VENV) demo build dist htmlcov .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .hypothesis \
		.import_linter_cache

# --- the environment: each stamp says that its step was finished, so an interrupted one is done again ---

$(VENV)/.python:
	@python=$$(scripts/find_python $(PYTHON)) || exit 2; \
	echo "==> virtual environment $(VENV) from $$python ($$("$$python" --version))"; "$$python" -m venv $(VENV)
	@command -v git >/dev/null || echo "==> git is missing: it works without, and manifests will name no commit"
	@touch $@

$(VENV)/.run: $(VENV)/.python requirements.lock
	@echo "==> installing $$(grep -c '^[a-z].*==' requirements.lock) locked packages (minutes the first time)"
	@$(PIP) install --require-hashes --requirement requirements.lock
	@touch $@

# hatchling is in the run lock, so that this step fetches nothing: a build in isolation would fetch it without a hash.
$(VENV)/.toolkit: $(VENV)/.run pyproject.toml
	@echo "==> installing the toolkit itself, editable"
	@$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.tests: $(VENV)/.toolkit requirements-dev.lock
	@echo "==> installing what the tests need"
	@$(PIP) install --require-hashes --requirement requirements-dev.lock
	@touch $@
