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
};

struct engine {
	const char *name, *summary;
	/* Can this host run it? NULL: any can. -ENOTSUP and what is missing. */
	int (*probe)(struct lodge_err *e);
	/* Give @h what it needs to run here (h->engine). Errors: ENOMEM. */
	int (*attach)(struct rv_hart *h, struct lodge_err *e);
	void (*detach)(struct rv_hart *h);      /* accepts a hart that is not attached */
	/* Run until RV_REQ_STOP or RV_REQ_PAUSE is requested; the bit is left set. Thread: the
	 * hart's. */
	void (*run)(struct rv_hart *h);
	void (*stats)(const struct rv_hart *h, struct engine_stats *ret);
};
const struct engine *engine_at(size_t i);               /* NULL past the end */
/* The one to take when none is asked for: the last of engines.def that this host can run. */
const struct engine *engine_default(void);
const struct engine *engine_find(const char *name);     /* NULL: none by that name */
