/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz the receiving side of a stream. Byte 0 even: the rest is the stream as it is. Odd: it is a
 * row of frames, which get right checksums: type, index, place (2 bytes, times 256), length,
 * data. */
#include "save/save.h"
#include <sys/mman.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { RAM_BYTES = 1 << 20, DISK_BYTES = 1 << 20 };

static void frames_write(int fd, const uint8_t *d, size_t len)
{
	static uint8_t payload[8192];
	struct wire w;
	if (wire_init(&w, -1, fd, NULL) < 0)
		return;
	while (len >= 5) {
		size_t n = d[4] % 16;
		struct wire_frame f = { .type = d[0] % 80, .index = d[1] % 4,
			.at = (uint64_t)(d[2] | d[3] << 8) << 8, .p = payload };
		/* long ones, for pages and sectors, and short ones as they are */
		f.len = d[4] & 16 ? (uint32_t)(n * 512) : (uint32_t)n;
		memset(payload, d[4], sizeof payload);
		memcpy(payload, d + 5, n < len - 5 ? n : len - 5);
		if (wire_send(&w, &f, NULL) < 0)
			break;
		size_t used = 5 + (n < len - 5 ? n : len - 5);
		d += used;
		len -= used;
	}
	wire_fini(&w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct save_in state;
	struct mem *m = NULL;
	struct wire w;
	struct lodge_err e = { 0 };
	if (len < 1 || mem_new(&m, gpa(0x80000000), RAM_BYTES, NULL) < 0)
		return 0;
	int fd = memfd_create("stream", 0), disk = memfd_create("disk", 0);
	if (data[0] & 1)
		frames_write(fd, data + 1, len - 1);
	else if (write(fd, data + 1, len - 1) < 0)
		__builtin_trap();
	lseek(fd, 0, SEEK_SET);
	if (ftruncate(disk, DISK_BYTES) < 0 || wire_init(&w, fd, -1, NULL) < 0)
		__builtin_trap();
	struct incoming in = { .w = &w, .mem = m, .ndisks = 1,
		.disk[0] = { .fd = disk, .size = DISK_BYTES } };
	int r = incoming_run(&in, &e);
	if (r < 0 && !e.msg[0])
		__builtin_trap();
	if (r == 0 && save_in_parse(&state, in.state, in.state_len, &e) < 0 && !e.msg[0])
		__builtin_trap();
	if (lseek(disk, 0, SEEK_END) != DISK_BYTES)
		__builtin_trap();
	incoming_fini(&in);
	wire_fini(&w);
	mem_free(m);
	close(fd);
	return 0;
}
