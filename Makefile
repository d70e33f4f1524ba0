# make test    installs what the tests need and runs everything: formatting, vet, staticcheck, tests, foreign clients
# make build   builds bin/hubbub for this machine and for the others that are supported
# make fuzz    runs every fuzz target for 30 seconds (FUZZTIME=5m for longer)

SHELL := /bin/bash
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
FUZZTIME ?= 30s
PLATFORMS := linux/arm64 darwin/arm64 darwin/amd64 windows/amd64
BUILD := CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=$(VERSION)"

.NOTPARALLEL:
.PHONY: help test tools fmt vet staticcheck race alloc fuzz fuzz-briefly build clean $(PLATFORMS)

help:
	@sed -n 's/^# \(make\)/\1/p' Makefile

test: tools fmt vet staticcheck race alloc
	@echo "== everything passed"

tools:
	@echo "== tools: Chromium, PostgreSQL, a C compiler, the npm packages"
	@scripts/install-test-tools.sh
	@node conformance/js/install.js

fmt:
	@echo "== fmt: gofmt finds nothing to change"
	@files=$$(gofmt -l $$(git ls-files --cached --others --exclude-standard '*.go')) && \
		if [ -n "$$files" ]; then echo "gofmt -w would change:"; echo "$$files"; exit 1; fi

vet:
	@echo "== vet"
	go vet ./...

staticcheck:
	@echo "== staticcheck"
	go tool -modfile=tools/go.mod staticcheck ./...

race:
	@echo "== tests with the race detector: unit tests, house rules, fuzz seeds, stores, the systems"
	go test -race -timeout 15m $$(go list ./... | grep -v /conformance/js$$)
	@echo "== the JavaScript clients in Node and in Chromium, with nothing beside them: they have timers of their own"
	go test -race -timeout 15m ./conformance/js

alloc:
	@echo "== allocation tests, without the race detector"
	scripts/alloc.sh

fuzz:
	@echo "== fuzzing each target for $(FUZZTIME)"
	scripts/fuzz.sh $(FUZZTIME)

# A number of runs, not a time: a target whose time ends while it warms up would fail.
fuzz-briefly:
	@$(MAKE) --no-print-directory fuzz FUZZTIME=1000x

build: $(PLATFORMS)
	@echo "== build: bin/hubbub $(VERSION)"
	$(BUILD) -o bin/hubbub ./cmd/hubbub

$(PLATFORMS): os = $(@D)
$(PLATFORMS): arch = $(@F)
$(PLATFORMS):
	@echo "== build: $@"
	GOOS=$(os) GOARCH=$(arch) $(BUILD) -o bin/hubbub-$(os)-$(arch)$(if $(filter windows,$(os)),.exe) ./cmd/hubbub

clean:
	rm -rf bin conformance/js/node_modules
