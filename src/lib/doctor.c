/* SPDX-License-Identifier: Apache-2.0 */
/* doctor: try what Lodge can use of this host, say what was seen and what to do. */
#include "lib/lib.h"
#include <stdio.h>
#include <sys/statvfs.h>

struct report {
	void (*fn)(void *user, const struct lodge_probe *p);
	void *user;
};

static void report(const struct report *r, const char *name, int ok, const char *finding,
		   const char *fix)
{
	struct lodge_probe p = {name, ok, finding, ok == 1 ? NULL : fix};
	r->fn(r->user, &p);
}

/* A probe that is one try of the host room. */
static void doctor_try(const struct report *r, const char *name, int (*fn)(struct lodge_err *),
		       const char *good, const char *fix)
{
	struct lodge_err e = {0};
	int x = fn(&e);
	report(r, name, x == 0, x == 0 ? good : e.msg, fix);
}

static void doctor_kvm(const struct report *r)
{
	struct lodge_err e = {0};
	int x = host_probe_kvm(&e);
	const char *fix = "enable virtualization in the firmware, or nested virtualization on the "
			  "host below; Lodge works without it";
	if (x == -EACCES)
		fix =
		    "add the user to the group of /dev/kvm: usermod -aG kvm USER, and log in again";
	report(r, "kvm", x == 0, x == 0 ? "a tiny guest ran" : e.msg, fix);
}

static void doctor_cgroup(const struct report *r)
{
	bool v2 = access("/sys/fs/cgroup/cgroup.controllers", R_OK) == 0;
	bool hybrid = access("/sys/fs/cgroup/unified/cgroup.controllers", R_OK) == 0;
	bool v1 = access("/sys/fs/cgroup/memory", R_OK) == 0;
	if (v2)
		report(r, "cgroup", 1, "version 2", NULL);
	else if (hybrid || v1)
		report(r, "cgroup", 1,
		       hybrid ? "hybrid (version 1 with a version 2 tree)" : "version 1", NULL);
	else
		report(r, "cgroup", 0, "no cgroup file system at /sys/fs/cgroup",
		       "mount -t cgroup2 none /sys/fs/cgroup");
}

static bool in_path(const char *program)
{
	const char *path = getenv("PATH");
	autofree char *copy = strdup(path ? path : "/usr/bin:/bin");
	char *rest = copy;
	for (char *dir; (dir = strsep(&rest, ":"));) {
		char file[4096];
		int n = snprintf(file, sizeof file, "%s/%s", dir, program);
		if (n > 0 && (size_t)n < sizeof file && access(file, X_OK) == 0)
			return true;
	}
	return false;
}

/* Whether the kernel runs programs of riscv64 by itself, and whose. */
static void doctor_binfmt(const struct report *r)
{
	static const char *const entries[] = {"lodge-riscv64", "qemu-riscv64"};
	char path[64], text[128];
	for (size_t i = 0; i < countof(entries); i++) {
		snprintf(path, sizeof path, "/proc/sys/fs/binfmt_misc/%s", entries[i]);
		if (access(path, F_OK) < 0)
			continue;
		snprintf(text, sizeof text, "the kernel runs riscv64 programs by %s", entries[i]);
		report(r, "binfmt", i == 0, text, "lodge binfmt install; the last one counts");
		return;
	}
	report(r, "binfmt", 0, "the kernel does not run riscv64 programs",
	       "lodge binfmt install, or lodge binfmt run COMMAND; lodge run needs neither");
}

/* @programs: space-separated. */
static void doctor_tools(const struct report *r, const char *name, const char *programs,
			 const char *fix)
{
	char missing[256] = "missing:";
	autofree char *copy = strdup(programs);
	char *rest = copy;
	bool ok = copy != NULL;
	for (char *p; (p = strsep(&rest, " "));) {
		size_t n = strlen(missing);
		if (in_path(p))
			continue;
		ok = false;
		snprintf(missing + n, sizeof missing - n, " %s", p);
	}
	report(r, name, ok, ok ? "all there" : missing, fix);
}

static void doctor_space(const struct report *r, const char *name, const char *kind)
{
	struct statvfs v;
	char text[600];
	autofree char *home = life_home(kind);
	autofree char *at = home ? strdup(home) : NULL;
	/* The folder may not exist yet: its nearest parent does. */
	while (at && *at && statvfs(at, &v) < 0) {
		char *slash = strrchr(at, '/');
		if (!slash || slash == at)
			break;
		*slash = 0;
	}
	if (!at || statvfs(at, &v) < 0) {
		report(r, name, 0, "cannot be looked at", "set XDG_DATA_HOME and XDG_CACHE_HOME");
		return;
	}
	unsigned long long free_mb = (unsigned long long)v.f_bavail * v.f_frsize >> 20;
	snprintf(text, sizeof text, "%llu MiB free for %s", free_mb, home);
	report(r, name, free_mb >= 4096, text, "4 GiB are good to have for a Debian image");
}

static void doctor_runtime(const struct report *r)
{
	struct lodge_err e = {0};
	char text[600];
	autofree char *dir = life_home("runtime");
	int x = dir ? life_runtime_check(&e) : -ENOMEM;
	snprintf(text, sizeof text, "%.500s is ours and private", dir ? dir : "");
	report(r, "runtime folder", x == 0, x == 0 ? text : e.msg,
	       "set XDG_RUNTIME_DIR to a folder of this user with mode 0700");
}

int lodge_doctor(void (*fn)(void *user, const struct lodge_probe *p), void *user,
		 struct lodge_err *e)
{
	struct report r = {fn, user};
	(void)e;
	doctor_kvm(&r);
	doctor_try(&r, "user namespaces", host_probe_userns, "can be made",
		   "sysctl kernel.unprivileged_userns_clone=1 (and AppArmor's restriction off)");
	doctor_binfmt(&r);
	doctor_cgroup(&r);
	doctor_try(&r, "io_uring", host_probe_io_uring, "works",
		   "sysctl kernel.io_uring_disabled=0; disks use threads without it");
	doctor_try(&r, "tap", host_probe_tun, "a tap interface could be made",
		   "--net tap needs /dev/net/tun and CAP_NET_ADMIN; --net user needs neither");
	doctor_try(&r, "ping", host_probe_ping, "guests can ping the outside",
		   "sysctl net.ipv4.ping_group_range='0 2147483647'");
	doctor_tools(
	    &r, "image tools", "apt-get apt-cache dpkg-deb cpio depmod xz flock mke2fs fakeroot",
	    "apt-get install cpio kmod xz-utils e2fsprogs fakeroot debian-archive-keyring");
	doctor_tools(&r, "cross tools", "riscv64-linux-gnu-gcc riscv64-linux-gnu-objdump",
		     "only for building Lodge: apt-get install gcc-riscv64-linux-gnu");
	doctor_runtime(&r);
	doctor_space(&r, "space for guests", "data");
	doctor_space(&r, "space for images", "cache");
	return 0;
}
