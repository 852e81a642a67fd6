/* SPDX-License-Identifier: Apache-2.0 */
/* What a program has open, as names and places in files, and its clocks. Files are found again by
 * the names that the program knew them by, beneath the same folders; of one that has no name any
 * more the bytes are kept. Format: lodge-state(5) */
#include "wasi/internal.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>

enum { /* words of an entry of "wasi/files" */
       FILE_NUMBER,
       FILE_KIND,
       FILE_RIGHTS,
       FILE_INHERITED,
       FILE_FLAGS,  /* of fcntl(2) */
       FILE_POS,
       FILE_FOLDER, /* its name, in "wasi/texts" */
       FILE_PATH,   /* the same, below it */
       FILE_WORDS
};
enum {
	KIND_STREAM,   /* descriptor POS of the process: 0, 1, 2 */
	KIND_PATH,
	KIND_NAMELESS, /* its bytes are the section "wasi/file/NUMBER" */
	KIND_FOLDER,   /* one that it was given */
};
enum { NAMELESS_MAX = 8 << 20, TEXTS_MAX = 16 << 20 };
#define FLAGS_KEPT (O_ACCMODE | O_APPEND | O_NONBLOCK | O_DSYNC | O_SYNC | O_DIRECTORY)

struct saved_wasi {
	uint64_t mono_ns, cpu_ns, waited_ns, waits;
};
static const struct state_field fields[] = {
	STATE(struct saved_wasi, mono_ns, 1), STATE(struct saved_wasi, cpu_ns, 1),
	STATE(struct saved_wasi, waited_ns, 1), STATE(struct saved_wasi, waits, 1), STATE_END};

/* ---- time ---- */

void wasi_halted(struct wasi *s) { s->stood_ns = host_monotonic_ns(); }

void wasi_goes_on(struct wasi *s)
{
	uint64_t stood = host_monotonic_ns() - s->stood_ns;
	s->away_ns += (int64_t)stood;
	if (s->main.since_ns)
		s->main.since_ns += stood;
	for (unsigned i = 1; i < THREADS_MAX; i++)
		if (s->threads[i] && s->threads[i]->since_ns)
			s->threads[i]->since_ns += stood;
}

/* ---- saved ---- */

struct gather {
	const struct wasm_sink *to;
	struct wasi *s;
	uint8_t *files; /* owned, as texts */
	char *texts;
	size_t nfiles, ntexts;
	uint64_t nameless;
};

static int text_add(struct gather *g, const char *text, uint64_t *ret, struct lodge_err *e)
{
	size_t n = strlen(text) + 1;
	char *p = g->ntexts + n > TEXTS_MAX ? NULL : realloc(g->texts, g->ntexts + n);
	if (!p)
		return err_set(e, ENOMEM, "out of memory for names of files");
	memcpy(p + g->ntexts, text, n);
	g->texts = p;
	*ret = g->ntexts;
	g->ntexts += n;
	return 0;
}

static const char *folder_name(const struct wasi *s, const struct descriptor *d)
{
	return d->root < s->c->nfolders ? s->c->folders[d->root].name : "?";
}

/* The bytes of a file that nobody else can find. */
static int nameless_save(struct gather *g, uint32_t number, const struct descriptor *d,
			 const struct stat *st, struct lodge_err *e)
{
	char name[32];
	g->nameless += (uint64_t)st->st_size;
	if (!S_ISREG(st->st_mode) || g->nameless > NAMELESS_MAX)
		return err_set(e, EOPNOTSUPP, "it has %s%s%s open, which has been removed or "
			       "replaced, and cannot be saved: %s", folder_name(g->s, d),
			       d->path && *d->path ? "/" : "", d->path ? d->path : "",
			       S_ISREG(st->st_mode) ? "it is too large" : "it is no file");
	snprintf(name, sizeof name, "wasi/file/%u", number);
	uint8_t *p = g->to->section(g->to->user, name, (size_t)st->st_size);
	/* of a descriptor that may only be written, there is no way to its bytes */
	if (p && !host_pread(d->fd, p, (size_t)st->st_size, 0))
		return err_set(e, EOPNOTSUPP, "it writes to %s/%s, which has been removed",
			       folder_name(g->s, d), d->path ? d->path : "");
	return 0;
}

/* Does its name still lead to it? */
static bool found_again(const struct wasi *s, const struct descriptor *d, const struct stat *st)
{
	struct stat there;
	if (!d->path)
		return false;
	autoclose int fd = beneath_open(s->roots[d->root], *d->path ? d->path : ".", O_PATH, 0);
	return fd >= 0 && fstat(fd, &there) == 0 && there.st_dev == st->st_dev &&
	       there.st_ino == st->st_ino;
}

static int file_save(struct gather *g, uint32_t number, struct lodge_err *e)
{
	const struct descriptor *d = &g->s->at[number];
	uint64_t w[FILE_WORDS] = {number, KIND_PATH, d->rights, d->inherited};
	struct stat st;
	int flags = fcntl(d->fd, F_GETFL), r = 0;
	if (flags < 0 || fstat(d->fd, &st) < 0)
		return err_sys(e, "descriptor %u of the program", number);
	w[FILE_FLAGS] = (uint64_t)(flags & FLAGS_KEPT);
	off_t pos = S_ISREG(st.st_mode) ? lseek(d->fd, 0, SEEK_CUR) : 0;
	w[FILE_POS] = pos > 0 ? (uint64_t)pos : 0;
	if (d->fd <= 2) {
		w[FILE_KIND] = KIND_STREAM;
		w[FILE_POS] = (uint64_t)d->fd;
	} else if (S_ISSOCK(st.st_mode)) {
		return err_set(e, EOPNOTSUPP, "its descriptor %u is a socket, which cannot be "
			       "saved", number);
	} else if (d->name) {
		w[FILE_KIND] = KIND_FOLDER;
		r = text_add(g, d->name, &w[FILE_FOLDER], e);
	} else if (!found_again(g->s, d, &st)) {
		w[FILE_KIND] = KIND_NAMELESS;
		if (st.st_nlink)
			return err_set(e, EOPNOTSUPP, "it has %s/%s open, which somebody has "
				       "renamed or replaced since", folder_name(g->s, d),
				       d->path ? d->path : "?");
		r = nameless_save(g, number, d, &st, e);
	} else {
		r = text_add(g, folder_name(g->s, d), &w[FILE_FOLDER], e);
		if (r == 0)
			r = text_add(g, d->path, &w[FILE_PATH], e);
	}
	for (unsigned i = 0; i < FILE_WORDS; i++)
		le64_put(g->files + 8 * (g->nfiles * FILE_WORDS + i), w[i]);
	g->nfiles++;
	return r;
}

static void section_put(const struct wasm_sink *to, const char *name, const void *p, size_t n)
{
	uint8_t *q = to->section(to->user, name, n);
	if (q && n)
		memcpy(q, p, n);
}

int wasi_save(struct wasi *s, const struct wasm_sink *to, struct lodge_err *e)
{
	struct gather g = {.to = to, .s = s};
	uint8_t buf[256];
	const struct saved_wasi own = {
	    .mono_ns = s->stood_ns - (uint64_t)s->away_ns,
	    .cpu_ns = guest_clock_ns(s, CLOCK_PROCESS_CPUTIME_ID),
	    .waits = s->main.since_ns != 0,
	    .waited_ns = s->main.since_ns ? s->stood_ns - s->main.since_ns : 0};
	int r = 0;
	if (!(g.files = malloc(8 * FILE_WORDS * ((size_t)s->n + 1))))
		return err_set(e, ENOMEM, "out of memory");
	for (uint32_t i = 0; r == 0 && i < s->n; i++)
		if (s->at[i].used)
			r = file_save(&g, i, e);
	if (r == 0) {
		section_put(to, "wasi", buf, state_save(fields, &own, buf, sizeof buf));
		section_put(to, "wasi/files", g.files, 8 * FILE_WORDS * g.nfiles);
		section_put(to, "wasi/texts", g.texts, g.ntexts);
	}
	free(g.files);
	free(g.texts);
	return r;
}

/* ---- loaded ---- */

struct load {
	const struct wasm_source *from;
	struct wasi *s;
	const uint8_t *files;
	const char *texts;
	size_t nfiles, ntexts;
};

static const char *text_at(const struct load *l, uint64_t at)
{
	return at < l->ntexts && memchr(l->texts + at, 0, l->ntexts - at) ? l->texts + at : NULL;
}

/* The folder of the configuration that the program calls @name; -1: there is none. */
static int folder_find(const struct wasi *s, const char *name)
{
	for (size_t i = 0; name && i < s->c->nfolders; i++)
		if (!strcmp(s->c->folders[i].name, name))
			return (int)i;
	return -1;
}

static int nameless_load(const struct load *l, uint64_t number, struct lodge_err *e)
{
	char name[32];
	size_t len = 0;
	snprintf(name, sizeof name, "wasi/file/%llu", (unsigned long long)number);
	const uint8_t *p = l->from->find(l->from->user, name, &len);
	if (!p)
		return err_set(e, EINVAL, "the state is damaged: no section %s", name);
	int fd = memfd_create("lodge-file", MFD_CLOEXEC);
	if (fd < 0 || !host_pwrite(fd, p, len, 0)) {
		auto_close(&fd);
		return err_sys(e, "making a file without a name");
	}
	return fd;
}

static int path_load(const struct wasi *s, int root, const char *path, uint64_t flags,
		     struct lodge_err *e)
{
	if (root < 0 || !path)
		return err_set(e, EINVAL, "the state has a file in a folder that is not given to "
			       "the program (--volume)");
	int fd = beneath_open(s->roots[root], *path ? path : ".",
			      (flags & FLAGS_KEPT) | O_NOCTTY | O_NONBLOCK, 0);
	if (fd < 0)
		return err_set(e, EINVAL, "the program had %s/%s open, which cannot be opened "
			       "again: %s", s->c->folders[root].name, path, strerror(errno));
	return fd;
}

static int entry_open(const struct load *l, const uint64_t *w, int *ret_root, struct lodge_err *e)
{
	struct wasi *s = l->s;
	int fd;
	const char *name = w[FILE_KIND] == KIND_PATH || w[FILE_KIND] == KIND_FOLDER
			       ? text_at(l, w[FILE_FOLDER])
			       : NULL;
	*ret_root = folder_find(s, name);
	switch (w[FILE_KIND]) {
	case KIND_STREAM:
		if (w[FILE_POS] > 2)
			break;
		return (int)w[FILE_POS];
	case KIND_PATH: return path_load(s, *ret_root, text_at(l, w[FILE_PATH]), w[FILE_FLAGS], e);
	case KIND_NAMELESS: return nameless_load(l, w[FILE_NUMBER], e);
	case KIND_FOLDER:
		if (*ret_root < 0)
			return err_set(e, EINVAL, "the program had the folder %s, which it is not "
				       "given any more (--volume)", name ? name : "?");
		fd = fcntl(s->roots[*ret_root], F_DUPFD_CLOEXEC, 3);
		return fd < 0 ? err_sys(e, "a folder") : fd;
	default: break;
	}
	return err_set(e, EINVAL, "the state is damaged: a descriptor of no kind that is known");
}

static int entry_load(const struct load *l, size_t i, struct lodge_err *e)
{
	struct wasi *s = l->s;
	uint64_t w[FILE_WORDS];
	int root;
	for (unsigned k = 0; k < FILE_WORDS; k++)
		w[k] = le64_at(l->files + 8 * (i * FILE_WORDS + k));
	uint64_t n = w[FILE_NUMBER];
	if (n >= DESCRIPTORS_MAX || (n < s->n && s->at[n].used) || w[FILE_POS] > INT64_MAX)
		return err_set(e, EINVAL, "the state is damaged: a descriptor twice, or none");
	int fd = entry_open(l, w, &root, e);
	if (fd < 0)
		return fd;
	const int status = O_APPEND | O_NONBLOCK;
	bool stream = w[FILE_KIND] == KIND_STREAM, folder = w[FILE_KIND] == KIND_FOLDER;
	if (fcntl(fd, F_SETFL, (int)w[FILE_FLAGS] & status) < 0 ||
	    (!stream && !folder && w[FILE_POS] && lseek(fd, (off_t)w[FILE_POS], SEEK_SET) < 0)) {
		if (!stream)
			close(fd);
		return err_sys(e, "descriptor %llu of the program", (unsigned long long)n);
	}
	uint32_t r = descriptor_put(s, (uint32_t)n, fd, w[FILE_RIGHTS] & RIGHTS_ALL,
				    w[FILE_INHERITED] & RIGHTS_ALL);
	if (r)
		return err_set(e, r == W_MFILE ? EMFILE : EINVAL,
			       "descriptor %llu of the program cannot be made again",
			       (unsigned long long)n);
	if (root < 0)
		return 0;
	struct descriptor *d = &s->at[n];
	d->root = (uint32_t)root;
	d->name = folder ? s->c->folders[root].name : NULL;
	d->path = strdup(folder ? "" : text_at(l, w[FILE_PATH]));
	return d->path ? 0 : err_set(e, ENOMEM, "out of memory");
}

int wasi_load(struct wasi *s, const struct wasm_source *from, struct lodge_err *e)
{
	struct load l = {.from = from, .s = s};
	struct saved_wasi own = {0};
	size_t len = 0;
	const uint8_t *p = from->find(from->user, "wasi", &len);
	if (!p || !state_load(fields, &own, p, len))
		return err_set(e, EINVAL, "the state is damaged: section wasi");
	l.files = from->find(from->user, "wasi/files", &l.nfiles);
	l.texts = (const char *)from->find(from->user, "wasi/texts", &l.ntexts);
	if (!l.files || l.nfiles % (8 * FILE_WORDS) || (!l.texts && l.ntexts))
		return err_set(e, EINVAL, "the state is damaged: section wasi/files");
	l.nfiles /= 8 * FILE_WORDS;
	for (uint32_t i = 0; i < s->n; i++)
		if (s->at[i].used)
			descriptor_drop(&s->at[i]);
	int r = 0;
	for (size_t i = 0; r == 0 && i < l.nfiles; i++)
		r = entry_load(&l, i, e);
	wasi_halted(s);
	s->away_ns = (int64_t)(s->stood_ns - own.mono_ns);
	s->cpu_ns = own.cpu_ns;
	s->main.since_ns = own.waits ? s->stood_ns - min_u64(own.waited_ns, s->stood_ns - 1) : 0;
	return r;
}
