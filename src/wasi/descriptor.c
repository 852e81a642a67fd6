/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors: the program's own small numbers, what is behind them and what they may do. */
#include "wasi/internal.h"
#include <fcntl.h>
#include <sys/socket.h>

uint8_t filetype_of(const struct stat *st)
{
	switch (st->st_mode & S_IFMT) {
	case S_IFBLK: return TYPE_BLOCK;
	case S_IFCHR: return TYPE_CHARACTER;
	case S_IFDIR: return TYPE_DIRECTORY;
	case S_IFREG: return TYPE_REGULAR;
	case S_IFLNK: return TYPE_LINK;
	case S_IFSOCK: return TYPE_STREAM;
	default: return TYPE_UNKNOWN;
	}
}

uint8_t descriptor_type(int fd, const struct stat *st)
{
	int type = SOCK_STREAM;
	socklen_t len = sizeof type;
	if (S_ISSOCK(st->st_mode) && getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 &&
	    type == SOCK_DGRAM)
		return TYPE_DGRAM;
	return filetype_of(st);
}

void descriptor_drop(struct descriptor *d)
{
	if (d->fd > 2)
		close(d->fd);
	if (d->listing >= 0)
		close(d->listing);
	free(d->path);
	*d = (struct descriptor){.fd = -1, .listing = -1};
}

uint32_t descriptor_get(struct wasi *s, uint32_t i, enum right right, struct descriptor **ret)
{
	if (i >= s->n || !s->at[i].used)
		return W_BADF;
	if (right < RIGHTS && !(s->at[i].rights >> right & 1))
		return W_NOTCAPABLE;
	*ret = &s->at[i];
	return 0;
}

/* Is there a place @i, or can there be one? */
static bool descriptor_room(struct wasi *s, uint32_t i)
{
	if (i < s->n)
		return true;
	uint32_t n = (i / 16 + 1) * 16;
	struct descriptor *p = i < DESCRIPTORS_MAX ? realloc(s->at, n * sizeof *p) : NULL;
	if (!p)
		return false;
	for (uint32_t k = s->n; k < n; k++)
		p[k] = (struct descriptor){.fd = -1, .listing = -1};
	s->at = p;
	s->n = n;
	return true;
}

uint32_t descriptor_put(struct wasi *s, uint32_t i, int fd, uint64_t rights, uint64_t inherited)
{
	struct stat st;
	bool room = descriptor_room(s, i);
	if (!room || fstat(fd, &st) < 0) {
		uint32_t r = !room ? W_MFILE : errno_of(errno);
		if (fd > 2)
			close(fd);
		return r;
	}
	s->at[i] = (struct descriptor){.used = true,
				       .fd = fd,
				       .type = descriptor_type(fd, &st),
				       .rights = rights,
				       .inherited = inherited,
				       .listing = -1};
	return 0;
}

uint32_t descriptor_add(struct wasi *s, int fd, uint64_t rights, uint64_t inherited, uint32_t *ret)
{
	uint32_t i = 0;
	while (i < s->n && s->at[i].used)
		i++;
	uint32_t r = descriptor_put(s, i, fd, rights, inherited);
	if (!r && ret)
		*ret = i;
	return r;
}

#define MAY(x) (1ull << MAY_##x)
#define RIGHTS_STREAM                                                                              \
	(MAY(READ) | MAY(WRITE) | MAY(SET_FLAGS) | MAY(SYNC) | MAY(DATASYNC) | MAY(STAT) |         \
	 MAY(POLL) | MAY(SHUTDOWN) | MAY(ACCEPT))
#define RIGHTS_FOLDER                                                                              \
	(RIGHTS_ALL & ~(MAY(SEEK) | MAY(TELL) | MAY(READ) | MAY(WRITE) | MAY(ALLOCATE) |           \
			MAY(SET_SIZE) | MAY(SHUTDOWN) | MAY(ACCEPT)))

int wasi_new(struct wasi **ret, const struct wasi_config *c, struct lodge_err *e)
{
	struct wasi *s = calloc(1, sizeof *s);
	uint32_t i = 0, r = s ? 0 : W_NOMEM;
	if (s) {
		s->c = c;
		s->main.all = s;
		s->me = &s->main;
		s->running = 1;
		s->tids[0] = gettid();
		pthread_mutex_init(&s->lock, NULL);
		pthread_cond_init(&s->changed, NULL);
	}
	for (int fd = 0; fd < 3 && !r; fd++) {
		struct stat st;
		bool file = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
		r = descriptor_add(s, fd, file ? RIGHTS_ALL : RIGHTS_STREAM, 0, &i);
		if (r == W_BADF) /* closed: it stays an empty place */
			r = 0;
	}
	for (int fd = 0; fd < 3 && s && !r; fd++)
		if (s->n <= (uint32_t)fd || !s->at[fd].used || s->at[fd].fd != fd)
			r = W_BADF;
	if (s && !(s->roots = malloc((c->nfolders + 1) * sizeof *s->roots)))
		r = W_NOMEM;
	for (size_t k = 0; k < c->nfolders; k++) {
		if (!s || !s->roots)
			close(c->folders[k].fd);
		else
			s->roots[k] = c->folders[k].fd;
		int fd = r ? -1 : fcntl(c->folders[k].fd, F_DUPFD_CLOEXEC, 3);
		r = r ? r : fd < 0 ? W_BADF : descriptor_add(s, fd, RIGHTS_FOLDER, RIGHTS_ALL, &i);
		if (!r && !(s->at[i].path = strdup("")))
			r = W_NOMEM;
		if (!r) {
			s->at[i].name = c->folders[k].name;
			s->at[i].root = (uint32_t)k;
		}
	}
	for (size_t k = 0; k < c->nsockets; k++) /* descriptor_add closes what it does not take */
		if (r)
			close(c->sockets[k]);
		else
			r = descriptor_add(s, c->sockets[k], RIGHTS_STREAM, RIGHTS_STREAM, &i);
	if (r) {
		wasi_free(s);
		return err_set(e, r == W_NOMEM ? ENOMEM : EBADF,
			       r == W_NOMEM ? "out of memory"
					    : "descriptors 0 to 2 and the folders must be open");
	}
	*ret = s;
	return 0;
}

void wasi_free(struct wasi *s)
{
	if (!s)
		return;
	for (uint32_t i = 0; i < s->n; i++)
		if (s->at[i].used)
			descriptor_drop(&s->at[i]);
	for (size_t k = 0; s->roots && k < s->c->nfolders; k++)
		close(s->roots[k]);
	free(s->roots);
	free(s->at);
	threads_free(s);
	pthread_cond_destroy(&s->changed);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

/* ---- what is asked of them as such ---- */

uint32_t wasi_fd_close(struct wasi *s, const union wasm_slot *a)
{
	struct descriptor *d = NULL;
	uint32_t r = descriptor_get(s, a[0].i32, RIGHTS, &d);
	if (!r)
		descriptor_drop(d);
	return r;
}

uint32_t wasi_fd_renumber(struct wasi *s, const union wasm_slot *a)
{
	struct descriptor *from = NULL, *to = NULL;
	uint32_t r = descriptor_get(s, a[0].i32, RIGHTS, &from);
	if (!r)
		r = descriptor_get(s, a[1].i32, RIGHTS, &to);
	if (r || from == to)
		return r;
	descriptor_drop(to);
	*to = *from;
	*from = (struct descriptor){.fd = -1, .listing = -1};
	return 0;
}

uint32_t wasi_fd_fdstat_get(struct wasi *s, const union wasm_slot *a)
{
	struct descriptor *d = NULL;
	uint8_t *to = guest(s, a[1].i32, 24);
	uint32_t r = to ? descriptor_get(s, a[0].i32, RIGHTS, &d) : W_FAULT;
	if (r)
		return r;
	int f = fcntl(d->fd, F_GETFL);
	if (f < 0)
		return errno_of(errno);
	unsigned flags = (f & O_APPEND ? 1u : 0) | (f & O_NONBLOCK ? 4u : 0) |
			 ((f & O_SYNC) == O_SYNC ? 16u : f & O_DSYNC ? 2u : 0);
	memset(to, 0, 24);
	to[0] = d->type;
	le16_put(to + 2, (uint16_t)flags);
	le64_put(to + 8, d->rights);
	le64_put(to + 16, d->inherited);
	return 0;
}

uint32_t wasi_fd_fdstat_set_flags(struct wasi *s, const union wasm_slot *a)
{
	struct descriptor *d = NULL;
	uint32_t r = descriptor_get(s, a[0].i32, MAY_SET_FLAGS, &d), f = a[1].i32;
	if (r)
		return r;
	if (f & ~31u)
		return W_INVAL;
	int had = fcntl(d->fd, F_GETFL);
	int want = (had & ~(O_APPEND | O_NONBLOCK)) | (f & 1 ? O_APPEND : 0) |
		   (f & 4 ? O_NONBLOCK : 0);
	return had < 0 || fcntl(d->fd, F_SETFL, want) < 0 ? errno_of(errno) : 0;
}

uint32_t wasi_fd_fdstat_set_rights(struct wasi *s, const union wasm_slot *a)
{
	struct descriptor *d = NULL;
	uint32_t r = descriptor_get(s, a[0].i32, RIGHTS, &d);
	if (r)
		return r;
	if (a[1].i64 & ~d->rights || a[2].i64 & ~d->inherited)
		return W_NOTCAPABLE;
	d->rights = a[1].i64;
	d->inherited = a[2].i64;
	return 0;
}

uint32_t wasi_fd_prestat_get(struct wasi *s, const union wasm_slot *a)
{
	struct descriptor *d = NULL;
	uint8_t *to = guest(s, a[1].i32, 8);
	uint32_t r = to ? descriptor_get(s, a[0].i32, RIGHTS, &d) : W_FAULT;
	if (r || !d->name)
		return r ? r : W_BADF;
	le32_put(to, 0);
	le32_put(to + 4, (uint32_t)strlen(d->name));
	return 0;
}

uint32_t wasi_fd_prestat_dir_name(struct wasi *s, const union wasm_slot *a)
{
	struct descriptor *d = NULL;
	uint8_t *to = guest(s, a[1].i32, a[2].i32);
	uint32_t r = to ? descriptor_get(s, a[0].i32, RIGHTS, &d) : W_FAULT;
	if (r || !d->name)
		return r ? r : W_BADF;
	if (strlen(d->name) > a[2].i32)
		return W_NAMETOOLONG;
	memcpy(to, d->name, strlen(d->name));
	return 0;
}
