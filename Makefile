# Python 3.11 or newer and make are all that a machine must have: tools/setup.py brings the rest.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= $(or $(shell for each in python3 python3.13 python3.12 python3.11; do \
	$$each -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$each && break; done), \
	$(error Python 3.11 or newer is needed; none of python3, python3.13, python3.12, python3.11 is))
BIN := .venv/bin
# Node comes from .venv/bin where the machine has none.
NPM := PATH="$(CURDIR)/$(BIN):$$PATH" npm --prefix web --loglevel=error

# --- use ----------------------------------------------------------------------------------------

.PHONY: run
run: ## Set up what is missing, then serve http://127.0.0.1:8000 (ARGS="--port 9000")
	@$(PYTHON) tools/setup.py run
	@exec $(BIN)/frontdesk serve $(ARGS)

.PHONY: test
test: ## Set up what is missing, then run every check and test but the slow ones
	@$(PYTHON) tools/setup.py test
	@$(BIN)/python -m tools.run_tests

.PHONY: test-slow
test-slow: ## Run the slow tests, with examples that nobody has tried (ARGS="tests/sync")
	@$(PYTHON) tools/setup.py test
	@FRONTDESK_NEW_EXAMPLES=1 $(BIN)/python -m pytest -m "slow or hypothesis" $(ARGS)
	@$(NPM) run test:slow

.PHONY: peers
peers: ## Run the clients and suites of others against a served Frontdesk
	@$(PYTHON) tools/setup.py test
	@$(BIN)/python -m tests.peers.run js $(ARGS)
	@$(BIN)/python -m tests.peers.run python $(ARGS)

.PHONY: check
check: lint types imports unused docs tree web-check ## Lint, types, import rules, dead code, documents

.PHONY: bench
bench: ## Run the benchmarks (ARGS=NAME for one)
	@$(PYTHON) tools/setup.py test
	@$(BIN)/python -m bench $(ARGS)

.PHONY: wheel
wheel: ## Build the wheel with the web pages inside, and try it in an environment of its own
	@$(PYTHON) tools/setup.py wheel
	@$(BIN)/python -m tools.check_wheel

.PHONY: format
format: ready ## Put the code into the shape that check asks for
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format
	@$(BIN)/python -m tools.openapi --write
	@$(BIN)/python -m tools.client_types --write
	@$(NPM) run format

.PHONY: lock
lock: ## Write requirements/ anew from pyproject.toml (ARGS=--upgrade for newer versions)
	@$(PYTHON) tools/setup.py lock
	@$(BIN)/python -m tools.lock $(ARGS)

.PHONY: clean
clean: ## Remove everything that make brought or built; databases and models stay
	rm -rf .venv .venv-peers dist web/node_modules web/*/node_modules web/*/dist tests/peers/js/node_modules src/frontdesk/web
	rm -rf .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find src tests tools -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help
help: ## List the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1\t/p' Makefile | while IFS="$$(printf '\t')" read -r name does; do \
		printf '  make %-10s %s\n' "$$name" "$$does"; done

# --- the parts of check ---------------------------------------------------------------------------

.PHONY: ready
ready:
	@$(PYTHON) tools/setup.py check

.PHONY: lint
lint: ready
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --check --quiet || { $(BIN)/ruff format --diff --quiet; echo '`make format` does this.'; exit 1; }

.PHONY: types
types: ready
	@$(BIN)/basedpyright

.PHONY: imports
imports: ready
	@$(BIN)/lint-imports --no-cache --no-logo

.PHONY: unused
unused: ready
	@$(BIN)/python -m tools.check_unused

.PHONY: docs
docs: ready
	@$(BIN)/python -m tools.check_docs
	@$(BIN)/python -m tools.openapi
	@$(BIN)/python -m tools.client_types
	@$(BIN)/python -m tools.prices
	@$(BIN)/python -m tools.matrix

.PHONY: tree
tree: ready
	@$(BIN)/python -m tools.check_tree

.PHONY: web-check
web-check: ready
	@$(NPM) run check
