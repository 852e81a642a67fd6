# The host FPU files: nothing may be contracted, reordered or turned into a call that sets errno.
FP_EXACT := -fno-fast-math -ffp-contract=off -fno-math-errno
CFLAGS_src_fp_fp_s := $(FP_EXACT)
CFLAGS_src_fp_fp_d := $(FP_EXACT)
CFLAGS_src_fp_fp_cvt := $(FP_EXACT)
CFLAGS_src_fp_fp_test := $(FP_EXACT) -frounding-math

.PHONY: bench-fp
FP_OBJ := $(patsubst %.c,$O/obj/%.o,$(filter-out %_test.c,$(wildcard src/fp/*.c)))
$O/bench-fp: $O/obj/test/bench/fp.o $(FP_OBJ)
	$Q$(CC) $(SAN) -o $@ $^
bench-fp: $O/bench-fp
	$<
