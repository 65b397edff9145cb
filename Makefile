# Needs make and Python 3.10 or later, nothing else. Everything is installed into .venv, from the package registry.
# Another Python: make test PYTHON=/path/to/python3.12

VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python3.10 python; do \
            $$p -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null && echo $$p && break; done)
# Threads that wait for each other shall sleep, not spin: with other work on the machine, that is many times faster
export OMP_WAIT_POLICY ?= PASSIVE
# Memory that a layer frees shall serve the next one, not go back to the system page by page: on some machines that halves the time
export MALLOC_MMAP_MAX_ ?= 0
export MALLOC_TRIM_THRESHOLD_ ?= -1
DEMO_ARGS ?=
STEPS     ?=

.PHONY: help install demo test export docs clean distclean
.DEFAULT_GOAL := help

help:
	@echo 'make demo       the whole road in one command: a teacher, an aligned model, a report (DEMO_ARGS="..." for its options)'
	@echo 'make test       all checks; some of them with STEPS="clean export sync readme pages docs nbdev pytest build dev newest"'
	@echo 'make export     after editing notebooks: clean them, export alignet/, write the tests and README.md'
	@echo 'make docs       the website, in _docs/ (needs Quarto)'
	@echo 'make install    what the others need, into $(VENV) (they do it by themselves)'
	@echo 'make clean      delete what was built; make distclean deletes $(VENV) too'

install: $(STAMP)

$(STAMP): settings.ini setup.py pyproject.toml
	@test -n "$(PYTHON)" || { echo 'No Python 3.10 or later was found. Install one, or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3'; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo 'alignet needs Python 3.10 or later; $(PYTHON) is'; \
	    "$(PYTHON)" --version; echo 'Name another one: make $(MAKECMDGOALS) PYTHON=/path/to/python3'; exit 1; }
	@echo "Making $(VENV) with $$("$(PYTHON)" --version)"
	@"$(PYTHON)" -m venv $(VENV) || { echo 'Making a virtual environment failed. On Debian and Ubuntu: apt install python3-venv. Then: make distclean, and again.'; exit 1; }
	@echo 'Installing the package and what it needs, PyTorch among it: several gigabytes and some minutes the first time'
	@{ $(BIN)/python -m pip install -qq --upgrade pip && $(BIN)/python -m pip install -qq -e '.[dev]'; } || { \
	    echo 'The installation failed; the reason is above. With a network and 8 GB of free disk, try again: make install'; exit 1; }
# a script in the folder above finds the package, too, and not the folder of the same name
	@$(BIN)/python -c 'import pathlib, sysconfig; pathlib.Path(sysconfig.get_path("purelib"), "alignet-folder.pth").write_text("$(CURDIR)\n")'
	@touch $@
	@echo 'Installed'

demo: $(STAMP)
	@$(BIN)/alignet demo $(DEMO_ARGS)

test: $(STAMP)
	@$(BIN)/python .ci/steps.py $(STEPS)

export: $(STAMP)
	@$(BIN)/nbdev_clean
	@$(BIN)/nbdev_export
	@$(BIN)/python .ci/gen_tests.py
	@if [ -f nbs/index.ipynb ]; then $(BIN)/python .ci/readme.py; fi

docs: $(STAMP)
	@command -v quarto >/dev/null || { echo 'The website is rendered by Quarto, which is not installed: see https://quarto.org/docs/get-started'; exit 1; }
	@$(BIN)/python .ci/readme.py && touch README.md
	@PATH="$(abspath $(BIN)):$$PATH" $(BIN)/nbdev_docs
	@echo 'The website is in _docs/; look at it with: $(BIN)/python -m http.server -d _docs'

clean:
	@rm -rf build dist _docs _proc .pytest_cache .coverage .venv-clean *.egg-info nbs/nbdev.yml nbs/sidebar.yml
	@find alignet nbs tests .ci -name __pycache__ -o -name .ipynb_checkpoints | xargs rm -rf

distclean: clean
	@rm -rf $(VENV)
