/* SPDX-License-Identifier: Apache-2.0 */
#include "pe/pe.h"
#include "test/test.h"
#include <stdio.h>

enum { FILE_LEN = 0x800, PE_AT = 0x80, OPT = PE_AT + 24, SECTIONS = OPT + 240 };

/* A program by hand: headers, .text at 0x1000 and .data at 0x2000, 0x200 bytes each in the file. */
static void image_make(uint8_t *f)
{
	memset(f, 0, FILE_LEN);
	memcpy(f, "MZ", 2);
	le32_put(f + 60, PE_AT);
	memcpy(f + PE_AT, "PE\0\0\x64\x86", 6);
	le16_put(f + PE_AT + 6, 2);
	le16_put(f + PE_AT + 20, 240);
	le16_put(f + PE_AT + 22, 2);
	le16_put(f + OPT, 0x20b);
	le32_put(f + OPT + 16, 0x1000);
	le64_put(f + OPT + 24, 0x140000000);
	le32_put(f + OPT + 32, 0x1000);
	le32_put(f + OPT + 56, 0x3000);
	le32_put(f + OPT + 60, 0x400);
	le16_put(f + OPT + 68, PE_CONSOLE);
	le32_put(f + OPT + 108, 16);
	for (unsigned i = 0; i < 2; i++) {
		uint8_t *s = f + SECTIONS + 40 * i;
		memcpy(s, i ? ".data" : ".text", 5);
		le32_put(s + 8, 0x180);
		le32_put(s + 12, 0x1000 + 0x1000 * i);
		le32_put(s + 16, 0x200);
		le32_put(s + 20, 0x400 + 0x200 * i);
		le32_put(s + 36, i ? 0xc0000040 : 0x60000020);
	}
}

static int read_code(const uint8_t *f, uint64_t len)
{
	struct pe p;
	struct lodge_err e = {0};
	int r = pe_read(&p, f, len, &e);
	return r < 0 ? r : pe_runnable(&p, &e);
}

TEST(pe_headers_are_read)
{
	uint8_t f[FILE_LEN];
	struct pe p;
	image_make(f);
	CHECK(pe_read(&p, f, sizeof f, NULL) == 0);
	CHECK(pe_claims(f, sizeof f));
	CHECK(p.base == 0x140000000);
	CHECK(p.size == 0x3000);
	CHECK(p.entry == 0x1000);
	CHECK(p.nsections == 2);
	CHECK(p.sections[0].exec && !p.sections[0].write);
	CHECK(p.sections[1].write && !p.sections[1].exec);
	CHECK(p.sections[1].file_len == 0x180);
	CHECK(p.relocatable); /* no table: there is nothing to be moved */
	CHECK(pe_runnable(&p, NULL) == 0);
	le16_put(f + PE_AT + 22, 3); /* its table was stripped */
	CHECK(pe_read(&p, f, sizeof f, NULL) == 0);
	CHECK(!p.relocatable);
}

TEST(pe_others_are_refused)
{
	uint8_t f[FILE_LEN];
	image_make(f);
	CHECK(read_code(f, 40) == -ENOEXEC);
	le16_put(f + PE_AT + 4, 0x14c);
	CHECK(read_code(f, sizeof f) == -ENOTSUP);
	image_make(f);
	le16_put(f + OPT + 68, 2);
	CHECK(read_code(f, sizeof f) == -ENOTSUP);
	le16_put(f + OPT + 68, 10); /* EFI: a kernel may look so */
	CHECK(!pe_claims(f, sizeof f));
	image_make(f);
	le32_put(f + OPT + 112 + 14 * 8 + 4, 72);
	CHECK(read_code(f, sizeof f) == -ENOTSUP);
	image_make(f);
	le16_put(f + PE_AT + 22, 0x2002);
	CHECK(read_code(f, sizeof f) == -ENOTSUP);
}

TEST(pe_damage_is_found)
{
	static const struct {
		unsigned off;
		uint32_t v;
	} bad[] = {{OPT + 56, 0xf0000000}, {OPT + 16, 0x3000},           {OPT + 60, 0x100000},
		   {OPT + 24, 0x123},      {SECTIONS + 8, 0x10000},      {SECTIONS + 12, 0x1001},
		   {SECTIONS + 20, 0xf00}, {SECTIONS + 40 + 12, 0x1000}, {SECTIONS + 12, 0},
		   {60, 0xfffffff0}};
	uint8_t f[FILE_LEN];
	for (size_t i = 0; i < countof(bad); i++) {
		image_make(f);
		le32_put(f + bad[i].off, bad[i].v);
		CHECK(read_code(f, sizeof f) < 0);
	}
	image_make(f);
	for (uint64_t len = 0; len < 0x780; len++)
		CHECK(read_code(f, len) < 0);
}

TEST(pe_images_are_bounded)
{
	static uint8_t f[FILE_LEN], mem[0x3000];
	struct pe p;
	struct pe_imports w;
	struct pe_import i;
	image_make(f);
	memcpy(f + 0x600, "lib.dll\0\0\0\0\0\1\0name\0", 19);
	le64_put(f + 0x640, 0x200c); /* by name: hint at +0xc */
	le64_put(f + 0x648, UINT64_C(1) << 63 | 7);
	le32_put(f + 0x680, 0x2040); /* descriptor */
	le32_put(f + 0x680 + 12, 0x2000);
	le32_put(f + 0x680 + 16, 0x20c4); /* as ld puts them behind an even number of libraries */
	le32_put(f + OPT + 112 + 8, 0x2080);
	le32_put(f + OPT + 112 + 12, 40);
	CHECK(pe_read(&p, f, sizeof f, NULL) == 0);
	struct pe_image im = {mem, sizeof mem, &p};
	pe_fill(&im, f, sizeof f);
	CHECK(pe_at(&im, 0x2fff, 1));
	CHECK(!pe_at(&im, 0x2fff, 2));
	CHECK(!pe_at(&im, UINT64_MAX, 2));
	pe_imports_begin(&w, &im, false);
	CHECK(pe_imports_library(&w, NULL) == 1);
	CHECK(!strcmp(w.library, "lib.dll"));
	CHECK(pe_imports_next(&w, &i, NULL) == 1);
	CHECK(!strcmp(i.name, "name"));
	CHECK(i.slot == mem + 0x20c4);
	CHECK(pe_imports_next(&w, &i, NULL) == 1);
	CHECK(!i.name);
	CHECK(i.ordinal == 7);
	CHECK(pe_imports_next(&w, &i, NULL) == 0);
	CHECK(pe_imports_library(&w, NULL) == 0);
	le32_put(mem + 0x2080 + 12, 0x2fff); /* a name that does not end */
	mem[0x2fff] = 'x';
	pe_imports_begin(&w, &im, false);
	CHECK(pe_imports_library(&w, NULL) == -EINVAL);
}

/* A folder of one kind, one name (a text), one language, and 4 bytes. */
TEST(pe_resources_are_bounded)
{
	static uint8_t f[FILE_LEN], mem[0x3000];
	struct pe p;
	struct pe_key k;
	struct pe_resource r;
	uint32_t at;
	image_make(f);
	le32_put(f + OPT + 112 + 16, 0x2000);
	le32_put(f + OPT + 112 + 20, 0x100);
	for (unsigned i = 0; i < 3; i++) {
		uint8_t *d = f + 0x600 + 24 * i;
		le16_put(d + 14, 1);
		le32_put(d + 16, i == 1 ? 0x80000060 : 10);
		le32_put(d + 20, i == 2 ? 0x48 : 0x80000000 + 24 * (i + 1));
	}
	le32_put(f + 0x648, 0x2070);
	le32_put(f + 0x64c, 4);
	memcpy(f + 0x660, "\2\0A\0B\0", 6);
	memcpy(f + 0x670, "data", 4);
	CHECK(pe_read(&p, f, sizeof f, NULL) == 0);
	struct pe_image im = {mem, sizeof mem, &p};
	pe_fill(&im, f, sizeof f);
	CHECK(pe_resource_entry(&im, 0, 0, &k, &at) == 0);
	CHECK(!k.text && k.number == 10);
	CHECK(pe_resource_entry(&im, 0, 1, &k, &at) == -ENOENT);
	CHECK(pe_resource_entry(&im, 24, 0, &k, &at) == 0);
	CHECK(k.units == 2 && le16_at(k.text + 2) == 'B');
	CHECK(pe_resource_entry(&im, at, 0, &k, &at) == 0);
	CHECK(pe_resource_data(&im, at, &r) == 0);
	CHECK(r.len == 4 && !memcmp(mem + r.rva, "data", 4));
	le32_put(mem + 0x204c, 0x1000); /* longer than the image */
	CHECK(pe_resource_data(&im, at, &r) == -ENOENT);
	le16_put(mem + 0x2060, 0xffff); /* a name that is */
	CHECK(pe_resource_entry(&im, 24, 0, &k, &at) == -ENOENT);
	CHECK(pe_resource_entry(&im, 0xfffffff0, 0, &k, &at) == -ENOENT);
	CHECK(pe_resource_entry(&im, 0, 0xffffffff, &k, &at) == -ENOENT);
}

TEST(pe_imports_are_found_in_the_file)
{
	static uint8_t f[FILE_LEN];
	struct pe p;
	image_make(f);
	memcpy(f + 0x600, "CRYPT32.dll", 12);
	le32_put(f + 0x680 + 12, 0x2000);
	le32_put(f + 0x680 + 16, 0x20c0);
	le32_put(f + OPT + 112 + 8, 0x2080);
	CHECK(pe_read(&p, f, sizeof f, NULL) == 0);
	CHECK(pe_file_imports(&p, f, sizeof f, "crypt32.dll"));
	CHECK(!pe_file_imports(&p, f, sizeof f, "crypt32"));
	CHECK(!pe_file_imports(&p, f, sizeof f, "ws2_32.dll"));
	CHECK(!pe_file_imports(&p, f, 0x680, "crypt32.dll"));
	p.dirs[PE_IMPORT].rva = 0xfffffff0;
	CHECK(!pe_file_imports(&p, f, sizeof f, "crypt32.dll"));
}

static bool names_note(void *arg, const char *dll, const char *name)
{
	char *all = arg;
	size_t n = strlen(all);
	snprintf(all + n, 100 - n, "%s.%s ", dll, name ? name : "#");
	return !name || strcmp(name, "last") != 0;
}

TEST(pe_what_a_file_takes_is_told)
{
	static uint8_t f[FILE_LEN];
	char all[100] = "";
	struct pe p;
	image_make(f);
	memcpy(f + 0x600, "a.dll", 6);
	memcpy(f + 0x612, "one", 4);
	memcpy(f + 0x622, "last", 5);
	le32_put(f + 0x680 + 12, 0x2000);
	le32_put(f + 0x680 + 16, 0x20c0);
	le64_put(f + 0x6c0, 0x2010);
	le64_put(f + 0x6c8, UINT64_C(1) << 63 | 7);
	le64_put(f + 0x6d0, 0);
	le32_put(f + OPT + 112 + 8, 0x2080);
	CHECK(pe_read(&p, f, sizeof f, NULL) == 0);
	CHECK(pe_file_imports_all(&p, f, sizeof f, names_note, all));
	CHECK(!strcmp(all, "a.dll.one a.dll.# "));
	le64_put(f + 0x6c0, 0x2020);
	CHECK(!pe_file_imports_all(&p, f, sizeof f, names_note, all)); /* it wants no more */
	le64_put(f + 0x6c0, 0x20fffffe); /* a name that is nowhere */
	CHECK(!pe_file_imports_all(&p, f, sizeof f, names_note, all));
	CHECK(!pe_file_imports_all(&p, f, 0x6c4, names_note, all));
	p.dirs[PE_IMPORT].rva = 0xfffffff0;
	CHECK(!pe_file_imports_all(&p, f, sizeof f, names_note, all));
	p.dirs[PE_IMPORT].rva = 0;
	CHECK(pe_file_imports_all(&p, f, sizeof f, names_note, all));
}
