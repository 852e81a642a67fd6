/* SPDX-License-Identifier: Apache-2.0 */
/* life: one life cycle for every level: the instance folder, the keeper process, its control
 * socket, and the way from outside to all three.
 *
 * A guest is a folder (instance_*). While it runs, one keeper process holds the folder's lock,
 * owns the level's guest and answers on a control socket (keeper_*). Everything else reaches it
 * through that socket (control_*) or reads the folder's plain files. */
#pragma once
#include "base/base.h"
#include "chr/chr.h"
#include "host/host.h"
#include "life/agent_proto.h"
#include "save/save.h"
#include <json-c/json_object.h>

/* ---- states ---- */
enum life {
	LIFE_CREATED, LIFE_RUNNING, LIFE_PAUSED, LIFE_SUSPENDED, LIFE_STOPPED, LIFE_FAILED,
	LIFE_COUNT
};
const char *life_name(enum life l);          /* "created", ... */
bool life_find(const char *name, enum life *ret); /* false: no such state */
bool life_may(enum life from, enum life to);

/* ---- what a level is ---- */

/* A socket by which the guest is reached from outside: "BIND:HOST:GUEST/tcp" of a port. */
enum { LIFE_SOCKETS_MAX = 64 };
struct life_socket {
	char name[72];
	int fd;
};

/* What the keeper gives to a level. Everything is borrowed until destroy. */
struct level_env {
	const char *instance_dir; /* the guest's folder: disks, logs; absolute */
	const char *runtime_dir;  /* sockets live here, mode 0700; absolute */
	const char *name;         /* the guest's name */
	struct loop *loop;        /* the keeper's main loop */
	struct log *log;
	unsigned umask;           /* of whoever had the keeper made */
	bool restoring;           /* load follows create: nothing needs to be loaded to boot */
	/* kept while it was suspended, with the connections that wait; until create returns */
	const struct life_socket *sockets;
	size_t nsockets;
	bool waits;               /* rooted: this time somebody comes to begin the program */
	/* The guest is gone: called once, from any thread, not under a level's lock that destroy
	 * takes. @exit_code 0..255 is the run's result (panic: LODGE_EXIT_PANIC); @why is a short
	 * text that is copied ("powered off"). A reset is the level's own business. */
	void (*ended)(void *user, int exit_code, const char *why);
	/* What a check of the guest's own says of it now: "starting", "healthy", "unhealthy". Loop
	 * thread. */
	void (*health)(void *user, const char *status);
	void *user;
};
/* ended, of a guest that is processes of the host: @status is its first one's, of wait(2); below 0:
 * unknown, all were killed. */
void life_env_ended(const struct level_env *env, int status);

/* What could not be done as it was asked: one line each. */
struct life_warnings {
	char text[1024];
};
void life_warn(struct life_warnings *w, const char *fmt, ...) PRINTF(2, 3);

enum { LEVEL_CERTAIN = 90 }; /* its format, and no other's */

/* A level of virtualization. Every function but claims runs on the keeper's loop thread, and
 * none is called after destroy. NULL functions: this level cannot do it, and says so. */
struct level {
	const char *name, *summary;
	/* With config.root it runs config.guest as the one program of a guest with that root; who
	 * connects as AGENT_FIRST_PORT says can begin it instead. */
	bool rooted;
	/* How sure is this level that it can run @c? 0: not at all; the highest wins, and from
	 * LEVEL_CERTAIN on nobody else is asked. */
	int (*claims)(const struct lodge_config *c);
	/* Run @c in this process, which becomes it as by execve: returns on failure only. NULL: the
	 * level has keepers. Thread: the only one of the process. */
	int (*become)(const struct lodge_config *c, struct lodge_err *e);
	/* NULL, or: what @c would miss here, as text for people; malloc'ed. */
	int (*explain)(const struct lodge_config *c, char **ret, struct lodge_err *e);
	bool whole;             /* become checks all of @c, and refuses what it cannot do */
	/* NULL: its guests join no networks. Else 0, or why they cannot join @name. */
	int (*network)(const char *name, struct lodge_err *e);
	bool timed;             /* and become of a whole one sees to a time-out, too */
	bool confines;          /* become does so by itself, with or without LODGE_ISOLATE */
	/* limit sees to CPU time and CPUs, too; they and memory may grow while it lives */
	bool governs;
	/* NULL, or: of one that governs, it has nothing to do so with: the keeper sees to CPU time
	 * and CPUs then, and it is held. After create, before limit. */
	bool (*yields)(void *self);
	/* NULL, or: where a guest that is given no folders has that of whoever makes it, and begins
	 */
	const char *here;
	const char *unsaved;    /* NULL, or: why its state is not saved, and what to do instead */
	/* NULL, or: make ready in the folder @instance_dir, just published, what all starts of the
	 * guest @name have in common. Any process. */
	int (*prepare)(const char *name, const char *instance_dir, const struct lodge_config *c,
	               struct lodge_err *e);
	/* NULL, or: its folder is gone, what is elsewhere goes now. Any process. */
	void (*removed)(const char *name);
	/* NULL: the agent does it. Else, in a process forked for it, with its streams as 0 to 2 (a
	 * terminal is its controlling one, too): become one more program of the guest, which is as
	 * inspect has said. @log: a file of the caller's, for exec_code. Returns on failure. */
	int (*exec)(struct json_object *inspected, const struct lodge_exec_config *c, int log,
	            struct lodge_err *e);
	int (*exec_code)(int code, int log); /* the exit code, from that process's own */
	/* NULL: its files are config.root's, or out of reach. Else, in a process forked for it: a
	 * descriptor of the folder that is / to the guest, which may take namespaces that this
	 * process is in from then on. @inspected NULL: it does not run, and is locked. */
	int (*root)(const char *instance_dir, const struct lodge_config *c,
	            struct json_object *inspected, struct lodge_err *e);
	/* NULL, or: in a process forked for it, running or not: write what it has changed of its
	 * image to @to: A, C or D (added, changed, deleted), a path, a 0, each. */
	int (*changes)(const char *instance_dir, const struct lodge_config *c, int to,
	               struct lodge_err *e);
	/* Check @c and build the guest, not running. @c is valid until destroy, paths in it are
	 * absolute, defaults are not filled in. On failure nothing is left behind. */
	int (*create)(void **ret_self, const struct level_env *env, const struct lodge_config *c,
	              struct lodge_err *e);
	int (*start)(void *self, struct lodge_err *e);
	int (*pause)(void *self, struct lodge_err *e);  /* returns when no vCPU runs */
	int (*resume)(void *self, struct lodge_err *e);
	int (*stop)(void *self, struct lodge_err *e);   /* ask politely; -EOPNOTSUPP: no way to */
	int (*kill)(void *self, struct lodge_err *e);   /* at once; ended follows */
	int (*signal)(void *self, int sig, struct lodge_err *e); /* to its first program; or NULL */
	void (*destroy)(void *self);                    /* joins threads; half-built is fine */
	struct chr *(*console)(void *self);             /* the host side is life's; may be NULL */
	struct chr *(*agent)(void *self);               /* byte channel to the agent; may be NULL */
	void (*resize)(void *self, unsigned rows, unsigned columns); /* of the console */
	void (*inspect)(void *self, struct json_object *out); /* add keys */
	void (*stats)(void *self, struct json_object *out);   /* add keys */
	/* Take over the limits of disks, network and memory from @c; after create, any state. What
	 * cannot be enforced is named in @w. */
	void (*limit)(void *self, const struct lodge_config *c, struct life_warnings *w);
	/* NULL, or: how many programs the guest's system has killed for want of memory, as it last
	 * said; it is asked to say it anew. */
	uint64_t (*oom_kills)(void *self);
	/* Keep the vCPUs from running for a moment, or let them again; any state. */
	void (*hold)(void *self, bool on);
	/* CPU time of the guest beside the keeper's own; NULL: none. */
	uint64_t (*cpu_ns)(void *self);
	/* All but memory of a guest whose vCPUs stand still. What the host does for it is ended
	 * first, its outcome is in the state. NULL of one: NULL of all three. */
	int (*save)(void *self, struct save_out *o, struct lodge_err *e);
	/* After create with env->restoring, and with its memory already there; start goes on. What
	 * does not fit is refused with the reason, and destroy follows. */
	int (*load)(void *self, const struct save_in *in, struct lodge_err *e);
	/* NULL, or: make memory of the size that a state is of, before memory and load. */
	int (*fit)(void *self, const struct save_in *in, struct lodge_err *e);
	struct mem *(*memory)(void *self);              /* of the guest, borrowed; after save */
	int (*flush)(void *self, struct lodge_err *e);  /* all disks; any state */
	/* NULL, or: the @i-th option "key=value" that no two guests may have alike, made for a
	 * copy; false past the end. */
	bool (*own_option)(unsigned i, char *buf, size_t cap);
	/* NULL, or: does the guest still go by an address @ret_was that is another guest's, though
	 * its network card has @ret_now? */
	bool (*renamed)(void *self, uint8_t ret_was[6], uint8_t ret_now[6]);
	/* Leave disk i of the configuration's @n as it is and go on in the overlay @overlays[i];
	 * NULL: not this one. After a failure some may be frozen: their overlays are there. A level
	 * without it has no disks; its files are the host's, and go on as they are. */
	int (*freeze)(void *self, const char *const *overlays, size_t n, struct lodge_err *e);
	/* Copies of disks in use. NULL of one: NULL of all. Size of disk @i; 0: there is none. */
	uint64_t (*disk)(void *self, size_t i);
	/* Note from now on what is written, at first all that holds data; off: stop that. */
	int (*disk_track)(void *self, bool on, struct lodge_err *e);
	/* Any thread while it is tracked. next takes what is noted from @from on, at most @max;
	 * false: nothing is. left: bytes noted of all disks. read: 0 or -errno. */
	bool (*disk_next)(void *self, size_t i, uint64_t from, uint64_t max, uint64_t *ret_off,
	                  uint64_t *ret_len);
	uint64_t (*disk_left)(void *self);
	int (*disk_read)(void *self, size_t i, uint64_t off, void *buf, size_t len);
	/* NULL, or: the sockets that env->sockets may have next time, at most LIFE_SOCKETS_MAX,
	 * with descriptors that are borrowed. Returns how many. */
	size_t (*sockets)(void *self, struct life_socket *ret);
	/* NULL, or: when somebody outside was last connected to it, CLOCK_MONOTONIC; 0: never. */
	uint64_t (*visited_ns)(void *self);
};

/* ---- configuration ---- */

/* "PATH|SIZE[,format=F][,ro][,bus=B][,overlay=PATH]", split and checked. Freed by disk_fini. */
struct life_disk {
	char *path;          /* NULL: a new sparse disk of size bytes (made by lodge_create, which
	                        puts its path here before a level sees the spec) */
	char *format;        /* "raw", "qcow2"; NULL: probe */
	char *bus;           /* "mmio", "pci"; NULL: the default of the config */
	char *overlay;       /* NULL: none */
	uint64_t size;
	bool readonly;
};
int life_disk_parse(struct life_disk *ret, const char *spec, struct lodge_err *e) MUST;
void life_disk_fini(struct life_disk *d);
/* Disk number @n goes on in a new overlay in the folder @dir, over the file that @d writes now and
 * that nobody writes from then on. Both malloc'ed: *ret_spec, which says so, and the overlay's path
 * in *ret_overlay (NULL is fine). The overlay is not made yet. ENOMEM. */
int life_disk_branch(const struct life_disk *d, size_t n, const char *dir, char **ret_spec,
                     char **ret_overlay, struct lodge_err *e) MUST;
/* The configuration @into rests on the disks of @of, too: whoever removes files looks there. */
void life_disk_files_note(struct json_object *into, struct json_object *of);

/* ---- volumes (volume.c) ---- */
/* "SRC:DST[:ro]". Freed by volume_fini. The virtio-fs tag of volume i is "lodge<i>". */
struct life_volume {
	char *source, *target; /* in the host, in the guest */
	bool readonly;
};
int life_volume_parse(struct life_volume *ret, const char *spec, struct lodge_err *e) MUST;
/* The same, and DST may be of a drive, as Windows programs have them: "C:\work". */
int life_volume_parse_any(struct life_volume *ret, const char *spec, struct lodge_err *e) MUST;
void life_volume_fini(struct life_volume *v);
/* What stands before the first colon of @spec, as a path: where the volume of that name is, or as
 * it stands. malloc'ed; NULL: out of memory. */
char *life_volume_source(const char *spec);
bool life_volume_kept(const char *source); /* is that one with a name? */
/* Make those that @c names and that are not there. @here: this process, whatever it becomes, has
 * them until it ends; else a guest does, by its configuration. */
int life_volumes_make(const struct lodge_config *c, bool here, struct lodge_err *e) MUST;
/* 0 also when it is there. EINVAL: no name. */
int life_volume_create(const char *name, struct lodge_err *e) MUST;
/* Objects of name, path, created_ns, guests and processes that have it; owned by the caller. */
int life_volume_list(struct json_object **ret, struct lodge_err *e) MUST;
int life_volume_inspect(const char *name, struct json_object **ret, struct lodge_err *e) MUST;
/* With all that is in it. ENOENT; EBUSY: somebody has it. */
int life_volume_remove(const char *name, struct lodge_err *e) MUST;

/* Value of @key among c->options ("key=value"); NULL: not given. Borrowed from @c. */
const char *life_option(const struct lodge_config *c, const char *key);
int life_parse_size(const char *text, uint64_t *ret, struct lodge_err *e) MUST;
/* "2", "0.5": in thousandths. */
int life_parse_cpus(const char *text, uint32_t *ret_milli, struct lodge_err *e) MUST;
int life_parse_time(const char *text, uint64_t *ret_ns, struct lodge_err *e) MUST;
bool life_name_good(const char *name); /* [a-zA-Z0-9][a-zA-Z0-9_.-]*, at most LIFE_NAME_MAX */

/* A configuration that owns what it points to; as JSON it is the instance's config.json. */
struct life_config {
	struct lodge_config c;   /* all strings borrowed from doc, all arrays from arrays */
	struct json_object *doc; /* owned */
	const char **arrays[8];  /* owned */
	size_t narrays;
};
/* Check all that can be checked without the level: names, sizes, ports, specs, existing files. */
int life_config_check(const struct lodge_config *c, struct lodge_err *e) MUST;
/* Is what --net asks for a network that containers join, by its name? */
bool life_net_is_network(const char *net);
/* ENOTDIR: a volume is a file, which only containers can have. */
int life_volumes_folders(const struct lodge_config *c, struct lodge_err *e) MUST;
/* As JSON, paths made absolute against the current folder. */
struct json_object *life_config_json(const struct lodge_config *c);
/* Take @doc (owned from now on, also on failure) apart; checks types, not meanings. */
int life_config_load(struct life_config **ret, struct json_object *doc, struct lodge_err *e) MUST;
void life_config_free(struct life_config *c); /* NULL is fine */

/* ---- instances: $XDG_DATA_HOME/lodge/instances/NAME ----
 * Names change, and a guest's files are known by their paths to its configuration, its snapshots
 * and its clones: those go by $XDG_DATA_HOME/lodge/by-id/ID, a link that follows the folder. */
enum { LIFE_NAME_MAX = 63, LIFE_ID_MAX = 16 };
struct instance {
	char name[LIFE_NAME_MAX + 1];
	char id[LIFE_ID_MAX + 1]; /* "": made by a version that had none */
	char *place;         /* owned: instances/NAME */
	char *dir, *runtime; /* owned; absolute, and for good. runtime need not exist */
	int dirfd;
	int lock;            /* -1: not held. Held by: a keeper all its life, start, remove */
	char temporary[24];  /* name of the folder until it is published; then "" */
	bool waits;          /* level_env.waits of the keeper that is spawned next */
};
/* What state.json holds. Times are nanoseconds since 1970, 0: never. */
struct life_record {
	enum life state;
	int exit_code;
	int pid;               /* of the keeper, while it lives; for people, not for signals */
	uint64_t created_ns, started_ns, ended_ns;
	char why[128];         /* why it ended */
	char health[12];       /* what its checks say; "": it has none */
	bool oom_killed;       /* since it was started, something in it, for want of memory */
	bool idle;             /* suspended because nobody used it: whoever wants it wakes it up */
	char level[32];
};
/* Make the folder of a guest to be, under a temporary name and locked; dirfd is open on it, dir
 * says where it will be. instance_publish writes config.json and state.json and gives it its
 * name. -EEXIST: the name is in use. */
int instance_new(struct instance **ret, const char *name, struct lodge_err *e) MUST;
int instance_publish(struct instance *i, struct json_object *config, const struct life_record *r,
                     struct lodge_err *e) MUST;
int instance_open(struct instance **ret, const char *name, struct lodge_err *e) MUST;
void instance_free(struct instance *i); /* NULL is fine; an unpublished folder is deleted */
/* The one right to change an instance. -EBUSY: someone has it. -ENOENT: removed meanwhile. */
int instance_lock(struct instance *i, struct lodge_err *e) MUST;
bool instance_locked(const struct instance *i); /* by anyone, now */
/* The record as it truly is: "failed" when a keeper died without a word, or for a damaged file
 * (ret->why says which). Never fails. */
void instance_record(const struct instance *i, struct life_record *ret);
int instance_record_set(struct instance *i, const struct life_record *r,
                        struct lodge_err *e) MUST;
/* In two steps, where the second has to be quick: on disk already, and then in force, which a crash
 * of the host may take back. */
int instance_record_ready(struct instance *i, const struct life_record *r,
                          struct lodge_err *e) MUST;
int instance_record_turn(struct instance *i, struct lodge_err *e) MUST;
int life_record_parse(struct life_record *ret, const char *text, size_t len,
                      struct lodge_err *e) MUST;
int instance_config(const struct instance *i, struct life_config **ret, struct lodge_err *e) MUST;
/* Replace what instance_config reads. */
int instance_config_set(struct instance *i, struct json_object *doc, struct lodge_err *e) MUST;
/* Take the state of a suspended guest away: it is about to run, or shall be booted anew. 0 also
 * when there is none; the lock must be held. */
int life_suspended_drop(const struct instance *i, struct lodge_err *e) MUST;
/* Make the state in the folder @from of instance @of (as snapshots have it) what @i goes on from,
 * with the configuration @doc; nothing is copied. The lock of @i must be held. */
int life_suspended_from(struct instance *i, const struct instance *of, const char *from,
			struct json_object *doc, struct lodge_err *e) MUST;
/* What the folder @dir of a suspend or a snapshot holds: memory in a mem of its own, and the state
 * file, which is malloc'ed. */
int life_state_open(int dir, struct mem **ret, char **ret_state, size_t *ret_len,
                    struct lodge_err *e) MUST;
/* Let @i, which is not published yet, go on from this state and memory. */
int life_state_keep(struct instance *i, const uint8_t *state, size_t len, struct mem *m,
                    struct lodge_err *e) MUST;
/* ---- limits: what lodge_update changes (limit.c) ---- */
/* "KEY=VALUE" as lodge_update takes them, as an object with keys of config.json. */
int life_limits_parse(const char *const *changes, size_t n, struct json_object **ret,
                      struct lodge_err *e) MUST;
int life_limits_check(const struct lodge_config *c, struct lodge_err *e) MUST;
/* EOPNOTSUPP: of a guest @name of the level @l the state cannot be saved, so that one cannot
 * "@what" it. */
int life_unsaved(const struct level *l, const char *name, const char *what,
                 struct lodge_err *e) MUST;
/* The same, if @changes have an --idle-timeout that it would have to be suspended after; 0 (none)
 * is every guest's. */
int life_idle_check(const struct level *l, const char *name, struct json_object *changes,
                    struct lodge_err *e) MUST;
enum life_changes {
	LIFE_CHANGES_ALL,  /* it does not live: it gets other CPUs, and other memory */
	LIFE_CHANGES_LIVE, /* its number of CPUs and its memory stay */
	LIFE_CHANGES_FREE, /* of a level that governs: they are limits alone, and may be none */
};
/* Change @c, or nothing. @ram: its memory, 0: unknown. Texts are borrowed from @changes. */
int life_limits_change(struct lodge_config *c, struct json_object *changes, uint64_t ram,
                       enum life_changes how, struct lodge_err *e) MUST;
/* The same in the instance's config.json; the lock must be held, or this be its keeper. *@ret: what
 * it is then, without texts; NULL is fine. */
int instance_config_change(struct instance *i, struct json_object *changes, uint64_t ram,
                           enum life_changes how, struct lodge_config *ret,
                           struct lodge_err *e) MUST;

/* Who waits for connections to a guest that was suspended for being idle (wait.c) shall end, and
 * let the ports go. The lock must be held. Nobody there is fine. */
void waiter_dismiss(const struct instance *i);

/* What else is kept for the guest, elsewhere, goes by this: its id, or name. Borrowed. */
const char *instance_key(const struct instance *i);
/* Give it the name @name; the lock must be held, or this be its keeper. EEXIST, EINVAL;
 * EOPNOTSUPP: it has no id, and its files are known by its name. */
int instance_rename(struct instance *i, const char *name, struct lodge_err *e) MUST;
/* Delete the folder; the lock must be held (or the folder be too damaged to have one). */
int instance_remove(struct instance *i, struct lodge_err *e) MUST;
/* Names of all instances, sorted, as an array of strings; removes leftovers of killed creates. */
int instance_names(struct json_object **ret, struct lodge_err *e) MUST;
/* $XDG_DATA_HOME/lodge (kind "data"), $XDG_CACHE_HOME/lodge ("cache"), ...; malloc'ed. */
char *life_home(const char *kind);

/* ---- what is kept from run to run in the user's cache (kept.c) ---- */
/* The folder @name of it; -1: there is none that nobody else may write to. */
int life_kept_open(const char *name) MUST;
/* Is @fd of this user alone, and of @type (S_IFREG, S_IFDIR)? */
bool life_kept_ours(int fd, unsigned type);
/* Files that were not used for longest go (a file's time is that of its last use), until they are
 * of @max bytes together. */
void life_kept_trim(int dir, uint64_t max);
/* A process that was forked to write there leaves what the run has, but for the @n descriptors of
 * @stay. False: it has to end. */
bool life_kept_apart(const int *stay, size_t n) MUST;
/* -o cache=on|off; on without it. -EINVAL. */
int life_kept_wanted(const struct lodge_config *c, bool *ret, struct lodge_err *e) MUST;
/* Delete a folder and all below it, never through a symbolic link. 0 also when it is not there. */
int life_remove_tree(const char *path, struct lodge_err *e) MUST;
/* Read all of the small file @name below @dirfd (no link), NUL-ended, owned by the caller. -EFBIG
 * above 1 MiB, -ENOENT. */
int life_file_read(int dirfd, const char *name, char **ret, size_t *ret_len,
                   struct lodge_err *e) MUST;
int life_runtime_check(struct lodge_err *e) MUST; /* can sockets be kept safely? */

/* ---- times of console.log (stamps.c) ---- */
/* Those of the open file @log, console.log or console.log.1 of the instance's folder @dirfd;
 * *@ret_position: bytes that were written before the file began. -1: it has none. */
int life_stamps_find(int dirfd, int log, uint64_t *ret_position);
/* The @i-th: what is at @ret_off, up to the next one, was written at @ret_ns. False past the end.
 */
bool life_stamp_at(int fd, size_t i, uint64_t *ret_off, uint64_t *ret_ns);

/* ---- events (event.c) ---- */
/* Note that @event ("started", ...) happened to the guest @name; @more: members to add, owned from
 * now on, NULL: none. Returns the event, owned by the caller. Never fails: a note that cannot be
 * made is lost. Thread: any. */
struct json_object *life_event(const char *name, const char *event, struct json_object *more);
struct life_event_query {
	const char *name;  /* of a guest; NULL: all */
	uint64_t since_ns; /* since 1970 */
	bool follow;       /* go on with what happens from now on, until @fn ends it */
	int (*fn)(void *user, const char *json); /* not 0: end, and return that */
	void *user;
};
int life_events(const struct life_event_query *q, struct lodge_err *e) MUST;

/* Stats of guests (an array of objects as lodge_stats, with "guest" and "level"; those that do not
 * run have fewer members) in the text format of Prometheus; malloc'ed. NULL: no memory. */
char *life_metrics(struct json_object *guests);

/* What restart policies say; "no" and NULL: nothing. EINVAL. */
struct life_restart {
	bool after_failure, after_success; /* exit codes other than 0, and 0 */
	unsigned max;                      /* times in a row; 0: any */
};
int life_restart_parse(const char *text, struct life_restart *ret, struct lodge_err *e) MUST;

/* ---- the standard streams of a guest that is processes of the host (streams.c) ---- */
struct streams;
/* @over is called when all is drained after streams_gone, perhaps more than once. Loop thread. */
int streams_new(struct streams **ret, struct loop *l, void (*over)(void *user), void *user,
                struct lodge_err *e) MUST;
void streams_free(struct streams *s); /* NULL is fine */
struct chr *streams_console(struct streams *s); /* borrowed; the host side is life's */
/* Make what the guest gets, as @c asks: *ret are its input and its output, owned by the caller, who
 * gives them up by streams_ends_close when the guest has them. Of a terminal both are the same. */
int streams_ends(struct streams *s, const struct lodge_config *c, int ret[2],
                 struct lodge_err *e) MUST;
void streams_ends_close(const int ends[2]);
/* In the place of what was made: the master of a terminal that the guest has, owned from now on. */
void streams_take(struct streams *s, int master);
int streams_watch(struct streams *s, struct lodge_err *e) MUST; /* take what the guest writes */
void streams_go(struct streams *s);    /* and give it what it is sent */
void streams_gone(struct streams *s);  /* nobody of the guest is left: drain, then @over */
void streams_drain(struct streams *s); /* the console gets what has been written so far */
void streams_resize(struct streams *s, unsigned rows, unsigned columns); /* if a terminal */

/* ---- the keeper ---- */
/* A guest that comes in on a stream: its keeper takes memory, disks and state from there. */
struct keeper_from {
	int in, out;   /* borrowed */
};
/* What a stream begins with, for the caller to add to; then hello and files. @o says which memory
 * and disks come, @config is the guest's. */
struct json_object;
int stream_describe(struct outgoing *o, struct json_object *config, const char *level,
                    struct json_object **ret, struct lodge_err *e) MUST;
int stream_hello(struct outgoing *o, struct json_object *hello, struct lodge_err *e) MUST;
int stream_send_files(struct outgoing *o, struct json_object *hello, struct lodge_err *e) MUST;
enum { STREAM_FILES = 4 }; /* kernel, initrd, firmware, guest */
/* A socket that listens at "unix:PATH" or "tcp:HOST:PORT". */
int life_listen(const char *text, struct lodge_err *e) MUST;
/* The folder is not a guest yet, until a keeper has all of it. Before it is published. */
int receiving_note(const struct instance *i, struct lodge_err *e) MUST;
/* Remove such a folder, unless a keeper has it. */
void receiving_drop(struct instance *i);
/* A guest that was moved away (its folder says where) may be started here again. */
int life_moved_forget(const struct instance *i, struct lodge_err *e) MUST;
/* Parse one JSON value of at most @len bytes, at most 16 levels deep. */
struct json_object;
int life_json_parse(struct json_object **ret, const char *text, size_t len,
                    struct lodge_err *e) MUST;

/* Fork a keeper for @i, whose lock it inherits. *ret_leash: the keeper ends when this is closed
 * before the guest has started. Returns when the level's create has succeeded; with @from (else
 * NULL) when the guest runs here. */
int keeper_spawn(struct instance *i, const struct level *l, const struct keeper_from *from,
                 int *ret_leash, struct lodge_err *e) MUST;

/* A listening socket, non-blocking, at @name in the folder @dir; replaces what is there. */
int socket_listen(const char *dir, const char *name, struct lodge_err *e) MUST;

/* ---- talking to a keeper: HTTP/1.1 over its control socket (docs/openapi.yaml) ---- */
/* Connect to @socket ("control.sock", ...) of the instance. -ENOTCONN: no keeper. */
int control_connect(const struct instance *i, const char *socket, struct lodge_err *e) MUST;
/* Send a request and get the answer (NULL: empty). Errors of the keeper come back as ours. */
int control_call(const struct instance *i, const char *method, const char *path,
                 struct json_object *body, struct json_object **ret, struct lodge_err *e) MUST;
/* The same in two steps, for answers that take long. @upgrade: ask for a raw connection. */
int control_send(int fd, const char *method, const char *path, bool upgrade,
                 struct json_object *body, struct lodge_err *e) MUST;
int control_receive(int fd, struct json_object **ret, struct lodge_err *e) MUST;

/* ---- the agent in a guest, host side (guest/agent/PROTOCOL.md) ---- */
enum { AGENT_IN_CAP = 8 + 65536 };
/* Bytes from the agent, taken apart into frames. */
struct agent_in {
	size_t len, used; /* bytes in buf; of them already handed out */
	uint32_t version; /* that the agent speaks; agent_connect */
	uint8_t buf[AGENT_IN_CAP];
};
struct agent_frame {
	unsigned type, channel;
	const uint8_t *payload; /* valid until the next call on the agent_in */
	size_t len;
};
/* Where the next bytes may be put, and how many; always at least one after agent_in_next gave 0. */
uint8_t *agent_in_room(struct agent_in *in, size_t *ret_cap);
void agent_in_add(struct agent_in *in, size_t len);
/* 1: *ret is a whole frame; 0: more bytes are needed; -EPROTO: not our protocol. */
int agent_in_next(struct agent_in *in, struct agent_frame *ret) MUST;
/* Connect to the agent of @i by vsock or by agent.sock and greet it; a blocking socket.
 * -ENOTCONN: it did not answer within @wait_ns. Bytes after the greeting stay in @in. */
int agent_connect(const struct instance *i, uint64_t wait_ns, struct agent_in *in,
                  struct lodge_err *e) MUST;
/* Greet on a connection that the guest has made; nothing is waited for. Its HELLO comes later. */
int agent_hello(int fd) MUST;
/* EXEC's payload for @c with @flags (enum agent_exec_flag), malloc'ed. E2BIG, ENOMEM. */
int agent_exec_make(const struct lodge_exec_config *c, unsigned flags, uint8_t **ret,
                    size_t *ret_len, struct lodge_err *e) MUST;
/* The agent for guests, embedded at build time (agent.mk): a static program of riscv64. */
const uint8_t *agent_program(size_t *ret_len);
/* What a guest that goes on from a state has to be told, beside the time. */
struct agent_news {
	bool renamed; /* its network card has the address @now, no longer @was */
	uint8_t was[6], now[6];
};
/* Let the agent take over @n and set the guest's wall clock to the host's. EOPNOTSUPP: it is of an
 * earlier version, which cannot change addresses; the clock was set. */
int agent_inform(const struct instance *i, const struct agent_news *n, struct lodge_err *e) MUST;
/* Greet, ask one thing (AGENT_SHUTDOWN, ...) and wait for the answer. */
int agent_ask(const struct instance *i, unsigned type, uint64_t wait_ns, struct lodge_err *e) MUST;
