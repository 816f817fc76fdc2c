# One Makefile for the whole workspace. "make help" lists what there is.

MODULES  := core plugins/nvidia plugins/amd plugins/fpga tools
BIN      := $(CURDIR)/.bin
VERSION  ?= 0.0.0-dev
VERSION_PACKAGE := github.com/nomad-devices/nomad-devices/core/plugin
GO_LDFLAGS := -s -w -X $(VERSION_PACKAGE).Version=$(VERSION)
# NVML's functions are bound when they are called. "-z now", which some
# distributions make the default, would end the process before main.
CGO_LDFLAGS_LAZY := -extldflags=-Wl,-z,lazy
# Leaves gRPC's debugging pages out of the binary.
GO_TAGS  := grpcnotrace
export CGO_CFLAGS ?= -O2 -g0 -Wno-deprecated-declarations

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: plugins devctl ## build the plugins and devctl into .bin

.PHONY: plugins
plugins: ## build the plugins into .bin
	@command -v $${CC:-cc} >/dev/null || { echo "the NVIDIA plugin needs a C compiler: install gcc"; exit 1; }
	CGO_ENABLED=1 go -C plugins/nvidia build -tags $(GO_TAGS) -trimpath -ldflags '$(GO_LDFLAGS) $(CGO_LDFLAGS_LAZY)' -o $(BIN)/nomad-device-nvidia ./cmd/nomad-device-nvidia

.PHONY: devctl
devctl: ## build devctl into .bin
	CGO_ENABLED=0 go -C tools build -tags $(GO_TAGS) -trimpath -ldflags '$(GO_LDFLAGS)' -o $(BIN)/devctl ./cmd/devctl

.PHONY: demo
demo: ## a real Nomad agent schedules real tasks onto simulated GPUs
	go -C tools run ./cmd/demo

.PHONY: test
test: ## all tests, with the race detector, against a real Nomad agent
	go test -race -timeout 20m work

.PHONY: bench
bench: plugins ## what the NVIDIA plugin costs, beside another one with PEER=file
	go -C tools run ./cmd/bench -plugin $(BIN)/nomad-device-nvidia $(if $(QUICK),-quick) $(if $(JSON),-json) \
	  $(if $(PEER),-peer '$(abspath $(PEER))' $(if $(PEER_CONFIG),-peer-config '$(abspath $(PEER_CONFIG))') $(if $(PEER_ENV),-peer-env '$(PEER_ENV)'))

.PHONY: soak
soak: plugins ## the plugin on failing hardware, DURATION=2m long; fails if it grows
	go -C tools run ./cmd/soak -plugin $(BIN)/nomad-device-nvidia -duration $(or $(DURATION),2m)

.PHONY: fuzz
fuzz: ## fuzz every parser for a while (FUZZTIME=30s)
	@set -e; for m in $(MODULES); do for p in $$(go list ./$$m/...); do \
	  for f in $$(go test -list '^Fuzz' $$p | grep '^Fuzz' || true); do \
	    echo "$$p $$f"; go test -run '^$$' -fuzz "^$$f\$$" -fuzztime $${FUZZTIME:-30s} $$p; \
	  done; done; done

.PHONY: lint
lint: tools ## check formatting, imports and the house's rules
	@set -e; for m in $(MODULES); do \
	  echo "$$m: builds and tidies alone"; \
	  (cd $$m && GOWORK=off go mod tidy -diff && GOWORK=off go build ./... && GOWORK=off go test -run '^$$' ./... >/dev/null); \
	done
	GOOS=darwin CGO_ENABLED=0 go vet ./core/... ./plugins/nvidia/...
	go vet work
	go fix -diff work
	$(BIN)/golangci-lint run $(addprefix ./,$(addsuffix /...,$(MODULES)))

.PHONY: generate
generate: ## rewrite golden files and the tables in the documents
	go test $$(grep -rlE 'flag.Bool\("update"|pagetest\.' --include='*_test.go' $(MODULES) | xargs -n1 dirname | sort -u | sed 's|^|./|') -update

.PHONY: tools
tools: $(BIN)/golangci-lint ## install the pinned linter into .bin

$(BIN)/golangci-lint: build/tools/go.mod
	GOWORK=off GOBIN=$(BIN) go -C build/tools install tool
	@touch $@

.PHONY: clean
clean: ## remove what was built
	rm -rf $(BIN) dist coverage
