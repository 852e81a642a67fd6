# The fetch script, inside the library.
$O/gen/fetch.gen.c: guest/fetch/debian.sh src/lib/fetch.mk
	@mkdir -p $(@D)
	@printf '%s\n' '#include "lib/lib.h"' \
	  '__asm__(".pushsection .rodata\n.balign 16\n.hidden fetch_script_begin\n.global fetch_script_begin\nfetch_script_begin: .incbin \"guest/fetch/debian.sh\"\n.hidden fetch_script_end\n.global fetch_script_end\nfetch_script_end:\n.popsection");' \
	  'extern const uint8_t fetch_script_begin[], fetch_script_end[];' \
	  'const uint8_t *fetch_script(size_t *ret_len) { *ret_len = (size_t)(fetch_script_end - fetch_script_begin); return fetch_script_begin; }' > $@
SRC += $O/gen/fetch.gen.c
