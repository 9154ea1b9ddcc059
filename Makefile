# The two commands of the README are `make run` and `make check`; everything is built by Meson.
BUILD ?= build
SAN ?=
TIME ?= 60
DESTDIR ?=
JOBS ?= $(shell nproc)
ifeq ($(SAN),1)
BUILD := build-san
MESON_ARGS += -Db_sanitize=address,undefined -Db_lundef=false -Dwerror=true
endif
ifeq ($(SAN),thread)
BUILD := build-tsan
MESON_ARGS += -Db_sanitize=thread -Db_lundef=false -Dwerror=true
endif

.PHONY: all deps run check unit suite scenario bench fuzz install clean lint

all: $(BUILD)/build.ninja
	ninja -C $(BUILD)

$(BUILD)/build.ninja:
	@command -v meson >/dev/null || { echo "meson is missing: run 'make deps' as root first"; exit 1; }
	meson setup $(BUILD) $(MESON_ARGS)

# A local demo: a daemon, a name server, a host that takes mail; five messages, with the log.
run: deps
	$(MAKE) all
	tools/demo

# Everything that is tested, on a machine with nothing preinstalled.
check: deps
	$(MAKE) all
	tools/check

deps:
	tools/install-deps

unit: all
	meson test -C $(BUILD) --print-errorlogs

scenario: all
	/usr/bin/python3 -m pytest -q tests/scenario

# Exim's own test suite, all of it; `make check` runs the numbers of tests/suite-passing.txt.
suite: all
	tools/suite --jobs 4 --table

# Beside Debian's Exim and Postfix, on the same durability; prints ratios.
bench: deps all
	bench/run

install: all
	DESTDIR=$(DESTDIR) meson install -C $(BUILD)

lint: all
	tools/check lint

clean:
	rm -rf build build-san build-tsan build-fuzz

# Every fuzz target for TIME seconds, with clang, AddressSanitizer and UBSan.
fuzz:
	[ -f build-fuzz/build.ninja ] || CC=clang meson setup build-fuzz -Dfuzz=true -Db_lundef=false \
	    -Db_sanitize=address,undefined -Dc_args=-fsanitize=fuzzer-no-link
	ninja -C build-fuzz fuzzers
	tools/run-fuzz build-fuzz $(TIME)
