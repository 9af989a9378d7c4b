# Every command of this project. `make` alone lists them.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/ready
BROWSERS := chromium chromium-browser google-chrome

# Two workers with one native thread each, and no progress bars in stored or compared outputs.
QUIET  := OMP_NUM_THREADS=1 TF_NUM_INTRAOP_THREADS=1 TF_NUM_INTEROP_THREADS=1 TQDM_DISABLE=1
NBVAL  := --nbval --nbval-current-env --nbval-cell-timeout 300 --dist loadscope

.DEFAULT_GOAL := help
.PHONY: help book pdf lab test lint system bench execute lock clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "make %-10s %s\n", $$1, $$2}'

# install PACKAGE: as root on Debian and Ubuntu; otherwise say what to type
define install
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $(1) >/dev/null; \
	else echo "$(1) is missing; type: sudo apt-get install $(1)"; exit 2; fi
endef

$(READY): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' \
	  || { echo "Python 3.11, 3.12 or 3.13 is needed: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 2; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { $(call install,python3-venv); }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet "$$(grep -oE '^uv==[0-9.]+' requirements.txt)"
	$(BIN)/uv pip install --python $(BIN)/python --quiet --requirement requirements.txt
	$(BIN)/uv pip install --python $(BIN)/python --quiet --no-deps --editable .
	@touch $@

book: $(READY)  ## build the book and print its address
	@$(BIN)/python tools/build_book.py

pdf: $(READY) system  ## print the book into book/_build/book.pdf
	@$(BIN)/python tools/build_book.py
	@$(BIN)/python tools/print_book.py

lab: $(READY)  ## open JupyterLab on the chapters
	$(BIN)/jupyter lab --notebook-dir=. chapters

test: $(READY) system lint  ## run everything: lint, types, tests, the built pages, every notebook
	$(BIN)/python tools/build_book.py
	$(QUIET) $(BIN)/pytest -n 2 --dist worksteal
	$(QUIET) $(BIN)/pytest -n 2 $(NBVAL) chapters exercises

lint: $(READY)  ## format, lint and type checks
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

system:
	@for name in $(BROWSERS); do command -v $$name >/dev/null && exit 0; done; $(call install,chromium)
	@command -v bwrap >/dev/null || { $(call install,bubblewrap libseccomp2); }

bench: book  ## measure everything again but the GPU (most of an hour; the machine should be idle)
	for script in $$(grep -l '__main__' benchmarks/*.py | grep -v /gpu.py); do $(BIN)/python $$script || exit; done

execute: $(READY)  ## run the chapters, store their outputs and book/status.json
	$(BIN)/python tools/execute_notebooks.py

lock:  ## compile requirements.txt from pyproject.toml (needs uv)
	$(BIN)/uv pip compile --quiet --universal --all-extras --no-emit-index-url --no-annotate \
	  --python-version 3.11 pyproject.toml --output-file requirements.txt

clean:  ## remove what was built; the environment stays
	rm -rf book/_build .pytest_cache .mypy_cache .ruff_cache .hypothesis
