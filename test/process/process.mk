# SPDX-License-Identifier: Apache-2.0
# Programs of system calls: each is compiled for this host and for riscv64, and must say the same
# natively and under Lodge.
#   make process                     all of them;  PROCESS_RUN="qemu-riscv64" make process: another oracle
P           := $(BUILD)/process
PROCESS_SRC := $(sort $(wildcard test/process/*.c))
PROCESS     := $(PROCESS_SRC:test/process/%.c=%)
# What they pass to calls is wrong on purpose.
PROCESS_FLAGS := -std=gnu17 -D_GNU_SOURCE -O1 -static -Wall -Wextra -Werror -Wno-nonnull \
                 -Wno-stringop-overflow -Wno-stringop-overread -Wno-array-bounds
.PHONY: process
process: $(PROCESS:%=$P/native/%) $(PROCESS:%=$P/riscv64/%) $(if $(PROCESS_RUN),,$O/lodge)
	@PROCESS_RUN="$(or $(PROCESS_RUN),$(abspath $O/lodge) run)" test/process/run $P
$P/native/%: test/process/%.c test/process/say.h
	@mkdir -p $(@D)
	$Q$(CC) $(PROCESS_FLAGS) -o $@ $<
$P/riscv64/%: test/process/%.c test/process/say.h
	@mkdir -p $(@D)
	$Q$(RVCC) $(PROCESS_FLAGS) -o $@ $<
