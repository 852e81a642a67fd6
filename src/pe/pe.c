/* SPDX-License-Identifier: Apache-2.0 */
/* Headers and sections, and the one way into an image. Spec: PE 2024-07 */
#include "pe/pe.h"

enum {
	MACHINE_AMD64 = 0x8664,
	MACHINE_I386 = 0x14c,
	MACHINE_ARM64 = 0xaa64,
	MAGIC_PLUS = 0x20b,
	MAGIC_32 = 0x10b,
	FILE_HEADER = 24,
	OPTIONAL = 112,
	SECTION = 40
};
enum { FLAG_NO_RELOCS = 1, FLAG_EXECUTABLE = 2, FLAG_DLL = 0x2000 };
enum { SECTION_EXEC = 0x20000000, SECTION_READ = 0x40000000 };
#define SECTION_WRITE 0x80000000u
static const uint32_t SIZE_MAX_OF_IMAGE = 0x78000000;

void *pe_at(const struct pe_image *im, uint64_t rva, uint64_t len)
{
	return rva > im->size || len > im->size - rva ? NULL : im->at + rva;
}

const char *pe_text(const struct pe_image *im, uint64_t rva)
{
	const char *s = pe_at(im, rva, 1);
	return s && memchr(s, 0, im->size - rva) ? s : NULL;
}

/* ---- headers ---- */

static int machine_check(const uint8_t *h, const uint8_t *optional, struct lodge_err *e)
{
	unsigned machine = le16_at(h + 4), magic = le16_at(optional);
	if (machine == MACHINE_I386 || magic == MAGIC_32)
		return err_set(e, ENOTSUP,
			       "this is a 32-bit Windows program; Lodge runs those of "
			       "x86-64: take the 64-bit build");
	if (machine != MACHINE_AMD64)
		return err_set(e, ENOTSUP,
			       "this is a Windows program for %s; Lodge runs those of "
			       "x86-64",
			       machine == MACHINE_ARM64 ? "ARM64" : "another CPU");
	if (magic != MAGIC_PLUS)
		return err_set(e, EINVAL, "its optional header (%#x) is not that of PE32+", magic);
	return 0;
}

static int optional_read(struct pe *p, const uint8_t *o, uint64_t len, struct lodge_err *e)
{
	p->entry = le32_at(o + 16);
	p->base = le64_at(o + 24);
	p->size = le32_at(o + 56);
	p->headers_len = le32_at(o + 60);
	p->subsystem = le16_at(o + 68);
	p->stack_reserve = le64_at(o + 72);
	p->stack_commit = le64_at(o + 80);
	uint32_t align = le32_at(o + 32), n = le32_at(o + 108);
	if (align < PE_PAGE || align & (align - 1))
		return err_set(e, ENOTSUP,
			       "its sections are aligned to %u bytes; Lodge wants "
			       "pages of 4096",
			       align);
	if (p->size > SIZE_MAX_OF_IMAGE || p->size < PE_PAGE)
		return err_set(e, EINVAL, "its image of %#x bytes makes no sense", p->size);
	p->size = (uint32_t)align_up(p->size, PE_PAGE);
	if (p->headers_len > p->size || p->headers_len > len)
		return err_set(e, EINVAL, "its headers are longer than the file");
	if (p->base % 65536 || p->base > (UINT64_C(1) << 46) - p->size)
		return err_set(e, EINVAL, "its base %#llx makes no sense",
			       (unsigned long long)p->base);
	if (p->entry >= p->size)
		return err_set(e, EINVAL, "its entry point is outside of it");
	for (uint32_t i = 0; i < n && i < PE_DIRECTORIES; i++) {
		p->dirs[i].rva = le32_at(o + OPTIONAL + 8 * i);
		p->dirs[i].len = le32_at(o + OPTIONAL + 8 * i + 4);
	}
	return 0;
}

static int section_read(struct pe *p, struct pe_section *s, const uint8_t *h, uint64_t len,
			struct lodge_err *e)
{
	uint32_t flags = le32_at(h + 36), raw = le32_at(h + 16);
	*s = (struct pe_section){.rva = le32_at(h + 12),
				 .mem_len = le32_at(h + 8),
				 .off = le32_at(h + 20) & ~511u,
				 .read = flags & SECTION_READ,
				 .write = flags & SECTION_WRITE,
				 .exec = flags & SECTION_EXEC};
	if (!s->mem_len)
		s->mem_len = raw;
	s->file_len = raw < s->mem_len ? raw : s->mem_len;
	if (!le32_at(h + 20))
		s->file_len = 0;
	if (s->rva % PE_PAGE || s->rva > p->size || s->mem_len > p->size - s->rva)
		return err_set(e, EINVAL, "its section %.8s is outside of its image", h);
	if (s->file_len && (s->off > len || s->file_len > len - s->off))
		return err_set(e, EINVAL, "its section %.8s goes beyond the end of the file", h);
	const struct pe_section *before = s == p->sections ? NULL : s - 1;
	uint64_t free_at =
	    before ? before->rva + align_up(before->mem_len, PE_PAGE) : p->headers_len;
	if (s->rva < free_at)
		return err_set(e, EINVAL, "its section %.8s overlaps what is before it", h);
	return 0;
}

int pe_read(struct pe *ret, const uint8_t *file, uint64_t len, struct lodge_err *e)
{
	struct pe p = {.nsections = 0};
	if (len < 64 || file[0] != 'M' || file[1] != 'Z')
		return err_set(e, ENOEXEC, "this is no Windows program");
	uint64_t at = le32_at(file + 60);
	if (at > len || len - at < FILE_HEADER + OPTIONAL || memcmp(file + at, "PE\0\0", 4) != 0)
		return err_set(e,
			       at + 2 <= len &&
				       (!memcmp(file + at, "NE", 2) || !memcmp(file + at, "LE", 2))
				   ? ENOTSUP
				   : ENOEXEC,
			       "this is a program of DOS or of 16-bit Windows, or is cut off");
	const uint8_t *h = file + at, *o = h + FILE_HEADER;
	unsigned flags = le16_at(h + 22), optional = le16_at(h + 20), n = le16_at(h + 6);
	int r = machine_check(h, o, e);
	if (r < 0)
		return r;
	if (!(flags & FLAG_EXECUTABLE))
		return err_set(e, EINVAL, "it was never linked to an end");
	if (optional < OPTIONAL || n == 0 || n > PE_SECTIONS_MAX ||
	    len - at < FILE_HEADER + optional + (uint64_t)n * SECTION ||
	    optional < OPTIONAL + 8 * min_u64(le32_at(o + 108), PE_DIRECTORIES))
		return err_set(e, EINVAL, "its headers are cut off or make no sense");
	r = optional_read(&p, o, len, e);
	for (unsigned i = 0; r == 0 && i < n; i++)
		r = section_read(&p, &p.sections[i], o + optional + i * SECTION, len, e);
	if (r < 0)
		return r;
	p.nsections = n;
	p.dll = flags & FLAG_DLL;
	p.relocatable = !(flags & FLAG_NO_RELOCS);
	*ret = p;
	return 0;
}

bool pe_claims(const uint8_t *file, uint64_t len)
{
	enum { EFI_FIRST = 10, EFI_LAST = 13 };
	uint64_t at = len < 64 || memcmp(file, "MZ", 2) != 0 ? len : le32_at(file + 60);
	if (at >= len || len - at < FILE_HEADER + OPTIONAL || memcmp(file + at, "PE\0\0", 4) != 0)
		return false;
	unsigned subsystem = le16_at(file + at + FILE_HEADER + 68);
	return subsystem < EFI_FIRST || subsystem > EFI_LAST;
}

int pe_runnable(const struct pe *p, struct lodge_err *e)
{
	if (p->dirs[PE_CLR].len)
		return err_set(e, ENOTSUP,
			       "this is a managed (.NET) program; Lodge runs native "
			       "ones: publish it ahead of time (dotnet publish, PublishAot)");
	if (p->subsystem == 1)
		return err_set(e, ENOTSUP,
			       "this is a driver or a native program of Windows' kernel");
	if (p->subsystem == 2)
		return err_set(e, ENOTSUP,
			       "this is a program with windows (its subsystem is GUI); "
			       "Lodge runs console programs");
	if (p->subsystem != PE_CONSOLE)
		return err_set(e, ENOTSUP, "its subsystem is %u; Lodge runs console programs (3)",
			       p->subsystem);
	if (p->dll || !p->entry)
		return err_set(e, ENOTSUP, "this is a library (DLL), not a program");
	return 0;
}

bool pe_section_kept(const struct pe_section *s)
{
	enum { LEAST = 16 << 12 };
	return s->file_len >= LEAST;
}

void pe_fill(const struct pe_image *im, const uint8_t *file, uint64_t len)
{
	const struct pe *p = im->pe;
	memcpy(im->at, file, min_u64(p->headers_len, len));
	for (unsigned i = 0; i < p->nsections; i++) {
		const struct pe_section *s = &p->sections[i];
		if (s->file_len && !s->filled)
			memcpy(im->at + s->rva, file + s->off, s->file_len);
	}
}

/* ---- relocations ---- */

enum { RELOC_ABSOLUTE = 0, RELOC_HIGHLOW = 3, RELOC_DIR64 = 10 };

static int block_relocate(const struct pe_image *im, uint32_t page, const uint8_t *entries,
			  uint32_t n, struct lodge_err *e)
{
	uint64_t delta = (uint64_t)(uintptr_t)im->at - im->pe->base;
	for (uint32_t i = 0; i < n; i++) {
		unsigned v = le16_at(entries + 2 * i), type = v >> 12;
		if (type == RELOC_ABSOLUTE)
			continue;
		if (type != RELOC_DIR64)
			return err_set(e, ENOTSUP, "it has relocations of the type %u", type);
		uint8_t *at = pe_at(im, (uint64_t)page + (v & 0xfff), 8);
		if (!at)
			return err_set(e, EINVAL, "a relocation is outside of its image");
		le64_put(at, le64_at(at) + delta);
	}
	return 0;
}

int pe_relocate(const struct pe_image *im, struct lodge_err *e)
{
	uint32_t off = 0, len = im->pe->dirs[PE_RELOC].len, rva = im->pe->dirs[PE_RELOC].rva;
	if ((uint64_t)(uintptr_t)im->at == im->pe->base)
		return 0;
	if (!im->pe->relocatable)
		return err_set(e, ENOTSUP, "it can only be at %#llx, which is taken",
			       (unsigned long long)im->pe->base);
	while (len - off >= 8) {
		const uint8_t *h = pe_at(im, (uint64_t)rva + off, 8);
		if (!h)
			return err_set(e, EINVAL, "its relocations are outside of its image");
		uint32_t page = le32_at(h), size = le32_at(h + 4);
		if (size == 0)
			break;
		if (size < 8 || size > len - off || !pe_at(im, (uint64_t)rva + off, size))
			return err_set(e, EINVAL, "its relocations are damaged");
		int r = block_relocate(im, page, h + 8, (size - 8) / 2, e);
		if (r < 0)
			return r;
		off += size;
	}
	return 0;
}
