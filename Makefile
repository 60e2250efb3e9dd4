# "make" lists the targets.
.DEFAULT_GOAL := help

TOOL := go tool -modfile=.ci/tools/go.mod
BUILD := CGO_ENABLED=0 go build -trimpath -ldflags='-s -w'
FUZZTIME ?= 20000x
SOAKTIME ?= 30m
FLOOD ?= 1000000
KONG_VERSION ?= 3.9
VERSION ?= 0.0.0-dev
MUTATE ?= ./plugin ./kong ./schema

.PHONY: run test lint fuzz bench soak mutate image lambda release build help

run: CONFIG ?= kong/verified.yml
run: build ## run the embedded gateway with the plugin and CONFIG (kong/verified.yml); ARGS are further flags of the gateway
	bin/gateway -config "$(CONFIG)" -plugin bin/go-jwt -nginx-include auto -plugin-arg -metrics-listen=127.0.0.1:9542 -demo $(ARGS)

build: ## build the plugin and the embedded gateway into bin/
	$(BUILD) -o bin/go-jwt .
	$(BUILD) -o bin/gateway ./spec/gateway

test: ## vet and run all tests with the race detector
	go vet ./...
	go test -race -shuffle=on -timeout 1h ./...

lint: ## format, vet and lint as CI does
	$(TOOL) golangci-lint run --allow-serial-runners ./...

# FUZZTIME is a number of inputs: when a time is over, Go before 1.27 can report a
# failure that is none (go.dev/issue/75804).
fuzz: ## try FUZZTIME (20000x) inputs on each fuzz target
	@set -e; for package in $$(go list ./...); do \
		for target in $$(go test -list '^Fuzz' $$package | grep '^Fuzz' || true); do \
			echo "$$package $$target"; \
			go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1000x $$package; \
		done; \
	done

bench: build $(if $(BASE),bin/base/go-jwt) ## measure the engine and the plugin over its socket, next to a plain go-pdk plugin, a C program that decides nothing and, if set, BASE (an earlier binary or commit)
	$(BUILD) -o bin/baseline ./spec/baseline
	$(BUILD) -o bin/bench ./spec/bench
	go test -run '^$$' -bench . -benchtime 1s ./plugin
	$(CC) -O2 -o bin/floor spec/bench/floor/floor.c
	bin/bench -plugin bin/go-jwt -plain bin/baseline -floor bin/floor $(if $(BASE),-base bin/base/go-jwt)
	bin/bench -plugin bin/go-jwt -plain bin/baseline -floor bin/floor $(if $(BASE),-base bin/base/go-jwt) -paced
	bin/bench -plugin bin/go-jwt -memory $(if $(BASE),-base bin/base/go-jwt)

.PHONY: bin/base/go-jwt
bin/base/go-jwt:
	@mkdir -p bin/base
	@if [ -f "$(BASE)" ]; then cp "$(BASE)" $@; else set -e; \
		dir=$$(mktemp -d); trap 'rm -rf "$$dir"' EXIT; \
		git archive "$(BASE)" | tar -x -C "$$dir"; \
		out=$$PWD/$@; cd "$$dir"; $(BUILD) -o "$$out" .; fi

mutate: ## make small changes to the code of MUTATE (plugin, kong and schema; several hours), and list those that no unit test notices
	@set -e; for dir in $(MUTATE); do \
		GOFLAGS="$$GOFLAGS -count=1 -vet=off" go tool -modfile=.ci/tools/mutate.mod \
			gremlins unleash --workers 1 --timeout-coefficient 5 -S lt $$dir; \
	done

soak: build ## run the plugin under load and faults for SOAKTIME (30m) by each source, and check every answer; then flood it with FLOOD (1000000) tokens of each kind
	go run ./spec/soak -store node -plugin bin/go-jwt -gateway bin/gateway -duration $(SOAKTIME) -connections 64
	go run ./spec/soak -store admin -plugin bin/go-jwt -gateway bin/gateway -duration $(SOAKTIME) -connections 64
	SPEC_FLOOD=$(FLOOD) go test -count=1 -timeout 4h -v -run '^TestFloods$$' ./spec
	SPEC_SETUP=node SPEC_FLOOD=$(FLOOD) go test -count=1 -timeout 4h -v -run '^TestUnseenCallersInAFlood$$' ./spec

image: ## build the Docker image for Kong KONG_VERSION (3.9)
	docker build --build-arg KONG_VERSION=$(KONG_VERSION) --build-arg VERSION=$(VERSION) -t kong-go-jwt .

lambda: CONFIG ?= lambda/go-jwt.yml
lambda: ## build the Lambda authorizer's zips for arm64 and amd64 into bin/, with CONFIG (lambda/go-jwt.yml) in them
	go build -o bin/build-lambda-zip github.com/aws/aws-lambda-go/cmd/build-lambda-zip
	@set -e; for arch in arm64 amd64; do \
		mkdir -p bin/lambda/$$arch; \
		GOOS=linux GOARCH=$$arch $(BUILD) -o bin/lambda/$$arch/bootstrap ./lambda; \
		cp "$(CONFIG)" bin/lambda/$$arch/go-jwt.yml; \
		(cd bin/lambda/$$arch; ../../build-lambda-zip -o ../../go-jwt-lambda-$$arch.zip bootstrap go-jwt.yml); \
	done

release: ## make the files of release VERSION in bin/release (archives, .deb, .rpm, Lambda zips, SBOMs, checksums)
	.ci/package/release $(VERSION) bin/release

help: ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/:/' | column -t -s:
