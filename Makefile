# payonce. `make demo` shows it, `make test` tests it; both do all the set-up they need.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PY := .venv/bin/python
export PYTHONPATH := $(CURDIR):$(CURDIR)/layers/payonce
# A suite's tests run in this many processes, each with servers of its own. `make unit WORKERS=0` runs them in one.
WORKERS ?= 2
# Each suite says which tests are its slowest, and leaves its results for `make evidence`.
PYTEST = $(PY) -m pytest --durations=10 --junitxml=.local/results/$@.xml
PARALLEL = -n $(WORKERS) --dist worksteal
# The slow suites print what they do; a failing one stops the run.

.PHONY: $(shell sed -nE 's/^([a-z0-9-]+):.*/\1/p' $(firstword $(MAKEFILE_LIST)))

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/ \t/' | column -t -s $$'\t'

setup: .venv/.ready .venv-cloud/.ready .cache/wheelhouse/.ready .cache/node-packages ## install everything (a no-op when it is up to date)

.venv/.ready: requirements/dev.txt pyproject.toml tools/make_venv.sh
	@tools/make_venv.sh .venv requirements/dev.txt

.venv-cloud/.ready: requirements/cloud.txt tools/make_venv.sh
	@tools/make_venv.sh .venv-cloud requirements/cloud.txt

# The wheels that the tests of the distribution install, so that no test needs a network.
.cache/wheelhouse/.ready: .venv/.ready requirements/dev.txt pyproject.toml tools/distribution/wheelhouse.py
	@$(PY) -m tools.distribution.wheelhouse
	@touch $@

.cache/node-packages: .venv/.ready local/node.py clients/typescript/package-lock.json tools/node/package-lock.json
	@$(PY) -m local.node && mkdir -p .cache && touch $@

# Only the tests need a browser; the demo prints an address.
browser: .venv/.ready
	@$(PY) -m local.chromium

# The end-to-end suite waits more than it computes, so that it runs beside the others; what it says comes at its end.
SUITES := unit contract functional simulation specification histories-slice infrastructure crash-slice recall-slice lab-slice
test: setup browser lint ## set up, then run every suite (the slow ones as a bounded slice)
	@$(MAKE) --no-print-directory -j2 suites e2e-beside
	@echo "all suites passed"

suites: setup
	@for suite in $(SUITES); do $(MAKE) --no-print-directory "$$suite"; done

e2e-beside: setup
	@mkdir -p .local
	@echo "the end-to-end suite runs beside the others: .local/e2e.log"
	@$(MAKE) --no-print-directory e2e > .local/e2e.log 2>&1 || { cat .local/e2e.log; exit 1; }
	@tail -3 .local/e2e.log

quick: setup ## lint and the tests of what changed since main, in less than a minute
	$(PY) -m tools.quick

lint: setup ## ruff, mypy, dependency rule, template and security checks
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	.venv/bin/lint-imports
	.venv/bin/cfn-lint template.yaml
	$(PY) -m bandit -q -r layers/payonce functions -ll -s B608 # ruff's S608 looks at the same, line by line
	$(PY) -m tools.openapi --check
	$(PY) tools/client_calls.py --check
	$(PY) -m tools.command_page --check
	$(PY) -m tools.reference --check
	$(PY) tools/bank_acceptance.py --check

security: setup .venv-security/.ready ## Checkov on the template, bandit, licences of every locked package, bills of materials in .local/sbom
	.venv-security/bin/python tools/template_security.py
	$(PY) -m bandit -q -r layers/payonce functions -ll -s B608
	$(PYTEST) tests/infrastructure/test_licences.py
	$(PY) -m tools.licences requirements/security.txt .venv-security/lib/python$$(cat .python-version)/site-packages
	tools/sbom.sh .venv-security/bin/cyclonedx-py

# Not part of CI: it asks a service on the internet. It fails when it can't, and says so for each package.
audit: .venv-security/.ready ## known vulnerabilities of the locked packages (needs PyPI's vulnerability service)
	for lock in layers/*/requirements.txt requirements/*.txt; do \
		.venv-security/bin/pip-audit --strict --disable-pip --require-hashes --progress-spinner off -r $$lock; done

.venv-security/.ready: requirements/security.txt tools/make_venv.sh
	@tools/make_venv.sh .venv-security requirements/security.txt

unit: setup ## pure and moto tests, no sockets
	$(PYTEST) tests/unit $(PARALLEL) --disable-socket --allow-unix-socket

contract: setup ## one suite per port, on every adapter (memory, moto, DynamoDB Local, Valkey, sandbox bank, localstripe, the fake of Adyen)
	$(PYTEST) tests/contract $(PARALLEL)

client-kills: setup ## the Python client killed between any two of its steps, and started again: minutes
	PAYONCE_CLIENT_KILL_STRIDE=1 $(PYTEST) tests/contract/client/test_kills.py

dropped-connections: setup ## 1,000 tries with cut connections at each of API, gateway, sidecar and middlewares: prints what was cut
	PAYONCE_DROPS=1000 $(PYTEST) tests/contract/middlewares/test_dropped_connections.py tests/contract/proxy/test_dropped_connections.py tests/e2e/test_dropped_connections.py -s --timeout=1800

examples-killed: setup ## the example services on FastAPI and Django, their processes killed at random under load: MINUTES=2 for each; prints what was seen
	PAYONCE_KILL_SECONDS=$$((60 * $(or $(MINUTES),2))) $(PYTEST) tests/contract/middlewares/test_examples_killed.py -s --timeout=7200

waiting-races: setup ## 1,000 races about payments that the bank holds, on DynamoDB Local: prints how they ended
	PAYONCE_RACES=1000 $(PYTEST) tests/contract/test_waiting_races.py -s --timeout=1800

functional: setup ## the functions' handlers, fed from events/
	$(PYTEST) tests/functional $(PARALLEL)

simulation: setup ## Hypothesis state machines over the whole protocol, and a slice of simulate
	$(PYTEST) tests/simulation $(PARALLEL)

SEEDS ?= 200
simulate: setup ## production code under one scheduler that interrupts it at every call, with faults: SEEDS=200 (docs/simulation.md)
	$(PY) -m simulation --seeds $(SEEDS)

outage-drill: setup ## ten minutes of outage at 100 payments a second and what recovery makes of it, in virtual time: NAMES="required backlog"
	$(PY) -m simulation.outage $(NAMES)

simulate-page: setup ## the same, and write its figures into docs/simulation.md
	$(PY) -m simulation --seeds $(SEEDS) --write

specification: setup ## small models of the TLA+ specification, each mutant of it, and traces held to it
	$(PYTEST) tests/specification $(PARALLEL)

spec: setup ## TLC checks the TLA+ specification for every kind of gateway, then without each mechanism (docs/specification.md)
	$(PY) -m spec

spec-page: setup ## the same, and write its tables into docs/specification.md
	$(PY) -m spec --write

histories-slice: setup ## the checker of histories, and short runs on servers that are killed
	$(PYTEST) tests/histories $(PARALLEL)

SECONDS ?= 30
histories: setup ## concurrent clients on servers that are killed, on every front and store, and a checker: SECONDS=30 of faults each (docs/histories.md)
	$(PY) -m histories --seconds $(SECONDS)

histories-page: setup ## the same, and write its figures into docs/histories.md
	$(PY) -m histories --seconds $(SECONDS) --write

histories-planted: setup ## plant one fault after the other, and write what the checker finds into docs/histories.md
	$(PY) -m histories.planted --write

load: setup ## closed and open loops with 1,000 to 100,000 stored keys; written into docs/histories.md
	$(PY) -m histories.load capacity --write

kept-keys: setup ## fresh keys, replays and conflicts beside 1,000 to 1,000,000 kept keys; written into docs/histories.md
	$(PY) -m histories.kept_keys --write

RATE ?= 0
restarts: setup ## store, bank or upstream, and worker killed in turn under load: MINUTES=10 RATE=200, or what is carried; written into docs/histories.md
	$(PY) -m histories.load restarts --seconds $$((60 * $(or $(MINUTES),10))) --rate $(RATE) --write

soak: setup ## MINUTES=30 of load on sidecar, in-process engine and dispatcher: memory, descriptors, threads and latency are flat; written into docs/histories.md
	$(PY) -m histories.soaking --minutes $(or $(MINUTES),30) --write

faults-slice: setup
	$(PYTEST) tests/e2e/faults_slice.py

faults: setup ## one payment for each request to a service and each fault, on the deployed stack, with a proxy between: LASTING=--lasting (docs/histories.md)
	$(PY) -m histories.deployed $(LASTING) --write

mechanisms: setup ## take out each mechanism that "never charged twice" rests on, and show the test that fails (docs/mechanisms.md)
	$(PY) -m tools.mechanisms --processes $(WORKERS) --write

MODULES ?=
mutants: setup ## change one place of a safety-relevant module after the other, and show what no test sees: MODULES="payments/rules.py" (docs/mutants.md)
	nice -n 19 $(PY) -m tools.mutants --write $(MODULES)

infrastructure: setup ## assertions on template.yaml
	$(PYTEST) tests/infrastructure

crash-slice: setup
	PAYONCE_CRASH_MATRIX=slice $(PYTEST) tests/crash_matrix $(PARALLEL)

crash-matrix: setup ## kill the process between every two steps, for every gateway behaviour
	PAYONCE_CRASH_MATRIX=full $(PYTEST) tests/crash_matrix $(PARALLEL)

fault-matrix: setup ## DynamoDB fails at every request of every operation, with every bank: prints the answers by operation and fault
	PAYONCE_FAULTS=full $(PYTEST) tests/contract/faults --timeout=1800

correction-kills: setup ## kill the worker of corrections a thousand times, at every call it makes
	PAYONCE_CRASH_MATRIX=full $(PYTEST) tests/crash_matrix/test_correction_matrix.py

recall-slice: setup
	PAYONCE_RECALL=slice $(PYTEST) tests/reconciliation tests/outside_month $(PARALLEL)

recall: setup ## plant each kind of break thousands of times and find it: recall and precision per class
	PAYONCE_RECALL=full $(PYTEST) tests/reconciliation -s --timeout=1800

outside-month: setup ## reconcile the months of 20 seeds that a generator made which knows no rule: precision and recall per class
	$(PY) -m tests.outside_month.seeds --seeds 20 --payments 3000

lab-slice: setup
	$(PYTEST) tests/laboratory -n $(WORKERS) --dist loadfile # a file shares what it has simulated

lab: setup ## simulate failing gateways, 30 seeds per scenario: payonce's routing beside breakers, an ejector, bandits and Gradient2; report in .local/laboratory
	$(PY) -m laboratory

evidence: ## write docs/evidence.md from the results of the last `make test` and the pages of longer runs
	$(PY) -m tools.evidence

e2e: setup browser ## the deployed stack on the local cloud, IAM enforced
	$(PYTEST) tests/e2e

demo: setup ## deploy to the local cloud and show the main job with real HTTP
	$(PY) -m local demo

up: setup ## start the local cloud and the bank, and deploy
	$(PY) -m local up

down: ## stop the local cloud and the bank on these ports
	@if [ -x $(PY) ]; then $(PY) -m local down; else echo "nothing is installed, so nothing runs"; fi

sam-local: setup ## sam local invoke on every function, in containers (needs Docker)
	local/sam_local.sh

acceptance: setup ## read every public bank file and write docs/reconciliation-files-read.md; PAYONCE_BANK_FILES=folder shows more
	$(PY) tools/bank_acceptance.py --write

bench: setup ## round trips, write units, overhead and isolation: the request path, routing, webhooks, stores, sidecar, cold starts
	$(PY) benchmarks/request_path.py
	$(PY) benchmarks/routing.py
	$(PY) benchmarks/routing_cost.py
	$(PY) benchmarks/webhooks.py
	$(PY) benchmarks/stores.py
	$(PY) benchmarks/proxy.py
	$(PY) benchmarks/cold_start.py

capacity-page: setup ## write units, dollars, and what one merchant and all together can do, by AWS's rules; written into docs/capacity.md
	-$(PY) -m benchmarks.write_units --write
	-$(PY) -m benchmarks.write_units --dollars --write
	-$(PY) -m benchmarks.capacity --write

bench-reconciliation: setup ## a reconciliation run beside plain SQL, from CSV and parquet, and its growth to 10 million rows a side
	$(PY) -m benchmarks.reconciliation_from_csv
	$(PY) benchmarks/reconciliation.py

report-page: setup ## open the report of a month in Chromium, at 1,000 and 50,000 breaks: seconds, checks, pictures in .local/report-pages
	$(PY) -m benchmarks.report_page

bench-console: setup ## each page of the console beside 1,000 and 100,000 payments, in turn: at most twice the time (minutes)
	$(PY) -m benchmarks.console

console: setup ## the console from outside: every journey, axe, budgets, and every payload through every field; pictures in .local/console
	PAYONCE_CONSOLE=full $(PYTEST) tests/e2e/console tests/e2e/test_console.py

console-pictures: setup ## take the two pictures of the console in docs/images
	$(PY) -m tools.console_pictures

bench-card-numbers: setup ## card numbers found and references refused, on generated sets; written into docs/card-numbers.md
	$(PY) -m benchmarks.card_numbers --write

# Not part of `make test`: it takes a package of 400 MB, Java, and minutes. It fails without Java; it never skips.
spark: .venv-spark/.ready ## the compiled rules on Spark in this machine, against DuckDB (needs Java)
	@tools/need_java.sh
	.venv-spark/bin/python -m pytest tests/spark --confcutdir=tests/spark --timeout=900 # of the other suites no fixture, and no package

bench-spark: .venv-spark/.ready ## 5 million rows a side on DuckDB and on Spark: one digest (needs Java, 4 GB, minutes)
	@tools/need_java.sh
	.venv-spark/bin/python benchmarks/reconciliation_spark.py 5

.venv-spark/.ready: requirements/spark.txt tools/make_venv.sh
	@tools/make_venv.sh .venv-spark requirements/spark.txt

route-watch: setup ## the route watch on public and drawn series: PAYONCE_NAB_DATA and PAYONCE_LATENCY_DATA name them (docs/route-watch.md)
	nice -n 10 $(PY) -m benchmarks.route_watch

site: setup ## the documentation as a site with search, in .local/site/html
	$(PY) -m tools.site

package-page: setup ## install each extra into an empty environment: megabytes and import time, written into docs/installing.md
	nice -n 5 $(PY) -m tools.distribution

openapi: setup ## write openapi.json from the routes, and what is made from it: both clients' methods, all events, the Postman collection
	$(PY) -m tools.openapi
	$(PY) tools/client_calls.py

lock: setup ## renew the lock files from the .in files
	tools/lock.sh

down-all:
	@if [ -x $(PY) ]; then $(PY) -m local down --all; fi

clean: down-all ## remove everything that was installed or built
	rm -rf .venv .venv-cloud .venv-security .venv-spark .cache .local .aws-sam tools/node/node_modules
	cd clients/typescript && rm -rf node_modules dist build src/schema.ts
