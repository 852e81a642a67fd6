/* SPDX-License-Identifier: Apache-2.0 */
/* A module of WebAssembly inside a program: it calls a function of ours, we call functions of its.
 *
 *     cc -o wasm wasm.c -llodge && ./wasm        */
#include <lodge/wasm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char text[] =
    "(module"
    "  (import \"host\" \"say\" (func $say (param i32 i32)))"
    "  (memory 1)"
    "  (data (i32.const 8) \"hello from a module\")"
    "  (func (export \"hello\") (call $say (i32.const 8) (i32.const 19)))"
    "  (func (export \"power\") (param $x f64) (param $n i32) (result f64)"
    "    (local $p f64)"
    "    (local.set $p (f64.const 1))"
    "    (loop $again"
    "      (local.set $p (f64.mul (local.get $p) (local.get $x)))"
    "      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))"
    "    (local.get $p))"
    "  (func $divide (export \"divide\") (param i32 i32) (result i32)"
    "    (i32.div_s (local.get 0) (local.get 1)))"
    "  (func (export \"forever\") (loop (br 0))))";

/* host.say: what it gets are places in its memory, which may be anything. */
static int say(void *user, struct lodge_wasm *w, const struct lodge_wasm_value *args,
               struct lodge_wasm_value *results, struct lodge_err *e)
{
	uint32_t at = (uint32_t)args[0].of.i32, len = (uint32_t)args[1].of.i32;
	const char *p = (const char *)lodge_wasm_memory(w, at, len);
	(void)results;
	if (!p) {
		e->code = 14;
		strcpy(e->msg, "host.say: that is not in the memory");
		return -14; /* EFAULT */
	}
	fprintf((FILE *)user, "%.*s\n", (int)len, p);
	return 0;
}

static void failed(const char *what, const struct lodge_err *e)
{
	printf("%s: %s\n", what, e->msg);
}

int main(void)
{
	struct lodge_wasm_import imports[] = {{"host", "say", "i32 i32 ->", say, NULL}};
	struct lodge_wasm_config c = {sizeof c, NULL, 0, 0, 0, 0};
	struct lodge_wasm_value args[2], result;
	struct lodge_wasm_module *m = NULL;
	struct lodge_wasm *w = NULL;
	struct lodge_err e;
	char *trace;

	imports[0].user = stdout;
	c.imports = imports;
	c.nimports = 1;
	c.memory = 1 << 20;          /* bytes that it may have */
	c.timeout_ns = 100000000ull; /* of each call */
	if (lodge_wasm_module_new(&m, "example", text, strlen(text), &e) < 0 ||
	    lodge_wasm_new(&w, m, &c, &e) < 0 ||
	    lodge_wasm_call(w, "hello", NULL, 0, NULL, 0, &e) < 0) {
		failed("example", &e);
		return 1;
	}

	args[0].type = LODGE_WASM_F64;
	args[0].of.f64 = 1.5;
	args[1].type = LODGE_WASM_I32;
	args[1].of.i32 = 10;
	if (lodge_wasm_call(w, "power", args, 2, &result, 1, &e) == 0)
		printf("1.5 to the 10th: %g\n", result.of.f64);

	/* A trap is an error like others, and the instance can be called again. */
	args[0].type = LODGE_WASM_I32;
	args[0].of.i32 = 7;
	args[1].of.i32 = 0;
	if (lodge_wasm_call(w, "divide", args, 2, &result, 1, &e) < 0)
		failed("7 / 0", &e);
	if (lodge_wasm_trace(w, &trace, &e) == 0) {
		fputs(trace, stdout);
		lodge_free(trace);
	}
	args[1].of.i32 = 2;
	if (lodge_wasm_call(w, "divide", args, 2, &result, 1, &e) == 0)
		printf("7 / 2: %d\n", result.of.i32);
	if (lodge_wasm_call(w, "forever", NULL, 0, NULL, 0, &e) < 0)
		failed("forever", &e);

	lodge_wasm_free(w);
	lodge_wasm_module_free(m);
	return 0;
}
