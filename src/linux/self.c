/* SPDX-License-Identifier: Apache-2.0 */
/* What a process says and learns of itself: uname, prctl, keys, locked memory. */
#include "linux/internal.h"
#include <linux/prctl.h>
#include <sys/utsname.h>

int64_t call_uname(struct linux_task *t, const uint64_t a[6])
{
	struct utsname u;
	int64_t r = HOST(SYS_uname, ptr(&u));
	memset(u.machine, 0, sizeof u.machine);
	strcpy(u.machine, "riscv64");
	return r ? r : linux_write(t->proc, a[0], &u, sizeof u);
}

/* ---- prctl ---- */

/* How an option passes: its second argument is a value, or a pointer to so many bytes. Others are
 * refused as a kernel without them does: what works on x86 alone, what would change Lodge (no
 * memory that is written and run), what the level keeps (filters of seccomp). */
static const struct {
	uint32_t option;
	uint16_t bytes;
} options[] = {
	{ PR_SET_PDEATHSIG, 0 },    { PR_GET_PDEATHSIG, 4 },
	{ PR_GET_DUMPABLE, 0 },     { PR_SET_DUMPABLE, 0 },
	{ PR_GET_KEEPCAPS, 0 },     { PR_SET_KEEPCAPS, 0 },
	{ PR_GET_TIMING, 0 },       { PR_SET_TIMING, 0 },
	{ PR_SET_NAME, 16 },        { PR_GET_NAME, 16 },
	{ PR_CAPBSET_READ, 0 },     { PR_CAPBSET_DROP, 0 },
	{ PR_GET_SECUREBITS, 0 },   { PR_SET_SECUREBITS, 0 },
	{ PR_SET_TIMERSLACK, 0 },   { PR_GET_TIMERSLACK, 0 },
	{ PR_MCE_KILL, 0 },         { PR_MCE_KILL_GET, 0 },
	{ PR_SET_CHILD_SUBREAPER, 0 }, { PR_GET_CHILD_SUBREAPER, 4 },
	{ PR_SET_NO_NEW_PRIVS, 0 }, { PR_GET_NO_NEW_PRIVS, 0 },
	{ PR_SET_THP_DISABLE, 0 },  { PR_GET_THP_DISABLE, 0 },
	{ PR_CAP_AMBIENT, 0 },      { PR_SET_PTRACER, 0 },
	{ PR_SET_IO_FLUSHER, 0 },   { PR_GET_IO_FLUSHER, 0 },
};

static int64_t auxv_copy(struct linux_task *t, uint64_t at, uint64_t size)
{
	const struct linux_proc *p = t->proc;
	if (linux_write(p, at, p->auxv, min_u64(size, p->auxv_len)))
		return -EFAULT;
	return (int64_t)p->auxv_len;
}

int64_t call_prctl(struct linux_task *t, const uint64_t a[6])
{
	enum { GET_AUXV = 0x41555856 };
	uint32_t option = (uint32_t)a[0];
	for (size_t i = 0; i < countof(options); i++)
		if (options[i].option == option)
			return options[i].bytes && !range_ok(t->proc, a[1], options[i].bytes)
			               ? -EFAULT
			               : linux_direct(SYS_prctl, a);
	if (option == GET_AUXV && t->proc->auxv)
		return a[3] || a[4] ? -EINVAL : auxv_copy(t, a[1], a[2]);
	if (option == PR_SET_VMA)
		return range_ok(t->proc, a[2], a[3]) && a[4] < t->proc->user_end
		               ? linux_direct(SYS_prctl, a)
		               : -EFAULT;
	return -EINVAL;
}

/* ---- keys ---- */

int64_t call_keyctl(struct linux_task *t, const uint64_t a[6])
{
	/* which of the four arguments are pointers, as bits; those with structures of pointers, and
	 * asymmetric keys, are refused */
	enum { VALUES = 0, A = 1, B = 2, C = 4, NO = 8 };
	static const uint8_t pointers[] = {
	    VALUES, A,  B,      VALUES, VALUES, VALUES, B,  VALUES, VALUES, VALUES, B | C,
	    B,      B,  VALUES, VALUES, VALUES, VALUES, B,  VALUES, VALUES, NO,     VALUES,
	    VALUES, NO, NO,     NO,     NO,     NO,     NO, B | C,  VALUES, A,      NO,
	};
	if ((uint64_t)(uint32_t)a[0] >= countof(pointers) || pointers[a[0] & 63] == NO)
		return -EOPNOTSUPP;
	for (unsigned i = 0; i < 3; i++)
		if (pointers[a[0] & 63] >> i & 1 && a[1 + i] >= t->proc->user_end)
			return -EFAULT;
	return linux_direct(SYS_keyctl, a);
}

/* ---- locked memory ---- */

/* DEVIATES: from Linux's mlockall(2): it checks its flags and locks nothing, or all of Lodge
 * would be locked, and each later mapping of Lodge's could fail. */
int64_t call_mlockall(struct linux_task *t, const uint64_t a[6])
{
	(void)t;
	enum { ALL = 7, ONFAULT_ALONE = 4 };
	return !a[0] || a[0] & ~(uint64_t)ALL || a[0] == ONFAULT_ALONE ? -EINVAL : 0;
}

int64_t call_munlockall(struct linux_task *t, const uint64_t a[6])
{
	(void)t;
	(void)a;
	return 0;
}
