# make demo, make test: each works alone from a fresh clone. `make help` lists the rest.
VENV ?= .venv
LIGHT_VENV ?= .venv-light
UPSTREAM_VENV ?= .venv-upstream
UPSTREAM_LIGHT_VENV ?= .venv-upstream-light
PY := $(VENV)/bin/python
SETUP := setup.py pyproject.toml tools/setup_env.sh
# Threads that spin while they wait take the core from the processes that load data.
export OMP_WAIT_POLICY ?= passive

.PHONY: help setup instances light demo test test-light hostile test-upstream test-upstream-light lint docs doctor bench reproduce-mini reproduce-camvid reproduce-instances clean

help:
	@echo "make demo              the model of the package on generated scenes (and PHOTOS=folder), fine-tuned there, before and after"
	@echo "make light             the environment without instance segmentation: no compiler, 2 minutes"
	@echo "make instances         the whole environment: compiles mmcv's ops, once, 15 to 30 minutes; make setup is the same"
	@echo "make test              lint and run all tests, in the whole environment"
	@echo "make test-light        run the tests in the light environment; those of instances are skipped and say so"
	@echo "make hostile           try damaged, foreign and malicious inputs and print a table: kind, inputs tried, how they ended"
	@echo "make test-upstream     run the tests with OpenMMLab's own releases, in $(UPSTREAM_VENV)"
	@echo "make test-upstream-light  the same without a compiler: plain torch stands in for mmcv's ops, in $(UPSTREAM_LIGHT_VENV)"
	@echo "make docs              the documentation as a site, in site/"
	@echo "make doctor            check this installation"
	@echo "make bench             measure speed and memory against peers, as ratios in one run"
	@echo "make reproduce-mini    train v1, v2, v2_6cls and v3 on the mini set and print one table"
	@echo "make reproduce-camvid  the same on CamVid (CAMVID=folder)"
	@echo "make reproduce-instances  train Mask R-CNN in two stages on the mini set and test both by both AP protocols"

# Compiled ops are built when they are asked for: by name, or by what needs them.
setup instances: $(VENV)/.ready
$(VENV)/.ready: $(SETUP) constraints/onedl.txt
	tools/setup_env.sh onedl $(VENV)
	@touch $@

# No compiler: all but instances.
light: $(LIGHT_VENV)/.ready
$(LIGHT_VENV)/.ready: $(SETUP) constraints/onedl.txt
	tools/setup_env.sh light $(LIGHT_VENV)
	@touch $@

$(UPSTREAM_VENV)/.ready: $(SETUP) constraints/openmmlab.txt
	tools/setup_env.sh openmmlab $(UPSTREAM_VENV)
	@touch $@

$(UPSTREAM_LIGHT_VENV)/.ready: $(SETUP) constraints/openmmlab.txt tests/helpers/mmcv_ext.py
	tools/setup_env.sh openmmlab-light $(UPSTREAM_LIGHT_VENV)
	@touch $@

data/mini/.done: $(VENV)/.ready
	$(PY) -m mmstreet mini data/mini --train 160 --val 40 --seed 0 --overwrite
	@touch $@

# The demo takes the environment that is there: the full one, else the light one, which it sets up first.
DEMO_VENV = $(if $(wildcard $(VENV)/.ready),$(VENV),$(LIGHT_VENV))
DEMO = $(DEMO_VENV)/bin/python -m mmstreet
demo: $(DEMO_VENV)/.ready
	@$(DEMO) demo $(PHOTOS)

# A process per core, one thread each; chosen tests run in one process. Bytecode is written, or each process that a test starts compiles
# the package anew.
PYTEST = env -u PYTHONDONTWRITEBYTECODE OMP_NUM_THREADS=1 $(1) -m pytest -q $(or $(TESTS),-n auto)

test: $(VENV)/.ready lint
	$(call PYTEST,$(PY))

test-light: $(LIGHT_VENV)/.ready
	$(LIGHT_VENV)/bin/python -m pip install -q -c constraints/onedl.txt -e ".[test]"
	$(call PYTEST,$(LIGHT_VENV)/bin/python)

hostile: $(VENV)/.ready
	$(PY) -m tests.hostile $(HOSTILE)

test-upstream: $(UPSTREAM_VENV)/.ready
	$(call PYTEST,$(UPSTREAM_VENV)/bin/python)

test-upstream-light: $(UPSTREAM_LIGHT_VENV)/.ready
	$(call PYTEST,$(UPSTREAM_LIGHT_VENV)/bin/python)

lint: $(VENV)/.ready
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

docs: $(LIGHT_VENV)/.ready
	$(LIGHT_VENV)/bin/python -m pip install -q -c constraints/onedl.txt -e ".[docs]"
	$(LIGHT_VENV)/bin/python -m mkdocs build --strict

doctor: $(VENV)/.ready
	$(PY) -m mmstreet doctor

bench: $(VENV)/.ready
	$(VENV)/bin/python -m pip install -q --no-deps segmentation-models-pytorch faster-coco-eval
	$(PY) -m benchmarks

reproduce-mini: data/mini/.done
	$(PY) benchmarks/reproduce.py mini

reproduce-camvid: $(VENV)/.ready
	$(PY) benchmarks/reproduce.py camvid --data $(or $(CAMVID),data/camvid11)

INSTANCES := work_dirs/reproduce/instances
reproduce-instances: data/mini/.done
	$(PY) -m mmstreet train configs/mask_rcnn_mini_heads.py --then configs/mask_rcnn_mini.py --work-dir $(INSTANCES) --resume
	$(PY) -m mmstreet test configs/mask_rcnn_mini_heads.py $(INSTANCES)/mask_rcnn_mini_heads --out $(INSTANCES)/heads
	$(PY) -m mmstreet test configs/mask_rcnn_mini.py $(INSTANCES)/mask_rcnn_mini --out $(INSTANCES)/all

clean:
	rm -rf work_dirs data/mini
