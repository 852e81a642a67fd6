/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz: config.json and state.json of a damaged folder, and every text that a user may write. */
#include "life/internal.h"

static void fuzz_config(const char *text, size_t len)
{
	struct json_object *doc = NULL;
	struct life_config *lc = NULL;
	if (json_parse(&doc, text, len, NULL) < 0 || life_config_load(&lc, doc, NULL) < 0)
		return;
	/* What was loaded can be written and loaded again. */
	struct life_config *again = NULL;
	int r = life_config_load(&again, life_config_json(&lc->c), NULL);
	assert(r == 0 && again->c.memory == lc->c.memory && again->c.ndisks == lc->c.ndisks);
	life_config_free(again);
	life_config_free(lc);
}

static void fuzz_texts(const char *text)
{
	struct life_disk d;
	struct life_volume v;
	uint64_t n;
	if (life_disk_parse(&d, text, NULL) == 0)
		life_disk_fini(&d);
	if (life_volume_parse(&v, text, NULL) == 0)
		life_volume_fini(&v);
	if (life_parse_size(text, &n, NULL) == 0)
		assert(n <= INT64_MAX);
	if (life_parse_time(text, &n, NULL) == 0)
		assert(n <= INT64_MAX);
	uint32_t milli;
	struct json_object *changes = NULL;
	struct life_restart policy;
	struct lodge_config limits = {.size = sizeof limits, .cpus = 2};
	if (life_parse_cpus(text, &milli, NULL) == 0)
		assert(milli >= 1 && milli <= 1024000);
	if (life_restart_parse(text, &policy, NULL) == 0)
		assert(!policy.max || policy.after_failure);
	if (life_limits_parse(&text, 1, &changes, NULL) == 0 &&
	    life_limits_change(&limits, changes, 1 << 30, true, NULL) == 0)
		assert(life_limits_check(&limits, NULL) == 0 && limits.cpus == 2);
	json_object_put(changes);
	struct lodge_config c = {.size = sizeof c,
				 .guest = "demo",
				 .name = text,
				 .net = text,
				 .publish = &text,
				 .npublish = 1,
				 .env = &text,
				 .nenv = 1};
	if (life_config_check(&c, NULL) == 0)
		assert(life_name_good(text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct life_record rec;
	if (len > 4096)
		return 0;
	autofree char *text = calloc(1, len + 1);
	if (!text)
		return 0;
	memcpy(text, data, len);
	fuzz_config(text, len);
	if (life_record_parse(&rec, text, len, NULL) == 0)
		assert(rec.state < LIFE_COUNT && rec.exit_code >= 0 && rec.exit_code <= 255);
	fuzz_texts(text);
	return 0;
}
