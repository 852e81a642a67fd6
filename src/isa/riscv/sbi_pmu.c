/* SPDX-License-Identifier: Apache-2.0 */
/* SBI performance counters. Logical counters: 0 cycle and 2 instret (the CSRs; 1 would be time
 * and is none), 3 to 18 firmware counters, which count what the built-in SBI does. SBI 2.0 §11 */
#include "isa/riscv/priv.h"

enum {
	HW_COUNTERS = 3,
	COUNTERS = HW_COUNTERS + RV_SBI_FW_COUNTERS,
	EVENT_CYCLES = 1,
	EVENT_INSTRET = 2,
	EVENT_FIRMWARE = 0xf,
};

static bool counter_exists(uint64_t i) { return i < COUNTERS && i != 1; }

void rv_sbi_count(struct rv_hart *h, enum sbi_fw_event ev)
{
	for (uint32_t left = h->fw_running; left; left &= left - 1) {
		unsigned i = (unsigned)__builtin_ctz(left);
		if (h->fw_event[i] == (uint32_t)ev)
			h->fw_value[i]++;
	}
}

static bool fw_event_counts(uint32_t code)
{
	return code == SBI_FW_SET_TIMER || code == SBI_FW_IPI_SENT ||
	       (code >= SBI_FW_FENCE_I_SENT && code <= SBI_FW_SFENCE_ASID_RECEIVED);
}

/* The counters of (a0 base, a1 mask) as one mask; false: one of them does not exist. */
static bool counters_named(const struct rv_hart *h, uint32_t *ret)
{
	uint64_t base = sbi_arg(h, 0), mask = sbi_arg(h, 1);
	*ret = 0;
	for (uint64_t left = mask; left; left &= left - 1) {
		uint64_t i = base + (unsigned)__builtin_ctzll(left);
		if (i < base || !counter_exists(i))
			return false;
		*ret |= 1u << i;
	}
	return mask != 0;
}

static bool counter_running(const struct rv_hart *h, unsigned i)
{
	return i < HW_COUNTERS ? h->hw_running >> i & 1 : h->fw_running >> (i - HW_COUNTERS) & 1;
}

static void counter_set(struct rv_hart *h, unsigned i, uint64_t v)
{
	if (i < HW_COUNTERS)
		rv_counter_write(h, i, v);
	else
		h->fw_value[i - HW_COUNTERS] = v;
}

static void counter_run(struct rv_hart *h, unsigned i, bool on)
{
	if (i < HW_COUNTERS) {
		h->hw_running = on ? h->hw_running | 1u << i : h->hw_running & ~(1u << i);
		rv_counter_inhibit(h, on ? h->mcountinhibit & ~BIT(i) : h->mcountinhibit | BIT(i));
	} else {
		uint32_t bit = 1u << (i - HW_COUNTERS);
		h->fw_running = on ? h->fw_running | bit : h->fw_running & ~bit;
	}
}

/* Not configured any more: cycle and instret then run freely for whoever reads the CSRs. */
static void counter_release(struct rv_hart *h, unsigned i)
{
	if (i < HW_COUNTERS) {
		h->hw_used &= ~(1u << i);
		rv_counter_inhibit(h, h->mcountinhibit & ~BIT(i));
	} else {
		h->fw_used &= ~(1u << (i - HW_COUNTERS));
	}
}

/* A free counter out of @named that can count @event; COUNTERS: none. */
static unsigned counter_find(const struct rv_hart *h, uint32_t named, uint32_t event)
{
	uint32_t type = event >> 16, code = event & 0xffff;
	uint32_t free_hw = named & ~h->hw_used, free_fw = named >> HW_COUNTERS & ~h->fw_used;
	if (event == EVENT_CYCLES && free_hw & 1)
		return 0;
	if (event == EVENT_INSTRET && free_hw & 4)
		return 2;
	if (type == EVENT_FIRMWARE && fw_event_counts(code) && free_fw)
		return HW_COUNTERS + (unsigned)__builtin_ctz(free_fw);
	return COUNTERS;
}

static struct sbi_ret pmu_configure(struct rv_hart *h)
{
	enum { SKIP_MATCH = 1, CLEAR_VALUE = 2, AUTO_START = 4, FLAGS = 0xff };
	uint64_t flags = sbi_arg(h, 2), event = sbi_arg(h, 3);
	uint32_t named;
	if (!counters_named(h, &named) || flags & ~(uint64_t)FLAGS || event >> 20)
		return sbi_ret(SBI_INVALID_PARAM, 0);
	unsigned i = flags & SKIP_MATCH ? (unsigned)__builtin_ctz(named)
					: counter_find(h, named, (uint32_t)event);
	if (i == COUNTERS)
		return sbi_ret(SBI_NOT_SUPPORTED, 0);
	if (i < HW_COUNTERS) {
		h->hw_used |= 1u << i;
	} else {
		h->fw_used |= 1u << (i - HW_COUNTERS);
		if (!(flags & SKIP_MATCH))
			h->fw_event[i - HW_COUNTERS] = event & 0xffff;
	}
	if (!counter_running(h, i))
		counter_run(h, i, false);
	if (flags & CLEAR_VALUE)
		counter_set(h, i, 0);
	if (flags & AUTO_START)
		counter_run(h, i, true);
	return sbi_ret(SBI_OK, i);
}

static struct sbi_ret pmu_start(struct rv_hart *h)
{
	enum { SET_VALUE = 1 };
	enum sbi_error e = SBI_OK;
	uint32_t named;
	if (!counters_named(h, &named) || sbi_arg(h, 2) & ~(uint64_t)SET_VALUE)
		return sbi_ret(SBI_INVALID_PARAM, 0);
	for (; named; named &= named - 1) {
		unsigned i = (unsigned)__builtin_ctz(named);
		if (counter_running(h, i)) {
			e = SBI_ALREADY_STARTED;
			continue;
		}
		counter_run(h, i, true);
		if (sbi_arg(h, 2) & SET_VALUE)
			counter_set(h, i, sbi_arg(h, 3));
	}
	return sbi_ret(e, 0);
}

static struct sbi_ret pmu_stop(struct rv_hart *h)
{
	enum { RESET = 1 };
	enum sbi_error e = SBI_OK;
	uint32_t named;
	if (!counters_named(h, &named) || sbi_arg(h, 2) & ~(uint64_t)RESET)
		return sbi_ret(SBI_INVALID_PARAM, 0);
	for (; named; named &= named - 1) {
		unsigned i = (unsigned)__builtin_ctz(named);
		if (counter_running(h, i))
			counter_run(h, i, false);
		else
			e = SBI_ALREADY_STOPPED;
		if (sbi_arg(h, 2) & RESET)
			counter_release(h, i);
	}
	return sbi_ret(e, 0);
}

/* Bits 0-11 the CSR, 12-17 its width less one, 63 set for a firmware counter. */
static struct sbi_ret pmu_info(const struct rv_hart *h)
{
	uint64_t i = sbi_arg(h, 0);
	if (!counter_exists(i))
		return sbi_ret(SBI_INVALID_PARAM, 0);
	return sbi_ret(SBI_OK, i < HW_COUNTERS ? (0xc00 + i) | 63 << 12 : BIT(63));
}

static struct sbi_ret pmu_read(const struct rv_hart *h)
{
	uint64_t i = sbi_arg(h, 0);
	if (i < HW_COUNTERS || i >= COUNTERS)
		return sbi_ret(SBI_INVALID_PARAM, 0);
	return sbi_ret(SBI_OK, h->fw_value[i - HW_COUNTERS]);
}

struct sbi_ret rv_sbi_pmu(struct rv_hart *h, uint64_t fn)
{
	enum { NUM_COUNTERS, GET_INFO, CONFIGURE, START, STOP, FW_READ, FW_READ_HI };
	switch (fn) {
	case NUM_COUNTERS: return sbi_ret(SBI_OK, COUNTERS);
	case GET_INFO: return pmu_info(h);
	case CONFIGURE: return pmu_configure(h);
	case START: return pmu_start(h);
	case STOP: return pmu_stop(h);
	case FW_READ: return pmu_read(h);
	case FW_READ_HI: return sbi_ret(SBI_OK, 0);    /* RV32's upper half */
	default: return sbi_ret(SBI_NOT_SUPPORTED, 0); /* snapshots in shared memory */
	}
}
