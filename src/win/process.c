/* SPDX-License-Identifier: Apache-2.0 */
/* The process: PEB, parameters, the page that all processes share, its beginning and end. */
#include "win/job.h"
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>

static WIN_STATE struct process the;
struct process *process(void) { return &the; }

/* ---- ends ---- */

/* A shell sees 8 bits: what is not 0 must not become 0. */
_Noreturn void process_end(uint32_t code)
{
	process_tell(code);
	console_leave();
	_exit(code && !(code & 0xff) ? 255 : (int)(code & 0xff));
}

void process_tell(uint32_t code)
{
	struct family *f = the.start && the.start->child ? the.start->child->family : NULL;
	if (!f || atomic_exchange(&f->told, 1))
		return;
	atomic_store(&f->exit_code, code);
}

_Noreturn void process_exit(uint32_t code)
{
	if (atomic_exchange(&the.exiting, 1) == 0) {
		fls_end(thread_self()->fls);
		modules_tell(TELL_PROCESS_DETACH);
		crt_flush();
	}
	process_end(code);
}

_Noreturn void process_die(int exit_code, const char *fmt, ...)
{
	char buf[600];
	va_list ap;
	const char *name = the.start ? the.start->program : "";
	const char *slash = strrchr(name, '\\');
	int n = snprintf(buf, sizeof buf, "lodge: %.100s: ", slash ? slash + 1 : name);
	va_start(ap, fmt);
	n += vsnprintf(buf + n, sizeof buf - (size_t)n - 1, fmt, ap);
	va_end(ap);
	n = n > (int)sizeof buf - 2 ? (int)sizeof buf - 2 : n;
	buf[n++] = '\n';
	if (the.exiting == 0)
		crt_flush();
	(void)!write(2, buf, (size_t)n);
	process_tell((uint32_t)exit_code);
	console_leave();
	_exit(exit_code);
}

/* ---- the command line: as CommandLineToArgvW takes it apart ---- */

static void argument_add(FILE *f, const char *a)
{
	if (*a && !strpbrk(a, " \t\n\v\"")) {
		fputs(a, f);
		return;
	}
	fputc('"', f);
	for (;; a++) {
		size_t slashes = strspn(a, "\\");
		a += slashes;
		size_t n = !*a ? 2 * slashes : *a == '"' ? 2 * slashes + 1 : slashes;
		while (n--)
			fputc('\\', f);
		if (!*a)
			break;
		fputc(*a, f);
	}
	fputc('"', f);
}

static int command_line_make(struct lodge_err *e)
{
	size_t len;
	const struct win_child *child = the.start->child;
	if (child && (the.command_line = text_wide(child->command_line, SIZE_MAX)) &&
	    (the.command_line8 = strdup(child->command_line)))
		return 0;
	FILE *f = open_memstream(&the.command_line8, &len);
	if (!f)
		return err_sys(e, "the command line");
	if (the.start->batch)
		fprintf(f, "%s /d /s /c \"", path_interpreter);
	argument_add(f, the.start->program);
	for (size_t i = 0; i < the.start->argc; i++) {
		fputc(' ', f);
		argument_add(f, the.start->argv[i]);
	}
	if (the.start->batch)
		fputc('"', f);
	if (fclose(f) != 0 || !(the.command_line = text_wide(the.command_line8, SIZE_MAX)))
		return err_set(e, ENOMEM, "out of memory");
	return 0;
}

/* ---- PEB ---- */

static void unicode_at(uint8_t *at, wide *text)
{
	size_t n = text ? wide_len(text) : 0;
	le16_put(at, (uint16_t)(2 * n));
	le16_put(at + 2, (uint16_t)(2 * n + 2));
	le64_put(at + 8, (uint64_t)(uintptr_t)text);
}

enum { PARAMETERS_FOLDER = 0x38, PARAMETERS_FOLDER_HANDLE = 0x48 };

void process_folder_note(void)
{
	static WIN_STATE pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	uint8_t *p = the.peb + PEB_SIZE;
	if (!le32_at(p))
		return; /* not filled yet */
	pthread_mutex_lock(&lock);
	handle before = le64_at(p + PARAMETERS_FOLDER_HANDLE), h = HANDLE_BAD;
	autofree char *cwd = path_full("."), *folder = NULL;
	if (cwd && asprintf(&folder, "%s%s", cwd,
			    cwd[strlen(cwd) - 1] == '\\' ? "" : "\\") >= 0)
		/* names are looked up from it by those that call ntdll themselves */
		h = io_open(folder, GENERIC_READ, 7, OPEN_EXISTING, FILE_FLAG_BACKUP_SEMANTICS,
			    false);
	wide *text = folder ? text_wide(folder, SIZE_MAX) : NULL;
	if (text)
		unicode_at(p + PARAMETERS_FOLDER, text); /* the text before may be read by now */
	le64_put(p + PARAMETERS_FOLDER_HANDLE, h == HANDLE_BAD ? 0 : h);
	pthread_mutex_unlock(&lock);
	if (before)
		object_close(before);
}

static void parameters_fill(uint8_t *p)
{
	le32_put(p, 0x1000);
	le32_put(p + 4, 0x1000);
	le32_put(p + 8, 1); /* normalized */
	for (int fd = 0; fd < 3; fd++)
		le64_put(p + 0x20 + 8 * fd, std_handle(fd));
	process_folder_note();
	unicode_at(p + 0x60, text_wide(the.start->program, SIZE_MAX));
	unicode_at(p + 0x70, the.command_line);
}

static void peb_fill(uint8_t *peb)
{
	cpu_set_t cpus;
	CPU_ZERO(&cpus);
	sched_getaffinity(0, sizeof cpus, &cpus);
	le64_put(peb + 8, UINT64_MAX);
	le32_put(peb + PEB_CPUS, (uint32_t)CPU_COUNT(&cpus));
	le32_put(peb + PEB_VERSION, VERSION_MAJOR);
	le32_put(peb + PEB_VERSION + 4, VERSION_MINOR);
	le16_put(peb + PEB_VERSION + 8, VERSION_BUILD);
	le32_put(peb + PEB_VERSION + 12, 2); /* VER_PLATFORM_WIN32_NT */
	le32_put(peb + PEB_SUBSYSTEM, PE_CONSOLE);
	le32_put(peb + PEB_SUBSYSTEM + 4, VERSION_MAJOR);
	le64_put(peb + PEB_HEAP, UINT64_C(0x10000)); /* GetProcessHeap */
	le64_put(peb + PEB_PARAMETERS, (uint64_t)(uintptr_t)peb + PEB_SIZE);
	parameters_fill(peb + PEB_SIZE);
}

/* ---- running ---- */

static void guest_main(void *unused)
{
	(void)unused;
	struct module *m = the.main;
	modules_tell(TELL_PROCESS_ATTACH);
	uint64_t entry = (uint64_t)(uintptr_t)m->im.at + m->pe.entry;
	thread_exit(guest_call4(entry, (uint64_t)(uintptr_t)the.peb, 0, 0, 0));
}

int win_run(const struct win_start *s, struct lodge_err *e)
{
	sigset_t none;
	the.start = s;
	the.pid = (uint32_t)getpid();
	the.qpc_start_ns = host_monotonic_ns();
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_IGN);
	int r = thread_first(e);
	if (r == 0)
		r = exceptions_begin(e);
	if (r == 0)
		r = command_line_make(e);
	if (r < 0)
		return r;
	for (size_t i = 0; s->child && i < s->child->nhandles; i++)
		object_put(&s->child->handles[i]);
	console_begin();
	environment_begin();
	uint32_t bad = path_cwd_set(s->cwd);
	if (bad)
		return err_set(e, ENOENT, "%s is no folder that the guest has", s->cwd);
	peb_fill(the.peb);
	crt_begin();
	clock_page_begin();
	job_limits_apply();
	if (s->ready && s->batch)
		s->ready();
	if (s->own || s->batch)
		(s->own ? s->own : cmd_main)(s->own_arg);
	r = module_main(&the.main, e);
	if (r < 0 && r != -ENOENT && e)
		e->code = ENOEXEC;
	if (r < 0)
		return r;
	le64_put(the.peb + PEB_IMAGE, (uint64_t)(uintptr_t)the.main->im.at);
	if (s->ready)
		s->ready();
	return thread_main_run(guest_main, e);
}

API(void, k32_ExitProcess, uint32_t code) { process_exit(code); }
API(uint32_t, k32_GetCurrentProcessId, void) { return the.pid; }
API(handle, k32_GetCurrentProcess, void) { return UINT64_MAX; }
API(const char *, k32_GetCommandLineA, void) { return the.command_line8; }
API(const wide *, k32_GetCommandLineW, void) { return the.command_line; }
API(void *, nt_RtlGetCurrentPeb, void) { return the.peb; }

API(void, k32_FatalAppExitA, uint32_t action, const char *text)
{
	(void)action;
	process_die(3, "%s", text);
}

API(uint32_t, k32_IsDebuggerPresent, void) { return 0; }
API(void, k32_DebugBreak, void) { __builtin_trap(); }

API(void, k32_OutputDebugStringA, const char *s) { (void)s; }
API(void, k32_OutputDebugStringW, const wide *s) { (void)s; }
API(uint32_t, k32_SetProcessPriorityBoost, handle h, uint32_t off)
{
	(void)h;
	(void)off;
	return 1;
}
