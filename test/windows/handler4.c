/* SPDX-License-Identifier: Apache-2.0 */
/* Exceptions of C++ in compressed tables (__CxxFrameHandler4), which no compiler here makes:
 * functions and tables by hand. Each function calls what it is told to in one state of its tables;
 * what is destroyed and caught writes into a trace. "handler4 damage N" changes some bytes of the
 * tables, and throws through them; "handler4 promise" breaks a promise not to throw; "handler4
 * more" is what Wine does not have. */
#include "test.h"
#include <stdint.h>
#include <stdlib.h>

/* Of a frame: the variable of a catch, an object, a pointer to one, and what to call. */
#define VARIABLE "40"
#define OBJECT	 "48"
#define POINTER	 "56"

/* Numbers as the tables have them, of 1 to 5 bytes. */
asm(".macro num1 v\n .byte (\\v) * 2\n.endm\n"
    ".macro num2 v\n .short (\\v) * 4 + 1\n.endm\n"
    ".macro num3 v\n .byte ((\\v) * 8 + 3) & 255, ((\\v) >> 5) & 255, (\\v) >> 13\n.endm\n"
    ".macro num4 v\n .long (\\v) * 16 + 7\n.endm\n"
    ".macro num5 v\n .byte 15\n .long \\v\n.endm\n"
    ".text\nhandler4: jmp *handler(%rip)\n");

/* int call_TABLES(void (*fn)(void)): 0, or the place where a catch goes on. It calls @fn. */
#define FUNCTION(tables)                                                                           \
	int call_##tables(void (*fn)(void));                                                       \
	FUNCTION_TEXT("call_" #tables, #tables)
#define FUNCTION_TEXT(name, tables)                                                                \
	asm(".text\n.globl " name "\n.def " name "; .scl 2; .type 32; .endef\n.seh_proc " name     \
	    "\n" name ": pushq %rbp\n.seh_pushreg %rbp\n subq $96, %rsp\n.seh_stackalloc 96\n"     \
	    " movq %rsp, %rbp\n.seh_setframe %rbp, 0\n.seh_endprologue\n"                          \
	    " movl $7, " OBJECT "(%rbp)\n movl $8, 64(%rbp)\n leaq 64(%rbp), %rax\n"               \
	    " movq %rax, " POINTER "(%rbp)\n" name "_in: call *%rcx\n nop\n" name                  \
	    "_out: xorl %eax, %eax\n" name "_end: addq $96, %rsp\n popq %rbp\n ret\n" name         \
	    "_one: movl $1, %eax\n jmp " name "_end\n" name "_two: movl $2, %eax\n jmp " name      \
	    "_end\n.seh_handler handler4, @except, @unwind\n.seh_handlerdata\n .rva " tables       \
	    "\n.text\n.seh_endproc\n")
/* A catch: it gives where its variable is to @note, in a state of its own; then returns @on. */
#define CATCH(name, note, on, tables)                                                              \
	asm(".text\n.def " name "; .scl 3; .type 32; .endef\n.seh_proc " name "\n" name            \
	    ": movq %rdx, 16(%rsp)\n pushq %rbp\n.seh_pushreg %rbp\n subq $32, %rsp\n"             \
	    ".seh_stackalloc 32\n.seh_endprologue\n movq %rdx, %rbp\n leaq " VARIABLE              \
	    "(%rdx), %rcx\n" name "_in: call " note "\n nop\n" name "_out: " on                    \
	    "\n addq $32, %rsp\n popq %rbp\n ret\n"                                                \
	    ".seh_handler handler4, @except, @unwind\n.seh_handlerdata\n .rva " tables             \
	    "\n.text\n.seh_endproc\n")
#define CATCH_FRAME "56" /* of its frame: the function's */
/* States of the code above: none, @state in the call, none. */
#define PLACES(label, of, before, state)                                                           \
	label ": num1 3\n num1 0\n num1 " before "\n num1 " of "_in-" of "+1\n num1 " state        \
	      "\n num1 " of "_out-" of "_in\n num1 " before "\n"

static char trace[200];
static void put(const char *what, int n)
{
	snprintf(trace + strlen(trace), sizeof trace - strlen(trace), "%s%d ", what, n);
}

void *handler;
static void (*throw_fn)(void *, void *);
extern char int_thrown[], long_thrown[];
static int thrown;
static long long other;
static void throw_int(void)
{
	thrown = 42;
	throw_fn(&thrown, int_thrown);
}
static void throw_long(void)
{
	other = 77;
	throw_fn(&other, long_thrown);
}
static void quiet(void) { put("quiet", 0); }

static void (*in_catch)(void);
__attribute__((used)) void note_value(const int *v) { put("value", *v); }
__attribute__((used)) void note_reference(int **v) { put("reference", (*v == &thrown) + **v); }
__attribute__((used)) void note_all(void) { put("all", 0); }
__attribute__((used)) void note_inner(const int *v)
{
	put("inner", *v);
	if (in_catch)
		in_catch();
}
__attribute__((used)) void note_inner_done(const int *v) { put("deeper", *v); }
__attribute__((used)) void destroy_object(const int *v) { put("~object", *v); }
__attribute__((used)) void destroy_pointer(const int *v) { put("~pointer", *v); }
__attribute__((used)) void destroy_funclet(uint64_t code, const char *frame)
{
	(void)code;
	put("~funclet", *(const int *)(frame + 48));
}
__attribute__((used)) void destroy_thrown(const int *v) { put("~thrown", *v); }

/* ---- what is thrown ---- */

asm(".data\n.balign 8\n"
    "int_type: .quad 0, 0\n .asciz \".H\"\n.balign 8\n"
    "long_type: .quad 0, 0\n .asciz \".J\"\n.balign 8\n"
    "double_type: .quad 0, 0\n .asciz \".N\"\n.balign 8\n"
    "int_thrown: .long 0\n .rva destroy_thrown\n .long 0\n .rva int_list\n"
    "int_list: .long 1\n .rva int_caught\n"
    "int_caught: .long 1\n .rva int_type\n .long 0, -1, 0, 4, 0\n"
    "long_thrown: .long 0, 0, 0\n .rva long_list\n"
    "long_list: .long 1\n .rva long_caught\n"
    "long_caught: .long 1\n .rva long_type\n .long 0, -1, 0, 8, 0\n"
    "tables_begin:\n");

/* ---- one try ---- */

FUNCTION(by_value);
CATCH("catch_by_value", "note_value", "xorl %eax, %eax", "in_by_value");
asm(".data\nby_value: .byte 0x38\n .rva one_undo, by_value_tries, by_value_places\n"
    "in_by_value: .byte 0x21\n .rva in_by_value_places\n num1 " CATCH_FRAME "\n"
    "one_undo: num2 2\n num3 1*4\n num1 4*4\n"
    "by_value_tries: num3 1\n num1 0\n num2 0\n num4 1\n .rva by_value_catches\n"
    /* of double: not this one; of int */
    "by_value_catches: num4 2\n .byte 2\n .rva double_type, catch_by_value\n"
    " .byte 0x16\n .rva int_type\n num4 " VARIABLE "\n .rva catch_by_value\n"
    " num4 call_by_value_one-call_by_value\n" //
    PLACES("by_value_places", "call_by_value", "0", "1")
    PLACES("in_by_value_places", "catch_by_value", "0", "0"));

/* It goes on in the second of two places. */
FUNCTION(by_reference);
CATCH("catch_by_reference", "note_reference", "movl $1, %eax", "in_by_reference");
asm(".data\nby_reference: .byte 0x38\n"
    " .rva one_undo, by_reference_tries, by_reference_places\n"
    "in_by_reference: .byte 0x21\n .rva in_by_reference_places\n num1 " CATCH_FRAME "\n"
    "by_reference_tries: num1 1\n num1 0\n num1 0\n num1 1\n .rva by_reference_catches\n"
    "by_reference_catches: num1 1\n .byte 0x2f\n num1 8\n .rva int_type\n num1 " VARIABLE "\n"
    " .rva catch_by_reference, call_by_reference_one, call_by_reference_two\n" //
    PLACES("by_reference_places", "call_by_reference", "0", "1")
    PLACES("in_by_reference_places", "catch_by_reference", "0", "0"));

/* The funclet tells where it goes on. */
FUNCTION(all);
CATCH("catch_all", "note_all", "leaq call_all_one(%rip), %rax", "in_all");
asm(".data\nall: .byte 0x38\n .rva one_undo, all_tries, all_places\n"
    "in_all: .byte 0x21\n .rva in_all_places\n num1 " CATCH_FRAME "\n"
    "all_tries: num1 1\n num1 0\n num1 0\n num1 1\n .rva all_catches\n"
    "all_catches: num1 1\n .byte 0\n .rva catch_all\n" //
    PLACES("all_places", "call_all", "0", "1") PLACES("in_all_places", "catch_all", "0", "0"));

/* In pieces, of which the first is another function's; flags; numbers of 5 bytes. */
FUNCTION(pieces);
CATCH("catch_pieces", "note_value", "xorl %eax, %eax", "in_pieces");
asm(".data\npieces: .byte 0x3e\n num2 1000\n .rva one_undo, pieces_tries, pieces_list\n"
    "pieces_list: num5 2\n .rva call_by_value, by_value_places\n"
    " .rva call_pieces, pieces_places\n"
    "in_pieces: .byte 0x21\n .rva in_pieces_places\n num5 " CATCH_FRAME "\n"
    "pieces_tries: num1 1\n num5 0\n num5 0\n num5 1\n .rva pieces_catches\n"
    "pieces_catches: num5 1\n .byte 0x16\n .rva int_type\n num5 " VARIABLE "\n"
    " .rva catch_pieces\n num5 call_pieces_two-call_pieces\n" //
    PLACES("pieces_places", "call_pieces", "0", "1")
    PLACES("in_pieces_places", "catch_pieces", "0", "0"));

/* ---- only what is destroyed, and a promise ---- */

FUNCTION(destroys);
asm(".data\ndestroys: .byte 0x28\n .rva destroys_undo, destroys_places\n"
    "destroys_undo: num1 3\n"
    "1: num1 1*4+1\n .rva destroy_object\n num1 " OBJECT "\n"
    "2: num1 (2b-1b)*4+2\n .rva destroy_pointer\n num1 " POINTER "\n"
    "3: num1 (3b-2b)*4+3\n .rva destroy_funclet\n" //
    PLACES("destroys_places", "call_destroys", "0", "3"));

FUNCTION(promise);
asm(".data\npromise: .byte 0x60\n .rva promise_places\npromise_places: num1 1\n num1 0\n num1 0\n");

/* ---- a try in a try ---- */

/* States: 0 the outer try, 1 an object, 2 the inner try, 3 a pointer's, 4 the inner catch, 5 the
 * outer catch. Of the inner catch: 0 an object in it. */
FUNCTION(nested);
CATCH("catch_inner", "note_inner", "leaq call_nested_two(%rip), %rax", "in_inner");
CATCH("catch_outer", "note_all", "leaq call_nested_one(%rip), %rax", "in_outer");
asm(".data\nnested: .byte 0x38\n .rva nested_undo, nested_tries, nested_places\n"
    "in_inner: .byte 0x29\n .rva inner_undo, in_inner_places\n num1 " CATCH_FRAME "\n"
    "in_outer: .byte 0x21\n .rva in_outer_places\n num1 " CATCH_FRAME "\n"
    "inner_undo: num1 1\n num1 1*4+3\n .rva destroy_funclet\n"
    "nested_undo: num1 6\n"
    "10: num1 1*4\n"
    "11: num1 (11b-10b)*4+1\n .rva destroy_object\n num1 " OBJECT "\n"
    "12: num1 (12b-11b)*4\n"
    "13: num1 (13b-12b)*4+2\n .rva destroy_pointer\n num1 " POINTER "\n"
    "14: num2 (14b-11b)*4\n"
    "15: num2 (15b-10b+1)*4\n"
    "nested_tries: num1 2\n num1 2\n num1 3\n num1 4\n .rva inner_catches\n"
    " num1 0\n num1 4\n num1 5\n .rva outer_catches\n"
    "inner_catches: num1 1\n .byte 6\n .rva int_type\n num1 " VARIABLE "\n .rva catch_inner\n"
    "outer_catches: num1 1\n .byte 1\n num1 64\n .rva catch_outer\n" //
    PLACES("nested_places", "call_nested", "0", "4")
    PLACES("in_inner_places", "catch_inner", "0", "1")
    PLACES("in_outer_places", "catch_outer", "0", "0"));

/* A try in a catch, and a catch without tables. */
FUNCTION(deep);
CATCH("catch_deep", "note_inner", "leaq call_deep_two(%rip), %rax", "in_deep");
CATCH("catch_deeper", "note_inner_done", "xorl %eax, %eax", "in_deeper");
asm(".data\ndeep: .byte 0x38\n .rva one_undo, deep_tries, deep_places\n"
    "in_deep: .byte 0x39\n .rva one_undo, in_deep_tries, in_deep_places\n num1 " CATCH_FRAME "\n"
    "in_deeper: .byte 0x21\n .rva in_deeper_places\n num1 " CATCH_FRAME "\n"
    "deep_tries: num1 1\n num1 0\n num1 0\n num1 1\n .rva deep_catches\n"
    "deep_catches: num1 1\n .byte 6\n .rva int_type\n num1 " VARIABLE "\n .rva catch_deep\n"
    "in_deep_tries: num1 1\n num1 0\n num1 0\n num1 1\n .rva deeper_catches\n"
    "deeper_catches: num1 1\n .byte 0x16\n .rva long_type\n num1 " VARIABLE "\n"
    " .rva catch_deeper\n num1 catch_deep_out-catch_deep\n" //
    PLACES("deep_places", "call_deep", "0", "1")
    PLACES("in_deep_places", "catch_deep", "0", "1")
    PLACES("in_deeper_places", "catch_deeper", "0", "0"));
FUNCTION(bare);
asm(".text\n.def catch_bare; .scl 3; .type 32; .endef\n.seh_proc catch_bare\n"
    "catch_bare: subq $40, %rsp\n.seh_stackalloc 40\n.seh_endprologue\n"
    " leaq " VARIABLE "(%rdx), %rcx\n call note_inner\n leaq call_bare_one(%rip), %rax\n"
    " addq $40, %rsp\n ret\n.seh_endproc\n"
    ".data\nbare: .byte 0x38\n .rva bare_undo, bare_tries, bare_places\n"
    /* 0 an object, 1 the try, 2 a pointer's, 3 the catch */
    "bare_undo: num1 4\n"
    "20: num1 1*4+1\n .rva destroy_object\n num1 " OBJECT "\n"
    "21: num1 (21b-20b)*4\n"
    "22: num1 (22b-21b)*4+2\n .rva destroy_pointer\n num1 " POINTER "\n"
    "23: num1 (23b-20b)*4\n"
    "bare_tries: num1 1\n num1 1\n num1 2\n num1 3\n .rva bare_catches\n"
    "bare_catches: num1 1\n .byte 6\n .rva int_type\n num1 " VARIABLE "\n .rva catch_bare\n" //
    PLACES("bare_places", "call_bare", "0", "3") "tables_end:\n.text\n");

/* ---- */

/* What @fn does with @body, and how. */
static void traces(int (*fn)(void (*)(void)), void (*body)(void), int result,
		   const char *want)
{
	trace[0] = 0;
	SAME(fn(body), result);
	TEXT_IS(trace, want);
}

static void through(void) { call_destroys(throw_int); }
static void nested_through(void) { call_nested(throw_long); }
static void again(void) { throw_fn(NULL, NULL); }

static void one_try(void)
{
	traces(call_by_value, quiet, 0, "quiet0 ");
	for (int i = 0; i < 3; i++)
		traces(call_by_value, throw_int, 1, "value42 ~thrown42 ");
	traces(call_by_reference, throw_int, 2, "reference43 ~thrown42 ");
	traces(call_all, throw_int, 1, "all0 ~thrown42 ");
	traces(call_all, throw_long, 1, "all0 ");
}

static void destroyed(void)
{
	traces(call_destroys, quiet, 0, "quiet0 ");
	traces(call_by_value, through, 1, "~funclet7 ~pointer8 ~object7 value42 ~thrown42 ");
	traces(call_all, through, 1, "~funclet7 ~pointer8 ~object7 all0 ~thrown42 ");
}

static void nested(void)
{
	for (int i = 0; i < 3; i++) {
		traces(call_nested, throw_int, 2, "~pointer8 inner42 ~thrown42 ");
		traces(call_nested, throw_long, 1, "~pointer8 ~object7 all0 ");
	}
}

static void bare_through(void) { call_bare(throw_int); }

/* Catches that throw. */
static void nested_again(void)
{
	in_catch = again;
	traces(call_nested, throw_int, 1, "~pointer8 inner42 ~funclet7 ~object7 all0 ~thrown42 ");
	traces(call_all, bare_through, 1, "~pointer8 inner42 ~object7 all0 ~thrown42 ");
	in_catch = throw_long;
	traces(call_nested, throw_int, 1, "~pointer8 inner42 ~funclet7 ~thrown42 ~object7 all0 ");
	traces(call_all, bare_through, 1, "~pointer8 inner42 ~thrown42 ~object7 all0 ");
	traces(call_deep, throw_int, 2, "inner42 deeper77 ~thrown42 ");
	in_catch = NULL;
	traces(call_bare, throw_int, 1, "~pointer8 inner42 ~thrown42 ");
	traces(call_deep, throw_int, 2, "inner42 ~thrown42 ");
}

/* They throw, and catch what they throw. */
static void nested_within(void)
{
	in_catch = nested_through;
	for (int i = 0; i < 3; i++)
		traces(call_nested, throw_int, 2,
		       "~pointer8 inner42 ~pointer8 ~object7 all0 ~thrown42 ");
}

static void promised(const char *self)
{
	char line[MAX_PATH + 20];
	STARTUPINFOA si = {.cb = sizeof si, .dwFlags = STARTF_USESTDHANDLES}; /* silent */
	PROCESS_INFORMATION pi;
	DWORD code = 0;
	snprintf(line, sizeof line, "\"%s\" promise", self);
	CHECK(CreateProcessA(NULL, line, NULL, NULL, FALSE, 0, NULL, NULL, &si, &pi));
	SAME(WaitForSingleObject(pi.hProcess, 20000), WAIT_OBJECT_0);
	CHECK(GetExitCodeProcess(pi.hProcess, &code));
	CHECK(code != 0 && code != 5);
}

static void promise_break(void) { call_promise(throw_int); }

extern char tables_begin[], tables_end[];
static void damage(unsigned n)
{
	srand(n);
	for (int i = 1 + rand() % 4; i > 0; i--)
		tables_begin[rand() % (tables_end - tables_begin)] = (char)rand();
	in_catch = n % 3 ? again : throw_long;
	call_all(through);
	call_by_value(throw_int);
	call_by_reference(throw_int);
	call_pieces(throw_int);
	call_deep(throw_int);
	call_all(bare_through);
	call_nested(throw_int);
}

int main(int argc, char **argv)
{
	handler = (void *)GetProcAddress(LoadLibraryA("vcruntime140_1.dll"), "__CxxFrameHandler4");
	throw_fn = (void (*)(void *, void *))GetProcAddress(LoadLibraryA("vcruntime140.dll"),
							    "_CxxThrowException");
	if (argc > 2) {
		damage((unsigned)atoi(argv[2]));
		return 0;
	}
	if (argc > 1 && !strcmp(argv[1], "promise")) {
		call_all(promise_break);
		return 5;
	}
	if (argc > 1) { /* what Wine does not have */
		traces(call_pieces, throw_int, 2, "value42 ~thrown42 ");
		return end();
	}
	CHECK(handler);
	one_try();
	destroyed();
	nested();
	nested_again();
	nested_within();
	promised(argv[0]);
	return end();
}
