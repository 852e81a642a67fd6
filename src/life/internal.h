/* SPDX-License-Identifier: Apache-2.0 */
/* life, inside: files, console, control requests and the keeper that holds them. */
#pragma once
#include "host/host.h"
#include "life/life.h"
#include <json-c/json.h>

extern const struct host_library life_microhttpd; /* see microhttpd.c */

/* ---- home.c: folders of the user ---- */
int home_make(const char *path, struct lodge_err *e) MUST; /* with parents, mode 0700 */
int home_make_private(const char *path, struct lodge_err *e) MUST;

/* ---- json.c: json-c with our bounds and errors ---- */
/* Parse exactly one JSON value of at most @len bytes, at most 16 levels deep. */
int json_parse(struct json_object **ret, const char *text, size_t len, struct lodge_err *e) MUST;
/* Members of an object; false: absent or of another type (the result is then not written). */
bool json_text(struct json_object *o, const char *key, const char **ret);
bool json_i64(struct json_object *o, const char *key, int64_t *ret);
void json_put_text(struct json_object *o, const char *key, const char *v); /* NULL: skipped */
void json_put_i64(struct json_object *o, const char *key, int64_t v);
/* An error as the body of an HTTP answer or of --format json. */
struct json_object *json_error(int code, const char *msg);

/* ---- stamps.c: the times of what is in console.log ---- */
struct stamps {
	int fd;             /* owned; -1: none, and nothing is noted */
	uint64_t size;      /* bytes of the file */
	uint64_t last_ns;
};
/* For the open file @log, before which there were *@position bytes; if it is known better, that is
 * what *@position becomes. */
void stamps_open(struct stamps *s, int dirfd, int log, uint64_t *position);
void stamps_close(struct stamps *s);
/* What is written at @off of the file is of now. */
void stamps_add(struct stamps *s, uint64_t off, uint64_t now_ns);
void stamps_rotate(struct stamps *s, int dirfd); /* the log becomes the one before */

/* ---- console.c: the guest's console, its log, its watchers ---- */
struct console;
int console_new(struct console **ret, int dirfd, struct loop *l, struct log *log,
                struct lodge_err *e) MUST;
void console_free(struct console *c);
/* Bytes that the log may take on the disk, with its times; 0: the default. */
void console_limit(struct console *c, uint64_t bytes);
uint64_t console_dropped(const struct console *c); /* bytes that are in no log any more */
void console_connect(struct console *c, struct chr *chr); /* chr NULL: take what is left, let go */
/* A client socket (owned from now on, non-blocking). @closed runs when it is done with. */
int console_join(struct console *c, int sock, uint64_t replay, const void *early, size_t early_len,
                 void (*closed)(void *arg), void *arg, struct lodge_err *e) MUST;
/* Tell clients that no more comes: each is closed when it has got everything. */
void console_end(struct console *c);
bool console_idle(const struct console *c); /* no clients */
uint64_t console_traffic(const struct console *c); /* bytes, both ways */

/* ---- control.c: requests, without a network ---- */
struct keeper;
struct control_request {
	const char *method, *path;
	const char *(*query)(void *arg, const char *key); /* NULL: not given */
	void *arg;
	const char *body;
	size_t body_len;
};
enum control_kind { CONTROL_REPLY, CONTROL_WAIT, CONTROL_CONSOLE, CONTROL_EVENTS, CONTROL_TEXT };
struct control_reply {
	enum control_kind kind;
	unsigned status;          /* HTTP */
	struct json_object *body; /* owned by the receiver; NULL: empty */
	uint64_t replay;          /* CONTROL_CONSOLE */
	char *text;               /* CONTROL_TEXT; owned by the receiver */
};
/* What it answers: method and path of the @i-th route; false past the end. */
bool control_route(size_t i, const char **ret_method, const char **ret_path);
void control_handle(struct keeper *k, const struct control_request *q, struct control_reply *ret);

/* ---- server.c: the control socket ---- */
struct server;
int server_new(struct server **ret, struct keeper *k, int listen_fd, struct lodge_err *e) MUST;
void server_free(struct server *s);
void server_ended(struct server *s); /* answer those who wait */
void server_event(struct server *s, struct json_object *event); /* tell those who listen */
bool server_idle(const struct server *s);

/* ---- bridge.c: agent.sock to the level's byte channel ---- */
struct bridge;
int bridge_new(struct bridge **ret, struct loop *l, int listen_fd, struct chr *chr,
               struct lodge_err *e) MUST;
void bridge_free(struct bridge *b);
bool bridge_used(const struct bridge *b); /* there is a client; NULL is fine */

/* ---- runtime.c: the folder of sockets ---- */
int runtime_make(const struct instance *i, struct lodge_err *e) MUST;
void runtime_remove(const struct instance *i);
/* Its folder can be reached by the guest's name, from now on or no more. */
void runtime_name(const struct instance *i);
void runtime_unname(const struct instance *i);
/* The address of @dir/@name; @dirfd is @dir open, for paths that are too long. */
struct sockaddr_un;
int socket_address(int dirfd, const char *dir, const char *name, struct sockaddr_un *ret) MUST;

/* ---- suspend.c: a guest's state on disk ---- */
#define SUSPENDED "suspended"
#define SUSPENDED_NEW ".suspended.new"
#define SUSPENDED_OLD ".suspended.old"
/* Does @i have a state that it goes on from? */
bool suspended_exists(const struct instance *i);
/* The configuration that the state brings along, if any, becomes the guest's. */
int suspended_config(const struct instance *i, struct lodge_err *e) MUST;
struct keeper;
struct save_out;
/* The state but memory; *@ret_id ties both. The guest stands still. */
int saving_gather(struct keeper *k, struct save_out **ret, uint64_t *ret_id,
		  struct lodge_err *e) MUST;
/* A new empty folder @name below @dirfd; *@ret is owned. */
int saving_folder(int dirfd, const char *name, int *ret, struct lodge_err *e) MUST;
/* Both files into the folder @dir, durably. */
int saving_write(struct save_out *o, uint64_t id, struct mem *m, int dir,
		 struct lodge_err *e) MUST;
/* Write the guest's state; it stands still. On failure nothing is left behind. */
int keeper_save(struct keeper *k, struct lodge_err *e) MUST;
/* Load it into the guest that create made. */
int keeper_load(struct keeper *k, struct lodge_err *e) MUST;
/* Memory for a state, where the level makes it by that. */
int keeper_fit_state(struct keeper *k, const struct save_in *in, struct lodge_err *e) MUST;
/* Load a state whose memory is there already. */
int keeper_load_state(struct keeper *k, const struct save_in *in, struct lodge_err *e) MUST;
/* Let the guest's agent set its clock, in the background: it may have no agent. */
void keeper_inform(const struct keeper *k);

/* ---- snapshot.c ---- */
/* A snapshot being written by a child, which has the guest's memory as it was at its birth. */
struct saver {
	char name[LIFE_NAME_MAX + 1];
	pid_t pid;                  /* 0: none */
	int fd;                     /* owned: the child's last word; -1 */
	struct loop_watch *watch;
	int result;                 /* of the last one; 1: it is being written */
	char why[256];
	uint64_t pause_ns;          /* how long the guest stood still for it */
};
/* config.json as it is now. */
int config_read(const struct instance *i, struct json_object **ret, struct lodge_err *e) MUST;
int keeper_snapshot(struct keeper *k, struct json_object *args, struct lodge_err *e) MUST;
void keeper_snapshot_describe(const struct keeper *k, struct json_object *out);
void keeper_snapshot_abort(struct keeper *k);

/* ---- moved.c: a guest that is elsewhere, or not all here ---- */
bool moved_to(const struct instance *i, char ret[128]);
/* Ready to be noted, which is then quick. */
int moved_prepare(const struct instance *i, const char *to, struct lodge_err *e) MUST;
int moved_note(const struct instance *i, struct lodge_err *e) MUST;
bool receiving(const struct instance *i);
int receiving_forget(const struct instance *i, struct lodge_err *e) MUST; /* the caller syncs */

/* ---- address.c ---- */
int address_connect(const char *text, struct lodge_err *e) MUST; /* a blocking socket */

/* ---- migrate.c: away ---- */
enum migrate_state { MIGRATE_NONE, MIGRATE_MOVING, MIGRATE_DONE, MIGRATE_FAILED, MIGRATE_DOUBT };
struct migration {
	struct keeper *keeper;      /* borrowed */
	bool on;                    /* all below that is owned may be there */
	bool live;                  /* the guest runs meanwhile */
	bool tracked;               /* it is known what it writes */
	bool gone;                  /* atomic: give up */
	char to[160], label[160];   /* the address; what people call it */
	int fd;                     /* owned; -1 */
	struct wire wire;           /* owned by whoever is at work: a thread, or the loop */
	struct outgoing out;
	struct json_object *config; /* owned */
	uint64_t *bits;             /* owned: frames that were written */
	pthread_t thread;
	bool threaded;
	int step;                   /* result of the thread, and why */
	struct lodge_err err;
	enum migrate_state state;   /* of the last one, and below what is known of it */
	int result;
	char why[320];
	unsigned rounds, bursts;
	uint64_t rate, left, pause_ns;
};
int keeper_migrate(struct keeper *k, struct json_object *args, struct lodge_err *e) MUST;
void keeper_migrate_describe(const struct keeper *k, struct json_object *out);
void keeper_migrate_abort(struct keeper *k);

/* ---- receive.c: here ---- */
struct arrival {
	bool on;
	int in, out;                /* owned */
	bool paused;
	struct wire wire;
};
/* Take memory, disks and state from the stream. */
int keeper_receive(struct keeper *k, struct lodge_err *e) MUST;
/* All is there: tell the source, and run the guest when it says so. */
int keeper_take_over(struct keeper *k, struct lodge_err *e) MUST;
/* @why NULL: all went well. */
void keeper_receive_end(struct keeper *k, const struct lodge_err *why);

/* ---- settle.c: private RAM becomes a memfd again ---- */
struct settle {
	struct keeper *keeper;      /* borrowed; set while it is on */
	struct loop_timer *timer;   /* owned; NULL: never needed */
	bool on;                    /* thread and memfd are there */
	pthread_t thread;
	int memfd;
	int result;                 /* of the thread */
	struct lodge_err err;
	unsigned tries;             /* that were in vain: the next comes later */
	uint64_t cpu_ns;            /* of this process when RAM was seen to be private */
	uint64_t pause_ns;          /* how long the guest stood still the last time */
};
/* RAM may have become private: see to it. */
void keeper_settle(struct keeper *k);
/* Whatever needs RAM for itself comes first. */
void keeper_settle_stop(struct keeper *k);
void keeper_settle_describe(const struct keeper *k, struct json_object *out);

/* ---- limit.c ---- */
struct limiter {
	struct rate cpu;            /* ns of CPU time of the whole keeper */
	uint64_t used_ns;           /* at the last look */
	struct loop_timer *timer;
	bool held;
	uint64_t held_ns, held_since_ns;
	struct host_cgroup *group;  /* owned; NULL: none */
	bool by_group, by_level, pinned;
	unsigned weight;            /* that was set without a group */
	char warnings[1024];        /* what is not enforced */
};
/* A guest with a limit of memory is asked now and then what it had to kill (oom.c). */
struct oom {
	struct loop_timer *timer; /* owned; NULL: there was never a limit */
	bool known;               /* seen is of the time since there is one */
	uint64_t seen;
};
void keeper_oom(struct keeper *k); /* the guest runs (again), or its limits are others */
void keeper_record(struct keeper *k); /* write state.json */
/* All limits of the configuration, from now on. */
void keeper_limit(struct keeper *k, struct life_warnings *w);
void keeper_limit_tick(void *k); /* of the timer */
void keeper_limit_run(struct keeper *k); /* the guest runs (again) */
int keeper_update(struct keeper *k, struct json_object *args, struct lodge_err *e) MUST;
uint64_t keeper_used_ns(const struct keeper *k); /* CPU time, the guest's too */
void keeper_limit_describe(const struct keeper *k, struct json_object *out);
void keeper_limit_stats(const struct keeper *k, struct json_object *out);
/* Put the limits of @c into @o, a configuration. */
void life_limits_json(const struct lodge_config *c, struct json_object *o);

/* ---- idle.c: suspended when nobody uses it ---- */
struct idler {
	struct loop_timer *timer;   /* owned; NULL: never needed */
	uint64_t active_ns;         /* when it was last seen at work, on CLOCK_MONOTONIC */
	uint64_t looked_ns, cpu_ns, console; /* at the last look */
	bool suspends;              /* it is being suspended for that reason */
	char refused[160];          /* why the last attempt failed */
};
/* Look from now on, as its configuration says: it runs, or that has changed. */
void keeper_idle(struct keeper *k);
void keeper_idle_describe(const struct keeper *k, struct json_object *out);
/* "idle for 10 s" */
void keeper_idle_why(const struct keeper *k, char ret[64]);

/* ---- wait.c: the sockets of a guest that is not there ---- */
/* What is kept while the guest is suspended; descriptors are owned. */
struct held {
	struct life_socket s[LIFE_SOCKETS_MAX];
	size_t n;
};
void held_close(struct held *h);
/* Take over what another process holds for @i, whose lock is held; nobody there is fine. */
void held_take(struct held *h, const struct instance *i);
/* Let go of the folder of @i, which is suspended, and wait. True: somebody connects to
 * h->s[*ret_which]; the lock is held again, and the guest is as it was. False: it is somebody
 * else's business from now on, and @h is empty. */
bool waiter_run(struct instance *i, struct held *h, struct log *log, size_t *ret_which) MUST;
/* Refuse those who wait at the sockets. */
void held_refuse(struct held *h);

/* ---- restart.c ---- */
struct restarter {
	struct loop_timer *timer;
	uint64_t delay_ns;  /* before the next start */
	unsigned count;     /* short runs in a row that were started again */
	bool stopped;       /* somebody wants it to stop */
};
/* The guest has ended: make it again and start it soon. False: it shall not, or cannot. */
bool keeper_restart(struct keeper *k);
void keeper_restart_now(void *k); /* of the timer */

/* ---- keeper.c ---- */
struct keeper {
	struct instance *inst;      /* borrowed; locked */
	const struct level *level;  /* borrowed */
	void *self;                 /* the level's guest; NULL before create */
	struct life_config *config; /* owned */
	struct level_env env;
	struct loop *loop;
	struct log log;
	int log_fd;
	struct console *console;
	struct server *server;
	struct bridge *bridge;
	struct loop_timer *timer;    /* timeout_ns, then the wait for the last clients */
	struct loop_timer *stopping; /* stop's patience */
	struct loop_watch *leash_watch, *signal_watch;
	int signal_fd;               /* owned; -1: none */
	unsigned umask;              /* of the starter */
	int leash;                   /* the starter's end tells that it lives; -1: let go */
	struct life_record record;   /* as it is now */
	struct life_record earlier;  /* as it was before this keeper: kept when it never starts */
	bool asked;                  /* the level passed the wish to stop on to the guest */
	bool gone;                   /* the guest has ended */
	bool killed, timed_out;
	bool suspended;              /* its state was written: it ends without having ended */
	bool restoring;              /* it goes on from a saved state */
	struct saver saver;
	struct settle settle;
	struct migration migration;
	struct arrival from;
	struct limiter limiter;
	struct restarter restarter;
	struct oom oom;
	struct idler idler;
	struct held held;            /* before create, and after a suspend for being idle */
	char woken[96];              /* who connected; "": nobody did */
	uint64_t linger_until_ns;
	pthread_mutex_t end_lock;    /* of end_* below: ended may come from any thread */
	bool end_posted;
	int end_code;
	char end_why[128];
};
/* Build all parts around inst, level and leash; half-built is for keeper_fini. */
int keeper_build(struct keeper *k, struct lodge_err *e) MUST;
void keeper_run(struct keeper *k);  /* until the guest is gone and everybody has been told */
void keeper_fini(struct keeper *k);
void keeper_ended(void *user, int exit_code, const char *why); /* level_env.ended */
/* One row of verbs.def: what a verb does to a running keeper. */
int keeper_verb(struct keeper *k, const char *name, struct json_object *args,
                struct lodge_err *e) MUST;
/* EOPNOTSUPP: its state cannot be saved, so that one cannot "suspend" it. */
int keeper_rename(struct keeper *k, const char *name, struct lodge_err *e) MUST;
int keeper_unsaved(const struct keeper *k, const char *what, struct lodge_err *e) MUST;
/* Note it for all, and tell those who listen here; @more as life_event. */
void keeper_event(struct keeper *k, const char *event, struct json_object *more);
void keeper_died(struct keeper *k, int exit_code, const char *why); /* say so */
/* Make the level's guest; take it down. */
int keeper_level(struct keeper *k, struct lodge_err *e) MUST;
void keeper_level_end(struct keeper *k);
void keeper_describe(struct keeper *k, struct json_object *out);
void keeper_stats(struct keeper *k, struct json_object *out);
void keeper_resize(struct keeper *k, unsigned rows, unsigned columns);
/* Called when a client has gone: the keeper may be waiting for the last one. */
void keeper_client_gone(struct keeper *k);
