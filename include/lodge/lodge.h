/* SPDX-License-Identifier: Apache-2.0 */
/* liblodge: run a guest. The only header an embedder includes; lodge/wasm.h has modules of
 * WebAssembly inside its own process.
 *
 * A guest is a folder of plain files and, while it runs, one keeper process that owns it. A
 * struct lodge_guest is a name for it: any process of the same user may open the same guest.
 * Functions return 0 (or a count) on success and a negative errno value on failure, with the
 * reason in @e, which may be NULL. A handle is used by one thread at a time. The library writes
 * nothing to stdin, stdout or stderr, and installs no signal handlers. */
#ifndef LODGE_LODGE_H
#define LODGE_LODGE_H
#include <stddef.h>
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif
#define LODGE_API __attribute__((visibility("default")))

/* Filled by the call that failed; owned by the caller; needs no freeing. */
struct lodge_err {
	int code;       /* errno value, positive */
	char msg[508];  /* what, why and what to do; UTF-8, no newline */
};

/* Exit codes of a run that the guest did not choose itself. */
enum {
	LODGE_EXIT_MISSING = 122,   /* a Windows program called a function that is not provided */
	LODGE_EXIT_PANIC = 123,     /* the guest's kernel crashed */
	LODGE_EXIT_TIMEOUT = 124,   /* config.timeout_ns passed */
	LODGE_EXIT_LODGE = 125,     /* Lodge itself failed */
	LODGE_EXIT_CANNOT = 126,    /* found, but cannot be run */
	LODGE_EXIT_NOT_FOUND = 127, /* no such guest, image or command */
	LODGE_EXIT_SIGNAL = 128,    /* plus the signal's number; kill is 137 */
};

enum {
	LODGE_RM = 1 << 0,          /* remove the guest when it stops */
	LODGE_INTERACTIVE = 1 << 1, /* the console takes input */
	LODGE_TTY = 1 << 2,         /* the console is a terminal */
	LODGE_ISOLATE = 1 << 3,     /* lodge_become: confined; see there */
	LODGE_READONLY = 1 << 4,    /* config.root of a machine cannot be written */
};

/* What to run. Zeroed is valid but for size and guest or kernel. All strings are borrowed until
 * the call returns. An array's count is beside it; NULL with count 0 is an empty one. */
struct lodge_config {
	size_t size;            /* sizeof(struct lodge_config), so that the struct can grow */
	const char *level;      /* "machine", ...; NULL: chosen from guest */
	const char *name;       /* [a-zA-Z0-9][a-zA-Z0-9_.-]*, at most 63; NULL: one is made up */
	const char *guest;      /* image name ("demo", "debian[:13][/riscv64]") or a path */
	const char *const *argv; /* arguments after guest */
	size_t argc;
	uint64_t memory;        /* bytes; 0: the level's default */
	uint32_t cpus;          /* 0: the level's default */
	uint32_t flags;         /* LODGE_RM, ... */
	const char *accel;      /* "auto" (NULL), "interpret" */
	const char *kernel, *initrd, *firmware; /* paths */
	const char *append;     /* kernel command line */
	/* "PATH|SIZE[,format=raw|qcow2][,ro][,bus=mmio|pci][,overlay=PATH]" */
	const char *const *disks;
	size_t ndisks;
	const char *const *volumes; /* "SRC:DST[:ro]" */
	size_t nvolumes;
	const char *const *publish; /* "[BIND:]HOST:GUEST[/tcp|/udp]" */
	size_t npublish;
	const char *const *env; /* "KEY=VALUE", for the guest's first program */
	size_t nenv;
	const char *net;        /* "user" (NULL), "none", "tap:NAME"; of containers also "host"
	                         * and the names of networks */
	const char *bus;        /* default bus of virtio devices: "mmio" (NULL), "pci" */
	const char *mmu;        /* widest page tables: "sv39", "sv48", "sv57" (NULL) */
	uint64_t timeout_ns;    /* kill after this long, exit code 124; 0: never */
	const char *const *options; /* "key=value" of the level's own keys */
	size_t noptions;
	/* programs: the folder that is / to them, and where they start; NULL: the caller's, in a
	 * machine of their own /. With a root, the level "machine" boots a kernel whose / is that
	 * folder, runs guest and argv in it, and ends with that program's exit code. */
	const char *root, *cwd;
	/* ---- limits, 0 or NULL: none; lodge_update changes them, also of a running guest ---- */
	uint32_t cpu_milli;     /* CPU time of all that the guest costs: 1000 is one host CPU */
	uint32_t cpu_weight;    /* beside others, when CPUs are scarce: 1..10000; 100 is usual */
	const char *cpuset;     /* host CPUs that it may use: "0-2,5" */
	uint64_t memory_limit;  /* bytes of its memory to be used; the balloon takes the rest */
	uint64_t disk_iops, disk_bps; /* of each disk: requests, bytes in a second */
	uint64_t net_bps;       /* bytes in a second, each way */
	/* what follows when it ends by itself: "no" (NULL), "on-failure[:N]", "always",
	 * "unless-stopped" */
	const char *restart;
	/* 0: never. Suspend it when nobody used it and it did next to nothing for so long: it goes
	 * on when somebody connects to a published port, and by lodge_exec and lodge_attach */
	uint64_t idle_timeout_ns;
	/* a program in a machine of its own: "NAME|UID[:GROUP|GID][,GID]..."; NULL: root */
	const char *user;
	/* bytes on the disk of what the console has shown, with its times; more takes the place of
	 * the oldest half. 0: 16 MiB */
	uint64_t log_max;
	/* ---- containers, limits as above ---- */
	uint64_t pids_limit;    /* of processes and threads; 0: 2048 */
	uint64_t memory_reservation; /* memory to be left to it when it is scarce */
	uint64_t memory_swap;   /* memory and swap together */
	/* "KEY=VALUE" or "KEY": what its owner says of it, for lodge_list */
	const char *const *labels;
	size_t nlabels;
};

/* Called now and then during a long work. @total 0: unknown. Non-zero ends the work. */
typedef int lodge_progress_fn(void *user, const char *what, uint64_t done, uint64_t total);

struct lodge_guest;   /* a handle on one guest */
struct lodge_console; /* a connection to a guest's console */
struct lodge_exec;    /* a program that runs in a guest */

LODGE_API const char *lodge_version(void); /* static */

/* Containers by runc's command line, as the program lodge-oci: @argv[0] is its name, the exit code
 * comes back. Prints, and may run this program anew with @argv, which then has to come here again.
 * Thread: the only one of the process. */
LODGE_API int lodge_oci(int argc, char **argv);

/* ---- sizes, times and defaults as people write them ---- */

/* "512M", "8G", "64k", "1.5G", plain bytes. Units are powers of 1024. */
LODGE_API int lodge_parse_size(const char *text, uint64_t *ret_bytes, struct lodge_err *e);
/* "90", "90s", "500ms", "2m", "1h30m". Plain numbers are seconds. */
LODGE_API int lodge_parse_time(const char *text, uint64_t *ret_ns, struct lodge_err *e);
/* "2", "0.5": CPUs, in thousandths of one. */
LODGE_API int lodge_parse_cpus(const char *text, uint32_t *ret_milli, struct lodge_err *e);
/* The user's default for a long option: LODGE_KEY in the environment, else key=value in
 * $XDG_CONFIG_HOME/lodge/config, else in /etc/lodge/config. @buf gets the value.
 *   returns  1 found, 0 not set, -EINVAL for a damaged file or a value longer than @cap */
LODGE_API int lodge_setting(const char *key, char *buf, size_t cap, struct lodge_err *e);
/* The same of @n keys at once: each file is read once. @ret_values gets the values, the caller's to
 * free; NULL: not set.
 *   returns  0, -EINVAL for a damaged file, -ENOMEM; then there are no values */
LODGE_API int lodge_settings(const char *const *keys, size_t n, char **ret_values,
                             struct lodge_err *e);

/* ---- a guest's life ---- */

/* Make the guest's folder from @c; its state is "created". -EEXIST: the name is in use. */
LODGE_API int lodge_create(struct lodge_guest **ret, const struct lodge_config *c,
                           struct lodge_err *e);
/* 0: the level that runs @c does not understand the option ("net": of --net), and lodge_create
 * would refuse it; 1: it does, or nobody knows which level that is. */
LODGE_API int lodge_takes(const struct lodge_config *c, const char *option);
/* A handle on an existing guest; or, by its id or the beginning of that, on a container that an
 * engine has made with lodge-oci: pause, resume, stop, kill, signal, exec, copy, logs (where it
 * keeps them beside the container), stats, update and inspect work on those, the others give
 * -EOPNOTSUPP. The setting "oci-roots" names folders of states beside the usual ones. -ENOENT: no
 * such guest; -ENOTUNIQ: several ids begin so. */
LODGE_API int lodge_open(struct lodge_guest **ret, const char *name, struct lodge_err *e);
/* 0: it is a container of an engine (podman, containerd), which alone starts and removes it. */
LODGE_API int lodge_own(const struct lodge_guest *g);
LODGE_API void lodge_close(struct lodge_guest *g); /* NULL is fine; the guest goes on */
LODGE_API const char *lodge_name(const struct lodge_guest *g); /* valid until lodge_close */
LODGE_API const char *lodge_state(const struct lodge_guest *g); /* static: "running", ... */
/* Start a keeper without starting the guest, so that a console can be attached first. Forks: a
 * process with several threads should be able to bear that. The keeper ends by itself when the
 * handle is closed before lodge_start. -EBUSY: one runs already. */
LODGE_API int lodge_keep(struct lodge_guest *g, struct lodge_err *e);
/* Start the guest; calls lodge_keep when there is no keeper. */
LODGE_API int lodge_start(struct lodge_guest *g, struct lodge_err *e);
LODGE_API int lodge_pause(struct lodge_guest *g, struct lodge_err *e);
/* Let a paused or suspended guest go on. */
LODGE_API int lodge_resume(struct lodge_guest *g, struct lodge_err *e);
/* Write the guest's state to its folder and free its memory; lodge_start or lodge_resume goes on
 * from there. Returns when it is durable and the keeper has ended; on failure the guest goes on. */
LODGE_API int lodge_suspend(struct lodge_guest *g, struct lodge_err *e);
/* Write a named state of a running or paused guest, which goes on meanwhile: memory, devices and
 * disks of one moment. @name NULL: "s1", "s2", ... Returns when it is durable. -EEXIST: the name is
 * in use. */
LODGE_API int lodge_snapshot(struct lodge_guest *g, const char *name, char ret_name[64],
                             struct lodge_err *e);
/* A JSON array of {name, parent, created_ns, memory_bytes}, oldest first; lodge_free. */
LODGE_API int lodge_snapshot_list(struct lodge_guest *g, char **ret_json, struct lodge_err *e);
LODGE_API int lodge_snapshot_remove(struct lodge_guest *g, const char *name, struct lodge_err *e);
/* Let a guest that does not run go on from a snapshot: what it did since then is lost, unless
 * another snapshot has it. A saved state of suspend is replaced. -EBUSY: it runs. */
LODGE_API int lodge_restore(struct lodge_guest *g, const char *name, struct lodge_err *e);
/* Make and start the guest @name, which goes on from the state of @g: of its snapshot @snapshot, or
 * (NULL) of what it is now, running, paused or suspended. It shares memory and disks with @g until
 * either writes. It publishes @npublish ports of its own, as lodge_config.publish, and has its own
 * addresses. *@ret: a handle on it. -EEXIST: the name is in use. */
LODGE_API int lodge_clone(struct lodge_guest **ret, struct lodge_guest *g, const char *name,
                          const char *snapshot, const char *const *publish, size_t npublish,
                          struct lodge_err *e);
/* Move a running or paused guest to the keeper that lodge_receive makes at the other end: @to is
 * "unix:PATH" or "tcp:HOST:PORT". It goes on here until all but the last few pages are there;
 * @still: it stands still meanwhile. @fn (may be NULL) hears how far it is; what it returns means
 * nothing. Returns when it runs there; what is left of it here is stopped, and lodge_start refuses
 * it. On failure it goes on here, unless the reason says that nobody can know: it is then paused.
 */
LODGE_API int lodge_migrate(struct lodge_guest *g, const char *to, int still,
                            lodge_progress_fn *fn, void *user, struct lodge_err *e);
/* The same by any two streams of bytes, from and to a lodge_receive; @label says where to. Both
 * become non-blocking. SIGPIPE must be ignored when @out is a pipe. */
LODGE_API int lodge_migrate_stream(struct lodge_guest *g, int in, int out, const char *label,
                                   int still, lodge_progress_fn *fn, void *user,
                                   struct lodge_err *e);
/* A guest that was moved away, and is not there, may be started here again. */
LODGE_API int lodge_migrate_undo(struct lodge_guest *g, struct lodge_err *e);
/* Take a guest from a stream; *@ret runs then, or is paused. @name NULL: as it is called. @trust:
 * it may use folders and networks of this host that its configuration names. */
LODGE_API int lodge_receive(struct lodge_guest **ret, int in, int out, const char *name, int trust,
                            struct lodge_err *e);
/* A listening socket at "unix:PATH" (a new file) or "tcp:HOST:PORT"; the caller's to accept on. */
LODGE_API int lodge_listen(const char *address, struct lodge_err *e);
/* Write a backup of the guest, as it is at this moment, to @out: configuration, what it boots from,
 * disks, and its memory and state when it is running, paused or suspended. A running one goes on.
 * @base: an earlier backup of it, to be read from its beginning: only what differs is written then.
 * -1: all is. @fn may end it. The caller makes @out durable. */
LODGE_API int lodge_backup(struct lodge_guest *g, int out, int base, lodge_progress_fn *fn,
                           void *user, struct lodge_err *e);
/* Make a guest from a backup; @in: a full one, then the incremental ones over it, in order. It is
 * suspended, or stopped when the backup has no memory. @name and @trust as for lodge_receive. */
LODGE_API int lodge_backup_restore(struct lodge_guest **ret, const int *in, size_t n,
                                   const char *name, int trust, struct lodge_err *e);
/* Change limits of a guest in any state, for good. @changes: "KEY=VALUE" with the keys cpus (0.5:
 * half a host CPU), memory, disk-iops, disk-bps, net-bps, cpuset, cpu-weight, restart,
 * idle-timeout, log-max and, of containers, pids-limit, memory-reservation and memory-swap; "none"
 * ends a limit, of the last two from the next start on. While the guest lives it keeps its number
 * of CPUs and its memory: both can be limited to less. All are checked before any is changed. What
 * could not be enforced: lodge_warning. */
LODGE_API int lodge_update(struct lodge_guest *g, const char *const *changes, size_t n,
                           struct lodge_err *e);
/* What the last lodge_start, lodge_resume or lodge_update on the handle did, but not as it was
 * asked: one line each. NULL: nothing. Valid until the next call on the handle. */
LODGE_API const char *lodge_warning(const struct lodge_guest *g);
/* Ask the guest to shut down; kill it when it has not after @timeout_ns (0: at once). Returns
 * when it is stopped. */
LODGE_API int lodge_stop(struct lodge_guest *g, uint64_t timeout_ns, struct lodge_err *e);
/* End it now; exit code 137. Returns when it is stopped. A suspended guest loses its state. */
LODGE_API int lodge_kill(struct lodge_guest *g, struct lodge_err *e);
/* Send a signal ("HUP", "SIGHUP", "1", "RTMIN+1") to the guest's first program. -EOPNOTSUPP: guests
 * of its level have no signals. */
LODGE_API int lodge_signal(struct lodge_guest *g, const char *signal, struct lodge_err *e);
/* Delete the guest's folder. @force: kill it first when it runs; succeeds on damaged folders. */
LODGE_API int lodge_remove(const char *name, int force, struct lodge_err *e);
/* Give the guest another name, in any state; it goes on meanwhile. What is called by its name
 * inside (a host name) stays until the next start. -EEXIST: the name is in use; -EBUSY: it is
 * suspended for being idle; -EOPNOTSUPP: an older version made it. */
LODGE_API int lodge_rename(struct lodge_guest *g, const char *name, struct lodge_err *e);
/* Wait until the guest has stopped. At once for a stopped one. */
LODGE_API int lodge_wait(struct lodge_guest *g, int *ret_exit_code, struct lodge_err *e);

/* ---- programs: this process becomes the guest ---- */

/* 1: @c is a program of another architecture, for lodge_become. */
LODGE_API int lodge_becomes(const struct lodge_config *c);
/* Run it in the place of the caller, as execve does: it gets the caller's process, descriptors,
 * terminal and environment, and its exit code is the process's. Returns on failure only; nothing
 * but exiting makes sense then. Installs signal handlers. To be called by a process of one thread.
 * -ENOENT: it or its interpreter is not there; -ENOEXEC, -EACCES: it cannot be run.
 * With LODGE_ISOLATE the program is in a process of its own, in namespaces of its own: it sees
 * config.root, or of the host itself alone, and config.volumes; no network but its own loopback, no
 * processes but its own; it has no capabilities, can gain none, and only system calls that
 * concern itself. The caller's process waits, passes signals on, and ends as the program does. */
LODGE_API int lodge_become(const struct lodge_config *c, struct lodge_err *e);
/* What a program would miss here, as text for people: functions of Windows that are not provided.
 * Nothing is run. lodge_free. -EOPNOTSUPP: a guest of another level. */
LODGE_API int lodge_explain(const struct lodge_config *c, char **ret_text, struct lodge_err *e);

/* ---- programs run by the kernel: binfmt_misc ---- */

/* Zeroed is valid but for size. Strings are borrowed until the call returns. */
struct lodge_binfmt {
	size_t size;
	const char *folder;      /* where binfmt_misc is; NULL: where Linux has it */
	const char *interpreter; /* path of lodge-riscv64; NULL: beside the running program */
	const char *persist_folder; /* of binfmt.d(5); NULL: /etc/binfmt.d */
	int persist;             /* install: at the next boot as well */
};
/* From now on the kernel runs programs of riscv64 Linux by lodge-riscv64, in chroots and containers
 * too, with the rights of setuid programs; binfmt_misc is mounted where Linux has it. Replaces what
 * was installed before. -EPERM: not root; -EOPNOTSUPP: the kernel has none. */
LODGE_API int lodge_binfmt_install(const struct lodge_binfmt *b, struct lodge_err *e);
/* Takes back what lodge_binfmt_install did, the file for the next boot as well. 0 also when there
 * is nothing. */
LODGE_API int lodge_binfmt_remove(const struct lodge_binfmt *b, struct lodge_err *e);
/* A JSON object {name, folder, mounted, registered, persistent, and of a registered one: enabled,
 * interpreter, flags}; lodge_free. */
LODGE_API int lodge_binfmt_status(const struct lodge_binfmt *b, char **ret_json,
                                  struct lodge_err *e);
/* The same as install for this process and its children alone, without root: a user namespace,
 * where the caller is itself, or root if @as_root. To be called by a process of one thread; no way
 * back, also on failure. -EOPNOTSUPP: Linux before 6.7. */
LODGE_API int lodge_binfmt_enter(const struct lodge_binfmt *b, int as_root, struct lodge_err *e);

/* ---- looking at guests. JSON texts are freed with lodge_free ---- */

LODGE_API void lodge_free(void *p);
/* All guests as a JSON array of {name, state, level, guest, created, exit_code, ...}. */
LODGE_API int lodge_list(char **ret_json, struct lodge_err *e);
/* All that is known of one guest. */
LODGE_API int lodge_inspect(struct lodge_guest *g, char **ret_json, struct lodge_err *e);
/* Counters of a running guest. */
LODGE_API int lodge_stats(struct lodge_guest *g, char **ret_json, struct lodge_err *e);
/* Counters of the guests @names, or (@n 0) of all, in the text format of Prometheus; lodge_free. */
LODGE_API int lodge_metrics(const char *const *names, size_t n, char **ret_text,
                            struct lodge_err *e);
/* Hand what happened to guests to @fn, each as a JSON object {time_ns, name, event, ...}: created,
 * started, paused, resumed, suspended, snapshot, restored, cloned, updated, renamed (with was),
 * health (with health: starting, healthy, unhealthy), stopping, died (with exit_code and why),
 * removed. Some thousand are kept. @name NULL: of all guests; @since_ns: not those before, since
 * 1970; @follow: then go on with what happens. @fn returns 0 to go on; its other values end the
 * call and are returned. */
LODGE_API int lodge_events(const char *name, uint64_t since_ns, int follow,
                           int (*fn)(void *user, const char *json), void *user,
                           struct lodge_err *e);
/* What of the log lodge_logs_find shall hand out. Zeroed is all but for size and tail. */
struct lodge_logs_query {
	size_t size;
	long tail;          /* the last lines, at most so many; -1: all */
	int follow;         /* go on until the guest stops */
	int times;          /* each line begins with its time: 2026-01-02T03:04:05.678901234Z */
	/* Lines that began to be shown then or later, and no later than then; since 1970, 0: any.
	 * Lines of unknown time, of logs that older versions wrote, are older than any. */
	uint64_t since_ns, until_ns;
	/* out: */
	uint64_t dropped;   /* bytes of the oldest output that are not there any more (log_max) */
};
/* Hand lines of what the console has shown to @fn. @fn returns 0 to go on; its other values end the
 * call and are returned. */
LODGE_API int lodge_logs_find(struct lodge_guest *g, struct lodge_logs_query *q,
                              int (*fn)(void *user, const void *data, size_t len), void *user,
                              struct lodge_err *e);
/* Hand what the console has shown to @fn, from the last @tail lines on (-1: all); with @follow,
 * until the guest stops. @fn returns 0 to go on; its other values end the call and are returned. */
LODGE_API int lodge_logs(struct lodge_guest *g, long tail, int follow,
                         int (*fn)(void *user, const void *data, size_t len), void *user,
                         struct lodge_err *e);

/* ---- the console ---- */

/* Connect to the console of a kept guest. Several may be connected at once. @replay: bytes of
 * earlier output to get first. */
LODGE_API int lodge_attach(struct lodge_console **ret, struct lodge_guest *g, uint64_t replay,
                           struct lodge_err *e);
/* A descriptor that polls readable when lodge_console_read has something. */
LODGE_API int lodge_console_fd(const struct lodge_console *c);
/* Bytes read; 0: the guest is gone; -EAGAIN: nothing now. */
LODGE_API long lodge_console_read(struct lodge_console *c, void *buf, size_t cap);
/* Bytes taken; -EAGAIN: the guest does not read now. */
LODGE_API long lodge_console_write(struct lodge_console *c, const void *buf, size_t len);
LODGE_API int lodge_console_resize(struct lodge_console *c, unsigned rows, unsigned columns);
/* After lodge_console_read returned 0: the guest's exit code, also when it is removed already. */
LODGE_API int lodge_console_exit(struct lodge_console *c, int *ret_exit_code, struct lodge_err *e);
LODGE_API void lodge_console_close(struct lodge_console *c); /* NULL is fine */

/* ---- programs inside a guest, by the agent in it ---- */

struct lodge_exec_config {
	size_t size;
	const char *const *argv; /* argv[0] is looked up in the guest's PATH */
	size_t argc;
	const char *const *env;  /* "KEY=VALUE" */
	size_t nenv;
	const char *cwd, *user;  /* NULL: / and root */
	int tty, interactive;
	unsigned rows, columns;  /* of the terminal; 0: unknown */
	int shell;               /* argc may be 0: the user's login shell */
	uint64_t wait_ns;        /* for an agent that is not up yet */
};
enum { LODGE_EXEC_STDOUT = 1, LODGE_EXEC_STDERR = 2 };
/* Start a program. -ENOTCONN: the guest has no agent, or it does not answer. */
LODGE_API int lodge_exec(struct lodge_exec **ret, struct lodge_guest *g,
                         const struct lodge_exec_config *c, struct lodge_err *e);
/* 1: @c is a program with a root, in a machine of its own, for lodge_exec_first. */
LODGE_API int lodge_has_first(const struct lodge_config *c);
/* Start the guest @g, of such a configuration and without a keeper, and in it this program instead
 * of the one of its configuration, which it may be. Returns before it has booted: what the program
 * is sent meanwhile, it gets later. The guest ends when the program does, or when the handle is
 * closed, with its exit code. */
LODGE_API int lodge_exec_first(struct lodge_exec **ret, struct lodge_guest *g,
                               const struct lodge_exec_config *c, struct lodge_err *e);
/* Close @x, which lodge_exec_first made, wait until its guest has ended, and say with which exit
 * code: 125 when the program never ran. */
LODGE_API int lodge_exec_first_end(struct lodge_exec *x, int *ret_exit_code, struct lodge_err *e);
/* Polls readable for lodge_exec_read, which reads ahead: wait only after its -EAGAIN. */
LODGE_API int lodge_exec_fd(const struct lodge_exec *x);
/* Bytes read into @buf, *ret_stream says of which; 0: the program has ended; -EAGAIN. */
LODGE_API long lodge_exec_read(struct lodge_exec *x, void *buf, size_t cap, int *ret_stream,
                               struct lodge_err *e);
/* Bytes taken; @len 0: end of input. -EAGAIN: wait until the descriptor is writable; -ENOBUFS:
 * the program does not read now, wait until lodge_exec_read has seen something. */
LODGE_API long lodge_exec_write(struct lodge_exec *x, const void *buf, size_t len);
/* -ENOTCONN: the program of lodge_exec_first has not begun; nobody gets the signal. */
LODGE_API int lodge_exec_signal(struct lodge_exec *x, int signal);
LODGE_API int lodge_exec_resize(struct lodge_exec *x, unsigned rows, unsigned columns);
/* After lodge_exec_read returned 0. */
LODGE_API int lodge_exec_exit(const struct lodge_exec *x);
LODGE_API void lodge_exec_close(struct lodge_exec *x); /* NULL is fine; ends the program */

/* ---- files ---- */

enum {
	LODGE_COPY_OUT = 1 << 0,    /* from the guest; else into it */
	LODGE_COPY_ARCHIVE = 1 << 1, /* with the owners as they are */
	LODGE_COPY_FOLLOW = 1 << 2, /* what a link leads to, where the source is one */
};
struct lodge_copy {
	size_t size;
	const char *guest_path; /* from the guest's root on */
	const char *host_path;  /* NULL: @fd */
	int fd;                 /* gives or takes a tar */
	unsigned flags;
	/* out: */
	char warning[256];      /* what was left out; "": nothing */
};
/* Copy files between a guest and the host, by the rules of docker cp: files, folders with all that
 * is in them, links as links, modes and times. Into a guest they are root's, out of it the
 * caller's, without LODGE_COPY_ARCHIVE; set-id bits and devices do not come out. Works on
 * containers, running or not, and on guests that have a root folder; whatever the guest does
 * meanwhile, no link of its leads out of it. -EOPNOTSUPP: its files are out of reach. */
LODGE_API int lodge_copy(struct lodge_guest *g, struct lodge_copy *c, struct lodge_err *e);

/* Hand each path of a container that differs from its image to @fn, with 'A' (added), 'C' (changed,
 * or something in it) or 'D' (deleted), a folder before what is in it; running or not. @fn returns
 * 0 to go on; its other values end the call and are returned. -EOPNOTSUPP: it has no image. */
LODGE_API int lodge_diff(struct lodge_guest *g, int (*fn)(void *user, char kind, const char *path),
                         void *user, struct lodge_err *e);

/* ---- images ---- */

/* Zeroed is valid but for size. Strings are borrowed until the call returns. */
struct lodge_pull {
	size_t size;
	const char *platform;  /* "OS/ARCH[/VARIANT]", "ARCH"; NULL: the host's */
	const char *as;        /* what it shall be called here; NULL: as it is called there */
	int no_tls_check;      /* certificates are not looked at, http is allowed */
	uint64_t max_unpacked; /* bytes that a layer may unpack to; 0: the default */
	lodge_progress_fn *progress;
	void *user;            /* of progress */
	/* out: */
	char name[800];        /* what it is called now */
	char warning[256];     /* what was left out; "": nothing */
};
/* Get an image: "debian", "debian:13/riscv64" (runs programs of the host), the name of a container
 * image ([HOST[:PORT]/]NAME[:TAG][@DIGEST]), "oci:PATH[:TAG]", "oci-archive:PATH[:TAG]",
 * "docker-archive:PATH[:TAG]", or the path of one of these. -EBADMSG, -EMSGSIZE: it is not what
 * its digest and size say. */
LODGE_API int lodge_image_pull(const char *name, struct lodge_pull *p, struct lodge_err *e);
/* The images on this host as a JSON array of {name, alias, size, created_ns, and path, summary or,
 * of container images, digest, platform}. */
LODGE_API int lodge_image_list(char **ret_json, struct lodge_err *e);
/* 1: in the cache; 0: known, not in the cache; -ENOENT: no image has this name. */
LODGE_API int lodge_image_state(const char *name);
/* What may be the name of an image that @c needs: lodge_image_state tells. Static, or config.guest;
 * NULL: none. */
LODGE_API const char *lodge_image_needed(const struct lodge_config *c);
/* 1: what config.argv names is not the image's to run but lodge_exec's, once it is up. */
LODGE_API int lodge_image_execs(const char *name);
LODGE_API int lodge_image_remove(const char *name, struct lodge_err *e);

/* ---- networks of containers: a bridge of the host; "bridge" is there by itself ---- */

/* @subnet "10.1.2.0/24"; NULL: one that is free is chosen. -EEXIST: the name is in use. */
LODGE_API int lodge_network_create(const char *name, const char *subnet, struct lodge_err *e);
/* A JSON array of {name, subnet, gateway, interface, members}; lodge_free. */
LODGE_API int lodge_network_list(char **ret_json, struct lodge_err *e);
/* One of them; members: [{address, id, hostname, guest}]. -ENOENT: there is none. */
LODGE_API int lodge_network_inspect(const char *name, char **ret_json, struct lodge_err *e);
/* -EBUSY: containers are in it. */
LODGE_API int lodge_network_remove(const char *name, struct lodge_err *e);

/* ---- volumes: folders with a name, which outlive the guests that have them ---- */

/* config.volumes makes those that it names by itself. 0 also when it is there. */
LODGE_API int lodge_volume_create(const char *name, struct lodge_err *e);
/* A JSON array of {name, path, created_ns, guests, processes}; lodge_free. */
LODGE_API int lodge_volume_list(char **ret_json, struct lodge_err *e);
/* One of them. -ENOENT: there is none. */
LODGE_API int lodge_volume_inspect(const char *name, char **ret_json, struct lodge_err *e);
/* With all that is in it. -EBUSY: a guest or a process has it. */
LODGE_API int lodge_volume_remove(const char *name, struct lodge_err *e);
/* All that nobody has; a JSON array of their names. */
LODGE_API int lodge_volume_prune(char **ret_json, struct lodge_err *e);

/* ---- the host ---- */

struct lodge_probe {
	const char *name;    /* "kvm", "io_uring", ... */
	int ok;              /* 1 works, 0 does not, -1 does not apply */
	const char *finding; /* what was tried and seen */
	const char *fix;     /* what to do; NULL: nothing */
};
/* Try what Lodge can use of this host; one call of @fn per probe. */
LODGE_API int lodge_doctor(void (*fn)(void *user, const struct lodge_probe *p), void *user,
                           struct lodge_err *e);
#ifdef __cplusplus
}
#endif
#endif
