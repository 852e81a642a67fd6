/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a state file. Nothing of it is believed before its checksum was right; where it is
 * wrong the reason says in which section. Format: lodge-state(5) */
#include "save/internal.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <zlib.h>

uint32_t save_head_crc(const uint8_t *head)
{
	static const uint8_t none[4];
	uLong c = crc32(0, head, FILE_CRC);
	c = crc32(c, none, sizeof none);
	return (uint32_t)crc32(c, head + FILE_CRC + 4, FILE_HEAD - FILE_CRC - 4);
}

static int head_parse(struct save_in *ret, const uint8_t *b, size_t len, struct lodge_err *e)
{
	if (len < FILE_HEAD || memcmp(b, file_magic, sizeof file_magic))
		return err_set(e, EINVAL, "this is no state of a guest");
	if (le32_at(b + FILE_CRC) != save_head_crc(b))
		return err_set(e, EINVAL, "the state is damaged: its header's checksum is wrong");
	if (le32_at(b + FILE_VERSION) > SAVE_VERSION || !le32_at(b + FILE_VERSION))
		return err_set(e, EINVAL,
		               "the state was written by a newer Lodge (format %u, this one reads "
		               "up to %d)", le32_at(b + FILE_VERSION), SAVE_VERSION);
	if (le64_at(b + FILE_LEN) != len)
		return err_set(e, EINVAL, "the state is cut short: %zu of %llu bytes", len,
		               (unsigned long long)le64_at(b + FILE_LEN));
	if (b[FILE_LEVEL + FILE_LEVEL_MAX - 1] || le32_at(b + FILE_ZERO) ||
	    le32_at(b + FILE_SECTIONS) > SAVE_SECTIONS_MAX)
		return err_set(e, EINVAL, "the state's header makes no sense");
	memcpy(ret->level, b + FILE_LEVEL, FILE_LEVEL_MAX);
	return 0;
}

static bool all_zero(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i])
			return false;
	return true;
}

/* The section at @at, which moves behind it. */
static int section_parse(struct save_in *ret, const uint8_t *b, size_t len, size_t *at,
                         struct lodge_err *e)
{
	const uint8_t *s = b + *at;
	size_t left = len - *at;
	if (left < SECTION_HEAD || le32_at(s + SECTION_HEAD_CRC) !=
	                           (uint32_t)crc32(0, s, SECTION_HEAD_CRC))
		return err_set(e, EINVAL, "the state is damaged behind %zu bytes: a section's "
		               "header has a wrong checksum", *at);
	uint64_t n = le64_at(s + SECTION_LEN);
	size_t used;
	const char *name = (const char *)s;
	if (s[SAVE_NAME_MAX] || n > left - SECTION_HEAD ||
	    align_up(n, FILE_ALIGN) > left - SECTION_HEAD ||
	    save_in_find(ret, name, &used))
		return err_set(e, EINVAL, "the state's section %.39s makes no sense", name);
	if (le32_at(s + SECTION_CRC) != (uint32_t)crc32(0, s + SECTION_HEAD, (uInt)n) ||
	    !all_zero(s + SECTION_HEAD + n, align_up(n, FILE_ALIGN) - n))
		return err_set(e, EINVAL,
		               "the state is damaged: section %.39s has a wrong checksum", name);
	ret->section[ret->nsections].name = name;
	ret->section[ret->nsections].p = s + SECTION_HEAD;
	ret->section[ret->nsections++].len = n;
	*at += SECTION_HEAD + align_up(n, FILE_ALIGN);
	return 0;
}

int save_in_parse(struct save_in *ret, const uint8_t *buf, size_t len, struct lodge_err *e)
{
	memset(ret, 0, sizeof *ret);
	int r = head_parse(ret, buf, len, e);
	size_t at = FILE_HEAD;
	for (uint32_t i = 0; r == 0 && i < le32_at(buf + FILE_SECTIONS); i++)
		r = section_parse(ret, buf, len, &at, e);
	if (r == 0 && at != len)
		r = err_set(e, EINVAL, "the state goes on behind its last section");
	return r;
}

static uint8_t *state_room(size_t len, struct lodge_err *e)
{
	uint8_t *ret = malloc(len + 1);
	if (!ret)
		(void)!err_set(e, ENOMEM, "no memory for the state of a guest");
	return ret;
}

/* As save_in_parse, and on success @buf is *@ret's. */
static int own_parse(struct save_in *ret, uint8_t **buf, size_t len, struct lodge_err *e)
{
	int r = save_in_parse(ret, *buf, len, e);
	if (r == 0) {
		ret->buf = take(*buf);
		ret->len = len;
	}
	return r;
}

int save_in_copy(struct save_in *ret, const struct save_in *in, struct lodge_err *e)
{
	autofree uint8_t *buf = state_room(in->len, e);
	if (!buf)
		return -ENOMEM;
	memcpy(buf, in->buf, in->len);
	return own_parse(ret, &buf, in->len, e);
}

int save_in_file(struct save_in *ret, int dirfd, const char *name, struct lodge_err *e)
{
	struct stat st;
	ret->buf = NULL;
	autoclose int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(e, "the state file %s", name);
	if (!S_ISREG(st.st_mode) || st.st_size > SAVE_BYTES_MAX)
		return err_set(e, EINVAL, "%s is no state of a guest", name);
	size_t len = (size_t)st.st_size;
	autofree uint8_t *buf = state_room(len, e);
	if (!buf)
		return -ENOMEM;
	if (!host_pread(fd, buf, len, 0))
		return err_set(e, errno ? errno : EINVAL, "reading the state file %s: %s", name,
		               errno ? strerror(errno) : "it became shorter");
	return own_parse(ret, &buf, len, e);
}

void save_in_fini(struct save_in *s)
{
	free((void *)(uintptr_t)s->buf);
	s->buf = NULL;
	s->nsections = 0;
}

const uint8_t *save_in_find(const struct save_in *s, const char *name, size_t *ret_len)
{
	for (unsigned i = 0; i < s->nsections; i++)
		if (!strcmp(s->section[i].name, name)) {
			*ret_len = s->section[i].len;
			return s->section[i].p;
		}
	return NULL;
}

int save_in_fields(const struct save_in *s, const char *name, const struct state_field *t,
                   void *obj, struct lodge_err *e)
{
	size_t len;
	const uint8_t *p = save_in_find(s, name, &len);
	if (!p)
		return err_set(e, ENOENT, "the state has no section %s", name);
	if (!state_load(t, obj, p, len))
		return err_set(e, EINVAL, "the state's section %s has fields that do not fit",
		               name);
	return 0;
}
