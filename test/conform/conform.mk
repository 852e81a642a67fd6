# SPDX-License-Identifier: Apache-2.0
# Instructions against an emulator that Debian packages.
#   make conform          2,000,000 comparisons, and as many of V; conform-smoke a tenth of that
#   CONFORM_SEED=n        other programs            CONFORM_ARGS=...      see test/conform/rvdiff.c
# The oracle is Debian 13's qemu-user, fetched once (test/conform/fetch-oracle); where that cannot
# be had, the host's, and what it does not know is skipped and said.
CONFORM_SEED ?= 1
CONFORM_ARGS ?=
CF           := $O/conform
CF_OBJ       := $(patsubst %.c,$O/obj/test/conform/%.o,rvdiff.c program.c vector.c values.c oracle.c lodge.c)
CF_ROOMS     := base host mem bus fp ir isa jit engine
CF_SRC       := $(filter $(foreach r,$(CF_ROOMS),src/$r/%) $O/gen/%,$(SRC))
CF_LIB       := $(CF_SRC:%.c=$O/obj/%.o)
RV_FLAGS     := -O2 -Wall -Wextra -Werror -I.

.PHONY: conform conform-smoke
$(CF)/rvdiff: $(CF_OBJ) $(CF_LIB)
	@mkdir -p $(@D)
	$Q$(CC) $(SAN) -o $@ $^ $(LIBS)
$(CF)/blob.bin: test/conform/guest.S test/conform/blob.c test/conform/guest.h
	@mkdir -p $(@D)
	$Q$(RVCC) $(RV_FLAGS) -march=rv64gc -mcmodel=medany -ffreestanding -fno-pic -fno-stack-protector \
		-nostdlib -static -Wl,--no-relax -Wl,--build-id=none -Wl,-e,0x80080000 \
		-Wl,--section-start=.entry=0x80080000 -Wl,-Ttext=0x80080040 \
		-o $(CF)/blob.elf test/conform/guest.S test/conform/blob.c
	$Qriscv64-linux-gnu-objcopy -O binary -j .entry -j .text $(CF)/blob.elf $@
$(CF)/runner: test/conform/runner.c test/conform/guest.h
	@mkdir -p $(@D)
	$Q$(RVCC) $(RV_FLAGS) -static -o $@ $<

CONFORM_RUN = oracle=$$(test/conform/fetch-oracle || command -v qemu-riscv64-static || \
	command -v qemu-riscv64) || { echo "conform: skipped, no qemu-riscv64 to compare with"; exit 0; }; \
	$(CF)/rvdiff -s $(CONFORM_SEED) $(CONFORM_ARGS)
conform: $(CF)/rvdiff $(CF)/blob.bin $(CF)/runner
	@for e in interpret translate; do $(CONFORM_RUN) -e $$e -n 2000000 $$oracle \
		$(CF)/runner $(CF)/blob.bin || exit 1; done
	@for v in '128 -e interpret' '128 -e translate -t 1' '256 -e translate' '512 -e translate' \
		'512 -e translate -t 1'; do \
		$(CONFORM_RUN) -n 500000 -v $$v $$oracle $(CF)/runner $(CF)/blob.bin || exit 1; done
conform-smoke: $(CF)/rvdiff $(CF)/blob.bin $(CF)/runner
	@for e in interpret translate 'translate -t 1'; do $(CONFORM_RUN) -e $$e -n 200000 $$oracle \
		$(CF)/runner $(CF)/blob.bin || exit 1; done
	@for v in '128 -e translate' '512 -e interpret'; do \
		$(CONFORM_RUN) -n 110000 -v $$v $$oracle $(CF)/runner $(CF)/blob.bin || exit 1; done

-include $(CF_OBJ:.o=.d)
