/* SPDX-License-Identifier: Apache-2.0 */
/* CreateProcess: which program the command line means, what it is given, and its start. */
#include "win/child.h"
#include "win/job.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

enum {
	CREATE_SUSPENDED = 4,
	CREATE_UNICODE_ENVIRONMENT = 0x400,
	EXTENDED_STARTUPINFO = 0x80000,
	STARTF_USESTDHANDLES = 0x100,
	ENVIRONMENT_MAX = 1 << 20,
	ERROR_BAD_EXE = 193
};
struct startup_info {
	uint32_t size, pad;
	void *reserved, *desktop, *title;
	uint32_t x, y, width, height, columns, rows, fill, flags;
	uint16_t show, reserved2_len, pad2[2];
	uint8_t *reserved2;
	handle std[3];
};
struct process_information {
	handle process, thread;
	uint32_t pid, tid;
};
struct security {
	uint32_t len, pad;
	void *descriptor;
	uint32_t inherit;
};
/* What CreateProcess was asked for, in UTF-8; owned. */
struct request {
	char *program, *line, *cwd;
	char **env; /* NULL: as the parent has it */
	uint32_t flags;
	bool inherit;
	const struct startup_info *how;
	const int *std; /* descriptors; -1, or NULL: as they are here */
};

/* ---- which program ---- */

static bool is_file(const char *guest, char **ret_host)
{
	struct stat st;
	char *host = path_linux(guest);
	if (host && stat(host, &st) == 0 && S_ISREG(st.st_mode)) {
		*ret_host = host;
		return true;
	}
	free(host);
	return false;
}

static bool has_extension(const char *name)
{
	const char *dot = strrchr(name, '.');
	return dot && !strpbrk(dot, "\\/:");
}

/* @name in @folder (NULL: as it is), with .exe when it has no extension: the guest's path. */
static char *program_in(const char *folder, const char *name, char **ret_host)
{
	char *path = NULL;
	bool slash = folder && *folder && folder[strlen(folder) - 1] != '\\';
	if (asprintf(&path, "%s%s%s%s", folder ? folder : "", slash ? "\\" : "", name,
		     has_extension(name) ? "" : ".exe") < 0)
		return NULL;
	if (is_file(path, ret_host)) {
		char *full = path_full(path);
		free(path);
		return full;
	}
	free(path);
	return NULL;
}

struct wanted {
	const char *name;
	char **ret_host;
};
static void *program_look(const char *folder, void *arg)
{
	const struct wanted *w = arg;
	return program_in(folder, w->name, w->ret_host);
}

/* Its own folder, the current one, the system's, then those of PATH. */
static char *program_search(const char *name, char **ret_host)
{
	if (strpbrk(name, "\\/:"))
		return program_in(NULL, name, ret_host);
	struct wanted w = {name, ret_host};
	autofree char *own = strdup(process()->start->program);
	char *slash = own ? strrchr(own, '\\') : NULL, *found;
	if (slash)
		*slash = 0;
	if ((found = program_in(own, name, ret_host)) ||
	    (found = program_in(path_cwd(), name, ret_host)) ||
	    (found = program_in("C:\\Windows\\System32", name, ret_host)))
		return found;
	return environment_path(program_look, &w);
}

/* The first word of @line: in quotes; or up to a space, if there is such a program, or the next. */
static char *program_of_line(const char *line, char **ret_host)
{
	line += strspn(line, " \t");
	if (*line == '"') {
		autofree char *name = strndup(line + 1, strcspn(line + 1, "\""));
		return name && *name ? program_search(name, ret_host) : NULL;
	}
	for (size_t n = strcspn(line, " \t"); n; n += strcspn(line + n, " \t")) {
		autofree char *name = strndup(line, n);
		char *found = name ? program_search(name, ret_host) : NULL;
		if (found || !line[n])
			return found;
		n += strspn(line + n, " \t");
	}
	return NULL;
}

/* A batch file is for cmd.exe: the line says so. 0 or an error. */
static uint32_t batch_made(struct request *r, char **found, char **host)
{
	char *line = NULL, *interpreter = strdup(path_interpreter);
	const char *quotes = r->line ? "" : "\"", *what = r->line ? r->line : *found;
	if (!interpreter ||
	    asprintf(&line, "%s /c \"%s%s%s\"", interpreter, quotes, what, quotes) < 0) {
		free(interpreter);
		return ERROR_NOT_ENOUGH_MEMORY;
	}
	free(r->line);
	r->line = line;
	free(*found);
	free(*host);
	*found = interpreter;
	*host = path_linux(interpreter);
	return *host ? 0 : ERROR_FILE_NOT_FOUND;
}

/* The file, mapped for good, if it can be run. 0 or an error of Windows. */
static uint32_t program_open(const char *host, struct win_start *s)
{
	struct stat st;
	struct lodge_err e;
	struct pe head;
	autoclose int fd = open(host, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return error_of(errno);
	if (!st.st_size)
		return ERROR_BAD_EXE;
	void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		return ERROR_NOT_ENOUGH_MEMORY;
	s->file = p;
	s->file_len = (uint64_t)st.st_size;
	s->image.fits = s->image.device == st.st_dev && s->image.inode == st.st_ino &&
			s->image.size == s->file_len && s->image.changed_s == st.st_ctim.tv_sec &&
			s->image.changed_ns == st.st_ctim.tv_nsec;
	s->own = own_program_of(s->file, s->file_len);
	if (s->own)
		return 0;
	return pe_read(&head, s->file, s->file_len, &e) < 0 || pe_runnable(&head, &e) < 0
		   ? ERROR_BAD_EXE
		   : 0;
}

/* ---- what it is given ---- */

/* NAME=VALUE 0 ... 0 of the guest; @wide_units: in UTF-16. */
static char **environment_of(const void *block, bool wide_units)
{
	size_t n = 0, cap = 0;
	char **all = NULL;
	for (const uint8_t *p = block; n < ENVIRONMENT_MAX;) {
		const wide *w = (const wide *)(const void *)p;
		const char *s = (const char *)p;
		if (n + 1 >= cap) {
			cap = cap ? 2 * cap : 64;
			char **more = realloc(all, cap * sizeof *all);
			if (!more)
				break;
			all = more;
		}
		all[n] = NULL;
		if (wide_units ? !*w : !*s)
			return all;
		all[n++] = wide_units ? text_from(w, SIZE_MAX) : strdup(s);
		p += wide_units ? 2 * (wide_len(w) + 1) : strlen(s) + 1;
	}
	free(all);
	return NULL;
}

static int std_descriptor(handle h)
{
	struct file *f = h && h != HANDLE_BAD ? object_get(h, KIND_FILE) : NULL;
	int fd = f ? f->fd : -1;
	object_unref(f ? &f->o : NULL);
	return fd;
}

static void startup_take(struct child_start *c, const struct request *r)
{
	bool given = r->how && r->how->flags & STARTF_USESTDHANDLES;
	for (int i = 0; i < 3; i++)
		c->std[i] = r->std && r->std[i] >= 0
				? r->std[i]
				: std_descriptor(given ? r->how->std[i] : std_handle(i));
	if (!r->how)
		return;
	c->child.flags = r->how->flags;
	c->child.show = r->how->show;
	if (r->how->reserved2 && r->how->reserved2_len &&
	    (c->child.reserved2 = malloc(r->how->reserved2_len))) {
		c->child.reserved2_len = r->how->reserved2_len;
		memcpy(c->child.reserved2, r->how->reserved2, r->how->reserved2_len);
	}
}

/* What the attributes leave out is dropped. */
static void handles_give(struct win_child *c, const struct request *r)
{
	const struct start_attributes *list = NULL;
	if (r->how && r->flags & EXTENDED_STARTUPINFO) /* behind it */
		memcpy(&list, r->how + 1, sizeof list);
	c->handles = objects_inherited(&c->nhandles);
	size_t n = 0;
	for (size_t i = 0; i < c->nhandles; i++)
		if (attributes_inherit(list, c->handles[i].h))
			c->handles[n++] = c->handles[i];
		else
			object_unref(c->handles[i].o);
	c->nhandles = n;
}

static void environment_give(struct win_start *s, const struct request *r)
{
	char **env = r->env ? r->env : environment_copy();
	s->env = (const char *const *)(const void *)env;
	for (s->nenv = 0; env && env[s->nenv]; s->nenv++)
		continue;
}

/* 0 or an error; *c is filled, for child_new. */
static uint32_t start_make(struct child_start *c, struct request *r)
{
	struct stat st;
	autofree char *host = NULL;
	char *found = r->program && is_file(r->program, &host) ? path_full(r->program)
		      : r->program                             ? NULL
		      : r->line                                ? program_of_line(r->line, &host)
							       : NULL;
	if (!found)
		return ERROR_FILE_NOT_FOUND;
	uint32_t bad = win_is_batch(found) ? batch_made(r, &found, &host) : 0;
	c->start = *process()->start;
	c->start.program = found;
	if (!bad)
		bad = program_open(host, &c->start);
	if (bad)
		return bad;
	char *cwd = path_full(r->cwd ? r->cwd : path_cwd());
	autofree char *folder = cwd ? path_linux(cwd) : NULL;
	c->start.cwd = cwd;
	if (!folder || stat(folder, &st) < 0 || !S_ISDIR(st.st_mode))
		return ERROR_DIRECTORY;
	c->child.command_line = r->line ? r->line : found;
	environment_give(&c->start, r);
	startup_take(c, r);
	if (r->inherit)
		handles_give(&c->child, r);
	return 0;
}

/* The parent's copies, which the child has as well. */
static void start_drop(struct child_start *c, struct request *r)
{
	for (size_t i = 0; i < c->child.nhandles; i++)
		object_unref(c->child.handles[i].o);
	free(c->child.handles);
	free(c->child.reserved2);
	if (c->start.file && c->start.file != process()->start->file)
		munmap((void *)(uintptr_t)c->start.file, c->start.file_len);
	for (size_t i = 0; i < c->start.nenv && c->start.env != process()->start->env; i++)
		free((char *)(uintptr_t)c->start.env[i]);
	if (c->start.env != process()->start->env)
		free((void *)(uintptr_t)c->start.env);
	if (c->start.program != process()->start->program)
		free((char *)(uintptr_t)c->start.program);
	if (c->start.cwd != process()->start->cwd)
		free((char *)(uintptr_t)c->start.cwd);
	free(r->program);
	free(r->line);
	free(r->cwd);
}

/* 0 or an error. */
static uint32_t start_run(struct child_start *c, uint32_t flags, struct object **p,
			  struct object **t)
{
	uint32_t job = 0, bad = jobs_begin() ? job_enter(flags, &job) : ERROR_NOT_ENOUGH_MEMORY;
	c->child.jobs = jobs_shared();
	int r = bad ? 0 : child_new(c, flags & CREATE_SUSPENDED, job, p, t);
	if (r == 0)
		return bad;
	job_leave(job);
	return r == -EDQUOT ? ERROR_NOT_ENOUGH_QUOTA : ERROR_NO_SYSTEM_RESOURCES;
}

struct object *program_start(const char *program, const char *line, const int std[3])
{
	struct child_start c = {.std = {-1, -1, -1}};
	struct object *p = NULL, *t = NULL;
	struct request r = {
	    .program = strdup(program), .line = strdup(line), .inherit = true, .std = std};
	uint32_t bad = start_make(&c, &r);
	if (!bad)
		bad = start_run(&c, 0, &p, &t);
	start_drop(&c, &r);
	if (bad)
		last_error_set(bad);
	else
		object_unref(t);
	return p;
}

struct object *own_start(void (*own)(void *arg), void *arg, const int std[3])
{
	struct child_start c = {.start = *process()->start};
	struct object *p = NULL, *t = NULL;
	struct request r = {.std = std};
	c.start.own = own;
	c.start.own_arg = arg;
	c.start.cwd = strdup(path_cwd());
	c.child.command_line = process()->command_line8;
	environment_give(&c.start, &r);
	startup_take(&c, &r);
	uint32_t bad = start_run(&c, 0, &p, &t);
	start_drop(&c, &r);
	if (bad)
		last_error_set(bad);
	else
		object_unref(t);
	return p;
}

static uint32_t spawn(struct request *r, const struct security *ps, const struct security *ts,
		      struct process_information *ret)
{
	struct child_start c = {.std = {-1, -1, -1}};
	struct object *p = NULL, *t = NULL;
	uint32_t bad = start_make(&c, r);
	if (!bad)
		bad = start_run(&c, r->flags, &p, &t);
	start_drop(&c, r);
	if (bad)
		return fail(bad);
	ret->process = object_handle(p, ps && ps->inherit);
	ret->thread = object_handle(t, ts && ts->inherit);
	if (!ret->process || !ret->thread)
		return 0;
	extern WINAPI uint32_t k32_GetProcessId(handle);
	ret->pid = ret->tid = k32_GetProcessId(ret->process);
	return 1;
}

/* ---- functions ---- */

API(uint32_t, k32_CreateProcessW, const wide *program, wide *line, const struct security *ps,
    const struct security *ts, uint32_t inherit, uint32_t flags, const void *env, const wide *cwd,
    const struct startup_info *how, struct process_information *ret)
{
	struct request r = {
	    .program = program ? text_from(program, SIZE_MAX) : NULL,
	    .line = line ? text_from(line, SIZE_MAX) : NULL,
	    .cwd = cwd ? text_from(cwd, SIZE_MAX) : NULL,
	    .env = env ? environment_of(env, flags & CREATE_UNICODE_ENVIRONMENT) : NULL,
	    .flags = flags,
	    .inherit = inherit != 0,
	    .how = how,
	};
	return spawn(&r, ps, ts, ret);
}

API(uint32_t, k32_CreateProcessA, const char *program, char *line, const struct security *ps,
    const struct security *ts, uint32_t inherit, uint32_t flags, const void *env, const char *cwd,
    const struct startup_info *how, struct process_information *ret)
{
	struct request r = {
	    .program = program ? strdup(program) : NULL,
	    .line = line ? strdup(line) : NULL,
	    .cwd = cwd ? strdup(cwd) : NULL,
	    .env = env ? environment_of(env, flags & CREATE_UNICODE_ENVIRONMENT) : NULL,
	    .flags = flags,
	    .inherit = inherit != 0,
	    .how = how,
	};
	return spawn(&r, ps, ts, ret);
}
