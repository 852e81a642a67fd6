/* SPDX-License-Identifier: Apache-2.0 */
/* The host's mathematics: loaded when a Windows program asks for a function of it, since few do.
 * Names are others, for in a program that has libm the library's own would be taken for ours. */
#include "win/internal.h"

#undef HOST_CALL
#define HOST_CALL(name)                                                                            \
	".pushsection .bss\nlibm_" #name "_at: .zero 8\n.popsection\n"                             \
	".pushsection .rodata\n.asciz \"" #name "\"\n.popsection\n"                                \
	".pushsection .text\n.globl libm_" #name "\n.hidden libm_" #name                           \
	"\n.type libm_" #name ", @function\nlibm_" #name ": jmp *libm_" #name "_at(%rip)\n"        \
	".size libm_" #name ", . - libm_" #name "\n.popsection\n"
#define M1(type, name) HOST_CALL(name)
#define M2(type, name) HOST_CALL(name)

__asm__(HOST_LIBRARY(win_libm)
#include "win/crt_math.def"
#include "win/libm.def"
        HOST_LIBRARY_END);
extern void *win_libm_at[];
extern const char win_libm_names[];

const struct host_library win_libm = {
	.file = WIN_LIBM,
	.package = "libc6",
	.at = win_libm_at,
	.names = win_libm_names,
};
