# Threaded code is fast while every body ends with a jump of its own. clang takes what asm goto sets for unset.
CFLAGS_src_wasm_run := $(if $(findstring clang,$(shell $(CC) --version 2>/dev/null)),-Wno-conditional-uninitialized,-fno-gcse -fno-crossjumping)
# For all superinstructions sanitizers would take minutes; clang, too (super.def).
CFLAGS_src_wasm_run += $(if $m,-DSUPER_FEW)
CFLAGS_src_wasm_super := $(if $m,-DSUPER_FEW)
CFLAGS_src_wasm_super_test := $(if $m,-DSUPER_FEW)
