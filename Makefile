# Every habit of the project is a target here; `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Programs and packages of tests/setup.sh come first.
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export VIRTUAL_ENV := $(CURDIR)/.venv

# Tests wait for other programs much of the time. A file stays with one worker and its servers.
PYTEST_WORKERS ?= 2
TARGET := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)
PYTEST_ARGS ?=

# What the tests cover beyond the default features.
FEATURES := tagtrust/pkcs11,tagtrust/server

# Where `make install` puts things; DESTDIR is for packagers.
PREFIX ?= /usr/local
BINDIR ?= $(PREFIX)/bin
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
PKGCONFIGDIR ?= $(LIBDIR)/pkgconfig
MANDIR ?= $(PREFIX)/share/man
# What it installs: a profile of cargo, and how much the C library can do: server
# (all, the default), signing, http (it verifies), or nothing (it verifies files).
PROFILE ?= release
FFI_FEATURES ?= default
ARTEFACTS = $(TARGET)/$(if $(filter dev,$(PROFILE)),debug,$(PROFILE))
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
# The same as in ffi/build.rs.
ABI_VERSION := $(shell sed 's/^\(0\.[0-9]*\|[1-9][0-9]*\)\..*/\1/' <<< $(VERSION))
INSTALLER = $(foreach name,DESTDIR PREFIX BINDIR LIBDIR INCLUDEDIR PKGCONFIGDIR MANDIR \
    FFI_FEATURES ARTEFACTS VERSION ABI_VERSION,$(name)='$($(name))') ffi/install/install.sh

.PHONY: help
help: ## List the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | expand -t 12

.PHONY: setup
setup: ## Install what the demo and the tests need, or say what is missing
	@tests/setup.sh

# One profile (dev, with optimised dependencies) for everything that the tests
# load: dependencies are compiled once and the Rust, C and Python tests share them.
.PHONY: build
build: setup
	cargo build --locked -p tagtrust --features $(FEATURES) --bins --examples
	cargo build --locked -p tagtrust-ffi
	maturin develop --locked --quiet -m python/Cargo.toml

.PHONY: demo
demo: build ## Sign with the real notary on our own server, then verify from Python and C
	@python tests/demo.py

.PHONY: test
test: setup ## Run all tests: Rust, C, Python, and against the real programs
	cargo test --locked --workspace --features $(FEATURES),tagtrust-ffi/test-panics,tagtrust-python/test-panics --quiet
	$(MAKE) --no-print-directory build
	python -m pytest tests -n $(PYTEST_WORKERS) --dist loadfile $(PYTEST_ARGS)

.PHONY: bench
bench: setup ## Measure against the real notary and notary-server, and in-process with criterion
	@command -v wrk >/dev/null || { echo "wrk is missing; on Debian: apt-get install wrk" >&2; exit 1; }
	cargo build --locked --release -p tagtrust --example verify --example publish
	PYTHONPATH=tests python tests/bench/bench.py
	cargo build --locked --release -p tagtrust --features pkcs11,server --bin tagtrust-server
	PYTHONPATH=tests python tests/bench/serving.py
	$(MAKE) --no-print-directory bindings

# A library and a wheel as users install them, below target/bench.
.PHONY: bindings
bindings: setup ## Measure what calls from C, Python and Go cost over calls from Rust; part of `bench`
	$(MAKE) --no-print-directory install PREFIX=$(TARGET)/bench DESTDIR= FFI_FEATURES=server
	maturin build --locked --release --quiet -m python/Cargo.toml --out $(TARGET)/bench/wheels
	python -m pip install --quiet --no-index --no-deps --upgrade --target $(TARGET)/bench/python $(TARGET)/bench/wheels/*.whl
	cargo build --locked --profile small -p tagtrust-ffi --lib --no-default-features --features http
	PYTHONPATH=tests python tests/bench/bindings.py --prefix $(TARGET)/bench --python $(TARGET)/bench/python \
	    --verify-only $(TARGET)/small/libtagtrust.so

.PHONY: fuzz
fuzz: ## Run every fuzz target for FUZZ_SECONDS (600), FUZZ_JOBS (1) at a time
	@core/fuzz/run.sh

.PHONY: sanitize
sanitize: setup ## Run the C tests with a library under AddressSanitizer and ThreadSanitizer: minutes
	PYTHONPATH=tests python tests/c/sanitize.py

.PHONY: sizes
sizes: ## Build the C library in its four sizes with the profile `small`, and compare them with README.md
	@for features in server signing http ''; do \
	    cargo build --locked --quiet --profile small -p tagtrust-ffi --lib --no-default-features --features "$$features"; \
	    bytes=$$(stat -c %s $(TARGET)/small/libtagtrust.so); \
	    echo "$$bytes bytes with $${features:-nothing}"; \
	    grep -q "^| .*$${features:-nothing}.* | $$(awk "BEGIN { printf \"%.1f\", $$bytes / 1e6 }") |$$" README.md \
	        || { echo "README.md says otherwise" >&2; exit 1; }; \
	done

.PHONY: header
header: ## Write include/tagtrust.h anew; a test compares it with the sources
	TAGTRUST_WRITE_HEADER=1 cargo test --locked -p tagtrust-ffi --test header

.PHONY: docs
docs: setup ## Build the documentation into target/docs
	sphinx-build --fail-on-warning --keep-going --quiet --fresh-env --conf-dir docs . $(TARGET)/docs

.PHONY: screenshot
screenshot: build ## Take docs/ui.png anew
	TAGTRUST_WRITE_SCREENSHOT=1 python -m pytest tests/server/test_ui.py -k screenshot

.PHONY: wheel
wheel: setup ## Build the Python wheel and source distribution into target/wheels
	maturin build --locked --release -m python/Cargo.toml --out $(TARGET)/wheels
	maturin sdist -m python/Cargo.toml --out $(TARGET)/wheels

.PHONY: containerd
containerd: ## Build the image verifier for containerd
	cargo build --locked --profile $(PROFILE) -p tagtrust-ffi --no-default-features --features '$(FFI_FEATURES)'
	$(CC) -std=c99 -O2 -Wall -Wextra $(CPPFLAGS) $(CFLAGS) -I include -o $(ARTEFACTS)/tagtrust-containerd \
	    ffi/containerd/tagtrust-containerd.c $(LDFLAGS) -Wl,--gc-sections $(ARTEFACTS)/libtagtrust.a -lpthread -ldl -lm

.PHONY: install
install: $(if $(strip $(FFI_FEATURES)),containerd) ## Install the server, and the C library for pkg-config and CMake, below PREFIX
ifneq ($(filter default server,$(FFI_FEATURES)),)
	cargo build --locked --profile $(PROFILE) -p tagtrust --features pkcs11,server --bin tagtrust-server
endif
	cargo build --locked --profile $(PROFILE) -p tagtrust-ffi --no-default-features --features '$(FFI_FEATURES)'
	$(INSTALLER) install

.PHONY: uninstall
uninstall: ## Remove what an install with the same variables put there
	$(INSTALLER) uninstall

.PHONY: lint
lint: ## Check format, clippy, documentation and the builds without features
	cargo fmt --all --check
	cargo clippy --locked --workspace --features $(FEATURES) --all-targets -- -D warnings
	for features in '' http signing; do \
	    cargo clippy --locked -p tagtrust-ffi --no-default-features --features "$$features" -- -D warnings; \
	done
	cargo clippy --locked -p tagtrust --no-default-features --features signing -- -D warnings
	RUSTDOCFLAGS=-Dwarnings cargo doc --locked --workspace --features $(FEATURES) --no-deps

.PHONY: deny
deny: ## Check licences, sources and advisories of the dependencies; needs cargo-deny
	cargo deny check

.PHONY: fmt
fmt: ## Format the sources
	cargo fmt --all

.PHONY: clean
clean: ## Remove everything that was built or installed here
	cargo clean
	rm -rf .venv
