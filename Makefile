# SPDX-License-Identifier: Apache-2.0
# Lodge. A new .c file needs no edit here: rooms are globbed.
#   make build          build/lodge, build/lodge-riscv64, build/lodge-oci, build/liblodge.a, .so
#   make run            install what is needed, build, boot Debian's riscv64 kernel
#   make test           install, build, every check and test (what CI runs)
#   make unit           unit tests only;  make check: unit tests and the tools' checks
#   make bench          ratios side by side with the peers
#   make fuzz T=name    fuzz one target (FUZZ_SECONDS=60)
#   make m=asan|ubsan|tsan|cov ...   the same in another mode (own build folder)
CC      ?= cc
CLANG   ?= clang
RVCC    ?= riscv64-linux-gnu-gcc
V       ?=
Q       := $(if $V,,@)
COMMA   := ,
m       ?=
BUILD   := build
O       := $(BUILD)$(if $m,/$m)
PREFIX  ?= /usr/local
# libfdt ships no .pc file on Debian 12
PKGS    := liburing zlib json-c
# loaded when they are first wanted (src/host/library.c): only their headers are needed here
LATE    := slirp fuse3 libzstd libmicrohttpd libseccomp libcurl libcrypto libarchive
CFLAGS  ?= -O2 -g
SAN_asan  := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
SAN_ubsan := -fsanitize=undefined -fno-sanitize-recover=undefined
SAN_tsan  := -fsanitize=thread -DHOST_TSAN
SAN_cov   := --coverage -O0
SAN       := $(SAN_$m)
WARN    := -Wall -Wextra -Werror -Wshadow -Wconversion -Wcast-qual -Wswitch-enum -Wvla -Wundef \
           -Wstrict-prototypes -Wmissing-prototypes -Wimplicit-fallthrough -Wwrite-strings
WARN    += $(if $(findstring clang,$(shell $(CC) --version 2>/dev/null)),-Wconditional-uninitialized)
# gcc's thread sanitizer sees no fences: it may report what a fence orders, and must not stop at them
WARN    += $(if $(filter tsan,$m),$(if $(findstring clang,$(shell $(CC) --version 2>/dev/null)),,-Wno-tsan))
# nothing here is unwound at run time (debuggers have .debug_frame), and 300 KiB of each keeper were it
NOTABLES := -fno-unwind-tables -fno-asynchronous-unwind-tables
INC     := -Isrc -Iinclude -I. -I$O/gen
DEPINC  := $(shell pkg-config --cflags $(PKGS) $(LATE) 2>/dev/null | sed 's/-I/-isystem /g')
LIBS    := $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lfdt -lpthread
ALL     := -std=gnu17 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -fPIC -fvisibility=hidden \
           $(WARN) $(INC) $(DEPINC) $(CFLAGS) $(SAN) $(if $m,,$(NOTABLES) -ffunction-sections)

SRC     := $(sort $(shell find src -name '*.c' ! -name '*_test.c' ! -path 'src/cli/*' ! -path 'src/user/*' \
             ! -path 'src/alone/*'))
CLI     := $(sort $(wildcard src/cli/*.c))
USER    := $(sort $(wildcard src/user/*.c))
ALONE   := $(sort $(wildcard src/alone/*.c))
TST     := $(sort $(shell find src test -maxdepth 3 -name '*_test.c')) test/main.c
GEN     :=

.PHONY: all build run test unit tsan check checks bench clean packages
all: build
build: $O/lodge $O/lodge-riscv64 $O/lodge-oci $O/liblodge.a $O/liblodge.so

-include src/*/*.mk src/*/*/*.mk guest/*.mk test/*.mk test/*/*.mk
# In this order in the program: what a keeper or a process of a guest needs lies together, since the
# kernel maps pages around those that are touched.
NEAR    := $(filter-out src/isa/riscv/vec%,$(foreach r,base host isa ir engine jit mem linux \
             level/process lib box,$(filter src/$r/%,$(SRC))))
OBJ     := $(patsubst %.c,$O/obj/%.o,$(NEAR) $(filter-out $(NEAR),$(SRC)))
CLIOBJ  := $(CLI:%.c=$O/obj/%.o)
USEROBJ := $(USER:%.c=$O/obj/%.o)
ALONEOBJ := $(ALONE:%.c=$O/obj/%.o)
TSTOBJ  := $(TST:%.c=$O/obj/%.o)

$O/obj/%.o: %.c Makefile | $(GEN)
	@mkdir -p $(@D)
	$Q$(CC) $(ALL) $(CFLAGS_$(subst /,_,$*)) -MMD -MP -c -o $@ $<

# One object with only lodge_* left global: internal names stay short and never clash.
$O/liblodge.o: $(OBJ)
	$Q$(CC) -r -nostdlib -o $@.tmp $(OBJ)
	$Qobjcopy --wildcard --keep-global-symbol='lodge_*' $@.tmp $@ && rm -f $@.tmp
$O/liblodge.a: $O/liblodge.o
	$Qrm -f $@ && ar rcs $@ $<
$O/liblodge.so: $O/liblodge.o src/lib/exports.map
	$Q$(CC) -shared -Wl,-soname,liblodge.so.0 -Wl,--version-script=src/lib/exports.map $(SAN) -o $@ $< $(LIBS)
# Bound at the start: else each child of a fork would look the same names up again. Relocations that
# only add where it lies are a bitmap: as a list they are 200 KiB that each start reads.
LINK    := -Wl,-z,now -Wl,-z,pack-relative-relocs
# What other programs do not have in memory anyway is in it: each library is a dozen faults of every
# start, and as many calls.
INSIDE  := $(if $m,$(LIBS),-Wl$(COMMA)-Bstatic $(LIBS) -Wl$(COMMA)-Bdynamic)
# What the start of a program goes through lies together, too (tools/start-order): 200 functions in
# 2 pieces of 64 KiB, which is what the kernel maps around one that is touched, instead of in 20.
$O/gen/start.ld: src/start.order
	@mkdir -p $(@D)
	$Q(echo 'SECTIONS { .text.start : {'; \
	   sed -n 's/^[a-z_][a-z_0-9A-Z]*$$/*(.text.& .text.&.* .text.startup.&)/p' $<; \
	   echo '} } INSERT BEFORE .text;') >$@.tmp && mv $@.tmp $@
$O/lodge: $(CLIOBJ) $O/liblodge.a $(if $m,,$O/gen/start.ld)
	$Q$(CC) $(SAN) $(LINK) $(if $m,,-Wl$(COMMA)-T$(COMMA)$O/gen/start.ld) -o $@ $(CLIOBJ) $O/liblodge.a $(INSIDE)
# The kernel's interpreter of riscv64 programs (lodge binfmt): what the process level needs, and
# static, for in a chroot or a container no library of the host is there; at a random address, since
# those of the program have to be free. Sanitizers cannot be static.
$O/parts.a: $(OBJ)
	$Qrm -f $@ && ar qcs $@ $(OBJ)
$O/lodge-riscv64: $(USEROBJ) $O/parts.a
	$Q$(CC) $(SAN) $(LINK) $(if $m,,-static-pie) -o $@ $(USEROBJ) $O/parts.a $(LIBS)
# The runtime of containers: at a fixed address, which saves the work of moving it at every start.
# src/alone has libseccomp in it, so what would load that stays out.
$O/alone.a: $(OBJ)
	$Qrm -f $@ && ar qcs $@ $(filter-out $O/obj/src/box/seccomp.o,$(OBJ))
$O/lodge-oci: $(ALONEOBJ) $O/alone.a
	$Q$(CC) $(SAN) $(if $m,,-static -no-pie -Wl$(COMMA)--gc-sections) -o $@ $(ALONEOBJ) $O/alone.a \
	        $(LIBS) -lseccomp
$O/tests: $(OBJ) $(TSTOBJ)
	$Q$(CC) $(SAN) -o $@ $(OBJ) $(TSTOBJ) $(LIBS) -lm -lcmocka

unit: $O/tests
	$O/tests
# Takes minutes: not a part of test.
tsan:
	@$(MAKE) --no-print-directory m=tsan build unit $(BUILD)/tsan/diff/lockstep
	$(BUILD)/tsan/diff/lockstep -n 20 -t 3
	test/run/tsan.sh $(BUILD)/tsan/lodge
checks:
	tools/check-floors
	tools/check-size
	tools/check-spec
	tools/check-headers
	tools/check-order
check: build unit checks

packages:
	@tools/install-packages
test: packages
	@tools/run-tests
# A real guest: Debian's riscv64 kernel and a small initramfs of Debian's packages.
run:
	@tools/make-run $O/lodge

clean:
	rm -rf $(BUILD)

-include $(OBJ:.o=.d) $(CLIOBJ:.o=.d) $(USEROBJ:.o=.d) $(ALONEOBJ:.o=.d) $(TSTOBJ:.o=.d)
