# The host FPU files: nothing may be contracted, reordered or turned into a call that sets errno.
FP_EXACT := -fno-fast-math -ffp-contract=off -fno-math-errno
CFLAGS_src_fp_fp_s := $(FP_EXACT)
CFLAGS_src_fp_fp_d := $(FP_EXACT)
CFLAGS_src_fp_fp_cvt := $(FP_EXACT)
CFLAGS_src_fp_fp_test := $(FP_EXACT) -frounding-math
