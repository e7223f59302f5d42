# SPDX-License-Identifier: Apache-2.0
# docker-migrate: "make help" tells what can be made.

PREFIX ?= /usr/local
DESTDIR ?=
SBINDIR = $(PREFIX)/sbin
MANDIR = $(PREFIX)/share/man
COMPDIR = $(PREFIX)/share/bash-completion/completions
BUILD ?= build
VERSION := $(shell sed -n 's/^\#define DM_VERSION "\(.*\)"/\1/p' lib/base/opt.h)
PKG_CONFIG ?= pkg-config

WARN = -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wmissing-prototypes \
	-Wstrict-prototypes -Wvla -Werror
CFLAGS ?= -O2 -g
ALL_CFLAGS = -std=gnu17 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -Ilib -pthread $(WARN) \
	-fstack-protector-strong $(CFLAGS)
# Empty for a build with sanitizers, which cannot be static.
STATIC ?= -static
ALL_LDFLAGS = -pthread -Wl,-z,relro,-z,now -Wl,--as-needed $(LDFLAGS)

# The five tools; the runtime, which is static, since containers depend on it; the script.
TOOLS = dm-fsdiff dm-predump dm-ship dm-restore dm-rollback
RUNTIME = dm-runtime
SCRIPT = bin/dm-migrate
COMPLETION = bin/dm-migrate.bash-completion
MAN1 = $(wildcard man/*.1)
MAN5 = $(wildcard man/*.5)
MAN7 = $(wildcard man/*.7)
MAN8 = $(wildcard man/*.8)

OBJ = $(patsubst %.c,$(BUILD)/%.o,$(wildcard lib/*/*.c))
LIB = $(BUILD)/libdm.a
LIBS = -larchive -lz -lzstd -lxxhash -ljansson -lcurl
MODULES = libarchive zlib libzstd libxxhash jansson libcurl
PACKAGES = gcc make pkg-config libarchive-dev zlib1g-dev libzstd-dev libxxhash-dev \
	libjansson-dev libcurl4-openssl-dev

# What runs inside the containers of the live tests: static, on libc alone.
LOADS = workload redis-writer tree
LOAD_OBJ = $(patsubst %.c,$(BUILD)/%.o,$(filter-out $(LOADS:%=tests/workload/%.c),\
	$(wildcard tests/workload/*.c)))

UNIT = $(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(wildcard tests/unit/*_test.c))
# It makes streams for the tests of the programs.
MAKE_STREAM = $(BUILD)/tests/make_stream

# Fuzz targets, made by "make fuzz" with clang's libFuzzer; some get in between two functions.
FUZZ = $(patsubst tests/fuzz/%_fuzz.c,$(BUILD)/targets/%,$(wildcard tests/fuzz/*_fuzz.c))
FUZZ_OBJ = $(patsubst %.c,$(BUILD)/%.o,$(filter-out %_fuzz.c,$(wildcard tests/fuzz/*.c)))
FUZZ_LIB = $(BUILD)/libfuzz.a
FUZZ_FLAGS = -O1 -g -fno-sanitize-recover=all -fsanitize=fuzzer-no-link,address,undefined
$(BUILD)/targets/stream: WRAP = malloc free dm_read_full
$(BUILD)/targets/store: WRAP = malloc free dm_read_full sysinfo dm_state_finish
$(BUILD)/targets/ship: WRAP = malloc free dm_source_full dm_codec_unpack \
	pthread_create pthread_join
$(BUILD)/targets/archive: WRAP = calloc free pthread_create pthread_join
$(BUILD)/targets/receipts: WRAP = dm_thaw dm_release dm_presence dm_child_run
$(BUILD)/targets/documents: WRAP = dm_engine_call dm_engine_do dm_engine_version dm_cgroup_of \
	dm_tasks_list dm_child_run dm_read_file dm_binds_kind

all: $(TOOLS:%=$(BUILD)/%) $(BUILD)/$(RUNTIME)

help:
	@echo 'make            build the tools into $(BUILD)/'
	@echo 'make install    install them and the manual under PREFIX=$(PREFIX), into DESTDIR='
	@echo 'make uninstall  remove them again'
	@echo 'make deb        build a Debian package into $(BUILD)/'
	@echo 'make dist       make a source archive in $(BUILD)/, of the last commit'
	@echo 'make test       run all tests; as root: they make hosts of their own'
	@echo 'make check      the tests that need no hosts: unit and command line'
	@echo 'make fuzz       feed the readers with invented bytes, each for FUZZ_SECONDS=60'
	@echo 'make demo       move a Redis under writes between two hosts made on this machine'
	@echo 'make bench      compare the move with the ways of Docker and podman'
	@echo 'make format     format all C'
	@echo 'make lint       check formatting, scripts and manual'
	@echo 'make clean      remove $(BUILD)/'

$(TOOLS:%=$(BUILD)/%): $(BUILD)/%: $(BUILD)/bin/%.o $(LIB)
	$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/$(RUNTIME): $(BUILD)/bin/$(RUNTIME).o $(LIB)
	$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) $(STATIC) -o $@ $^ -ljansson

$(LIB): $(OBJ)
	@rm -f $@
	$(AR) rcs $@ $^

$(BUILD)/%.o: %.c $(BUILD)/.packages
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/tests/%: tests/unit/%.c $(LIB)
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -Itests/unit $(ALL_LDFLAGS) -MMD -MP -o $@ $< $(LIB) $(LIBS)

$(MAKE_STREAM): tests/streams/make_stream.c $(LIB)
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -MMD -MP -o $@ $< $(LIB) $(LIBS)

$(LOADS:%=$(BUILD)/loads/%): $(BUILD)/loads/%: $(BUILD)/tests/workload/%.o $(LOAD_OBJ) $(LIB)
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) $(STATIC) -o $@ $^

$(FUZZ_LIB): $(FUZZ_OBJ)
	@rm -f $@
	$(AR) rcs $@ $^

$(FUZZ): $(BUILD)/targets/%: $(BUILD)/tests/fuzz/%_fuzz.o $(FUZZ_LIB) $(LIB)
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -fsanitize=fuzzer $(WRAP:%=-Wl,--wrap=%) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

# A missing library is told once, with the packages that bring it.
$(BUILD)/.packages:
	@mkdir -p $(@D)
	@{ command -v $(PKG_CONFIG) && $(PKG_CONFIG) --exists $(MODULES); } >/dev/null || { \
		echo 'make: a build package is missing; on Debian: apt-get install $(PACKAGES)' >&2; \
		exit 1; }
	@touch $@

# It notes what each command of the benchmark costs.
$(BUILD)/bench/spent: $(BUILD)/tests/bench/spent.o
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) $(STATIC) -o $@ $^

install: all
	install -d $(DESTDIR)$(SBINDIR) $(DESTDIR)$(MANDIR)/man1 $(DESTDIR)$(MANDIR)/man5 \
		$(DESTDIR)$(MANDIR)/man7 $(DESTDIR)$(MANDIR)/man8
	install $(TOOLS:%=$(BUILD)/%) $(BUILD)/$(RUNTIME) $(SCRIPT) $(DESTDIR)$(SBINDIR)/
	$(if $(MAN1),install -m 644 $(MAN1) $(DESTDIR)$(MANDIR)/man1/)
	$(if $(MAN5),install -m 644 $(MAN5) $(DESTDIR)$(MANDIR)/man5/)
	$(if $(MAN7),install -m 644 $(MAN7) $(DESTDIR)$(MANDIR)/man7/)
	$(if $(MAN8),install -m 644 $(MAN8) $(DESTDIR)$(MANDIR)/man8/)
	install -d $(DESTDIR)$(COMPDIR)
	install -m 644 $(COMPLETION) $(DESTDIR)$(COMPDIR)/$(notdir $(SCRIPT))
	for t in $(TOOLS); do ln -sf $(notdir $(SCRIPT)) $(DESTDIR)$(COMPDIR)/$$t || exit 1; done

uninstall:
	rm -f $(patsubst %,$(DESTDIR)$(SBINDIR)/%,$(TOOLS) $(RUNTIME) $(notdir $(SCRIPT)))
	rm -f $(patsubst %,$(DESTDIR)$(COMPDIR)/%,$(TOOLS) $(notdir $(SCRIPT)))
	rm -f $(patsubst man/%,$(DESTDIR)$(MANDIR)/man1/%,$(MAN1)) \
		$(patsubst man/%,$(DESTDIR)$(MANDIR)/man5/%,$(MAN5)) \
		$(patsubst man/%,$(DESTDIR)$(MANDIR)/man7/%,$(MAN7)) \
		$(patsubst man/%,$(DESTDIR)$(MANDIR)/man8/%,$(MAN8))

deb:
	@.deb/build $(BUILD) $(VERSION)

# The same bytes for the same commit.
dist:
	@mkdir -p $(BUILD)
	git -c tar.umask=0022 -c tar.tar.gz.command='gzip -9n' archive \
		--prefix=docker-migrate-$(VERSION)/ -o $(BUILD)/docker-migrate-$(VERSION).tar.gz HEAD

unit: $(UNIT) $(MAKE_STREAM)

loads: $(LOADS:%=$(BUILD)/loads/%)

check: all unit loads
	BUILD=$(BUILD) tests/run unit cli

test:
	tests/all

targets: $(FUZZ)

fuzzers:
	$(MAKE) CC=clang BUILD=$(BUILD)/fuzz STATIC= CFLAGS='$(FUZZ_FLAGS)' targets

fuzz: fuzzers
	BUILD=$(BUILD)/fuzz tests/fuzz/run

demo:
	tests/demo

bench:
	BUILD=$(BUILD) tests/bench/run

C_FILES = $(wildcard bin/*.c lib/*/*.[ch] tests/*/*.[ch])

format:
	clang-format -i $(C_FILES)

# Other versions of clang-format set some lines in another way: 14 is the reference.
lint:
	@case "$$(clang-format --version)" in \
	*'version 14.'*) clang-format --dry-run -Werror $(C_FILES) ;; \
	*) echo 'skip - formatting: it is checked with clang-format 14' ;; \
	esac
	@shellcheck -x $$(grep -rlE '^(#!/bin/(ba)?sh|# shellcheck shell=)' .ci .deb bin examples tests)
	mandoc -Tlint -Wwarning $(MAN1) $(MAN5) $(MAN7) $(MAN8)

clean:
	rm -rf $(BUILD)

.PHONY: all help install uninstall deb dist unit loads check test targets fuzzers fuzz demo bench format lint clean
-include $(OBJ:.o=.d) $(patsubst %,$(BUILD)/bin/%.d,$(TOOLS) $(RUNTIME)) $(UNIT:%=%.d) \
	$(MAKE_STREAM).d $(LOAD_OBJ:.o=.d) \
	$(patsubst %.c,$(BUILD)/%.d,$(wildcard tests/fuzz/*.c)) $(BUILD)/tests/bench/spent.d
