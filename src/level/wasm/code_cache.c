/* SPDX-License-Identifier: Apache-2.0 */
/* Compiled code of large modules, kept from run to run in the user's cache folder, by what the
 * module is, this build of Lodge and the CPU. A run only reads it, and says at its end which
 * functions were worth compiling. Who writes is a process beside it, which had been there before
 * the run was confined, and has the module compiled once more by another confined one, which has
 * seen nothing but the module. docs/decisions/0034 */
#include "level/wasm/internal.h"
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

enum {
	MODULE_FROM = 1 << 20, /* smaller ones are compiled in no time */
	CODE_MAX = 16 << 20,   /* of one, without what is said of it */
	FILE_MAX = 2 * CODE_MAX,
	LIST_MAX = 1 << 18,    /* functions */
	WORTH = 8,             /* more than a 1/WORTH of the code is new: it is made again */
	CPU_SECONDS = 60
};
#define FOLDER_MAX (UINT64_C(256) << 20)

/* ---- its name ---- */

struct build { /* the object that has this function */
	uintptr_t here;
	uint8_t id[32];
	bool found;
};

static void note_read(struct build *b, const uint8_t *p, size_t len)
{
	ElfW(Nhdr) n;
	while (len >= sizeof n) {
		memcpy(&n, p, sizeof n);
		size_t desc = sizeof n + align_up(n.n_namesz, 4);
		size_t next = desc + align_up(n.n_descsz, 4);
		if (next > len)
			return;
		if (n.n_type == NT_GNU_BUILD_ID && n.n_namesz == 4 && n.n_descsz >= 8 &&
		    n.n_descsz <= sizeof b->id) {
			memcpy(b->id, p + desc, n.n_descsz);
			b->found = true;
		}
		p += next;
		len -= next;
	}
}

static int object_look(struct dl_phdr_info *i, size_t size, void *user)
{
	struct build *b = user;
	bool ours = false;
	(void)size;
	for (unsigned n = 0; n < i->dlpi_phnum; n++)
		ours |= i->dlpi_phdr[n].p_type == PT_LOAD &&
			b->here - (i->dlpi_addr + i->dlpi_phdr[n].p_vaddr) <
			    i->dlpi_phdr[n].p_memsz;
	for (unsigned n = 0; ours && n < i->dlpi_phnum; n++)
		if (i->dlpi_phdr[n].p_type == PT_NOTE)
			note_read(b, (const uint8_t *)(i->dlpi_addr + i->dlpi_phdr[n].p_vaddr),
				  i->dlpi_phdr[n].p_memsz);
	return ours;
}

/* False: this build has no number of its own. */
static bool name_make(struct code_cache *c, const struct plan *p)
{
	struct {
		uint8_t module[32], build[32];
		uint64_t traits;
	} key = {.traits = wasm_code_traits()};
	struct build b = {.here = (uintptr_t)name_make};
	uint8_t sum[32];
	(void)dl_iterate_phdr(object_look, &b);
	if (!b.found || !wasm_code_key((const uint8_t *)p->bytes, p->len, key.module))
		return false;
	memcpy(c->module, key.module, sizeof c->module);
	memcpy(key.build, b.id, sizeof key.build);
	sha256(&key, sizeof key, sum);
	for (unsigned i = 0; i < sizeof sum; i++)
		(void)snprintf(c->name + 2 * i, 3, "%02x", sum[i]);
	return true;
}

/* ---- the folder ---- */

/* Its file's time is that of its last use. */
static void code_find(struct code_cache *k)
{
	struct stat st;
	autoclose int fd = openat(k->dir, k->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || !life_kept_ours(fd, S_IFREG) || fstat(fd, &st) < 0 || st.st_size < 1 ||
	    st.st_size > FILE_MAX)
		return;
	void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		return;
	k->bytes = p;
	k->len = (size_t)st.st_size;
	(void)!futimens(fd, NULL);
}

/* ---- the process that is confined and compiles ---- */

static enum wasm_trap nothing(void *user, struct wasm *w, union wasm_slot *at)
{
	(void)user, (void)w, (void)at;
	return WASM_TRAP_UNREACHABLE;
}

static wasm_host_fn *nobody(void *user, size_t i, const struct wasm_import *im, struct lodge_err *e)
{
	(void)user, (void)i, (void)im, (void)e;
	return nothing; /* nothing is run here */
}

bool code_is_of(const struct code_cache *k, const uint8_t *bytes, size_t len)
{
	uint8_t now[32];
	return wasm_code_key(bytes, len, now) && !memcmp(now, k->module, sizeof now);
}

/* The module that the name was made from, which a file that is mapped may not be any more. */
static const uint8_t *module_bytes(const struct code_cache *k, const struct plan *p)
{
	if (!p->mapped)
		return (const uint8_t *)p->bytes;
	uint8_t *own = malloc(p->len);
	if (!own)
		return NULL;
	memcpy(own, p->bytes, p->len);
	return code_is_of(k, own, p->len) ? own : NULL;
}

static _Noreturn void compiler(const struct code_cache *k, const struct plan *p,
			       const uint32_t *funcs, size_t n, int to)
{
	enum { OUT = 3 }; /* where the box leaves it */
	const struct box_alone b = {.keep = &to, .n_keep = 1};
	const struct rlimit cpu = {CPU_SECONDS, CPU_SECONDS};
	const struct wasm_limits limits = {.compiles = true, .heat = 1};
	struct wasm_module *m;
	struct wasm *w;
	uint8_t *bytes;
	size_t len;
	(void)setrlimit(RLIMIT_CPU, &cpu);
	if (box_enter_alone(&b, NULL) < 0)
		_exit(1);
	const uint8_t *module = module_bytes(k, p);
	if (!module ||
	    wasm_module_new(&m, module, p->len, plan_flags(p) & ~(unsigned)WASM_MAPPED, NULL) < 0 ||
	    wasm_new(&w, m, &limits, nobody, NULL, NULL) < 0)
		_exit(1);
	wasm_code_make(w, funcs, n, CODE_MAX);
	if (wasm_code_save(w, &bytes, &len) < 0 || len > FILE_MAX ||
	    !host_pwrite(OUT, bytes, len, 0))
		_exit(1);
	_exit(0);
}

/* ---- the one that writes ---- */

/* What the run says: how many functions are new, and all that are compiled. It may say anything. */
static uint32_t *list_read(int from, size_t *ret_n)
{
	uint32_t *list = malloc((LIST_MAX + 1) * sizeof *list);
	size_t have = 0, max = (LIST_MAX + 1) * sizeof *list;
	while (list && have < max) {
		ssize_t n = read(from, (uint8_t *)list + have, max - have);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		have += (size_t)n;
	}
	*ret_n = have / sizeof *list;
	return list;
}

static void code_write(const struct code_cache *k, int fd)
{
	struct stat st;
	if (fstat(fd, &st) < 0 || st.st_size < 1 || st.st_size > FILE_MAX)
		return;
	void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p != MAP_FAILED && file_replace(k->dir, k->name, p, (size_t)st.st_size, NULL) == 0)
		life_kept_trim(k->dir, FOLDER_MAX);
}

static _Noreturn void writer(const struct code_cache *k, const struct plan *p, int from)
{
	const int stay[] = {from, k->dir};
	size_t n = 0;
	if (!life_kept_apart(stay, countof(stay)))
		_exit(0);
	uint32_t *list = list_read(from, &n);
	if (!list || n < 2 || (uint64_t)list[0] * WORTH < n - 1)
		_exit(0);
	autoclose int fd = memfd_create("lodge-code", MFD_CLOEXEC);
	pid_t pid = fd < 0 ? -1 : fork();
	if (pid == 0)
		compiler(k, p, list + 1, n - 1, fd);
	if (host_reap(pid) == 0)
		code_write(k, fd);
	_exit(0);
}

/* ---- the run's side ---- */

void code_cache_open(struct code_cache *k, const struct plan *p)
{
	int ends[2];
	*k = (struct code_cache){.dir = -1, .tell = -1};
	if (p->len < MODULE_FROM || !name_make(k, p) || (k->dir = life_kept_open("wasm-code")) < 0)
		return;
	code_find(k);
	if (pipe2(ends, O_CLOEXEC) < 0)
		return;
	pid_t pid = fork();
	if (pid == 0) {
		close(ends[1]);
		writer(k, p, ends[0]);
	}
	close(ends[0]);
	if (pid < 0)
		close(ends[1]);
	else
		k->tell = ends[1];
}

void code_cache_tell(const struct wasm *w, int fd)
{
	autofree uint32_t *list = malloc((LIST_MAX + 1) * sizeof *list);
	size_t fresh = 0, n = list ? wasm_code_list(w, list + 1, LIST_MAX, &fresh) : 0;
	if (!n)
		return;
	list[0] = (uint32_t)fresh;
	(void)signal(SIGPIPE, SIG_IGN);
	(void)!write(fd, list, (n + 1) * sizeof *list);
}
