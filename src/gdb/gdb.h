/* SPDX-License-Identifier: Apache-2.0 */
/* gdb: a debugger's end of a guest, by the remote serial protocol (GDB 13 §E). Knows no guest: what
 * it shows, it asks of a struct gdb_target, the level's. All threads stop and go together, and the
 * guest stands still when a session begins. */
#pragma once
#include "base/base.h"

/* ---- registers ---- */
struct gdb_reg {
	char name[8];
	const char *feature;    /* of the target description */
	const char *type;       /* there */
	uint16_t bits;
};
enum { GDB_REGS_MAX = 128, GDB_REG_BYTES = 64 };
/* Numbers of the registers of riscv. */
enum {
	GDB_RV_X = 0,
	GDB_RV_PC = 32,
	GDB_RV_F = 33,
	GDB_RV_FFLAGS = 65,
	GDB_RV_FRM,
	GDB_RV_FCSR,
	GDB_RV_VSTART, GDB_RV_VXSAT, GDB_RV_VXRM, GDB_RV_VCSR, GDB_RV_VL, GDB_RV_VTYPE,
	GDB_RV_VLENB,
	GDB_RV_V,
};
/* What a CPU has, in order of numbers, and types that features want. */
struct gdb_cpu {
	const char *architecture, *osabi; /* osabi NULL: none */
	struct gdb_reg reg[GDB_REGS_MAX];
	unsigned n;
	unsigned vector_bytes;  /* of a vector register; 0: there are none */
};
/* RV64GC, with vector registers of @vector_bytes (0: without), at most GDB_REG_BYTES. */
void gdb_cpu_riscv(struct gdb_cpu *ret, const char *osabi, unsigned vector_bytes);
/* Register @n of @h, and back; @pc is the caller's, for it knows where its harts stand. Setting
 * vtype, vl and the like makes of them what vsetvl would. False: there is none of that number. */
struct rv_hart;
bool gdb_riscv_get(const struct rv_hart *h, uint64_t pc, unsigned n, uint8_t ret[GDB_REG_BYTES]);
bool gdb_riscv_set(struct rv_hart *h, uint64_t *pc, unsigned n, const uint8_t v[GDB_REG_BYTES]);
/* The target description, malloc'ed; NULL: no memory. */
char *gdb_cpu_xml(const struct gdb_cpu *c, size_t *ret_len);

/* ---- what is debugged ---- */
enum gdb_why { GDB_SIGNAL, GDB_BREAK, GDB_EXEC, GDB_NOTHING };
struct gdb_stop {
	int thread;
	int signal;             /* of Linux */
	enum gdb_why why;       /* GDB_BREAK: at a breakpoint; GDB_EXEC: a new program */
	const char *exec;       /* of GDB_EXEC: its path; valid for the call */
};
/* How a thread goes on: the first one that fits counts; a thread without one stands. */
struct gdb_action {
	int thread;             /* -1: any */
	bool step;
	int signal;             /* of Linux, which it gets; 0: none */
};
/* All but resume are called while the guest stands. Thread: gdb_input's. Errors: -errno. */
struct gdb_target {
	/* Fill @ret; returns how many there are (at most @cap were filled). Never 0. */
	size_t (*threads)(void *user, int *ret, size_t cap);
	void (*thread_name)(void *user, int thread, char *ret, size_t cap);
	/* By the numbers of gdb_cpu, little-endian, as many bytes as it has. */
	bool (*reg_get)(void *user, int thread, unsigned n, uint8_t ret[GDB_REG_BYTES]);
	bool (*reg_set)(void *user, int thread, unsigned n, const uint8_t v[GDB_REG_BYTES]);
	/* Bytes that could be read, or an error if none could. */
	ssize_t (*mem_read)(void *user, uint64_t at, void *buf, size_t len);
	int (*mem_write)(void *user, uint64_t at, const void *buf, size_t len);
	/* Where code may not be run past; memory reads as if there were none. Set twice is once. */
	int (*breakpoint)(void *user, uint64_t at, bool set);
	/* The guest goes on; the next stop is told by gdb_stopped. */
	void (*resume)(void *user, const struct gdb_action *a, size_t n);
	/* Make all threads stop, soon; gdb_stopped follows. The guest may be at it already. */
	void (*interrupt)(void *user);
	void (*detach)(void *user);     /* no breakpoints any more; it goes on alone */
	void (*kill)(void *user);
	/* Signals (bit n - 1 for n) that need not stop it. */
	void (*pass)(void *user, uint64_t signals);
	/* What qXfer's objects hold: bytes copied from @off on, 0: the end. */
	ssize_t (*auxv)(void *user, uint64_t off, void *buf, size_t len);
	ssize_t (*siginfo)(void *user, int thread, uint64_t off, void *buf, size_t len);
	/* The program's path; 0 or an error. */
	int (*exec_file)(void *user, char *ret, size_t cap);
	/* Files in the guest's eyes, read-only: a descriptor of the host, which gdb.c closes. */
	int (*open)(void *user, const char *path);
	ssize_t (*readlink)(void *user, const char *path, char *ret, size_t cap);
};

/* ---- a session ---- */
struct gdb;
/* @send takes all bytes; called with the session's lock held. @target, @cpu, @user are borrowed. */
int gdb_new(struct gdb **ret, const struct gdb_target *target, const struct gdb_cpu *cpu,
            void *user, void (*send)(void *user, const void *data, size_t len),
            struct lodge_err *e) MUST;
void gdb_free(struct gdb *g);
/* Bytes from the debugger, any number. False: it has detached, or the guest was killed. */
bool gdb_input(struct gdb *g, const void *data, size_t len) MUST;
/* The guest has stopped. Thread: gdb_input's. */
void gdb_stopped(struct gdb *g, const struct gdb_stop *s);
/* Does the debugger want to hear of GDB_EXEC? Any thread. */
bool gdb_wants_exec(const struct gdb *g);
/* The process ends with exit code @code, or by @signal if that is not 0. Any thread. */
void gdb_ended(struct gdb *g, int code, int signal);

/* ---- where the debugger comes from ---- */
struct gdb_port {
	int listener;           /* owned; -1: none, in and out are there */
	int in, out;            /* owned; may be the same */
	char path[108];         /* of the socket, removed by gdb_port_fini; "": none */
	char text[160];         /* for people */
};
/* Listen at @where: a TCP port on 127.0.0.1 ("1234", ":1234", "0": any), the path of a unix socket
 * ("unix:PATH" or with a slash), or "-": standard input and output, whose place /dev/null and
 * standard error take. */
int gdb_listen(struct gdb_port *p, const char *where, struct lodge_err *e) MUST;
/* Wait for the debugger. */
int gdb_accept(struct gdb_port *p, struct lodge_err *e) MUST;
void gdb_port_fini(struct gdb_port *p);
