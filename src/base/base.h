/* SPDX-License-Identifier: Apache-2.0 */
/* base: what every room stands on. Knows nothing of guests. */
#pragma once
#include <assert.h>
#include <errno.h>
#include <lodge/lodge.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MUST __attribute__((warn_unused_result))
/* Seldom called, by what is called often and saves no registers for it. */
#define COLD __attribute__((cold, noinline))
/* Reads counters that another thread writes meanwhile, for people to look at: late or torn ones do
 * no harm. */
#define RACY __attribute__((no_sanitize("thread")))
#define PRINTF(f, a) __attribute__((format(printf, f, a)))
#define fallthrough __attribute__((fallthrough))
#define countof(a) (sizeof(a) / sizeof((a)[0]))
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define container_of(p, type, member) ((type *)(void *)((char *)(p)-offsetof(type, member)))

/* Scope-bound ownership: the value is released when its name goes out of scope. */
#define autofree __attribute__((cleanup(auto_free)))
#define autoclose __attribute__((cleanup(auto_close)))
static inline void auto_free(void *p) { free(*(void **)p); }
static inline void auto_close(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

/* Hand ownership out of a scope: yields the value and empties the name. */
#define take(p)                                                                                    \
	({                                                                                         \
		__typeof__(p) take_ = (p);                                                         \
		(p) = NULL;                                                                        \
		take_;                                                                             \
	})
static inline int take_fd(int *fd)
{
	int f = *fd;
	*fd = -1;
	return f;
}

/* ---- errors: host errors only; guest faults are values of the ISA or device ---- */

/* err_set fills @e (may be NULL) and returns -@code, so that
 *     return err_set(e, EINVAL, "ram must be a multiple of %u", PAGE);
 * is one line. err_sys does the same from errno and appends its text. */
int err_set(struct lodge_err *e, int code, const char *fmt, ...) MUST PRINTF(3, 4);
int err_sys(struct lodge_err *e, const char *fmt, ...) MUST PRINTF(2, 3);
/* err_in puts "what: " before the message on the way up; returns @r. */
int err_in(struct lodge_err *e, int r, const char *fmt, ...) PRINTF(3, 4);

/* ---- log: silence by default; the CLI (through lib) sets a sink ---- */
enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };
struct log {
	void (*sink)(void *user, enum log_level l, const char *msg);
	void *user;
	enum log_level max;
	uint64_t window_ns;  /* rate limit state of log_guest */
	unsigned in_window;
};
/* Write one line to @l (NULL: dropped). No newline at the end. Any thread. */
void log_at(struct log *l, enum log_level level, const char *fmt, ...) PRINTF(3, 4);
/* The same for anything a guest can trigger: at most 10 lines a second. */
void log_guest(struct log *l, const char *fmt, ...) PRINTF(2, 3);

/* ---- little-endian fields of wire formats ---- */
static inline uint16_t le16_at(const void *p)
{
	const uint8_t *b = p;
	return (uint16_t)(b[0] | b[1] << 8);
}
static inline uint32_t le32_at(const void *p)
{
	const uint8_t *b = p;
	return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}
static inline uint64_t le64_at(const void *p)
{
	return le32_at(p) | (uint64_t)le32_at((const uint8_t *)p + 4) << 32;
}
static inline void le16_put(void *p, uint16_t v)
{
	uint8_t *b = p;
	b[0] = (uint8_t)v;
	b[1] = (uint8_t)(v >> 8);
}
static inline void le32_put(void *p, uint32_t v)
{
	le16_put(p, (uint16_t)v);
	le16_put((uint8_t *)p + 2, (uint16_t)(v >> 16));
}
static inline void le64_put(void *p, uint64_t v)
{
	le32_put(p, (uint32_t)v);
	le32_put((uint8_t *)p + 4, (uint32_t)(v >> 32));
}
static inline uint16_t be16_at(const void *p) { return __builtin_bswap16(le16_at(p)); }
static inline uint32_t be32_at(const void *p) { return __builtin_bswap32(le32_at(p)); }
static inline uint64_t be64_at(const void *p) { return __builtin_bswap64(le64_at(p)); }

/* Are all @n bytes (at least one) zero? */
static inline bool is_zero(const uint8_t *p, size_t n) { return !p[0] && !memcmp(p, p + 1, n - 1); }
static inline uint64_t align_up(uint64_t v, uint64_t pow2) { return (v + pow2 - 1) & ~(pow2 - 1); }
static inline uint64_t min_u64(uint64_t a, uint64_t b) { return a < b ? a : b; }

/* ---- token bucket ----
 * So much may pass in a second: bytes, requests, ns of CPU time. Who finds rate_due 0 goes on and
 * says with rate_take how much it was; that may be more than was left, and those that come later
 * wait for it. Zeroed: no limit. One thread at a time; all times of one clock, in ns. */
struct rate {
	uint64_t per_s;    /* 0: no limit */
	uint64_t burst_ns; /* what may be saved up while nothing passes */
	uint64_t even_ns;  /* private */
};
/* From now on; what was taken before is forgotten, and nothing is saved up. */
void rate_set(struct rate *r, uint64_t per_s, uint64_t burst_ns, uint64_t now_ns);
/* When the next one may pass; 0: now. */
uint64_t rate_due(const struct rate *r, uint64_t now_ns);
void rate_take(struct rate *r, uint64_t amount, uint64_t now_ns);
/* What is saved up, as the time that made it: at most burst_ns. */
uint64_t rate_credit_ns(const struct rate *r, uint64_t now_ns);

/* ---- saved state ----
 * A snapshot is a table, not code. One line per field; a field is never
 * renumbered, only added with a larger @since (format version). Scalars and
 * fixed arrays of scalars only; lengths that vary live in the owner. */
struct state_field {
	const char *name;
	uint32_t off, size;
	uint16_t since;
};
#define STATE(type, f, since_) { #f, offsetof(type, f), sizeof(((type *)0)->f), since_ }
#define STATE_END { NULL, 0, 0, 0 }
/* Write every field of @obj as {u8 namelen, name, u32 size, bytes}. Returns the bytes
 * needed; writes nothing when that is more than @cap. */
size_t state_save(const struct state_field *t, const void *obj, uint8_t *buf, size_t cap);
/* Read what state_save wrote. Unknown fields are skipped, absent ones keep their value.
 * False: damaged or a known field of another size; @obj may then be half filled. */
bool state_load(const struct state_field *t, void *obj, const uint8_t *buf, size_t len) MUST;

/* ---- file.c: small files that are whole or absent at every instant, removal of folders ---- */
/* A plain file of at most @max bytes; *@ret is malloc'ed and ends with a zero byte. */
int file_load(int dirfd, const char *name, size_t max, char **ret, size_t *ret_len,
              struct lodge_err *e) MUST;
/* Replace @name by @len bytes of @data: temporary file, fsync, rename, fsync of the folder. */
int file_replace(int dirfd, const char *name, const void *data, size_t len,
                 struct lodge_err *e) MUST;
/* Make the folder @path and those above it that are missing, with these modes. */
int file_make_folders(const char *path, unsigned mode, unsigned mode_above,
		      struct lodge_err *e) MUST;
/* Delete @name below @dirfd and all below it, never through a symbolic link. 0 also when there is
 * none. However deep it is; on overlayfs, each folder of a lower layer costs two descriptors. */
int file_remove_tree(int dirfd, const char *name, struct lodge_err *e) MUST;

/* ---- utf8.c ---- */
/* Bytes of the character that begins at @p, of @left bytes (at least one); 0: it is none. */
unsigned utf8_len(const uint8_t *p, size_t left);
/* The character @v, at most 0x10ffff; returns its bytes. A surrogate becomes three of them. */
unsigned utf8_encode(uint8_t ret[4], uint32_t v);

/* ---- sha256.c ---- */
/* The SHA-256 of @len bytes: equal only for what is equal. */
void sha256(const void *data, size_t len, uint8_t ret[32]);
