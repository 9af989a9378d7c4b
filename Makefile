# Every command of this project. `make` alone lists them.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/ready

.DEFAULT_GOAL := help
.PHONY: help book lab test lint execute bench lock clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "make %-10s %s\n", $$1, $$2}'

$(READY): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' \
	  || { echo "Python 3.11, 3.12 or 3.13 is needed: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) \
	  || { echo "venv is missing; on Debian and Ubuntu: apt-get install python3-venv"; exit 2; }
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet "$$(grep -oE '^uv==[0-9.]+' requirements.txt)"
	$(BIN)/uv pip install --python $(BIN)/python --quiet --requirement requirements.txt
	$(BIN)/uv pip install --python $(BIN)/python --quiet --no-deps --editable .
	@touch $@

lab: $(READY)  ## open JupyterLab on the chapters
	$(BIN)/jupyter lab chapters

lock:  ## compile requirements.txt from pyproject.toml (needs uv)
	$(BIN)/uv pip compile --quiet --universal --all-extras --no-emit-index-url --no-annotate \
	  --python-version 3.11 pyproject.toml --output-file requirements.txt
