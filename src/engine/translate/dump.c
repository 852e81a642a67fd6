/* SPDX-License-Identifier: Apache-2.0 */
/* A unit in the log, for people who work on the translator: each guest instruction, its IR, and the
 * host code that it became. Host code is taken apart by binutils' objdump, as a process; without
 * it, it is shown as bytes. */
#include "engine/translate/internal.h"
#include <stdio.h>
#include <sys/mman.h>

enum { LINE = 256, IR_TEXT = 8192 };

static void line_log(struct log *l, const char *prefix, char *text)
{
	for (char *save = NULL, *s = strtok_r(text, "\n", &save); s;
	     s = strtok_r(NULL, "\n", &save))
		log_at(l, LOG_INFO, "%s%s", prefix, s);
}

/* objdump of [code, code + len); NULL: there is none. The caller closes with pclose and the fd. */
static FILE *objdump(const uint8_t *code, size_t len, int *ret_fd)
{
	char command[160];
	int fd = memfd_create("lodge-dump", 0);
	if (fd < 0)
		return NULL;
	if (write(fd, code, len) != (ssize_t)len) {
		close(fd);
		return NULL;
	}
	snprintf(command, sizeof command,
		 "objdump -D -b binary -m i386:x86-64 /proc/%d/fd/%d 2>/dev/null", (int)getpid(),
		 fd);
	FILE *f = popen(command, "re");
	if (!f)
		close(fd);
	*ret_fd = fd;
	return f;
}

/* Lines of objdump whose address is below @end; the first one beyond stays in @line. */
static void host_lines(FILE *f, struct log *l, unsigned long end, char line[LINE])
{
	do {
		char *rest;
		unsigned long at = strtoul(line, &rest, 16);
		if (*rest != ':' || rest == line)
			continue;
		if (at >= end)
			return;
		const char *text = strchr(rest + 2, '\t');
		log_at(l, LOG_INFO, "        %4lx  %.*s", at,
		       (int)strcspn(text ? text + 1 : rest, "\n"), text ? text + 1 : rest);
	} while (fgets(line, LINE, f));
	line[0] = 0;
}

void unit_dump(struct rv_hart *h, const struct unit *u, const struct unit_text *t)
{
	struct translate *tr = h->engine;
	struct log *l = h->env->log;
	struct ir_ins room[IR_BLOCK_MAX];
	struct ir_block ir = { .ins = room, .max = IR_BLOCK_MAX };
	char *text = malloc(IR_TEXT), line[LINE] = "";
	int fd = -1;
	FILE *f = objdump(jit_cache_code(tr->cache, u->j.code), u->j.code_len, &fd);
	log_at(l, LOG_INFO, "unit at 0x%llx: %u instructions, %u bytes, %u bytes of host code",
	       (unsigned long long)h->pc, t->n, u->bytes, u->j.code_len);
	for (unsigned i = 0; text && i < t->n; i++) {
		uint64_t pc = h->pc + (t->pa[i] - u->j.pa);
		char asm_text[96];
		rv_disasm(t->insn[i].word, pc, asm_text, sizeof asm_text);
		log_at(l, LOG_INFO, "%llx  %s", (unsigned long long)pc, asm_text);
		rv_lift(&ir, &t->insn[i], t->pa[i], 0);
		if (ir_print(&ir, text, IR_TEXT) < IR_TEXT)
			line_log(l, "    ", text);
		if (f)
			host_lines(f, l, jit_insn_end(tr->gen, i), line);
	}
	log_at(l, LOG_INFO, "out of line:");
	if (f) {
		host_lines(f, l, UINT32_MAX, line);
		pclose(f);
		close(fd);
	}
	free(text);
}
