/* SPDX-License-Identifier: Apache-2.0 */
/* The C runtime starts programs: system and _popen by cmd.exe, _spawn. */
#include "win/child.h"
#include "win/crt.h"
#include <fcntl.h>
#include <stdio.h>

enum { P_WAIT = 0, P_OVERLAY = 2, P_DETACH = 4, O_TEXT = 0x4000, O_BINARY = 0x8000 };
WINAPI void *crt__fdopen(int fd, const char *mode);
WINAPI int crt_fclose(void *file);

/* What COMSPEC names, or ours; malloc'ed. */
static char *interpreter(void)
{
	char *own = environment_get("ComSpec");
	return own && *own ? own : (free(own), strdup(path_interpreter));
}

static struct object *command_start(const char *command, const int std[3])
{
	autofree char *program = interpreter(), *line = NULL;
	if (!program || asprintf(&line, "%s /c %s", program, command) < 0)
		return NULL;
	return program_start(program, line, std);
}

API(int, crt_system, const char *command)
{
	static const int same[3] = {-1, -1, -1};
	autofree char *program = interpreter(), *host = program ? path_linux(program) : NULL;
	if (!command)
		return host && access(host, F_OK) == 0;
	struct object *p = command_start(command, same);
	return p ? (int)process_wait(p) : crt_fail_win();
}

API(int, crt__wsystem, const wide *command)
{
	autofree char *c = command ? text_from(command, SIZE_MAX) : NULL;
	return crt_system(c);
}

/* ---- _popen ---- */

struct piped {
	void *file;
	struct object *process;
	struct piped *next;
};
static WIN_STATE struct {
	pthread_mutex_t lock;
	struct piped *all;
} pipes = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void *pipe_stream(int fd, bool reads, bool binary)
{
	handle h = file_handle(fd, reads ? GENERIC_READ : GENERIC_WRITE, NULL, false);
	int crt = h ? fd_of_handle(h, binary ? O_BINARY : O_TEXT) : -1;
	void *file =
	    crt < 0 ? NULL : crt__fdopen(crt, reads ? binary ? "rb" : "r" : binary ? "wb" : "w");
	if (h && crt < 0)
		object_close(h);
	return file;
}

API(void *, crt__popen, const char *command, const char *mode)
{
	int ends[2], std[3] = {-1, -1, -1};
	bool reads = *mode == 'r';
	if (!command || (!reads && *mode != 'w') || pipe2(ends, O_CLOEXEC) < 0) {
		crt_fail(EINVAL);
		return NULL;
	}
	std[reads] = ends[reads];
	struct object *p = command_start(command, std);
	close(ends[reads]);
	struct piped *one = p ? calloc(1, sizeof *one) : NULL;
	if (!one) {
		close(ends[!reads]);
		object_unref(p);
		crt_fail_win();
		return NULL;
	}
	one->process = p;
	one->file = pipe_stream(ends[!reads], reads, strchr(mode, 'b') != NULL);
	void *file = one->file;
	if (!file) {
		object_unref(p);
		free(one);
		return NULL;
	}
	pthread_mutex_lock(&pipes.lock);
	one->next = pipes.all;
	pipes.all = one;
	pthread_mutex_unlock(&pipes.lock);
	return file;
}

API(void *, crt__wpopen, const wide *command, const wide *mode)
{
	autofree char *c = text_from(command, SIZE_MAX), *m = text_from(mode, SIZE_MAX);
	return crt__popen(c, m ? m : "");
}

API(int, crt__pclose, void *file)
{
	struct piped *found = NULL;
	pthread_mutex_lock(&pipes.lock);
	for (struct piped **at = &pipes.all; *at && !found; at = &(*at)->next)
		if ((*at)->file == file) {
			found = *at;
			*at = found->next;
			break;
		}
	pthread_mutex_unlock(&pipes.lock);
	if (!found)
		return crt_fail(EBADF);
	crt_fclose(file);
	int code = (int)process_wait(found->process);
	free(found);
	return code;
}

/* ---- _spawn: arguments are put behind each other, as they are ---- */

static char *line_of(const char *const *args)
{
	char *line = NULL;
	size_t len;
	FILE *f = open_memstream(&line, &len);
	for (size_t i = 0; f && args[i]; i++)
		fprintf(f, "%s%s", i ? " " : "", args[i]);
	if (f)
		fclose(f);
	return line;
}

/* @arg, a name, in @folder ("": as it is), with an extension if it has none; NULL: it is not there.
 */
static void *file_in(const char *folder, void *arg)
{
	const char *name = arg;
	static const char *const ends[] = {"", ".com", ".exe", ".bat", ".cmd"};
	for (size_t i = strrchr(name, '.') ? 0 : 1; i < countof(ends); i++) {
		char *at = NULL;
		if (asprintf(&at, "%s%s%s%s", folder, *folder ? "\\" : "", name, ends[i]) < 0)
			return NULL;
		autofree char *host = path_linux(at);
		if (host && access(host, F_OK) == 0)
			return at;
		free(at);
	}
	return NULL;
}

/* The program's file, along PATH if @search. malloc'ed; NULL: there is none. */
static char *file_of(const char *name, bool search)
{
	autofree char *own = strdup(name);
	char *found = own ? file_in("", own) : NULL;
	search &= own && !strpbrk(name, "\\/:");
	return found || !search ? found : environment_path(file_in, own);
}

static int64_t spawn(int mode, const char *name, const char *const *args, bool search)
{
	static const int same[3] = {-1, -1, -1};
	autofree char *file = file_of(name, search), *line = line_of(args);
	struct object *p = file && line ? program_start(file, line, same) : NULL;
	if (!p)
		return file ? crt_fail_win() : crt_fail(ENOENT);
	if (mode == P_WAIT)
		return (int)process_wait(p);
	if (mode == P_OVERLAY)
		process_exit(process_wait(p));
	if (mode != P_DETACH)
		return (int64_t)object_handle(p, false);
	object_unref(p);
	return 0;
}

API(int64_t, crt__spawnv, int mode, const char *name, const char *const *args)
{
	return spawn(mode, name, args, false);
}
API(int64_t, crt__spawnvp, int mode, const char *name, const char *const *args)
{
	return spawn(mode, name, args, true);
}

enum { ARGS_MAX = 256 };
static int64_t spawn_list(int mode, const char *name, const char *first, __builtin_ms_va_list ap,
			  bool search)
{
	const char *args[ARGS_MAX + 1] = {first};
	size_t n = first != NULL;
	while (n && n < ARGS_MAX && (args[n] = __builtin_va_arg(ap, const char *)))
		n++;
	args[n] = NULL;
	return spawn(mode, name, args, search);
}

API_VARIADIC(int64_t, crt__spawnl, (int mode, const char *name, const char *first, ...), first,
	     spawn_list(mode, name, first, ap, false))

API_VARIADIC(int64_t, crt__spawnlp, (int mode, const char *name, const char *first, ...), first,
	     spawn_list(mode, name, first, ap, true))

static int64_t spawn_wide(int mode, const wide *name, const wide *const *args, bool search)
{
	size_t n = 0;
	while (args[n])
		n++;
	autofree char *file = text_from(name, SIZE_MAX);
	char **narrow = calloc(n + 1, sizeof *narrow);
	for (size_t i = 0; narrow && i < n; i++)
		narrow[i] = text_from(args[i], SIZE_MAX);
	int64_t r = file && narrow
			? spawn(mode, file, (const char *const *)(const void *)narrow, search)
			: crt_fail(ENOMEM);
	for (size_t i = 0; narrow && i < n; i++)
		free(narrow[i]);
	free(narrow);
	return r;
}

API(int64_t, crt__wspawnv, int mode, const wide *name, const wide *const *args)
{
	return spawn_wide(mode, name, args, false);
}
API(int64_t, crt__wspawnvp, int mode, const wide *name, const wide *const *args)
{
	return spawn_wide(mode, name, args, true);
}

API(int64_t, crt__cwait, int *ret_code, int64_t process, int action)
{
	(void)action;
	struct object *p = object_get((handle)process, KIND_PROCESS);
	if (!p)
		return crt_fail(ECHILD);
	int code = (int)process_wait(p);
	object_close((handle)process);
	if (ret_code)
		*ret_code = code;
	return process;
}
