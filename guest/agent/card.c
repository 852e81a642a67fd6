/* SPDX-License-Identifier: Apache-2.0 */
/* A guest that is a copy of another one gets an address of its own for its network card, while that
 * is in use: nothing is taken down, addresses and routes stay. */
#define _GNU_SOURCE
#include "agent.h"
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static bool address_of(int fd, const char *name, struct ifreq *ret)
{
	memset(ret, 0, sizeof(*ret));
	snprintf(ret->ifr_name, sizeof(ret->ifr_name), "%s", name);
	return !ioctl(fd, SIOCGIFHWADDR, ret) && ret->ifr_hwaddr.sa_family == ARPHRD_ETHER;
}

/* VLANs, bridges and the like have the address of the card below them, and follow it. */
static bool is_card(const char *name)
{
	char path[64];
	snprintf(path, sizeof(path), "/sys/class/net/%s/device", name);
	return access("/sys/class/net", F_OK) || !access(path, F_OK);
}

/* Write @to to the switch @key of @name if it is @from now. True: it was. Neighbours that cannot be
 * told learn the address from the first packet. */
static bool flip(const char *version, const char *name, const char *key, char from, char to)
{
	char path[96], have = 0;
	snprintf(path, sizeof(path), "/proc/sys/net/%s/conf/%s/%s", version, name, key);
	int fd = open(path, O_RDWR | O_CLOEXEC);
	bool done = fd >= 0 && pread(fd, &have, 1, 0) == 1 && have == from &&
		    pwrite(fd, &to, 1, 0) == 1;
	if (fd >= 0)
		close(fd);
	return done;
}

/* Set the address of @r; meanwhile the kernel tells the neighbours when one changes. */
static int rename_one(int fd, struct ifreq *r)
{
	char *name = r->ifr_name;
	bool v4 = flip("ipv4", name, "arp_notify", '0', '1');
	bool v6 = flip("ipv6", name, "ndisc_notify", '0', '1');
	int code = ioctl(fd, SIOCSIFHWADDR, r) ? errno : 0;
	if (v4)
		flip("ipv4", name, "arp_notify", '1', '0');
	if (v6)
		flip("ipv6", name, "ndisc_notify", '1', '0');
	return code;
}

int card_rename(const uint8_t was[6], const uint8_t now[6])
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), code = ENODEV;
	struct if_nameindex *all = fd < 0 ? NULL : if_nameindex();
	for (struct if_nameindex *i = all; i && i->if_index; i++) {
		struct ifreq r;
		if (!address_of(fd, i->if_name, &r) || !is_card(i->if_name))
			continue;
		if (!memcmp(r.ifr_hwaddr.sa_data, now, 6))
			code = 0;
		if (memcmp(r.ifr_hwaddr.sa_data, was, 6))
			continue;
		memcpy(r.ifr_hwaddr.sa_data, now, 6);
		code = rename_one(fd, &r);
		break;
	}
	if (all)
		if_freenameindex(all);
	if (fd >= 0)
		close(fd);
	return code;
}
