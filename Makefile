# One Makefile for the whole workspace. "make help" lists what there is.

MODULES  := core plugins/nvidia plugins/amd plugins/fpga tools
BIN      := $(CURDIR)/.bin
VERSION  ?= 0.0.0-dev
VERSION_PACKAGE := github.com/nomad-devices/nomad-devices/core/plugin
GO_LDFLAGS := -s -w -X $(VERSION_PACKAGE).Version=$(VERSION)
COMMIT   := $(shell git rev-parse HEAD 2>/dev/null)
# NVML's functions are bound when they are called. "-z now", which some
# distributions make the default, would end the process before main.
CGO_LDFLAGS_LAZY := -extldflags=-Wl,-z,lazy
# Leaves gRPC's debugging pages out of the binary, and keeps the NVIDIA plugin,
# which has cgo, from asking the C library for names of hosts and users: what it
# asks for less, it can miss less on an old system. HTTP/2 is gRPC's own; metrics
# are served over HTTP/1.1.
GO_TAGS  := grpcnotrace,netgo,osusergo,nethttpomithttp2
# What is only there to talk to Nomad and Prometheus a few times a minute is not
# inlined: that saves the twentieth part of a binary.
GO_COLD  := google.golang.org/... golang.org/x/net/... net/... crypto/... html/... text/... go/... encoding/gob \
            github.com/hashicorp/... github.com/prometheus/...
GO_BUILD := -tags $(GO_TAGS) -trimpath $(foreach p,$(GO_COLD),-gcflags=$(p)=-l)
# The plugins that need no cgo.
STATIC   := amd fpga
export CGO_CFLAGS ?= -O2 -g0 -Wno-deprecated-declarations

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: plugins devctl ## build the plugins and devctl into .bin

.PHONY: plugins
plugins: ## build the plugins into .bin
	@command -v $${CC:-cc} >/dev/null || { echo "the NVIDIA plugin needs a C compiler: install gcc"; exit 1; }
	CGO_ENABLED=1 go -C plugins/nvidia build $(GO_BUILD) -ldflags '$(GO_LDFLAGS) $(CGO_LDFLAGS_LAZY)' -o $(BIN)/nomad-device-nvidia ./cmd/nomad-device-nvidia
	for v in $(STATIC); do CGO_ENABLED=0 go -C plugins/$$v build $(GO_BUILD) -ldflags '$(GO_LDFLAGS)' -o $(BIN)/nomad-device-$$v ./cmd/nomad-device-$$v || exit 1; done

.PHONY: sizes
sizes: plugins ## hold the plugins' sizes against their limits
	@limit() { size=$$(stat -c %s $(BIN)/$$1); echo "$$size bytes, at most $$2: $$1"; [ $$size -le $$2 ]; }; \
	limit nomad-device-nvidia 16000000 && for v in $(STATIC); do limit nomad-device-$$v 14680064 || exit 1; done

.PHONY: devctl
devctl: ## build devctl into .bin
	CGO_ENABLED=0 go -C tools build $(GO_BUILD) -ldflags '$(GO_LDFLAGS) -X main.commit=$(COMMIT)' -o $(BIN)/devctl ./cmd/devctl

.PHONY: demo
demo: ## a real Nomad agent schedules real tasks onto simulated GPUs
	go -C tools run ./cmd/demo

# The conformance suite watches the clock, so the core goes by itself first. The
# other packages mostly wait, for agents and for devices to heal.
.PHONY: test
test: ## all tests, with the race detector, against a real Nomad agent
	go test -race -timeout 20m ./core/...
	go test -race -timeout 30m -p 3 $(addprefix ./,$(addsuffix /...,$(filter-out core,$(MODULES))))

.PHONY: conformance
conformance: build ## Nomad's contract with the cases that take minutes: wrong plugins fail, ours pass
	go test -timeout 30m ./core/conformance -long
	@set -e; dir=$$(mktemp -d); trap 'rm -rf "$$dir"' EXIT; \
	  echo "devctl check nomad-device-nvidia --long on a simulated machine"; \
	  $(BIN)/devctl simulate start 8xh100 --dir "$$dir/machine" >/dev/null; \
	  $(BIN)/devctl check $(BIN)/nomad-device-nvidia --simulator "$$dir/machine" --long

.PHONY: bench
bench: plugins ## what the NVIDIA plugin costs, beside another one with PEER=file
	go -C tools run ./cmd/bench -plugin $(BIN)/nomad-device-nvidia $(if $(QUICK),-quick) $(if $(JSON),-json) \
	  $(if $(PEER),-peer '$(abspath $(PEER))' $(if $(PEER_CONFIG),-peer-config '$(abspath $(PEER_CONFIG))') $(if $(PEER_ENV),-peer-env '$(PEER_ENV)'))

.PHONY: soak
soak: plugins ## the plugin on failing hardware, DURATION=2m long; fails if it grows
	go -C tools run ./cmd/soak -plugin $(BIN)/nomad-device-nvidia -duration $(or $(DURATION),2m) $(if $(SEED),-seed $(SEED))

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
	GOOS=darwin CGO_ENABLED=0 go vet $(addprefix ./,$(addsuffix /...,$(filter-out tools,$(MODULES))))
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

.PHONY: snapshot
snapshot: release-tools ## archives and packages of this commit in dist, published nowhere
	PATH="$(BIN):$$PATH" build/release/build snapshot

.PHONY: release-check
release-check: release-tools ## what can be said of a release without building it
	PATH="$(BIN):$$PATH" goreleaser check
	go test ./tools/release/...

.PHONY: release-test
release-test: release-tools ## two snapshots are the same, install, and run, arm64 too
	BIN=$(BIN) go test -count=1 -timeout 90m -v ./tools/release -snapshot

.PHONY: release-tools
release-tools: $(BIN)/goreleaser $(BIN)/syft

$(BIN)/goreleaser: build/release/tools/go.mod
	GOWORK=off GOBIN=$(BIN) go -C build/release/tools install -trimpath -ldflags='-s -w' github.com/goreleaser/goreleaser/v2
	@touch $@

# It writes its own version into the bills of materials.
$(BIN)/syft: build/release/tools/go.mod
	cd build/release/tools && export GOWORK=off GOBIN=$(BIN) && \
	  go install -trimpath -ldflags="-s -w -X main.version=$$(go list -m -f '{{.Version}}' github.com/anchore/syft)" github.com/anchore/syft/cmd/syft
	@touch $@

.PHONY: clean
clean: ## remove what was built
	rm -rf $(BIN) dist coverage
