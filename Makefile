# Everything the project does, by name. `make` alone lists it.
#
# Needs make, git and Python 3.11, 3.12 or 3.13; each target installs what it needs into .venv.
#   PYTHON=python3.12  the interpreter for .venv     (default python3)
#   PRESET=quick       the preset that is reproduced (smoke, quick, companion or paper)
#   THREADS=1          threads of each process; runs are spread over cores as processes
#   JOBS=2             processes that tests are spread over
#   HARL=folder        with `make bench`: a checkout of HARL, to be measured as well
#   KEEP=1             with `make lock`: keep what is locked, add only what is missing

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install reproduce book notebooks test smoke lint verify bench release publish lock clean

PYTHON ?= python3
PRESET ?= quick
THREADS ?= 1
JOBS ?= 2
export OMP_NUM_THREADS := $(THREADS)
export MKL_NUM_THREADS := $(THREADS)
# The same bits on every x86-64 processor: kernels and tests may load NumPy or torch before dtlib.
$(foreach setting,$(shell $(PYTHON) dtlib/runtime/bits.py 2>/dev/null),$(eval export $(setting)))
export PYTHONUNBUFFERED := 1
export JUPYTER_PREFER_ENV_PATH := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

BIN := .venv/bin
BUILD = BOOK_FROM_CACHE=1 $(BIN)/jupyter-book build . -n -W --keep-going
VERSION = $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
# .venv is up to date when it holds a stamp named after what was asked for, and where. It is written
# last, so an interrupted installation starts again.
KEY := $(shell { cat pyproject.toml requirements.lock; pwd -P; } | cksum | tr " " "-")
STAMP := .venv/.installed-$(KEY)

help:  ## list the targets
	@sed -n 's/^\([a-z]*\):.*##  *\(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{printf "%-18s%s\n", $$1, $$2}'

install: $(STAMP)  ## create .venv with the locked dependencies and dtlib itself

reproduce: install  ## train the quick preset (or resume), then build the book from its numbers
	$(BIN)/dtlib reproduce --preset $(PRESET)
	@$(MAKE) --no-print-directory book

book: notebooks  ## run every notebook afresh, with nbval, and build the book; any warning is an error
	$(BUILD)
	@echo && echo "The book is built. Open _build/html/index.html"

notebooks: install
	@rm -rf _build/html _build/.doctrees _build/jupyter_execute _build/.jupyter_cache
	$(BIN)/pytest -n $(JOBS) --dist loadfile --nbval-lax --nbval-current-env --nbval-cell-timeout=600 notebooks

# The book is built while tests run: its one process leaves a second core idle.
test: lint notebooks  ## lint, every notebook, tests, the strict build of the book, the book in a browser
	@mkdir -p _build
	$(BUILD) >_build/build.log 2>&1 & building=$$!; \
	trap 'kill $$building' INT TERM; \
	$(BIN)/pytest -n $(JOBS) --dist worksteal --durations 25 --durations-min 5 -m "not book" \
	    || failed=1; \
	wait $$building || { cat _build/build.log; failed=1; }; \
	exit $${failed:-0}
	$(BIN)/pytest -n $(JOBS) -m book tests/test_book.py

smoke: install  ## every notebook once with other parameters and tiny runs, from empty stores
	$(BIN)/pytest -n $(JOBS) --dist worksteal tests/notebooks -k other_parameters

lint: install  ## ruff: rules and formatting; mypy: types; floors: who may import whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

verify: install  ## make one committed run of each algorithm again and compare every byte
	$(BIN)/dtlib verify fig04_06 --preset quick --runs 4

bench: install  ## measure again what the book claims about speed, into results/benchmarks
	$(BIN)/dtlib bench episode --out
	$(BIN)/dtlib bench training --out
	$(BIN)/dtlib bench critics --out
	@if $(BIN)/python -c "import benchmarl" 2>/dev/null; then $(BIN)/dtlib bench peer --out; \
	else echo "BenchMARL was not measured: it is the extra 'bench' of pyproject.toml."; fi
	@if [ -n "$(HARL)" ]; then $(BIN)/dtlib bench harl --checkout "$(HARL)" --out; \
	else echo "HARL was not measured: name a checkout, make bench HARL=..."; fi

release: book  ## the book, the results and the lock file as archives in dist
	@rm -rf dist && mkdir dist
	tar -czf dist/dtlib-$(VERSION)-book.tar.gz -C _build html
	git archive --output dist/dtlib-$(VERSION)-results.tar.gz HEAD results
	cp requirements.lock dist/dtlib-$(VERSION)-requirements.lock

publish: release  ## attach them to a release of this version's tag (needs gh, GitHub's command line)
	gh release create v$(VERSION) --verify-tag --notes-file CHANGELOG.md dist/*

lock:  ## resolve the newest allowed dependencies again and rewrite requirements.lock
	@$(call check_python)
	@$(call create_venv,_build/lock)
	_build/lock/bin/python -m pip install -qq uv
	@cp requirements.lock _build/lock/resolved
	echo pip | _build/lock/bin/uv pip compile -q pyproject.toml - --extra all $(if $(KEEP),,--upgrade) \
	    --universal --fork-strategy fewest --generate-hashes --no-header --no-annotate \
	    -o _build/lock/resolved >/dev/null
	@{ sed -n '/^#/p' requirements.lock; \
	   awk '/^[a-z]/ {left_out = /^(torch|triton|nvidia-|cuda-)/} !/^#/ && !left_out' \
	       _build/lock/resolved; \
	 } > requirements.lock.new && mv requirements.lock.new requirements.lock
	@rm -rf _build/lock

clean:  ## remove the book and caches; .venv and trained runs stay
	rm -rf _build build dist *.egg-info .pytest_cache .ruff_cache .hypothesis
	find . -name .venv -prune -o \( -name __pycache__ -o -name .ipynb_checkpoints \) -prune -exec rm -rf {} +

$(STAMP):
	@$(call check_python)
	@rm -f .venv/.installed-*
	@if ! { .venv/bin/python -m pip --version && grep -qF "$$(pwd -P)/.venv" .venv/bin/activate; } \
	    >/dev/null 2>&1; then $(call create_venv,.venv); fi
	@echo "Installing the locked dependencies into .venv; the first time takes some minutes."
	@sed -n '/^pip==/,/[^\\]$$/p' requirements.lock > .venv/pip.lock
	@$(BIN)/python -m pip install -qq --require-hashes -r .venv/pip.lock
	@$(BIN)/python -m pip install -qq --no-compile --require-hashes --no-deps -r requirements.lock
	@$(BIN)/python -m pip install -qq --no-compile --no-build-isolation -e .  # and torch, see pyproject
	@$(BIN)/python -m pip check
	@$(BIN)/python -m compileall -qq -j 0 -x '/tests?/' .venv/lib || :  # pip would, on one core
	@mkdir -p .venv/etc/ipython  # kernels talk on this machine only: no warning about plain TCP
	@{ echo 'c.IPKernelApp.log_level = "ERROR"'; \
	   echo 'import runpy  # the same bits as elsewhere, before a notebook loads NumPy or torch'; \
	   echo 'runpy.run_path("$(CURDIR)/dtlib/runtime/bits.py")["settle"]()'; \
	 } > .venv/etc/ipython/ipython_kernel_config.py
	@touch $@

define check_python
{ $(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; } || { \
    echo "dtlib needs Python 3.11, 3.12 or 3.13, but '$(PYTHON)' is not: name one with make PYTHON=..." >&2; \
    exit 1; }
endef

# A virtual environment with pip, also where Python comes without ensurepip.
define create_venv
{ rm -rf $(1) && $(PYTHON) -m venv $(1); } >/dev/null 2>&1 \
|| { rm -rf $(1) && $(PYTHON) -m venv --without-pip $(1) \
     && $(PYTHON) -m pip --python $(1)/bin/python install pip; } >/dev/null 2>&1 \
|| { rm -rf $(1) && uv venv --seed --python $(PYTHON) $(1); } >/dev/null 2>&1 \
|| { rm -rf $(1) && virtualenv --python $(PYTHON) $(1); } >/dev/null 2>&1 \
|| { rm -rf $(1); \
     echo "Cannot create $(1): $(PYTHON) has neither ensurepip nor pip. Install its venv package (Debian: python3-venv), uv or virtualenv." >&2; \
     exit 1; }
endef
