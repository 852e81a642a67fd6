# The demo guest, inside the library.
$O/gen/demo.gen.c: $(BUILD)/guest/demo.bin
	@mkdir -p $(@D)
	@printf '%s\n' '#include "level/machine/internal.h"' \
	  '__asm__(".pushsection .rodata\n.balign 16\n.hidden demo_guest_begin\n.global demo_guest_begin\ndemo_guest_begin: .incbin \"$(BUILD)/guest/demo.bin\"\n.hidden demo_guest_end\n.global demo_guest_end\ndemo_guest_end:\n.popsection");' \
	  'extern const uint8_t demo_guest_begin[], demo_guest_end[];' \
	  'const uint8_t *demo_image(uint64_t *ret_len) { *ret_len = (uint64_t)(demo_guest_end - demo_guest_begin); return demo_guest_begin; }' > $@
SRC += $O/gen/demo.gen.c
