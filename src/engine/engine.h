/* SPDX-License-Identifier: Apache-2.0 */
/* engine: runs vCPUs. An engine is one const table; a hart is attached to one engine and then run
 * on its own thread until it is asked to leave. */
#pragma once
#include "isa/riscv/riscv.h"

struct engine_stats {
	uint64_t instructions;      /* begun since attach */
	uint64_t blocks_made;       /* decoded or translated */
	uint64_t cache_flushes;     /* the block cache was full */
	uint64_t cache_bytes;       /* in use */
	uint64_t units[2];          /* made by the first tier, the optimizing tier */
	uint64_t units_taken;       /* not made, but taken over from another process */
	uint64_t unit_bytes[2];     /* of their host code, in use */
	/* Accesses to memory (loads, stores, atomics; not what other instructions access) of
	 * generated code: through the TLB, and through windows. Not counted: instructions of
	 * generated code, which are, times the accesses that an instruction makes in windows of
	 * 2,000 instructions that are interpreted, one in 16 million, at random. With @samples of
	 * them that is right to about 1 / sqrt(@samples) of itself. A hit rate of 1 - misses /
	 * accesses is then wrong by that part of its misses. 0 samples: not known yet. */
	uint64_t accesses_tlb, accesses_mirror;
	uint64_t samples;
	/* of generated code */
	uint64_t entered;           /* times that it was, from outside */
	uint64_t tlb_misses;        /* accesses that were made by a C function */
	uint64_t mirror_faults;     /* of them those that faulted in a window */
	uint64_t mirror_maps, mirror_pages; /* mappings made in windows, and their pages */
	uint64_t mirror_drops;      /* pages that lost rights there */
};

struct engine {
	const char *name, *summary;
	/* Can this host run it? NULL: any can. -ENOTSUP and what is missing. */
	int (*probe)(struct lodge_err *e);
	/* Give @h what it needs to run here (h->engine). Errors: ENOMEM. */
	int (*attach)(struct rv_hart *h, struct lodge_err *e);
	void (*detach)(struct rv_hart *h);      /* accepts a hart that is not attached */
	/* Run until one of RV_REQ_LEAVE is requested; the bit is left set. Thread: the hart's. */
	void (*run)(struct rv_hart *h);
	void (*stats)(const struct rv_hart *h, struct engine_stats *ret);
	/* Give @env what processes that descend from this one share of their code (env->share), for
	 * harts that are attached later; NULL: nothing. Errors: ENOMEM. unshare: no thread but this
	 * one runs; harts that are attached go on without. */
	int (*share)(struct rv_env *env, struct lodge_err *e);
	void (*unshare)(struct rv_env *env);
	/* Around fork(2), on the hart's thread, which may be in run: the child's engine is a copy
	 * that shares nothing. Harts of other threads cannot run in the child. NULL: nothing needs
	 * to be done. fork_begin fails: do not fork. */
	int (*fork_begin)(struct rv_hart *h, struct lodge_err *e);
	void (*fork_end)(struct rv_hart *h, bool in_child);
	/* In the child: detach @h, whose thread is not there. @calm: that was in no code of the
	 * engine's when the process was copied; else only what is whole at any time is freed. */
	void (*forget)(struct rv_hart *h, bool calm);
};
const struct engine *engine_at(size_t i);               /* NULL past the end */
/* The one to take when none is asked for: the last of engines.def that this host can run. */
const struct engine *engine_default(void);
const struct engine *engine_find(const char *name);     /* NULL: none by that name */
