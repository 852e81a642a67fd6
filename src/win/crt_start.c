/* SPDX-License-Identifier: Apache-2.0 */
/* How programs of the C runtime begin and end: arguments, environment, atexit, errno, threads. */
#include "win/crt.h"
#include <signal.h>
#include <stdio.h>

/* What msvcrt exports as variables. */
WIN_STATE int crt___argc;
WIN_STATE char **crt___argv, **crt__environ, **crt___initenv;
WIN_STATE wide **crt___wargv, **crt__wenviron, **crt___winitenv;
WIN_STATE char *crt__acmdln;
WIN_STATE wide *crt__wcmdln;
WIN_STATE int crt__commode;
int crt___mb_cur_max = 4;
uint32_t crt__osver = VERSION_BUILD, crt__winmajor = VERSION_MAJOR, crt__winminor = VERSION_MINOR;
WIN_STATE char *crt__pgmptr;

enum { ONEXIT_MAX = 4096, EXIT_ABORT = 3 };
static WIN_STATE struct {
	pthread_mutex_t lock;
	uint64_t fns[ONEXIT_MAX];
	size_t n;
} onexit_table = {.lock = PTHREAD_MUTEX_INITIALIZER};

struct crt_thread *crt_self(void)
{
	struct thread *t = thread_self();
	if (!t->crt && !(t->crt = calloc(1, sizeof(struct crt_thread))))
		process_die(LODGE_EXIT_LODGE, "no memory for the guest");
	return t->crt;
}

void crt_thread_end(struct thread *t)
{
	free(t->crt);
	t->crt = NULL;
}

/* ---- errno: the same numbers up to 34, and then others ---- */

static const struct {
	int host, guest;
	const char *text;
} errnos[] = {
    {0, 0, "No error"},
    {EPERM, 1, "Operation not permitted"},
    {ENOENT, 2, "No such file or directory"},
    {ESRCH, 3, "No such process"},
    {EINTR, 4, "Interrupted function call"},
    {EIO, 5, "Input/output error"},
    {ENXIO, 6, "No such device or address"},
    {E2BIG, 7, "Arg list too long"},
    {ENOEXEC, 8, "Exec format error"},
    {EBADF, 9, "Bad file descriptor"},
    {ECHILD, 10, "No child processes"},
    {EAGAIN, 11, "Resource temporarily unavailable"},
    {ENOMEM, 12, "Not enough space"},
    {EACCES, 13, "Permission denied"},
    {EFAULT, 14, "Bad address"},
    {EBUSY, 16, "Resource device"},
    {EEXIST, 17, "File exists"},
    {EXDEV, 18, "Improper link"},
    {ENODEV, 19, "No such device"},
    {ENOTDIR, 20, "Not a directory"},
    {EISDIR, 21, "Is a directory"},
    {EINVAL, 22, "Invalid argument"},
    {ENFILE, 23, "Too many open files in system"},
    {EMFILE, 24, "Too many open files"},
    {ENOTTY, 25, "Inappropriate I/O control operation"},
    {EFBIG, 27, "File too large"},
    {ENOSPC, 28, "No space left on device"},
    {ESPIPE, 29, "Invalid seek"},
    {EROFS, 30, "Read-only file system"},
    {EMLINK, 31, "Too many links"},
    {EPIPE, 32, "Broken pipe"},
    {EDOM, 33, "Domain error"},
    {ERANGE, 34, "Result too large"},
    {EDEADLK, 36, "Resource deadlock avoided"},
    {ENAMETOOLONG, 38, "Filename too long"},
    {ENOLCK, 39, "No locks available"},
    {ENOSYS, 40, "Function not implemented"},
    {ENOTEMPTY, 41, "Directory not empty"},
    {EILSEQ, 42, "Illegal byte sequence"},
};

int crt_errno_of(int err)
{
	for (size_t i = 0; i < countof(errnos); i++)
		if (errnos[i].host == err)
			return errnos[i].guest;
	return 22;
}

const char *crt_error_text(int err)
{
	for (size_t i = 0; i < countof(errnos); i++)
		if (errnos[i].guest == err)
			return errnos[i].text;
	return "Unknown error";
}

int crt_fail(int err)
{
	crt_self()->err = crt_errno_of(err);
	return -1;
}

int crt_fail_win(void)
{
	static const struct {
		uint32_t win;
		int err;
	} rows[] = {{ERROR_FILE_NOT_FOUND, ENOENT},    {ERROR_PATH_NOT_FOUND, ENOENT},
		    {ERROR_ACCESS_DENIED, EACCES},     {ERROR_SHARING_VIOLATION, EACCES},
		    {ERROR_LOCK_VIOLATION, EACCES},    {ERROR_INVALID_HANDLE, EBADF},
		    {ERROR_FILE_EXISTS, EEXIST},       {ERROR_ALREADY_EXISTS, EEXIST},
		    {ERROR_NOT_ENOUGH_MEMORY, ENOMEM}, {ERROR_DISK_FULL, ENOSPC},
		    {ERROR_DIR_NOT_EMPTY, ENOTEMPTY},  {ERROR_TOO_MANY_OPEN_FILES, EMFILE},
		    {ERROR_DIRECTORY, ENOTDIR},        {ERROR_NOT_SAME_DEVICE, EXDEV},
		    {ERROR_NO_MORE_FILES, ENOENT},     {ERROR_INVALID_NAME, ENOENT},
		    {ERROR_BROKEN_PIPE, EPIPE},        {ERROR_NO_DATA, EPIPE}};
	uint32_t code = last_error();
	crt_self()->dos_err = code;
	for (size_t i = 0; i < countof(rows); i++)
		if (rows[i].win == code)
			return crt_fail(rows[i].err);
	return crt_fail(EINVAL);
}

API(int *, crt__errno, void) { return &crt_self()->err; }
API(uint32_t *, crt___doserrno, void) { return &crt_self()->dos_err; }
API(int, crt__set_errno, int v) { return crt_self()->err = v, 0; }
API(int, crt__get_errno, int *v) { return *v = crt_self()->err, 0; }
API(const char *, crt_strerror, int err) { return crt_error_text(err); }
API(int, crt_strerror_s, char *buf, size_t n, int err)
{
	snprintf(buf, n, "%s", crt_error_text(err));
	return 0;
}

/* ---- beginning ---- */

static void *must(void *p)
{
	if (!p)
		process_die(LODGE_EXIT_LODGE, "no memory for the guest");
	return p;
}

static void environment_make(void)
{
	char **all = must(environment_copy());
	size_t n = 0, k = 0;
	while (all[n])
		n++;
	crt__environ = must(heap_alloc((n + 1) * sizeof(char *), true));
	crt__wenviron = must(heap_alloc((n + 1) * sizeof(wide *), true));
	for (size_t i = 0; i < n; i++) {
		if (all[i][0] != '=') {
			crt__environ[k] = all[i];
			crt__wenviron[k++] = must(text_wide(all[i], SIZE_MAX));
		}
	}
	free(all);
	crt___initenv = crt__environ;
	crt___winitenv = crt__wenviron;
}

void crt_begin(void)
{
	const struct win_start *s = process()->start;
	crt__acmdln = process()->command_line8;
	crt__wcmdln = process()->command_line;
	int32_t n = 0;
	wide **split = s->child ? must(arguments_split(crt__wcmdln, &n)) : NULL;
	size_t argc = split ? (size_t)n : s->argc + 1;
	crt___argc = (int)argc;
	crt___argv = must(heap_alloc((argc + 1) * sizeof(char *), true));
	crt___wargv = must(heap_alloc((argc + 1) * sizeof(wide *), true));
	for (size_t i = 0; i < argc; i++) {
		const char *a = split ? NULL : i ? s->argv[i - 1] : s->program;
		crt___argv[i] = must(split ? text_from(split[i], SIZE_MAX) : strdup(a));
		crt___wargv[i] = split ? split[i] : must(text_wide(a, SIZE_MAX));
	}
	crt__pgmptr = crt___argv[0];
	environment_make();
}

struct new_mode {
	int mode;
};
API(int, crt___getmainargs, int *argc, char ***argv, char ***env, int glob,
    const struct new_mode *n)
{
	(void)glob; /* DEVIATES: * in arguments stays, as the shell gave it */
	(void)n;
	*argc = crt___argc;
	*argv = crt___argv;
	*env = crt__environ;
	return 0;
}
API(int, crt___wgetmainargs, int *argc, wide ***argv, wide ***env, int glob,
    const struct new_mode *n)
{
	(void)glob;
	(void)n;
	*argc = crt___argc;
	*argv = crt___wargv;
	*env = crt__wenviron;
	return 0;
}
API(int *, crt___p___argc, void) { return &crt___argc; }
API(char ***, crt___p___argv, void) { return &crt___argv; }
API(wide ***, crt___p___wargv, void) { return &crt___wargv; }
API(char ***, crt___p__environ, void) { return &crt__environ; }
API(wide ***, crt___p__wenviron, void) { return &crt__wenviron; }
API(char **, crt___p__acmdln, void) { return &crt__acmdln; }
API(wide **, crt___p__wcmdln, void) { return &crt__wcmdln; }
API(int *, crt___p__commode, void) { return &crt__commode; }
API(uint32_t *, crt___p__fmode, void) { return &crt_fmode; }
API(int, crt__set_fmode, uint32_t m) { return crt_fmode = m, 0; }
API(int, crt__get_fmode, uint32_t *m) { return *m = crt_fmode, 0; }
API(char **, crt__get_initial_narrow_environment, void) { return crt__environ; }
API(wide **, crt__get_initial_wide_environment, void) { return crt__wenviron; }
API(int, crt__configure_narrow_argv, int mode) { return (void)mode, 0; }
API(int, crt__configure_wide_argv, int mode) { return (void)mode, 0; }
API(int, crt__initialize_narrow_environment, void) { return 0; }
API(int, crt__initialize_wide_environment, void) { return 0; }
API(char *, crt__get_narrow_winmain_command_line, void) { return crt__acmdln; }
API(void, crt___set_app_type, int type) { (void)type; }
API(void, crt__set_app_type, int type) { (void)type; }
API(int, crt__set_new_mode, int mode) { return (void)mode, 0; }
API(uint64_t, crt__set_invalid_parameter_handler, uint64_t fn) { return (void)fn, 0; }
API(uint64_t, crt__set_new_handler, uint64_t fn) { return (void)fn, 0; }
API(int, crt__callnewh, size_t n) { return (void)n, 0; }
API(int, crt__configthreadlocale, int how) { return (void)how, 2; }
API(void, crt___setusermatherr, uint64_t fn) { (void)fn; }
API(void, crt__invalid_parameter_noinfo, void) { process_end(STATUS_STACK_BUFFER_OVERRUN); }
API(int, crt___lconv_init, void) { return 0; }

typedef WINAPI void init_fn(void);
typedef WINAPI int init_fn_e(void);
API(void, crt__initterm, init_fn **from, init_fn **to)
{
	for (; from < to; from++)
		if (*from)
			(*from)();
}
API(int, crt__initterm_e, init_fn_e **from, init_fn_e **to)
{
	int r = 0;
	for (; from < to && r == 0; from++)
		if (*from)
			r = (*from)();
	return r;
}

/* ---- the end ---- */

static bool onexit_add(uint64_t fn)
{
	pthread_mutex_lock(&onexit_table.lock);
	bool fits = onexit_table.n < ONEXIT_MAX;
	if (fits)
		onexit_table.fns[onexit_table.n++] = fn;
	pthread_mutex_unlock(&onexit_table.lock);
	return fits;
}

static void onexit_run(void)
{
	for (;;) {
		pthread_mutex_lock(&onexit_table.lock);
		uint64_t fn = onexit_table.n ? onexit_table.fns[--onexit_table.n] : 0;
		pthread_mutex_unlock(&onexit_table.lock);
		if (!fn)
			return;
		guest_call4(fn, 0, 0, 0, 0);
	}
}

API(uint64_t, crt__onexit, uint64_t fn) { return onexit_add(fn) ? fn : 0; }
API(int, crt_atexit, uint64_t fn) { return onexit_add(fn) ? 0 : -1; }
API(int, crt__crt_atexit, uint64_t fn) { return onexit_add(fn) ? 0 : -1; }
API(int, crt__crt_at_quick_exit, uint64_t fn) { return (void)fn, 0; }
API(int, crt__register_thread_local_exe_atexit_callback, uint64_t fn) { return (void)fn, 0; }

/* Tables of a library's own: first, last, end. */
struct onexit {
	uint64_t *first, *last, *end;
};
API(int, crt__initialize_onexit_table, struct onexit *t)
{
	return *t = (struct onexit){NULL, NULL, NULL}, 0;
}
API(int, crt__register_onexit_function, struct onexit *t, uint64_t fn)
{
	if (t->last == t->end) {
		size_t n = (size_t)(t->last - t->first), cap = n ? 2 * n : 32;
		uint64_t *p = heap_realloc(t->first, cap * sizeof *p, false);
		if (!p)
			return -1;
		*t = (struct onexit){p, p + n, p + cap};
	}
	*t->last++ = fn;
	return 0;
}
API(int, crt__execute_onexit_table, struct onexit *t)
{
	while (t->last != t->first) {
		uint64_t fn = *--t->last;
		if (fn)
			guest_call4(fn, 0, 0, 0, 0);
	}
	heap_free(t->first);
	*t = (struct onexit){NULL, NULL, NULL};
	return 0;
}
API(uint64_t, crt___dllonexit, uint64_t fn, uint64_t **first, uint64_t **end)
{
	struct onexit t = {*first, *end, *end};
	if (crt__register_onexit_function(&t, fn) < 0)
		return 0;
	*first = t.first;
	*end = t.last;
	return fn;
}

API(void, crt_exit, int code)
{
	onexit_run();
	crt_flush();
	process_exit((uint32_t)code);
}
API(void, crt__exit, int code) { process_exit((uint32_t)code); }
API(void, crt__Exit, int code) { process_exit((uint32_t)code); }
API(void, crt_quick_exit, int code) { process_exit((uint32_t)code); }
API(void, crt__cexit, void)
{
	onexit_run();
	crt_flush();
}
API(void, crt__c_exit, void) {}
API(void, crt__amsg_exit, int code) { process_die(255, "runtime error %d", code); }
API(void, crt__purecall, void)
{
	process_die(LODGE_EXIT_SIGNAL + SIGABRT, "a pure virtual function was called");
}
API(void, crt__assert, const char *what, const char *file, unsigned line)
{
	process_die(EXIT_ABORT, "Assertion failed: %s, file %s, line %u", what, file, line);
}
API(void, crt__wassert, const wide *what, const wide *file, unsigned line)
{
	autofree char *w = text_from(what, SIZE_MAX), *f = text_from(file, SIZE_MAX);
	process_die(EXIT_ABORT, "Assertion failed: %s, file %s, line %u", w, f, line);
}

/* ---- signals: those that a program sends itself, and Ctrl-C ---- */

enum { SIGNALS = 23, SIG_ABORT = 22, SIG_DEFAULT = 0, SIG_IGNORE = 1 };
static WIN_STATE _Atomic(uint64_t) signal_handlers[SIGNALS + 1];

API(uint64_t, crt_signal, int sig, uint64_t fn)
{
	if (sig < 1 || sig > SIGNALS) {
		crt_fail(EINVAL);
		return UINT64_MAX;
	}
	return atomic_exchange(&signal_handlers[sig], fn);
}

API(int, crt_raise, int sig)
{
	if (sig < 1 || sig > SIGNALS)
		return crt_fail(EINVAL);
	uint64_t fn = sig == SIG_ABORT ? (uint64_t)signal_handlers[sig]
				       : atomic_exchange(&signal_handlers[sig], SIG_DEFAULT);
	if (fn > SIG_IGNORE)
		guest_call4(fn, (uint64_t)sig, 0, 0, 0);
	else if (fn == SIG_DEFAULT)
		process_exit(EXIT_ABORT);
	return 0;
}

API(void, crt_abort, void)
{
	uint64_t fn = signal_handlers[SIG_ABORT];
	if (fn > SIG_IGNORE)
		guest_call4(fn, SIG_ABORT, 0, 0, 0);
	crt_flush();
	process_end(EXIT_ABORT);
}
API(int, crt__set_abort_behavior, unsigned flags, unsigned mask)
{
	return (void)flags, (void)mask, 0;
}
API(int, crt__set_error_mode, int mode) { return (void)mode, 0; }
API(int, crt__XcptFilter, uint32_t code, void *p) { return (void)code, (void)p, 0; }
API(int, crt__seh_filter_exe, uint32_t code, void *p) { return (void)code, (void)p, 0; }
API(int, crt__seh_filter_dll, uint32_t code, void *p) { return (void)code, (void)p, 0; }

/* ---- threads ---- */

struct start {
	uint64_t fn, argument;
	bool plain; /* _beginthread: closes its handle */
};
API(uint32_t, crt_thread_start, struct start *given)
{
	struct start s = *given;
	free(given);
	uint32_t r = guest_call4(s.fn, s.argument, 0, 0, 0);
	return s.plain ? 0 : r;
}

API(uint64_t, crt__beginthreadex, void *sec, unsigned stack, uint64_t fn, uint64_t arg,
    unsigned flags, uint32_t *ret_tid)
{
	struct start *s = malloc(sizeof *s);
	uint32_t tid;
	if (!s)
		return 0;
	*s = (struct start){fn, arg, false};
	(void)sec;
	handle h = thread_make(stack, (uint64_t)(uintptr_t)crt_thread_start, (uint64_t)(uintptr_t)s,
			       flags, ret_tid ? ret_tid : &tid);
	if (!h)
		crt_fail_win();
	return h;
}
API(uint64_t, crt__beginthread, uint64_t fn, unsigned stack, uint64_t arg)
{
	struct start *s = malloc(sizeof *s);
	uint32_t tid;
	if (!s)
		return UINT64_MAX;
	*s = (struct start){fn, arg, true};
	handle h = thread_make(stack, (uint64_t)(uintptr_t)crt_thread_start, (uint64_t)(uintptr_t)s,
			       0, &tid);
	return h ? h : (uint64_t)crt_fail_win();
}
API(void, crt__endthreadex, unsigned code) { thread_exit(code); }
API(void, crt__endthread, void) { thread_exit(0); }

/* The runtime's numbered locks. */
static WIN_STATE pthread_mutex_t numbered[64];
static WIN_STATE pthread_once_t numbered_once = PTHREAD_ONCE_INIT;
static void numbered_begin(void)
{
	pthread_mutexattr_t a;
	pthread_mutexattr_init(&a);
	pthread_mutexattr_settype(&a, PTHREAD_MUTEX_RECURSIVE);
	for (size_t i = 0; i < countof(numbered); i++)
		pthread_mutex_init(&numbered[i], &a);
}
API(void, crt__lock, int i)
{
	pthread_once(&numbered_once, numbered_begin);
	pthread_mutex_lock(&numbered[i & 63]);
}
API(void, crt__unlock, int i)
{
	pthread_once(&numbered_once, numbered_begin);
	pthread_mutex_unlock(&numbered[i & 63]);
}

/* ---- environment ---- */

API(char *, crt_getenv, const char *name)
{
	size_t n = strlen(name);
	for (char **e = crt__environ; *e; e++)
		if (!strncasecmp(*e, name, n) && (*e)[n] == '=')
			return *e + n + 1;
	return NULL;
}
API(wide *, crt__wgetenv, const wide *name)
{
	size_t n = wide_len(name);
	for (wide **e = crt__wenviron; *e; e++)
		if (!wide_compare_i(*e, name, n) && (*e)[n] == '=')
			return *e + n + 1;
	return NULL;
}

/* Old texts stay: the program may have pointers to them. */
API(int, crt__putenv, const char *pair)
{
	const char *eq = strchr(pair, '=');
	autofree char *name = eq ? strndup(pair, (size_t)(eq - pair)) : NULL;
	if (!name || !environment_set(name, eq[1] ? eq + 1 : NULL))
		return crt_fail(EINVAL);
	environment_make();
	return 0;
}
API(int, crt__putenv_s, const char *name, const char *value)
{
	if (!environment_set(name, *value ? value : NULL))
		return 22;
	environment_make();
	return 0;
}
API(int, crt__wputenv, const wide *pair)
{
	autofree char *p = text_from(pair, SIZE_MAX);
	return p ? crt__putenv(p) : -1;
}
API(int, crt__getpid, void) { return (int)process()->pid; }
