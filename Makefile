# Everything is made from here; `make help` lists it. Needs git, make and Python 3.11 to 3.13.

PYTHON ?= python3
VENV ?= .venv
# On Linux the default torch wheel brings gigabytes of CUDA. Give the address of PyTorch's CPU wheels to avoid it
# (the "Start locally" page of pytorch.org shows it): make book TORCH_INDEX=https://...
TORCH_INDEX ?=

BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed
WHOLE := $(if $(filter output-sync,$(.FEATURES)),--output-sync=target) # make 3.81, which macOS has, cannot keep outputs apart
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
export POSEKIT_QUIET := 1

.PHONY: help book test test-site test-rest lint unit demo balancing plotly pose-model detect fuzz bench reproduce notebooks linkcheck newer lock release clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

book: $(INSTALLED) ## install what is needed, run the chapters, build the site, say where it is
	@$(MAKE) --silent plotly || echo "The pages load all of plotly.js instead."
	@$(MAKE) --silent pose-model || echo "The book is built without it; the page 'Try it' says how to add it."
	$(BIN)/jupyter-book build . -n -W --keep-going --quiet
	@echo "The book is at file://$(CURDIR)/_build/html/index.html"

test: $(INSTALLED) lint ## lint, unit tests, every notebook, the strict book build, the site in a browser
	@echo "Two halves side by side, in half an hour or so; each says all when it is done."
	$(MAKE) --jobs=2 --keep-going $(WHOLE) test-site test-rest

test-site: # the strict book build, and the site in a browser
	MAKEFLAGS= $(BIN)/python -m pytest -m site

test-rest: # everything else
	MAKEFLAGS= $(BIN)/python -m pytest -m "not site"

lint: $(INSTALLED) ## style and formatting only
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

unit: $(INSTALLED) ## the quick tests only: no notebooks, no book, no browser
	$(BIN)/python -m pytest -m "not slow and not browser"

demo: $(INSTALLED) ## fetch the recordings in the wheels of pose2sim 0.4.0 and sports2d 0.8.34 (25 MB, BSD-3) into data/, for tests with real people
	$(PIP) download --no-deps --dest data pose2sim==0.4.0 sports2d==0.8.34

balancing: demo ## make the embedded real recording, posekit/datasets/balancing.npz, from that wheel
	$(BIN)/python book/make_balancing.py

plotly: $(INSTALLED) ## fetch plotly.js with nothing but the traces that the book draws (0.6 MB, MIT), into data/
	$(BIN)/python book/fetch_plotly.py

# mediapipe wants another NumPy than posekit, so that it has an environment of its own.
DETECT_PYTHON ?= $(PYTHON)
DETECT := _build/detect

detect: $(INSTALLED) $(DETECT)/installed ## find the joints in your videos with MediaPipe: make detect VIDEOS=FOLDER; without, those of "balancing"
ifdef VIDEOS
	$(BIN)/python book/detect.py "$(VIDEOS)"
else
	$(PIP) download --no-deps --dest data pose2sim==0.10.49
	$(BIN)/python book/make_balancing_video.py
endif

$(DETECT)/installed: book/detect_requirements.txt
	@$(DETECT_PYTHON) -c 'import sys; v = sys.version_info[:2]; v > (3, 12) and sys.exit("mediapipe 0.10.21 has no wheel for Python %d.%d; name one that is 3.11 or 3.12: make detect DETECT_PYTHON=python3.12" % v)'
	$(DETECT_PYTHON) -m venv $(DETECT)
	$(DETECT)/bin/python -m pip --disable-pip-version-check --quiet install --no-deps --requirement $<
	touch $@

pose-model: $(INSTALLED) ## fetch the detector of "Lift yourself", MediaPipe Pose (41 MB, Apache-2.0), into data/, which the book then carries
	$(BIN)/python book/fetch_pose_model.py

fuzz: $(INSTALLED) ## read 100,000 damaged files (fewer: CASES=1000; some kinds: TARGETS="npz record"; keep figures: FIGURES=book/fuzz.json)
	$(BIN)/python tests/fuzz/run.py $(TARGETS) --cases $(or $(CASES),100000) --seed $(or $(SEED),0) $(if $(FIGURES),--figures $(FIGURES))

bench: $(INSTALLED) ## speed and memory, as ratios measured in one run
	$(BIN)/python benchmarks/bench.py

reproduce: $(INSTALLED) ## rerun recorded runs that are missing: make reproduce ROWS="label_free*" JOBS=2
	$(BIN)/python book/reproduce.py $(if $(SCHEDULER),--scheduler $(SCHEDULER),--jobs $(or $(JOBS),1)) --threads $(or $(THREADS),1) --models _build/models $(ROWS)

notebooks: $(INSTALLED) ## bring every notebooks/*.ipynb up to its .py
	$(BIN)/python book/parameters_cell.py
	$(BIN)/jupytext --quiet --update --to ipynb notebooks/*.py

linkcheck: $(INSTALLED) ## ask every web address in the book whether it is still there
	$(BIN)/jupyter-book build . --builder linkcheck

newer: ## build with the newest Sphinx, myst-nb and theme in an environment of its own, from the configuration that Jupyter Book writes
	$(MAKE) VENV=_build/newer _build/newer/installed
	_build/newer/bin/jupyter-book config sphinx .
	_build/newer/bin/python -m pip install --quiet --upgrade sphinx myst-nb sphinx-book-theme
	_build/newer/bin/sphinx-build -b html . _build/newer/html; status=$$?; rm -f conf.py; exit $$status

lock: ## write requirements.lock: every package for every Python and system, at its pin, with hashes; all but torch
	$(PYTHON) -m venv $(VENV)
	$(PIP) install uv==0.13.9
	$(BIN)/uv pip compile pyproject.toml --all-extras --constraint constraints.txt --quiet --universal \
		--python-version 3.11 --no-emit-package torch --generate-hashes --no-annotate --no-header --output-file requirements.lock

release: book ## the tagged version as one archive under dist/, with checksums
	$(BIN)/python book/release.py

clean: ## remove what was built (the installation stays, and lifters and unfinished runs in _build/models)
	[ ! -d _build ] || find _build -mindepth 1 -maxdepth 1 ! -name models -exec rm -rf {} +

# First all that the lock file holds, by hash. torch, which has other files for each kind of processor, then fetches nothing
# but itself, and posekit nothing at all.
$(INSTALLED): pyproject.toml constraints.txt requirements.lock
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --require-hashes --no-deps --requirement requirements.lock
	$(PIP) install $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) --constraint constraints.txt torch
	$(PIP) install --constraint constraints.txt --no-build-isolation --editable ".[book,test]"
	touch $@
