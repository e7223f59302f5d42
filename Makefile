# SPDX-License-Identifier: Apache-2.0
# docker-migrate: "make help" tells what can be made.

PREFIX ?= /usr/local
DESTDIR ?=
SBINDIR = $(PREFIX)/sbin
MANDIR = $(PREFIX)/share/man
BUILD ?= build
PKG_CONFIG ?= pkg-config

WARN = -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wmissing-prototypes -Wstrict-prototypes -Wvla -Werror
CFLAGS ?= -O2 -g
ALL_CFLAGS = -std=gnu17 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -Ilib -I$(BUILD)/lib $(WARN) \
	-fstack-protector-strong -MMD -MP $(CFLAGS)
ALL_LDFLAGS = -Wl,-z,relro,-z,now $(LDFLAGS)

PROGRAMS = dm-fsdiff dm-predump dm-ship dm-restore dm-rollback
SRC = $(wildcard lib/*/*.c)
OBJ = $(SRC:%.c=$(BUILD)/%.o)
LIB = $(BUILD)/libdm.a

PACKAGES = gcc make pkg-config libarchive-dev zlib1g-dev libzstd-dev libxxhash-dev libjansson-dev \
	libcurl4-openssl-dev
MODULES = libarchive zlib libzstd libxxhash jansson libcurl
LIBS = -larchive -lz -lzstd -lxxhash -ljansson -lcurl

all: $(PROGRAMS:%=$(BUILD)/%) $(BUILD)/dm-runtime

$(PROGRAMS:%=$(BUILD)/%): $(BUILD)/%: $(BUILD)/bin/%.o $(LIB)
	$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -Wl,--as-needed -o $@ $^ $(LIBS)

$(LIB): $(OBJ)
	rm -f $@
	$(AR) rcs $@ $^

$(BUILD)/%.o: %.c | $(BUILD)/.packages
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -c -o $@ $<

# A missing library is named once, with the packages that bring it.
$(BUILD)/.packages:
	@mkdir -p $(@D)
	@command -v $(PKG_CONFIG) >/dev/null && $(PKG_CONFIG) --exists $(MODULES) || { \
		echo "make: a build package is missing; on Debian: apt-get install $(PACKAGES)" >&2; exit 1; }
	@touch $@

clean:
	rm -rf $(BUILD)

.PHONY: all clean
-include $(OBJ:.o=.d) $(PROGRAMS:%=$(BUILD)/bin/%.d)
