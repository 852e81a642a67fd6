# The image that each program finds by AT_SYSINFO_EHDR, inside the library.
$O/gen/vdso.gen.c: $(BUILD)/guest/vdso.so
	@mkdir -p $(@D)
	@printf '%s\n' '#include "level/process/internal.h"' \
	  '__asm__(".pushsection .rodata\n.balign 16\n.hidden vdso_begin\n.global vdso_begin\nvdso_begin: .incbin \"$(BUILD)/guest/vdso.so\"\n.hidden vdso_end\n.global vdso_end\nvdso_end:\n.popsection");' \
	  'extern const uint8_t vdso_begin[], vdso_end[];' \
	  'const uint8_t *vdso_image(uint64_t *ret_len) { *ret_len = (uint64_t)(vdso_end - vdso_begin); return vdso_begin; }' > $@
SRC += $O/gen/vdso.gen.c
