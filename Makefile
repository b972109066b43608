# make run: OpsSight with its demo at http://127.0.0.1:8000. ARGS="--once" exits after the demo.
# make test: the whole suite. ARGS="tests/core -k crypto" runs a part.
# make lint: everything that can be checked without running. make dev: run with reload and error pages.

.PHONY: run test lint dev
.DELETE_ON_ERROR:

# The packages of the product; dev adds what tests and lint need.
run: .venv/.base
	@exec .venv/bin/opssight up $(ARGS)

test: .venv/.dev
	@exec .venv/bin/python -m tests.run $(ARGS)

lint: .venv/.dev
	@exec .venv/bin/python -m tests.lint $(ARGS)

# The pages reload when the code changes; the worker is started again by stopping and starting this.
dev: export OPSSIGHT_DEBUG = 1
dev: .venv/.dev
	@.venv/bin/opssight up --once
	@.venv/bin/opssight worker --parent $$$$ & exec .venv/bin/opssight runserver $(ARGS)

.venv/.base: requirements/base.lock requirements/install
	@requirements/install base
	@touch $@

.venv/.dev: requirements/dev.lock requirements/install
	@requirements/install dev
	@touch .venv/.base $@
