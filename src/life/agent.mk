# The agent for guests, inside the library.
$O/gen/agent.gen.c: $(BUILD)/guest/lodge-agent src/life/agent.mk
	@mkdir -p $(@D)
	@printf '%s\n' '#include "life/life.h"' \
	  '__asm__(".pushsection .rodata\n.balign 16\n.hidden agent_program_begin\n.global agent_program_begin\nagent_program_begin: .incbin \"$(BUILD)/guest/lodge-agent\"\n.hidden agent_program_end\n.global agent_program_end\nagent_program_end:\n.popsection");' \
	  'extern const uint8_t agent_program_begin[], agent_program_end[];' \
	  'const uint8_t *agent_program(size_t *ret_len) { *ret_len = (size_t)(agent_program_end - agent_program_begin); return agent_program_begin; }' > $@
SRC += $O/gen/agent.gen.c
