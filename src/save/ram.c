/* SPDX-License-Identifier: Apache-2.0 */
/* The RAM file: memory from offset 0 on, a page at its own place, then a checksum for each piece of
 * 2 MiB, and a last page that says whose it is. Format: lodge-state(5) */
#include "save/internal.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <zlib.h>

static size_t piece_count(uint64_t ram) { return (size_t)((ram + RAM_PIECE - 1) / RAM_PIECE); }
/* Bytes of the checksums, in whole pages. */
static size_t sums_len(uint64_t ram) { return align_up(4 * piece_count(ram), MEM_FRAME); }

/* Write the pages of [@at, @end) that are not zero, in runs. */
static bool pages_write(int fd, const uint8_t *ram, uint64_t at, uint64_t end, uint64_t *bytes)
{
	while (at < end) {
		uint64_t from = at;
		while (at < end && !is_zero(ram + at, MEM_FRAME))
			at += MEM_FRAME;
		if (at > from && !host_pwrite(fd, ram + from, at - from, from))
			return false;
		*bytes += at - from;
		while (at < end && is_zero(ram + at, MEM_FRAME))
			at += MEM_FRAME;
	}
	return true;
}

/* One piece; a piece of zeroes has checksum 0. */
static bool piece_write(struct mem *m, int fd, size_t i, uint8_t *sum, uint64_t *bytes)
{
	uint64_t at = (uint64_t)i * RAM_PIECE, end = min_u64(at + RAM_PIECE, mem_size(m));
	uint64_t before = *bytes, from, to;
	for (uint64_t x = at; x < end && mem_data_next(m, x, end, &from, &to); x = to)
		if (!pages_write(fd, mem_host(m), from, to, bytes))
			return false;
	if (*bytes != before)
		le32_put(sum, (uint32_t)crc32(0, mem_host(m) + at, (uInt)(end - at)));
	return true;
}

static bool ram_write(struct mem *m, int fd, uint64_t id, uint64_t *bytes)
{
	uint64_t ram = mem_size(m);
	size_t n = piece_count(ram), len = sums_len(ram);
	uint8_t head[RAM_HEAD] = { 0 };
	autofree uint8_t *sums = calloc(1, len);
	bool ok = sums && ftruncate(fd, (off_t)(ram + len + RAM_HEAD)) == 0;
	for (size_t i = 0; ok && i < n; i++)
		ok = piece_write(m, fd, i, sums + 4 * i, bytes);
	if (!ok)
		return false;
	memcpy(head, ram_magic, sizeof ram_magic);
	le32_put(head + RAM_VERSION, SAVE_VERSION);
	le64_put(head + RAM_SIZE, ram);
	le64_put(head + RAM_ID, id);
	le32_put(head + RAM_SUMS_CRC, (uint32_t)crc32(0, sums, (uInt)len));
	le32_put(head + RAM_CRC, (uint32_t)crc32(0, head, RAM_HEAD));
	return host_pwrite(fd, sums, len, ram) && host_pwrite(fd, head, RAM_HEAD, ram + len) &&
	       fsync(fd) == 0;
}

int save_ram(struct mem *m, int dirfd, const char *name, uint64_t id, uint64_t *ret_bytes,
             struct lodge_err *e)
{
	*ret_bytes = 0;
	autoclose int fd = openat(dirfd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(e, "making the memory file %s", name);
	if (!ram_write(m, fd, id, ret_bytes))
		return err_sys(e, "writing the guest's memory to %s", name);
	return 0;
}

/* What the last page says. */
static int head_read(int fd, const char *name, uint64_t len, uint8_t head[RAM_HEAD],
                     struct lodge_err *e)
{
	if (len < RAM_HEAD || !host_pread(fd, head, RAM_HEAD, len - RAM_HEAD))
		return err_set(e, EINVAL, "the memory file %s is cut short", name);
	uint32_t crc = le32_at(head + RAM_CRC);
	le32_put(head + RAM_CRC, 0);
	if (memcmp(head, ram_magic, sizeof ram_magic) || crc != (uint32_t)crc32(0, head, RAM_HEAD))
		return err_set(e, EINVAL, "the memory file %s is damaged, or cut short", name);
	if (le32_at(head + RAM_VERSION) > SAVE_VERSION)
		return err_set(e, EINVAL, "the memory file %s was written by a newer Lodge", name);
	return 0;
}

/* Is it what it must be? Its checksums in *@ret_sums (owned by the caller). */
static int ram_open(int *ret_fd, int dirfd, const char *name, uint64_t *ret_id, uint64_t *ret_size,
                    uint8_t **ret_sums, struct lodge_err *e)
{
	uint8_t head[RAM_HEAD];
	struct stat st;
	autoclose int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(e, "the memory file %s", name);
	int r = head_read(fd, name, S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0, head, e);
	if (r < 0)
		return r;
	uint64_t ram = le64_at(head + RAM_SIZE);
	if (ram == 0 || ram % MEM_FRAME || ram > (uint64_t)st.st_size ||
	    ram + sums_len(ram) + RAM_HEAD != (uint64_t)st.st_size)
		return err_set(e, EINVAL, "the memory file %s has an impossible length", name);
	size_t len = sums_len(ram);
	autofree uint8_t *sums = malloc(len);
	if (!sums || !host_pread(fd, sums, len, ram) ||
	    (uint32_t)crc32(0, sums, (uInt)len) != le32_at(head + RAM_SUMS_CRC))
		return err_set(e, EINVAL, "the memory file %s is damaged (checksums)", name);
	*ret_id = le64_at(head + RAM_ID);
	*ret_size = ram;
	*ret_sums = take(sums);
	*ret_fd = take_fd(&fd);
	return 0;
}

int save_ram_size(int dirfd, const char *name, uint64_t *ret_bytes, struct lodge_err *e)
{
	autoclose int fd = -1;
	autofree uint8_t *sums = NULL;
	uint64_t id;
	return ram_open(&fd, dirfd, name, &id, ret_bytes, &sums, e);
}

int load_ram(struct mem *m, int dirfd, const char *name, uint64_t id, struct lodge_err *e)
{
	autoclose int fd = -1;
	autofree uint8_t *sums = NULL;
	uint64_t ram = 0, its = 0;
	int r = ram_open(&fd, dirfd, name, &its, &ram, &sums, e);
	if (r < 0)
		return r;
	if (its != id)
		return err_set(e, EINVAL, "the memory file %s belongs to another state", name);
	if (ram != mem_size(m))
		return err_set(e, EINVAL,
		               "the memory file %s is of %llu MiB, the guest has %llu MiB", name,
		               (unsigned long long)(ram >> 20),
		               (unsigned long long)(mem_size(m) >> 20));
	return mem_become(m, &fd, e);
}

int check_ram(int dirfd, const char *name, struct lodge_err *e)
{
	autoclose int fd = -1;
	autofree uint8_t *sums = NULL, *piece = malloc(RAM_PIECE);
	uint64_t ram = 0, id;
	int r = ram_open(&fd, dirfd, name, &id, &ram, &sums, e);
	if (r < 0)
		return r;
	if (!piece)
		return err_set(e, ENOMEM, "no memory to check a memory file");
	for (size_t i = 0; i < piece_count(ram); i++) {
		uint64_t at = (uint64_t)i * RAM_PIECE, n = min_u64(RAM_PIECE, ram - at);
		if (!host_pread(fd, piece, n, at))
			return err_set(e, EIO, "the memory file %s cannot be read", name);
		bool zero = !piece[0] && !memcmp(piece, piece + 1, n - 1);
		uint32_t sum = zero ? 0 : (uint32_t)crc32(0, piece, (uInt)n);
		if (sum != le32_at(sums + 4 * i))
			return err_set(e, EIO, "the memory file %s is damaged at %llu MiB", name,
			               (unsigned long long)(at >> 20));
	}
	return 0;
}
