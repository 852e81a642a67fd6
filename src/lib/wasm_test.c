/* SPDX-License-Identifier: Apache-2.0 */
#include "test/test.h"
#include <errno.h>
#include <lodge/wasm.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define I32(v) {.type = LODGE_WASM_I32, .of.i32 = (v)}

static struct lodge_wasm_module *module(const char *text)
{
	struct lodge_wasm_module *m = NULL;
	struct lodge_err e = {0};
	if (lodge_wasm_module_new(&m, "t", text, strlen(text), &e) < 0)
		fprintf(stderr, "%s\n", e.msg);
	return m;
}

static struct lodge_wasm *instance(struct lodge_wasm_module *m, const struct lodge_wasm_import *im,
				   size_t n)
{
	const struct lodge_wasm_config c = {.size = sizeof c, .imports = im, .nimports = n};
	struct lodge_wasm *w = NULL;
	struct lodge_err e = {0};
	if (lodge_wasm_new(&w, m, &c, &e) < 0)
		fprintf(stderr, "%s\n", e.msg);
	return w;
}

static int call_i32(struct lodge_wasm *w, const char *name, int32_t x, int32_t *ret,
		    struct lodge_err *e)
{
	const struct lodge_wasm_value a = I32(x);
	struct lodge_wasm_value v;
	int r = lodge_wasm_call(w, name, &a, 1, &v, 1, e);
	if (r == 0)
		*ret = v.of.i32;
	return r;
}

TEST(wasm_embedded_refuses_what_does_not_fit)
{
	struct lodge_wasm_module *m;
	struct lodge_err e;
	struct lodge_wasm *w;
	struct lodge_wasm_config c = {.size = sizeof c};
	CHECK(lodge_wasm_module_new(&m, "a.wat", "(module (fun))", 14, &e) == -EBADMSG);
	CHECK(!strncmp(e.msg, "a.wat:1:10: ", 12));
	CHECK(lodge_wasm_module_new(&m, "a", "(func (result i32))", 19, &e) == -EINVAL);
	CHECK(lodge_wasm_module_new(&m, "a", "\0asm\1\0\0", 7, &e) == -EBADMSG);
	CHECK(lodge_wasm_module_new(&m, "a", "", 0, &e) == 0);
	lodge_wasm_module_free(m);
	m = module("(import \"a\" \"b\" (func (param i32))) (func (export \"f\") (param i64))");
	CHECK(lodge_wasm_new(&w, m, &c, &e) == -EINVAL && strstr(e.msg, "a.b"));
	struct lodge_wasm_import im = {"a", "b", "i64 ->", NULL, NULL};
	c.imports = &im;
	c.nimports = 1;
	CHECK(lodge_wasm_new(&w, m, &c, &e) == -EINVAL && strstr(e.msg, "i32 ->"));
	im.type = " i32  -> ";
	CHECK(lodge_wasm_new(&w, m, &c, &e) == 0);
	struct lodge_wasm_value v = I32(1);
	CHECK(lodge_wasm_call(w, "g", NULL, 0, NULL, 0, &e) == -ENOENT);
	CHECK(lodge_wasm_call(w, "f", NULL, 0, NULL, 0, &e) == -EINVAL);
	CHECK(lodge_wasm_call(w, "f", &v, 1, NULL, 0, &e) == -EINVAL && strstr(e.msg, "i64"));
	c.size = 8;
	CHECK(lodge_wasm_new(&w, m, &c, &e) == -EINVAL);
	lodge_wasm_free(w);
	lodge_wasm_module_free(m);
}

TEST(wasm_embedded_references_fit_their_type)
{
	struct lodge_wasm_module *m = module(
	    "(type $t (func (param i32) (result i32)))"
	    "(func $inc (export \"inc\") (type $t) (i32.add (local.get 0) (i32.const 1)))"
	    "(func (export \"other\") (result (ref $t)) (ref.func $inc))"
	    "(func (export \"call\") (param (ref $t)) (result i32)"
	    "  (call_ref $t (i32.const 4) (local.get 0)))"
	    "(func (export \"null\") (param (ref null $t)) (result i32)"
	    "  (ref.is_null (local.get 0)))");
	struct lodge_wasm *w = instance(m, NULL, 0);
	struct lodge_err e;
	struct lodge_wasm_value ref, v;
	CHECK(lodge_wasm_call(w, "other", NULL, 0, &ref, 1, &e) == 0);
	CHECK(ref.type == LODGE_WASM_FUNCREF && ref.of.ref == 1);
	CHECK(lodge_wasm_call(w, "call", &ref, 1, &v, 1, &e) == 0 && v.of.i32 == 5);
	ref.of.ref = 2; /* of another type */
	CHECK(lodge_wasm_call(w, "call", &ref, 1, &v, 1, &e) == -EINVAL);
	ref.of.ref = 99;
	CHECK(lodge_wasm_call(w, "call", &ref, 1, &v, 1, &e) == -EINVAL);
	ref.of.ref = 0;
	CHECK(lodge_wasm_call(w, "call", &ref, 1, &v, 1, &e) == -EINVAL);
	CHECK(lodge_wasm_call(w, "null", &ref, 1, &v, 1, &e) == 0 && v.of.i32 == 1);
	lodge_wasm_free(w);
	lodge_wasm_module_free(m);
}

static int values_give(void *user, struct lodge_wasm *w, const struct lodge_wasm_value *a,
		       struct lodge_wasm_value *r, struct lodge_err *e)
{
	(void)w, (void)e;
	CHECK(user);
	for (unsigned i = 0; i < 6; i++) /* all of them the other way round */
		r[i] = a[5 - i];
	return 0;
}

TEST(wasm_embedded_values_of_every_type)
{
	struct lodge_wasm_module *m = module(
	    "(import \"h\" \"f\" (func $f (param i32 i64 f32 f64 v128 externref)"
	    "  (result externref v128 f64 f32 i64 i32)))"
	    "(func (export \"f\") (param i32 i64 f32 f64 v128 externref)"
	    "  (result externref v128 f64 f32 i64 i32)"
	    "  (call $f (local.get 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4)"
	    "           (local.get 5)))"
	    "(func (export \"r\") (param funcref) (result funcref) (local.get 0))");
	const struct lodge_wasm_import im = {
	    "h", "f", "i32 i64 f32 f64 v128 externref -> externref v128 f64 f32 i64 i32",
	    values_give, m};
	struct lodge_wasm *w = instance(m, &im, 1);
	struct lodge_wasm_value a[6] = {I32(-5),
					{.type = LODGE_WASM_I64, .of.i64 = INT64_MIN},
					{.type = LODGE_WASM_F32, .of.f32 = 1.5f},
					{.type = LODGE_WASM_F64, .of.f64 = -0.25},
					{.type = LODGE_WASM_V128, .of.v128 = {1, 2, 3, [15] = 9}},
					{.type = LODGE_WASM_EXTERNREF, .of.ref = 77}},
				r[6];
	struct lodge_err e;
	for (unsigned i = 0; i < 100; i++) { /* also when it has been compiled */
		CHECK(lodge_wasm_call(w, "f", a, 6, r, 6, &e) == 0);
		CHECK(r[0].of.ref == 77 && r[1].of.v128[15] == 9 && r[1].of.v128[1] == 2);
		CHECK(r[5].of.i32 == -5 && r[4].of.i64 == INT64_MIN && r[5].type == LODGE_WASM_I32);
		CHECK(memcmp(&r[3].of.f32, &a[2].of.f32, 4) == 0);
		CHECK(memcmp(&r[2].of.f64, &a[3].of.f64, 8) == 0);
	}
	struct lodge_wasm_value f = {.type = LODGE_WASM_FUNCREF, .of.ref = 3};
	CHECK(lodge_wasm_call(w, "r", &f, 1, r, 1, &e) == 0 && r[0].of.ref == 3);
	f.of.ref = 4;
	CHECK(lodge_wasm_call(w, "r", &f, 1, r, 1, &e) == -EINVAL);
	lodge_wasm_free(w);
	lodge_wasm_module_free(m);
}

static const char traps[] =
    "(memory (export \"m\") 1) (table 1 funcref) (global $n (mut i32) (i32.const 0))"
    "(func (export \"divide\") (param i32) (result i32) (i32.div_u (i32.const 84) (local.get 0)))"
    "(func $load (export \"load\") (param i32) (result i32) (i32.load (local.get 0)))"
    "(func $deep (export \"deep\") (param i32) (result i32) (call $deep (local.get 0)))"
    "(func (export \"count\") (param i32) (result i32)"
    "  (global.set $n (i32.add (global.get $n) (local.get 0))) (global.get $n))"
    "(func (export \"loop\") (param i32) (result i32) (loop (br 0)) (unreachable))";

static void traps_try(struct lodge_wasm *w)
{
	struct lodge_err e;
	int32_t v = 0;
	char *text = NULL;
	for (unsigned i = 0; i < 100; i++) {
		CHECK(call_i32(w, "divide", 0, &v, &e) == -EFAULT);
		CHECK(!strcmp(e.msg, "integer divide by zero"));
		CHECK(call_i32(w, "load", 65533, &v, &e) == -EFAULT);
		CHECK(!strcmp(e.msg, "out of bounds memory access"));
		CHECK(call_i32(w, "load", -1, &v, &e) == -EFAULT);
		CHECK(lodge_wasm_trace(w, &text, &e) == 0 && strstr(text, "<load>"));
		lodge_free(text);
		CHECK(call_i32(w, "divide", 2, &v, &e) == 0 && v == 42);
		CHECK(call_i32(w, "load", 8, &v, &e) == 0 && v == 0);
	}
	CHECK(call_i32(w, "deep", 0, &v, &e) == -EFAULT);
	CHECK(!strcmp(e.msg, "call stack exhausted"));
	CHECK(call_i32(w, "divide", 4, &v, &e) == 0 && v == 21);
}

TEST(wasm_embedded_traps_are_errors)
{
	struct lodge_wasm_module *m = module(traps);
	struct lodge_wasm *w = instance(m, NULL, 0);
	traps_try(w);
	CHECK(lodge_wasm_memory_size(w) == 65536);
	CHECK(lodge_wasm_memory(w, 65535, 1) && !lodge_wasm_memory(w, 65535, 2));
	memcpy(lodge_wasm_memory(w, 16, 4), "\7\0\0\0", 4);
	int32_t v = 0;
	CHECK(call_i32(w, "load", 16, &v, NULL) == 0 && v == 7);
	lodge_wasm_free(w);
	lodge_wasm_module_free(m);
}

static void *thread_traps(void *arg)
{
	struct lodge_wasm *w = instance(arg, NULL, 0);
	traps_try(w);
	lodge_wasm_free(w);
	return NULL;
}

TEST(wasm_embedded_instances_are_apart)
{
	struct lodge_wasm_module *m = module(traps);
	struct lodge_wasm *a = instance(m, NULL, 0), *b = instance(m, NULL, 0);
	pthread_t threads[4];
	int32_t v = 0;
	for (unsigned i = 0; i < 4; i++)
		CHECK(pthread_create(&threads[i], NULL, thread_traps, m) == 0);
	CHECK(call_i32(a, "count", 5, &v, NULL) == 0 && v == 5);
	CHECK(call_i32(b, "count", 7, &v, NULL) == 0 && v == 7);
	CHECK(call_i32(a, "count", 1, &v, NULL) == 0 && v == 6);
	for (unsigned i = 0; i < 4; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
	lodge_wasm_module_free(m); /* instances go on */
	lodge_wasm_free(a);
	CHECK(call_i32(b, "count", 1, &v, NULL) == 0 && v == 8);
	lodge_wasm_free(b);
}

static void fuel_try(const char *text)
{
	struct lodge_wasm_module *m = module(text);
	const struct lodge_wasm_config c = {.size = sizeof c, .fuel = 1000};
	struct lodge_wasm *w = NULL;
	struct lodge_err e;
	int32_t v = 0;
	CHECK(lodge_wasm_new(&w, m, &c, &e) == 0);
	CHECK(call_i32(w, "count", 1, &v, &e) == 0);
	CHECK(lodge_wasm_fuel(w) < 1000 && lodge_wasm_fuel(w) > 990);
	CHECK(call_i32(w, "loop", 0, &v, &e) == -ETIMEDOUT && lodge_wasm_fuel(w) == 0);
	CHECK(call_i32(w, "count", 1, &v, &e) == -ETIMEDOUT);
	CHECK(lodge_wasm_refuel(w, 500, &e) == 0 && call_i32(w, "count", 1, &v, &e) == 0);
	CHECK(v == 2);
	lodge_wasm_free(w);
	lodge_wasm_module_free(m);
}

TEST(wasm_embedded_limits)
{
	struct lodge_wasm_module *m = module(traps);
	struct lodge_wasm_config c = {.size = sizeof c, .timeout_ns = 20000000};
	struct lodge_wasm *w = NULL;
	struct lodge_err e;
	int32_t v = 0;
	fuel_try(traps);
	/* what instances of a program would share */
	fuel_try("(memory 1 1 shared) (global $n (mut i32) (i32.const 0))"
		 "(func (export \"count\") (param i32) (result i32)"
		 "  (global.set $n (i32.add (global.get $n) (local.get 0))) (global.get $n))"
		 "(func (export \"loop\") (param i32) (result i32) (loop (br 0)) (unreachable))");
	CHECK(lodge_wasm_new(&w, m, &c, &e) == 0);
	for (unsigned i = 0; i < 3; i++) {
		CHECK(call_i32(w, "loop", 0, &v, &e) == -ETIMEDOUT);
		CHECK(call_i32(w, "count", 1, &v, &e) == 0);
	}
	CHECK(lodge_wasm_refuel(w, 500, &e) == -EINVAL);
	lodge_wasm_free(w);
	c = (struct lodge_wasm_config){.size = sizeof c, .memory = 65535};
	CHECK(lodge_wasm_new(&w, m, &c, &e) == -ENOMEM);
	lodge_wasm_module_free(m);
}

/* ---- functions that call back ---- */

struct caller {
	struct lodge_wasm *other;
	int fails;
};

static int call_back(void *user, struct lodge_wasm *w, const struct lodge_wasm_value *a,
		     struct lodge_wasm_value *r, struct lodge_err *e)
{
	struct caller *c = user;
	int32_t v = 0;
	if (c->fails) {
		if (c->fails == 1)
			return -EPERM;
		e->code = EACCES;
		strcpy(e->msg, "not for you");
		return -EACCES;
	}
	/* another instance, which traps */
	if (c->other)
		CHECK(call_i32(c->other, "load", -4, &v, e) == -EFAULT);
	int ret = a->of.i32 ? call_i32(w, "sum", a->of.i32 - 1, &v, e) : 0;
	r->of.i32 = v + a->of.i32;
	return ret;
}

static const char callers[] =
    "(import \"h\" \"back\" (func $back (param i32) (result i32))) (memory 1)"
    "(func (export \"sum\") (param i32) (result i32) (local i32 i32)"
    "  (local.set 1 (i32.const 99)) (local.set 2 (local.get 0))"
    "  (local.set 0 (call $back (local.get 0)))"
    "  (if (i32.ne (local.get 1) (i32.const 99)) (then (unreachable)))"
    "  (drop (i32.load (i32.const 65532))) (local.get 0))"
    "(func (export \"wild\") (param i32) (result i32)"
    "  (drop (call $back (local.get 0))) (i32.load (i32.const -1)))"
    "(func (export \"forever\") (param i32) (result i32) (call $back (i32.const 0x7fffffff)))";

TEST(wasm_embedded_functions_call_back)
{
	struct lodge_wasm_module *m = module(callers), *o = module(traps);
	struct caller c = {.other = instance(o, NULL, 0)};
	const struct lodge_wasm_import im = {"h", "back", "i32 -> i32", call_back, &c};
	struct lodge_wasm *w = instance(m, &im, 1);
	struct lodge_err e = {0};
	int32_t v = 0;
	for (unsigned i = 0; i < 100; i++) {
		CHECK(call_i32(w, "sum", 20, &v, &e) == 0 && v == 210);
		CHECK(call_i32(w, "wild", 3, &v, &e) == -EFAULT); /* its own faults are found */
		CHECK(!strcmp(e.msg, "out of bounds memory access"));
	}
	CHECK(call_i32(w, "forever", 0, &v, &e) == -EFAULT);
	CHECK(!strcmp(e.msg, "call stack exhausted"));
	c.fails = 1;
	CHECK(call_i32(w, "sum", 1, &v, &e) == -EPERM && !strcmp(e.msg, "h.back failed"));
	c.fails = 2;
	CHECK(call_i32(w, "sum", 1, &v, &e) == -EACCES && !strcmp(e.msg, "not for you"));
	c.fails = 0;
	CHECK(call_i32(w, "sum", 3, &v, &e) == 0 && v == 6);
	lodge_wasm_free(w);
	lodge_wasm_free(c.other);
	lodge_wasm_module_free(m);
	lodge_wasm_module_free(o);
}

static int fuel_look(void *user, struct lodge_wasm *w, const struct lodge_wasm_value *a,
		     struct lodge_wasm_value *r, struct lodge_err *e)
{
	CHECK(lodge_wasm_fuel(w) > 5000);
	return call_back(user, w, a, r, e);
}

TEST(wasm_embedded_calls_within_calls_have_the_fuel)
{
	struct lodge_wasm_module *m = module(callers);
	struct caller c = {.other = NULL};
	const struct lodge_wasm_import im = {"h", "back", "i32 -> i32", fuel_look, &c};
	const struct lodge_wasm_config config = {
	    .size = sizeof config, .imports = &im, .nimports = 1, .fuel = 10000};
	struct lodge_wasm *w;
	struct lodge_err e;
	int32_t v = 0;
	CHECK(lodge_wasm_new(&w, m, &config, &e) == 0);
	CHECK(call_i32(w, "sum", 20, &v, &e) == 0 && v == 210);
	CHECK(lodge_wasm_fuel(w) > 9000 && lodge_wasm_fuel(w) < 10000);
	lodge_wasm_free(w);
	lodge_wasm_module_free(m);
}

TEST(wasm_embedded_start_function)
{
	struct lodge_wasm_module *m = module("(func $s (unreachable)) (start $s)");
	const struct lodge_wasm_config c = {.size = sizeof c};
	struct lodge_wasm *w;
	struct lodge_err e;
	char *type = NULL;
	CHECK(lodge_wasm_new(&w, m, &c, &e) == -EFAULT && strstr(e.msg, "unreachable"));
	lodge_wasm_module_free(m);
	m = module("(func (export \"f\") (param v128 i32) (result f32) f32.const 0)"
		   "(func (export \"g\")) (func (export \"h\") (result i64) i64.const 0)");
	CHECK(lodge_wasm_module_type(m, "f", &type, &e) == 0 && !strcmp(type, "v128 i32 -> f32"));
	lodge_free(type);
	CHECK(lodge_wasm_module_type(m, "g", &type, &e) == 0 && !strcmp(type, "->"));
	lodge_free(type);
	CHECK(lodge_wasm_module_type(m, "h", &type, &e) == 0 && !strcmp(type, "-> i64"));
	lodge_free(type);
	CHECK(lodge_wasm_module_type(m, "i", &type, &e) == -ENOENT);
	lodge_wasm_module_free(m);
}

/* References to exceptions stay inside. */
TEST(wasm_embedded_exceptions_stay_inside)
{
	struct lodge_wasm_module *m =
	    module("(tag $t) (func (export \"out\") (result exnref) (ref.null exn))"
		   "(func (export \"in\") (param i32 exnref))"
		   "(func (export \"thrown\") (throw $t))"
		   "(func (export \"caught\") (result i32) (block $b (try_table (catch_all $b)"
		   "  (throw $t)) (return (i32.const 1))) (i32.const 2))");
	const struct lodge_wasm_config c = {.size = sizeof c};
	struct lodge_wasm_value v[2] = {{.type = LODGE_WASM_I32}, {.type = LODGE_WASM_EXTERNREF}};
	struct lodge_wasm *w;
	struct lodge_err e;
	int32_t i = 0;
	CHECK(lodge_wasm_new(&w, m, &c, &e) == 0);
	CHECK(lodge_wasm_call(w, "out", NULL, 0, v, 1, &e) == -EINVAL);
	CHECK(strstr(e.msg, "stay inside") && v[0].type == LODGE_WASM_I32);
	CHECK(lodge_wasm_call(w, "in", v, 2, NULL, 0, &e) == -EINVAL);
	CHECK(lodge_wasm_call(w, "thrown", NULL, 0, NULL, 0, &e) == -EFAULT);
	CHECK(lodge_wasm_call(w, "caught", NULL, 0, v, 1, &e) == 0 && v[0].of.i32 == 2);
	lodge_wasm_free(w);
	lodge_wasm_module_free(m);
	m = module("(import \"h\" \"f\" (func (param exnref)))");
	const struct lodge_wasm_import im = {"h", "f", "exnref ->", call_back, &i};
	const struct lodge_wasm_config with = {.size = sizeof with, .imports = &im, .nimports = 1};
	CHECK(lodge_wasm_new(&w, m, &with, &e) == -EINVAL && strstr(e.msg, "stay inside"));
	lodge_wasm_module_free(m);
}
