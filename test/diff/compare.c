/* SPDX-License-Identifier: Apache-2.0 */
/* diff: what two rigs are left with: every field of a hart's state table, and all of RAM. */
#include "test/diff/diff.h"
#include <inttypes.h>
#include <stdio.h>

/* icount moves on while the engine looks whether it shall stop; the guest has written it down
 * before (SAVE_END). x[32] is what writes to x0 go to. */
static bool field_counts(const struct state_field *f) { return strcmp(f->name, "icount") != 0; }
static size_t field_size(const struct state_field *f)
{
	return strcmp(f->name, "x") ? f->size : 32 * sizeof(uint64_t);
}

static const void *field_at(const struct rv_hart *h, const struct state_field *f)
{
	return (const char *)h + f->off;
}

bool rigs_equal(const struct rig *a, const struct rig *b)
{
	const struct rv_hart *x = rig_hart(a), *y = rig_hart(b);
	for (const struct state_field *f = rv_hart_state; f->name; f++)
		if (field_counts(f) && memcmp(field_at(x, f), field_at(y, f), field_size(f)))
			return false;
	return rig_device_uses(a) == rig_device_uses(b) &&
	       !memcmp(rig_ram(a), rig_ram(b), RAM_SIZE);
}

static void field_show(const struct rv_hart *x, const struct rv_hart *y,
		       const struct state_field *f)
{
	const uint8_t *p = field_at(x, f), *q = field_at(y, f);
	size_t n = field_size(f), step = n % 8 == 0 ? 8 : n % 4 == 0 ? 4 : 1;
	for (size_t i = 0; i < n; i += step) {
		uint64_t v = 0, w = 0;
		memcpy(&v, p + i, step);
		memcpy(&w, q + i, step);
		if (v != w)
			printf("    %s%s%.0zu  %016" PRIx64 "  %016" PRIx64 "\n", f->name,
			       n > step ? " " : "", n > step ? i / step : 0, v, w);
	}
}

static const char *place_name(uint64_t at)
{
	return at < M_SAVE             ? "handler"
	       : at < S_SAVE           ? "M traps"
	       : at < TABLES           ? "S traps"
	       : at < TABLE_S          ? "page tables"
	       : at < CODE             ? "table"
	       : at < DATA             ? "code"
	       : at < DATA + DATA_SIZE ? "data"
				       : "other";
}

static void ram_show(const uint8_t *x, const uint8_t *y)
{
	unsigned shown = 0, all = 0;
	for (unsigned i = 0; i < RAM_SIZE; i += 8) {
		uint64_t v = le64_at(x + i), w = le64_at(y + i);
		if (v == w)
			continue;
		if (shown++ < 24)
			printf("    %08x  %016" PRIx64 "  %016" PRIx64 "  %s\n", RAM_AT + i, v, w,
			       place_name(RAM_AT + (uint64_t)i));
		all++;
	}
	if (all > shown)
		printf("    and %u more\n", all - shown);
}

static void record_show(const char *who, const uint8_t *at)
{
	printf("    %-7s cause %016" PRIx64 " epc %" PRIx64 " tval %" PRIx64 " minstret %" PRIu64
	       " status %" PRIx64 " ra %" PRIx64 " a0 %" PRIx64 " sp %" PRIx64 "\n",
	       who, le64_at(at), le64_at(at + 8), le64_at(at + 16), le64_at(at + 24),
	       le64_at(at + 32), le64_at(at + 40), le64_at(at + 48), le64_at(at + 56));
}

/* The first trap that the two wrote down differently, with the one before. */
static void traps_show(const char *mode, const uint8_t *x, const uint8_t *y)
{
	uint64_t n = le64_at(x + SAVE_COUNT), m = le64_at(y + SAVE_COUNT);
	if (n == m && le64_at(x + SAVE_SUM) == le64_at(y + SAVE_SUM))
		return;
	printf("  traps to %s: %" PRIu64 ", %" PRIu64 "\n", mode, n, m);
	uint64_t most = n > m ? n : m, i = most > RECORDS ? most - RECORDS : 0;
	for (; i < most; i++) {
		uint64_t off = SAVE_RECORD + 64 * (i % RECORDS);
		if (!memcmp(x + off, y + off, 64) && i < n && i < m)
			continue;
		uint64_t before = SAVE_RECORD + 64 * ((i + RECORDS - 1) % RECORDS);
		printf("  the first of them that differs is number %" PRIu64 "\n", i);
		if (i)
			record_show("before", x + before);
		record_show("first", x + off);
		record_show("second", y + off);
		return;
	}
}

void rigs_show(const struct program *p, const struct rig *a, const struct rig *b)
{
	const struct rv_hart *x = rig_hart(a), *y = rig_hart(b);
	(void)p;
	printf("  what differs, first engine and second:\n");
	for (const struct state_field *f = rv_hart_state; f->name; f++)
		if (field_counts(f))
			field_show(x, y, f);
	if (rig_device_uses(a) != rig_device_uses(b))
		printf("    device used %u, %u times\n", rig_device_uses(a), rig_device_uses(b));
	ram_show(rig_ram(a), rig_ram(b));
	traps_show("M", rig_ram(a) + (M_SAVE - RAM_AT), rig_ram(b) + (M_SAVE - RAM_AT));
	traps_show("S", rig_ram(a) + (S_SAVE - RAM_AT), rig_ram(b) + (S_SAVE - RAM_AT));
}
