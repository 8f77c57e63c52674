# tbx: build, try and test. `make help` lists the targets.

SHELL := /bin/bash
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo 0.1.0)
# podman's bindings, without the C libraries that a server needs.
TAGS := remote exclude_graphdriver_btrfs exclude_graphdriver_devicemapper containers_image_openpgp
LDFLAGS := -s -w -X github.com/tbx-project/tbx/cmd/root.Version=$(VERSION)
export CGO_ENABLED := 0
# For programs and tests alike, or all that they import is compiled twice.
export GOFLAGS := $(strip $(GOFLAGS) -trimpath)
GO := go
# Where the programs begin: before Go, which forgets what signals the caller ignores (internal/inherited).
ENTRY := $(if $(filter linux/amd64,$(shell $(GO) env GOOS)/$(shell $(GO) env GOARCH)),-E=tbx_entry)
# Pinned, and run as Go modules: neither is in go.mod, whose lines the programs are made of.
GOLANGCI_LINT := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.12.2
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.2.0
T ?= 20s
PREFIX ?= $(HOME)/.local
YES ?=

.DEFAULT_GOAL := build
.PHONY: build test unit rebases race vuln fuzz cover roots system systemimages systempodman systemrest systemroot systembox updaters lint vm fleet units kills siege bench try install uninstall packages packagecheck help clean

build: ## build bin/tbx, bin/tbx-podman and bin/tbx-box (ARCHITECTURE.md, "Three programs")
	$(GO) build -ldflags '$(LDFLAGS) $(ENTRY)' -o bin/tbx ./cmd/tbx
	$(GO) build -tags '$(TAGS)' -ldflags '$(LDFLAGS) $(ENTRY)' -o bin/tbx-podman ./cmd/tbx-podman
	$(GO) build -ldflags '-s -w $(ENTRY)' -o bin/tbx-box ./cmd/tbx-box

try: ## set up what rootless podman needs, make a Debian toolbox and run a command in it
	tests/lab/setup --for try $(YES)
	$(MAKE) --no-print-directory build
	tests/lab/user tests/try

test: ## set up what the tests need and run them all
	tests/lab/setup --for test $(YES)
	$(MAKE) --no-print-directory build
	$(MAKE) --no-print-directory -j2 lint unit roots
	tests/lab/user -u tbxlab-images true
	tests/lab/user -u tbxlab-podman true
	$(MAKE) --no-print-directory -j3 systemimages systempodman systemrest

unit: ## tests that need no podman, root or network
	$(GO) vet -tags '$(TAGS)' ./...
	$(GO) test -vet=off -tags '$(TAGS)' -shuffle=on ./...

# Not the walk over the host's states: it has no goroutines of its own, and takes minutes there. Nor the two tests of an
# agent that is at its limit of descriptors: the race detector has some of its own. A program under it ends a second
# later than it could, unless told (GORACE), and the tests' fake programs are the tests themselves.
race: ## the unit tests under the race detector, which needs a C compiler
	GORACE=atexit_sleep_ms=0 CGO_ENABLED=1 $(GO) test -race -vet=off -timeout 15m \
	  -skip '^(TestB3_(WrongDescriptors|DescriptorsTwice)|TestH30_Walk|TestH74_WalkOfVersions)$$' $$($(GO) list ./... | grep -v /tests/)

fuzz: ## fuzz every target for T each (default 20s)
	for p in $$(git grep -l '^func Fuzz' -- '*_test.go' | xargs -n1 dirname | sort -u); do \
	  for f in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' $$p/*_test.go); do \
	    $(GO) test -vet=off -tags '$(TAGS)' -run '^$$' -fuzz "^$$f\$$" -fuzztime $(T) ./$$p || exit 1; done; done

cover: ## print how much of each package the unit tests run; no number is a goal
	$(GO) test -vet=off -tags '$(TAGS)' -cover ./... | awk '$$1 == "ok" {printf "%6s  %s\n", $$5, $$2}' | sort -n

vuln: build ## look for known vulnerabilities in what was built; asks vuln.go.dev
	for p in tbx tbx-podman tbx-box; do $(GO) run $(GOVULNCHECK) -mode=binary bin/$$p || exit 1; done

# What the lab's tests start from comes from a mirror and a disk: it is made while the processors run other tests.
roots:
	tests/lab/image >/dev/null
	tests/lab/systembox build bookworm
	if [ "$$(id -u)" = 0 ]; then tests/lab/updater trixie; fi

system: build ## tests with real podman, as an ordinary user, in the lab
	tests/lab/system

# These wait for registries, mirrors and disks: they run beside the others, as other users of the lab.
systemimages: build
	TBX_LAB_USER=tbxlab-images tests/lab/system tests/images osupdate/ostree

systempodman: build
	TBX_LAB_USER=tbxlab-podman tests/lab/system images/podman

systemrest: build
	tests/lab/system $$(tests/lab/system --list | grep -vxE 'tests/images|osupdate/ostree|images/podman')
	$(MAKE) --no-print-directory systembox
	if [ "$$(id -u)" = 0 ]; then $(MAKE) --no-print-directory systemroot; fi

systemroot: build ## tests that need root, in mount namespaces of their own: polkitd, pkexec and sudo; a bridge of two users; an OSTree host that runs
	$(GO) test -count=1 -tags systemroot ./osupdate/privileged
	$(GO) test -count=1 -tags systemroot -run '^(TestB22_|TestB7_SomebodyElse)' ./hostbridge
	tests/lab/updater trixie osupdate/sysupdate
	tests/lab/updater trixie osupdate/transactional '^TestSnapper'
	unshare -m --propagation private $(GO) test -count=1 -tags 'system systemroot' \
	  -run '^(TestLifeCycle|TestRollbackKeepsTheBranch|TestEtcConflictRefused|TestBoot.*|TestBuildLabels|TestFinalisation.*|TestH.*|TestKillFinalisation|TestKillStaging)$$' ./osupdate/ostree

updaters: build ## systemd-sysupdate, and ostree with composefs, of the Debian release to come, which changes from week to week; root
	tests/lab/updater forky osupdate/sysupdate
	tests/lab/updater forky osupdate/ostree '^TestReal'

systembox: build ## the same in a booted Debian with a systemd user session
	tests/lab/system --box bookworm tests/system tests/terminal tests/bridge

lint: ## formatting, golangci-lint (.golangci.yml) and shell scripts
	@out=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$out" ] || { echo "gofmt: $$out"; exit 1; }
	@command -v shellcheck >/dev/null || { echo 'lint: shellcheck is missing; run tests/lab/setup'; exit 1; }
	@# A cache of this checkout's own: results of another one name its paths, which the exclusions then miss.
	GOLANGCI_LINT_CACHE=$(CURDIR)/bin/lint $(GO) run $(GOLANGCI_LINT) run
	@shellcheck -x profile.d/tbx.sh $$(git ls-files -z | xargs -0 awk 'FNR == 1 && /^#!.*sh$$/ {print FILENAME} {nextfile}')

fleet: ## a month of a fleet of FLEET hosts (default 1000), with a clock that is not real (docs/fleet.md)
	TBX_FLEET=$${FLEET:-1000} $(GO) test -vet=off -count=1 -v -timeout 3h -run '^TestF68_' ./osupdate/auto/fleet

units: build ## the units of automatic updates under a real systemd, in a booted Debian; root
	$(GO) test -vet=off -count=1 -tags systemunits -timeout 30m ./tests/units

vm: ## SELinux enforcing, memory and process limits, in a machine of QEMU (about 20 minutes without KVM; root)
	tests/lab/setup --for vm $(YES)
	$(MAKE) --no-print-directory build
	tests/vm/run

kills: build ## kill edits of toolboxes at random moments, KILLS times (default 1000) with each podman
	for box in '' '--box bookworm' '--box trixie'; do \
	  TBX_KILLS=$${KILLS:-1000} TBX_RUN='^TestE10_' TBX_TIMEOUT=12h tests/lab/system $$box tests/system || exit 1; done

rebases: build ## rebase used toolboxes for real: Debian 12 to 13 beside apt, and dnf5, zypper and pacman; takes a mirror and half an hour
	$(GO) test -c -tags rebases -o bin/rebases.test ./tests/rebases
	cd tests/rebases && ../lab/user -u "$${TBX_LAB_USER:-tbxlab}" ../../bin/rebases.test -test.v -test.timeout 2h -test.run "$${TBX_RUN:-.}"

siege: ## a random adversary in isolated toolboxes, for SIEGE="-minutes 3 -seed 1 -as user" (tests/siege/run)
	tests/lab/setup --for test $(YES)
	$(MAKE) --no-print-directory build
	tests/siege/run $(SIEGE)

bench: ## measure against toolbox, distrobox and podman exec (docs/performance.md)
	tests/lab/setup --for bench $(YES)
	$(MAKE) --no-print-directory build
	tests/bench/run

install: build ## install below PREFIX (default ~/.local); FACES=1: also by the names toolbox and distrobox
	packaging/tree bin '$(DESTDIR)' '$(PREFIX)'
	if [ -n '$(FACES)' ]; then packaging/tree --face toolbox '$(DESTDIR)' '$(PREFIX)'; packaging/tree --face distrobox '$(DESTDIR)' '$(PREFIX)'; fi

packages: ## packages for Debian, Fedora, Arch Linux and Alpine and a tarball, in dist/, for ARCHS="amd64 arm64"
	packaging/build $(ARCHS)

packagecheck: ## build the packages twice and compare; install, use, upgrade and remove them in Debian 12 and 13; root
	packaging/check

uninstall: ## remove what install put below PREFIX; toolboxes go on working
	rm -f $(DESTDIR)$(PREFIX)/share/man/man1/tbx{,-*}.1 $(DESTDIR)$(PREFIX)/share/selinux/packages/tbx.cil $(DESTDIR)$(PREFIX)/bin/tbx $(DESTDIR)$(PREFIX)/libexec/tbx/tbx-{box,podman} \
	  $(DESTDIR)$(PREFIX)/share/bash-completion/completions/tbx $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_tbx \
	  $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/tbx.fish

clean: ## remove what build made
	rm -rf bin

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
