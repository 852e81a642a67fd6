/* SPDX-License-Identifier: Apache-2.0 */
/* Bundles, texts, tables: what several commands read or print. */
#include "runtime/internal.h"
#include <ctype.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>

/* All of it, or none. */
static int stream_read(int fd, char **ret, size_t *ret_len)
{
	size_t n = 0, cap = 1 << 16;
	autofree char *text = malloc(cap + 1);
	for (ssize_t got = 1; text && got != 0;) {
		if (n > CONTAINER_CONFIG_MAX) {
			errno = EFBIG;
			return -1;
		}
		if (n == cap) {
			char *more = realloc(text, (cap *= 2) + 1);
			if (!more)
				return -1;
			text = more;
		}
		got = read(fd, text + n, cap - n);
		if (got < 0 && errno != EINTR)
			return -1;
		n += got > 0 ? (size_t)got : 0;
	}
	if (!text)
		return -1;
	text[n] = 0;
	*ret = take(text);
	*ret_len = n;
	return 0;
}

int text_read(const char *path, char **ret, size_t *ret_len, struct lodge_err *e)
{
	autoclose int fd = strcmp(path, "-") ? open(path, O_RDONLY | O_CLOEXEC)
					       : fcntl(0, F_DUPFD_CLOEXEC, 3);
	return fd < 0 || stream_read(fd, ret, ret_len) < 0 ? err_sys(e, "%s", path) : 0;
}

int bundle_open(struct bundle *b, const char *path, struct lodge_err *e)
{
	char *file = NULL;
	*b = (struct bundle){.path = realpath(path ? path : ".", NULL)};
	if (!b->path)
		return err_sys(e, "--bundle %s", path ? path : ".");
	if (asprintf(&file, "%s/config.json", b->path) < 0)
		return err_set(e, ENOMEM, "out of memory");
	int r = text_read(file, &b->text, &b->len, e);
	free(file);
	if (r == 0)
		r = oci_spec_read(&b->doc, b->text, b->len, e);
	return r;
}

void bundle_fini(struct bundle *b)
{
	oci_doc_fini(&b->doc);
	free(b->text);
	free(b->path);
	*b = (struct bundle){0};
}

void columns_print(const char *const *cells, size_t columns, size_t rows)
{
	for (size_t r = 0; r < rows; r++) {
		for (size_t c = 0; c < columns; c++) {
			size_t width = 0;
			for (size_t i = 0; i < rows; i++) {
				size_t n = strlen(cells[i * columns + c]);
				width = n > width ? n : width;
			}
			width = width < 8 ? 8 : width;
			if (c + 1 == columns)
				printf("%s\n", cells[r * columns + c]);
			else
				printf("%-*s  ", (int)width, cells[r * columns + c]);
		}
	}
}

int call_container(struct runtime_call *c, bool lock, struct container *ret)
{
	struct lodge_err e;
	return container_open(ret, c->root, c->operands[0], lock, &e) < 0 ? say_error(&e) : 0;
}
