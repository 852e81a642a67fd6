/* SPDX-License-Identifier: Apache-2.0 */
#include "test/test.h"
#include "wasm/internal.h"

/* A module of one function without parameters with a result i32, "f", and a memory of a page, which
 * may be @shared. */
static size_t module_make_of(uint8_t *to, const char *body, size_t len, bool shared)
{
	static const char head[] = "\0asm\1\0\0\0"
				   "\1\5\1\x60\0\1\x7f" /* type */
				   "\3\2\1\0"           /* function */
				   "\5\4\1\1\1\1"       /* memory */
				   "\7\5\1\1f\0\0";     /* export */
	size_t n = sizeof head - 1;
	memcpy(to, head, n);
	to[n - 10] = shared ? 3 : 1; /* how the memory's limits are */
	to[n++] = 10;
	to[n++] = (uint8_t)(len + 3); /* section, one body without locals */
	to[n++] = 1;
	to[n++] = (uint8_t)(len + 1);
	to[n++] = 0;
	memcpy(to + n, body, len);
	return n + len;
}

static size_t module_make(uint8_t *to, const char *body, size_t len)
{
	return module_make_of(to, body, len, false);
}

static wasm_host_fn *none(void *user, size_t i, const struct wasm_import *im, struct lodge_err *e)
{
	(void)user, (void)i, (void)im;
	(void)!err_set(e, EINVAL, "nothing is provided");
	return NULL;
}

static enum wasm_trap body_run_of(const char *body, size_t len, uint64_t fuel, uint32_t *ret,
				  char trace[200], bool shared)
{
	uint8_t bytes[200];
	struct wasm_module *m;
	struct wasm *w;
	struct lodge_err e = {0};
	const struct wasm_limits limits = {.fuel = fuel};
	union wasm_slot v[2] = {{0}};
	size_t n = module_make_of(bytes, body, len, shared);
	CHECK(wasm_module_new(&m, bytes, n, 0, &e) == 0);
	CHECK(wasm_new(&w, m, &limits, none, NULL, &e) == 0);
	CHECK(wasm_start(w) == WASM_OK);
	enum wasm_trap t = wasm_call(w, (uint32_t)wasm_export_find(m, "f", WASM_FUNC), v);
	if (ret)
		*ret = v[0].i32;
	if (trace) {
		FILE *out = fmemopen(trace, 200, "w");
		wasm_trace(w, out);
		fclose(out);
	}
	wasm_free(w);
	wasm_module_free(m);
	return t;
}
static enum wasm_trap body_run(const char *body, size_t len, uint64_t fuel, uint32_t *ret,
			       char trace[200])
{
	return body_run_of(body, len, fuel, ret, trace, false);
}
#define RUN(body, fuel, ret, trace) body_run(body, sizeof body - 1, fuel, ret, trace)

TEST(wasm_a_function_runs)
{
	uint32_t v = 0;
	CHECK(RUN("\x41\x28\x41\x02\x6a\x0b", 0, &v, NULL) == WASM_OK);
	CHECK(v == 42);
}

TEST(wasm_what_goes_wrong_is_a_trap)
{
	char trace[200] = "";
	CHECK(RUN("\x00\x0b", 0, NULL, trace) == WASM_TRAP_UNREACHABLE);
	CHECK(strstr(trace, "function 0 <f> at 0x"));
	CHECK(RUN("\x41\x01\x41\x00\x6d\x0b", 0, NULL, NULL) == WASM_TRAP_DIVIDE);
	/* one byte behind the page, and as far as 32 bits reach */
	CHECK(RUN("\x41\xfd\xff\x03\x28\x02\x00\x0b", 0, NULL, NULL) == WASM_TRAP_MEMORY);
	CHECK(RUN("\x41\x7f\x28\x02\xff\xff\xff\xff\x0f\x0b", 0, NULL, NULL) == WASM_TRAP_MEMORY);
	CHECK(RUN("\x41\xfc\xff\x03\x28\x02\x00\x0b", 0, NULL, NULL) == WASM_OK);
	CHECK(RUN("\x10\x00\x0b", 0, NULL, NULL) == WASM_TRAP_STACK);
}

TEST(wasm_fuel_ends_loops)
{
	CHECK(RUN("\x03\x40\x0c\x00\x0b\x41\x00\x0b", 1000, NULL, NULL) == WASM_TRAP_FUEL);
	CHECK(RUN("\x41\x05\x0b", 1, NULL, NULL) == WASM_OK);
}

static const char *refused(const char *body, size_t len, int code, struct lodge_err *e)
{
	uint8_t bytes[200];
	struct wasm_module *m;
	*e = (struct lodge_err){0};
	CHECK(wasm_module_new(&m, bytes, module_make(bytes, body, len), 0, e) == -code);
	return e->msg;
}
#define REFUSED(body, code, why) CHECK(strstr(refused(body, sizeof body - 1, code, &e), why))

TEST(wasm_what_is_not_valid_is_refused_with_the_reason)
{
	struct lodge_err e;
	REFUSED("\x42\x01\x0b", EINVAL, "type mismatch: i32 is wanted, i64 is there");
	REFUSED("\x0b", EINVAL, "type mismatch: i32 is wanted, nothing is there");
	REFUSED("\x41\x01\x41\x01\x0b", EINVAL, "values too many");
	REFUSED("\x20\x00\x0b", EINVAL, "unknown local 0");
	REFUSED("\x23\x00\x0b", EINVAL, "unknown global 0");
	REFUSED("\x10\x01\x0b", EINVAL, "unknown function 1");
	REFUSED("\x0c\x02\x0b", EINVAL, "unknown label 2");
	REFUSED("\x41\x00\x28\x03\x00\x0b", EINVAL, "alignment must not be larger than natural");
	REFUSED("\x41\x00\x25\x00\x0b", EINVAL, "unknown table 0");
	REFUSED("\xd2\x00\x1a\x41\x00\x27\x0b", EBADMSG, "illegal opcode 0x27");
	REFUSED("\x41\x01", EBADMSG, "unexpected end");
	REFUSED("\x41\x80\x80\x80\x80\x70\x0b", EBADMSG, "integer too large");
	REFUSED("\x41\x80\x80\x80\x80\x80\x00\x0b", EBADMSG, "integer representation too long");
	REFUSED("\x41\x00\x0b\x01", EBADMSG, "code behind the end");
	REFUSED("\xfd\x0c\x0b", EBADMSG, "unexpected end");
	REFUSED("\x41\x00\xfd\x11\xfd\x1b\x04\x0b", EINVAL, "invalid lane index 4: there are 4");
	REFUSED("\x41\x00\xfd\x1b\x00\x0b", EINVAL, "type mismatch: v128 is wanted, i32 is there");
	REFUSED("\x41\x00\xfd\x00\x05\x00\x0b", EINVAL, "alignment must not be larger");
	REFUSED("\x41\x00\xfd\x9a\x01\x0b", EBADMSG, "illegal opcode 0xfd 154");
	REFUSED("\x41\x00\xfe\x10\x01\x00\x0b", EINVAL, "atomic alignment must be natural");
	REFUSED("\xfe\x04\x0b", EBADMSG, "illegal opcode 0xfe 4");
	REFUSED("\xfe\x03\x01\x41\x00\x0b", EBADMSG, "zero byte expected");
	REFUSED("\x19\x41\x00\x0b", EBADMSG, "catch without try");
	REFUSED("\x08\x00\x0b", EINVAL, "unknown tag 0");
	REFUSED("\x41\x00\x09\x00\x0b", EINVAL, "rethrow is not in a catch");
	REFUSED("\x41\x00\x0a\x0b", EINVAL, "type mismatch: exnref is wanted, i32 is there");
	REFUSED("\x1f\x7f\x01\x02\x00\x41\x00\x0b\x0b", EINVAL, "a catch clause and its label");
	REFUSED("\x06\x40\x18\x01\x41\x00\x0b", EINVAL, "unknown label 1");
}

static int head_of(const char *bytes, size_t len)
{
	struct wasm_module *m;
	int r = wasm_module_new(&m, (const uint8_t *)bytes, len, 0, NULL);
	if (r == 0)
		wasm_module_free(m);
	return r;
}
#define HEAD_OF(bytes) head_of(bytes, sizeof bytes - 1)

TEST(wasm_sections_have_an_order_and_a_length)
{
	CHECK(HEAD_OF("\0asm\1\0\0\0") == 0);
	CHECK(HEAD_OF("\0asm\2\0\0\0") == -EBADMSG);
	CHECK(HEAD_OF("\0asm\x0d\0\1\0") == -ENOTSUP);
	CHECK(HEAD_OF("\0asn\1\0\0\0") == -EBADMSG);
	CHECK(HEAD_OF("\0asm\1\0\0") == -EBADMSG);
	CHECK(HEAD_OF("\0asm\1\0\0\0\1\1\0\1\1\0") == -EBADMSG);
	CHECK(HEAD_OF("\0asm\1\0\0\0\5\1\0\1\1\0") == -EBADMSG);
	CHECK(HEAD_OF("\0asm\1\0\0\0\1\2\0\0") == -EBADMSG);
	CHECK(HEAD_OF("\0asm\1\0\0\0\1\xff\xff\xff\xff\x0f\0") == -EBADMSG);
	CHECK(HEAD_OF("\0asm\1\0\0\0\0\5\4\xff\xff\xff\xff") == -EBADMSG);
	CHECK(HEAD_OF("\0asm\1\0\0\0\3\2\1\0") == -EINVAL);
	CHECK(HEAD_OF("\0asm\1\0\0\0\5\5\1\0\x81\x80\x04") == -EINVAL);
}

TEST(wasm_a_condition_looks_at_instructions_only)
{
	uint32_t v = 0;
	/* clz, a constant that takes two instructions, then eqz of the former before an if: what
	 * lies before eqz is the constant's second half, which says nothing of a comparison */
	CHECK(RUN("\x41\x07\x67\x42\x80\x80\x80\x80\x80\x80\x80\x80\xc0\x00\x02\x40\x0b\x1a\x45"
		  "\x04\x7f\x41\x01\x05\x41\x2a\x0b\x0b",
		  0, &v, NULL) == WASM_OK);
	CHECK(v == 42);
}

/* What neither wabt's interpreter nor Node's first relaxed SIMD computes as the specification. */
TEST(wasm_a_relaxed_dot_product_is_added)
{
	union wasm_slot x[2], y[2], z[2], d[2];
	for (unsigned k = 0; k < 16; k++) {
		((int8_t *)x)[k] = (int8_t)(k * 16 - 128);
		((int8_t *)y)[k] = (int8_t)(k + 1);
	}
	for (unsigned k = 0; k < 4; k++)
		((int32_t *)z)[k] = k == 3 ? INT32_MAX : 1000;
	simd_ops[VOP_i32x4_relaxed_dot_i8x16_i7x16_add_s].fn(d, x, y, z, 0);
	const int32_t *r = (const int32_t *)d;
	CHECK(r[0] == 1000 - 128 * 1 - 112 * 2 - 96 * 3 - 80 * 4);
	CHECK(r[2] == 1000 + 0 * 9 + 16 * 10 + 32 * 11 + 48 * 12);
	CHECK(r[3] == INT32_MIN + 64 * 13 + 80 * 14 + 96 * 15 + 112 * 16 - 1);
}

/* memory.atomic.wait32 and wait64 of address 8, which is 0, notify, fence. */
TEST(wasm_one_thread_waits_for_nobody)
{
#define SHARED(body, ret) body_run_of(body, sizeof body - 1, 0, ret, NULL, true)
	static const char other[] = "\x41\x08\x41\x01\x42\x7f\xfe\x01\x02\x00\x0b";
	static const char wide[] = "\x41\x08\x42\x7f\x42\x7f\xfe\x02\x03\x00\x0b";
	static const char timed[] = "\x41\x08\x41\x00\x42\x8a\x01\xfe\x01\x02\x00\x0b";
	static const char uneven[] = "\x41\x02\x41\x00\x42\x00\xfe\x01\x02\x00\x0b";
	static const char notify[] = "\x41\x08\x41\x01\xfe\x00\x02\x00\x0b";
	uint32_t v = 9;
	CHECK(SHARED(other, &v) == WASM_OK && v == 1);
	CHECK(SHARED(wide, &v) == WASM_OK && v == 1);
	CHECK(SHARED(timed, &v) == WASM_OK && v == 2);
	CHECK(SHARED(uneven, &v) == WASM_TRAP_UNALIGNED);
	CHECK(SHARED(notify, &v) == WASM_OK && v == 0);
	CHECK(RUN("\x41\x08\x41\x01\x42\x7f\xfe\x01\x02\x00\x0b", 0, &v, NULL) ==
	      WASM_TRAP_UNSHARED);
	CHECK(RUN("\xfe\x03\x00\x41\x2a\x0b", 0, &v, NULL) == WASM_OK && v == 42);
}

static wasm_host_fn *no_memory(void *user, size_t i, const struct wasm_import *im,
			       struct lodge_err *e)
{
	(void)user, (void)i, (void)im;
	(void)!err_set(e, ENOMEM, "no memory for it");
	return NULL;
}

TEST(wasm_an_import_fails_as_whoever_provides_it_says)
{
	static const char module[] = "\0asm\1\0\0\0\1\4\1\x60\0\0\2\7\1\1h\1f\0\0";
	const struct wasm_limits limits = {0};
	struct lodge_err e = {0};
	struct wasm_module *m;
	struct wasm *w;
	CHECK(wasm_module_new(&m, (const uint8_t *)module, sizeof module - 1, 0, &e) == 0);
	CHECK(wasm_new(&w, m, &limits, no_memory, NULL, &e) == -ENOMEM);
	CHECK(e.code == ENOMEM && !strcmp(e.msg, "no memory for it"));
	CHECK(wasm_new(&w, m, &limits, no_memory, NULL, NULL) == -ENOMEM);
	CHECK(wasm_new(&w, m, &limits, none, NULL, &e) == -EINVAL);
	wasm_module_free(m);
}
