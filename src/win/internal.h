/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the room win share. Numbers of Windows are in codes.h. */
#pragma once
#include "pe/pe.h"
#include "win/codes.h"
#include "win/win.h"
#include <pthread.h>
#include <stdatomic.h>

/* A function that the guest calls: declared, so that tables of other files may name it, and begun.
 */
#define WINAPI __attribute__((ms_abi))
#define API(ret, name, ...)                                                                        \
	WINAPI ret name(__VA_ARGS__);                                                              \
	WINAPI ret name(__VA_ARGS__)

/* What changes in the room, all of it zero at first: a process of the guest's that is forked begins
 * with it as if nothing had been. */
#define WIN_STATE __attribute__((section("win_state")))

enum { PAGE = 4096, GRANULE = 65536 };
typedef uint16_t wide; /* a unit of UTF-16 */
typedef uint64_t handle;
#define HANDLE_BAD UINT64_MAX

/* ---- the process (process.c) ---- */
struct module;
struct object;
struct thread;
struct process {
	const struct win_start *start;
	uint8_t *peb; /* guest memory */
	struct module *main;
	_Atomic(uint32_t) exiting;
	uint32_t pid;
	uint64_t qpc_start_ns;
	wide *command_line; /* guest memory */
	char *command_line8;
	_Atomic(uint32_t) error_mode;
};
/* What a parent and its child share, in memory of both (child.c). */
struct family {
	_Atomic(uint32_t) told, exit_code; /* all 32 bits of it, once told */
	_Atomic(uint32_t) ready, may_run;  /* futexes: it would be killed; it may begin */
	_Atomic(uint32_t) job;             /* job.c; 0: in none */
	_Atomic(uint64_t) user, kernel;    /* what its own children used that have ended, 100 ns */
};
struct inherited {
	handle h;
	struct object *o; /* a file or a section, the child's */
};
struct win_child {
	struct family *family;
	const char *command_line;
	struct inherited *handles;
	size_t nhandles;
	uint8_t *reserved2; /* of STARTUPINFO: what C runtimes hand on */
	uint16_t reserved2_len;
	uint32_t flags, show;
	struct jobs *jobs; /* what all share of jobs */
};
/* A thread of another process: what handles of CreateProcess's second kind stand for. */
struct object *thread_foreign(struct object *process);
void thread_foreign_tid(struct object *thread, uint32_t tid);
struct object *thread_process(struct object *thread); /* NULL: a thread of this one; borrowed */
void thread_foreign_end(struct object *thread, uint32_t code); /* wait_locked */
uint32_t child_resume(struct object *process);                 /* as ResumeThread */
void process_tell(uint32_t code); /* what its parent will see, whatever the host does */
struct process *process(void);
/* Ends all of it, as ExitProcess: libraries hear of it. */
_Noreturn void process_exit(uint32_t code);
/* At once. @code: as Windows counts, 32 bits; what a shell sees of it is in process.c. */
_Noreturn void process_end(uint32_t code);
/* Ends the guest, which did what cannot be answered, with a line that says so. */
_Noreturn void process_die(int exit_code, const char *fmt, ...) PRINTF(2, 3);

/* ---- text (text.c): UTF-16 of the guest, UTF-8 here. A lone surrogate becomes 3 bytes ---- */
size_t wide_len(const wide *s);
/* Both give malloc'ed text, 0-terminated; NULL: no memory. @n units or bytes; SIZE_MAX: to the 0.
 */
char *text_from(const wide *s, size_t n);
wide *text_wide(const char *s, size_t n);
/* Into @out, at most @cap units; returns how many the whole has. No 0 is added. NULL: only count.
 * *ret_bad (may be NULL): was something no valid text? */
size_t utf16_put(const char *s, size_t n, wide *out, size_t cap, bool *ret_bad);
/* The same; a surrogate in @s is bad. */
size_t utf16_put_strict(const char *s, size_t n, wide *out, size_t cap, bool *ret_bad);
size_t utf8_put(const wide *s, size_t n, char *out, size_t cap, bool *ret_bad);
/* Copy @s with its 0 to the guest's buffer. Returns what the functions of Windows do: units without
 * the 0, or with it when there is too little room. */
uint32_t wide_give(const char *s, wide *buf, uint32_t cap);
uint32_t text_give(const char *s, char *buf, uint32_t cap);
int wide_compare_i(const wide *a, const wide *b, size_t n); /* as wcsnicmp */
wide wide_upper(wide c);
wide wide_lower(wide c);

/* ---- errors (error.c) ---- */
void last_error_set(uint32_t code);
uint32_t last_error(void);
uint32_t error_of(int errno_value);  /* ERROR_... */
uint32_t status_of(int errno_value); /* STATUS_... */
uint32_t error_of_status(uint32_t status);
uint32_t status_of_error(uint32_t error);
/* Sets the last error, and returns 0: return fail(ERROR_...). */
uint32_t fail(uint32_t code);
uint32_t fail_errno(void);
const char *error_text(uint32_t code); /* NULL: unknown */

/* ---- memory of the guest (space.c): whole pages below WIN_GUEST_END ---- */
enum region_kind { REGION_PRIVATE = 0x20000, REGION_MAPPED = 0x40000, REGION_IMAGE = 0x1000000 };
struct region {
	uint64_t lo, hi, base; /* base: of the allocation that it is a part of */
	uint32_t prot;         /* PAGE_...; 0: reserved only */
	uint32_t first_prot;   /* of the allocation */
	enum region_kind kind;
};
/* Reserve @len bytes at @at (0: anywhere). 0 or a negative errno. */
int space_reserve(uint64_t *ret, uint64_t at, uint64_t len, uint32_t prot,
		  enum region_kind kind) MUST;
int space_commit(uint64_t at, uint64_t len, uint32_t prot) MUST;
int space_decommit(uint64_t at, uint64_t len) MUST;
int space_protect(uint64_t at, uint64_t len, uint32_t prot, uint32_t *ret_old) MUST;
/* Give back the whole allocation that begins at @base. */
int space_release(uint64_t base) MUST;
/* A stack that somebody else has made is touched at its guard page @at: all of it from @lo on is
 * committed. False: that is no guard page, or @lo is elsewhere. For handlers of signals: takes no
 * memory, and may interrupt the functions above. */
bool space_grow_stack(uint64_t lo, uint64_t at);
/* For handlers of signals: this thread was interrupted in one of the functions above, none of which
 * but space_grow_stack may be called then. */
bool space_held(void);
/* What @at is in; false: nothing, and *ret is the hole around it. */
bool space_at(uint64_t at, struct region *ret);
/* Map @fd there; the pages become those of the file, or with PAGE_(EXECUTE_)WRITECOPY copies. -1:
 * of nothing yet. */
int space_map_file(uint64_t *ret, uint64_t at, uint64_t len, int fd, uint64_t off,
		   uint32_t prot) MUST;
/* Reserved and committed, for what the guest reads and writes; ends the guest without memory. */
void *space_new(uint64_t len, uint32_t prot);
int prot_host(uint32_t prot); /* PROT_...; -1: no such protection */

/* ---- modules (module.c) ---- */
struct module {
	struct pe pe;
	struct pe_image im;
	struct pe_tls tls;
	char *path, *name; /* D:\a\b.dll, b.dll; owned */
	bool ours, started, tls_used;
	bool starts;     /* it has been its turn to begin */
	bool failed;     /* it, or what it needs, would not */
	bool late;       /* loaded by a running program */
	bool no_threads; /* it does not want to hear of them */
	uint32_t tls_index;
	uint32_t told; /* the last round of modules_tell */
	_Atomic(uint32_t) refs;
	struct module **needs; /* owned: what it imports from, a reference each */
	size_t nneeds;
	struct module *next;
	uint8_t *ldr;                  /* its entry in the PEB's lists */
	const struct library *library; /* ours */
};
int module_main(struct module **ret, struct lodge_err *e) MUST;
struct module *module_find(const char *name); /* "kernel32", a path, ...; NULL: not loaded */
struct module *module_at(uint64_t address);   /* the one that it is in */
struct module *module_of_handle(uint64_t h);  /* NULL: none */
/* Of each, in the order in which they came, until it returns false; it may load and unload none. */
void modules_each(bool (*fn)(const struct module *m, void *arg), void *arg);
/* 0: *ret, with a reference. A Windows error. */
uint32_t module_load(struct module **ret, const char *name, uint32_t flags); /* LOAD_... */
/* library_path.c: where the library @name is, as the guest says it; @own: what library_own_folder
 * has of the one that is asked for. malloc'ed; NULL: nowhere, or not needed. */
char *library_path(const char *name, uint32_t flags, const char *own);
char *library_own_folder(const char *name, uint32_t flags);
void module_unload(struct module *m);
void *module_symbol(struct module *m, const char *name, unsigned ordinal, int depth);
/* DLL_PROCESS_ATTACH, DLL_THREAD_ATTACH, ... to all; TLS callbacks of the program, too. */
enum { TELL_PROCESS_DETACH = 0, TELL_PROCESS_ATTACH, TELL_THREAD_ATTACH, TELL_THREAD_DETACH };
void modules_tell(uint32_t reason);
/* The thread's blocks of TLS data; threads_lock. */
int modules_tls_begin(struct thread *t) MUST;
void modules_tls_end(struct thread *t);

/* ---- tables (tables.c) ---- */
struct api {
	const char *name;
	const void *at;
};
struct library {
	const char *name; /* lower case, without .dll */
	const struct api *apis;
	size_t n;
};
const struct library *library_find(const char *dll);
extern const struct host_library win_libm; /* at WIN_LIBM */
const void *library_symbol(const struct library *l, const char *name);
/* leads.c: is it of kernel32, ntdll or a C runtime? Does a function of theirs lead beyond them? */
bool library_plain(const char *dll);
bool library_leads(const char *name);
/* A function that ends the guest when it is called, naming itself. */
void *stub_new(const char *dll, const char *name, unsigned ordinal);

/* ---- threads (thread.c) ---- */
enum { TLS_SLOTS = 64 + 1024, FLS_SLOTS = 256, TEB_SIZE = 0x2000 };
enum { STACK_BOTTOM = 4 * PAGE }; /* who touches it has an overflow */
/* The bottom of this thread's stack is there again to tell of an overflow, after one has used it.
 * False: it is still in use. */
bool stack_bottom_close(void);
struct crt_thread;
struct fiber;
struct wait_node;
struct thread {
	uint8_t *teb;          /* guest memory */
	struct object *object; /* what handles point to */
	uint32_t tid;
	uint64_t stack_lo, stack_hi;
	uint64_t tls[TLS_SLOTS - 64]; /* above those in the TEB */
	uint64_t *fls; /* FLS_SLOTS: its own, or those of the fiber that it runs */
	uint64_t own_fls[FLS_SLOTS];
	uint64_t start, argument; /* of the guest */
	uint32_t exit_code;
	struct fiber *fiber; /* fiber.c: which it runs; NULL: it has not become one */
	struct fiber *left;        /* the fiber on whose stack it goes on, as a thread again */
	uint64_t home_lo, home_hi; /* the stack that was made for it */
	_Atomic(uint32_t) begun; /* futex: 1: its number is known; 2: to its maker, too */
	_Atomic(uint32_t) wake;  /* futex: something it waits for may have come */
	uint8_t *tls_blocks;     /* owned: array of pointers, guest-visible */
	uint64_t leave;          /* stack.c: where it goes when it ends */
	_Atomic(int) blocked;    /* in a system call that may take long, with no lock held */
	void *crt;               /* crt_start.c; owned */
	struct thread *next;
	/* suspend.c */
	_Atomic(uint32_t) suspends;
	_Atomic(uint32_t) stopped;
	void *context;     /* of a stopped one: ucontext_t */
	void *dispatching; /* exception.c: what is being dispatched, on its stack */
	void *catching;    /* cxx.c: the exceptions whose catches run, on its stack */
	void *timer;       /* suspend.c */
	bool timer_made;
	void *alt_stack;
	pthread_t pthread;
	void *apc; /* wait.c: list of user APCs, owned */
	void *timers; /* wait.c: those that call it; borrowed */
	int io_wake;              /* pipe.c: eventfd that ends what it waits for; 0: none */
	_Atomic(int) io_waits;
};
struct thread *thread_self(void);
int thread_first(struct lodge_err *e) MUST; /* this one; also makes the PEB */
int thread_main_run(void (*fn)(void *), struct lodge_err *e) MUST; /* on the guest's stack */
_Noreturn void thread_exit(uint32_t code);
/* As CreateThread. */
handle thread_make(uint64_t stack, uint64_t start, uint64_t argument, uint32_t flags,
		   uint32_t *ret_tid);
struct thread *threads_first(void);
struct thread *thread_of_object(struct object *o); /* threads_lock; NULL: it has ended */
void suspend_begin(void);
void suspend_thread_end(struct thread *t);
void suspended_wait(struct thread *t); /* itself, as long as it is suspended */
void threads_lock(void);
void threads_unlock(void);
/* The values in @fls end: the guest's functions for them are called. */
void fls_end(uint64_t *fls);
/* A stack of the guest's: 0 or a negative errno. */
int stack_new(uint64_t *ret_lo, uint64_t *ret_hi, uint64_t size) MUST;
/* The value at @at, which is no more there: whoever gets it calls the function for it. */
uint64_t fls_take(uint64_t *at);
uint64_t fibers_take(uint32_t i); /* fiber.c: of the slot @i of some fiber; 0: none has one */
void fiber_thread_end(struct thread *t); /* it has left the stack of the fiber that it ran */
uint32_t guest_call4(uint64_t fn, uint64_t a, uint64_t b, uint64_t c, uint64_t d);

/* ---- handles and what they stand for (handle.c, wait.c) ---- */
enum kind {
	KIND_ANY,
	KIND_FILE,
	KIND_EVENT,
	KIND_MUTEX,
	KIND_SEMAPHORE,
	KIND_TIMER,
	KIND_THREAD,
	KIND_PROCESS,
	KIND_FIND,
	KIND_SECTION,
	KIND_PORT,
	KIND_JOB,
	KIND_TOKEN,
	KIND_NOTIFICATION,
	KIND_KEY,
	KIND_WAIT,
	KIND_SNAPSHOT
};
struct object {
	enum kind kind;
	_Atomic(uint32_t) refs;
	char *name; /* owned; of a named one */
	struct object *next_named;
	void (*fini)(struct object *o); /* frees what it owns; may be NULL */
	void (*closed)(struct object *o); /* its last handle is; may be NULL */
	_Atomic(uint32_t) handles;
	/* waiting, under the lock of wait.c */
	bool manual;          /* stays signaled */
	int64_t count;        /* signaled: > 0 */
	struct thread *owner; /* of a mutex */
	uint32_t recursion;
	bool abandoned;
	struct wait_node *waiters;
};
/* Zeroed, @size bytes that begin with a struct object, one reference; NULL: no memory. */
void *object_new(enum kind k, size_t size);
void object_ref(struct object *o);
void object_unref(struct object *o); /* NULL is fine */
/* A new handle, which takes over the reference; 0: none is left (and it is dropped). */
handle object_handle(struct object *o, bool inherit);
/* What @h is, with a reference; NULL: no handle of that kind, last error set. Takes the handles
 * that stand for the thread and the process themselves. */
void *object_get(handle h, enum kind k) MUST;
struct object *process_object(void); /* of this process; borrowed */
bool object_close(handle h);
/* Those that a child gets, with a reference each: malloc'ed. The child puts them where they were.
 */
struct inherited *objects_inherited(size_t *ret_n);
void object_put(const struct inherited *i);
int *object_descriptor(struct object *o); /* of a file or a section; NULL: it has none */
/* As CommandLineToArgvW, of which this is the work; owned by the guest's heap. */
wide **arguments_split(const wide *line, int32_t *ret_n) MUST;
void object_inherit(struct object *o); /* in a child: forget what only the parent has */
void section_inherit(struct object *o);
int *section_descriptor(struct object *o);
bool object_inherits(handle h, bool set, bool on);
/* Name @o (object.name may be NULL); another of that name comes back instead, *ret_old true. */
struct object *object_name(struct object *o, const char *name, bool *ret_old);
struct object *object_named(const char *name, enum kind k);
bool object_unname(struct object *o); /* nobody finds it any more; false: it has handles again */

/* All objects of a kind that have handles, one after the other. */
void handles_each(enum kind k, void (*fn)(struct object *o, void *arg), void *arg);

/* wait.c */
void mutex_abandon(struct object *o, void *thread);
void wait_signal(struct object *o, int64_t count); /* set it; wakes who waits */
void wait_locked(void);
void wait_unlocked(void);
void wait_wake(struct object *o); /* locked */
uint32_t wait_for(struct object **o, uint32_t n, bool all, uint64_t timeout_ns, bool alertable);
uint64_t deadline_of_ms(uint32_t ms);
/* In 100 ns: below 0 from now on, else a time of day; NULL: never. */
uint64_t deadline_of_nt(const int64_t *timeout);
#define NEVER UINT64_MAX
void mutexes_abandon(struct thread *t);
void calls_drop(struct thread *t); /* of timers and APCs, which have nobody any more */
int futex_wait(_Atomic(uint32_t) *at, uint32_t is, uint64_t deadline_ns);
void futex_wake(_Atomic(uint32_t) *at, int n);
void apc_queue(struct thread *t, uint64_t fn, uint64_t a, uint64_t b, uint64_t c);

/* pool.c: @fn(@arg), of Windows' calling convention, in some thread of the process's pool. False:
 * last error set. */
bool pool_queue(uint64_t fn, uint64_t arg);

/* ---- security ids (token.c) ---- */
enum { WIN_USER_SID = 28, WIN_EVERYONE_SID = 12 };
extern const uint8_t win_user_sid[WIN_USER_SID], win_everyone_sid[WIN_EVERYONE_SID];

/* ---- files (path.c, file.c, ...) ---- */
struct stat;
/* What @path of the guest is on this side: malloc'ed; NULL: no such drive, last error set.
 * Case is looked up, where the exact name is not there. */
char *path_linux(const char *path);
char *path_linux_w(const wide *path);
char *path_written(const char *path); /* as it is written, without a look */
/* What path_linux has found: as it is written, with what lstat says of it in *st; as it is now;
 * nothing; not even its folder; or (PATH_UNKNOWN) it did not look. */
enum path_state { PATH_THERE, PATH_MENDED, PATH_NO_FILE, PATH_NO_FOLDER, PATH_UNKNOWN };
char *path_asked(const char *path, struct stat *st, enum path_state *ret);
uint32_t path_absence(enum path_state s); /* the error that it is; 0: none */
/* path_linux of what is there, and what lstat says of it; NULL: nothing is, last error set. */
char *path_look(const char *path, struct stat *st);
/* As path_written; NULL: it has to be looked for. Else nothing there is called so, in whatever
 * case. */
char *path_absent(const char *path);
/* What path_linux gave, as the host finds it sooner; within @host, or itself. */
const char *path_near(const char *host);
/* Made whole: D:\a\b, without . and ..; malloc'ed. */
char *path_full(const char *path);
/* The error for what is not there: another one when its folder is not there either. */
uint32_t path_missing(const char *host);
uint32_t fail_path(const char *host); /* as fail_errno, of what was done with @host */
bool path_valid(const char *path);    /* without characters that no name may have */
/* The other way: malloc'ed; NULL: it is on no drive. */
char *path_guest(const char *host);
/* names.c: has the folder @path, which is @st, certainly no name like @name, but for case? False:
 * it has to be read. */
bool names_lack(const char *path, const struct stat *st, const char *name);
/* How @name is written in that folder, into itself, if that was noted and is still there. */
bool names_spelled(const char *path, const struct stat *st, char *name);
/* Note that what was asked for as @asked is @is, of the same length. */
void names_spelling(const struct stat *st, const char *asked, const char *is);
/* Programs of ours (own.c): a file that is there when it is looked for. False: there is none. */
bool own_program_make(const char *host);
void (*own_program_of(const uint8_t *file, uint64_t len))(void *arg); /* NULL: it is no such file */
extern const char path_interpreter[]; /* of cmd.exe */
void cmd_main(void *unused); /* which it is, for a process that has begun; does not return */
const char *path_cwd(void); /* guest's; valid until it is changed */
/* The volume that the drive @letter is, and back; 0: none is that. */
#define PATH_VOLUME "\\Device\\HarddiskVolume%u"
unsigned path_volume(char letter);
char path_volume_drive(unsigned volume);
uint32_t path_cwd_set(const char *path);
void process_folder_note(void); /* it is another now: process parameters name it */
enum device { DEVICE_NONE, DEVICE_NUL, DEVICE_CONIN, DEVICE_CONOUT, DEVICE_CON };
enum device path_device(const char *path);

struct file {
	struct object o;
	int fd;
	bool folder, console, input, pipe, append, overlapped, socket, inherited, delete_on_close;
	bool shut;  /* a socket that sends no more */
	bool port_later; /* a socket that is bound, but to no port yet */
	bool dialled;    /* a socket whose connection was asked for, without waiting */
	bool nowait; /* a pipe that is not waited for */
	bool pipes; /* nt_open.c: the folder of all pipes */
	bool afd;   /* afd.c: \Device\Afd, which tells of sockets */
	char *path; /* host side; owned; NULL: none */
	uint32_t type; /* FILE_TYPE_, but for pipes */
	uint32_t access, share;
	uint32_t need; /* what others have to share, once it is in the list of share.c */
	uint64_t device, inode;
	struct file *share_next;
	struct part *locked; /* owned list: of LockFile */
	struct object *port; /* completion port, owned reference */
	uint64_t port_key;
	uint32_t modes;
	struct folder_list *list; /* of NtQueryDirectoryFile and its like, owned */
	struct watch *watch;      /* notify.c; owned */
	struct pipe_end *end;     /* of a named pipe, pipe.c; owned */
	struct net_events *events; /* of a socket, socket_event.c; owned */
};
/* As fstat(2), which glibc makes a look-up of "". */
struct stat;
int fd_stat(int fd, struct stat *ret);
/* Takes over @fd; 0: no memory. */
handle file_handle(int fd, uint32_t access, const char *path, bool inherit);
int file_remove(const struct file *f); /* as unlink, of one that has a path */
handle std_handle(int fd);
int64_t io_read(struct file *f, void *buf, size_t len, int64_t at); /* at -1: where it is */
int64_t io_write(struct file *f, const void *buf, size_t len, int64_t at);
void io_seek(struct file *f, int64_t at);
int64_t io_end(struct file *f); /* where it ends, and its pointer then is; -1: nowhere */
handle io_open(const char *path, uint32_t access, uint32_t share, uint32_t how, uint32_t flags,
	       bool inherit); /* as CreateFile */
/* Open modes (share.c): SHARE_ of what @f does, and of what others may do meanwhile. False: another
 * handle forbids it. */
enum { SHARE_READ = 1, SHARE_WRITE = 2, SHARE_DELETE = 4, SHARE_ALL = 7 };
bool share_enter(struct file *f, uint32_t need, uint32_t share) MUST;
void share_leave(struct file *f);
bool share_allows(const struct stat *st, uint32_t need); /* of who shares all, and holds nothing */
void file_port_set(struct file *f, struct object *port, uint64_t key);
void folder_list_free(struct folder_list *l); /* NULL is fine */
void watch_free(struct watch *w);             /* the same; who waits is told */
void pipe_end_free(struct pipe_end *e);       /* NULL is fine */
void net_events_free(struct net_events *e);   /* NULL is fine */
void pipe_end_close(struct pipe_end *e);      /* its last handle is: nobody opens it */
void pipe_end_inherit(struct pipe_end *e);    /* in a child */
uint64_t filetime_of(int64_t s, int64_t ns);
uint64_t filetime_now(void);
void filetime_to(uint64_t t, int64_t *s, int64_t *ns);

/* WIN32_FIND_DATAW */
struct find_data_w {
	uint32_t attributes;
	uint32_t created[2], accessed[2], written[2];
	uint32_t size_high, size_low, tag, reserved;
	wide name[260], short_name[14];
};
/* OVERLAPPED (overlapped.c) */
struct overlapped {
	uint64_t status, n; /* Internal, InternalHigh */
	uint32_t at_low, at_high;
	handle event;
};
void overlapped_begin(struct overlapped *o); /* it will take a while */
/* Its end: who waits is told, and @f's port; @at_once: by the call that asked for it. */
void overlapped_end(struct file *f, struct overlapped *o, uint32_t status, uint64_t n,
		    bool at_once);
/* What is told where there is only a status block: an event (0: none), and what the port says in
 * the place of an OVERLAPPED (0: it says nothing). */
struct told {
	handle event;
	uint64_t context;
};
void status_begin(struct overlapped *o, const struct told *t); /* these touch the head of @o only */
void status_end(struct file *f, struct overlapped *o, const struct told *t, uint32_t status,
		uint64_t n, bool at_once);
/* Call off changes of @f that are waited for: those of @o (NULL: all), and of @thread (NULL: all).
 * False: there were none. */
bool watch_cancel(struct file *f, const struct overlapped *o, const struct object *thread);
/* port.c */
void port_post(struct object *port, uint64_t n, uint64_t key, uint64_t overlapped, uint32_t status);

/* ---- exceptions (exception.c, unwind.c) ---- */
int exceptions_begin(struct lodge_err *e) MUST;
int exceptions_thread(struct thread *t) MUST; /* the alternate stack */
void exceptions_thread_end(struct thread *t);
_Noreturn void exception_raise(const struct win_exception *x, void *context);
/* Go on where @context (a CONTEXT) says. */
_Noreturn void context_run(const void *context);

/* ---- the rest ---- */
uint16_t char_type(wide c);            /* CT_CTYPE1 */
void *heap_alloc(size_t n, bool zero); /* of the heaps that the guest frees from */
void heap_free(void *p);
void *heap_realloc(void *p, size_t n, bool zero);
size_t heap_size(const void *p);
void environment_begin(void);
char *environment_get(const char *name);                   /* malloc'ed; NULL: none */
/* The folders of PATH, without quotes, are given to @look until it returns something. */
void *environment_path(void *(*look)(const char *folder, void *arg), void *arg);
bool environment_set(const char *name, const char *value); /* NULL: take away */
char **environment_copy(void);                             /* malloc'ed array of malloc'ed */
void console_begin(void);
void console_forked(void); /* in a child, before signals reach it */
void console_leave(void); /* of the process */
void clock_page_begin(void);
bool clock_page_fault(uint64_t at);
void crt_begin(void);
void crt_flush(void);
void crt_thread_end(struct thread *t);
