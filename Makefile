# Parlance: `make demo` runs a sample company, `make test` runs every test.
# `make help` lists the rest.

SHELL       := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
MAKEFLAGS   += --no-print-directory
.DEFAULT_GOAL := help

GO      ?= go
VERSION := $(shell git describe --tags --match 'v*' --dirty 2>/dev/null || echo dev)
COMMIT  := $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
LDFLAGS := -s -w -X main.version=$(VERSION) -X main.revision=$(COMMIT)
BIN     := $(CURDIR)/bin/parlance
STAGE   := @tools/stage
export PARLANCE_BIN := $(BIN)
# One set of flags for build, tests and analysis, so that they share what is
# compiled: the database alone takes most of a minute. Only -race needs cgo.
export CGO_ENABLED := 0
export GOFLAGS := $(strip $(filter-out -trimpath,$(GOFLAGS)) -trimpath)

# command-or-file:Debian package. What `make test` needs beside Go and Node.
TEST_PACKAGES := gcc:gcc /usr/include/stdlib.h:libc6-dev python3:python3 \
	'/usr/lib/python3/dist-packages/slixmpp:python3-slixmpp' '/usr/lib/python3/dist-packages/aiohttp:python3-aiohttp' \
	'/usr/lib/python3/dist-packages/aioxmpp:python3-aioxmpp' \
	'/usr/lib/postgresql/*/bin/postgres:postgresql' \
	mkfs.ext4:e2fsprogs chromium:chromium prosody:prosody profanity:profanity strace:strace tmux:tmux openssl:openssl

WEB_SOURCES  := $(shell find web -type f -not -path 'web/node_modules/*' -not -path 'web/dist/*' -not -path 'web/screenshots/*' -not -path 'web/src/paraglide/*' -not -name '*.go' 2>/dev/null)
GO_FILES      = $(shell find . -name '*.go' -not -path './web/node_modules/*' -not -path './interop/out/*')
# Whole-system tests start the built binary and other servers: they run alone, after the rest.
UNIT          = $(shell $(GO) list ./... | grep -v -e '/interop/' -e '/bench/rig$$' -e '^github.com/parlance-im/parlance$$')
RACE         := $(addsuffix /...,$(addprefix ./,$(wildcard im edge store)))
INTEROP      := $(addsuffix /...,$(addprefix ./,$(wildcard interop bench/rig)))

.PHONY: help demo build web test check fmt vet lint house specref unit interop smack faults race fuzz attack bench bench-peers profile dev generate packages e2e web-check web-test go-unit go-interop go-race node clean

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' Makefile | sort | awk -F ':.*## ' '{ printf "  make %-11s %s\n", $$1, $$2 }'

demo: web build ## build web and server, run a sample company
	@exec $(BIN) demo $(DEMO)

build: ## build bin/parlance
	@mkdir -p bin
	$(GO) build -ldflags '$(LDFLAGS)' -o $(BIN) ./cmd/parlance

# --- web -----------------------------------------------------------------

node:
	@command -v node >/dev/null && command -v npm >/dev/null || { echo "error: Node.js 20.19 or newer with npm is needed to build the web client"; exit 1; }
	@node -e 'const [a,b]=process.versions.node.split(".").map(Number); if (a<20||(a===20&&b<19)) { console.log("error: Node.js "+process.versions.node+" is too old: 20.19 or newer is needed"); process.exit(1) }'

web/node_modules/.package-lock.json: web/package.json web/package-lock.json | node
	cd web && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

web/dist/index.html: web/node_modules/.package-lock.json $(WEB_SOURCES)
	cd web && npm run --silent build
	@touch $@

web: web/dist/index.html ## build the web client into web/dist

web-check: web/node_modules/.package-lock.json
	cd web && npm run --silent check

web-test: web/node_modules/.package-lock.json
	cd web && npm run --silent test

e2e: ## two browsers chat through the built binary
	cd web && npm run --silent e2e

# --- everything ----------------------------------------------------------

test: ## every test, stage by stage; installs what it needs
	@mkdir -p bin/stage && rm -f bin/stage/times
	$(STAGE) packages  $(MAKE) packages
	$(STAGE) web       $(MAKE) web
	$(STAGE) build     $(MAKE) build
	$(STAGE) fmt       $(MAKE) fmt
	$(STAGE) vet       $(MAKE) vet
	$(STAGE) lint      $(MAKE) lint
	$(STAGE) house     $(MAKE) house
	$(STAGE) specref   $(MAKE) specref
	$(STAGE) web-check $(MAKE) web-check
	$(STAGE) web-test  $(MAKE) web-test
	$(STAGE) unit      $(MAKE) go-unit
	$(STAGE) race      $(MAKE) go-race
	$(STAGE) interop   $(MAKE) go-interop
	$(STAGE) e2e       $(MAKE) e2e
	@echo "All stages passed:" && cat bin/stage/times

packages:
	@mkdir -p bin
	@tools/packages $(TEST_PACKAGES)

check: ## format, vet, static analysis, house rules, docs, short unit tests (< 60 s)
	@mkdir -p bin/stage && rm -f bin/stage/times
	$(STAGE) fmt     $(MAKE) fmt
	$(STAGE) vet     $(MAKE) vet
	$(STAGE) lint    $(MAKE) lint
	$(STAGE) house   $(MAKE) house
	$(STAGE) specref $(MAKE) specref
	$(STAGE) unit    $(MAKE) unit
	@echo "All stages passed:" && cat bin/stage/times

fmt:
	@bad=$$(gofmt -l $(GO_FILES)); if [ -n "$$bad" ]; then echo "error: not formatted by gofmt:" $$bad; exit 1; fi

vet:
	@$(GO) vet ./...

bin/staticcheck: tools/lint/go.mod tools/lint/go.sum
	@mkdir -p bin
	cd tools/lint && $(GO) build -o ../../bin/staticcheck honnef.co/go/tools/cmd/staticcheck

lint: bin/staticcheck
	@bin/staticcheck ./...

house: ## imports, doors, sizes, package docs (the tests in the root folder)
	@$(GO) test -count=1 .

specref: ## spec citations are real; generated files are fresh
	@$(GO) run ./tools/specref -check

generate: ## write the generated files (docs/spec-index.md, docs/features.md, docs/parlance.doap, docs/parlance.example.toml)
	@$(GO) run ./cmd/parlance features >docs/features.md.new && mv docs/features.md.new docs/features.md
	@$(GO) run ./cmd/parlance features --doap >docs/parlance.doap.new && mv docs/parlance.doap.new docs/parlance.doap
	@$(GO) run ./cmd/parlance config example >docs/parlance.example.toml.new
	@mv docs/parlance.example.toml.new docs/parlance.example.toml
	@$(GO) run ./tools/specref

unit:
	@PARLANCE_TEST_SQLITE_ONLY=1 $(GO) test -short $(UNIT)

go-unit:
	@$(GO) test -timeout 10m $(UNIT)

go-race:
	@CGO_ENABLED=1 $(GO) test -race -short -timeout 15m $(RACE)

go-interop:
	@$(GO) test -p 1 -timeout 30m $(INTEROP)

interop: build ## conversations and independent clients against the built binary
	@$(MAKE) go-interop

smack: build ## Smack's integration tests from Maven Central against the demo (needs Java 17 and Maven)
	@interop/smack/run $(BIN) $(CURDIR)/bin/smack

# The figures of HARDENING §8; FAULTS='-run Power -seed=N' for one row of them.
faults: build ## kills, power cuts, full disks, broken networks: the full figures, hours, as root; writes docs/faults.md
	@$(GO) test ./interop/faults -count=1 -timeout 8h -v -full -kills=1000 -atcalls=300 -cuts=200 -clients=10000 -waiting=100000 -limited=1h \
		-report=$(CURDIR)/docs/faults.md $(FAULTS)

race: ## the concurrent packages under the race detector
	@CGO_ENABLED=1 $(GO) test -race -timeout 30m $(RACE)

FUZZTIME ?= 30s
fuzz: ## every fuzz target, 30 s each (FUZZTIME=5m for more)
	@tools/fuzz $(FUZZTIME)

attack: build ## every attack with the catalogue's own counts, one report (30 minutes)
	@$(GO) test -count=1 -timeout 90m -parallel 1 ./interop/attack -full -report $(CURDIR)/bin/attack.md

bench: web build ## measure, write bench/README.md and the figures of parlance sizing (NOTE=…)
	@$(GO) run ./bench/rig own -bin $(BIN) -out bench -note '$(NOTE)'

# What the other servers need beside what `make test` does.
PEER_PACKAGES := erl:erlang-base /usr/sbin/ejabberdctl:ejabberd '/usr/lib/erlang/lib/p1_sqlite3-*/ebin/sqlite3.app:erlang-p1-sqlite3' \
	'/usr/lib/erlang/lib/p1_pgsql-*/ebin/p1_pgsql.app:erlang-p1-pgsql' sqlite3:sqlite3 prosody:prosody \
	'/usr/lib/*/lua/5.4/dbd/sqlite3.so:lua-dbi-sqlite3' '/usr/lib/postgresql/*/bin/postgres:postgresql'
PEERS ?= parlance ejabberd-sqlite ejabberd-postgresql ejabberd-off prosody-sqlite prosody-off
RATE  ?= 200
SCALE ?= 1
NOTE  ?=

bench-peers: web build ## the same load on ejabberd and Prosody, write bench/PEERS.md (PEERS="parlance prosody-off" RATE=200 SCALE=0.2)
	@tools/packages $(PEER_PACKAGES)
	@$(GO) run ./bench/rig peers -bin $(BIN) -out bench -peers '$(PEERS)' -rate $(RATE) -scale $(SCALE) -note '$(NOTE)'

profile: build ## profile the server under load, write docs/where-time-goes.md
	@$(GO) run ./tools/profile -bin bin/parlance $(PROFILE) -out docs/where-time-goes.md

dev: build ## demo server and a web client that reloads as you edit
	@tools/dev $(BIN)

clean: ## remove what was built
	rm -rf bin web/dist/assets web/dist/*.html
