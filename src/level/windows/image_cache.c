/* SPDX-License-Identifier: Apache-2.0 */
/* Large sections of programs, kept as they lie in memory: a run maps them. A program's own file
 * cannot be mapped, for its sections begin at multiples of 512, and to copy 100 MB of which a few
 * are needed is half of a start. The file is found by what the program's is on this host, and
 * written by a process beside the run. docs/decisions/0043 */
#include "level/windows/internal.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>

enum { IMAGE_LEAST = 4 << 20, FORMAT = 2, SETTLED_S = 2, NAME_LEN = 64 };
#define FOLDER_MAX (UINT64_C(1) << 30)

struct kept {
	const char *path;
	const struct pe *head;
	struct stat st; /* of the program's file */
	int dir;
	char name[NAME_LEN + 1];
};

/* ---- its name ---- */

/* What is the same is the same file, with nothing written since. */
static void name_make(struct kept *k, const uint8_t *file, uint64_t len)
{
	struct {
		uint64_t format, device, inode, size, mtime_s, mtime_ns, ctime_s, ctime_ns;
		uint8_t headers[32];
	} key = {FORMAT,
		 k->st.st_dev,
		 k->st.st_ino,
		 (uint64_t)k->st.st_size,
		 (uint64_t)k->st.st_mtim.tv_sec,
		 (uint64_t)k->st.st_mtim.tv_nsec,
		 (uint64_t)k->st.st_ctim.tv_sec,
		 (uint64_t)k->st.st_ctim.tv_nsec,
		 {0}};
	uint8_t sum[NAME_LEN / 2];
	sha256(file, min_u64(k->head->headers_len, len), key.headers);
	sha256(&key, sizeof key, sum);
	for (unsigned i = 0; i < sizeof sum; i++)
		(void)snprintf(k->name + 2 * i, 3, "%02x", sum[i]);
}

/* A file that was written a moment ago may be written again at the same time of its clock. */
static bool settled(const struct stat *st)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	return st->st_ctim.tv_sec + SETTLED_S < now.tv_sec;
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
	       a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* ---- writing ---- */

static bool sections_write(const struct kept *k, int to, const uint8_t *file)
{
	bool ok = ftruncate(to, k->head->size) == 0;
	for (unsigned i = 0; ok && i < k->head->nsections; i++) {
		const struct pe_section *s = &k->head->sections[i];
		if (pe_section_kept(s))
			ok = host_pwrite(to, file + s->off, s->file_len, s->rva);
	}
	return ok;
}

/* Is the draft of that name still the file @to? It may have been removed to make room, or renamed.
 */
static bool draft_is(const struct kept *k, const char *draft, int to)
{
	struct stat own, there;
	return fstat(to, &own) == 0 && fstatat(k->dir, draft, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
	       own.st_dev == there.st_dev && own.st_ino == there.st_ino;
}

/* Locked: another one may be at it, and what one has left that was killed is taken over. -1: it is
 * not ours. */
static int draft_open(const struct kept *k, const char *draft)
{
	const int flags = O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
	autoclose int to = openat(k->dir, draft, flags, 0600);
	if (to < 0 || !life_kept_ours(to, S_IFREG) || flock(to, LOCK_EX | LOCK_NB) < 0 ||
	    !draft_is(k, draft, to) || ftruncate(to, 0) < 0)
		return -1;
	return take_fd(&to);
}

static _Noreturn void writer(const struct kept *k)
{
	char draft[NAME_LEN + 8];
	struct stat before, after;
	struct statvfs room;
	(void)snprintf(draft, sizeof draft, "%s.new", k->name);
	autoclose int from = open(k->path, O_RDONLY | O_CLOEXEC);
	const int stay[] = {k->dir, from};
	if (from < 0 || !life_kept_apart(stay, countof(stay)) || fstat(from, &before) < 0 ||
	    !same_file(&before, &k->st) || fstatvfs(k->dir, &room) < 0 ||
	    room.f_bavail * room.f_frsize / 8 < k->head->size)
		_exit(0);
	void *p = mmap(NULL, (size_t)before.st_size, PROT_READ, MAP_PRIVATE, from, 0);
	autoclose int to = p == MAP_FAILED ? -1 : draft_open(k, draft);
	if (to < 0)
		_exit(0);
	bool ok = sections_write(k, to, p) && fstat(from, &after) == 0 &&
		  same_file(&before, &after) && draft_is(k, draft, to) &&
		  renameat(k->dir, draft, k->dir, k->name) == 0;
	if (!ok && draft_is(k, draft, to))
		(void)!unlinkat(k->dir, draft, 0);
	if (ok)
		life_kept_trim(k->dir, FOLDER_MAX);
	_exit(0);
}

/* Nobody here waits for it: it is not the guest's child. */
static void writer_begin(const struct kept *k)
{
	pid_t pid = fork();
	if (pid == 0) {
		if (fork() == 0)
			writer(k);
		_exit(0);
	}
	host_reap(pid);
}

/* ---- using ---- */

/* Its file's time is that of its last use. False: there is none that is good. It may lie where
 * nothing is executed: *ret is NULL then, too. */
static bool kept_map(const struct kept *k, uint8_t **ret)
{
	struct stat st;
	autoclose int fd = openat(k->dir, k->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	*ret = NULL;
	if (fd < 0 || !life_kept_ours(fd, S_IFREG) || fstat(fd, &st) < 0 ||
	    st.st_size != (off_t)k->head->size)
		return false;
	(void)!futimens(fd, NULL);
	const int flags = MAP_PRIVATE | MAP_NORESERVE;
	void *p = mmap(NULL, k->head->size, PROT_READ | PROT_EXEC, flags, fd, 0);
	*ret = p == MAP_FAILED ? NULL : p;
	return true;
}

void image_cache_map(struct win_image *ret, const char *path, const struct pe *head,
		     const uint8_t *file, uint64_t len)
{
	struct kept k = {.path = path, .head = head};
	bool any = false;
	for (unsigned i = 0; i < head->nsections; i++)
		any |= pe_section_kept(&head->sections[i]);
	if (!any || head->size < IMAGE_LEAST || stat(path, &k.st) < 0 ||
	    (uint64_t)k.st.st_size != len || !settled(&k.st))
		return;
	k.dir = life_kept_open("windows-images");
	if (k.dir < 0)
		return;
	name_make(&k, file, len);
	*ret = (struct win_image){.fits = true,
				  .device = k.st.st_dev,
				  .inode = k.st.st_ino,
				  .size = len,
				  .changed_s = k.st.st_ctim.tv_sec,
				  .changed_ns = k.st.st_ctim.tv_nsec};
	if (!kept_map(&k, &ret->at))
		writer_begin(&k);
	close(k.dir);
}
