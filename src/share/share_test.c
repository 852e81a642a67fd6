/* SPDX-License-Identifier: Apache-2.0 */
/* FUSE messages as a guest's kernel sends them, and as it should not. */
#include "share/internal.h"
#include "test/test.h"
#include <fcntl.h>
#include <ftw.h>
#include <linux/fuse.h>
#include <stdio.h>

enum { ANSWER = (1 << 20) + 16 };

struct rig {
	struct share *s;
	char dir[64];
	struct share_req r;
	bool done;
	uint8_t message[SHARE_MESSAGE_MAX + 4096], answer[ANSWER];
	size_t len;             /* of the message */
	uint32_t got;           /* bytes of answer */
};

static int rig_remove(const char *path, const struct stat *st, int type, struct FTW *f)
{
	(void)st, (void)type, (void)f;
	return remove(path);
}

static void rig_done(struct share_req *r, uint32_t written)
{
	struct rig *g = container_of(r, struct rig, r);
	g->got = written;
	g->done = true;
}

/* ---- messages ---- */

static void msg_begin(struct rig *g, uint32_t opcode, uint64_t node)
{
	struct fuse_in_header h = { .opcode = opcode, .unique = 77, .nodeid = node };
	memcpy(g->message, &h, sizeof h);
	g->len = sizeof h;
}
static void msg_add(struct rig *g, const void *p, size_t len)
{
	if (len)
		memcpy(g->message + g->len, p, len);
	g->len += len;
}
static void msg_text(struct rig *g, const char *text) { msg_add(g, text, strlen(text) + 1); }

/* Send what was built, saying it is @claim bytes, with @room for the answer. Error or 0. */
static int msg_send_as(struct rig *g, size_t claim, size_t room)
{
	struct fuse_out_header h;
	/* In uneven pieces, as guest memory is. */
	size_t cut = g->len > 50 ? 50 : g->len / 2;
	struct iovec out[2] = { { g->message, cut }, { g->message + cut, g->len - cut } };
	struct iovec in[2] = { { g->answer, room < 24 ? room : 24 },
		               { g->answer + 24, room < 24 ? 0 : room - 24 } };
	le32_put(g->message, (uint32_t)claim);
	g->r = (struct share_req){ .out = out, .nout = 2, .in = in, .nin = 2, .done = rig_done };
	memset(g->answer, 0xee, sizeof h);
	g->done = false;
	share_submit(g->s, &g->r);
	CHECK(g->done && g->got <= room);
	if (!g->got)
		return 1;
	memcpy(&h, g->answer, sizeof h);
	CHECK(h.unique == 77 && h.len == g->got && h.error <= 0 && h.error > -600);
	return h.error;
}
static int msg_send(struct rig *g) { return msg_send_as(g, g->len, ANSWER); }

static const void *rig_body(const struct rig *g) { return g->answer + SHARE_HEADER_OUT; }

static int rig_mount_as(struct rig *g, uint32_t major, uint32_t minor)
{
	struct fuse_init_in in = { .major = major, .minor = minor, .max_readahead = 1 << 20,
		                   .flags = FUSE_ASYNC_READ | FUSE_BIG_WRITES | FUSE_MAX_PAGES |
		                            FUSE_DO_READDIRPLUS | FUSE_PARALLEL_DIROPS };
	msg_begin(g, FUSE_INIT, 0);
	msg_add(g, &in, sizeof in);
	return msg_send(g);
}
static int rig_mount(struct rig *g) { return rig_mount_as(g, 7, 38); }

static void rig_init(struct rig *g, struct share_options o)
{
	struct lodge_err e = { 0 };
	memset(g, 0, sizeof *g);
	strcpy(g->dir, "/tmp/lodge-share-XXXXXX");
	CHECK(mkdtemp(g->dir));
	char path[128];
	snprintf(path, sizeof path, "%s/in", g->dir);
	CHECK(!mkdir(path, 0755));
	o.path = path;
	CHECK(share_open(&g->s, &o, NULL, NULL, &e) == 0);
	CHECK(rig_mount(g) == 0);
}

static void rig_fini(struct rig *g)
{
	share_close(g->s);
	CHECK(!nftw(g->dir, rig_remove, 8, FTW_DEPTH | FTW_PHYS));
}

/* Paths on the host: @name in the shared folder, or beside it when it starts with "../". */
static void rig_write(struct rig *g, const char *name, const char *text)
{
	char path[256];
	snprintf(path, sizeof path, "%s/in/%s", g->dir, name);
	FILE *f = fopen(path, "w");
	CHECK(f && fputs(text, f) >= 0 && !fclose(f));
}
static bool rig_stat(struct rig *g, const char *name, struct stat *st)
{
	char path[256];
	snprintf(path, sizeof path, "%s/in/%s", g->dir, name);
	return lstat(path, st) == 0;
}

static int do_lookup(struct rig *g, uint64_t parent, const char *name, uint64_t *ret)
{
	struct fuse_entry_out o;
	msg_begin(g, FUSE_LOOKUP, parent);
	msg_text(g, name);
	int r = msg_send(g);
	memcpy(&o, rig_body(g), sizeof o);
	*ret = r ? 0 : o.nodeid;
	return r;
}

static int do_open(struct rig *g, uint32_t opcode, uint64_t node, uint32_t flags, uint64_t *ret_fh)
{
	struct fuse_open_in in = { .flags = flags };
	struct fuse_open_out o;
	msg_begin(g, opcode, node);
	msg_add(g, &in, sizeof in);
	int r = msg_send(g);
	memcpy(&o, rig_body(g), sizeof o);
	*ret_fh = r ? 0 : o.fh;
	return r;
}

static int do_read(struct rig *g, uint32_t opcode, uint64_t node, uint64_t fh, uint64_t off,
                   uint32_t size)
{
	struct fuse_read_in in = { .fh = fh, .offset = off, .size = size };
	msg_begin(g, opcode, node);
	msg_add(g, &in, sizeof in);
	return msg_send(g);
}

static int do_write(struct rig *g, uint64_t node, uint64_t fh, uint64_t off, const char *text)
{
	struct fuse_write_in in = { .fh = fh, .offset = off, .size = (uint32_t)strlen(text) };
	msg_begin(g, FUSE_WRITE, node);
	msg_add(g, &in, sizeof in);
	msg_add(g, text, strlen(text));
	return msg_send(g);
}

static int do_create(struct rig *g, uint64_t parent, const char *name, uint32_t flags,
		     uint32_t mode, uint64_t *ret_node, uint64_t *ret_fh)
{
	struct fuse_create_in in = { .flags = flags, .mode = mode };
	struct fuse_entry_out e;
	struct fuse_open_out o;
	msg_begin(g, FUSE_CREATE, parent);
	msg_add(g, &in, sizeof in);
	msg_text(g, name);
	int r = msg_send(g);
	memcpy(&e, rig_body(g), sizeof e);
	memcpy(&o, (const uint8_t *)rig_body(g) + sizeof e, sizeof o);
	*ret_node = r ? 0 : e.nodeid;
	*ret_fh = r ? 0 : o.fh;
	return r;
}

static int do_release(struct rig *g, uint32_t opcode, uint64_t node, uint64_t fh)
{
	struct fuse_release_in in = { .fh = fh };
	msg_begin(g, opcode, node);
	msg_add(g, &in, sizeof in);
	return msg_send(g);
}

static int do_setattr(struct rig *g, uint64_t node, const struct fuse_setattr_in *in)
{
	msg_begin(g, FUSE_SETATTR, node);
	msg_add(g, in, sizeof *in);
	return msg_send(g);
}

static int do_named(struct rig *g, uint32_t opcode, uint64_t node, const void *fixed, size_t len,
                    const char *a, const char *b)
{
	msg_begin(g, opcode, node);
	msg_add(g, fixed, len);
	if (a)
		msg_text(g, a);
	if (b)
		msg_text(g, b);
	return msg_send(g);
}

static int do_forget(struct rig *g, uint64_t node, uint64_t n)
{
	struct fuse_forget_in in = { .nlookup = n };
	msg_begin(g, FUSE_FORGET, node);
	msg_add(g, &in, sizeof in);
	return msg_send(g);
}

/* ---- a day in the life of a mount ---- */

TEST(share_reads_and_writes_files)
{
	struct rig *g = malloc(sizeof *g);
	uint64_t node, fh = 0;
	struct stat st;
	rig_init(g, (struct share_options){ 0 });
	rig_write(g, "hello", "from the host");
	CHECK(do_lookup(g, 1, "hello", &node) == 0 &&
	      do_open(g, FUSE_OPEN, node, O_RDWR, &fh) == 0);
	CHECK(do_read(g, FUSE_READ, node, fh, 5, 1 << 20) == 0);
	CHECK(g->got == 16 + 8 && !memcmp(rig_body(g), "the host", 8));
	CHECK(do_read(g, FUSE_READ, node, fh, 100, 10) == 0 && g->got == 16);
	CHECK(do_write(g, node, fh, 9, "guest") == 0);
	CHECK(do_read(g, FUSE_READ, node, fh, 0, 64) == 0 &&
	      !memcmp(rig_body(g), "from the guest", 14));
	CHECK(do_release(g, FUSE_RELEASE, node, fh) == 0);
	CHECK(do_read(g, FUSE_READ, node, fh, 0, 64) == -EBADF);
	CHECK(do_create(g, 1, "new", O_RDWR, S_IFREG | 06755, &node, &fh) == 0);
	CHECK(do_write(g, node, fh, 0, "x") == 0 && do_release(g, FUSE_RELEASE, node, fh) == 0);
	CHECK(rig_stat(g, "new", &st) && st.st_size == 1 && !(st.st_mode & 06000));
	CHECK(do_create(g, 1, "new", O_RDWR | O_EXCL, 0644, &node, &fh) == -EEXIST);
	CHECK(do_create(g, 1, "new", O_RDWR | O_TRUNC, 0644, &node, &fh) == 0);
	CHECK(rig_stat(g, "new", &st) && st.st_size == 0);
	rig_fini(g);
	free(g);
}

TEST(share_makes_and_moves_names)
{
	struct rig *g = malloc(sizeof *g);
	uint64_t dir, file, fh = 0, again;
	struct stat st;
	rig_init(g, (struct share_options){ 0 });
	struct fuse_mkdir_in mk = { .mode = 0755 };
	CHECK(do_named(g, FUSE_MKDIR, 1, &mk, sizeof mk, "d", NULL) == 0);
	CHECK(do_lookup(g, 1, "d", &dir) == 0);
	CHECK(do_create(g, dir, "f", O_RDWR, 0600, &file, &fh) == 0);
	struct fuse_link_in ln = { .oldnodeid = file };
	CHECK(do_named(g, FUSE_LINK, 1, &ln, sizeof ln, "hard", NULL) == 0);
	CHECK(do_lookup(g, 1, "hard", &again) == 0 && again == file);
	CHECK(do_named(g, FUSE_SYMLINK, 1, NULL, 0, "soft", "../../etc/passwd") == 0);
	CHECK(do_lookup(g, 1, "soft", &again) == 0);
	msg_begin(g, FUSE_READLINK, again);
	CHECK(msg_send(g) == 0 && g->got == 16 + 16 &&
	      !memcmp(rig_body(g), "../../etc/passwd", 16));
	struct fuse_rename_in mv = { .newdir = 1 };
	CHECK(do_named(g, FUSE_RENAME, dir, &mv, sizeof mv, "f", "moved") == 0);
	CHECK(rig_stat(g, "moved", &st) && !rig_stat(g, "d/f", &st));
	struct fuse_rename2_in mv2 = { .newdir = 1, .flags = RENAME_NOREPLACE };
	CHECK(do_named(g, FUSE_RENAME2, 1, &mv2, sizeof mv2, "hard", "moved") == -EEXIST);
	mv2.flags = RENAME_WHITEOUT;
	CHECK(do_named(g, FUSE_RENAME2, 1, &mv2, sizeof mv2, "hard", "x") == -EINVAL);
	CHECK(do_named(g, FUSE_RMDIR, 1, NULL, 0, "d", NULL) == 0 && !rig_stat(g, "d", &st));
	CHECK(do_named(g, FUSE_UNLINK, 1, NULL, 0, "moved", NULL) == 0);
	CHECK(do_named(g, FUSE_UNLINK, 1, NULL, 0, "hard", NULL) == 0);
	/* Gone, but the guest still knows it and has it open. */
	CHECK(do_write(g, file, fh, 0, "still here") == 0);
	struct fuse_setattr_in sa = { .valid = FATTR_SIZE, .size = 5 };
	CHECK(do_setattr(g, file, &sa) == 0);
	CHECK(do_read(g, FUSE_READ, file, fh, 0, 64) == 0 && g->got == 16 + 5);
	rig_fini(g);
	free(g);
}

TEST(share_lists_folders)
{
	struct rig *g = malloc(sizeof *g);
	uint64_t fh = 0, node;
	rig_init(g, (struct share_options){ 0 });
	for (int i = 0; i < 100; i++) {
		char name[16];
		snprintf(name, sizeof name, "file%d", i);
		rig_write(g, name, "");
	}
	CHECK(do_open(g, FUSE_OPENDIR, 1, 0, &fh) == 0);
	for (int plus = 0; plus < 2; plus++) {
		uint64_t off = 0;
		unsigned seen = 0;
		while (do_read(g, plus ? FUSE_READDIRPLUS : FUSE_READDIR, 1, fh, off, 1000) == 0 &&
		       g->got > 16) {
			const uint8_t *p = rig_body(g), *end = g->answer + g->got;
			while (p < end) {
				struct fuse_dirent d;
				if (plus)
					p += sizeof(struct fuse_entry_out);
				memcpy(&d, p, FUSE_NAME_OFFSET);
				off = d.off;
				seen++;
				p += (FUSE_NAME_OFFSET + d.namelen + 7) & ~7ul;
			}
		}
		CHECK(seen == 102);
	}
	CHECK(do_read(g, FUSE_READDIR, 1, fh, 0x7777777777777777, 1000) <= 0);
	CHECK(do_read(g, FUSE_READ, 1, fh, 0, 10) == -EBADF);
	CHECK(do_release(g, FUSE_RELEASEDIR, 1, fh) == 0);
	CHECK(do_lookup(g, 1, "file0", &node) == 0);
	CHECK(do_open(g, FUSE_OPENDIR, node, 0, &fh) == -ENOTDIR);
	rig_fini(g);
	free(g);
}

TEST(share_carries_user_attributes_when_asked)
{
	struct rig *g = malloc(sizeof *g);
	uint64_t node;
	struct { uint32_t size, flags; } set = { .size = 3 };
	struct fuse_getxattr_in get = { .size = 100 };
	for (int on = 0; on < 2; on++) {
		rig_init(g, (struct share_options){ .xattr = on });
		rig_write(g, "f", "");
		CHECK(do_lookup(g, 1, "f", &node) == 0);
		msg_begin(g, FUSE_SETXATTR, node);
		msg_add(g, &set, sizeof set), msg_text(g, "user.color"), msg_add(g, "red", 3);
		int r = msg_send(g);
		CHECK(on ? r == 0 || r == -EOPNOTSUPP : r == -ENOSYS);
		int q = do_named(g, FUSE_GETXATTR, node, &get, sizeof get, "user.color", NULL);
		CHECK(r ? q < 0 : q == 0 && !memcmp(rig_body(g), "red", 3));
		if (on)
			CHECK(do_named(g, FUSE_GETXATTR, node, &get, sizeof get,
				       "security.capability", NULL) == -EOPNOTSUPP);
		msg_begin(g, FUSE_LISTXATTR, node);
		msg_add(g, &get, sizeof get);
		q = msg_send(g);
		CHECK(r || (q == 0 && g->got == 16 + 11));
		rig_fini(g);
	}
	free(g);
}

TEST(share_changes_attributes_within_bounds)
{
	struct rig *g = malloc(sizeof *g);
	uint64_t node;
	struct stat st;
	rig_init(g, (struct share_options){ 0 });
	rig_write(g, "f", "12345");
	CHECK(do_lookup(g, 1, "f", &node) == 0);
	struct fuse_setattr_in mode = {.valid = FATTR_MODE, .mode = S_IFREG | 06751},
			       own = {.valid = FATTR_UID | FATTR_GID,
				      .uid = geteuid(),
				      .gid = getegid()},
			       give = {.valid = FATTR_UID, .uid = geteuid() + 1},
			       time = {.valid = FATTR_MTIME, .mtime = 1000000000, .mtimensec = 5},
			       size = {.valid = FATTR_SIZE, .size = 3};
	CHECK(do_setattr(g, node, &mode) == 0 && rig_stat(g, "f", &st) &&
	      (st.st_mode & 07777) == 0751);
	CHECK(do_setattr(g, node, &own) == 0 && do_setattr(g, node, &give) == -EPERM);
	CHECK(do_setattr(g, node, &time) == 0 && rig_stat(g, "f", &st) &&
	      st.st_mtime == 1000000000);
	CHECK(do_setattr(g, node, &size) == 0 && rig_stat(g, "f", &st) && st.st_size == 3);
	struct fuse_mknod_in dev = {.mode = S_IFCHR | 0666, .rdev = 0x103},
			     pipe = {.mode = S_IFIFO | 0644};
	CHECK(do_named(g, FUSE_MKNOD, 1, &dev, sizeof dev, "null", NULL) == -EPERM);
	CHECK(do_named(g, FUSE_MKNOD, 1, &pipe, sizeof pipe, "pipe", NULL) == 0);
	uint64_t fh;
	CHECK(do_lookup(g, 1, "pipe", &node) == 0 &&
	      do_open(g, FUSE_OPEN, node, O_RDONLY, &fh) == -ENXIO);
	CHECK(do_create(g, 1, "pipe", O_WRONLY, 0644, &node, &fh) == -ENXIO);
	rig_fini(g);
	free(g);
}

TEST(share_read_only_changes_nothing)
{
	struct rig *g = malloc(sizeof *g);
	uint64_t node, fh = 0;
	struct stat st;
	rig_init(g, (struct share_options){ .readonly = true });
	rig_write(g, "f", "12345");
	CHECK(do_lookup(g, 1, "f", &node) == 0);
	CHECK(do_open(g, FUSE_OPEN, node, O_RDWR, &fh) == -EROFS);
	CHECK(do_open(g, FUSE_OPEN, node, O_RDONLY | O_TRUNC, &fh) == -EROFS);
	CHECK(do_open(g, FUSE_OPEN, node, O_RDONLY, &fh) == 0);
	CHECK(do_write(g, node, fh, 0, "x") == -EROFS);
	CHECK(do_create(g, 1, "new", O_RDONLY, 0644, &node, &fh) == -EROFS);
	struct fuse_setattr_in size = { .valid = FATTR_SIZE };
	CHECK(do_setattr(g, node, &size) == -EROFS);
	CHECK(do_named(g, FUSE_UNLINK, 1, NULL, 0, "f", NULL) == -EROFS);
	CHECK(rig_stat(g, "f", &st) && st.st_size == 5 && !rig_stat(g, "new", &st));
	rig_fini(g);
	free(g);
}

/* ---- what must not happen ---- */

TEST(share_refuses_names_that_lead_out)
{
	static const char *const names[] = {"..",        ".",           "",     "/", "a/b",
					    "../secret", "/etc/passwd", "in/.."};
	struct rig *g = malloc(sizeof *g);
	uint64_t node, fh = 0;
	struct stat st;
	rig_init(g, (struct share_options){ 0 });
	rig_write(g, "../secret", "not yours");
	rig_write(g, "f", "");
	struct fuse_mkdir_in mk = { .mode = 0755 };
	struct fuse_mknod_in node_in = { .mode = S_IFREG | 0644 };
	struct fuse_rename_in mv = { .newdir = 1 };
	struct fuse_link_in ln = { .oldnodeid = 1 };
	for (size_t i = 0; i < countof(names); i++) {
		const char *n = names[i];
		CHECK(do_lookup(g, 1, n, &node) == -EINVAL);
		CHECK(do_create(g, 1, n, O_RDWR, 0644, &node, &fh) == -EINVAL);
		CHECK(do_named(g, FUSE_MKDIR, 1, &mk, sizeof mk, n, NULL) == -EINVAL);
		CHECK(do_named(g, FUSE_MKNOD, 1, &node_in, sizeof node_in, n, NULL) == -EINVAL);
		CHECK(do_named(g, FUSE_UNLINK, 1, NULL, 0, n, NULL) == -EINVAL);
		CHECK(do_named(g, FUSE_RMDIR, 1, NULL, 0, n, NULL) == -EINVAL);
		CHECK(do_named(g, FUSE_SYMLINK, 1, NULL, 0, n, "x") == -EINVAL);
		CHECK(do_named(g, FUSE_LINK, 1, &ln, sizeof ln, n, NULL) == -EINVAL);
		CHECK(do_named(g, FUSE_RENAME, 1, &mv, sizeof mv, n, "x") == -EINVAL);
		CHECK(do_named(g, FUSE_RENAME, 1, &mv, sizeof mv, "f", n) == -EINVAL);
	}
	CHECK(rig_stat(g, "f", &st) && rig_stat(g, "../secret", &st));
	rig_fini(g);
	free(g);
}

/* Before 7.12 the names of CREATE, MKNOD and MKDIR lay where newer messages have the umask. */
TEST(share_refuses_protocols_with_other_places_for_names)
{
	struct rig *g = malloc(sizeof *g);
	uint64_t node, fh = 0;
	struct stat st;
	rig_init(g, (struct share_options){ 0 });
	struct fuse_create_in create = { .flags = O_RDWR, .mode = 0644 };
	struct fuse_mknod_in node_in = { .mode = S_IFREG | 0644 };
	memcpy(&create.umask, "../a", 4);
	memcpy(&node_in.umask, "../b", 4);
	msg_begin(g, FUSE_DESTROY, 0);
	CHECK(msg_send(g) == 0);
	for (uint32_t minor = 0; minor < 12; minor++) {
		CHECK(rig_mount_as(g, 7, minor) == -EPROTO);
		msg_begin(g, FUSE_CREATE, 1);
		msg_add(g, &create, sizeof create);
		msg_text(g, "f");
		CHECK(msg_send(g) == -EIO);
		CHECK(do_named(g, FUSE_MKNOD, 1, &node_in, sizeof node_in, "g", NULL) == -EIO);
	}
	CHECK(rig_mount_as(g, 6, 38) == -EPROTO);
	CHECK(!rig_stat(g, "../a", &st) && !rig_stat(g, "../b", &st));
	/* A newer one is told what we speak, and then speaks it. */
	CHECK(rig_mount_as(g, 8, 0) == 0 && do_lookup(g, 1, "f", &node) == -EIO);
	CHECK(rig_mount(g) == 0 && do_create(g, 1, "f", O_RDWR, 0644, &node, &fh) == 0);
	rig_fini(g);
	free(g);
}

TEST(share_never_follows_links_on_the_host)
{
	struct rig *g = malloc(sizeof *g);
	uint64_t link, node, fh = 0;
	char path[128];
	rig_init(g, (struct share_options){ 0 });
	rig_write(g, "../secret", "not yours");
	snprintf(path, sizeof path, "%s/in/leak", g->dir);
	CHECK(!symlink("../secret", path));
	snprintf(path, sizeof path, "%s/in/up", g->dir);
	CHECK(!symlink("..", path));
	CHECK(do_lookup(g, 1, "leak", &link) == 0);
	CHECK(do_open(g, FUSE_OPEN, link, O_RDONLY, &fh) == -ENXIO);
	CHECK(do_create(g, 1, "leak", O_RDWR, 0644, &node, &fh) == -ENXIO);
	struct fuse_setattr_in size = {.valid = FATTR_SIZE},
			       mode = {.valid = FATTR_MODE, .mode = 0777},
			       time = {.valid = FATTR_MTIME, .mtime = 5};
	CHECK(do_setattr(g, link, &size) == -ENXIO);
	CHECK(do_setattr(g, link, &time) == 0);
	(void)do_setattr(g, link, &mode);
	CHECK(do_lookup(g, 1, "up", &link) == 0 && do_lookup(g, link, "secret", &node) == -ENOTDIR);
	CHECK(do_open(g, FUSE_OPENDIR, link, 0, &fh) == -ENOTDIR);
	struct stat st;
	CHECK(rig_stat(g, "../secret", &st) && st.st_size == 9 && st.st_mtime != 5 &&
	      (st.st_mode & 0777) != 0777);
	/* A file swapped for a link after the guest has learned of it: the old file stays it. */
	rig_write(g, "f", "mine");
	CHECK(do_lookup(g, 1, "f", &node) == 0);
	snprintf(path, sizeof path, "%s/in/f", g->dir);
	CHECK(!unlink(path) && !symlink("../secret", path));
	CHECK(do_open(g, FUSE_OPEN, node, O_RDONLY, &fh) == 0);
	CHECK(do_read(g, FUSE_READ, node, fh, 0, 64) == 0 && g->got == 16 + 4);
	rig_fini(g);
	free(g);
}

TEST(share_refuses_forged_numbers)
{
	static const uint64_t ids[] = {0,      3, 1ull << 32 | 1, UINT64_MAX, 0xdeadbeef00000002,
				       1000000};
	struct rig *g = malloc(sizeof *g);
	uint64_t node, fh = 0, other;
	rig_init(g, (struct share_options){ 0 });
	rig_write(g, "f", "12345");
	rig_write(g, "g", "12345");
	CHECK(do_lookup(g, 1, "f", &node) == 0 && do_open(g, FUSE_OPEN, node, O_RDONLY, &fh) == 0);
	struct fuse_getattr_in ga = { 0 };
	for (size_t i = 0; i < countof(ids); i++) {
		CHECK(do_lookup(g, ids[i], "f", &other) == -ESTALE);
		CHECK(do_named(g, FUSE_GETATTR, ids[i], &ga, sizeof ga, NULL, NULL) == -ESTALE);
		CHECK(do_read(g, FUSE_READ, node, fh ^ (ids[i] | 2), 0, 10) == -EBADF);
		CHECK(do_release(g, FUSE_RELEASE, node, ids[i]) == 0);
		CHECK(do_forget(g, ids[i], UINT64_MAX) == 1);
	}
	CHECK(do_lookup(g, 1, "g", &other) == 0 &&
	      do_read(g, FUSE_READ, other, fh, 0, 10) == -EBADF);
	CHECK(do_read(g, FUSE_READ, node, fh, 0, 10) == 0);
	/* Forgotten more often than told: gone, and the number is not given out again. */
	CHECK(do_forget(g, node, 1000) == 1);
	CHECK(do_named(g, FUSE_GETATTR, node, &ga, sizeof ga, NULL, NULL) == -ESTALE);
	CHECK(do_lookup(g, 1, "f", &other) == 0 && other != node);
	CHECK(do_forget(g, 1, 1000) == 1 && do_lookup(g, 1, "f", &other) == 0);
	rig_fini(g);
	free(g);
}

TEST(share_refuses_messages_of_wrong_shape)
{
	struct rig *g = malloc(sizeof *g);
	uint64_t node, fh = 0;
	rig_init(g, (struct share_options){ .xattr = true });
	rig_write(g, "f", "12345");
	CHECK(do_lookup(g, 1, "f", &node) == 0 && do_open(g, FUSE_OPEN, node, O_RDWR, &fh) == 0);
	/* No opcode reads past its message, whatever its length. */
	for (uint32_t op = 0; op < 70; op++) {
		if (op == FUSE_INIT || op == FUSE_DESTROY)
			continue;
		for (size_t len = 0; len < 140; len++) {
			msg_begin(g, op, node);
			memset(g->message + 40, 0x41, 200);
			g->len = len;
			(void)msg_send(g);
			(void)msg_send_as(g, len + 1, ANSWER); /* more claimed than there is */
			(void)msg_send_as(g, 0xffffffff, 16);
			(void)msg_send_as(g, len, 0);
			(void)msg_send_as(g, len, 7);
		}
	}
	/* One of those was a well-formed forget. */
	CHECK(do_lookup(g, 1, "f", &node) == 0 && do_open(g, FUSE_OPEN, node, O_RDWR, &fh) == 0);
	msg_begin(g, FUSE_LOOKUP, 1);
	msg_add(g, "f", 1); /* no end */
	CHECK(msg_send(g) == -EINVAL);
	msg_begin(g, FUSE_LOOKUP, 1);
	msg_add(g, "f\0g", 4); /* more behind it */
	CHECK(msg_send(g) == -EINVAL);
	struct fuse_write_in w = { .fh = fh, .size = 100 };
	msg_begin(g, FUSE_WRITE, node);
	msg_add(g, &w, sizeof w), msg_add(g, "short", 5);
	CHECK(msg_send(g) == -EINVAL);
	struct fuse_batch_forget_in bf = { .count = 0x10000000 };
	msg_begin(g, FUSE_BATCH_FORGET, 0);
	msg_add(g, &bf, sizeof bf);
	CHECK(msg_send(g) == 1);
	struct { uint32_t size, flags; } xs = { .size = 0xffffff };
	msg_begin(g, FUSE_SETXATTR, node);
	msg_add(g, &xs, sizeof xs), msg_text(g, "user.a"), msg_add(g, "b", 1);
	CHECK(msg_send(g) == -EINVAL);
	msg_begin(g, FUSE_GETXATTR, node);
	g->len = SHARE_MESSAGE_MAX + 100;
	CHECK(msg_send(g) == -EINVAL);
	CHECK(do_read(g, FUSE_READ, node, fh, 0, 0xffffffff) == 0 && g->got == 16 + 5);
	CHECK(do_read(g, FUSE_READ, node, fh, UINT64_MAX, 10) == -EINVAL);
	msg_begin(g, FUSE_READ, node);
	struct fuse_read_in rd = { .fh = fh, .size = 5 };
	msg_add(g, &rd, sizeof rd);
	CHECK(msg_send_as(g, g->len, 18) == 0 && g->got == 18); /* as much as there is room */
	rig_fini(g);
	free(g);
}

static unsigned fds_open(void)
{
	unsigned n = 0;
	DIR *d = opendir("/proc/self/fd");
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

TEST(share_mounts_again_and_leaks_nothing)
{
	struct rig *g = malloc(sizeof *g);
	uint64_t node, fh = 0;
	unsigned before = fds_open();
	rig_init(g, (struct share_options){ 0 });
	rig_write(g, "f", "12345");
	for (int i = 0; i < 20; i++) {
		CHECK(do_lookup(g, 1, "f", &node) == 0 &&
		      do_open(g, FUSE_OPEN, node, O_RDWR, &fh) == 0);
		if (i % 3 == 0) {
			msg_begin(g, FUSE_DESTROY, 0);
			CHECK(msg_send(g) == 0);
			CHECK(do_lookup(g, 1, "f", &node) == -EIO); /* not mounted */
		} else if (i % 3 == 1) {
			share_reset(g->s);
		}
		CHECK(rig_mount(g) == 0);
		CHECK(do_read(g, FUSE_READ, node, fh, 0, 5) == -EBADF);
	}
	share_close(g->s);
	g->s = NULL;
	CHECK(fds_open() == before);
	rig_fini(g);
	free(g);
}

TEST(share_keeps_few_descriptors_for_many_files)
{
	enum { DIRS = 40, FILES = 20 };
	struct rig *g = malloc(sizeof *g);
	uint64_t dirs[DIRS], files[DIRS][FILES], fh = 0;
	char name[32];
	rig_init(g, (struct share_options){ 0 });
	g->s->nodes.max_fds = 8;
	unsigned before = fds_open();
	struct fuse_mkdir_in mk = { .mode = 0755 };
	uint64_t at = 1;
	for (int d = 0; d < DIRS; d++) { /* one in the other */
		CHECK(do_named(g, FUSE_MKDIR, at, &mk, sizeof mk, "d", NULL) == 0);
		CHECK(do_lookup(g, at, "d", &dirs[d]) == 0);
		at = dirs[d];
		for (int i = 0; i < FILES; i++) {
			snprintf(name, sizeof name, "f%d", i);
			CHECK(do_create(g, at, name, O_RDWR, 0644, &files[d][i], &fh) == 0);
			CHECK(do_write(g, files[d][i], fh, 0, name) == 0);
			CHECK(do_release(g, FUSE_RELEASE, files[d][i], fh) == 0);
		}
	}
	CHECK(fds_open() <= before + 10);
	struct fuse_rename_in mv = { .newdir = 1 };
	CHECK(do_named(g, FUSE_RENAME, dirs[4], &mv, sizeof mv, "d", "elsewhere") == 0);
	for (int d = DIRS - 1; d >= 0; d--) {
		CHECK(do_open(g, FUSE_OPEN, files[d][d % FILES], O_RDONLY, &fh) == 0);
		CHECK(do_read(g, FUSE_READ, files[d][d % FILES], fh, 0, 10) == 0);
		snprintf(name, sizeof name, "f%d", d % FILES);
		CHECK(g->got == 16 + strlen(name) && !memcmp(rig_body(g), name, strlen(name)));
		CHECK(do_release(g, FUSE_RELEASE, files[d][d % FILES], fh) == 0);
	}
	/* Replaced behind our back: another file of the same name is not the same file. */
	rig_write(g, "other", "other");
	char a[128], b[128];
	snprintf(a, sizeof a, "%s/in/other", g->dir), snprintf(b, sizeof b, "%s/in/d/f7", g->dir);
	CHECK(!rename(a, b) && do_open(g, FUSE_OPEN, files[0][7], O_RDONLY, &fh) == -ESTALE);
	rig_fini(g);
	free(g);
}

/* ---- saved ---- */

/* Into a share that was opened anew over the same folder. */
static bool rig_move(struct rig *g, const uint8_t *buf, size_t n)
{
	char path[128];
	struct share_options o = { .path = path };
	snprintf(path, sizeof path, "%s/in", g->dir);
	share_close(g->s);
	CHECK(share_open(&g->s, &o, NULL, NULL, NULL) == 0);
	return share_load(g->s, buf, n);
}

TEST(share_goes_on_where_it_was_saved)
{
	static struct rig g;
	static uint8_t a[65536], b[65536];
	uint64_t dir = 0, file = 0, gone = 0, other = 0, fh, gone_fh, dir_fh, added;
	char path[256], to[256];
	rig_init(&g, (struct share_options){ 0 });
	snprintf(path, sizeof path, "%s/in/sub", g.dir);
	CHECK(!mkdir(path, 0755));
	rig_write(&g, "sub/file", "contents");
	rig_write(&g, "gone", "soon");
	rig_write(&g, "other", "first");
	CHECK(do_lookup(&g, 1, "sub", &dir) == 0 && do_lookup(&g, dir, "file", &file) == 0);
	CHECK(do_lookup(&g, 1, "gone", &gone) == 0 && do_lookup(&g, 1, "other", &other) == 0);
	CHECK(do_open(&g, FUSE_OPEN, file, O_RDWR, &fh) == 0);
	CHECK(do_open(&g, FUSE_OPEN, gone, O_RDONLY, &gone_fh) == 0);
	CHECK(do_open(&g, FUSE_OPENDIR, dir, O_RDONLY, &dir_fh) == 0);
	size_t n = share_save(g.s, a, sizeof a);
	CHECK(n && n <= sizeof a && share_save(g.s, b, 10) == n);
	/* meanwhile on the host: a file goes, another takes a name */
	snprintf(path, sizeof path, "%s/in/gone", g.dir);
	CHECK(!unlink(path));
	snprintf(path, sizeof path, "%s/in/other", g.dir);
	snprintf(to, sizeof to, "%s/in/renamed", g.dir);
	CHECK(!rename(path, to));
	rig_write(&g, "other", "second");
	CHECK(rig_move(&g, a, n));
	CHECK(share_save(g.s, b, sizeof b) <= n);
	CHECK(do_read(&g, FUSE_READ, file, fh, 0, 64) == 0 && g.got == 16 + 8 &&
	      !memcmp(rig_body(&g), "contents", 8));
	CHECK(do_write(&g, file, fh, 0, "changed") == 0);
	CHECK(do_read(&g, FUSE_READDIR, dir, dir_fh, 0, 1000) == 0 && g.got > 16);
	CHECK(do_read(&g, FUSE_READ, gone, gone_fh, 0, 64) == -EBADF);
	CHECK(do_open(&g, FUSE_OPEN, gone, O_RDONLY, &added) == -ESTALE);
	CHECK(do_open(&g, FUSE_OPEN, other, O_RDONLY, &added) == -ESTALE);
	/* numbers that were given out are not given out again */
	CHECK(do_lookup(&g, 1, "other", &added) == 0 && added != other && added != gone);
	CHECK(do_lookup(&g, dir, "file", &added) == 0 && added == file);
	CHECK(do_release(&g, FUSE_RELEASE, file, fh) == 0);
	/* cut anywhere it is refused, and the share is new */
	for (size_t len = 0; len < n; len++)
		CHECK(!share_load(g.s, a, len));
	CHECK(rig_mount(&g) == 0 && do_lookup(&g, 1, "sub", &added) == 0);
	rig_fini(&g);
}

TEST(share_takes_no_state_that_could_not_be)
{
	static struct rig g;
	static uint8_t a[65536], b[65536];
	uint64_t dir = 0, file = 0, fh;
	uint64_t seed = 88172645463325252u;
	char path[256];
	rig_init(&g, (struct share_options){ 0 });
	snprintf(path, sizeof path, "%s/in/sub", g.dir);
	CHECK(!mkdir(path, 0755));
	rig_write(&g, "sub/file", "contents");
	CHECK(do_lookup(&g, 1, "sub", &dir) == 0 && do_lookup(&g, dir, "file", &file) == 0);
	CHECK(do_open(&g, FUSE_OPEN, file, O_RDWR, &fh) == 0);
	size_t n = share_save(g.s, a, sizeof a);
	/* whatever is taken works, whatever is refused leaves a share that works */
	for (unsigned round = 0; round < 3000; round++) {
		memcpy(b, a, n);
		for (unsigned k = 0; k <= round % 3; k++) {
			seed ^= seed << 13;
			seed ^= seed >> 7;
			seed ^= seed << 17;
			b[seed % n] = (uint8_t)(seed >> 32);
		}
		if (!share_load(g.s, b, n))
			CHECK(rig_mount(&g) == 0);
		int r = do_lookup(&g, 1, "sub", &dir);
		CHECK(r <= 1);
		share_reset(g.s);
	}
	rig_fini(&g);
}
