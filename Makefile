# Everything a person does with a checkout. `make` alone lists it.

PYTHON ?= python3
# Where `make run` keeps everything it makes.
STATE ?= var
# The HTTPS port of `make run`; the tunnel's UDP port is the next one.
PORT ?= 8443
# Which tox environments `make test` runs, in this order (tox.ini).
ENVS ?= lint,types,web,packaging,lowest,tests

# The hashes make a changed package on an index a refusal, not a surprise.
PIP_INSTALL = -m pip install --quiet --disable-pip-version-check --require-hashes -r

# What the installed package is made of; the web UI is a part of it.
SOURCES = setup.cfg setup.py pyproject.toml MANIFEST.in \
	$(shell find edgetainer agent twisted -type f -not -name '*.pyc' -not -name dropin.cache) \
	$(shell find web -type f -not -path 'web/node_modules/*' -not -path 'web/dist/*')

# The benches run this checkout's code on the pinned requirements.
BENCH = env PYTHONPATH='$(CURDIR):$(CURDIR)/agent' .venv/bin/python -P -m

.PHONY: help run test lint format types web wheel certs pins screenshot bench-tunnel bench-recovery bench-thousand \
	bench-loopback coverage soak soak-hostile soak-links soak-tests clean

help: ## list what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

run: .venv/installed ## start the server and a demo device (PORT=8443 STATE=var)
	@exec .venv/bin/python -P -m edgetainer.cli.run --state '$(STATE)' --port '$(PORT)'

test: .tools/installed ## install what the tests need and run all of them
	.ci/with-real-parts .tools/bin/tox run -e '$(ENVS)'

lint: .tools/installed ## check style
	.tools/bin/tox run -q -e lint

format: .tools/installed ## bring the Python code into its one form
	.tools/bin/tox run -q -e format

types: .tools/installed ## check types
	.tools/bin/tox run -q -e types

web: .venv/pinned ## build the web UI unless web/dist is current
	@.venv/bin/python web/build.py

wheel: web ## build the wheel with the web UI in it, into dist/
	@.venv/bin/python -m pip wheel --quiet --disable-pip-version-check --no-deps \
		--no-build-isolation --wheel-dir dist .
	@rm -rf build edgetainer.egg-info
	@ls dist/*.whl

certs: .venv/installed ## make certificates for trying things out by hand, into certs/dev
	@.venv/bin/python certs/generate.py certs/dev

pins: .tools/installed ## write requirements/*.txt again (UPGRADE=--upgrade for new versions)
	requirements/compile.sh

screenshot: web .tools/installed ## make the README's picture from the running system
	.ci/with-real-parts .tools/bin/tox run -q -e screenshot

bench-tunnel: .venv/pinned ## measure the tunnel beside ssh, as root (PROFILES= STACKS= RUNS=3 RESUME=1)
	PARTS=link .ci/with-real-parts $(BENCH) bench.tunnel --profiles '$(PROFILES)' \
		--stacks '$(STACKS)' --runs '$(or $(RUNS),3)' $(if $(RESUME),--resume)

bench-recovery: .venv/pinned ## measure how soon it is back, as root (EVENTS= STACKS= RUNS=2 LONG=1 RESUME=1)
	PARTS=link .ci/with-real-parts $(BENCH) bench.recovery --events '$(EVENTS)' \
		--stacks '$(STACKS)' --runs '$(or $(RUNS),2)' $(if $(LONG),--long) $(if $(RESUME),--resume)

bench-thousand: .venv/pinned ## a thousand sessions, and a server that is killed (DEVICES=1000)
	$(BENCH) bench.thousand --devices '$(or $(DEVICES),1000)'

coverage: .tools/installed ## test the tunnel, and fail where less than 90 % of its branches are taken
	.tools/bin/tox run -q -e coverage

soak: soak-hostile soak-links soak-tests ## all that takes too long for `make test`

soak-hostile: .tools/installed ## peers that misbehave, a million bad datagrams, some ten minutes
	.tools/bin/tox run -q -e soak -- bench.hostile

soak-links: .tools/installed ## congestion control on every link of the benchmark, simulated
	.tools/bin/tox run -q -e soak -- bench.simulated

soak-tests: .tools/installed ## the long forms of tests: more seeds, whole months, some minutes
	.tools/bin/tox run -q -e soak -- pytest --soak

bench-loopback: .venv/pinned ## measure one Channel's cost per packet, and memory per idle session (RUNS=3)
	$(BENCH) bench.loopback --runs '$(or $(RUNS),3)'

clean: ## remove what can be made again; the state of `make run` stays
	rm -rf .venv .tools .tox build dist web/dist web/node_modules .mypy_cache .ruff_cache \
		.pytest_cache edgetainer.egg-info

.venv/installed: .venv/pinned $(SOURCES)
	@.venv/bin/python web/build.py
	@echo 'Installing edgetainer into .venv ...'
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps \
		--no-build-isolation --force-reinstall .
	@rm -rf build edgetainer.egg-info
	@touch $@

.venv/pinned: requirements/run.txt
	@.ci/venv '$(PYTHON)' .venv
	@echo 'Installing the pinned requirements into .venv ...'
	@.venv/bin/python $(PIP_INSTALL) requirements/run.txt
	@touch $@

.tools/installed: requirements/tools.txt
	@.ci/venv '$(PYTHON)' .tools
	@.tools/bin/python $(PIP_INSTALL) requirements/tools.txt
	@touch $@
