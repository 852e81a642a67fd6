/* SPDX-License-Identifier: Apache-2.0 */
/* Calls as text, for logs: from the table alone. */
#include "linux/internal.h"
#include <inttypes.h>
#include <stdio.h>

struct out {
	char *buf;
	size_t cap, len;
};

static void PRINTF(2, 3) put(struct out *o, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(o->buf + o->len, o->cap - o->len, fmt, ap);
	va_end(ap);
	if (n > 0)
		o->len = min_u64(o->len + (size_t)n, o->cap - 1);
}

/* At most @n bytes of @s, those that do not print as escapes. */
static void put_text(struct out *o, const char *s, size_t n)
{
	put(o, "\"");
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];
		if (c == '\n')
			put(o, "\\n");
		else if (c < ' ' || c > '~' || c == '"' || c == '\\')
			put(o, "\\x%02x", c);
		else
			put(o, "%c", c);
	}
	put(o, "\"");
}

static void put_string(struct out *o, const struct linux_proc *p, uint64_t at)
{
	char text[256];
	ssize_t n = linux_string(p, text, at, sizeof text);
	if (n == -EFAULT) {
		put(o, at ? "0x%" PRIx64 : "NULL", at);
		return;
	}
	put_text(o, text, n < 0 ? sizeof text : (size_t)n);
	if (n < 0)
		put(o, "...");
}

/* What is written, in part. */
static void put_bytes(struct out *o, const struct linux_proc *p, uint64_t at, uint64_t len)
{
	char text[32];
	size_t n = min_u64(len, sizeof text);
	if (linux_read(p, text, at, n)) {
		put(o, "0x%" PRIx64, at);
		return;
	}
	put_text(o, text, n);
	if (n < len)
		put(o, "...");
}

static void put_arg(struct out *o, const struct linux_proc *p, const struct linux_arg *arg,
                    const uint64_t a[6], uint64_t v)
{
	switch (arg->kind) {
	case LINUX_DIR:
		if ((int)v == AT_FDCWD) {
			put(o, "AT_FDCWD");
			break;
		}
		fallthrough;
	case LINUX_FD:
	case LINUX_INT:
	case LINUX_PID:
	case LINUX_SIG: put(o, "%d", (int)v); break;
	case LINUX_OCT: put(o, "%#o", (unsigned)v); break;
	case LINUX_LEN: put(o, "%" PRIu64, v); break;
	case LINUX_OFF: put(o, "%" PRId64, (int64_t)v); break;
	case LINUX_STR:
	case LINUX_PATH: put_string(o, p, v); break;
	case LINUX_IN:
		if (arg->count && arg->bytes == 1 && v) {
			put_bytes(o, p, v, a[arg->count - 1]);
			break;
		}
		fallthrough;
	default: put(o, v ? "%#" PRIx64 : "0", v);
	}
}

static void put_result(struct out *o, int64_t done)
{
	const char *name = done < 0 ? strerrorname_np((int)-done) : NULL;
	if (done == LINUX_RESTART)
		put(o, " = interrupted");
	else if (name)
		put(o, " = -%s", name);
	else
		put(o, done > INT_MAX ? " = %#" PRIx64 : " = %" PRId64, (uint64_t)done);
}

size_t linux_print(char *buf, size_t cap, struct linux_task *t, unsigned nr, const uint64_t a[6],
                   const int64_t *done)
{
	struct out o = { buf, cap, 0 };
	const struct linux_row *r = linux_row(nr);
	if (!cap)
		return 0;
	buf[0] = 0;
	if (r)
		put(&o, "%s(", r->name);
	else
		put(&o, "call_%u(%#" PRIx64 ", %#" PRIx64 ", %#" PRIx64, nr, a[0], a[1], a[2]);
	for (unsigned i = 0; r && i < r->n_args; i++) {
		put(&o, "%s%s=", i ? ", " : "", r->arg[i].name);
		put_arg(&o, t->proc, &r->arg[i], a, a[i]);
	}
	put(&o, ")");
	if (done)
		put_result(&o, *done);
	return o.len;
}

size_t linux_print_result(char *buf, size_t cap, int64_t done)
{
	struct out o = { buf, cap, 0 };
	if (!cap)
		return 0;
	buf[0] = 0;
	put_result(&o, done);
	return o.len;
}
