/* SPDX-License-Identifier: Apache-2.0 */
#include "gdb/internal.h"
#include "bus/bus.h"
#include "isa/riscv/riscv.h"
#include "test/test.h"

/* A guest of one thread: memory of 256 bytes at 0x1000, registers that are their numbers. */
struct rig {
	struct gdb *g;
	struct gdb_cpu cpu;
	char said[4 * PACKET];
	size_t len;
	uint8_t memory[256];
	uint64_t breaks, resumed, interrupts, passed;
	struct gdb_action action;
	bool detached;
};

static size_t rig_threads(void *rig, int *ret, size_t cap)
{
	(void)rig;
	if (cap)
		ret[0] = 42;
	return 1;
}
static void rig_name(void *rig, int thread, char *ret, size_t cap)
{
	(void)rig;
	snprintf(ret, cap, "a<%d>", thread);
}
static bool rig_get(void *rig, int thread, unsigned n, uint8_t ret[GDB_REG_BYTES])
{
	(void)rig;
	ret[0] = (uint8_t)n;
	return thread == 42;
}
static bool rig_set(void *rig, int thread, unsigned n, const uint8_t v[GDB_REG_BYTES])
{
	(void)rig;
	(void)v;
	return thread == 42 && n < 64;
}
static ssize_t rig_read(void *rig, uint64_t at, void *buf, size_t len)
{
	struct rig *r = rig;
	if (at < 0x1000 || at >= 0x1100)
		return -EFAULT;
	len = min_u64(len, 0x1100 - at);
	memcpy(buf, r->memory + (at - 0x1000), len);
	return (ssize_t)len;
}
static int rig_write(void *rig, uint64_t at, const void *buf, size_t len)
{
	struct rig *r = rig;
	if (at < 0x1000 || at > 0x1100 || len > 0x1100 - at)
		return -EFAULT;
	memcpy(r->memory + (at - 0x1000), buf, len);
	return 0;
}
static int rig_break(void *rig, uint64_t at, bool set)
{
	struct rig *r = rig;
	r->breaks = set ? at : 0;
	return 0;
}
static void rig_resume(void *rig, const struct gdb_action *a, size_t n)
{
	struct rig *r = rig;
	r->resumed += n;
	r->action = a[0];
}
static void rig_interrupt(void *rig) { ((struct rig *)rig)->interrupts++; }
static void rig_detach(void *rig) { ((struct rig *)rig)->detached = true; }
static void rig_pass(void *rig, uint64_t signals) { ((struct rig *)rig)->passed = signals; }
static int rig_exec(void *rig, char *ret, size_t cap)
{
	(void)rig;
	snprintf(ret, cap, "/bin/x");
	return 0;
}
static int rig_open(void *rig, const char *path) { (void)rig, (void)path; return -ENOENT; }

static const struct gdb_target rig_target = {
	.threads = rig_threads, .thread_name = rig_name, .reg_get = rig_get, .reg_set = rig_set,
	.mem_read = rig_read, .mem_write = rig_write, .breakpoint = rig_break,
	.resume = rig_resume, .interrupt = rig_interrupt, .detach = rig_detach,
	.kill = rig_detach, .pass = rig_pass, .exec_file = rig_exec, .open = rig_open,
};

static void rig_send(void *rig, const void *data, size_t len)
{
	struct rig *r = rig;
	assert_true(len < sizeof r->said - r->len);
	memcpy(r->said + r->len, data, len);
	r->len += len;
	r->said[r->len] = 0;
}

static struct rig *rig_new(void)
{
	struct rig *r = calloc(1, sizeof *r);
	gdb_cpu_riscv(&r->cpu, "GNU/Linux", 16);
	assert_int_equal(gdb_new(&r->g, &rig_target, &r->cpu, r, rig_send, NULL), 0);
	return r;
}

static void rig_free(struct rig *r)
{
	gdb_free(r->g);
	free(r);
}

/* What is said to the packet with @body: without acknowledgement and frame. */
static const char *ask(struct rig *r, const char *body)
{
	struct reply o = {.len = 0};
	uint8_t frame[2 * PACKET + 4];
	reply_bytes(&o, body, strlen(body));
	size_t n = reply_frame(&o, frame);
	r->len = 0;
	r->said[0] = 0;
	(void)!gdb_input(r->g, frame, n);
	char *end = strrchr(r->said, '#');
	if (end)
		*end = 0;
	return !strncmp(r->said, "+$", 2) ? r->said + 2 : r->said[0] == '$' ? r->said + 1 : r->said;
}

TEST(gdb_packets_have_sums_and_escapes)
{
	struct rig *r = rig_new();
	assert_true(gdb_input(r->g, "$?#00", 5));
	assert_string_equal(r->said, "-");
	r->len = 0;
	assert_true(gdb_input(r->g, "junk$g$?#3f", 11)); /* a cut one before */
	assert_string_equal(r->said, "+$T05thread:2a;#39");
	r->len = 0;
	assert_true(gdb_input(r->g, "-", 1)); /* once more */
	assert_string_equal(r->said, "$T05thread:2a;#39");
	assert_string_equal(ask(r, "QStartNoAckMode"), "OK");
	assert_string_equal(ask(r, "X1000,3:a}c"), "OK"); /* sent as a } ] c */
	assert_memory_equal(r->memory, "a}c", 3);
	assert_string_equal(ask(r, "m1000,3"), "617d63");
	rig_free(r);
}

TEST(gdb_memory_and_registers)
{
	struct rig *r = rig_new();
	assert_string_equal(ask(r, "M1002,2:a1b2"), "OK");
	assert_string_equal(ask(r, "m1000,4"), "0000a1b2");
	assert_string_equal(ask(r, "m10fe,10"), "0000"); /* as far as it goes */
	assert_string_equal(ask(r, "mfff,1"), "E0e");
	assert_string_equal(ask(r, "M1000,4:a1"), "E16"); /* too few */
	assert_string_equal(ask(r, "X1000,ffffffff:a"), "E16");
	assert_string_equal(ask(r, "p20"), "2000000000000000");
	assert_string_equal(ask(r, "p41"), "41000000"); /* fflags: 4 bytes */
	assert_int_equal(strlen(ask(r, "p4b")), 32); /* v0 */
	assert_string_equal(ask(r, "pfff"), "E16");
	assert_string_equal(ask(r, "P1=00"), "E16");
	assert_string_equal(ask(r, "P1=0102030405060708"), "OK");
	assert_int_equal(strlen(ask(r, "g")), 2 * (65 * 8 + 3 * 4 + 7 * 8 + 32 * 16));
	assert_string_equal(ask(r, "Hg7"), "E03");
	assert_string_equal(ask(r, "Hg2a"), "OK");
	rig_free(r);
}

TEST(gdb_guest_goes_and_stops)
{
	struct rig *r = rig_new();
	const struct gdb_stop at = {.thread = 42, .signal = 5, .why = GDB_BREAK};
	assert_non_null(strstr(ask(r, "qSupported:swbreak+;exec-events+"), "vContSupported+"));
	assert_true(gdb_wants_exec(r->g));
	assert_string_equal(ask(r, "Z0,1234,4"), "OK");
	assert_int_equal(r->breaks, 0x1234);
	assert_string_equal(ask(r, "Z2,1234,4"), "");
	assert_string_equal(ask(r, "vCont;C1e:2a;c"), "+"); /* no answer yet */
	assert_int_equal(r->resumed, 2);
	assert_int_equal(r->action.thread, 42);
	assert_int_equal(r->action.signal, 10);
	assert_string_equal(ask(r, "g"), "+"); /* not while it runs */
	assert_true(gdb_input(r->g, "\3", 1));
	assert_int_equal(r->interrupts, 1);
	r->len = 0;
	gdb_stopped(r->g, &at);
	assert_memory_equal(r->said, "$T05swbreak:;thread:2a;#", 24);
	assert_string_equal(ask(r, "s"), "+");
	assert_true(r->action.step);
	r->len = 0;
	gdb_ended(r->g, 0, 11);
	assert_memory_equal(r->said, "$X0b#", 5);
	rig_free(r);
}

TEST(gdb_objects_in_pieces)
{
	struct rig *r = rig_new();
	char text[65536] = "";
	for (unsigned off = 0;;) {
		char query[64];
		snprintf(query, sizeof query, "qXfer:features:read:target.xml:%x,100", off);
		const char *s = ask(r, query);
		assert_true(*s == 'm' || *s == 'l');
		strcat(text, s + 1);
		off += (unsigned)strlen(s + 1);
		if (*s == 'l')
			break;
	}
	assert_non_null(strstr(text, "<architecture>riscv:rv64</architecture>"));
	assert_non_null(strstr(text, "<reg name=\"v31\" bitsize=\"128\" regnum=\"106\""));
	assert_non_null(strstr(text, "</feature></target>"));
	assert_string_equal(ask(r, "qXfer:threads:read::0,fff"), "l<?xml version=\"1.0\"?><threads>"
	                    "<thread id=\"2a\" name=\"a_42_\"/></threads>");
	assert_string_equal(ask(r, "qXfer:exec-file:read::1,3"), "mbin");
	assert_string_equal(ask(r, "qXfer:auxv:read::0,10"), ""); /* this one has none */
	assert_string_equal(ask(r, "qXfer:features:read:target.xml:x"), "E16");
	assert_string_equal(ask(r, "QPassSignals:e;14"), "OK");
	assert_int_equal(r->passed, UINT64_C(1) << 13 | UINT64_C(1) << 16);
	assert_string_equal(ask(r, "vFile:open:2f78,0,0"), "F-1,2");
	assert_string_equal(ask(r, "vFile:pread:3,10,0"), "F-1,9");
	assert_string_equal(ask(r, "vFile:open:2f78,1,0"), "F-1,1e");
	rig_free(r);
}

TEST(gdb_leaves)
{
	struct rig *r = rig_new();
	assert_string_equal(ask(r, "D"), "OK");
	assert_true(r->detached);
	assert_false(gdb_input(r->g, "$?#3f", 5));
	rig_free(r);
}

TEST(gdb_registers_of_a_hart)
{
	static const struct rv_process none = {.end = UINT64_C(1) << 38};
	struct vclock clock;
	struct rv_env env = {.vlen = 128, .process = &none, .clock = &clock};
	struct rv_hart *h;
	struct gdb_cpu cpu;
	vclock_init(&clock);
	assert_int_equal(rv_hart_new(&h, &env, 0, NULL), 0);
	rv_process_reset(h, 0, 0);
	gdb_cpu_riscv(&cpu, NULL, 16);
	assert_int_equal(cpu.n, GDB_RV_V + 32);
	for (unsigned n = 0; n < cpu.n; n++) {
		uint8_t v[GDB_REG_BYTES], got[GDB_REG_BYTES] = {0};
		uint64_t pc = 0;
		memset(v, 2, sizeof v);
		assert_true(gdb_riscv_set(h, &pc, n, v));
		assert_true(gdb_riscv_get(h, pc, n, got));
		bool plain = (n > GDB_RV_X && n < GDB_RV_FFLAGS) || n >= GDB_RV_V;
		if (plain)
			assert_memory_equal(got, v, cpu.reg[n].bits / 8);
		else if (n == GDB_RV_X)
			assert_int_equal(le64_at(got), 0);
		else if (n == GDB_RV_VLENB)
			assert_int_equal(le64_at(got), 16);
	}
	uint8_t v[GDB_REG_BYTES] = {0x75}, got[GDB_REG_BYTES] = {0};
	uint64_t pc = 0;
	assert_true(gdb_riscv_set(h, &pc, GDB_RV_FCSR, v));
	assert_int_equal(h->frm, 3);
	assert_true(gdb_riscv_get(h, pc, GDB_RV_FFLAGS, got));
	assert_int_equal(got[0], 0x15);
	assert_false(gdb_riscv_get(h, pc, cpu.n, got));
	rv_hart_free(h);
}

TEST(gdb_numbers_of_signals_go_both_ways)
{
	for (int sig = 1; sig <= 64; sig++)
		if (sig != 16) /* SIGSTKFLT: it has no such */
			assert_int_equal(signal_from_gdb(signal_to_gdb(sig)), sig);
	assert_int_equal(signal_to_gdb(10), 30);
	assert_int_equal(signal_from_gdb(255), 0);
}
