/* SPDX-License-Identifier: Apache-2.0 */
/* Guest RAM: one sealed memory file, mapped shared, once; the host gives pages at first touch. */
#include "mem/mem.h"
#include "host/host.h"
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

struct mem {
	uint8_t *host;
	uint64_t base, bytes;
	int fd; /* owned */
};

int mem_new(struct mem **ret, struct gpa base, uint64_t bytes, struct lodge_err *e)
{
	if (bytes == 0 || bytes % MEM_FRAME || bytes > PTRDIFF_MAX)
		return err_set(e, EINVAL, "ram of %llu bytes is not a whole number of frames",
		               (unsigned long long)bytes);
	if (base.a % MEM_FRAME || base.a + bytes < base.a)
		return err_set(e, EINVAL, "%llu bytes of ram do not fit at 0x%llx",
		               (unsigned long long)bytes, (unsigned long long)base.a);
	autofree struct mem *m = calloc(1, sizeof *m);
	if (!m)
		return err_set(e, ENOMEM, "out of memory");
	autoclose int fd = -1;
	int r = host_memfd_new(&fd, "lodge-ram", bytes, e);
	if (r < 0)
		return r;
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (p == MAP_FAILED)
		return err_sys(e, "mapping %llu bytes of guest ram", (unsigned long long)bytes);
	*m = (struct mem){ p, base.a, bytes, take_fd(&fd) };
	*ret = take(m);
	return 0;
}

void mem_free(struct mem *m)
{
	if (!m)
		return;
	munmap(m->host, m->bytes);
	close(m->fd);
	free(m);
}

struct gpa mem_base(const struct mem *m) { return gpa(m->base); }
uint64_t mem_size(const struct mem *m) { return m->bytes; }
uint8_t *mem_host(const struct mem *m) { return m->host; }
int mem_fd(const struct mem *m) { return m->fd; }

void *mem_ptr(struct mem *m, struct gpa at, uint64_t len)
{
	uint64_t off = at.a - m->base; /* below base: wraps to more than any size */
	if (unlikely(len > m->bytes || off > m->bytes - len))
		return NULL;
	return m->host + off;
}

bool mem_read(struct mem *m, struct gpa at, void *buf, uint64_t len)
{
	const void *p = mem_ptr(m, at, len);
	if (p && len)
		memcpy(buf, p, len);
	return p;
}

bool mem_write(struct mem *m, struct gpa at, const void *buf, uint64_t len)
{
	void *p = mem_ptr(m, at, len);
	if (p && len)
		memcpy(p, buf, len);
	return p;
}

uint64_t mem_release(struct mem *m, struct gpa at, uint64_t len)
{
	if (!mem_ptr(m, at, len))
		return 0;
	uint64_t from = align_up(at.a - m->base, MEM_FRAME);
	uint64_t to = (at.a - m->base + len) & ~(uint64_t)(MEM_FRAME - 1);
	if (from >= to)
		return 0;
	if (fallocate(m->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)from,
	              (off_t)(to - from)) < 0)
		return 0;
	return to - from;
}

uint64_t mem_resident(const struct mem *m)
{
	struct stat st;
	return fstat(m->fd, &st) < 0 ? 0 : (uint64_t)st.st_blocks * 512;
}
