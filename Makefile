SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

CARGO_TARGET_DIR ?= target
export CARGO_TARGET_DIR := $(abspath $(CARGO_TARGET_DIR))
# Tools that are not on the machine are installed here; tests and the demo find them by these variables.
TOOLS := $(CARGO_TARGET_DIR)/tools
export LAYERSMITH_TEST_TOOLS := $(TOOLS)
export LAYERSMITH_TEST_UV ?= $(TOOLS)/bin/uv
export LAYERSMITH_TEST_MOTO ?= $(TOOLS)/bin/moto_server
FUZZ_SECONDS ?= 600
STACK ?= layersmith
export PATH := $(PATH):$(TOOLS)/bin

.PHONY: help build test test-cloud state-machines crash-matrix simulate lint lint-deploy package deploy fuzz demo demo-aws bench bench-agree

help: ## Lists the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## Builds the release executable, target/release/layersmith
	@.ci/tools $(TOOLS) system
	cargo build --release

test: ## Installs what the tests need, then runs them all
	@.ci/tools $(TOOLS) system test template cloud
	cargo test --workspace

state-machines: ## Writes deploy/*.asl.json from the stages that both engines go by
	LAYERSMITH_WRITE_STATE_MACHINES=1 cargo test --lib flow::asl

test-cloud: ## Runs the stack of deploy/template.yaml on this machine: the scenarios of one machine, and what only a stack meets
	@.ci/tools $(TOOLS) system test template cloud
	cargo test --test it both_engines -- --ignored --test-threads 2

crash-matrix: ## Kills an apply at every call and every write, thousands of times, and looks how it ends; three hours on two cores
	@.ci/tools $(TOOLS) system test
	CARGO_PROFILE_DEV_OPT_LEVEL=1 LAYERSMITH_TEST_CRASH_POINTS=$${LAYERSMITH_TEST_CRASH_POINTS:-all} \
	    cargo test --workspace --test it wherever_an_apply -- --nocapture

simulate: ## Publishes 12,240 and 120,000 versions in simulated time: how long, which limit binds, what it costs
	cargo test --lib -- --ignored --nocapture --exact registry::aws::tests::scale::simulate

lint: ## Format, clippy, documentation, dependencies; all warnings are errors
	@.ci/tools $(TOOLS) system lint
	cargo fmt --all --check
	cargo fmt --manifest-path fuzz/Cargo.toml --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items
	cargo deny --workspace check bans licenses sources
	@if cargo deny fetch db >/dev/null 2>&1; then cargo deny --workspace check advisories; \
	else echo "advisories: not checked, the advisory database cannot be reached from here"; fi
	@$(MAKE) --no-print-directory lint-deploy

lint-deploy: ## The template for AWS and its state machines, by AWS' own tools; a part of lint
	@.ci/tools $(TOOLS) template
	@mkdir -p $(CARGO_TARGET_DIR)
	$(TOOLS)/bin/cfn-lint deploy/template.yaml
	$(TOOLS)/venv/bin/python deploy/translate.py deploy/template.yaml > $(CARGO_TARGET_DIR)/template.json
	$(TOOLS)/bin/cfn-lint $(CARGO_TARGET_DIR)/template.json
	@for machine in plan apply; do \
	    echo asl-validator deploy/$$machine.asl.json; \
	    $(TOOLS)/node_modules/.bin/asl-validator --json-path deploy/$$machine.asl.json || exit 1; \
	done

package: ## Builds target/lambda/layersmith.zip for AWS Lambda, for this machine's processor
	@.ci/tools $(TOOLS) system cloud
	LIBZ_SYS_STATIC=1 PATH="$(TOOLS)/cloud-venv/bin:$$PATH" cargo lambda build --profile lambda --locked --bin layersmith --features package \
	    --target $$(uname -m)-unknown-linux-gnu.2.26 --disable-optimizations --lambda-dir $(CARGO_TARGET_DIR)/lambda
	@$(TOOLS)/venv/bin/python deploy/package.py $(CARGO_TARGET_DIR)/lambda/layersmith/bootstrap $(CARGO_TARGET_DIR)/lambda/layersmith.zip

deploy: ## Creates or updates the stack on AWS: make deploy STACK=layersmith BUCKET=... PARAMETERS="Repository=octo/catalog ..."
	@deploy/deploy "$(STACK)" "$(BUCKET)" $(PARAMETERS)

fuzz: ## Gives the wheel reader any bytes, for ten minutes (FUZZ_SECONDS=600)
	@.ci/tools $(TOOLS) system fuzz
	@mkdir -p $(CARGO_TARGET_DIR)/fuzz/found
	CARGO_TARGET_DIR=$(CARGO_TARGET_DIR)/fuzz RUSTC_BOOTSTRAP=1 cargo fuzz run --sanitizer none wheel \
	    $(CARGO_TARGET_DIR)/fuzz/found fuzz/corpus/wheel -- -dict=fuzz/zip.dict -max_len=8192 -max_total_time=$(FUZZ_SECONDS)

demo: ## Shows the whole loop on this machine; DEMO_EXIT=1 stops by itself
	@.ci/tools $(TOOLS) system test
	cargo build --workspace
	@$(CARGO_TARGET_DIR)/debug/layersmith-demo --layersmith $(CARGO_TARGET_DIR)/debug/layersmith

demo-aws: ## The same with moto in place of AWS: layers in 34 regions, secrets in SSM and Secrets Manager
	@.ci/tools $(TOOLS) system test
	cargo build --workspace
	@$(CARGO_TARGET_DIR)/debug/layersmith-demo --layersmith $(CARGO_TARGET_DIR)/debug/layersmith --aws

bench: ## Measures the release executable; BENCH_ONLY, BENCH_ROWS, BENCH_RUNS, BENCH_CATALOG=0 choose
	@.ci/tools $(TOOLS) system bench
	cargo build --release --bin layersmith
	cargo build --workspace --bin layersmith-bench
	@$(CARGO_TARGET_DIR)/debug/layersmith-bench --layersmith $(CARGO_TARGET_DIR)/release/layersmith --out $(CARGO_TARGET_DIR)/bench speed

bench-agree: ## Compares layers with what `uv pip install --target` puts in place; BENCH_ONLY chooses packages
	@.ci/tools $(TOOLS) system bench
	cargo build --release --bin layersmith
	cargo build --workspace --bin layersmith-bench
	@$(CARGO_TARGET_DIR)/debug/layersmith-bench --layersmith $(CARGO_TARGET_DIR)/release/layersmith --out $(CARGO_TARGET_DIR)/bench agree
