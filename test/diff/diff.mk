# SPDX-License-Identifier: Apache-2.0
# Engines in lockstep: random programs run on two engines in one process, everything that they
# leave is compared.
#   make lockstep           every engine against the first: at least 10 million instructions each
#   make lockstep-smoke     a little of it
#   make lockstep-boot      Debian's kernel on every engine with counted time, checkpoints compared
#   LOCKSTEP_SEED=n         other programs      LOCKSTEP_ARGS=...    see test/diff/lockstep.c
LOCKSTEP_SEED ?= 1
LOCKSTEP_ARGS ?=
LS           := $O/diff
LS_OBJ       := $(patsubst %.c,$O/obj/%.o,$(wildcard test/diff/*.c)) $O/obj/test/conform/values.o
LS_LIB       := $(patsubst %.c,$O/obj/%.o,$(filter $(foreach r,$(CF_ROOMS),src/$r/%) $O/gen/%,$(SRC)))

.PHONY: lockstep lockstep-smoke lockstep-boot
# The handler as bytes of a C array.
$O/gen/diff_handler.gen.h: test/diff/handler.S test/diff/layout.h
	@mkdir -p $(@D) $(LS)
	$Q$(RVCC) -march=rv64gc_zifencei -ffreestanding -nostdlib -static -Wl,--no-relax \
		-Wl,--build-id=none -Wl,-e,0x80000000 -Wl,--section-start=.m_mode=0x80000000 \
		-Wl,--section-start=.s_mode=0x80001000 -o $(LS)/handler.elf $<
	$Qriscv64-linux-gnu-objcopy -O binary -j .m_mode -j .s_mode $(LS)/handler.elf $(LS)/handler.bin
	$Qod -An -v -tu1 $(LS)/handler.bin | sed 's/\([0-9][0-9]*\)/\1,/g' >$@.tmp && mv $@.tmp $@
$O/obj/test/diff/pages.o: $O/gen/diff_handler.gen.h
$(LS)/lockstep: $(LS_OBJ) $(LS_LIB)
	@mkdir -p $(@D)
	$Q$(CC) $(SAN) -o $@ $^ $(LIBS)

lockstep: $(LS)/lockstep
	$(LS)/lockstep -s $(LOCKSTEP_SEED) -n 4000 $(LOCKSTEP_ARGS)
	$(LS)/lockstep -s $(LOCKSTEP_SEED) -n 2000 -t 1 $(LOCKSTEP_ARGS)
	$(LS)/lockstep -s $(LOCKSTEP_SEED) -n 2000 -t 3 $(LOCKSTEP_ARGS)
	$(LS)/lockstep -s $(LOCKSTEP_SEED) -n 1000 -t 1 -l 256 $(LOCKSTEP_ARGS)
	$(LS)/lockstep -s $(LOCKSTEP_SEED) -n 1000 -t 1 -l 512 $(LOCKSTEP_ARGS)
	$(LS)/lockstep -s $(LOCKSTEP_SEED) -n 1000 -t 1 -l 512 -w $(LOCKSTEP_ARGS)
lockstep-smoke: $(LS)/lockstep
	$(LS)/lockstep -s $(LOCKSTEP_SEED) -n 200 $(LOCKSTEP_ARGS)
	$(LS)/lockstep -s $(LOCKSTEP_SEED) -n 200 -t 1 $(LOCKSTEP_ARGS)
	$(LS)/lockstep -s $(LOCKSTEP_SEED) -n 300 -t 3 $(LOCKSTEP_ARGS)
	$(LS)/lockstep -s $(LOCKSTEP_SEED) -n 100 -t 1 -l 512 $(LOCKSTEP_ARGS)
lockstep-boot: $O/lodge
	test/diff/boot $O/lodge
-include $(LS_OBJ:.o=.d)
