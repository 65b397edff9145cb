# Needs make and Python 3.10 or later. Everything is installed into .venv, from the package registry.
# Another Python: make test PYTHON=/path/to/python3.12

VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.installed
DEV    := $(VENV)/.installed-dev
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python3.10 python; do \
            $$p -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null && echo $$p && break; done)
# Threads that wait for each other sleep, not spin: with other work on the machine, that is many times faster
export OMP_WAIT_POLICY ?= PASSIVE
# Memory that a layer frees serves the next one, and does not go back to the system page by page
export MALLOC_MMAP_MAX_ ?= 0
export MALLOC_TRIM_THRESHOLD_ ?= -1
DEMO_ARGS ?=
STEPS     ?=

.PHONY: help install dev demo test lint export docs clean distclean
.DEFAULT_GOAL := help

help:
	@echo 'make demo       a teacher, an aligned model and a report (DEMO_ARGS="..." for its options)'
	@echo 'make install    what the demo needs, into $(VENV); the others install what they need, too'
	@echo 'make dev        what developers need, into $(VENV), and the git hooks that keep notebooks clean'
	@echo 'make test       all checks; some of them with'
	@echo '                STEPS="clean export readme pages lint pytest build dev newest"'
	@echo 'make lint       the rules for code (pyproject.toml), on notebooks, tests and scripts'
	@echo 'make export     after editing notebooks: clean them, export alignet/, write README.md'
	@echo 'make docs       the website, in _docs/ (needs Quarto)'
	@echo 'make clean      delete what was built; make distclean deletes $(VENV) too'

install: $(READY)

dev: $(DEV)

$(READY): settings.ini setup.py
	@test -n "$(PYTHON)" || { echo 'No Python 3.10 or later was found.'; \
	    echo 'Install one, or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3'; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
	    echo 'alignet needs Python 3.10 or later; $(PYTHON) is'; "$(PYTHON)" --version; \
	    echo 'Name another one: make $(MAKECMDGOALS) PYTHON=/path/to/python3'; exit 1; }
	@echo "Making $(VENV) with $$("$(PYTHON)" --version)"
	@"$(PYTHON)" -m venv $(VENV) || { echo 'Making a virtual environment failed.'; \
	    echo 'On Debian and Ubuntu: apt install python3-venv. Then: make distclean, and again.'; exit 1; }
	@echo 'Installing what the demo needs. PyTorch is large: some minutes the first time'
	@$(BIN)/python .ci/install.py -e . || { echo 'The installation failed; the reason is above.'; \
	    echo 'With a network and 8 GB of free disk, try again: make install'; exit 1; }
# a script in another folder finds the package, too, and not a folder of the same name
	@$(BIN)/python -c 'import pathlib, sysconfig; pathlib.Path(sysconfig.get_path("purelib"), "alignet-folder.pth").write_text("$(CURDIR)\n")'
	@touch $@
	@echo 'Installed'

$(DEV): $(READY)
	@echo "Installing the developers' tools"
	@$(BIN)/python .ci/install.py -e '.[dev]' || { echo 'The installation failed; the reason is above.'; \
	    echo 'With a network and 8 GB of free disk, try again: make dev'; exit 1; }
	@if [ -d .git ]; then $(BIN)/nbdev_install_hooks; fi
	@touch $@
	@echo 'Installed'

demo: $(READY)
	@$(BIN)/alignet demo $(DEMO_ARGS)

test: $(DEV)
	@$(BIN)/python .ci/steps.py $(STEPS)

lint: $(DEV)
	@$(BIN)/ruff check

export: $(DEV)
	@$(BIN)/nbdev_clean
	@$(BIN)/nbdev_export
	@$(BIN)/python .ci/readme.py

docs: $(DEV)
	@command -v quarto >/dev/null || { echo 'The website is rendered by Quarto, which is not installed:'; \
	    echo 'see https://quarto.org/docs/get-started'; exit 1; }
	@$(BIN)/python .ci/readme.py
	@touch README.md
	@PATH="$(abspath $(BIN)):$$PATH" $(BIN)/nbdev_docs
	@echo 'The website is in _docs/; look at it with: $(BIN)/python -m http.server -d _docs'

clean:
	@rm -rf build dist _docs _proc .pytest_cache .ruff_cache .coverage .venv-clean *.egg-info
	@rm -rf nbs/nbdev.yml nbs/sidebar.yml
	@find alignet nbs tests .ci -name __pycache__ -o -name .ipynb_checkpoints | xargs rm -rf

distclean: clean
	@rm -rf $(VENV)
