/* SPDX-License-Identifier: Apache-2.0 */
/* level/wasm, private: what the foreground's program and the keeper's are made of.
 *
 *   keeper.c ---asks, by a socket, and a signal---> program.c, which answers
 *   while it stands still */
#pragma once
#include "box/box.h"
#include "life/life.h"
#include "wasi/wasi.h"
#include "wat/wat.h"

enum { FOLDERS_MAX = 64, SOCKETS_MAX = 16, SIGNAL_KICK = 64 };

/* What a configuration asks for. All of it is there as long as the process is. */
struct plan {
	struct life_volume volumes[FOLDERS_MAX];
	struct box_bind binds[FOLDERS_MAX];
	char places[FOLDERS_MAX][24]; /* of the folders in the box: /0, /1, ... */
	struct wasi_folder folders[FOLDERS_MAX];
	size_t n;
	uint64_t fuel;
	const char *listens; /* borrowed: addresses of sockets, with commas between; or NULL */
	int keep[1 + SOCKETS_MAX]; /* the way out of the box, or -1; the sockets */
	size_t n_keep;
	bool keeps_code; /* in the cache folder */
	char *bytes; /* the module, owned */
	size_t len;
	bool mapped; /* they are the file's, which may change */
	const char **argv; /* owned */
};
enum { LAZY_FROM = 16 << 20 }; /* modules as large as this are validated as they are called */
static inline unsigned plan_flags(const struct plan *p) /* of wasm_module_new */
{
	return (p->len >= LAZY_FROM ? WASM_LAZY : 0u) | (p->mapped ? WASM_MAPPED : 0u);
}
/* wasm.c: check @c, for the foreground or a keeper. EINVAL, with what to do instead. */
int plan_make(struct plan *p, const struct lodge_config *c, bool kept, struct lodge_err *e) MUST;
/* Is the file @path, which begins with these bytes, a module in the text format? */
bool text_is_module(const char *path, const char *bytes, size_t len);

/* ---- from the keeper to the program and back, one answer to each ---- */
enum ask {
	ASK_HALT,  /* stand still */
	ASK_STATE, /* write the sections into the file that comes along; value: bytes of pages */
	ASK_PAGES, /* write those into the file that comes along */
	ASK_GO,
	ASK_READY, /* of the program alone: it is about to run, or why not */
};
struct message {
	enum ask what;
	int result;           /* of answers: 0 or -errno */
	uint64_t value;
	struct lodge_err err; /* of answers */
};
/* One whole message, with a descriptor (-1: none; a received one is owned). False: it broke; errno
 * EAGAIN: @wait is false, and there is none. */
static inline bool message_send(int fd, const struct message *m, int pass)
{
	return host_packet_send(fd, m, sizeof *m, pass);
}
static inline bool message_receive(int fd, struct message *m, int *ret_passed, bool wait)
{
	return host_packet_receive(fd, m, sizeof *m, wait, ret_passed) == (ssize_t)sizeof *m;
}

/* ---- code_cache.c: compiled code of large modules, from run to run ---- */
struct code_cache {
	char name[65];
	uint8_t module[32]; /* wasm_code_key of what it is the name of */
	int dir;         /* of the folder; -1 */
	uint8_t *bytes;  /* what is there for this module; a mapping, NULL: nothing */
	size_t len;
	int tell;        /* for code_cache_tell; -1: nobody listens */
};
/* Before the box: look for code, and start the process that will write some. */
void code_cache_open(struct code_cache *k, const struct plan *p);
/* Is this still the module that code_cache_open saw? */
bool code_is_of(const struct code_cache *k, const uint8_t *bytes, size_t len);
/* At the end of the run, in the box: which functions were compiled, to code_cache.tell, which is
 * @fd now. */
void code_cache_tell(const struct wasm *w, int fd);

/* ---- program.c ---- */
struct kept {
	int control;              /* its end; owned */
	int in, out;              /* of the program: both the same for a terminal; owned */
	bool tty;
	unsigned umask;
	const struct save_in *state; /* NULL: it begins; else it goes on from that when asked */
	uint8_t *pages;           /* of the state */
	uint64_t npages;
};
/* This process becomes the program, in the foreground: returns on failure only. */
int program_become(struct plan *p, const struct lodge_config *c, struct lodge_err *e);
/* In a child of the keeper: this process becomes the program. */
_Noreturn void program_kept(const struct lodge_config *c, const struct kept *k);
/* Sections of a state, for wasm_load and wasi_load; @user: the save_in. */
const uint8_t *program_section(void *user, const char *name, size_t *ret_len);

/* ---- keeper.c: the level's functions ---- */
int guest_create(void **ret, const struct level_env *env, const struct lodge_config *c,
		 struct lodge_err *e);
int guest_start(void *self, struct lodge_err *e);
int guest_pause(void *self, struct lodge_err *e);
int guest_resume(void *self, struct lodge_err *e);
int guest_stop(void *self, struct lodge_err *e);
int guest_kill(void *self, struct lodge_err *e);
int guest_signal(void *self, int sig, struct lodge_err *e);
void guest_destroy(void *self);
struct chr *guest_console(void *self);
void guest_resize(void *self, unsigned rows, unsigned columns);
void guest_inspect(void *self, struct json_object *out);
void guest_limit(void *self, const struct lodge_config *c, struct life_warnings *w);
void guest_hold(void *self, bool on);
uint64_t guest_cpu_ns(void *self);
int guest_save(void *self, struct save_out *o, struct lodge_err *e);
int guest_fit(void *self, const struct save_in *in, struct lodge_err *e);
int guest_load(void *self, const struct save_in *in, struct lodge_err *e);
struct mem *guest_memory(void *self);
