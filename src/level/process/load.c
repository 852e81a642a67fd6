/* SPDX-License-Identifier: Apache-2.0 */
/* execve's part of loading: the program, its interpreter, where they go. Linux 6.1 fs/binfmt_elf.c,
 * arch/riscv/include/asm/elf.h */
#include "level/process/internal.h"
#include <fcntl.h>
#include <sys/personality.h>
#include <sys/stat.h>

enum { PROGRAM_RANDOM = 1 << 18, BRK_RANDOM = 1 << 13 }; /* pages */
#define PROGRAM_BASE (USER_END / 3 * 2 & ~(uint64_t)(PAGE - 1))

static bool wants_random(void) { return !(personality(0xffffffff) & ADDR_NO_RANDOMIZE); }

uint64_t load_random(uint64_t pages)
{
	uint64_t r;
	if (!wants_random())
		return 0;
	host_random(&r, sizeof r);
	return r % pages * PAGE;
}

uint64_t load_place(const struct proc *p, enum place which, uint64_t pages)
{
	return wants_random() ? p->chance[which] % pages * PAGE : 0;
}

static int read_at(int fd, void *buf, uint64_t len, uint64_t off, const char *path,
		   struct lodge_err *e)
{
	if (off > INT64_MAX)
		return err_set(e, ENOEXEC, "%s: the file is truncated or damaged", path);
	if (host_pread(fd, buf, len, off))
		return 0;
	return errno ? err_sys(e, "%s", path)
		     : err_set(e, ENOEXEC, "%s: the file is truncated or damaged", path);
}

static int file_check(int fd, const char *path, unsigned *ret_mode, struct lodge_err *e)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return err_sys(e, "%s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, EACCES, "%s is not a regular file", path);
	*ret_mode = st.st_mode;
	return 0;
}

static int mode_check(unsigned mode, const char *path, struct lodge_err *e)
{
	if (!(mode & 0111))
		return err_set(e, EACCES, "%s may not be executed: chmod +x %s", path, path);
	return 0;
}

int program_find(struct task *t, const char *path, struct lodge_err *e)
{
	int fd = linux_open(&t->sys, AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NOCTTY, 0);
	return fd < 0 ? err_set(e, -fd, "%s: %s", path, strerror(-fd)) : fd;
}

static int headers_read(struct program *prog, const char *path, struct lodge_err *e)
{
	uint8_t head[IMG_PROGRAM_HEAD] = {0};
	uint64_t off, len;
	unsigned mode = 0;
	int r = file_check(prog->fd, path, &mode, e);
	if (r < 0)
		return r;
	ssize_t n = pread(prog->fd, head, sizeof head, 0);
	r = img_program_headers(head, n < 0 ? 0 : (uint64_t)n, &off, &len, e);
	if (r < 0)
		return err_in(e, r, "%s", path);
	autofree uint8_t *headers = malloc(len);
	if (!headers)
		return err_set(e, ENOMEM, "out of memory");
	r = read_at(prog->fd, headers, len, off, path, e);
	if (r == 0)
		r = err_in(e, img_program(&prog->p, head, headers, len, e), "%s", path);
	if (r == 0 && prog->p.hi > USER_END)
		r = err_set(e, ENOEXEC, "%s wants addresses beyond 2^38", path);
	return r < 0 ? r : mode_check(mode, path, e);
}

int program_open(struct task *t, struct start *s, int fd, const char *path, struct lodge_err *e)
{
	s->main.fd = fd;
	s->interp.fd = -1;
	int r = headers_read(&s->main, path, e);
	if (r < 0 || !s->main.p.interp_len)
		return r;
	autofree char *name = calloc(1, s->main.p.interp_len + 1);
	if (!name)
		return err_set(e, ENOMEM, "out of memory");
	r = read_at(s->main.fd, name, s->main.p.interp_len, s->main.p.interp_off, path, e);
	if (r < 0)
		return r;
	if (name[s->main.p.interp_len - 1])
		return err_set(e, ENOEXEC, "%s: the name of the ELF interpreter is damaged", path);
	r = s->interp.fd = program_find(t, name, e);
	if (r >= 0)
		r = headers_read(&s->interp, name, e);
	if (r == -ENOENT)
		return err_set(e, ENOENT, "%s needs the interpreter %s, which is not there: name "
		               "a folder with a riscv64 system by --root", path, name);
	return r < 0 ? err_in(e, r, "interpreter of %s", path) : 0;
}

void program_close(struct start *s)
{
	auto_close(&s->main.fd);
	auto_close(&s->interp.fd);
	s->main.fd = s->interp.fd = -1;
}

/* ---- mapping ---- */

/* Zero what the last page of the file's part has behind it. */
static int tail_clear(uint64_t at, const struct img_part *s, struct lodge_err *e)
{
	static const uint8_t zero[PAGE];
	uint64_t end = at + s->file_len, n = align_up(end, PAGE) - end;
	if (!n || !s->write || s->mem_len == s->file_len)
		return 0;
	if (host_copy((void *)(uintptr_t)end, zero, n))
		return err_set(e, ENOEXEC, "the file is truncated");
	return 0;
}

static int segment_map(struct proc *p, const struct program *prog, const struct img_part *s,
		       struct lodge_err *e)
{
	int prot = (s->read ? PROT_READ : 0) | (s->write ? PROT_WRITE : 0) |
		   (s->exec ? PROT_EXEC : 0);
	uint64_t skew = s->at & (PAGE - 1), at = prog->bias + s->at - skew;
	uint64_t file_end = at, end = align_up(at + skew + s->mem_len, PAGE);
	int64_t r = 0;
	if (s->file_len) {
		file_end = align_up(at + skew + s->file_len, PAGE);
		r = mem_map(p, at, file_end - at, prot, MAP_PRIVATE, prog->fd, s->off - skew);
	}
	if (r >= 0 && end > file_end)
		r = mem_map(p, file_end, end - file_end, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (r < 0)
		return err_set(e, r == -EEXIST ? ENOMEM : (int)-r,
			       "cannot map a segment at 0x%llx: %s", (unsigned long long)at,
			       strerror((int)-r));
	return s->file_len ? tail_clear(at + skew, s, e) : 0;
}

/* Where @prog goes; @base 0: anywhere. */
static int place(struct proc *p, struct program *prog, uint64_t base, struct lodge_err *e)
{
	const struct img_program *g = &prog->p;
	uint64_t lo = g->lo & ~(g->align - 1), at = base & ~(g->align - 1);
	if (!g->relative) {
		prog->bias = 0;
		return 0;
	}
	if (!base || !space_is_free(&p->space, at, at + (g->hi - lo)))
		at = space_gap(&p->space, g->hi - lo, g->align, p->space.top);
	if (!at || at + (g->hi - lo) > USER_END)
		return err_set(e, ENOMEM, "no room for a program of %llu bytes",
		               (unsigned long long)(g->hi - lo));
	prog->bias = at - lo;
	return 0;
}

static int program_map(struct proc *p, struct program *prog, uint64_t base, struct lodge_err *e)
{
	int r = place(p, prog, base, e);
	for (unsigned i = 0; r == 0 && i < prog->p.nsegments; i++)
		r = segment_map(p, prog, &prog->p.segments[i], e);
	return r;
}

/* The image of functions that every program has; its entry is where handlers of signals return to.
 * It lies in one page. */
static int vdso_map(struct proc *p, struct lodge_err *e)
{
	enum { ENTRY = 24 };
	uint64_t len;
	const uint8_t *image = vdso_image(&len);
	int64_t at = mem_map(p, 0, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC,
	                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (at < 0 || len > PAGE)
		return err_set(e, ENOMEM, "no room for a page");
	memcpy((void *)(uintptr_t)at, image, len);
	p->vdso = (uint64_t)at;
	p->trampoline = p->vdso + le64_at(image + ENTRY);
	if (mprotect((void *)(uintptr_t)at, PAGE, PROT_READ) < 0 ||
	    !space_put(&p->space, p->vdso, p->vdso + PAGE, PROT_READ | PROT_EXEC, 0))
		return err_set(e, ENOMEM, "no room for a page");
	return 0;
}

int program_load(struct proc *p, struct start *s, struct lodge_err *e)
{
	struct img_program *g = &s->main.p;
	bool alone = s->interp.fd < 0;
	uint64_t base = PROGRAM_BASE + load_place(p, PLACE_PROGRAM, PROGRAM_RANDOM);
	int r = stack_map(p, s, e);
	if (r == 0)
		r = program_map(p, &s->main, alone ? 0 : base, e);
	if (r == 0 && !alone)
		r = program_map(p, &s->interp, 0, e);
	if (r == 0)
		r = vdso_map(p, e);
	if (r < 0)
		return err_in(e, r, "%s", s->path);
	uint64_t end = g->relative && alone ? base : s->main.bias + g->hi;
	p->space.brk_start = p->space.brk = end + load_random(BRK_RANDOM);
	s->entry = alone ? s->main.bias + g->entry : s->interp.bias + s->interp.p.entry;
	return stack_fill(p, s, e);
}
