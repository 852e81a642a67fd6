/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz the reader of saved state: any bytes are loaded or refused, and what was loaded is written
 * and read back to the same. */
#include "base/base.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct sample {
	uint8_t a;
	uint16_t b[3];
	uint64_t c;
	bool unsaved;
};
static const struct state_field sample_state[] = {
	STATE(struct sample, a, 1), STATE(struct sample, b, 1), STATE(struct sample, c, 2),
	STATE_END
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct sample s = { 0 }, t = { 0 };
	uint8_t buf[64];
	if (!state_load(sample_state, &s, data, len))
		return 0;
	size_t n = state_save(sample_state, &s, buf, sizeof buf);
	if (n > sizeof buf || !state_load(sample_state, &t, buf, n) || memcmp(&s, &t, sizeof s))
		abort();
	return 0;
}
