/* SPDX-License-Identifier: Apache-2.0 */
/* What /proc shows of a guest process: the guest, where the kernel would show Lodge. Each file is
 * made when it is opened, in a memory file. Other processes are shown as the host sees them. */
#include "host/host.h"
#include "linux/internal.h"
#include <inttypes.h>
#include <stdio.h>
#include <sys/mman.h>

/* After @s, if @s starts with @with. */
static const char *skip(const char *s, const char *with)
{
	size_t n = strlen(with);
	return strncmp(s, with, n) ? NULL : s + n;
}

static const char *skip_number(const char *s, uint64_t *ret)
{
	char *end;
	if (*s < '0' || *s > '9')
		return NULL;
	*ret = strtoull(s, &end, 10);
	return *end == '/' ? end + 1 : NULL;
}

enum view view_of(const char *path, bool *ret_self)
{
	static const struct { const char *name; enum view v; } views[] = {
		{ "exe", VIEW_EXE }, { "cwd", VIEW_CWD }, { "root", VIEW_ROOT },
		{ "cmdline", VIEW_CMDLINE }, { "environ", VIEW_ENVIRON }, { "auxv", VIEW_AUXV },
		{ "maps", VIEW_MAPS }, { "stat", VIEW_STAT }, { "status", VIEW_STATUS },
	};
	static const char *const links[] = { "fd/", "ns/", "map_files/" };
	uint64_t n;
	const char *s = skip(path, "/proc/"), *r;
	*ret_self = false;
	if (!s)
		return VIEW_NONE;
	if (!strcmp(s, "cpuinfo"))
		return VIEW_CPUINFO;
	bool whole = true; /* the process, not one thread */
	if ((r = skip(s, "self/"))) {
		*ret_self = true;
	} else if ((r = skip(s, "thread-self/"))) {
		*ret_self = true;
		whole = false;
	} else if ((r = skip_number(s, &n))) {
		whole = n == (uint64_t)HOST(SYS_getpid);
		*ret_self = whole || n == (uint64_t)HOST(SYS_gettid);
	} else {
		return VIEW_NONE;
	}
	if ((s = skip(r, "task/")) && (s = skip_number(s, &n))) {
		r = s;
		whole = false;
	}
	for (size_t i = 0; i < countof(views); i++)
		if (!strcmp(r, views[i].name))
			return whole || (views[i].v != VIEW_STAT && views[i].v != VIEW_STATUS)
				   ? views[i].v
				   : VIEW_NONE;
	for (size_t i = 0; i < countof(links); i++)
		if (skip(r, links[i]) && r[strlen(links[i])])
			return VIEW_LINK;
	return VIEW_NONE;
}

/* ---- making them ---- */

/* What guest memory has there, as far as it is mapped. */
static void memory_show(struct linux_task *t, FILE *f, uint64_t start, uint64_t end)
{
	char buf[256];
	while (start < end) {
		size_t n = min_u64(end - start, sizeof buf - start % sizeof buf);
		if (linux_read(t->proc, buf, start, n))
			break;
		fwrite(buf, 1, n, f);
		start += n;
	}
}

struct mapping {
	uint64_t start, end, off, ino;
	char prot[5], dev[24];
	const char *name;
};

static void mapping_show(FILE *f, const struct mapping *m)
{
	int n = fprintf(f, "%08" PRIx64 "-%08" PRIx64 " %s %08" PRIx64 " %s %" PRIu64 " ", m->start,
	                m->end, m->prot, m->off, m->dev, m->ino);
	fprintf(f, *m->name ? "%*s%s\n" : "\n", n < 73 ? 73 - n : 0, "", m->name);
}

/* A mapping of the host, in the parts that the guest knows. */
static void mapping_split(const struct linux_proc *p, FILE *f, const struct mapping *host)
{
	for (uint64_t at = host->start, next; at < host->end && at < p->user_end; at = next) {
		struct linux_area area = { .end = host->end };
		struct mapping m = *host;
		bool known = p->area(p->user, at, &area);
		next = area.end > at ? min_u64(area.end, host->end) : host->end;
		if (!known)
			continue;
		m.start = at;
		m.end = next;
		m.off += m.ino ? at - host->start : 0;
		m.prot[0] = area.prot & PROT_READ ? 'r' : '-';
		m.prot[1] = area.prot & PROT_WRITE ? 'w' : '-';
		m.prot[2] = area.prot & PROT_EXEC ? 'x' : '-';
		if (area.name)
			m.name = area.name;
		mapping_show(f, &m);
	}
}

static void maps_show(struct linux_task *t, FILE *f)
{
	const struct linux_proc *p = t->proc;
	char *line = NULL;
	size_t cap = 0;
	FILE *maps = fopen("/proc/self/maps", "re");
	while (maps && getline(&line, &cap, maps) > 0) {
		struct mapping m;
		int at = 0;
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %23s %" SCNu64 " %n",
		           &m.start, &m.end, m.prot, &m.off, m.dev, &m.ino, &at) < 6)
			continue;
		if (m.start >= p->user_end)
			break;
		line[strcspn(line, "\n")] = 0;
		snprintf(t->path[1], sizeof t->path[1], "%s", line + at);
		if (t->path[1][0] == '/' && !path_to_guest(p, t->path[1], sizeof t->path[1]))
			snprintf(t->path[1], sizeof t->path[1], "%s", line + at);
		m.name = t->path[1];
		if (p->area)
			mapping_split(p, f, &m);
		else
			mapping_show(f, &m);
	}
	free(line);
	if (maps)
		fclose(maps);
}

/* Lodge has threads of its own in the process: their number in the file @path of the host, @words
 * words behind @from, is the guest's. */
static void threads_show(struct linux_task *t, FILE *f, const char *path, const char *from,
			 unsigned words)
{
	char text[4096];
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
	text[n < 0 ? 0 : n] = 0;
	char *at = *from == ')' ? strrchr(text, ')') : strstr(text, from);
	at = at ? at + strlen(from) : NULL;
	for (; at && words; words--)
		at = (at = strchr(at, ' ')) ? at + 1 : NULL;
	if (!at) {
		fputs(text, f);
		return;
	}
	fwrite(text, 1, (size_t)(at - text), f);
	fprintf(f, "%u%s", t->proc->threads(t->proc->user, 0), at + strspn(at, "0123456789"));
}

static void cpuinfo_show(const struct linux_proc *p, FILE *f)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);
	for (long i = 0; i < n; i++)
		fprintf(f,
		        "processor\t: %ld\nhart\t\t: %ld\nisa\t\t: %s\nmmu\t\t: sv39\n"
		        "mvendorid\t: 0x0\nmarchid\t\t: 0x0\nmimpid\t\t: 0x0\n\n",
		        i, i, p->isa);
}

static void show(struct linux_task *t, enum view v, FILE *f)
{
	const struct linux_proc *p = t->proc;
	if (v == VIEW_CMDLINE)
		memory_show(t, f, p->arg_start, p->arg_end);
	else if (v == VIEW_ENVIRON)
		memory_show(t, f, p->env_start, p->env_end);
	else if (v == VIEW_AUXV)
		fwrite(p->auxv, 1, p->auxv_len, f);
	else if (v == VIEW_MAPS)
		maps_show(t, f);
	else if (v == VIEW_STAT) /* field 20; 2 is a name in parentheses */
		threads_show(t, f, "/proc/self/stat", ")", 18);
	else if (v == VIEW_STATUS)
		threads_show(t, f, "/proc/self/status", "\nThreads:\t", 0);
	else
		cpuinfo_show(p, f);
}

int view_make(struct linux_task *t, enum view v, int flags)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	if (!f)
		return -ENOMEM;
	show(t, v, f);
	int r = fclose(f) ? -ENOMEM : 0, fd = -1;
	if (!r && (fd = memfd_create("proc", flags & O_CLOEXEC ? MFD_CLOEXEC : 0)) < 0)
		r = -errno;
	if (!r && !host_pwrite(fd, text, len, 0))
		r = -ENOSPC;
	free(text);
	if (r < 0 && fd >= 0)
		close(fd);
	return r < 0 ? r : fd;
}

/* ---- /proc/self/fd and task: without Lodge's own ---- */

enum { ENTRY_LEN = 16, ENTRY_NAME = 19 }; /* of struct linux_dirent64: u16, and text */

enum lists { LISTS_UNKNOWN, LISTS_OTHER, LISTS_FDS, LISTS_TASKS };

static enum lists lists_own(int fd)
{
	char name[40], path[64] = { 0 };
	bool self;
	snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
	int64_t n = HOST(SYS_readlink, ptr(name), ptr(path), sizeof path - 8);
	const char *last = n > 0 ? strrchr(path, '/') : NULL;
	bool tasks = last && !strcmp(last, "/task");
	if (!last || (!tasks && strcmp(last, "/fd") && strcmp(last, "/fdinfo")))
		return LISTS_OTHER;
	strcpy(path + (last - path), "/fd/0");
	if (view_of(path, &self) != VIEW_LINK || !self)
		return LISTS_OTHER;
	return tasks ? LISTS_TASKS : LISTS_FDS;
}

/* Takes the entries of hidden descriptors and threads out of the @n bytes at @buf; returns how many
 * are left. */
static size_t entries_filter(const struct linux_proc *p, char *buf, size_t n, int fd)
{
	size_t to = 0;
	enum lists lists = LISTS_UNKNOWN;
	for (size_t at = 0, len; at + ENTRY_NAME < n; at += len) {
		char *end, *name = buf + at + ENTRY_NAME;
		len = le16_at(buf + at + ENTRY_LEN);
		if (len <= ENTRY_NAME || len > n - at) /* another thread wrote there */
			return n;
		buf[at + len - 1] = 0;
		uint64_t number = strtoull(name, &end, 10);
		bool is_number = end != name && !*end, hide = is_number && fd_hidden(p, number);
		bool thread = is_number && p->threads && !p->threads(p->user, number);
		if ((hide || thread) && !lists)
			lists = lists_own(fd);
		if ((hide && lists == LISTS_FDS) || (thread && lists == LISTS_TASKS))
			continue;
		memmove(buf + to, buf + at, len);
		to += len;
	}
	return to;
}

int64_t call_getdents64(struct linux_task *t, const uint64_t a[6])
{
	char *buf = (char *)t->iov;
	uint64_t size = min_u64((uint32_t)a[2], sizeof t->iov);
	for (;;) {
		int64_t n = HOST(SYS_getdents64, a[0], a[1], size);
		if (n <= 0)
			return n;
		if (linux_read(t->proc, buf, a[1], (size_t)n))
			return -EFAULT;
		size_t left = entries_filter(t->proc, buf, (size_t)n, (int)a[0]);
		if (left < (size_t)n && linux_write(t->proc, a[1], buf, left))
			return -EFAULT;
		if (left)
			return (int64_t)left;
	}
}
