# orderctl. `make` lists the targets.
.DEFAULT_GOAL := help
SHELL := /bin/bash
TAGS  := grpcnotrace
BIN   := bin/orderctl
LINT  := bin/golangci-lint

.PHONY: help dev build test race lint fmt check e2e crash soak bench fuzz ci
help: ## list the targets
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## /{printf "  %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

dev: build ## build and run the whole order queue in one process (ARGS="--demo")
	@./$(BIN) dev $(ARGS)

build: ## the binary, bin/orderctl
	@mkdir -p bin
	@go build -trimpath -tags $(TAGS) -o $(BIN) ./cmd/orderctl

test: ## unit tests and scripts on the embedded broker; no Java, no database server needed
	go test -tags $(TAGS) -timeout 20m ./...
	@PATH="$$PATH:/usr/sbin:$$(echo /usr/lib/postgresql/*/bin | tr ' ' :)"; \
	  command -v initdb >/dev/null || echo 'SKIPPED: PostgreSQL, no server binary found'; \
	  command -v mariadbd >/dev/null || echo 'SKIPPED: MySQL, no server binary found'

race: ## the same with the race detector, in random order
	go test -tags $(TAGS) -race -shuffle=on -timeout 20m ./...

lint: $(LINT) ## the linters of .golangci.yml, formatting included
	$(LINT) config verify
	$(LINT) run --build-tags $(TAGS),e2e,crash ./...

fmt: $(LINT) ## format the code
	$(LINT) fmt ./...

$(LINT): tools/go.mod tools/go.sum
	@mkdir -p bin
	cd tools && go build -o ../$(LINT) github.com/golangci/golangci-lint/v2/cmd/golangci-lint

check: lint race ## before every commit: lint, race; generated files and go.mod leave no diff
	go mod tidy -diff
	go mod verify
	cd tools && go run ./protogen -check

E2E ?= .
e2e: build ## the built binary against real Apache Kafka: one node, and three (needs Java 17 and Maven; E2E=pattern)
	go test -tags $(TAGS),e2e -count=1 -timeout 25m -run '$(E2E)' ./test/kraft ./test/e2e

crash: ## the binary dies at every crash point, beside load and replays (NIGHTLY=1: more; CRASH_KILL=5m; KAFKA=embedded: no Java)
	go test -tags $(TAGS),crash -count=1 -parallel 6 -timeout $(if $(NIGHTLY),6h,30m) ./test/crash

SOAK ?= 60s
soak: ## a worker under load, letters, members that come and go, a database that is locked: nothing grows (SOAK=1h)
	SOAK=$(SOAK) go test -tags $(TAGS) -count=1 -v -timeout 0 -run '^TestSoak$$' ./cmd/orderctl

bench: ## benchmarks of the hot paths
	go test -tags $(TAGS) -run '^$$' -bench . -benchmem ./internal/... ./test/bench

# A number of inputs, not a duration: at the end of a duration Go 1.26 may fail without a finding (golang/go#75804).
FUZZTIME ?= 200000x
fuzz: ## every fuzz target with FUZZTIME inputs
	@set -e; for p in $$(go list ./...); do \
	  for f in $$(go test -tags $(TAGS) -list '^Fuzz' $$p | grep '^Fuzz' || true); do \
	    echo "== $$p $$f"; go test -tags $(TAGS) -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) $$p; done; done

ci: ## all that CI runs
	bash .ci/run
