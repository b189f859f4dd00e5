# Every habit of the project is a target here; `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Programs and packages of tests/setup.sh come first.
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export VIRTUAL_ENV := $(CURDIR)/.venv

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
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
# Before 1.0 every minor version may change the ABI, so it is part of the soname.
SONAME := libtagtrust.so.$(shell cut -d . -f 1,2 <<< $(VERSION))

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
	cargo test --locked --workspace --features $(FEATURES) --quiet
	$(MAKE) --no-print-directory build
	python -m pytest tests $(PYTEST_ARGS)

.PHONY: bench
bench: setup ## Measure against the real notary and notary-server, and in-process with criterion
	@command -v wrk >/dev/null || { echo "wrk is missing; on Debian: apt-get install wrk" >&2; exit 1; }
	cargo build --locked --release -p tagtrust --example verify --example publish
	PYTHONPATH=tests python tests/bench/bench.py
	cargo build --locked --release -p tagtrust --features pkcs11,server --bin tagtrust-server
	PYTHONPATH=tests python tests/bench/serving.py

.PHONY: fuzz
fuzz: ## Run every fuzz target for FUZZ_SECONDS (600), FUZZ_JOBS (1) at a time
	@core/fuzz/run.sh

.PHONY: header
header: ## Write include/tagtrust.h anew; a test compares it with the sources
	TAGTRUST_WRITE_HEADER=1 cargo test --locked -p tagtrust-ffi --test header

.PHONY: screenshot
screenshot: build ## Take docs/ui.png anew
	TAGTRUST_WRITE_SCREENSHOT=1 python -m pytest tests/server/test_ui.py -k screenshot

.PHONY: wheel
wheel: setup ## Build the Python wheel into target/wheels
	maturin build --locked --release -m python/Cargo.toml --out $(TARGET)/wheels

.PHONY: install
install: ## Install the server, the C library, its header and pkg-config file below PREFIX
	cargo build --locked --release -p tagtrust --features pkcs11,server --bin tagtrust-server
	cargo rustc --locked --release -p tagtrust-ffi --crate-type cdylib -- -C link-arg=-Wl,-soname,$(SONAME)
	cargo rustc --locked --release -p tagtrust-ffi --crate-type staticlib
	install -d $(DESTDIR)$(BINDIR) $(DESTDIR)$(LIBDIR) $(DESTDIR)$(INCLUDEDIR) $(DESTDIR)$(PKGCONFIGDIR)
	install -m 755 $(TARGET)/release/tagtrust-server $(DESTDIR)$(BINDIR)/
	install -m 755 $(TARGET)/release/libtagtrust.so $(DESTDIR)$(LIBDIR)/libtagtrust.so.$(VERSION)
	ln -sf libtagtrust.so.$(VERSION) $(DESTDIR)$(LIBDIR)/$(SONAME)
	ln -sf $(SONAME) $(DESTDIR)$(LIBDIR)/libtagtrust.so
	install -m 644 $(TARGET)/release/libtagtrust.a $(DESTDIR)$(LIBDIR)/
	install -m 644 include/tagtrust.h $(DESTDIR)$(INCLUDEDIR)/
	printf '%s\n' > $(DESTDIR)$(PKGCONFIGDIR)/tagtrust.pc \
	    'prefix=$(PREFIX)' 'libdir=$(LIBDIR)' 'includedir=$(INCLUDEDIR)' '' \
	    'Name: tagtrust' 'Description: Docker Content Trust verification' 'Version: $(VERSION)' \
	    'Libs: -L$${libdir} -ltagtrust' 'Libs.private: -lpthread -ldl -lm' 'Cflags: -I$${includedir}'

.PHONY: lint
lint: ## Check format, clippy, documentation and the build without features
	cargo fmt --all --check
	cargo clippy --locked --workspace --features $(FEATURES) --all-targets -- -D warnings
	cargo clippy --locked -p tagtrust --no-default-features -- -D warnings
	cargo clippy --locked -p tagtrust-ffi --no-default-features -- -D warnings
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
