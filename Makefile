# The tasks of the house; `make` lists them.

CARGO ?= cargo
export PATH := $(PATH):/usr/local/sbin:/usr/sbin:/sbin:$(or $(CARGO_HOME),$(HOME)/.cargo)/bin

.PHONY: help setup demo test bench lint

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 18

setup: ## checks for what the tests need; as root, installs what is missing
	@.ci/setup test

demo: ## a LAN of its own on this machine: kill, freeze and cut members, and watch
	@.ci/setup demo
	@$(CARGO) build --release --quiet
	@target/release/gatehouse demo $(ARGS)

test: ## every test, the labs on the real kernel included
	@.ci/setup test
	LAB=require $(CARGO) test --workspace --no-fail-fast

lint: ## format, clippy and documentation, all without a warning
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --document-private-items

bench: ## the figures side by side: failover with keepalived and ucarp, DNS with Knot, NSD and BIND
	@.ci/setup bench
	$(CARGO) bench --bench failover -- $(ARGS)
	$(CARGO) bench --bench dns -- $(DNS_ARGS)

-include vm-images/install.mk
