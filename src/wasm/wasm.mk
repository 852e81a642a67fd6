# Threaded code is fast while every body ends with a jump of its own.
CFLAGS_src_wasm_run := $(if $(findstring clang,$(shell $(CC) --version 2>/dev/null)),,-fno-gcse -fno-crossjumping)
