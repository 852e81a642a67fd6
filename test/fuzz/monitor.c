/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz: the log that podman's monitor keeps of a container, whose program says what is in it. The
 * first byte is what is asked for: how many lines of the end, times. */
#include "lib/lib.h"

static int fuzz_take(void *user, const void *data, size_t len)
{
	size_t *sum = user;
	for (size_t i = 0; i < len; i++) /* all of it is there */
		*sum += 1 + (((const volatile uint8_t *)data)[i] & 0);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	size_t sum = 0;
	if (len < 2)
		return 0;
	FILE *f = fmemopen((void *)(uintptr_t)(data + 1), len - 1, "r");
	if (!f)
		return 0;
	const struct lodge_logs_query q = {.size = sizeof q,
					   .tail = data[0] & 64 ? -1 : data[0] & 15,
					   .times = data[0] & 128,
					   .since_ns = data[0] & 32 ? 1000000000000000000u : 0};
	assert(monitor_log_show(f, &q, fuzz_take, &sum) == 0);
	assert(data[0] & 128 || sum <= len);
	fclose(f);
	return 0;
}
