/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz: programs of classic BPF that a guest installs: those that are found sound must end, inside
 * of themselves and of the data. The first 64 bytes are the data. */
#include "level/process/internal.h"
#include <linux/filter.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	enum { DATA = 64 };
	if (len < DATA)
		return 0;
	size_t n = (len - DATA) / sizeof(struct sock_filter);
	/* exactly as large as they are, so that the sanitizer sees a step outside */
	struct sock_filter *code = malloc(n * sizeof *code + !n);
	uint8_t *call = malloc(DATA);
	if (code && call) {
		memcpy(call, data, DATA);
		memcpy(code, data + DATA, n * sizeof *code);
		for (size_t i = 0; i < n; i++) /* most random codes are none */
			code[i].code &= 0xff;
		if (seccomp_sound(code, (unsigned)min_u64(n, 65535)))
			(void)seccomp_eval(code, call);
	}
	free(code);
	free(call);
	return 0;
}
