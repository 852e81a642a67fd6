/* SPDX-License-Identifier: Apache-2.0 */
/* What a program may, as far as it is less than all: capabilities, limits, ways to gain rights.
 * PROTOCOL.md, "Rights". capabilities(7), getrlimit(2) */
#define _GNU_SOURCE
#include "agent.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { BOUNDING, EFFECTIVE, PERMITTED, INHERITABLE, AMBIENT };

/* In the order of their numbers. */
static const char *const limits[RIGHTS_LIMITS] = {
    "cpu",     "fsize", "data",  "stack",      "core",     "rss",  "nproc",  "nofile",
    "memlock", "as",    "locks", "sigpending", "msgqueue", "nice", "rtprio", "rttime",
};

static bool limit_read(const char *word, struct rights *r)
{
	size_t n = strcspn(word, "=");
	char *end;
	for (unsigned i = 0; i < RIGHTS_LIMITS; i++) {
		if (strlen(limits[i]) != n || strncmp(limits[i], word, n) || word[n] != '=')
			continue;
		r->limit[i].rlim_cur = strtoull(word + n + 1, &end, 10);
		if (*end != ':')
			return false;
		r->limit[i].rlim_max = strtoull(end + 1, &end, 10);
		r->limited |= 1u << i;
		return !*end;
	}
	return false;
}

static bool caps_read(const char *p, struct rights *r)
{
	char *end;
	for (unsigned i = 0; i < RIGHTS_SETS; i++, p = end + 1) {
		r->caps[i] = strtoull(p, &end, 16);
		if (end == p || *end != (i + 1 < RIGHTS_SETS ? ',' : 0))
			return false;
	}
	r->have_caps = true;
	return true;
}

static bool number_read(const char *p, int base, int *ret)
{
	char *end;
	*ret = (int)strtol(p, &end, base);
	return *p && !*end;
}

bool rights_read(char *words, struct rights *r)
{
	*r = (struct rights){.umask = -1};
	for (char *w; (w = strsep(&words, ";"));) {
		bool good = !*w;
		if (!strcmp(w, "nnp"))
			good = r->no_new = true;
		else if (!strncmp(w, "caps=", 5))
			good = caps_read(w + 5, r);
		else if (!strncmp(w, "umask=", 6))
			good = number_read(w + 6, 8, &r->umask);
		else if (!strncmp(w, "oom=", 4))
			good = r->have_oom = number_read(w + 4, 10, &r->oom);
		else if (*w)
			good = limit_read(w, r);
		if (!good)
			return false;
	}
	return true;
}

static int oom_set(int score)
{
	char text[16];
	int n = snprintf(text, sizeof(text), "%d", score);
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	bool good = fd >= 0 && write(fd, text, (size_t)n) == n;
	if (fd >= 0)
		close(fd);
	return good ? 0 : EIO;
}

int rights_begin(const struct rights *r)
{
	if (r->have_oom && oom_set(r->oom))
		return EIO;
	for (unsigned i = 0; i < RIGHTS_LIMITS; i++)
		if (r->limited >> i & 1 && syscall(SYS_prlimit64, 0, i, &r->limit[i], NULL))
			return errno;
	for (unsigned long c = 0; r->have_caps && prctl(PR_CAPBSET_READ, c, 0, 0, 0) >= 0; c++)
		if (!(r->caps[BOUNDING] >> c & 1) && prctl(PR_CAPBSET_DROP, c, 0, 0, 0))
			return errno;
	return r->have_caps && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) ? errno : 0;
}

int rights_end(const struct rights *r)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct d[2];
	uint64_t known = 0;
	if (r->umask >= 0)
		umask((mode_t)r->umask & 0777);
	for (unsigned long c = 0; c < 64 && prctl(PR_CAPBSET_READ, c, 0, 0, 0) >= 0; c++)
		known |= UINT64_C(1) << c;
	for (unsigned i = 0; i < 2; i++) {
		d[i].effective = (uint32_t)((r->caps[EFFECTIVE] & known) >> 32 * i);
		d[i].permitted = (uint32_t)((r->caps[PERMITTED] & known) >> 32 * i);
		d[i].inheritable = (uint32_t)((r->caps[INHERITABLE] & known) >> 32 * i);
	}
	if (r->have_caps && (prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) || syscall(SYS_capset, &head, d)))
		return errno;
	for (unsigned long c = 0; r->have_caps && c < 64; c++)
		/* one that is not inheritable and permitted cannot be, as on the host */
		if (r->caps[AMBIENT] >> c & 1)
			(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, c, 0, 0);
	return r->no_new && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ? errno : 0;
}
