/* SPDX-License-Identifier: Apache-2.0 */
/* The shape of every FUSE message that we let through. libfuse believes its caller, which is a
 * kernel for it; ours is a guest. Spec: Linux include/uapi/linux/fuse.h (protocol 7). */
#include "internal.h"
#include <fcntl.h>
#include <linux/fuse.h>

_Static_assert(sizeof(struct fuse_in_header) == SHARE_HEADER_IN, "header");
_Static_assert(sizeof(struct fuse_out_header) == SHARE_HEADER_OUT, "header");

/* What follows the fixed part. */
enum tail {
	TAIL_NONE,    /* nothing */
	TAIL_NAME,    /* a file name */
	TAIL_NAMES,   /* two file names */
	TAIL_TEXT,    /* one string of another kind (an attribute's name) */
	TAIL_LINK,    /* a file name and the text of a symbolic link */
	TAIL_VALUE,   /* a string and as many bytes as the first word says */
	TAIL_DATA,    /* as many bytes as fuse_write_in says */
	TAIL_FORGETS, /* as many fuse_forget_one as the first word says */
	TAIL_ANY,     /* newer kernels append fields */
};
struct shape {
	bool known, writes, silent;
	uint16_t fixed; /* bytes after the header */
	enum tail tail;
};

#define FIXED(t) sizeof(struct t)
static const struct shape shapes[] = {
	[FUSE_LOOKUP] = { .known = true, .tail = TAIL_NAME },
	[FUSE_FORGET] = { .known = true, .silent = true, .fixed = FIXED(fuse_forget_in) },
	[FUSE_GETATTR] = { .known = true, .fixed = FIXED(fuse_getattr_in) },
	[FUSE_SETATTR] = { .known = true, .writes = true, .fixed = FIXED(fuse_setattr_in) },
	[FUSE_READLINK] = { .known = true },
	[FUSE_SYMLINK] = { .known = true, .writes = true, .tail = TAIL_LINK },
	[FUSE_MKNOD] = { .known = true, .writes = true, .fixed = FIXED(fuse_mknod_in),
	                 .tail = TAIL_NAME },
	[FUSE_MKDIR] = { .known = true, .writes = true, .fixed = FIXED(fuse_mkdir_in),
	                 .tail = TAIL_NAME },
	[FUSE_UNLINK] = { .known = true, .writes = true, .tail = TAIL_NAME },
	[FUSE_RMDIR] = { .known = true, .writes = true, .tail = TAIL_NAME },
	[FUSE_RENAME] = { .known = true, .writes = true, .fixed = FIXED(fuse_rename_in),
	                  .tail = TAIL_NAMES },
	[FUSE_RENAME2] = { .known = true, .writes = true, .fixed = FIXED(fuse_rename2_in),
	                   .tail = TAIL_NAMES },
	[FUSE_LINK] = { .known = true, .writes = true, .fixed = FIXED(fuse_link_in),
	                .tail = TAIL_NAME },
	[FUSE_OPEN] = { .known = true, .fixed = FIXED(fuse_open_in) },
	[FUSE_READ] = { .known = true, .fixed = FIXED(fuse_read_in) },
	[FUSE_WRITE] = { .known = true, .writes = true, .fixed = FIXED(fuse_write_in),
	                 .tail = TAIL_DATA },
	[FUSE_STATFS] = { .known = true },
	[FUSE_RELEASE] = { .known = true, .fixed = FIXED(fuse_release_in) },
	[FUSE_FSYNC] = { .known = true, .fixed = FIXED(fuse_fsync_in) },
	[FUSE_SETXATTR] = { .known = true, .writes = true, .fixed = FUSE_COMPAT_SETXATTR_IN_SIZE,
	                    .tail = TAIL_VALUE },
	[FUSE_GETXATTR] = { .known = true, .fixed = FIXED(fuse_getxattr_in), .tail = TAIL_TEXT },
	[FUSE_LISTXATTR] = { .known = true, .fixed = FIXED(fuse_getxattr_in) },
	[FUSE_REMOVEXATTR] = { .known = true, .writes = true, .tail = TAIL_TEXT },
	[FUSE_FLUSH] = { .known = true, .fixed = FIXED(fuse_flush_in) },
	[FUSE_INIT] = { .known = true, .fixed = 16, .tail = TAIL_ANY },
	[FUSE_OPENDIR] = { .known = true, .fixed = FIXED(fuse_open_in) },
	[FUSE_READDIR] = { .known = true, .fixed = FIXED(fuse_read_in) },
	[FUSE_RELEASEDIR] = { .known = true, .fixed = FIXED(fuse_release_in) },
	[FUSE_FSYNCDIR] = { .known = true, .fixed = FIXED(fuse_fsync_in) },
	[FUSE_CREATE] = { .known = true, .writes = true, .fixed = FIXED(fuse_create_in),
	                  .tail = TAIL_NAME },
	[FUSE_DESTROY] = { .known = true },
	[FUSE_BATCH_FORGET] = { .known = true, .silent = true,
	                        .fixed = FIXED(fuse_batch_forget_in), .tail = TAIL_FORGETS },
	[FUSE_FALLOCATE] = { .known = true, .writes = true, .fixed = FIXED(fuse_fallocate_in) },
	[FUSE_READDIRPLUS] = { .known = true, .fixed = FIXED(fuse_read_in) },
	[FUSE_LSEEK] = { .known = true, .fixed = FIXED(fuse_lseek_in) },
	[FUSE_COPY_FILE_RANGE] = { .known = true, .writes = true,
	                           .fixed = FIXED(fuse_copy_file_range_in) },
};

static uint32_t message_opcode(const uint8_t *buf) { return le32_at(buf + 4); }

bool share_is_init(const uint8_t *buf) { return message_opcode(buf) == FUSE_INIT; }

bool share_is_exclusive(const uint8_t *buf)
{
	return share_is_init(buf) || message_opcode(buf) == FUSE_DESTROY;
}

bool share_is_write(const uint8_t *buf, size_t *ret_have)
{
	*ret_have = SHARE_HEADER_IN + sizeof(struct fuse_write_in);
	return message_opcode(buf) == FUSE_WRITE;
}

bool share_name_ok(const char *name)
{
	return *name && strcmp(name, ".") && strcmp(name, "..") && !strchr(name, '/');
}

/* Length of the string at @p with its end, 0 when it has none within @len. */
static size_t text_len(const uint8_t *p, size_t len)
{
	const uint8_t *end = len ? memchr(p, 0, len) : NULL;
	return end ? (size_t)(end - p) + 1 : 0;
}

static size_t name_len(const uint8_t *p, size_t len)
{
	size_t n = text_len(p, len);
	return n && share_name_ok((const char *)p) ? n : 0;
}

/* Does the tail of @len bytes at @p have its shape? @fixed is the part before it. */
static bool tail_ok(enum tail t, const uint8_t *fixed, const uint8_t *p, size_t len)
{
	size_t n;
	switch (t) {
	case TAIL_NONE: return len == 0;
	case TAIL_NAME: return len && name_len(p, len) == len;
	case TAIL_TEXT: return len && text_len(p, len) == len;
	case TAIL_NAMES:
		n = name_len(p, len);
		return n && len > n && name_len(p + n, len - n) == len - n;
	case TAIL_LINK:
		n = name_len(p, len);
		return n && len > n && text_len(p + n, len - n) == len - n;
	case TAIL_VALUE:
		n = text_len(p, len);
		return n && le32_at(fixed) == len - n;
	case TAIL_DATA:
		return le32_at(fixed + offsetof(struct fuse_write_in, size)) == len &&
		       len <= SHARE_DATA_MAX;
	case TAIL_FORGETS:
		return len % sizeof(struct fuse_forget_one) == 0 &&
		       le32_at(fixed) == len / sizeof(struct fuse_forget_one);
	case TAIL_ANY: return true;
	}
	return false;
}

/* A read-only share: may this message pass? */
static bool readonly_ok(const struct shape *h, uint32_t opcode, const uint8_t *fixed)
{
	if (h->writes)
		return false;
	return opcode != FUSE_OPEN ||
	       ((le32_at(fixed) & O_ACCMODE) == O_RDONLY && !(le32_at(fixed) & O_TRUNC));
}

/* A message before this minor version has its names in other places, where libfuse follows it and
 * nobody here has looked: a name from there leads anywhere on the host. virtio-fs began with 31. */
enum { MAJOR = 7, MINOR_MIN = 12 };

static bool version_ok(const uint8_t *fixed)
{
	uint32_t major = le32_at(fixed);
	/* To a newer major libfuse answers with its own, and waits for another INIT; of an older
	 * one it complains on stderr, which is not the guest's to fill. */
	return major > MAJOR || (major == MAJOR && le32_at(fixed + 4) >= MINOR_MIN);
}

enum share_verdict share_check(const struct share *s, const uint8_t *buf, size_t have, size_t len,
                               int *ret_errno)
{
	uint32_t opcode = message_opcode(buf);
	const struct shape *h = opcode < countof(shapes) ? &shapes[opcode] : NULL;
	if (opcode == FUSE_INTERRUPT)
		return SHARE_SILENT; /* nothing here waits long, and libfuse would remember it */
	*ret_errno = ENOSYS;
	if (!h || !h->known)
		return SHARE_FAIL;
	const uint8_t *fixed = buf + SHARE_HEADER_IN, *tail = fixed + h->fixed;
	*ret_errno = EINVAL;
	if (le32_at(buf) != len || len < SHARE_HEADER_IN + (size_t)h->fixed ||
	    have < SHARE_HEADER_IN + (size_t)h->fixed ||
	    !tail_ok(h->tail, fixed, tail, len - SHARE_HEADER_IN - h->fixed))
		return h->silent ? SHARE_SILENT : SHARE_FAIL;
	*ret_errno = EROFS;
	if (s->o.readonly && !readonly_ok(h, opcode, fixed))
		return SHARE_FAIL;
	*ret_errno = EPROTO;
	return share_is_init(buf) && !version_ok(fixed) ? SHARE_FAIL : SHARE_PASS;
}
