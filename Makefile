# The two commands of the README are `make demo` and `make test`. They need Rust and a C compiler
# (the linker; one dependency builds its hash with it) and nothing else.

CARGO  ?= cargo
# Where cargo puts what it builds; the same variable that cargo reads.
CARGO_TARGET_DIR ?= target
BIN    := $(CARGO_TARGET_DIR)/release/ppdenoise
MODELS := fixtures/models
# More flags for `make bench`, such as BENCH=--json.
BENCH  ?=
# For `make reproduce`, its single targets, `make experiment` and `make reproduce-quick`: clean grey PNGs, the folder for
# what is made, and more flags, such as REPRODUCE="--cell 1/8".
DATA   ?= fixtures/images
OUT    ?= reproduce-out
REPRODUCE ?=
# Grey PNGs to train on for `make alternatives`, other images than those of DATA.
TRAIN  ?=
# Grey PNGs to train the tiny model from (`make fixtures IMAGES=FOLDER`).
IMAGES ?=

# For which target `make dist` builds; that of this machine with musl if not said.
DIST_TARGET ?=

# For how long to train (`make train DATA=FOLDER`), and where the model goes.
MINUTES ?= 360
TRAINED ?= trained.npz
# Matrix tiles take bfloat16 operands; without them float32 is faster.
PRECISION ?= $(shell grep -qs amx_bf16 /proc/cpuinfo && echo bf16 || echo f32)

# For `make fuzz`: which target of tests/fuzz, and for how long. Coverage counters come from the stable
# compiler; without a sanitizer, since `unsafe` is confined to kernels that have other tests.
TARGET  ?= header
SECONDS ?= 60
FUZZ     = $(CARGO_TARGET_DIR)/fuzz
HOST     = $(shell rustc -vV | sed -n 's/^host: //p')
FUZZ_FLAGS := --cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
  -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
  -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=4

# For `make sanitize`: the tests of libraries under the address sanitizer, ours less optimised.
SANITIZED = CARGO_TARGET_DIR=$(CARGO_TARGET_DIR)/sanitize RUSTFLAGS=-Zsanitizer=address $(CARGO) +nightly test \
  --locked --target $(HOST) --lib \
  $(foreach package,ppdenoise ppdenoise-base ppdenoise-crypto ppdenoise-image ppdenoise-kernels,--config 'profile.dev.package.$(package).opt-level=1')

# For `make python`: which Python, and where its environment, the wheel and what was compiled for it go.
PYTHON ?= python3
PYTHON_OUT = $(CARGO_TARGET_DIR)/python

export CARGO_TARGET_DIR

.DEFAULT_GOAL := help
.PHONY: help build demo dist test test-train test-slow soak pages lint check bench bench-kernels fuzz sanitize advisories deny have-cargo-deny licences fixtures train clean \
        python experiment reproduce reproduce-quick table2 table3 table4 fig2 fig8 fig12 icassp alternatives

help: ## This list
	@awk -F ':.*## ' '/^[a-z0-9 -]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## Build the program with optimisation
	$(CARGO) build --release --locked

dist: ## The program as one static file (musl) in dist/, with man pages, completions, licences and SHA256SUMS
	.ci/dist $(DIST_TARGET)

demo: build ## Run the whole pipeline on one image; pictures go to demo-out/
	$(BIN) demo

test: ## All fast tests
	$(CARGO) test --locked

test-train: ## Formatting aside, what `lint` and `test` do for the feature `train`
	$(CARGO) clippy --all-targets --features train --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --no-deps --features train --locked
	$(CARGO) test --features train --locked --lib -- train:: alternatives::
	$(CARGO) test --features train --locked --test e2e -- train:: alternatives::
	$(CARGO) test --features train --locked --test docs -- help:: pages:: json::the_report_of_train

soak: ## 100 images through one pair of servers, and 10 restarts of 10: memory, results
	$(CARGO) test --locked --test slow soak:: -- --ignored --nocapture --test-threads 1

pages: ## Write the tables of docs/json.md, and docs/commands.md, from what the program says
	PAGES=write $(CARGO) test --features train --locked --test docs -- pages::

test-slow: ## Tests that take minutes
	$(CARGO) test --release --locked -- --ignored

lint: ## Formatting, clippy and documentation, warnings denied
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets --features train --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --no-deps --locked

check: lint licences test test-train ## All that continuous integration checks, then a clean tree
	git diff --exit-code

bench: build ## Kernels, operations, and the bootstrap and paper models through two servers
	$(BIN) bench --model bootstrap paper --engine lut,gc $(BENCH)

bench-kernels: ## Each kernel on every backend of this processor
	$(CARGO) bench --locked

fuzz: ## Hostile bytes for one parser (docs/fuzzing.md): make fuzz TARGET=header SECONDS=60
	CARGO_TARGET_DIR=$(FUZZ) RUSTFLAGS="$(FUZZ_FLAGS)" $(CARGO) build --release --locked --target $(HOST) \
	  --manifest-path tests/fuzz/Cargo.toml --bin $(TARGET) $(if $(filter checkpoint,$(TARGET)),--features train)
	mkdir -p $(FUZZ)/corpus/$(TARGET) $(FUZZ)/found
	FUZZ_SEEDS=$(FUZZ)/corpus/$(TARGET) $(FUZZ)/$(HOST)/release/$(TARGET)
	RAYON_NUM_THREADS=1 $(FUZZ)/$(HOST)/release/$(TARGET) $(FUZZ)/corpus/$(TARGET) -max_total_time=$(SECONDS) \
	  -timeout=20 -rss_limit_mb=3000 -print_final_stats=1 -artifact_prefix=$(FUZZ)/found/$(TARGET)-

sanitize: ## Address and leak sanitizer over kernels, ciphers, parsers and channels; needs a nightly toolchain
	@$(CARGO) +nightly --version >/dev/null 2>&1 || { \
	  echo "make sanitize needs a nightly compiler: rustup toolchain install nightly" >&2; exit 1; }
	$(SANITIZED) --package ppdenoise-kernels --package ppdenoise-image
	$(SANITIZED) --package ppdenoise-crypto -- garble:: ot:: prg::
	$(SANITIZED) --package ppdenoise-base --package ppdenoise -- numbers::packing:: files:: wire::

python: build ## The Python package, and its tests against the program; needs pip and a registry (src/python)
	$(PYTHON) -m venv $(PYTHON_OUT)/venv
	$(PYTHON_OUT)/venv/bin/pip install --quiet --disable-pip-version-check 'maturin>=1.9,<2' numpy pytest
	rm -rf $(PYTHON_OUT)/wheels
	CARGO_TARGET_DIR=$(PYTHON_OUT)/build $(PYTHON_OUT)/venv/bin/maturin build --release --locked \
	  --manifest-path src/python/Cargo.toml --out $(PYTHON_OUT)/wheels
	$(PYTHON_OUT)/venv/bin/pip install --quiet --disable-pip-version-check --no-deps --force-reinstall \
	  $(PYTHON_OUT)/wheels/*.whl
	PYTHONDONTWRITEBYTECODE=1 $(PYTHON_OUT)/venv/bin/python -m pytest -q -p no:cacheprovider src/python/tests \
	  --program $(BIN)

reproduce: build ## The paper's tables and figures, DATA=folder OUT=folder; also table2, table3, table4, fig2, fig8, fig12; icassp
	$(BIN) reproduce all --data $(DATA) --out $(OUT) $(REPRODUCE)

table2 table3 table4 fig2 fig8 fig12 icassp: build
	$(BIN) reproduce $@ --data $(DATA) --out $(OUT) $(REPRODUCE)

alternatives: ## Pixel encryption and learned perturbation, trained and attacked: make alternatives TRAIN=folder OUT=folder
	@test -n "$(TRAIN)" || { echo "say where grey PNGs to train on are: make alternatives TRAIN=FOLDER" >&2; exit 2; }
	$(CARGO) build --release --locked --features train
	$(BIN) reproduce $@ --train $(TRAIN) --data $(DATA) --out $(OUT) $(REPRODUCE)

experiment: build ## 20 images of DATA with noise through both servers to OUT/quality.csv: make experiment DATA=folder OUT=folder
	docs/deploy/experiment.sh $(BIN) $(DATA) $(if $(filter file,$(origin OUT)),experiment-out,$(OUT))

reproduce-quick: build ## All of them from crops of three images, in minutes
	$(BIN) reproduce all --quick --data $(DATA) --out $(OUT)-quick $(REPRODUCE)

licences: ## Licence and origin of every dependency, from Cargo.lock and cargo metadata
	.ci/licences

advisories: have-cargo-deny ## Known weaknesses of the locked dependencies, with cargo-deny and the network
	$(CARGO) deny check advisories

deny: have-cargo-deny ## Licences, origins, versions and advisories, with cargo-deny
	$(CARGO) deny check

have-cargo-deny:
	@$(CARGO) deny --version >/dev/null 2>&1 || { \
	  echo "cargo-deny is not installed; install it with: cargo install cargo-deny --locked" >&2; exit 1; }

fixtures: ## Train the tiny test model anew (NumPy, Pillow): make fixtures IMAGES=FOLDER
	@test -n "$(IMAGES)" || { echo "say where the grey PNGs are: make fixtures IMAGES=FOLDER" >&2; exit 2; }
	python3 $(MODELS)/make_tiny.py $(IMAGES) $(MODELS)/tiny-9-5-24.npz

train: ## Train the default model, for hours: make train DATA=FOLDER MINUTES=360; then calibrate it
	@test "$(origin DATA)" != file || { echo "say where the grey images are: make train DATA=FOLDER" >&2; exit 2; }
	RUSTFLAGS="-C target-cpu=native" CARGO_TARGET_DIR=$(CARGO_TARGET_DIR)/native \
	  $(CARGO) build --release --locked --features train
	$(CARGO_TARGET_DIR)/native/release/ppdenoise train $(DATA) --out $(TRAINED) --precision $(PRECISION) \
	  --layers $(MODELS)/default.layers.json --sigma 5..75 --patch 96 --batch 4 --drawn 0.12 \
	  --teacher $(MODELS)/fine.npz --muon 1e-2 --rate 6e-4 --warm-up 500 --hold-out 12 \
	  --minutes $(MINUTES) --checkpoint $(TRAINED).ckpt

clean: ## Remove what was built and the demo's pictures
	$(CARGO) clean
	rm -rf demo-out
