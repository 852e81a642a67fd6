/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the room share: modules as they are decoded, code as it is run. */
#pragma once
#include "host/host.h"
#include "ir/ir.h"
#include "wasm/wasm.h"

enum {
	PAGE = 65536,
	LOCALS_MAX = 50000,    /* of a function, as the engines of browsers have it */
	SLOTS_MAX = 65000,     /* of a frame: their numbers have 16 bits */
	TABLE_MAX = 10000000,  /* elements */
	COUNT_MAX = 1000000,   /* functions, types, ... of a module */
	PAGES32 = 65536,       /* of a memory with 32-bit addresses */
	FRAMES_SHOWN = 32      /* of a trap */
};
#define MEMORY_SPAN (8ull << 30) /* what a 32-bit address and a 32-bit offset reach, and a page */

/* ---- reading (reader.c): the first error stays, and what is read then is 0 ---- */
struct reader {
	const uint8_t *base, *p, *end;
	struct lodge_err *e;
	int bad; /* 0, -EBADMSG, -EINVAL, -ENOTSUP */
};
/* Note the first error, with its offset. Returns r->bad. */
int reader_fail(struct reader *r, int code, const char *fmt, ...) PRINTF(3, 4);
uint8_t reader_none(struct reader *r); /* there is no byte */
static inline uint8_t reader_byte(struct reader *r)
{
	return likely(r->p < r->end && !r->bad) ? *r->p++ : reader_none(r);
}
uint32_t reader_long_u32(struct reader *r);
static inline uint32_t reader_u32(struct reader *r)
{
	return likely(r->p < r->end && !(*r->p & 0x80) && !r->bad) ? *r->p++ : reader_long_u32(r);
}
uint64_t reader_u64(struct reader *r);
int64_t reader_signed(struct reader *r, unsigned bits); /* 32, 33, 64 */
const uint8_t *reader_bytes(struct reader *r, uint64_t n); /* NULL: not so many are left */
const char *reader_name(struct reader *r, uint32_t *ret_len); /* UTF-8 */
/* How many entries of at least @least bytes follow; more than fit is an error. */
uint32_t reader_count(struct reader *r, const char *what, uint32_t least);
/* Room for @n entries of @size bytes behind @have of them, all zero. */
void *array_more(struct reader *r, void *at, size_t size, uint32_t have, uint32_t n);
#define MORE(r, array, count, n) ((array) = array_more(r, array, sizeof *(array), count, n))

/* ---- types (type.c) ---- */
struct wasm_module;
enum { TYPE_OF = 8, /* bits below the number of a typed reference */
       ANY_REFERENCE = 0x64 | WASM_NONNULL /* of unknown type, in code that is never reached */ };
uint32_t reader_type(struct reader *r, const struct wasm_module *m);
/* The same; @what it is of, if it is malformed. */
uint32_t reader_type_as(struct reader *r, const struct wasm_module *m, const char *what);
uint32_t reader_reference(struct reader *r, const struct wasm_module *m);
uint32_t reader_heap(struct reader *r, const struct wasm_module *m); /* as one that may be null */
void types_read(struct wasm_module *m, struct reader *r); /* the section */
static inline bool type_is_typed(uint32_t t)
{
	return (t & 0x7f) == WASM_REF;
}
bool type_is_reference(uint32_t t);
bool type_is_function(uint32_t t);   /* a reference of functions */
static inline bool type_is_exception(uint32_t t)
{
	return (t & ~(uint32_t)WASM_NONNULL) == WASM_EXNREF;
}
/* May a value of type @is be where @want is wanted? Spec: WASM-CORE 2.0 §3.3, of
 * 3.0 matching of references */
bool type_fits(uint32_t is, uint32_t want);
uint32_t type_of_function(const struct wasm_module *m, uint32_t func); /* of its references */
bool types_fit(const uint32_t *is, const uint32_t *want, uint32_t n);
static inline uint32_t type_nonnull(uint32_t t) /* of a reference */
{
	return t ? t | WASM_NONNULL : (uint32_t)ANY_REFERENCE;
}
/* Of a reference: it has no first value. */
static inline bool type_is_nonnull(uint32_t t) { return t & WASM_NONNULL; }
struct type_text {
	char s[24];
};
struct type_text type_text(uint32_t t);

/* ---- modules ---- */
struct wtype { /* of functions */
	uint32_t *values; /* parameters, then results; owned */
	uint32_t np, nr;
	uint32_t canon;   /* the first type that is the same */
	uint32_t group;   /* types that may name each other from this one on */
	uint16_t pslots, rslots;
};
static inline const uint32_t *type_results(const struct wtype *t)
{
	return t->values ? t->values + t->np : NULL;
}
struct span {
	const uint8_t *at;
	uint32_t len;
};
struct wimport {
	struct span module, name;
	uint8_t kind;
	uint32_t index; /* in its own space */
};
struct wfunc {
	uint32_t type;
	struct span body; /* of those that are not imported */
	bool declared;    /* ref.func may name it */
};
struct wlimits {
	uint64_t min, max;
	bool has_max, is64, shared;
	uint32_t type;    /* of a table */
	struct span init; /* of its elements; nothing: null */
};
struct wglobal {
	uint32_t type;
	bool mutable, imported;
	struct span init;
};
struct wtag { /* of exceptions */
	uint32_t type; /* its parameters are what they carry */
};
struct wexport {
	struct span name;
	uint8_t kind;
	uint32_t index;
};
enum segment_mode { SEGMENT_ACTIVE, SEGMENT_PASSIVE, SEGMENT_DECLARED };
struct welem {
	uint32_t type;
	uint8_t mode;
	bool expressions;
	uint32_t table, n;
	struct span offset, items;
};
struct wdata {
	uint8_t mode;
	uint32_t memory;
	struct span offset, bytes;
};
struct debug { /* sections of DWARF, and where addresses of code are counted from */
	struct span line, str, line_str;
	const uint8_t *code;
};
struct wasm_module {
	const uint8_t *bytes;
	size_t len;
	bool lazy, mapped, has_data_count;
	int64_t start; /* -1: none */
	uint32_t data_count;
	uint32_t nimported; /* functions among funcs, first */
	struct wtype *types;
	struct wimport *imports;
	struct wfunc *funcs;
	struct wlimits *tables, *memories;
	struct wglobal *globals;
	struct wtag *tags;
	struct wexport *exports;
	struct welem *elems;
	struct wdata *datas;
	uint32_t ntypes, types_known; /* that may be named: also of the group that is read */
	uint32_t nimports, nfuncs, ntables, nmemories, nglobals, ntags;
	uint32_t nexports, nelems, ndatas;
	struct span names; /* the section "name" */
	struct debug debug;
};
/* line.c: the lines of @n addresses; line 0: nothing says. A name may have anything in it. */
struct line_place {
	struct span file;
	uint64_t line;
};
void lines_find(const struct debug *d, const uint64_t *addresses, uint32_t n,
		struct line_place *ret);
enum { LINE_TEXT = 160 };
/* "file:line", without what a terminal would take for its own; "" for line 0. */
void line_text(const struct line_place *p, char ret[LINE_TEXT]);
static inline uint32_t table_index_type(const struct wasm_module *m, uint32_t i)
{
	return i < m->ntables && m->tables[i].is64 ? WASM_I64 : WASM_I32;
}
/* A value of a constant expression. */
struct wvalue {
	uint64_t lo, hi;
};
/* Read one, of type @want; with an instance its value, too. */
struct wasm;
int constant_read(const struct wasm_module *m, struct reader *r, uint32_t want, struct wasm *w,
		  struct wvalue *ret);
/* The value of one that has been read before. */
struct wvalue constant_value(struct wasm *w, struct span s, uint32_t type);

/* ---- code ---- */
/* What an instruction of a frame does. The bodies are in run.c, where codes become addresses. */
enum code {
	CODE_LAZY, CODE_HOST,
	CODE_TRAP,          /* k: enum wasm_trap */
	CODE_WARM,          /* of a function that may be compiled soon */
	CODE_TIER,          /* and of one that is */
	CODE_COPY, CODE_COPY2, CODE_CONST, CODE_CONST64, /* the type is k, k, a, a */
	CODE_BR, CODE_BR_IF, CODE_BR_UNLESS, CODE_BR_TABLE,
	CODE_RETURN0, CODE_RETURN1, CODE_RETURN,
	CODE_CALL, CODE_CALL_INDIRECT, CODE_TAIL, CODE_TAIL_INDIRECT,
	CODE_SELECT, CODE_SELECT_I32, CODE_SELECT_F32, CODE_SELECT_F64, CODE_SELECT2,
	CODE_GLOBAL_GET, CODE_GLOBAL_SET, CODE_GLOBAL_GET2, CODE_GLOBAL_SET2,
	CODE_REF_FUNC, CODE_TABLE_GET, CODE_TABLE_SET,
	CODE_HELP,          /* a C function over slots that lie together: enum help */
	CODE_ADDRESS,       /* of ours, of an access to a memory that has to be checked */
	CODE_SHLADD32, CODE_SHLADD64,
	/* a sum or difference whose one side is the product a * b, the other one c */
#define FUSED(t, name, op, first, second) CODE_##t##_##name,
#include "wasm/fused.def"
	CODE_ATOMIC,        /* slots from d on; then code: offset, k: memory, d: the operation */
	CODE_CLAMP,         /* 64 bits into 32: what does not fit is the largest of them */
	CODE_SIMD,          /* of simd.def: slots d, a, b, c; then k: enum ir_vop, d: a lane,
			       a: 1 + a known operand b */
	CODE_SHUFFLE,       /* slots d, a, b; then the 16 bytes of its immediate */
	CODE_V128_CONST,    /* slots d; then the bytes */
	CODE_THROW, CODE_THROW_REF, /* tag k, values from d on; the exception in a */
	CODE_v128_load, CODE_v128_load_at, CODE_v128_store, CODE_v128_store_at,
#define INT(code, name, t, value) CODE_##name, CODE_##name##_k,
#define CMP(code, name, t, value)                                                                  \
	CODE_##name, CODE_##name##_k, CODE_##name##_if, CODE_##name##_if_k, CODE_##name##_unless,  \
	    CODE_##name##_unless_k,
#define FLT(code, name, t, value) CODE_##name,
#define FCMP(code, name, t, value) CODE_##name, CODE_##name##_if, CODE_##name##_unless,
#define UNARY(code, name, from, to, value) CODE_##name,
#define DIVIDE(code, name, t, trap, value) CODE_##name,
#define CHECKED(code, name, from, to, trap, value) CODE_##name,
#include "wasm/num.def"
/* at an address of memory 0; at one that CODE_ADDRESS has made; in an array of memory 0: a load of
 * b + (a << c), a store of a at d + (b << c), in 32 bits */
#define LOAD(code, name, t, bytes, from) CODE_##name, CODE_##name##_at, CODE_##name##_in,
#define STORE(code, name, t, bytes, to) CODE_##name, CODE_##name##_at, CODE_##name##_in,
#include "wasm/mem.def"
	CODE_COUNT
};
/* Bodies of several instructions: a label, and no code of its own (super.c). */
enum super {
	SUPER_BEGIN = CODE_COUNT - 1,
#define PAIR(s1, n1, l1, s2, n2) SUPER_##s1##_##n1##_##l1##_##s2##_##n2,
#define TRIPLE(s1, n1, l1, s2, n2, l2, s3, n3)                                                     \
	SUPER_##s1##_##n1##_##l1##_##s2##_##n2##_##l2##_##s3##_##n3,
#include "wasm/super.def"
	SUPER_END
};
enum help {
	HELP_MEMORY_SIZE, HELP_MEMORY_GROW, HELP_MEMORY_COPY, HELP_MEMORY_FILL, HELP_MEMORY_INIT,
	HELP_DATA_DROP, HELP_TABLE_SIZE, HELP_TABLE_GROW, HELP_TABLE_FILL, HELP_TABLE_COPY,
	HELP_TABLE_INIT, HELP_ELEM_DROP
};
/* Operands are numbers of slots. Branches go @rel instructions on from their own. */
struct insn {
	union {
		uint64_t code;     /* while it is made */
		const void *go;    /* when it is run */
	};
	uint16_t d, a;
	union {
		struct {
			uint16_t b, c;
		};
		uint32_t k;
		int32_t rel;
	};
};

/* ---- vectors (simd.c) ---- */
/* Operands and result are read and written as their types are wide; they may overlap. */
typedef void simd_fn(void *d, const void *x, const void *y, const void *z, unsigned lane);
struct simd_op {
	simd_fn *fn;
	uint8_t in[3], out; /* enum wasm_type */
	uint8_t lanes;      /* that an immediate chooses from; 0: none */
};
extern const struct simd_op simd_ops[VOP_COUNT];
int simd_find(unsigned code); /* the operation of an instruction behind 0xfd; -1: none */

/* ---- atomic accesses (atomic.c): operations are codes behind the prefix 0xfe ---- */
enum { ATOMIC_NOTIFY, ATOMIC_WAIT32, ATOMIC_WAIT64, ATOMIC_FENCE };
struct atomic_shape {
	uint8_t bytes, n, out, in[2]; /* operands beside the address; enum wasm_type */
};
bool atomic_shape(unsigned op, struct atomic_shape *ret); /* false: there is no such */
struct insn;
struct wasm;
/* WASM_AGAIN: it waits, and the instance is wanted to stand still; it is run again after that. */
struct ir_block;
/* The IR of the instruction @i; false: C does it. */
bool atomic_lift(const struct wasm *w, const struct insn *i, struct ir_block *b);
enum wasm_trap atomic_run(struct wasm *w, const struct insn *i, union wasm_slot *at);

/* ---- exceptions (throw.c) ---- */
/* A handler of a function: what instructions [from, to) throw goes on at @pad. Handlers of inner
 * blocks come first. */
enum catch_kind {
	CATCH_TAG, CATCH_TAG_REF, CATCH_OLD, /* of a tag: its values, and a reference behind them */
	CATCH_ALL, CATCH_ALL_REF, CATCH_OLD_ALL, /* or, older, the exception before them */
	CATCH_DELEGATE /* nobody further inside than @target */
};
struct wcatch {
	uint32_t from, to, pad, tag;
	uint32_t level, target, order; /* blocks around */
	uint16_t home;                 /* slot for values */
	uint8_t kind;
};
struct exn { /* what was thrown */
	union wasm_slot *values; /* owned */
	uint32_t n, tag;
	bool used, marked;
};
struct catcher { /* who looks for a handler: a function, its frame, and the calls around it */
	struct func *f;
	const struct insn *ip;
	union wasm_slot *fp;
	const struct frame *base;
	struct frame *top;
};
struct wasm;
/* Throw a new one with the values at @at; slots in use end at @end. WASM_TRAP_EXCEPTION, or why it
 * could not be. */
enum wasm_trap exn_throw(struct wasm *w, uint32_t tag, const union wasm_slot *at,
			       const union wasm_slot *end);
enum wasm_trap exn_again(struct wasm *w, uint64_t ref); /* throw this one */
/* Go on in @c, changed to where what was thrown is caught; false: nobody does, all calls are noted
 * and left. */
bool exn_catch(struct wasm *w, struct catcher *c);
/* The same for compiled code: who of @catches wants what instruction @insn throws, NULL: nobody;
 * and put what it carries into the frame @fp. */
const struct wcatch *exn_catcher(const struct wasm *w, const struct wcatch *catches, uint32_t n,
				 uint32_t insn);
void exn_deliver(struct wasm *w, const struct wcatch *c, union wasm_slot *fp);
void exns_free(struct wasm *w);
/* Those that may be referred to, as section wasm/exceptions; false: damaged, or there is no
 * memory. */
size_t exns_saved_len(const struct wasm *w);
void exns_save(const struct wasm *w, uint8_t *p);
bool exns_load(struct wasm *w, const uint8_t *p, size_t len);

/* ---- instances ---- */
struct func {
	const struct insn *code; /* CODE_LAZY until it is first called */
	uint32_t nslots;         /* of its frame */
	uint16_t nparams, nlocals, nresults; /* slots; locals with parameters */
	bool waits;              /* used by codes_drop */
	bool references;         /* as struct made */
	uint32_t type;           /* canonical */
	wasm_host_fn *host;      /* NULL: a function of the module */
	void *host_user;         /* what it is called with */
	struct insn *own;        /* owned */
	uint16_t *codes;         /* owned: of @own, until it is compiled; NULL: not kept */
	uint32_t ninsns;
	uint32_t seen;           /* its heat when code was dropped the last time */
	/* calls so far, before it is compiled; or HEAT_NEVER. Atomic: the thread that runs adds */
	uint32_t heat;
	uint32_t ncatches;
	struct wcatch *catches;  /* owned: of the code that catches */
	/* atomic; or what finds somebody to run it, for compiled code: tier.c */
	const uint8_t *compiled;
};
struct table {
	uint64_t *at; /* references; owned */
	uint64_t n, max;
	uint64_t room;  /* elements that @at may become without being moved; 0: none are known */
	bool is64, functions; /* of functions, not of external references */
};
struct memory {
	uint8_t *at;
	uint64_t len, max; /* bytes; memory_len */
	uint64_t beyond;   /* @at less w->base */
	uint64_t span;     /* reserved bytes from @at on */
	bool is64;
	struct common *common; /* borrowed: one that other instances have, too; NULL: own */
};
struct frame {
	const struct insn *ip; /* of the call; NULL: the host's */
	union wasm_slot *fp;
	struct func *f;
};
enum { SPOT_BEGIN = UINT32_MAX };
/* Where a run stands: before instruction @insn of @f (SPOT_BEGIN: its parameters are there, nothing
 * else is), called by compiled code that goes on at *@code if that is not NULL; or in the compiled
 * function that goes on there, with @f NULL. */
struct spot {
	const struct func *f;
	uint32_t insn;
	const uint64_t *code; /* on its stack: the return address, and its caller's frame behind */
};
struct crossing {
	const struct crossing *before;
	const uint64_t *code;
};

/* ---- what the instances of a program share (shared.c), and who waits (wait.c) ---- */
struct common { /* a shared memory */
	int fd;       /* owned: its bytes; -1: nobody has it yet */
	uint64_t len; /* atomic; changed with the group locked */
};
enum { LINES = 64 };
struct waiter {
	struct waiter *next;
	uint64_t at, turn, end_ns; /* where; before whom; until when, UINT64_MAX: for good */
	uint32_t memory;
	uint32_t state;            /* a futex, atomic */
	bool inside;               /* it waits, or has been notified and does not know it */
};
struct group {
	pthread_mutex_t lock;
	uint32_t users, nmemories;
	uint64_t own_bytes;      /* of memories that instances have for themselves */
	struct common *memories; /* owned, by number; those that are shared are used */
	struct wasm_limits limits;
	int64_t fuel;            /* atomic: what no instance has taken */
	uint64_t turns;          /* atomic: of waits so far */
	struct wait_line {
		pthread_mutex_t lock;
		struct waiter *first;
	} lines[LINES];
};
struct wasm {
	const struct wasm_module *m;
	struct func *funcs;
	struct table *tables; /* of the module, and functions_table */
	struct memory *memories;
	struct wvalue *globals;
	bool *data_dropped, *elem_dropped;
	union wasm_slot *stack, *stack_end;
	struct frame *frames, *frames_end; /* of calls that wait */
	struct frame *top;                 /* the next one to be used */
	void *user;
	uint64_t memory_max, deadline_ns;
	bool fueled;
	int64_t fuel;                 /* left when the run began, then at its end */
	const void *const *labels;    /* of codes */
	struct insn lazy, hosted; /* the code of functions that have none yet, or never */
	struct insn warm, tiered; /* or that have some elsewhere */
	struct lodge_err err;
	/* Compiled code has the address of what lies here in a register: globals, its context, and
	 * memory 0, if that has 32-bit addresses. */
	uint8_t *base;
	size_t front; /* bytes before it */
	struct tier *tier; /* owned; NULL: interpreted only */
	/* the calls that the last trap interrupted, innermost first */
	struct interrupted {
		const struct func *f;
		uint32_t insn;
	} trace[FRAMES_SHOWN];
	uint32_t ntrace; /* also those that have no room */
	/* exceptions that may be referred to, by number: places and how many are used, at how many
	 * it is looked which are still wanted, where a free place may be, bytes that they carry */
	struct exn *exns; /* owned */
	uint32_t nexns, live_exns, exns_look, exns_free;
	uint64_t exn_bytes;
	uint64_t thrown; /* the one that is on its way */
	struct host_fault_taker taker;
	/* segments that are copied when they are touched (data.c): pieces of memory 0 that wait, a
	 * bit each, and the segments, in order. Owned */
	uint8_t *pieces;
	uint64_t npieces;
	struct active {
		uint64_t to, len;
		const uint8_t *at;
	} *active;
	uint32_t nactive;
	bool active_mixed; /* they are not one behind the other */
	/* ---- of a module with shared memories ---- */
	struct group *group;  /* shared; NULL: it has none */
	bool second;          /* made by wasm_thread_new */
	struct waiter wait;
	/* ---- standing still: state.c ---- */
	bool asked;           /* atomic */
	uint64_t loaded_ns;   /* when its state was */
	uint32_t slice_max;
	/* of code for the interpreter; when some is dropped, and what always may be there */
	size_t made_bytes, made_limit, made_least;
	enum wasm_trap (*halted)(void *user, struct wasm *w);
	void *halted_user;
	struct spot here;              /* while it stands still */
	const struct crossing *crossing; /* from compiled code into the interpreter, the last one */
	uint64_t nsaved;               /* slots that wasm_save found in use */
	int64_t slice;                 /* of the fuel, what the interpreter has not used up */
	struct {                       /* go on there; func NULL: nowhere */
		struct func *f;
		union wasm_slot *fp;
		const struct insn *ip; /* NULL: at the function's beginning */
		struct frame *top;
	} back;
};

/* References in slots and globals are numbers, 1 + the function's; in tables they are addresses of
 * functions, so that a call finds them at once. False: of no function. */
static inline bool element_of(const struct wasm *w, const struct table *t, uint64_t ref,
			      uint64_t *ret)
{
	if (t->functions && ref > w->m->nfuncs)
		return false;
	*ret = t->functions && ref ? (uint64_t)(uintptr_t)&w->funcs[ref - 1] : ref;
	return true;
}
static inline uint64_t element_ref(const struct wasm *w, const struct table *t, uint64_t i)
{
	struct func *f = (struct func *)(uintptr_t)t->at[i];
	return t->functions && f ? (uint64_t)(f - w->funcs) + 1 : t->at[i];
}

/* call_ref is call_indirect of a table behind those of the module, where the function with a
 * reference is: made when the first function that wants it is. False: no memory. */
bool functions_table(struct wasm *w);

/* What is made of one function. With @out NULL it is validated only. */
struct made {
	struct insn *at; /* owned */
	uint32_t n, nslots;
	uint16_t nlocals;
	uint32_t *offsets; /* with @want_offsets: of each instruction in the module; owned */
	struct wcatch *catches; /* owned */
	uint32_t ncatches;
	bool references; /* to exceptions are among its values */
};
void made_fini(struct made *m);
enum { SHAPE_DOUBLE = 1, SHAPE_BRANCHES = 2 };
extern const uint8_t code_shapes[CODE_COUNT];
static inline bool code_is_double(uint64_t code) /* the next one belongs to it */
{
	return code < CODE_COUNT && code_shapes[code] & SHAPE_DOUBLE;
}
static inline bool code_branches(uint64_t code) /* it has a target, rel */
{
	return code < CODE_COUNT && code_shapes[code] & SHAPE_BRANCHES;
}
int func_make(const struct wasm_module *m, uint32_t func, struct made *out, bool want_offsets,
	      struct lodge_err *e) MUST;
/* Make the code of @f, whatever is needed to run it. */
enum wasm_trap func_ready(struct wasm *w, struct func *f);

/* super.c: the body that each of the @n instructions at @at, which have these codes, begins with:
 * its own code, or a superinstruction. Owned by the caller; NULL: there is no memory. */
struct body {
	uint32_t cost; /* bodies from it on to the end of the function */
	uint16_t code; /* enum code, enum super */
};
struct body *super_find(const struct insn *at, const uint16_t *codes, uint32_t n);
/* Let the code of @f, which has its codes, use them. At any time: no instruction changes its place.
 * Where functions are compiled those alone get them that are called again, for most are not. */
enum { HEAT_SUPER = 4 };
void super_apply(const struct wasm *w, struct func *f);

/* Run @f with its arguments at @at; with @w NULL it returns the labels in *@ret. */
enum wasm_trap wasm_run(struct wasm *w, struct func *f, union wasm_slot *at,
			const void *const **ret);
/* A fault in wasm_run at *@pc: false: it is none of its instructions. */
bool wasm_fault_find(uint64_t *pc);
/* One more call that a trap interrupts; calls of outer functions come later. */
void trace_note(struct wasm *w, const struct func *f, uint32_t insn);
/* An address beyond w->base of an access of @bytes to @m; false: out of bounds. */
bool address_check(const struct memory *m, union wasm_slot at, uint64_t offset, uint64_t bytes,
		   uint64_t *ret);
enum wasm_trap slice_next(struct wasm *w, int64_t *fuel);
static inline bool wasm_asked(const struct wasm *w)
{
	return __atomic_load_n(&w->asked, __ATOMIC_RELAXED);
}
/* ---- shared.c ---- */
int group_new(struct wasm *w, const struct wasm_limits *l, struct lodge_err *e) MUST;
void group_leave(struct wasm *w);
/* The shared memory @i as @m, whose max is set. */
int common_map(struct wasm *w, uint32_t i, struct memory *m, struct lodge_err *e) MUST;
/* With the group locked; @fits: there may be so many more. UINT64_MAX: no. */
uint64_t common_grow(struct memory *m, uint64_t pages, bool fits);
static inline uint64_t memory_len(const struct memory *m)
{
	return m->common ? __atomic_load_n(&m->common->len, __ATOMIC_SEQ_CST) : m->len;
}
/* Is memory @i part of the state of @w? Shared ones are of the first instance's. */
static inline bool memory_is_saved(const struct wasm *w, uint32_t i)
{
	return !w->second || !w->memories[i].common;
}
/* Up to *@fuel branches, less if there are less; and what is left of them. */
enum wasm_trap fuel_take(struct wasm *w, int64_t *fuel);
void fuel_give(struct wasm *w, int64_t n);
uint64_t fuel_of(const struct wasm *w);
void fuel_load(struct wasm *w, uint64_t saved); /* of a state: what fuel_of said */
void globals_begin(struct wasm *w); /* instance.c: as they are initialized */
void tables_begin(struct wasm *w);  /* the same */
/* ---- wait.c ---- */
void lines_init(struct group *g);
void lines_fini(struct group *g);
struct place_shared {
	void *p;     /* aligned */
	uint64_t at; /* of shared memory @memory */
	uint32_t memory;
	unsigned bytes;
};
/* @ns negative: for good. *@ret: what the instruction gives. WASM_TRAP_DEADLINE, WASM_AGAIN. */
enum wasm_trap shared_wait(struct wasm *w, const struct place_shared *at, uint64_t want,
			   int64_t ns, uint32_t *ret);
uint32_t shared_notify(struct wasm *w, const struct place_shared *at, uint32_t most);
void wait_forget(struct wasm *w);            /* leave the line */
void wait_stood(struct wasm *w, uint64_t ns); /* that time does not count */
struct saved_wait { /* the section "wasm/wait": five words */
	uint64_t notified, memory, at, turn, left_ns;
};
bool wait_save(const struct wasm *w, struct saved_wait *ret); /* false: it does not wait */
bool wait_load(struct wasm *w, const struct saved_wait *s);   /* false: not in such a memory */
/* ---- state (save.c, load.c) ---- */
/* The instance is wanted to stand still, and does, at @at. */
enum wasm_trap halt(struct wasm *w, struct spot at);
struct saved { /* the section "wasm" */
	uint64_t module_len, module_sum;
	uint64_t nslots;          /* of the pages */
	uint64_t fuel, fueled;
};
extern const struct state_field saved_fields[];
uint64_t bytes_sum(const void *p, size_t len); /* not against malice */
/* Of "wasm/frames", outermost first, little-endian: u32 function, u32 instruction that is next. */
enum { FRAME_BYTES = 8, FRAMES = 1 << 17, FRAMES_MAX = 1 << 20, CODE_BYTES_SAVED = 16,
       FRAMES_ALL = FRAMES_MAX + FRAMES /* those of a state, and more */ };
/* Bytes of a table, of the slots in the pages. */
static inline uint64_t pages_of(uint64_t n) { return align_up(n * sizeof(uint64_t), 4096); }
/* help.c */
enum wasm_trap wasm_help(struct wasm *w, enum help h, union wasm_slot *at, uint32_t i, uint32_t j);
uint64_t memory_grow(struct wasm *w, struct memory *m, uint64_t pages); /* UINT64_MAX: no */
bool memories_fit(const struct wasm *w, uint64_t more); /* may it have so many bytes more? */
enum wasm_trap segment_copy(struct wasm *w, uint32_t elem, uint32_t table, uint64_t to,
			    uint64_t from, uint64_t n);

/* ---- active segments (data.c) ---- */
enum wasm_trap data_start(struct wasm *w);
void data_free(struct wasm *w);
/* A fault at the host's @address: true: it was of a piece that waited, and is there now. */
bool data_touched(struct wasm *w, uint64_t address);
/* Before the kernel is given these bytes of memory 0. */
void data_need(struct wasm *w, uint64_t at, uint64_t len);

/* ---- the compiled tier (tier.c) ---- */
enum { HEAT_NEVER = UINT32_MAX };
size_t tier_front(const struct wasm_module *m); /* bytes before w->base: context and globals */
struct wvalue *tier_globals(struct wasm *w);
void tier_init(struct wasm *w, const struct wasm_limits *l); /* w->base is there */
void tier_stop(struct wasm *w); /* no other thread uses it from now on */
void tier_free(struct wasm *w); /* after tier_stop */
/* @f was called once more: has it code now? */
bool tier_warm(struct wasm *w, struct func *f);
/* Run @f, which has code, in the frame @at: what is not WASM_OK has noted its calls. */
enum wasm_trap tier_run(struct wasm *w, struct func *f, union wasm_slot *at);
/* A loop of @f goes round for long: go on in compiled code, if there is a way in at @ip. False:
 * there is not. */
bool tier_loop(struct wasm *w, struct func *f, const struct insn *ip, union wasm_slot *at,
	       enum wasm_trap *ret);
/* Somebody compiles @f, or it has compiled code. */
bool tier_uses(const struct wasm *w, const struct func *f);
/* This thread is on the stack of compiled code, and little of it is left. */
bool tier_stack_is_low(const struct wasm *w);
bool tier_fault_find(struct wasm *w, uint64_t *pc);
void tier_interrupt(struct wasm *w); /* in a handler of a signal */
/* The compiled frames from @code on (struct spot), innermost first. @each gets the instruction that
 * is being done, which is a call; of the first frame @innermost, if that is not NULL. */
typedef void tier_frame_fn(void *user, const struct func *f, uint32_t insn, bool calls);
void tier_walk(const struct wasm *w, const uint64_t *code, const uint32_t *innermost,
	       tier_frame_fn *each, void *user);
/* lift.c: the IR of @made, a function of type @t, into @f. Instructions that code of it will call
 * tier_one with are added to @helps. */
struct jit_fn;
struct helps {
	struct help_insn { struct insn insn[2]; } *at; /* owned */
	uint32_t n, cap;
	void *was[32]; /* owned: where they lay before, and code that runs may look still */
	unsigned nwas;
};
bool func_lift(struct wasm *w, const struct wtype *t, const struct made *made, struct jit_fn *f,
	       struct helps *helps);
/* one.c: what instructions do that compiled code calls C for. */
bool tier_one_knows(uint64_t code); /* one that reads slot a, and writes slot d */
enum wasm_trap tier_one(struct wasm *w, const struct insn *i, union wasm_slot *frame);
