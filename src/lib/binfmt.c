/* SPDX-License-Identifier: Apache-2.0 */
/* Programs of riscv64 run by the kernel, which calls lodge-riscv64 for them. Linux 6.1
 * Documentation/admin-guide/binfmt-misc.rst; binfmt.d(5) */
#include "lib/lib.h"
#include <fcntl.h>
#include <json-c/json.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>

#define NAME "lodge-riscv64"
#define FOLDER "/proc/sys/fs/binfmt_misc"
#define PERSIST "/etc/binfmt.d"
/* ELF, 64 bits, little-endian, of Linux or of no system; executable or shared object; RISC-V */
#define MAGIC "\\x7fELF\\x02\\x01\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00" \
	      "\\x02\\x00\\xf3\\x00"
#define MASK "\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xfc\\x00\\xff\\xff\\xff\\xff\\xff\\xff\\xff" \
	     "\\xfe\\xff\\xff\\xff"
/* P: argv[0] as well; O: the program's descriptor; C: rights of a setuid program; F: the
 * interpreter is opened now, and found from every chroot and container */
#define FLAGS "POCF"

struct place {
	char folder[PATH_MAX], entry[PATH_MAX + 32], persist[PATH_MAX + 32], interp[PATH_MAX + 32];
	bool given;
};

static int place_fill(struct place *p, const struct lodge_binfmt *given, struct lodge_err *e)
{
	struct lodge_binfmt b = {0};
	if (given->size < sizeof given->size)
		return err_set(e, EINVAL, "lodge_binfmt.size is %zu", given->size);
	memcpy(&b, given, min_u64(given->size, sizeof b));
	p->given = b.folder != NULL;
	snprintf(p->folder, sizeof p->folder, "%s", b.folder ? b.folder : FOLDER);
	snprintf(p->entry, sizeof p->entry, "%s/" NAME, p->folder);
	snprintf(p->persist, sizeof p->persist, "%s/" NAME ".conf",
	         b.persist_folder ? b.persist_folder : PERSIST);
	if (b.interpreter) {
		if (!realpath(b.interpreter, p->interp))
			return err_sys(e, "%s", b.interpreter);
		return 0;
	}
	ssize_t n = readlink("/proc/self/exe", p->interp, PATH_MAX - 1);
	if (n < 0)
		return err_sys(e, "/proc/self/exe");
	p->interp[n] = 0;
	char *slash = strrchr(p->interp, '/');
	strcpy(slash ? slash + 1 : p->interp, NAME);
	return 0;
}

static int interp_check(const struct place *p, struct lodge_err *e)
{
	if (access(p->interp, X_OK) < 0)
		return err_set(e, errno == EACCES ? EPERM : errno,
		               "%s: %s; it is installed beside lodge, or named by --interpreter",
		               p->interp, strerror(errno));
	if (strchr(p->interp, ':') || strchr(p->interp, '\n'))
		return err_set(e, EINVAL, "%s: the kernel takes no path with a colon", p->interp);
	return 0;
}

/* ---- the file system ---- */

static bool is_there(const struct place *p)
{
	char path[PATH_MAX + 32];
	snprintf(path, sizeof path, "%s/register", p->folder);
	return access(path, F_OK) == 0;
}

static int folder_mount(const struct place *p, struct lodge_err *e)
{
	if (is_there(p))
		return 0;
	if (p->given)
		return err_set(e, EOPNOTSUPP, "%s has no file 'register': binfmt_misc is not "
		               "mounted there", p->folder);
	if (mount("none", p->folder, "binfmt_misc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) == 0)
		return 0;
	if (errno == EPERM || errno == EACCES)
		return err_set(e, EPERM, "binfmt_misc is not mounted at %s, which takes root; "
		               "without: lodge binfmt run COMMAND", p->folder);
	if (errno == ENODEV || errno == ENOENT)
		return err_set(e, EOPNOTSUPP, "this kernel has no binfmt_misc "
		               "(CONFIG_BINFMT_MISC, modprobe binfmt_misc)");
	return err_sys(e, "mounting binfmt_misc at %s", p->folder);
}

static int line_write(const char *path, const char *line, struct lodge_err *e)
{
	if (host_text_put(AT_FDCWD, path, line) == 0)
		return 0;
	if (errno == EPERM || errno == EACCES)
		return err_set(e, EPERM, "%s may be written by root only; without: "
		               "lodge binfmt run COMMAND", path);
	return err_sys(e, "writing %s", path);
}

static void line_make(const struct place *p, char *line, size_t cap)
{
	snprintf(line, cap, ":" NAME ":M::" MAGIC ":" MASK ":%s:" FLAGS "\n", p->interp);
}

/* An entry that is there is taken away first: names are unique. */
static int registered_put(const struct place *p, struct lodge_err *e)
{
	char line[PATH_MAX + 512], path[PATH_MAX + 32];
	int r = access(p->entry, F_OK) == 0 ? line_write(p->entry, "-1", e) : 0;
	line_make(p, line, sizeof line);
	snprintf(path, sizeof path, "%s/register", p->folder);
	return r < 0 ? r : line_write(path, line, e);
}

/* ---- for the next boot ---- */

static int persist_put(const struct place *p, struct lodge_err *e)
{
	char line[PATH_MAX + 512], tmp[PATH_MAX + 64];
	line_make(p, line, sizeof line);
	snprintf(tmp, sizeof tmp, "%s.new", p->persist);
	FILE *f = fopen(tmp, "we");
	if (!f)
		return err_sys(e, "%s", tmp);
	int bad = fputs("# Written by lodge binfmt install --persist; lodge binfmt remove takes it "
	                "away.\n", f) < 0 || fputs(line, f) < 0;
	bad |= fclose(f) != 0;
	if (!bad && chmod(tmp, 0644) == 0 && rename(tmp, p->persist) == 0)
		return 0;
	int r = err_sys(e, "%s", p->persist);
	unlink(tmp);
	return r;
}

/* ---- the door ---- */

int lodge_binfmt_install(const struct lodge_binfmt *b, struct lodge_err *e)
{
	struct place p;
	int r = place_fill(&p, b, e);
	if (r == 0)
		r = interp_check(&p, e);
	if (r == 0)
		r = folder_mount(&p, e);
	if (r == 0)
		r = registered_put(&p, e);
	bool persist = b->size >= sizeof *b && b->persist;
	return r == 0 && persist ? persist_put(&p, e) : r;
}

int lodge_binfmt_remove(const struct lodge_binfmt *b, struct lodge_err *e)
{
	struct place p;
	int r = place_fill(&p, b, e);
	if (r == 0 && unlink(p.persist) < 0 && errno != ENOENT)
		r = err_sys(e, "%s", p.persist);
	if (r == 0 && access(p.entry, F_OK) == 0)
		r = line_write(p.entry, "-1", e);
	return r;
}

/* "interpreter PATH" of an entry's file and the like: into @o. */
static void entry_read(struct json_object *o, const char *path)
{
	char line[PATH_MAX + 64];
	FILE *f = fopen(path, "re");
	bool first = true;
	while (f && fgets(line, sizeof line, f)) {
		line[strcspn(line, "\n")] = 0;
		if (first)
			json_object_object_add(o, "enabled",
			                       json_object_new_boolean(!strcmp(line, "enabled")));
		else if (!strncmp(line, "interpreter ", 12))
			json_object_object_add(o, "interpreter",
			                       json_object_new_string(line + 12));
		else if (!strncmp(line, "flags: ", 7))
			json_object_object_add(o, "flags", json_object_new_string(line + 7));
		first = false;
	}
	if (f)
		fclose(f);
}

int lodge_binfmt_status(const struct lodge_binfmt *b, char **ret_json, struct lodge_err *e)
{
	struct place p;
	int r = place_fill(&p, b, e);
	struct json_object *o = r < 0 ? NULL : json_object_new_object();
	if (!o)
		return r < 0 ? r : err_set(e, ENOMEM, "out of memory");
	bool in = access(p.entry, F_OK) == 0;
	json_object_object_add(o, "name", json_object_new_string(NAME));
	json_object_object_add(o, "folder", json_object_new_string(p.folder));
	json_object_object_add(o, "mounted", json_object_new_boolean(is_there(&p)));
	json_object_object_add(o, "registered", json_object_new_boolean(in));
	json_object_object_add(o, "persistent",
	                       json_object_new_boolean(access(p.persist, F_OK) == 0));
	if (in)
		entry_read(o, p.entry);
	*ret_json = strdup(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY |
	                                                     JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(o);
	return *ret_json ? 0 : err_set(e, ENOMEM, "out of memory");
}

static int own_mount(const struct place *p, struct lodge_err *e)
{
	if (mount("none", p->folder, "binfmt_misc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) == 0)
		return 0;
	if (errno == EPERM)
		return err_set(e, EOPNOTSUPP, "this kernel has one binfmt_misc for all (before "
		               "Linux 6.7): as root, lodge binfmt install");
	if (errno == ENODEV || errno == ENOENT)
		return err_set(e, EOPNOTSUPP, "this kernel has no binfmt_misc");
	return err_sys(e, "mounting binfmt_misc at %s", p->folder);
}

/* Files of binfmt_misc are root's, so the caller is root of a namespace that has it, and itself in
 * one below that: the kernel looks for interpreters in both. */
int lodge_binfmt_enter(const struct lodge_binfmt *b, int as_root, struct lodge_err *e)
{
	const struct host_ids first = {.all = !as_root};
	const struct host_ids self = {.uid = geteuid(), .gid = getegid()};
	struct place p;
	int r = place_fill(&p, b, e);
	if (r == 0)
		r = interp_check(&p, e);
	if (r == 0)
		r = host_userns_enter(CLONE_NEWNS, &first, e);
	if (r == 0)
		r = own_mount(&p, e);
	if (r == 0)
		r = registered_put(&p, e);
	return r < 0 || as_root || !self.uid ? r : host_userns_enter(0, &self, e);
}
