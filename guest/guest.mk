# SPDX-License-Identifier: Apache-2.0
# What runs inside guests, built for riscv64. The top Makefile includes this and sets BUILD.
#   $(BUILD)/guest/demo.bin      the demo guest, a flat image with a Linux header
#   $(BUILD)/guest/lodge-agent   the agent of `lodge exec`, a static program
#   $(BUILD)/guest/vdso.so       what programs of the process level find by AT_SYSINFO_EHDR
BUILD ?= build
GUEST_CROSS ?= riscv64-linux-gnu-
GUEST_CC = $(GUEST_CROSS)gcc
GUEST_WARN = -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Werror

GUEST_DEMO_OBJ = $(patsubst %,$(BUILD)/guest/obj/%.o,$(wildcard guest/demo/*.c guest/demo/*.S))
GUEST_DEMO_FLAGS = -ffreestanding -fpie -mcmodel=medany -mabi=lp64 -fno-stack-protector \
	-fno-builtin -fno-asynchronous-unwind-tables -fvisibility=hidden
$(BUILD)/guest/obj/guest/demo/%.c.o: guest/demo/%.c guest/demo/demo.h guest/guest.mk
	@mkdir -p $(@D)
	$(GUEST_CC) -std=gnu17 -O2 -march=rv64imac_zicsr_zifencei $(GUEST_DEMO_FLAGS) $(GUEST_WARN) -c -o $@ $<
$(BUILD)/guest/obj/guest/demo/%.S.o: guest/demo/%.S guest/guest.mk
	@mkdir -p $(@D)
	$(GUEST_CC) -march=rv64gc $(GUEST_DEMO_FLAGS) -c -o $@ $<
$(BUILD)/guest/demo.elf: $(GUEST_DEMO_OBJ) guest/demo/demo.ld
	$(GUEST_CC) -nostdlib -static-pie -mabi=lp64 -Wl,--no-dynamic-linker,--no-warn-rwx-segments,-z,norelro,--build-id=none,-T,guest/demo/demo.ld \
		-o $@ $(GUEST_DEMO_OBJ)
$(BUILD)/guest/demo.bin: $(BUILD)/guest/demo.elf
	$(GUEST_CROSS)objcopy -O binary -j .text -j .rodata -j .rela.dyn -j .data $< $@.tmp
	mv $@.tmp $@

GUEST_AGENT_SRC = $(filter-out %_test.c,$(wildcard guest/agent/*.c))
$(BUILD)/guest/lodge-agent: $(GUEST_AGENT_SRC) guest/agent/agent.h src/life/agent_proto.h guest/guest.mk
	@mkdir -p $(@D)
	$(GUEST_CC) -std=gnu17 -Os -static -Isrc -ffunction-sections -fdata-sections $(GUEST_WARN) \
		-Wl,--gc-sections -s -o $@ $(GUEST_AGENT_SRC)

$(BUILD)/guest/vdso.so: guest/vdso/vdso.S guest/vdso/vdso.ld guest/guest.mk
	@mkdir -p $(@D)
	$(GUEST_CC) -march=rv64gc -mabi=lp64d -nostdlib -shared -s -Wl,-soname=linux-vdso.so.1,--hash-style=both \
		-Wl,--build-id=none,--eh-frame-hdr,-Bsymbolic,-z,max-page-size=4096,-T,guest/vdso/vdso.ld -o $@ $<

GUEST_OUT = $(BUILD)/guest/demo.bin $(BUILD)/guest/lodge-agent $(BUILD)/guest/vdso.so
.PHONY: guest
guest: $(GUEST_OUT)
