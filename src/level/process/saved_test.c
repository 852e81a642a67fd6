/* SPDX-License-Identifier: Apache-2.0 */
/* States of older versions: what they do not say. */
#include "level/process/saved.h"
#include "test/test.h"

/* @t without the fields that came later than version @newest. */
static void fields_of(struct state_field *ret, const struct state_field *t, uint32_t newest)
{
	for (; t->name; t++)
		if (t->since <= newest)
			*ret++ = *t;
	*ret = *t;
}

static uint64_t vlen_loaded(uint64_t vlen, uint32_t version)
{
	static struct saved_process was, is;
	struct state_field t[64];
	struct save_out *o;
	struct save_in in;
	const uint8_t *p;
	size_t n;
	was = (struct saved_process){.threads = 1, .pid = 2, .vlen = vlen};
	fields_of(t, saved_process_fields, version);
	CHECK(save_out_new(&o, "process", NULL) == 0);
	save_out_fields(o, "process", t, &was);
	CHECK(save_out_bytes(o, &p, &n, NULL) == 0);
	CHECK(save_in_parse(&in, p, n, NULL) == 0);
	CHECK(saved_load(&in, &is, NULL) == 0);
	CHECK(is.pid == 2 && is.threads == 1);
	save_out_free(o);
	return is.vlen;
}

TEST(saved_state_without_vlen_has_128)
{
	CHECK(vlen_loaded(512, 1) == 128);
	CHECK(vlen_loaded(512, 2) == 512);
}
