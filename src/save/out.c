/* SPDX-License-Identifier: Apache-2.0 */
/* A state file being written; see internal.h for its layout and lodge-state(5). */
#include "save/internal.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <zlib.h>

struct save_out {
	uint8_t *buf; /* owned */
	size_t len, cap;
	size_t open;  /* where the last section begins; 0: none */
	unsigned nsections;
	int error;    /* positive errno of what failed; 0: nothing */
};

int save_out_new(struct save_out **ret, const char *level, struct lodge_err *e)
{
	struct save_out *o = calloc(1, sizeof *o);
	uint8_t *buf = calloc(1, 64 << 10);
	if (!o || !buf) {
		free(o);
		free(buf);
		return err_set(e, ENOMEM, "no memory for the state of a guest");
	}
	assert(strlen(level) < FILE_LEVEL_MAX);
	*o = (struct save_out){ .buf = buf, .cap = 64 << 10, .len = FILE_HEAD };
	memcpy(buf, file_magic, sizeof file_magic);
	le32_put(buf + FILE_VERSION, SAVE_VERSION);
	memcpy(buf + FILE_LEVEL, level, strlen(level));
	*ret = o;
	return 0;
}

void save_out_free(struct save_out *o)
{
	if (!o)
		return;
	free(o->buf);
	free(o);
}

/* The last section is whole now: sum it up. */
static void section_close(struct save_out *o)
{
	uint8_t *s = o->buf + o->open;
	if (!o->open)
		return;
	uint64_t len = le64_at(s + SECTION_LEN);
	le32_put(s + SECTION_CRC, (uint32_t)crc32(0, s + SECTION_HEAD, (uInt)len));
	le32_put(s + SECTION_HEAD_CRC, (uint32_t)crc32(0, s, SECTION_HEAD_CRC));
	o->open = 0;
}

static bool out_grow(struct save_out *o, size_t need)
{
	if (need > SAVE_BYTES_MAX || o->nsections == SAVE_SECTIONS_MAX) {
		o->error = E2BIG;
		return false;
	}
	size_t cap = o->cap;
	while (cap < need)
		cap *= 2;
	uint8_t *bigger = cap > o->cap ? realloc(o->buf, cap) : o->buf;
	if (!bigger) {
		o->error = ENOMEM;
		return false;
	}
	memset(bigger + o->len, 0, cap - o->len);
	o->buf = bigger;
	o->cap = cap;
	return true;
}

uint8_t *save_out_section(struct save_out *o, const char *name, size_t len)
{
	section_close(o);
	assert(strlen(name) <= SAVE_NAME_MAX);
	if (o->error || len > SAVE_BYTES_MAX ||
	    !out_grow(o, o->len + SECTION_HEAD + align_up(len, FILE_ALIGN))) {
		o->error = o->error ? o->error : E2BIG;
		return NULL;
	}
	o->open = o->len;
	uint8_t *s = o->buf + o->open;
	memcpy(s, name, strlen(name));
	le64_put(s + SECTION_LEN, len);
	o->len += SECTION_HEAD + align_up(len, FILE_ALIGN);
	o->nsections++;
	return s + SECTION_HEAD;
}

void save_out_fields(struct save_out *o, const char *name, const struct state_field *t,
                     const void *obj)
{
	size_t n = state_save(t, obj, NULL, 0);
	uint8_t *p = save_out_section(o, name, n);
	if (p)
		state_save(t, obj, p, n);
}

int save_out_copy(struct save_out *o, int fd, const char *prefix, struct lodge_err *e)
{
	char name[2 * SAVE_NAME_MAX];
	struct save_in in = {.nsections = 0};
	struct stat st;
	if (fstat(fd, &st) < 0 || st.st_size > SAVE_BYTES_MAX)
		return err_set(e, E2BIG, "the program's state is too large");
	autofree uint8_t *buf = malloc((size_t)st.st_size + 1);
	if (!buf)
		return err_set(e, ENOMEM, "out of memory");
	if (!host_pread(fd, buf, (size_t)st.st_size, 0))
		return err_sys(e, "the program's state");
	int r = save_in_parse(&in, buf, (size_t)st.st_size, e);
	for (unsigned i = 0; r == 0 && i < in.nsections; i++) {
		snprintf(name, sizeof name, "%s%s", prefix, in.section[i].name);
		if (strlen(name) > SAVE_NAME_MAX)
			return err_set(e, E2BIG, "the program's state is too large");
		uint8_t *p = save_out_section(o, name, in.section[i].len);
		if (p)
			memcpy(p, in.section[i].p, in.section[i].len);
	}
	return r;
}

int save_out_bytes(struct save_out *o, const uint8_t **ret, size_t *ret_len, struct lodge_err *e)
{
	section_close(o);
	if (o->error)
		return err_set(e, o->error, "the state of the guest cannot be gathered: %s",
		               strerror(o->error));
	le64_put(o->buf + FILE_LEN, o->len);
	le32_put(o->buf + FILE_SECTIONS, o->nsections);
	le32_put(o->buf + FILE_CRC, save_head_crc(o->buf));
	*ret = o->buf;
	*ret_len = o->len;
	return 0;
}

int save_out_file(struct save_out *o, int dirfd, const char *name, struct lodge_err *e)
{
	const uint8_t *p;
	size_t len;
	int r = save_out_bytes(o, &p, &len, e);
	if (r < 0)
		return r;
	autoclose int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(e, "making the state file %s", name);
	if (!host_pwrite(fd, p, len, 0) || fsync(fd) < 0)
		return err_sys(e, "writing the state file %s", name);
	return 0;
}
