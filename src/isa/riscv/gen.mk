# The instruction table and the interpreter's bodies, made on the build machine.
G       := $O/gen
GEN     += $G/rv_insn.gen.h
SRC     += $G/rv_insn.gen.c
HOSTGEN := -std=gnu17 -D_GNU_SOURCE -O1 -Isrc -Iinclude -I$G

$O/insngen: tools/insngen.c
	@mkdir -p $(@D)
	$Q$(CC) -std=gnu17 -D_GNU_SOURCE -O1 -Wall -Wextra -o $@ $<
$G/rv_insn.gen.h: src/isa/riscv/rv.insn $O/insngen
	@mkdir -p $(@D)
	$Q$O/insngen $< $@.tmp $G/rv_insn.gen.c && sed -i 's/rv_insn.gen.h.tmp/rv_insn.gen.h/' $G/rv_insn.gen.c && mv $@.tmp $@
$G/rv_insn.gen.c: $G/rv_insn.gen.h

INTERPGEN_SRC := tools/interpgen.c src/ir/ir.c $(wildcard src/isa/riscv/sem*.c)
$O/interpgen: $(INTERPGEN_SRC) $G/rv_insn.gen.h $(wildcard src/ir/*.def src/ir/*.h src/isa/riscv/*.h src/isa/riscv/*.def)
	$Q$(CC) $(HOSTGEN) -o $@ $(INTERPGEN_SRC)
$G/rv_exec.gen.h: $O/interpgen
	$Q$O/interpgen $@.tmp && mv $@.tmp $@
GEN     += $G/rv_exec.gen.h

# Kernels of V look at registers as arrays of every type; loops over whole groups want wide registers.
VEC_FLAGS := -O3 -fno-strict-aliasing
CFLAGS_src_isa_riscv_vec_int := $(VEC_FLAGS)
CFLAGS_src_isa_riscv_vec_fp := -fno-strict-aliasing
CFLAGS_src_isa_riscv_vec_fixed := -fno-strict-aliasing
CFLAGS_src_isa_riscv_vec_estimate := -fno-strict-aliasing
