# The project's verbs. `make` lists them. uv is used where it is installed and fetched into .cache otherwise.
.DEFAULT_GOAL := help
SHELL := /bin/bash
UV ?= $(or $(shell command -v uv 2>/dev/null),.cache/uv/bin/uv)
RUN := $(UV) run --frozen
PYTEST ?=
WORKERS ?= 3
ROOTLESS := --ignore=tests/compose --ignore=tests/cluster/pods
IN_WORKERS = -n $(WORKERS) --timeout=600 --dist loadfile --no-loadscope-reorder -o console_output_style=count
SERVICES := patient-service appointment-service auth-service billing-service analytics-service api-gateway

.cache/uv/bin/uv:
	@echo "fetching uv into .cache/uv"
	@python3 -m venv .cache/uv && .cache/uv/bin/python -m pip install --quiet --disable-pip-version-check 'uv>=0.13'

.PHONY: help install up down reset status demo doctor test quick test-compose standins test-cluster cluster-up cluster-down images charts sbom chaos lint format types protos dashboards crd contract bench clean

help: ## list the verbs
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

install: $(filter .cache/%,$(UV)) ## create .venv from the lock
	@[ -d .venv ] || echo "installing the packages of uv.lock into .venv"
	@$(UV) sync --frozen --quiet --compile-bytecode

up: install ## start the whole platform on this machine (PORT_OFFSET shifts every port)
	@$(RUN) hpctl up

down: install ## stop it; data stays
	@$(RUN) hpctl down

reset: install ## stop it and delete its data
	@$(RUN) hpctl reset

status: install ## say what runs
	@$(RUN) hpctl status

demo: install ## walk through the platform: log in, create, update, book, read, bill, count
	@$(RUN) hpctl demo

doctor: install ## check what the platform needs of this machine
	@$(RUN) hpctl doctor

test: install ## every test that needs no root and no Docker, in WORKERS=3 workers (PYTEST='-k name' narrows it, in one)
	@$(RUN) pytest $(ROOTLESS) $(or $(PYTEST),$(IN_WORKERS))

quick: install ## the tests of the inner loop: all but the long files and those that start whole platforms
	@$(RUN) pytest $(ROOTLESS) --quick $(or $(PYTEST),$(IN_WORKERS))

test-compose: install ## images and docker-compose.yml on a private engine (root on Debian; installs docker.io with apt)
	@$(RUN) pytest tests/compose $(PYTEST)

standins: install ## compile what stand-ins for images and the tests' node are made of (Go, Rust), minutes once; the tests do it where it is missing
	@$(RUN) python -m tests.engine.programs && $(RUN) python -m tests.cluster.build

test-cluster: install ## real pods: walkthrough, lost pods, restarts, upgrades (CLUSTER_NODE=kind, or own or kind-built, as root; SKIP_CLUSTER=1)
	@$(RUN) pytest tests/cluster/pods $(PYTEST)

cluster-up: install ## a cluster to try things on: kind and the three operators where Docker and kind are, else a node of its own (root)
	@$(RUN) python -m tests.cluster.up

cluster-down: install ## take it away, with everything in it
	@$(RUN) python -m tests.cluster.down

images: ## build every image as <name>:latest with the Docker of this machine
	@for name in $(SERVICES); do docker build --build-arg SERVICE=$$name -t $$name:latest . || exit 1; done
	@docker build --target operator -t healthcare-operator:latest .
	@docker build --target hpctl -t hpctl:latest .

charts: install ## package the charts for a release (VERSION=1.2.3 REGISTRY=ghcr.io/owner/name) into .cache/charts
	@$(RUN) python charts/publish.py .cache/charts --version '$(VERSION)' --registry '$(REGISTRY)' --source '$(SOURCE)'

sbom: $(filter .cache/%,$(UV)) ## a bill of materials (CycloneDX 1.5) of each image that is here, into .cache/sbom
	@mkdir -p .cache/sbom
	@for name in $(SERVICES) healthcare-operator hpctl; do \
	  $(UV) export --quiet --preview-features sbom-export --frozen --no-dev --package $$name --format cyclonedx1.5 \
	    --output-file .cache/sbom/$$name.cdx.json >/dev/null && python3 docker/sbom.py $$name:latest .cache/sbom/$$name.cdx.json \
	    || exit 1; echo ".cache/sbom/$$name.cdx.json"; done

chaos: install ## the fault tests alone
	@$(RUN) pytest tests/chaos $(PYTEST)

lint: install ## style, formatting and architecture
	@$(RUN) ruff check . && $(RUN) ruff format --check . && $(RUN) lint-imports

format: install ## put the code in order
	@$(RUN) ruff check --fix . ; $(RUN) ruff format .

types: install ## mypy, strict
	@$(RUN) mypy

protos: install ## generate gRPC code and event schemas from their sources
	@$(RUN) python -m healthcare_contracts.generate

dashboards: install ## generate Grafana's dashboards from monitoring/dashboards
	@$(RUN) python -m monitoring.dashboards.generate

crd: install ## generate the resource definition and the table of its fields from operator/healthcare_operator/spec/
	@$(RUN) python -m healthcare_operator.crd && $(RUN) python -m healthcare_operator.reference

contract: install ## rewrite the proofs in docs/contract.md from the marks on the tests
	@$(RUN) python -m tests.contract.configuration && $(RUN) python -m tests.contract.table

bench: install ## ratios against nginx, pgbench, raw Kafka and bare uvicorn, measured in one run
	@$(RUN) python -m bench

clean: ## remove what was built; servers' data under .run stays
	@rm -rf .venv .cache .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
