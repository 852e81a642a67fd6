# amocas.q needs the 16-byte compare-and-swap, which x86-64 compilers use only when asked.
ifeq ($(shell uname -m),x86_64)
CFLAGS_src_isa_riscv_helpers_mem := -mcx16
endif
