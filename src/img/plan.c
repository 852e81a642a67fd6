/* SPDX-License-Identifier: Apache-2.0 */
/* Headers of bootable images: ELF64 for RISC-V, Linux Image, and flat code.
 * Specs: ELF gABI 4.1 §4, §5; Linux Documentation/arch/riscv/boot-image-header */
#include "img/img.h"

enum { EM_RISCV = 243, ELF_HEADER = 64, ELF_PHDR = 56, PT_LOAD = 1, LINUX_HEADER = 64 };

static bool is_elf(const uint8_t *f, uint64_t len) { return len >= 4 && !memcmp(f, "\177ELF", 4); }

static bool is_linux(const uint8_t *f, uint64_t len)
{
	return len >= LINUX_HEADER && !memcmp(f + 0x38, "RSC\5", 4);
}

int img_bootable(const uint8_t *head, uint64_t len)
{
	if (is_elf(head, len))
		return len >= 20 && head[4] == 2 && le16_at(head + 18) == EM_RISCV ? 2 : 0;
	return is_linux(head, len) ? 2 : len >= 4;
}

static int elf_segment(struct img_plan *p, const uint8_t *ph, uint64_t len, struct lodge_err *e)
{
	struct img_segment s = { .off = le64_at(ph + 8), .at = le64_at(ph + 24),
		.file_len = le64_at(ph + 32), .mem_len = le64_at(ph + 40) };
	uint64_t end;
	if (le32_at(ph) != PT_LOAD || !s.mem_len)
		return 0;
	if (s.file_len > s.mem_len || s.off > len || s.file_len > len - s.off)
		return err_set(e, EINVAL,
			       "ELF segment of %llu bytes at offset %llu is outside the file "
			       "(%llu bytes): the file is truncated or damaged",
			       (unsigned long long)s.file_len, (unsigned long long)s.off,
			       (unsigned long long)len);
	if (__builtin_add_overflow(s.at, s.mem_len, &end))
		return err_set(e, EINVAL, "ELF segment wraps around the address space");
	if (p->nsegments == IMG_SEGMENTS_MAX)
		return err_set(e, EINVAL, "more than %d ELF segments to load", IMG_SEGMENTS_MAX);
	p->segments[p->nsegments++] = s;
	return 0;
}

static int elf_plan(struct img_plan *p, const uint8_t *f, uint64_t len, struct lodge_err *e)
{
	if (len < ELF_HEADER)
		return err_set(e, EINVAL, "ELF header is truncated (%llu bytes)",
			       (unsigned long long)len);
	if (f[4] != 2 || f[5] != 1 || le16_at(f + 18) != EM_RISCV)
		return err_set(e, ENOEXEC, "not a 64-bit little-endian RISC-V ELF (machine %u)",
		               le16_at(f + 18));
	uint64_t off = le64_at(f + 32);
	unsigned size = le16_at(f + 54), n = le16_at(f + 56);
	if (n && (size < ELF_PHDR || off > len || (uint64_t)n * size > len - off))
		return err_set(e, EINVAL,
			       "ELF program headers are outside the file: truncated or damaged");
	*p = (struct img_plan){ .kind = IMG_ELF, .entry = le64_at(f + 24) };
	for (unsigned i = 0; i < n; i++) {
		int r = elf_segment(p, f + off + (uint64_t)i * size, len, e);
		if (r < 0)
			return r;
	}
	if (!p->nsegments)
		return err_set(e, EINVAL, "ELF file has nothing to load");
	return 0;
}

static int linux_plan(struct img_plan *p, const uint8_t *f, uint64_t len, struct lodge_err *e)
{
	uint64_t text = le64_at(f + 8), size = le64_at(f + 16);
	if (size && (size > 1ull << 32 || text > 1ull << 32 || len > size))
		return err_set(e, EINVAL,
			       "Linux image header is damaged: it needs %llu bytes and the "
			       "file has %llu",
			       (unsigned long long)size, (unsigned long long)len);
	*p = (struct img_plan){ .kind = IMG_LINUX, .relative = true, .text_offset = text,
		.memory_size = size ? size : len, .nsegments = 1 };
	p->segments[0] = (struct img_segment){ 0, 0, len, p->memory_size };
	return 0;
}

int img_plan(struct img_plan *ret, const uint8_t *file, uint64_t len, struct lodge_err *e)
{
	struct img_plan p = {
	    .kind = IMG_FLAT, .relative = true, .memory_size = len, .nsegments = 1};
	int r = 0;
	if (len < 4)
		return err_set(e, EINVAL, "a bootable image of %llu bytes is too short",
		               (unsigned long long)len);
	p.segments[0] = (struct img_segment){ 0, 0, len, len };
	if (is_elf(file, len))
		r = elf_plan(&p, file, len, e);
	else if (is_linux(file, len))
		r = linux_plan(&p, file, len, e);
	if (r == 0)
		*ret = p;
	return r;
}
