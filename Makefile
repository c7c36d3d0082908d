# What one does with this repository. Each target installs first what it needs; `make setup` does nothing else.
.DEFAULT_GOAL := help
.PHONY: help setup sandbox first-day demo demo-web test trial attack faults coverage check texts screenshots man packages deb deb-test bench bench-peers figures flames soak fuzz lock clean
MAKEFLAGS += --no-print-directory

RUN := .venv/bin/python -m
# The tests wait for dialogs, cards and networks more than they compute: one worker more than there are cores, at most 4.
# Whoever is free takes over what others have left to do.
WORKERS = $(shell cores=$$(nproc); echo $$((cores < 4 ? cores + 1 : 4)))
SPREAD = --numprocesses=$(WORKERS) --dist=worksteal
# the programs that the tests start again and again have compiled modules, as installed ones have
unexport PYTHONDONTWRITEBYTECODE
export PYTHON

help: ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1\t/p' Makefile | expand -t 11

setup: ## install what is missing: Debian packages (as root or with sudo), .venv
	@.make/setup.sh

sandbox: ## install what runs cardd and its simulators only: docs/quick-start.md
	@.make/setup.sh sandbox

first-day: ## docs/quick-start.md from a new clone, typed and timed; ARGS=--installed leaves clone and install out
	@python3 .make/first_day.py $(ARGS)

demo: setup ## the main job end to end, on a simulated card
	@$(RUN) tests.demo

demo-web: setup ## a portal's pages on two servers, in a headless browser; SERVE=python or node keeps one for yours
	@$(RUN) tests.demo.web $(if $(SERVE),--serve $(SERVE)) $(ARGS)

test: setup ## the tests; ARGS="-k pin" chooses some
	@$(RUN) pytest --quiet --durations=10 $(SPREAD) $(ARGS)

coverage: setup ## the same tests, with the branches that they take counted; minutes
	@rm -rf build/coverage
	@mkdir -p -m 1777 build/coverage  # some tests become another user
	@$(RUN) coverage run -m pytest --quiet $(SPREAD) $(ARGS)
	@$(RUN) coverage combine --quiet
	@$(RUN) coverage report

check: setup ## format, lint, types, layers, small rules, translations; changes nothing
	@$(RUN) ruff format --quiet --check .
	@$(RUN) ruff check --quiet .
	@$(RUN) mypy
	@.venv/bin/lint-imports --no-logo
	@$(RUN) tests.repository.rules
	@.venv/bin/python .make/texts.py check
	@.venv/bin/python .make/errors_page.py check
	@.venv/bin/python .make/doctor_pages.py check

texts: setup ## bring the French .po files, and the pages made of them, to the sentences of the code; all texts, whole, into build/
	@.venv/bin/python .make/texts.py update
	@.venv/bin/python .make/texts.py compile
	@.venv/bin/python .make/errors_page.py update
	@.venv/bin/python .make/doctor_pages.py update
	@$(RUN) tests.rig.in_context build

screenshots: setup ## the pictures of docs/images, of a simulated workstation in Chromium
	@$(RUN) tests.rig.screenshots docs/images

man: setup ## the man pages, in English and French, and the completions of bash, zsh and fish, into build/
	@.venv/bin/python .make/man.py build/man
	@.venv/bin/python .make/completions.py build/completions

packages: setup ## what is installed elsewhere, into dist/: the wheels, and the libraries for makers
	@.make/packages.sh

trial: setup ## twelve breakages drawn at random, each on a workstation that is well: what doctor's first line says; ARGS="--seed 7"
	@$(RUN) tests.cli.blind_trial $(ARGS)

attack: setup ## the attacks of the threat model, each held or not; minutes; ARGS="preconnect page" chooses some
	@$(RUN) tests.attacks $(ARGS)

faults: setup ## faults injected while clients sign, and when work went on; minutes; ARGS="pcscd clock" chooses some, ARGS=--json
	@$(RUN) tests.faults $(ARGS)

deb: ## the Debian packages for this machine's release, and the list of what is in them, into dist/
	@.make/deb.sh

deb-test: ## the same for Debian 12 and 13, built twice, installed, upgraded and purged in clean folders; as root; minutes
	@.make/deb_test.sh $(ARGS)

bench: setup ## what cardd costs, against its targets and its peers; writes bench.json; ARGS="ways status" chooses some
	@$(RUN) tests.bench $(ARGS)

bench-peers: ## install what `make bench` compares with where it is there: AusweisApp, GnuPG's scdaemon
	@.make/setup.sh peers

flames: ## flame graphs of a signature and of the start, into docs/images
	@.make/setup.sh flames
	@$(RUN) tests.bench.flames docs/images

figures: flames ## the figures of docs/performance.md: bench, soak and flame graphs on a machine that does nothing else
	-@$(RUN) tests.bench
	-@$(RUN) tests.soak $(MINUTES)
	@$(RUN) tests.bench.page docs/performance.md

soak: setup ## mixed load with cards that come and go, 10 minutes or MINUTES=60: what the daemon holds stays flat
	@$(RUN) tests.soak $(MINUTES)

fuzz: ## each parser under atheris for SECONDS (60), then a table; ARGS="cms p11" chooses some; an hour
	@.make/setup.sh fuzz
	@$(RUN) tests.fuzz $(if $(SECONDS),--seconds=$(SECONDS)) $(if $(KEEP),--keep) $(ARGS)

mutants: ## changes made to modules that keep cards safe, and those that no test notices; ARGS="pin_guard" chooses some; minutes
	@.make/setup.sh mutants
	@$(RUN) tests.mutants $(ARGS)

lock: ## choose today's versions of all Python packages
	@.make/lock.sh

clean: ## remove what the targets made, .venv included
	rm -rf .venv build dist bench.json soak.json .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
