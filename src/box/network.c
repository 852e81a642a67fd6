/* SPDX-License-Identifier: Apache-2.0 */
/* The network of a guest that has none but its own loopback. A thread makes it while the rest of a
 * start goes on: no other step takes as long. network_namespaces(7), netdevice(7) */
#include "box/internal.h"
#include <linux/sockios.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

/* A network of its own has one interface, which is down. A socket of that network. */
static int loopback_socket(struct lodge_err *e)
{
	struct ifreq r = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &r) == 0)
		return fd;
	int bad = err_sys(e, "--isolate: the loopback interface");
	auto_close(&fd);
	return bad;
}

int loopback_up(struct lodge_err *e)
{
	autoclose int fd = loopback_socket(e);
	return fd < 0 ? fd : 0;
}

static int space_new(struct lodge_err *e)
{
	return unshare(CLONE_NEWNET) < 0 ? err_sys(e, "a network namespace") : 0;
}

static void *network_main(void *arg)
{
	struct network *n = arg;
	if (atomic_exchange(&n->taken, true))
		return NULL;
	n->result = space_new(&n->why);
	autoclose int fd = n->result == 0 ? loopback_socket(&n->why) : -1;
	if (n->result == 0)
		n->result = fd < 0 ? fd : 0;
	if (n->result == 0 && (n->space = ioctl(fd, SIOCGSKNS)) < 0)
		n->result = err_sys(&n->why, "the network namespace of a socket");
	return NULL;
}

/* Not on this processor, where it would only be in the way: schedulers like to begin a thread where
 * its maker is. */
static void elsewhere(pthread_attr_t *a)
{
	cpu_set_t cpus;
	int here = sched_getcpu();
	if (here < 0 || here >= CPU_SETSIZE || sched_getaffinity(0, sizeof cpus, &cpus) < 0)
		return;
	CPU_CLR((unsigned)here, &cpus);
	if (CPU_COUNT(&cpus))
		(void)!pthread_attr_setaffinity_np(a, sizeof cpus, &cpus);
}

void network_begin(struct network *n)
{
	pthread_attr_t a;
	*n = (struct network){.space = -1};
	if (pthread_attr_init(&a) != 0)
		return;
	elsewhere(&a);
	n->runs = pthread_create(&n->thread, &a, network_main, n) == 0;
	pthread_attr_destroy(&a);
}

static void network_wait(struct network *n)
{
	if (n->runs)
		pthread_join(n->thread, NULL);
	n->runs = false;
}

/* On a busy machine the thread may not have come to it yet: then it is done here. */
int network_enter(struct network *n, struct lodge_err *e)
{
	bool here = !atomic_exchange(&n->taken, true);
	int r = here ? space_new(e) : 0;
	if (r == 0 && here)
		r = loopback_up(e);
	network_wait(n);
	if (here)
		return r;
	if (n->result < 0) {
		if (e)
			*e = n->why;
		return n->result;
	}
	return setns(n->space, CLONE_NEWNET) < 0 ? err_sys(e, "entering a network namespace") : 0;
}

void network_fini(struct network *n)
{
	atomic_store(&n->taken, true);
	network_wait(n);
	auto_close(&n->space);
	n->space = -1;
}
