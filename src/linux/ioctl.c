/* SPDX-License-Identifier: Apache-2.0 */
/* ioctl: numbers and structures are the same on both sides. The argument is a pointer, held
 * against user_end by the size that the number has in it, or the guard above user_end where it
 * has none; a few old ones take a value. Pointers inside of structures are checked for network
 * interfaces. Those of drivers that need privileges of the host pass unchecked. */
#include "linux/internal.h"
#include <net/if.h>
#include <sys/ioctl.h>

enum { TYPE_TTY = 'T', TYPE_SOCKET = 0x89, TYPE_USERFAULT = 0xaa, TYPE_KVM = 0xae };

/* Its argument is a number. */
static bool by_value(uint32_t cmd)
{
	return cmd == TCSBRK || cmd == TCXONC || cmd == TCFLSH || cmd == TCSBRKP ||
	       cmd == TIOCSCTTY;
}

/* struct ifreq has a pointer in it. */
static bool by_ifreq_data(uint32_t cmd)
{
	enum { BOND_FIRST = 0x8990, BOND_LAST = 0x8995, STAMP_SET = 0x89b0, STAMP_GET = 0x89b1,
	       ETHTOOL = 0x8946, PRIVATE_FIRST = 0x89f0, PRIVATE_LAST = 0x89ff };
	return cmd == ETHTOOL || (cmd >= BOND_FIRST && cmd <= BOND_LAST) || cmd == STAMP_SET ||
	       cmd == STAMP_GET || (cmd >= PRIVATE_FIRST && cmd <= PRIVATE_LAST);
}

/* The list of interfaces: a length, and where to. */
static int64_t ifconf_call(struct linux_task *t, const uint64_t a[6])
{
	struct ifconf c;
	if (linux_read(t->proc, &c, a[2], sizeof c))
		return -EFAULT;
	if (c.ifc_buf && (c.ifc_len < 0 || !range_ok(t->proc, ptr(c.ifc_buf), (uint64_t)c.ifc_len)))
		return c.ifc_len < 0 ? -EINVAL : -EFAULT;
	int64_t r = HOST(SYS_ioctl, a[0], a[1], ptr(&c));
	if (!r && linux_write(t->proc, a[2], &c.ifc_len, sizeof c.ifc_len))
		return -EFAULT;
	return r;
}

static int64_t ifreq_call(struct linux_task *t, const uint64_t a[6])
{
	struct ifreq q;
	if (linux_read(t->proc, &q, a[2], sizeof q) || ptr(q.ifr_data) >= t->proc->user_end)
		return -EFAULT;
	int64_t r = HOST(SYS_ioctl, a[0], a[1], ptr(&q));
	return r >= 0 && linux_write(t->proc, a[2], &q, sizeof q) ? -EFAULT : r;
}

int64_t call_ioctl(struct linux_task *t, const uint64_t a[6])
{
	uint32_t cmd = (uint32_t)a[1], type = _IOC_TYPE(cmd);
	uint64_t size = _IOC_DIR(cmd) ? _IOC_SIZE(cmd) : 0;
	if (type == TYPE_KVM || type == TYPE_USERFAULT)
		return -ENOTTY; /* they would work on addresses of Lodge's process */
	if (by_value(cmd))
		return linux_host_call(t, SYS_ioctl, a);
	if (!range_ok(t->proc, a[2], size))
		return HOST(SYS_ioctl, a[0], a[1], REFUSED);
	if (cmd == SIOCGIFCONF)
		return ifconf_call(t, a);
	if (by_ifreq_data(cmd))
		return ifreq_call(t, a);
	/* a job in the background is stopped by those of a terminal */
	return type == TYPE_TTY ? linux_host_call(t, SYS_ioctl, a) : linux_direct(SYS_ioctl, a);
}
