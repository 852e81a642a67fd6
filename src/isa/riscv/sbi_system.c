/* SPDX-License-Identifier: Apache-2.0 */
/* SBI that concerns the machine around the harts: reset, debug console, steal time.
 * SBI 2.0 §10, §12, §16 */
#include "isa/riscv/priv.h"
#include <fcntl.h>
#include <stdio.h>

/* ---- reset ---- */

/* The hart is parked first: the level may reset it while it is called. */
struct sbi_ret rv_sbi_reset(struct rv_hart *h, uint32_t type, uint32_t reason)
{
	if (!h->env->system_reset)
		return sbi_ret(SBI_NOT_SUPPORTED, 0);
	__atomic_store_n(&h->hsm, RV_HSM_STOPPED, __ATOMIC_SEQ_CST);
	__atomic_store_n(&h->limit, 0, __ATOMIC_SEQ_CST);
	h->env->system_reset(h->env->user, type, reason);
	return sbi_ret(SBI_NO_RETURN, 0);
}

struct sbi_ret rv_sbi_srst(struct rv_hart *h, uint64_t fn)
{
	const uint32_t type_vendor = 0xf0000000u, reason_own = 0xe0000000u;
	enum { TYPE_WARM = 2, REASON_FAILURE = 1 };
	uint32_t type = (uint32_t)sbi_arg(h, 0), reason = (uint32_t)sbi_arg(h, 1);
	if (fn != 0)
		return sbi_ret(SBI_NOT_SUPPORTED, 0);
	if (type >= type_vendor)
		return sbi_ret(SBI_NOT_SUPPORTED, 0);
	if (type > TYPE_WARM || (reason > REASON_FAILURE && reason < reason_own))
		return sbi_ret(SBI_INVALID_PARAM, 0);
	return rv_sbi_reset(h, type, reason);
}

/* ---- debug console ---- */

enum { CONSOLE_MOST = 65536 }; /* bytes of one call; fewer than asked is allowed */

static struct sbi_ret console_transfer(struct rv_hart *h, bool write)
{
	uint64_t len = sbi_arg(h, 0);
	uint8_t *p = sbi_arg(h, 2) ? NULL : mem_ptr(h->env->mem, gpa(sbi_arg(h, 1)), len);
	if (!len)
		return sbi_ret(SBI_OK, 0);
	if (!p)
		return sbi_ret(SBI_INVALID_PARAM, 0);
	len = min_u64(len, CONSOLE_MOST);
	if (!write) {
		len = h->env->console_read ? h->env->console_read(h->env->user, p, len) : 0;
		mem_written_host(h->env->mem, p, len);
		return sbi_ret(SBI_OK, len);
	}
	if (!h->env->console_write)
		return sbi_ret(SBI_FAILED, 0);
	h->env->console_write(h->env->user, p, len);
	return sbi_ret(SBI_OK, len);
}

struct sbi_ret rv_sbi_dbcn(struct rv_hart *h, uint64_t fn)
{
	enum { WRITE, READ, WRITE_BYTE };
	uint8_t c = (uint8_t)sbi_arg(h, 0);
	switch (fn) {
	case WRITE: return console_transfer(h, true);
	case READ: return console_transfer(h, false);
	case WRITE_BYTE:
		if (!h->env->console_write)
			return sbi_ret(SBI_FAILED, 0);
		h->env->console_write(h->env->user, &c, 1);
		return sbi_ret(SBI_OK, 0);
	default: return sbi_ret(SBI_NOT_SUPPORTED, 0);
	}
}

/* ---- steal time ----
 * The record, 64 bytes: u32 sequence (odd while it changes), u32 flags, u64 steal ns, u8 preempted.
 */

enum { STA_LEN = 64, STA_STEAL = 8, STA_LOOK_NS = 10000000 };

struct sbi_ret rv_sbi_sta(struct rv_hart *h, uint64_t fn)
{
	uint64_t lo = sbi_arg(h, 0), hi = sbi_arg(h, 1);
	static const uint8_t zero[STA_LEN];
	if (fn != 0 || vclock_is_counted(h->env->clock))
		return sbi_ret(SBI_NOT_SUPPORTED, 0);
	if (sbi_arg(h, 2))
		return sbi_ret(SBI_INVALID_PARAM, 0);
	if (lo == UINT64_MAX && hi == UINT64_MAX) {
		h->sta_gpa = UINT64_MAX;
		return sbi_ret(SBI_OK, 0);
	}
	if (lo % STA_LEN)
		return sbi_ret(SBI_INVALID_PARAM, 0);
	if (hi || !mem_write(h->env->mem, gpa(lo), zero, sizeof zero))
		return sbi_ret(SBI_INVALID_ADDRESS, 0);
	h->sta_gpa = lo;
	h->steal_look_ns = 0;
	return sbi_ret(SBI_OK, 0);
}

/* How long this thread has waited for a host CPU so far, as the host's scheduler tells. */
static bool host_steal_ns(struct rv_hart *h, uint64_t *ret)
{
	char text[96];
	unsigned long long ran, waited;
	if (h->steal_fd < 0)
		h->steal_fd = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
	if (h->steal_fd < 0)
		return false;
	ssize_t n = pread(h->steal_fd, text, sizeof text - 1, 0);
	if (n <= 0) { /* the thread of before a pause */
		auto_close(&h->steal_fd);
		h->steal_fd = -1;
		h->steal_seen_ns = 0;
		return false;
	}
	text[n] = 0;
	if (sscanf(text, "%llu %llu", &ran, &waited) != 2)
		return false;
	*ret = waited;
	return true;
}

void rv_sbi_steal(struct rv_hart *h)
{
	uint64_t seen;
	if (h->poll_ns - h->steal_look_ns < STA_LOOK_NS && h->steal_look_ns)
		return;
	h->steal_look_ns = h->poll_ns;
	uint8_t *p = mem_ptr(h->env->mem, gpa(h->sta_gpa), STA_LEN);
	if (!p)
		return;
	if (host_steal_ns(h, &seen)) {
		if (h->steal_seen_ns && seen > h->steal_seen_ns)
			h->steal_ns += seen - h->steal_seen_ns;
		h->steal_seen_ns = seen;
	}
	uint32_t *sequence = (uint32_t *)(void *)p;
	uint32_t odd = __atomic_load_n(sequence, __ATOMIC_RELAXED) | 1;
	__atomic_store_n(sequence, odd, __ATOMIC_SEQ_CST);
	__atomic_store_n((uint64_t *)(void *)(p + STA_STEAL), h->steal_ns, __ATOMIC_SEQ_CST);
	__atomic_store_n(sequence, odd + 1, __ATOMIC_SEQ_CST);
	mem_written(h->env->mem, gpa(h->sta_gpa), STA_LEN);
}

void rv_held(struct rv_hart *h, uint64_t ns)
{
	if (!h->wfi)
		h->steal_ns += ns;
	/* or it would be taken for slowness */
	h->poll_ns = vclock_ns(h->env->clock);
	h->poll_icount = h->icount;
}
