/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz a shared folder with FUSE messages. A step is an opcode, which known node and handle to use,
 * and a body. Whatever happens, what lies beside the folder must stay as it was. */
#include <stdlib.h>
#define CHECK(x)                                                                                   \
	do {                                                                                       \
		if (!(x))                                                                          \
			abort();                                                                   \
	} while (0)
#include "share/share.h"
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/fuse.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { STEPS = 200, KNOWN = 16, BODY = 8192, ANSWER = 65536, FILE_MAX = 1 << 20 };
enum { FIX_LEN = 1, FIX_HANDLE = 2, SMALL_ROOM = 4, FIX_SIZE = 8 };

struct fuzz {
	struct share *s;
	struct share_req r;
	bool done;
	uint32_t got;
	const uint8_t *p, *end;
	uint64_t nodes[KNOWN], handles[KNOWN];
	unsigned nnodes, nhandles;
};

static uint32_t fuzz_take(struct fuzz *f, unsigned n)
{
	uint32_t v = 0;
	while (n-- && f->p < f->end)
		v = v << 8 | *f->p++;
	return v;
}

/* ---- the folder: root/up/up/in is shared, what lies beside it is not ---- */

/* Two more folders above, so that a short name that leads out ends in something that is checked,
 * and not in what the next input finds. */
#define UP   "up/up/"

static char fuzz_dir[40];

static void fuzz_root(void)
{
	struct rlimit lim = { FILE_MAX, FILE_MAX };
	signal(SIGXFSZ, SIG_IGN);
	CHECK(setrlimit(RLIMIT_FSIZE, &lim) == 0);
	strcpy(fuzz_dir, access("/dev/shm", W_OK) ? "/tmp/lodge-fuzz-XXXXXX"
	                                          : "/dev/shm/lodge-fuzz-XXXXXX");
	CHECK(mkdtemp(fuzz_dir));
}

static const char *fuzz_path(char buf[80], const char *name)
{
	snprintf(buf, 80, "%s/%s", fuzz_dir, name);
	return buf;
}

static void fuzz_file(const char *name, const char *text)
{
	char path[80];
	FILE *f = fopen(fuzz_path(path, name), "w");
	CHECK(f && fputs(text, f) >= 0 && !fclose(f));
}

static int fuzz_remove(const char *path, const struct stat *st, int type, struct FTW *w)
{
	(void)st, (void)type, (void)w;
	return remove(path);
}

static void fuzz_folder(void)
{
	char path[80], target[80];
	CHECK(!mkdir(fuzz_path(path, "up"), 0755) && !mkdir(fuzz_path(path, UP), 0755));
	CHECK(!mkdir(fuzz_path(path, UP "in"), 0755) && !mkdir(fuzz_path(path, UP "in/d"), 0755));
	fuzz_file(UP "secret", "not yours");
	fuzz_file(UP "in/f", "hello");
	CHECK(!symlink("../secret", fuzz_path(path, UP "in/l")));
	CHECK(!symlink(fuzz_path(target, UP "secret"), fuzz_path(path, UP "in/d/l")));
	CHECK(!mkfifo(fuzz_path(path, UP "in/p"), 0644));
	CHECK(!chmod(fuzz_path(path, UP "secret"), 0444));
}

static unsigned fuzz_count(const char *name)
{
	char path[80];
	unsigned n = 0;
	DIR *d = opendir(fuzz_path(path, name));
	CHECK(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void fuzz_check(void)
{
	char path[80], text[16] = "";
	struct stat st;
	FILE *f = fopen(fuzz_path(path, UP "secret"), "r");
	CHECK(f && fgets(text, sizeof text, f) && !strcmp(text, "not yours"));
	CHECK(!fstat(fileno(f), &st) && (st.st_mode & 07777) == 0444 && st.st_nlink == 1);
	fclose(f);
	CHECK(fuzz_count("") == 3 && fuzz_count("up") == 3 && fuzz_count(UP) == 4);
}

/* ---- messages ---- */

static void fuzz_done(struct share_req *r, uint32_t written)
{
	struct fuzz *f = container_of(r, struct fuzz, r);
	f->done = true;
	f->got = written;
}

static void fuzz_learn(struct fuzz *f, uint32_t opcode, const uint8_t *body, size_t len)
{
	bool entry = opcode == FUSE_LOOKUP || opcode == FUSE_MKDIR || opcode == FUSE_CREATE ||
	             opcode == FUSE_MKNOD || opcode == FUSE_SYMLINK || opcode == FUSE_LINK;
	if (entry && len >= sizeof(struct fuse_entry_out))
		f->nodes[f->nnodes++ % KNOWN] = le64_at(body);
	if (opcode == FUSE_CREATE && len >= sizeof(struct fuse_entry_out) + 8)
		f->handles[f->nhandles++ % KNOWN] = le64_at(body + sizeof(struct fuse_entry_out));
	if ((opcode == FUSE_OPEN || opcode == FUSE_OPENDIR) && len >= 8)
		f->handles[f->nhandles++ % KNOWN] = le64_at(body);
}

static void fuzz_send(struct fuzz *f, uint32_t opcode, uint64_t node, unsigned how,
                      const uint8_t *body, size_t len)
{
	struct fuse_in_header h = {.len = (uint32_t)(sizeof h + len),
				   .opcode = opcode,
				   .nodeid = node,
				   .unique = 1,
				   .uid = 1000,
				   .gid = 1000};
	static uint8_t answer[ANSWER];
	uint8_t m[sizeof h + BODY];
	if (!(how & FIX_LEN))
		h.len = fuzz_take(f, 2);
	memcpy(m, &h, sizeof h);
	memcpy(m + sizeof h, body, len);
	size_t total = sizeof h + len, cut = total / 3,
	       room = how & SMALL_ROOM ? fuzz_take(f, 1) : ANSWER;
	struct iovec out[2] = { { m, cut }, { m + cut, total - cut } };
	struct iovec in[2] = { { answer, room / 2 }, { answer + room / 2, room - room / 2 } };
	f->r = (struct share_req){ .out = out, .nout = 2, .in = in, .nin = 2, .done = fuzz_done };
	f->done = false;
	share_submit(f->s, &f->r);
	CHECK(f->done && f->got <= room && (!f->got || f->got >= 16));
	if (f->got >= 16 && !le32_at(answer + 4))
		fuzz_learn(f, opcode, answer + 16, f->got - 16);
}

static void fuzz_mount(struct fuzz *f)
{
	struct fuse_init_in in = {
	    .major = 7, .minor = 38, .max_readahead = 1 << 20, .flags = 0xffffff};
	fuzz_send(f, FUSE_INIT, 0, FIX_LEN, (const uint8_t *)&in, sizeof in);
}

static void fuzz_step(struct fuzz *f)
{
	uint8_t body[BODY] = { 0 };
	uint32_t opcode = fuzz_take(f, 1), which = fuzz_take(f, 1), how = fuzz_take(f, 1);
	uint32_t want = fuzz_take(f, 2);
	uint64_t node = which < KNOWN ? f->nodes[which] : which < 64 ? 1 : fuzz_take(f, 4);
	size_t len = min_u64(min_u64(want, BODY), (uint64_t)(f->end - f->p));
	if (opcode == 255) {
		share_reset(f->s);
		fuzz_mount(f);
		return;
	}
	memcpy(body, f->p, len);
	f->p += len;
	if (how & FIX_HANDLE && len >= 8)
		le64_put(body, f->handles[how >> 4]);
	if (how & FIX_SIZE && opcode == FUSE_WRITE && len >= 40)
		le32_put(body + 16, (uint32_t)len - 40);
	fuzz_send(f, opcode, node, how, body, len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct fuzz f = { .p = data, .end = data + len };
	char path[80];
	fuzz_root();
	fuzz_folder();
	unsigned mode = fuzz_take(&f, 1);
	struct share_options o = { .path = fuzz_path(path, UP "in"), .readonly = (mode & 3) == 3,
		                   .xattr = mode & 4, .guest_owner = mode & 8 && geteuid() == 0 };
	struct lodge_err e;
	CHECK(share_open(&f.s, &o, NULL, NULL, &e) == 0);
	if (mode & 0x80)
		fuzz_mount(&f);
	for (int i = 0; i < STEPS && f.p < f.end; i++)
		fuzz_step(&f);
	share_close(f.s);
	fuzz_check();
	CHECK(!nftw(fuzz_dir, fuzz_remove, 16, FTW_DEPTH | FTW_PHYS));
	return 0;
}
